"""Calls that one witness of the same traffic has and another lost: LiteLLM's log posts drop events that its own database keeps, and the like.

Owns: which witnesses see the same traffic, and naming what each misses. Does not own: how witnesses merge (store/lake_witness.py).
Invariants: reads only; two witnesses are compared only where they share calls, from the first to the last hour that both saw; a call is named by its
source's own id. A failed call of several attempts is one call here, because a database keeps only its end.

Counted by UTC day, so that past days are counted once (Lake.by_day), and of a day to which calls came only the calls they belong to (Meets). Records of one
call meet within their day, and across midnight where each lies within EDGE of it: those near midnight are kept one by one and compared at the end.
Of each day is kept how many calls were seen alike, that is, by which witnesses, in which hour by each: everything but names follows from that. Names
are looked up only where they are to be read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, Final, cast

import pyarrow as pa

from governor.actions.context import Context
from governor.actions.remembered import remembered
from governor.store.lake_attach import literal
from governor.store.lake_slices import ADDS, DAY, DAY_OF, SLICE_OF, Meets

Name = tuple[datetime, str | None]  # when a call began, its source's id
Place = tuple[int, int, datetime]  # the witness that lacks calls, the one that has them, the hour
NAMED: Final = 100  # ids listed per pair; the count says all
SHARED: Final = 0.5  # of the smaller witness's calls, below which two witnesses see different traffic
HOUR: Final = timedelta(hours=1)
EDGE: Final = timedelta(minutes=15)
# witnesses that keep only the end of a failed call: what they lack of single attempts is not lost
ENDS_ONLY: Final = ("litellm.spend_logs",)
FAMILY: Final = "split_part(source_kind, '.', 1)"
WITNESSES: Final = f"""SELECT DISTINCT coalesce(source_instance, '') AS source, source_kind AS kind, {FAMILY} AS family, {SLICE_OF}
    FROM {{calls}} WHERE start_time >= $start AND start_time < $end"""  # noqa: S608 - expressions of our own
KEY: Final = "CASE WHEN status = 'ok' THEN dup_group_key ELSE coalesce(dup_alias_key, dup_group_key) END"
LOOKED_AT: Final = ("start_time", "status", "source_record_id", "source_instance", "source_kind", "dup_group_key", "dup_alias_key")
# a witness is its number, a call the hash of its family and key: strings are compared once
SEEN: Final = f"""seen AS (
    SELECT w, {SLICE_OF}, start_time, coalesce(status = 'ok', false) AS ok, source_record_id AS id, {FAMILY} || ' ' ||
        {KEY} AS key, hash(key) AS h,
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
SELECT slice, w, md5_number_lower(key) AS h, min(start_time) AS began, bool_or(ok) AS ok, min(id) AS id, {{sign}} AS sign
FROM seen SEMI JOIN touched USING (slice, h) GROUP BY slice, w, key"""  # noqa: S608 - expressions of our own
AT_MIDNIGHT: Final = """keys AS (
    SELECT TIMESTAMPTZ 'epoch' AS slice, w, h, min(began) AS began, bool_or(ok) AS ok, min(id) AS id
    FROM (SELECT w, h, began, ok, id FROM edges GROUP BY ALL HAVING sum(sign) > 0) GROUP BY w, h)"""
# how a call was seen: (witness << 32) + 2 * (hours since 1970) + (served), of each witness that did
ALIKE: Final = """SELECT slice, codes, count(*) AS calls, {sign} AS sign FROM (
    SELECT slice, list_sort(list((w::BIGINT << 32) + 2 * (epoch_us(began) // 3600000000) + ok::BIGINT)) AS codes FROM keys GROUP BY slice, h)
GROUP BY slice, codes"""
ADDED: Final = """seen AS (SELECT codes, sum(sign * calls)::BIGINT AS calls FROM alike GROUP BY codes HAVING sum(sign * calls) > 0),
keys AS (SELECT codes, calls, (code >> 32)::INTEGER AS w, make_timestamptz((code & 4294967295) // 2 * 3600000000) AS hour, code % 2 = 1 AS ok
    FROM (SELECT codes, calls, unnest(codes) AS code FROM seen))"""
MET: Final = f"""WITH {ADDED}
SELECT w, NULL::INTEGER AS by_w, sum(calls)::BIGINT AS calls, NULL::TIMESTAMPTZ AS first, NULL::TIMESTAMPTZ AS last FROM keys GROUP BY w
UNION ALL SELECT a.w, b.w, sum(a.calls)::BIGINT, min(a.hour), max(a.hour)
FROM keys a JOIN keys b ON a.codes = b.codes AND a.w <> b.w GROUP BY a.w, b.w"""  # noqa: S608 - expressions of our own
MISSED: Final = f"""WITH {ADDED}
SELECT p.w, p.by_w, k.hour, sum(k.calls)::BIGINT AS lost, coalesce(sum(k.calls) FILTER (k.ok), 0)::BIGINT AS lost_ok
FROM (VALUES {{pairs}}) AS p(w, by_w, ends_only) JOIN keys k ON k.w = p.by_w AND (k.ok OR NOT p.ends_only)
WHERE NOT EXISTS (SELECT 1 FROM keys o WHERE o.codes = k.codes AND o.w = p.w) GROUP BY ALL"""  # noqa: S608 - numbers of our own
NAMES: Final = f"""
SELECT k.slice, p.w, p.by_w, make_timestamptz(epoch_us(k.began) // 3600000000 * 3600000000) AS hour, count(*) AS lost,
    min(struct_pack(began := k.began, id := k.id), {NAMED}) AS named, {{sign}} AS sign
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

    def within(counted: str, *, ids: str = "", only: str = "") -> str:
        return f"WITH {WITHIN.replace('{id}', ids).replace('{only}', only).replace('{witnesses}', numbered)} {counted}"

    came = Meets(KEY, LOOKED_AT)
    edges = ctx.lake.by_day(NEAR_MIDNIGHT.replace("{witnesses}", numbered), start, end, grows=came)
    at_midnight = f"WITH {AT_MIDNIGHT} "
    days = [
        ctx.lake.by_day(within(ALIKE), start, end, grows=came),
        ctx.lake.query((at_midnight + ALIKE).replace("{sign}", "1"), edges=edges),
    ]
    alike = pa.concat_tables([table.select(["codes", "calls", "sign"]) for table in days], promote_options="permissive")
    found = pairs(ctx.lake.query(MET, alike=alike).to_pylist())
    if not found:
        return []
    listed = ", ".join(f"({one.w}, {one.by}, {known[one.w][1] in ENDS_ONLY})" for one in found)
    missed = ctx.lake.query(MISSED.replace("{pairs}", listed), alike=alike).to_pylist()
    hours = {one: sorted((row for row in missed if of_pair(row, one)), key=itemgetter("hour")) for one in found}
    # of names only the first are read: those of the days in which they are
    concerned = sorted({number for one in found for number in (one.w, one.by)})
    asked = within(NAMES.replace("{pairs}", listed), ids=", min(id) AS id", only=f"WHERE w IN ({', '.join(map(str, concerned))})")
    named = names_of(ctx.lake.query((at_midnight + NAMES).replace("{pairs}", listed).replace("{sign}", "1"), edges=edges))
    for first, last in runs({hour.replace(hour=0) for rows in hours.values() for hour in first_hours(rows)}):
        names = ctx.lake.by_day(asked, max(first, start), min(last, end), grows=Meets(KEY, LOOKED_AT, sound=tells_names))
        for place, more in names_of(names).items():
            named[place] += more
    losses = [loss_of(known, one, hours[one], named) for one in found]
    return sorted((one for one in losses if one.lost), key=lambda one: (one.source, one.kind, one.by_source, one.by_kind))


def witnesses(ctx: Context, start: datetime, end: datetime) -> list[tuple[str, str]]:
    """(source, kind) of families that have several, in order."""
    families: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in ctx.lake.by_day(WITNESSES, start, end, grows=ADDS).to_pylist():
        families[row["family"]].add((row["source"], row["kind"]))
    return sorted(one for several in families.values() if len(several) > 1 for one in several)


def pairs(met: Sequence[dict[str, Any]]) -> list[Pair]:
    """Those that share enough."""
    sizes = {row["w"]: row["calls"] for row in met if row["by_w"] is None}
    shared = [
        Pair(row["w"], row["by_w"], row["calls"], row["first"].astimezone(UTC), row["last"].astimezone(UTC) + HOUR)
        for row in met
        if row["by_w"] is not None
    ]
    return [one for one in shared if one.both >= SHARED * min(sizes[one.w], sizes[one.by])]


def of_pair(row: Mapping[str, Any], pair: Pair) -> bool:
    """Whether it is about the pair, and of the hours that both saw."""
    return (row["w"], row["by_w"]) == (pair.w, pair.by) and pair.first <= row["hour"] < pair.last


def first_hours(rows: Iterable[Mapping[str, Any]]) -> list[datetime]:
    """Those in which the first NAMED of a pair were lost."""
    hours, lost = [], 0
    for row in rows:
        if lost >= NAMED:
            break
        hours.append(row["hour"])
        lost += row["lost"]
    return hours


def runs(days: Iterable[datetime]) -> list[tuple[datetime, datetime]]:
    found: list[tuple[datetime, datetime]] = []
    for day in sorted(days):
        first = found.pop()[0] if found and found[-1][1] == day else day
        found.append((first, day + DAY))
    return found


def loss_of(known: Sequence[tuple[str, str]], pair: Pair, rows: Sequence[Mapping[str, Any]], names: Mapping[Place, Sequence[Name]]) -> Loss:
    """Summed over the hours that both saw."""
    named = [name for hour in first_hours(rows) for name in names.get((pair.w, pair.by, hour), ())]
    first = tuple({"began": began, "id": id_} for began, id_ in sorted(named, key=in_order)[:NAMED])
    lost, ok = sum(row["lost"] for row in rows), sum(row["lost_ok"] for row in rows)
    return Loss(*known[pair.w], *known[pair.by], pair.both, lost, ok, first)


def names_of(table: pa.Table) -> defaultdict[Place, list[Name]]:
    """The first of each pair and hour. Of a day that grew there are its names, then those of calls whose keys came, then what these were before."""
    found: defaultdict[Place, list[Name]] = defaultdict(list)
    for place, (now, gone, _) in told_of(table).items():
        found[place] = sorted((now - gone).elements(), key=in_order)[:NAMED]
    return found


def tells_names(table: pa.Table) -> bool:
    """Not where a name goes from a list that was cut off: which one follows is not known."""
    return all(whole or not gone for _, gone, whole in told_of(table).values())


def told_of(table: pa.Table) -> dict[Place, tuple[Counter[Name], Counter[Name], bool]]:
    """(names, those of them that are gone, whether none was cut off before). A name beyond those that were kept cannot go."""
    rows: dict[Place, list[dict[str, Any]]] = defaultdict(list)
    for row in table.to_pylist():
        rows[row["w"], row["by_w"], row["hour"]].append(row)
    found = {}
    for place, several in rows.items():
        lists = [Counter[Name]((one["began"], one["id"]) for one in row["named"]) for row in several]
        gone = sum((names & lists[0] for names, row in zip(lists, several, strict=True) if row["sign"] < 0), Counter[Name]())
        now = sum((names for names, row in zip(lists, several, strict=True) if row["sign"] > 0), Counter[Name]())
        found[place] = (now, gone, several[0]["lost"] == len(several[0]["named"]))
    return found


def in_order(name: Name) -> tuple[datetime, bool, str]:
    return name[0], name[1] is None, name[1] or ""


def quoted(name: str) -> str:
    """A literal that no placeholder of a query can be found in."""
    return literal(name).replace("{", "' || chr(123) || '")
