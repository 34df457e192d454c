"""Calls that one witness of the same traffic has and another lost: LiteLLM's log posts drop events that its own database keeps, and the like.

Owns: which witnesses see the same traffic, and naming what each misses. Does not own: how witnesses merge (store/lake_witness.py).
Invariants: reads only; two witnesses are compared only where they share calls, from the first to the last hour that both saw; a call is named by its
source's own id. A failed call of several attempts is one call here, because a database keeps only its end.

Counted by UTC day, so that past days are counted once (Lake.by_day). Records of one call meet within their day, and across midnight where
each lies within EDGE of it: those near midnight are kept one by one and compared at the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

import pyarrow as pa

from governor.actions.context import Context
from governor.actions.remembered import remembered
from governor.store.lake_attach import literal
from governor.store.lake_slices import ADDS, DAY_OF, SLICE_OF

NAMED: Final = 100  # ids listed per pair; the count says all
SHARED: Final = 0.5  # of the smaller witness's calls, below which two witnesses see different traffic
HOUR: Final = timedelta(hours=1)
EDGE: Final = timedelta(minutes=15)
# witnesses that keep only the end of a failed call: what they lack of single attempts is not lost
ENDS_ONLY: Final = ("litellm.spend_logs",)
FAMILY: Final = "split_part(source_kind, '.', 1)"
WITNESSES: Final = f"""SELECT DISTINCT coalesce(source_instance, '') AS source, source_kind AS kind, {FAMILY} AS family, {SLICE_OF}
    FROM {{calls}} WHERE start_time >= $start AND start_time < $end"""  # noqa: S608 - expressions of our own
# a witness is its number, a call the hash of its family and key: strings are compared once
SEEN: Final = f"""seen AS (
    SELECT w, {SLICE_OF}, start_time, coalesce(status = 'ok', false) AS ok, source_record_id AS id, {FAMILY} || ' ' ||
        CASE WHEN status = 'ok' THEN dup_group_key ELSE coalesce(dup_alias_key, dup_group_key) END AS key, hash(key) AS h,
        start_time < {DAY_OF} + $edge OR start_time >= {DAY_OF} + INTERVAL 1 DAY - $edge AS edge
    FROM (FROM {{calls}}) AS c JOIN (VALUES {{witnesses}}) AS known(w, source, kind) ON kind = source_kind AND source = coalesce(source_instance, '')
    WHERE start_time >= $start AND start_time < $end AND dup_group_key IS NOT NULL),
touched AS (SELECT DISTINCT slice, h FROM seen WHERE edge)""".replace(  # noqa: S608 - expressions of our own
    "$edge", f"INTERVAL {EDGE // timedelta(minutes=1)} MINUTE"
)
WITHIN: Final = f"""{SEEN}, keys AS (
    SELECT slice, w, h, min(start_time) AS began, bool_or(ok) AS ok{{id}} FROM seen ANTI JOIN touched USING (slice, h) {{only}} GROUP BY slice, w, h)"""  # noqa: S608 - expressions of our own
# its hash is kept, so it has to be the same in every version of DuckDB
NEAR_MIDNIGHT: Final = f"""WITH {SEEN}
SELECT slice, w, md5_number_lower(key) AS h, min(start_time) AS began, bool_or(ok) AS ok, min(id) AS id FROM seen SEMI JOIN touched USING (slice, h)
GROUP BY slice, w, key"""  # noqa: S608 - expressions of our own
AT_MIDNIGHT: Final = """keys AS (
    SELECT TIMESTAMPTZ 'epoch' AS slice, w, h, min(began) AS began, bool_or(ok) AS ok, min(id) AS id FROM edges GROUP BY w, h)"""
MET: Final = """
SELECT slice, w, NULL::INTEGER AS by_w, count(*) AS calls, NULL::TIMESTAMPTZ AS first, NULL::TIMESTAMPTZ AS last FROM keys GROUP BY slice, w
UNION ALL SELECT a.slice, a.w, b.w, count(*), min(a.began), max(a.began)
FROM keys a JOIN keys b ON a.slice = b.slice AND a.h = b.h AND a.w <> b.w GROUP BY a.slice, a.w, b.w"""
MISSING: Final = f"""
SELECT k.slice, p.w, p.by_w, make_timestamptz(epoch_us(k.began) // 3600000000 * 3600000000) AS hour, count(*) AS lost, count(*) FILTER (k.ok) AS lost_ok,
    min(struct_pack(began := k.began, id := k.id), {NAMED}) AS named
FROM (VALUES {{pairs}}) AS p(w, by_w, ends_only) JOIN keys k ON k.w = p.by_w AND (k.ok OR NOT p.ends_only)
WHERE NOT EXISTS (SELECT 1 FROM keys o WHERE o.slice = k.slice AND o.h = k.h AND o.w = p.w) GROUP BY ALL"""  # noqa: S608 - numbers of our own


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


@dataclass(frozen=True)
class Pair:
    """Two witnesses, by number, that share `both` calls in [first, last), whole hours."""

    w: int
    by: int
    both: int
    first: datetime
    last: datetime


def lost_calls(ctx: Context, start: datetime, end: datetime) -> list[Loss]:
    """Of [start, end), by witness. Where one witness alone saw a gateway's traffic, nothing is joined: that is most homes, and a join of a month is dear."""
    return cast("list[Loss]", remembered(ctx, f"lost/{start.isoformat()}/{end.isoformat()}", lambda: compared(ctx, start, end)))


def compared(ctx: Context, start: datetime, end: datetime) -> list[Loss]:
    known = witnesses(ctx, start, end)
    if not known:
        return []
    numbered = ", ".join(f"({number}, {quoted(source)}, {quoted(kind)})" for number, (source, kind) in enumerate(known))

    def within(counted: str, *, ids: bool, only: str = "") -> pa.Table:
        keys = WITHIN.replace("{witnesses}", numbered).replace("{id}", ", min(id) AS id" if ids else "").replace("{only}", only)
        return ctx.lake.by_day(f"WITH {keys} {counted}", start, end)

    edges = ctx.lake.by_day(NEAR_MIDNIGHT.replace("{witnesses}", numbered), start, end)
    at_midnight = f"WITH {AT_MIDNIGHT} "
    found = pairs([*within(MET, ids=False).to_pylist(), *ctx.lake.query(at_midnight + MET, edges=edges).to_pylist()])
    if not found:
        return []
    listed = ", ".join(f"({one.w}, {one.by}, {known[one.w][1] in ENDS_ONLY})" for one in found)
    missing = MISSING.replace("{pairs}", listed)
    concerned = sorted({number for one in found for number in (one.w, one.by)})
    days = within(missing, ids=True, only=f"WHERE w IN ({', '.join(map(str, concerned))})")
    night = ctx.lake.query(at_midnight + missing, edges=edges)
    losses = [loss_of(known, one, [days, night]) for one in found]
    return sorted((one for one in losses if one.lost), key=lambda one: (one.source, one.kind, one.by_source, one.by_kind))


def witnesses(ctx: Context, start: datetime, end: datetime) -> list[tuple[str, str]]:
    """(source, kind) of families that have several, in order."""
    families: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in ctx.lake.by_day(WITNESSES, start, end, grows=ADDS).to_pylist():
        families[row["family"]].add((row["source"], row["kind"]))
    return sorted(one for several in families.values() if len(several) > 1 for one in several)


def pairs(met: Sequence[dict[str, Any]]) -> list[Pair]:
    """Those that share enough, from what each day and each midnight counted."""
    sizes: dict[int, int] = defaultdict(int)
    shared: dict[tuple[int, int], Pair] = {}
    for row in met:
        if row["by_w"] is None:
            sizes[row["w"]] += row["calls"]
            continue
        one = Pair(row["w"], row["by_w"], row["calls"], hour_of(row["first"]), hour_of(row["last"]) + HOUR)
        other = shared.get((one.w, one.by))
        if other is not None:
            one = replace(one, both=one.both + other.both, first=min(one.first, other.first), last=max(one.last, other.last))
        shared[one.w, one.by] = one
    return [one for one in shared.values() if one.both >= SHARED * min(sizes[one.w], sizes[one.by])]


def loss_of(known: Sequence[tuple[str, str]], pair: Pair, tables: Sequence[pa.Table]) -> Loss:
    """Summed over the hours that both saw. Names are read only until there are enough: an hour's list is long."""
    hours = []
    for table in tables:
        plain = table.drop_columns(["named"]).to_pylist()
        hours += [
            (row["hour"], row["lost"], row["lost_ok"], table["named"][place])
            for place, row in enumerate(plain)
            if (row["w"], row["by_w"]) == (pair.w, pair.by) and pair.first <= row["hour"] < pair.last
        ]
    hours.sort(key=lambda one: one[0])
    named: list[dict[str, Any]] = []
    reached: datetime | None = None
    for hour, _, _, names in hours:
        if len(named) >= NAMED and hour != reached:
            break
        named += names.as_py()
        reached = hour
    named.sort(key=lambda one: (one["began"], one["id"] is None, one["id"] or ""))
    lost, ok = sum(one[1] for one in hours), sum(one[2] for one in hours)
    return Loss(*known[pair.w], *known[pair.by], pair.both, lost, ok, tuple(named[:NAMED]))


def quoted(name: str) -> str:
    """A literal that no placeholder of a query can be found in."""
    return literal(name).replace("{", "' || chr(123) || '")


def hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
