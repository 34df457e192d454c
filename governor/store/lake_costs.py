"""What single calls cost, worked out by DuckDB: a month holds too many of them to be rated one by one.

Owns: rates as rows of a relation, the cost as SQL. Does not own: the arithmetic (prices/rate.py), which calls are asked about.
Invariants: equal to rate_usage of the one call to the last pico-USD, unpriced where that is unpriced; rates that SQL cannot say have no rows.
"""

from __future__ import annotations

from math import lcm
from typing import Any, Final

import pyarrow as pa

from governor.prices.book import Rates
from governor.prices.rate import RATED, price_for

METERS: Final = ("input", "cache_read", "cache_write", "cache_write_1h", "audio_input", "output", "audio_output", "reasoning", "request")
TOKENS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
)
LARGEST: Final = 2**62
_RATE_FIELDS: Final = [
    *((name, pa.int64()) for name in ("way", "low", "high", "whole", *(f"rate_{meter}" for meter in METERS))),
    *((name, pa.bool_()) for name in ("knows_output", "knows_reasoning", "knows_request", "own_audio")),
]
RATES_SCHEMA: Final = pa.schema(_RATE_FIELDS)


def rate_rows(rates: Rates, way: int) -> list[dict[str, Any]]:
    """One row per context band [low, high): rates of `RATES_SCHEMA` as whole numbers of 1/`whole` pico-USD. None at all for marginal or too fine prices."""
    rows = [price for table in (rates.listed, rates.contracted) for bands in table.values() for price in bands if price.meter in RATED]
    whole = lcm(*(price.pico.denominator for price in rows))
    if any(price.band_rule == "marginal" for price in rows) or any(price.pico * whole >= LARGEST for price in rows) or whole >= LARGEST:
        return []
    known = {*rates.listed, *rates.contracted}
    marks = sorted({0, *(price.context_min for price in rows), *(price.context_max for price in rows if price.context_max is not None)})
    flags = {
        "knows_output": "output" in known,
        "knows_reasoning": "reasoning" in known,
        "knows_request": "request" in known,
        "own_audio": "audio_input" in known,
    }
    found = []
    for low, high in zip(marks, [*marks[1:], LARGEST], strict=True):
        of = {f"rate_{meter}": _rate(rates, meter, low, whole) for meter in METERS}
        found.append({"way": way, "low": low, "high": high, "whole": whole, **of, **flags})
    return found


def _rate(rates: Rates, meter: str, context: int, whole: int) -> int | None:
    """None where a call that uses the meter has no price: the list's and the contract's are both needed."""
    listed, contracted = (price_for(rates, meter, context, contract=contract) for contract in (False, True))
    return None if listed is None or contracted is None else int(contracted.pico * whole)


def costs_query(source: str, rates: str) -> str:
    """`source` (columns `way` and TOKENS, and whatever else) with `pico`, the cost of each of its rows as one call; only rows that have a cost."""
    parts = " + ".join(f"used_{meter}::HUGEINT * coalesce(rate_{meter}, 0)" for meter in METERS)
    sound = " AND ".join(f"used_{meter} >= 0 AND (used_{meter} = 0 OR rate_{meter} IS NOT NULL)" for meter in METERS)
    return f"""
    SELECT * EXCLUDE (fine), fine // whole + CASE WHEN 2 * (fine % whole) > whole
        OR (2 * (fine % whole) = whole AND (fine // whole) % 2 = 1) THEN 1 ELSE 0 END AS pico
    FROM (SELECT *, {parts} AS fine FROM (
        SELECT *, input_tokens - was_read - written - heard_apart AS used_input, was_read AS used_cache_read, written - written_long AS used_cache_write,
            written_long AS used_cache_write_1h, heard_apart AS used_audio_input, coalesce(output_tokens, 0) - thought - spoken AS used_output,
            spoken AS used_audio_output, thought AS used_reasoning, knows_request::BIGINT AS used_request
        FROM (SELECT s.*, r.* EXCLUDE (way), coalesce(cache_read_tokens, 0) AS was_read, coalesce(cache_write_tokens, 0) AS written,
                coalesce(cache_write_1h_tokens, 0) AS written_long, coalesce(audio_input_tokens, 0) AS heard, coalesce(audio_output_tokens, 0) AS spoken,
                CASE WHEN knows_reasoning THEN coalesce(reasoning_tokens, 0) ELSE 0 END AS thought,
                CASE WHEN was_read = 0 AND written = 0 THEN heard ELSE 0 END AS heard_apart
            FROM {source} s JOIN {rates} r ON s.way = r.way AND s.input_tokens >= r.low AND s.input_tokens < r.high)
        WHERE (output_tokens IS NOT NULL OR NOT knows_output) AND NOT (own_audio AND heard <> 0 AND (was_read <> 0 OR written <> 0)))
    WHERE {sound})"""
