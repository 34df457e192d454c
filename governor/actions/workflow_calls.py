"""The production calls of one workflow, found by the same rules that attribute its cost.

Owns: distinct attribution keys -> which of them are this workflow's -> its calls, and where their content lies. Does not own: the rules, the lake.
Invariants: cost-bearing calls only, each once; content may come from any witness of the same call; ordered by start time and record id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from governor.actions.context import Context
from governor.actions.govern import attribute_rows
from governor.actions.load_catalog import Timeline, load_timeline
from governor.attribution import rule_fields
from governor.store.lake_facts import epoch_of, key_expression
from governor.store.lake_units import UNIT_SUMS, with_units

COLUMNS: Final = {
    "record_id": "c.record_id",
    "cluster": "coalesce(c.trace_id, c.session_id, c.call_group_id, c.record_id)",
    "start_time": "c.start_time",
    "status": "coalesce(c.status, 'ok')",
    "http_status": "c.http_status",
    "traffic_class": "coalesce(c.traffic_class, 'production')",
    "gateway_cache": "c.gateway_cache",
    "operation": "c.operation",
    "provider": "c.provider",
    "model": "coalesce(c.response_model, c.routed_model, c.requested_model)",
    "requested_model": "c.requested_model",
    "routed_model": "c.routed_model",
    "response_model": "c.response_model",
    "region": "coalesce(c.inference_region, c.region)",
    "service_tier": "c.service_tier",
    "input_tokens": "c.input_tokens",
    "cache_read_tokens": "c.cache_read_tokens",
    "cache_write_tokens": "c.cache_write_tokens",
    "cache_write_1h_tokens": "c.cache_write_1h_tokens",
    "output_tokens": "c.output_tokens",
    "reasoning_tokens": "c.reasoning_tokens",
    "audio_input_tokens": "c.audio_input_tokens",
    "audio_output_tokens": "c.audio_output_tokens",
    "image_input_tokens": "c.image_input_tokens",
    "image_output_tokens": "c.image_output_tokens",
    "units": "c.units",
    **{name: f"c.unit_sums[{place}]" for place, name in enumerate(UNIT_SUMS, start=1)},
    "cost_source": "c.cost_source",
    "cost_currency": "c.cost_currency",
    "cost_amount": "c.cost_amount",
    "duration_ms": "c.duration_ms",
    "data_class": "c.data_class",
    "with_tools": "(c.tools_sha256 IS NOT NULL OR list_has_any(coalesce(c.finish_reasons, []), ['tool_calls', 'tool_use']))",
    "replayable": "coalesce(w.replayable, c.replayable)",
    "replay_blockers": "array_to_string(coalesce(w.replay_blockers, c.replay_blockers), ',')",
    "content_state": "coalesce(w.content_state, c.content_state)",
    "input_sha256": "coalesce(w.input_sha256, c.input_sha256)",
    "output_sha256": "coalesce(w.output_sha256, c.output_sha256)",
}
# The witness of a call whose content is the fullest.
WITNESS: Final = """SELECT dup_group_key, arg_max(struct_pack(content_state, input_sha256, output_sha256, replayable, replay_blockers), fullness) AS w FROM (
    SELECT *, (CASE content_state WHEN 'full' THEN 3 WHEN 'redacted' THEN 2 ELSE 1 END * 2 + (output_sha256 IS NOT NULL)::INTEGER) AS fullness
    FROM {calls} AS one WHERE dup_group_key IS NOT NULL AND input_sha256 IS NOT NULL AND coalesce(content_state, 'absent') IN ('full', 'redacted') {within}
) GROUP BY dup_group_key"""


@dataclass(frozen=True)
class WorkflowCalls:
    """calls: the columns above; [since, until) is the window they are from."""

    calls: pa.Table
    since: datetime
    until: datetime
    snapshot: int


def workflow_calls(ctx: Context, workflow_id: str, since: datetime, until: datetime, *, snapshot: int | None = None) -> pa.Table:
    """Calls of the workflow that started in [since, until)."""
    snapshot = ctx.lake.snapshot_id() if snapshot is None else snapshot
    timeline = load_timeline(ctx, since, until)
    keys, names = keys_of(ctx, timeline, workflow_id, since, until, snapshot)
    return _select(ctx, timeline, keys, names, since, until, snapshot)


def newest_calls(ctx: Context, workflow_id: str, *, days: int, before: datetime | None = None) -> WorkflowCalls | None:
    """Calls of the last `days` that the workflow has traffic for; None when it never had any."""
    snapshot = ctx.lake.snapshot_id()
    bounds = ctx.lake.ends(snapshot=snapshot)
    if bounds is None:
        return None
    first, end = bounds[0], min(bounds[1] + timedelta(microseconds=1), before or ctx.now())
    if end <= first:
        return None
    timeline = load_timeline(ctx, first, end)
    looked, step = end, timedelta(days=days)
    while looked > first:  # back from the newest, twice as far each time: most workflows had calls just now
        low = max(first, looked - step)
        keys, _ = keys_of(ctx, timeline, workflow_id, low, looked, snapshot)
        if keys:
            until = max(key["last"] for key in keys) + timedelta(microseconds=1)
            since = until - timedelta(days=days)
            return WorkflowCalls(workflow_calls(ctx, workflow_id, since, until, snapshot=snapshot), since, until, snapshot)
        looked, step = low, step * 2
    return None


def keys_of(
    ctx: Context, timeline: Timeline, workflow_id: str, since: datetime, until: datetime, snapshot: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """(distinct keys that lead to the workflow with the last call of each, names of the key fields)."""
    boundaries = [instant for instant in timeline.boundaries if since < instant < until]
    names = sorted({name for epoch in timeline.epochs for name in rule_fields(epoch.rules)})
    chosen = "".join(f', {key_expression(name)} AS "key_{number}"' for number, name in enumerate(names))
    sql = f"""SELECT {epoch_of(boundaries)} AS epoch, max(start_time) AS last{chosen} FROM {{calls}} AS c
        WHERE cost_bearing AND start_time >= $since AND start_time < $until GROUP BY ALL ORDER BY ALL"""  # noqa: S608 - names come from the schema and are quoted
    rows = ctx.lake.query(sql, {"since": since, "until": until}, snapshot=snapshot).to_pylist()
    asked = [
        {"epoch": row["epoch"], "last": row["last"], **{name: row[f"key_{number}"] for number, name in enumerate(names)}} for row in rows
    ]
    found = attribute_rows(timeline, asked, names, [since, *boundaries])
    return [row for row, one in zip(asked, found, strict=True) if one.workflow_id == workflow_id], names


def _select(
    ctx: Context, timeline: Timeline, keys: Sequence[dict[str, Any]], names: Sequence[str], since: datetime, until: datetime, snapshot: int
) -> pa.Table:
    boundaries = [instant for instant in timeline.boundaries if since < instant < until]
    wanted = pa.table(
        {
            "epoch": pa.array([key["epoch"] for key in keys], pa.int32()),
            **{f"key_{number}": pa.array([key[name] for key in keys], pa.string()) for number, name in enumerate(names)},
        }
    )
    match = "".join(f' AND wanted."key_{number}" IS NOT DISTINCT FROM {key_expression(name)}' for number, name in enumerate(names))
    sql = f"""SELECT {_columns()} FROM {with_units("{calls}", "c")}
        LEFT JOIN ({_witness("AND start_time >= $since - INTERVAL 1 DAY AND start_time < $until + INTERVAL 1 DAY")}) AS x
            ON x.dup_group_key = c.dup_group_key
        WHERE cost_bearing AND start_time >= $since AND start_time < $until
          AND EXISTS (SELECT 1 FROM wanted WHERE wanted.epoch = {epoch_of(boundaries)}{match})
        ORDER BY start_time, record_id"""  # noqa: S608 - names come from the schema and are quoted
    return ctx.lake.query(sql, {"since": since, "until": until}, snapshot=snapshot, wanted=wanted)


def calls_by_id(ctx: Context, record_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The same columns for known calls, by record id."""
    ids = pa.table({"record_id": pa.array(sorted(set(record_ids)), pa.string())})
    near = "AND dup_group_key IN (SELECT dup_group_key FROM {calls} AS k JOIN ids USING (record_id))"
    sql = f"""SELECT {_columns()} FROM {with_units("{calls}", "c")} JOIN ids ON ids.record_id = c.record_id
        LEFT JOIN ({_witness(near)}) AS x ON x.dup_group_key = c.dup_group_key"""  # noqa: S608 - names come from the schema
    return {row["record_id"]: row for row in ctx.lake.query(sql, {}, ids=ids).to_pylist()}


def _columns() -> str:
    return ", ".join(f"{expression.replace('w.', 'x.w.')} AS {name}" for name, expression in COLUMNS.items())


def _witness(within: str) -> str:
    return WITNESS.replace("{within}", within)
