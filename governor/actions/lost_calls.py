"""Calls that one witness of the same traffic has and another lost: LiteLLM's log posts drop events that its own database keeps, and the like.

Owns: which witnesses see the same traffic, and naming what each misses. Does not own: how witnesses merge (store/lake_witness.py).
Invariants: reads only; two witnesses are compared only where they share calls, from the first to the last hour that both saw; a call is named by its
source's own id. A failed call of several attempts is one call here, because a database keeps only its end.

Counted by UTC day, so that past days are counted once (Lake.by_day), and of a day to which calls came only the calls they belong to (Meets). Records of one
call meet within their day, and across midnight where one lies within EDGE of it on each side: these few calls are looked up, taken off, and counted as one.
Of each day is kept how many calls were seen alike, that is, by which witnesses, in which hour by each: everything but names follows from that. Names
are looked up only where they are to be read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, Final, TypedDict, cast

import pyarrow as pa

from governor.actions.context import Context
from governor.actions.remembered import remembered
from governor.calls import UTC_MICROS
from governor.store.lake_attach import literal
from governor.store.lake_meets import Meets
from governor.store.lake_slices import ADDS, DAY, NIGHT_OF, SLICE_OF

Name = tuple[datetime, str | None]  # when a call began, its source's id
Place = tuple[int, int, datetime]  # the witness that lacks calls, the one that has them, the hour
NAMED: Final = 100  # ids listed per pair; the count says all
SHARED: Final = 0.5  # of the smaller witness's calls, below which two witnesses see different traffic
MICROSECOND: Final = timedelta(microseconds=1)
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
    SELECT w, {SLICE_OF}, start_time, coalesce(status = 'ok', false) AS ok, source_record_id AS id, {FAMILY} || ' ' || {KEY} AS key, hash(key) AS h
    FROM (FROM {{calls}}) AS c JOIN (VALUES {{witnesses}}) AS known(w, source, kind) ON kind = source_kind AND source = coalesce(source_instance, '')
    WHERE start_time >= $start AND start_time < $end AND dup_group_key IS NOT NULL)"""  # noqa: S608 - expressions of our own
WITHIN: Final = f"""{SEEN}, keys AS (
    SELECT slice, w, h, min(start_time) AS began, bool_or(ok) AS ok{{id}} FROM seen {{only}} GROUP BY slice, w, h)"""  # noqa: S608 - expressions of our own
# calls with records on both sides of a midnight, by the night
CROSSING: Final = f"""SELECT key, midnight, midnight - INTERVAL 12 HOUR AS slice FROM (
        SELECT start_time, {FAMILY} || ' ' || {KEY} AS key, {NIGHT_OF} + INTERVAL 12 HOUR AS midnight
        FROM {{calls}} WHERE start_time >= $start AND start_time < $end AND dup_group_key IS NOT NULL
            AND (epoch_us(start_time) + {EDGE // MICROSECOND}) % {DAY // MICROSECOND} < {2 * EDGE // MICROSECOND})
    GROUP BY key, midnight HAVING min(start_time) < midnight AND max(start_time) >= midnight"""  # noqa: S608 - expressions of our own
CROSSED: Final = f"""WITH {SEEN} SELECT slice AS day, slice, w, key, min(start_time) AS began, bool_or(ok) AS ok, min(id) AS id
    FROM seen SEMI JOIN crossing ON crossing.key = seen.key AND crossing.day = seen.slice GROUP BY ALL"""  # noqa: S608 - expressions of our own
# their keys, as the days counted them and as they are
APART: Final = "keys AS (SELECT day AS slice, w, key AS h, began, ok, id FROM crossed)"
TOGETHER: Final = """keys AS (
    SELECT TIMESTAMPTZ 'epoch' AS slice, w, key AS h, min(began) AS began, bool_or(ok) AS ok, min(id) AS id FROM crossed GROUP BY w, key)"""
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
    min(struct_pack(began := k.began, id := k.id), {2 * NAMED}) AS named, {{sign}} AS sign
FROM (VALUES {{pairs}}) AS p(w, by_w, ends_only) JOIN keys k ON k.w = p.by_w AND (k.ok OR NOT p.ends_only)
WHERE NOT EXISTS (SELECT 1 FROM keys o WHERE o.slice = k.slice AND o.h = k.h AND o.w = p.w) GROUP BY ALL"""  # noqa: S608 - numbers of our own


class LossDocument(TypedDict):
    """witness and seen_by: who misses the calls and who has them; both: calls that both have; lost_ok: of the lost, those that were served."""

    witness: str
    seen_by: dict[str, str]
    both: int
    lost: int
    lost_ok: int
    calls: list[dict[str, str]]


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

    def document(self) -> LossDocument:
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

    met = Crossing.of(ctx, numbered, start, end)
    days = [ctx.lake.by_day(within(ALIKE), start, end, grows=Meets(KEY, LOOKED_AT)), *met.asked(ctx, ALIKE, (1, -1))]
    alike = pa.concat_tables([table.select(["codes", "calls", "sign"]) for table in days], promote_options="permissive")
    found = pairs(ctx.lake.query(MET, alike=alike).to_pylist())
    if not found:
        return []
    listed = ", ".join(f"({one.w}, {one.by}, {known[one.w][1] in ENDS_ONLY})" for one in found)
    missed = ctx.lake.query(MISSED.replace("{pairs}", listed), alike=alike).to_pylist()
    hours = {one: sorted((row for row in missed if of_pair(row, one)), key=itemgetter("hour")) for one in found}
    # of names only the first are read: those of the days in which they are
    concerned = ", ".join(map(str, sorted({number for one in found for number in (one.w, one.by)})))
    asked = within(
        NAMES.replace("{pairs}", listed),
        ids=", min(id) AS id",
        only=f"ANTI JOIN crossing ON crossing.key = seen.key AND crossing.day = seen.slice WHERE w IN ({concerned})",
    )
    tables = met.asked(ctx, NAMES.replace("{pairs}", listed), (1,))
    for first, last in runs({hour.replace(hour=0) for rows in hours.values() for hour in first_hours(rows)}):
        grows = Meets(KEY, LOOKED_AT, sound=tells_names)
        tables.append(ctx.lake.by_day(asked, max(first, start), min(last, end), grows=grows, told=lambda: met.days, crossing=met.relation))
    named: defaultdict[Place, list[Name]] = defaultdict(list)
    for table in tables:
        for place, names in told_of(table).items():
            named[place] += names or []  # by_day answers with those that tell
    losses = [loss_of(known, one, hours[one], named) for one in found]
    return sorted((one for one in losses if one.lost), key=lambda one: (one.source, one.kind, one.by_source, one.by_kind))


@dataclass(frozen=True)
class Crossing:
    """Calls that have records on both sides of a midnight: their keys by the UTC day, and their records, one for each witness and day."""

    days: Mapping[datetime, Sequence[str]]
    records: pa.Table | None

    @classmethod
    def of(cls, ctx: Context, numbered: str, start: datetime, end: datetime) -> Crossing:
        days: defaultdict[datetime, set[str]] = defaultdict(set)
        for row in ctx.lake.by_day(CROSSING, start, end, nights=True).to_pylist():
            for day in (row["midnight"].astimezone(UTC) - DAY, row["midnight"].astimezone(UTC)):
                days[day].add(row["key"])
        found = cls({day: sorted(keys) for day, keys in days.items()}, None)
        sql = CROSSED.replace("{witnesses}", numbered)
        tables = [
            ctx.lake.by_day(sql, max(first, start), min(last, end), told=lambda: found.days, crossing=found.relation)
            for first, last in runs(found.days)
        ]
        return replace(found, records=pa.concat_tables(tables)) if tables else found

    @property
    def relation(self) -> pa.Table:
        rows = [(key, day) for day, keys in self.days.items() for key in keys]
        return pa.table({"key": pa.array([row[0] for row in rows], pa.string()), "day": pa.array([row[1] for row in rows], UTC_MICROS)})

    def asked(self, ctx: Context, sql: str, signs: Sequence[int]) -> list[pa.Table]:
        """Of these calls as they are (sign 1), and to be taken off, as the days have counted them."""
        if self.records is None:
            return []
        keys = {1: TOGETHER, -1: APART}
        return [ctx.lake.query(f"WITH {keys[sign]} {sql}".replace("{sign}", f"{sign}::BIGINT"), crossed=self.records) for sign in signs]


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


def tells_names(table: pa.Table) -> bool:
    """Not where too many names are gone from a list that was cut off: which follow is not known."""
    return None not in told_of(table).values()


def told_of(table: pa.Table) -> dict[Place, list[Name] | None]:
    """The first of each pair and hour; None where they cannot be told. Of a day that grew there are its names, cut off after twice as many as are wanted, then
    those of the calls that came, then, with sign -1, what was known of these before.
    """
    rows: defaultdict[Place, list[dict[str, Any]]] = defaultdict(list)
    for row in table.to_pylist():
        rows[row["w"], row["by_w"], row["hour"]].append(row)
    found = {}
    for place, several in rows.items():
        lists = [[(one["began"], one["id"]) for one in row["named"]] for row in several]
        base = Counter[Name](lists[0])
        for names, row in zip(lists, several, strict=True):
            if row["sign"] < 0:
                base -= Counter[Name](names)
        more = [name for names, row in zip(lists[1:], several[1:], strict=True) if row["sign"] > 0 for name in names]
        cut = several[0]["lost"] > len(lists[0])
        if cut:  # beyond its last name the list knows nothing
            more = [name for name in more if in_order(name) <= in_order(lists[0][-1])]
        first = sorted([*base.elements(), *more], key=in_order)[:NAMED]
        found[place] = None if cut and len(first) < NAMED else first
    return found


def in_order(name: Name) -> tuple[datetime, bool, str]:
    return name[0], name[1] is None, name[1] or ""


def quoted(name: str) -> str:
    """A literal that no placeholder of a query can be found in."""
    return literal(name).replace("{", "' || chr(123) || '")
