"""The month in sums: one row per distinct way of using a model, so that everything after it grows with ways and not with traffic.

Owns: the grouping columns, the token classes derived where a source left them out, epochs and context bands.
Does not own: what the sums cost or who owns them (nouns). Invariants: only cost-bearing calls; sums of unknown are null; calls that know their input or their output are
never summed with calls that do not; exact integers and decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from governor.attribution import SAID_OF_OWNERS, SEPARATOR, SESSION, SUGGESTION_FIELDS, TAG, TELLING
from governor.calls import CALL_SCHEMA
from governor.errors import Invalid
from governor.store.lake_attach import literal
from governor.store.lake_segments import SAID, SPOKEN, WAY, way_of
from governor.store.lake_slices import DAY_OF, SLICE_OF, Span
from governor.store.lake_units import UNIT_SUMS, with_units

DIMENSIONS: Final = {
    "provider": "provider",
    "model": "coalesce(response_model, routed_model, requested_model)",
    "response_model": "response_model",
    "routed_model": "routed_model",
    "requested_model": "requested_model",
    "region": "coalesce(inference_region, region)",
    "service_tier": "service_tier",
    "environment": "environment",
    "data_class": "data_class",
    "is_fallback": "is_fallback",
    "fallback_from_model": "fallback_from_model",
    "traffic_class": "coalesce(traffic_class, 'production')",
    "status": "coalesce(status, 'ok')",
    "gateway_cache": "gateway_cache",
    "cost_currency": "cost_currency",
    "cost_source": "cost_source",
    "source_kind": "source_kind",
}
_UNKNOWN: Final = "(input_tokens IS NULL OR output_tokens IS NULL) AND coalesce(status, 'ok') = 'ok'"
MEASURES: Final = {
    "calls": "count(*)",
    "input_tokens": "sum(input_tokens)",
    "input_uncached_tokens": "sum(coalesce(input_uncached_tokens, input_tokens - coalesce(cache_read_tokens, 0) - coalesce(cache_write_tokens, 0)))",
    "cache_read_tokens": "sum(cache_read_tokens)",
    "cache_write_tokens": "sum(cache_write_tokens)",
    "cache_write_5m_tokens": "sum(cache_write_5m_tokens)",
    "cache_write_1h_tokens": "sum(cache_write_1h_tokens)",
    "output_tokens": "sum(output_tokens)",
    "reasoning_tokens": "sum(reasoning_tokens)",
    "audio_input_tokens": "sum(audio_input_tokens)",
    "audio_output_tokens": "sum(audio_output_tokens)",
    "image_input_tokens": "sum(image_input_tokens)",
    "image_output_tokens": "sum(image_output_tokens)",
    "cost_amount": "sum(cost_amount)",
    "upstream_cost_amount": "sum(upstream_cost_amount)",
    "gateway_fee_amount": "sum(gateway_fee_amount)",
    "cost_unknown_calls": "count(*) FILTER (cost_amount IS NULL)",
    **{name: f"sum(unit_sums[{place}])" for place, name in enumerate(UNIT_SUMS, start=1)},
    "usage_unknown_calls": f"count(*) FILTER ({_UNKNOWN})",
    "first_start_time": "min(start_time)",
    "last_start_time": "max(start_time)",
    "max_duration_ms": "max(duration_ms)",
}
_TOKENS: Final = {name for name in MEASURES if name.endswith("_tokens")}


def facts_query(keys: Sequence[str], boundaries: Sequence[datetime], bands: Sequence[int], *, day: str, source: str) -> str:
    """The roll-up. `day`: the zone whose calendar days cut it too; empty for none.

    Columns: DIMENSIONS, `epoch`, `context_band`, `output_known`, `units`, `day` (null unless asked for), each of `keys` by its own name, MEASURES, `examples`.

    `epoch` counts the boundaries at or before start_time; `context_band` counts the bands at or below input_tokens (null when unknown).
    Binds $start and $end.
    """
    columns, sums = _grouped(keys, boundaries, bands, day)
    places = ", ".join(str(place) for place in range(1, len(columns) + 1))
    chosen = ", ".join(f'{expression} AS "{_safe(name)}"' for name, expression in columns.items())
    return f"""SELECT {chosen}, {sums}, list_distinct([min(record_id), max(record_id), arg_max(record_id, (duration_ms, record_id))]) AS examples
        FROM {with_units(source)} WHERE cost_bearing AND start_time >= $start AND start_time < $end
        GROUP BY {places} ORDER BY {places}"""


def days_query(keys: Sequence[str], boundaries: Sequence[datetime], bands: Sequence[int], *, day: str, source: str) -> str:
    """The roll-up of each UTC day by itself (column `slice`), in parts that `merge_query` puts together again. A day counts its own epochs."""
    columns, sums = _grouped(keys, boundaries, bands, day)
    epoch = columns["epoch"]
    columns["epoch"] = f"{epoch} - {epoch.replace('start_time', DAY_OF)}"
    chosen = ", ".join(f'{expression} AS "{_safe(name)}"' for name, expression in columns.items())
    return f"""SELECT {chosen}, {sums}, min(record_id) AS first_id, max(record_id) AS last_id,
            max(struct_pack(ms := duration_ms, id := record_id)) AS slowest, {SLICE_OF}
        FROM {with_units(source)} WHERE cost_bearing AND start_time >= $start AND start_time < $end GROUP BY ALL"""


def merge_query(keys: Sequence[str], relation: str) -> str:
    """The roll-up again, from `relation` of days: sums of sums, bounds of bounds."""
    columns, _ = _grouped(keys, (), (), "")
    places = ", ".join(str(place) for place in range(1, len(columns) + 1))
    chosen = ", ".join(f'"{_safe(name)}"' for name in columns)
    again = {"min": "min", "max": "max"}
    sums = ", ".join(
        f"{again.get(expression[:3], 'sum')}({name}){'::BIGINT' if name in _TOKENS or 'count(' in expression else ''} AS {name}"
        for name, expression in MEASURES.items()
    )
    return f"""SELECT {chosen}, {sums}, list_distinct([min(first_id), max(last_id), max(slowest).id]) AS examples
        FROM {relation} GROUP BY {places} ORDER BY {places}"""


def grouping(keys: Sequence[str], boundaries: Sequence[datetime], bands: Sequence[int], day: str) -> dict[str, str]:
    """The columns that rows are grouped by: name -> SQL."""
    columns = {
        **DIMENSIONS,
        "epoch": epoch_of(boundaries),
        "context_band": _band_of(bands),
        "output_known": "output_tokens IS NOT NULL",
        "units": "units",
        "day": f"strftime(timezone({literal(day)}, start_time), '%Y-%m-%d')" if day else "NULL::VARCHAR",
    }
    columns |= {name: key_expression(name) for name in keys if name not in columns and name not in (WAY, TELLING)}
    if TELLING in keys:
        columns[TELLING] = _telling([key_expression(name) for name in keys if name not in (TELLING, *SAID_OF_OWNERS)])
    return columns | ({WAY: way_of(columns)} if WAY in keys else {})


def _telling(asked: Sequence[str]) -> str:
    """SQL of TELLING: only calls with none of the fields that are asked already are told apart, so that a group per caller costs nothing where rules know them."""
    silent = " AND ".join(f"coalesce({expression}, '') = ''" for expression in asked) or "true"
    values = {name: "tags[1]" if name == TAG else key_expression(name) for name in SUGGESTION_FIELDS}
    values["principal"] = f"regexp_replace(principal, {literal(SESSION)}, '\\1*')"
    told = ", ".join(f"{literal(name + SEPARATOR)} || nullif({value}, '')" for name, value in values.items())
    return f"CASE WHEN {silent} THEN coalesce({told}) END"


def _grouped(keys: Sequence[str], boundaries: Sequence[datetime], bands: Sequence[int], day: str) -> tuple[dict[str, str], str]:
    """(grouping columns, SQL of the sums)."""
    columns = grouping(keys, boundaries, bands, day)
    # sums of 64-bit integers are 128 bits wide; a month's tokens fit 64 and Arrow readers want those
    return columns, ", ".join(f"{expression}{'::BIGINT' if name in _TOKENS else ''} AS {name}" for name, expression in MEASURES.items())


def by_day(
    connection: duckdb.DuckDBPyConnection,
    found: Sequence[tuple[Span, pa.Table]],
    keys: Sequence[str],
    boundaries: Sequence[datetime],
) -> pa.Table:
    """The month from its days: epochs go on from the boundaries at or before the day's beginning."""
    parts = []
    for span, table in found:
        before = sum(mark <= span.day for mark in boundaries)
        place = table.schema.get_field_index("epoch")
        parts.append(table.set_column(place, "epoch", pc.cast(pc.add(table["epoch"], before), pa.int32())))
    connection.register("days", pa.concat_tables(parts))
    return connection.execute(merge_query(keys, "days")).to_arrow_table()


def key_expression(name: str) -> str:
    """SQL of an attribution key: a column of the call, `metadata.<name>`, `tag` (all tags joined), `source`, or `prompt_segments`
    (whether it says what its prompt is made of). Raises Invalid for anything else.
    """
    if name.startswith("metadata."):
        return f"metadata[{literal(name.removeprefix('metadata.'))}]"
    if name == SPOKEN:
        return SAID
    column = {TAG: "tags", "source": "source_instance"}.get(name, name)
    if column not in CALL_SCHEMA.names:
        raise Invalid(f"no call has a field {name!r}", hint="use a column of docs/calls.md, metadata.<name>, tag or source")
    if pa.types.is_list(CALL_SCHEMA.field(column).type):
        return f"array_to_string({column}, {literal(SEPARATOR)})"
    return column if CALL_SCHEMA.field(column).type == pa.string() else f"{column}::VARCHAR"


def epoch_of(boundaries: Sequence[datetime]) -> str:
    """How many boundaries are at or before start_time, by halving."""
    marks = sorted(boundaries)

    def between(low: int, high: int) -> str:
        if low == high:
            return str(low)
        middle = (low + high) // 2
        return f"CASE WHEN start_time < TIMESTAMPTZ {literal(marks[middle].isoformat())} THEN {between(low, middle)} ELSE {between(middle + 1, high)} END"

    return f"({between(0, len(marks))})::INTEGER"


def _band_of(bands: Sequence[int]) -> str:
    if not bands:
        return "CASE WHEN input_tokens IS NOT NULL THEN 0 END"
    return "(" + " + ".join(f"(input_tokens >= {int(band)})::INTEGER" for band in sorted(bands)) + ")"


def _safe(name: str) -> str:
    return name.replace('"', '""')
