"""How the input tokens of calls are made up of the parts of their prompts, as the calls themselves say it, in sums.

Owns: where a call may say it, what counts as said, each part's share of a call's tokens of every class. Does not own: what a part costs (actions/show_segments.py).
Invariants: a text that cannot be read, a negative or broken count, a name too long, too many parts: the call has not said it, and is never refused for that; shares are
whole numbers of 1e-18 of a call, multiplied with its tokens, so that no float stands between tokens and money; of a day the names beyond the largest are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from governor.store.lake_slices import SLICE_OF
from governor.store.lake_units import with_units

SPOKEN: Final = "prompt_segments"  # the grouping key of calls that say it
NAMES: Final = ("prompt_segments", "governor.prompt.segments")  # in a call's metadata, by LiteLLM and by a span
WAY: Final = "way"  # a grouping key beside it: what sums and segments find each other by
LONGEST_NAME: Final = 64
MOST_PARTS: Final = 64
MOST_NAMES: Final = 200  # of what is asked for, and five times as many of one day: what stands beyond them (ids for names) is one
WEIGHTS: Final = ("uncached", "cache_read", "cache_write", "cache_write_1h", "audio_input", "image_input")
SUMS: Final = (*WEIGHTS, "calls", "tokens", "scaled_calls")
# tokens * 1e18 // whole in two steps of 64 bits, which hold while a call has fewer than 9e9 tokens: a division of 128 bits takes a microsecond
_HALF: Final = 1_000_000_000
_SHARE: Final = f"(part.tokens * {_HALF} // whole) * {_HALF} + (part.tokens * {_HALF} % whole) * {_HALF} // whole"
_MOST_TOKENS: Final = 9_000_000_000
_TEXT: Final = "coalesce(" + ", ".join(f"metadata['{name}']" for name in NAMES) + ")"
_PARTS: Final = f"""list_transform(TRY(map_entries(json_transform({_TEXT}, '"MAP(VARCHAR, VARCHAR)"'))), lambda e:
    CASE WHEN len(e.key) BETWEEN 1 AND {LONGEST_NAME} AND regexp_full_match(e.value, '[0-9]{{1,8}}')
    THEN struct_pack(name := e.key, tokens := TRY_CAST(e.value AS BIGINT)) END)"""
# one evaluation of the parts for all that is asked of them; null where the call has not said it
PARTS: Final = f"""CASE WHEN {_TEXT} IS NOT NULL AND input_tokens BETWEEN 0 AND {_MOST_TOKENS} THEN list_filter([{_PARTS}], lambda c: len(c) BETWEEN 1 AND {MOST_PARTS}
    AND len(list_filter(c, lambda p: p IS NULL)) = 0 AND len(list_distinct(list_transform(c, lambda p: p.name))) = len(c)
    AND list_sum(list_transform(c, lambda p: p.tokens)) > 0)[1] END"""
SAID: Final = f"CASE WHEN ({PARTS}) IS NOT NULL THEN 'said' END"


def way_of(columns: Mapping[str, str]) -> str:
    """SQL of one short name for all that a row of sums is grouped by but its epoch, for the calls that may say it. `columns`: name -> SQL."""
    texts = ", ".join(f"coalesce(({expression})::VARCHAR, chr(30))" for name, expression in columns.items() if name != "epoch")
    return f"CASE WHEN {_TEXT} IS NOT NULL THEN md5(concat_ws(chr(31), {texts})) END"


def segments_query(way: str) -> str:
    """Over `{calls}`, by UTC day (`slice`), for Lake.by_day: WAY and `epoch` of the sums they belong to, `segment` (null: what the parts leave of the input),
    `beyond` (names after the largest of the day), `calls`, `tokens` as said, `scaled_calls` (said more than the call's input), WEIGHTS. way: its SQL.
    """
    sums = ", ".join(f"sum(share * {name}) AS {name}" for name in WEIGHTS)
    again = ", ".join(f"sum({name})::DECIMAL(38, 0) AS {name}" for name in WEIGHTS)
    # calls are opened into parts under one short name: a month of them, times their parts, is grouped
    return f"""WITH told AS (
            SELECT {way} AS {WAY}, {{epoch}} AS epoch, {SLICE_OF}, {PARTS} AS parts, input_tokens AS input,
                greatest(input_tokens - coalesce(cache_read_tokens, 0) - coalesce(cache_write_tokens, 0), 0)::HUGEINT AS uncached,
                {", ".join(f"greatest(coalesce({name}_tokens, 0), 0)::HUGEINT AS {name}" for name in WEIGHTS[1:])}
            FROM {with_units("{calls}")} WHERE cost_bearing AND start_time >= $start AND start_time < $end AND {_TEXT} IS NOT NULL
        ),
        summed AS (SELECT *, list_sum(list_transform(parts, lambda p: p.tokens))::BIGINT AS said FROM told),
        opened AS (
            SELECT * EXCLUDE parts, greatest(said, input) AS whole, unnest(CASE WHEN parts IS NOT NULL
                THEN list_concat(parts, [struct_pack(name := NULL::VARCHAR, tokens := greatest(input - said, 0))]) END) AS part FROM summed
        ),
        shared AS (SELECT *, part.name AS segment, part.tokens AS tokens, ({_SHARE})::HUGEINT AS share FROM opened),
        grouped AS MATERIALIZED (
            SELECT {WAY}, epoch, slice, segment, count(*) FILTER (segment IS NOT NULL OR tokens > 0) AS calls, sum(tokens)::BIGINT AS tokens,
                count(*) FILTER (segment IS NULL AND said > input) AS scaled_calls, {sums} FROM shared GROUP BY ALL
        ),
        largest AS (
            SELECT slice, segment FROM grouped WHERE segment IS NOT NULL GROUP BY slice, segment
            QUALIFY row_number() OVER (PARTITION BY slice ORDER BY sum(tokens) DESC, segment) <= {5 * MOST_NAMES}
        )
        SELECT {WAY}, epoch, slice, CASE WHEN l.segment IS NOT NULL THEN g.segment END AS segment,
            g.segment IS NOT NULL AND l.segment IS NULL AS beyond,
            sum(calls)::BIGINT AS calls, sum(tokens)::BIGINT AS tokens, sum(scaled_calls)::BIGINT AS scaled_calls, {again}
        FROM grouped AS g LEFT JOIN largest AS l USING (slice, segment) GROUP BY ALL"""


def merged_query(relation: str) -> str:
    """The days of `segments_query` added up; the names that are not among the largest of all are `beyond` too."""
    sums = ", ".join(f"sum({name})::DECIMAL(38, 0) AS {name}" for name in SUMS)
    return f"""WITH added AS MATERIALIZED (SELECT {WAY}, epoch, segment, beyond, {sums} FROM {relation} GROUP BY ALL),
        largest AS (SELECT segment FROM added WHERE segment IS NOT NULL GROUP BY segment ORDER BY sum(tokens) DESC, segment LIMIT {MOST_NAMES})
        SELECT * REPLACE (beyond OR (segment IS NOT NULL AND segment NOT IN (FROM largest)) AS beyond) FROM added"""
