"""Calls that one witness of the same traffic has and another lost: LiteLLM's log posts drop events that its own database keeps, and the like.

Owns: which witnesses see the same traffic, and naming what each misses. Does not own: how witnesses merge (store/lake_witness.py).
Invariants: reads only; two witnesses are compared only where they share calls, from the first to the last hour that both saw; a call is named by its
source's own id. A failed call of several attempts is one call here, because a database keeps only its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from governor.actions.context import Context

NAMED: Final = 100  # ids listed per pair; the count says all
SHARED: Final = 0.5  # of the smaller witness's calls, below which two witnesses see different traffic
# witnesses that keep only the end of a failed call: what they lack of single attempts is not lost
ENDS_ONLY: Final = ("litellm.spend_logs",)
WITNESSES: Final = """SELECT family FROM (
    SELECT DISTINCT source_instance, source_kind, split_part(source_kind, '.', 1) AS family FROM lake.calls
    WHERE start_time >= $start AND start_time < $end) GROUP BY family HAVING count(*) > 1"""
LOST: Final = f"""
WITH seen AS (
    SELECT source_instance AS source, source_kind AS kind, split_part(source_kind, '.', 1) AS family, status, start_time, source_record_id,
        CASE WHEN status = 'ok' THEN dup_group_key ELSE coalesce(dup_alias_key, dup_group_key) END AS key
    FROM lake.calls WHERE start_time >= $start AND start_time < $end AND dup_group_key IS NOT NULL),
keys AS (
    SELECT source, kind, family, key, min(start_time) AS began, bool_or(status = 'ok') AS ok, min(source_record_id) AS id FROM seen GROUP BY ALL),
sizes AS (SELECT source, kind, family, count(*) AS calls FROM keys GROUP BY ALL),
shared AS (
    SELECT a.source AS source, a.kind AS kind, b.source AS by_source, b.kind AS by_kind, count(*) AS both_saw,
        date_trunc('hour', min(a.began)) AS first, date_trunc('hour', max(a.began)) + INTERVAL 1 HOUR AS last
    FROM keys a JOIN keys b ON a.key = b.key AND a.family = b.family AND (a.source, a.kind) <> (b.source, b.kind) GROUP BY ALL),
pairs AS (
    SELECT shared.* FROM shared JOIN sizes x ON (x.source, x.kind) = (shared.source, shared.kind)
    JOIN sizes y ON (y.source, y.kind) = (shared.by_source, shared.by_kind) WHERE both_saw >= {SHARED} * least(x.calls, y.calls)),
missing AS (
    SELECT p.source, p.kind, p.by_source, p.by_kind, p.both_saw, k.key, k.began, k.id, k.ok
    FROM pairs p JOIN keys k ON (k.source, k.kind) = (p.by_source, p.by_kind) AND k.began >= p.first AND k.began < p.last
    WHERE (k.ok OR p.kind NOT IN (SELECT unnest($ends_only)))
        AND NOT EXISTS (SELECT 1 FROM keys o WHERE (o.source, o.kind) = (p.source, p.kind) AND o.key = k.key))
SELECT source, kind, by_source, by_kind, any_value(both_saw) AS both_saw, count(*) AS lost, count(*) FILTER (ok) AS lost_ok,
    list(struct_pack(id := id, began := began) ORDER BY began, id)[:{NAMED}] AS named
FROM missing GROUP BY ALL ORDER BY ALL"""  # noqa: S608 - numbers of our own


@dataclass(frozen=True)
class Loss:
    """`kind` of `source` misses `lost` calls (of them `ok` served) that `by_kind` of `by_source` has; they share `both` calls."""

    source: str
    kind: str
    by_source: str
    by_kind: str
    both: int
    lost: int
    ok: int
    named: tuple[dict[str, Any], ...]

    def document(self) -> dict[str, Any]:
        return {
            "witness": self.kind,
            "seen_by": {"source": self.by_source, "witness": self.by_kind},
            "both": self.both,
            "lost": self.lost,
            "lost_ok": self.ok,
            "calls": [{"id": one["id"], "start_time": one["began"].isoformat().replace("+00:00", "Z")} for one in self.named],
        }


def lost_calls(ctx: Context, start: datetime, end: datetime) -> list[Loss]:
    """Of [start, end), by witness. Where one witness alone saw a gateway's traffic, nothing is joined: that is most homes, and a join of a month is dear."""
    span = {"start": start, "end": end}
    if not ctx.lake.query(WITNESSES, span)["family"].to_pylist():
        return []
    rows = ctx.lake.query(LOST, span | {"ends_only": list(ENDS_ONLY)}).to_pylist()
    return [
        Loss(
            row["source"], row["kind"], row["by_source"], row["by_kind"], row["both_saw"], row["lost"], row["lost_ok"], tuple(row["named"])
        )
        for row in rows
    ]
