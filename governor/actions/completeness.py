"""Whether a source brought everything: hour by hour what is stored, what the source itself counts, what another witness saw, and where it fell silent.

Owns: the document of each source. Does not own: what pulls saw (sync.py writes SourceWindow), the merge of witnesses (store), lost calls (lost_calls.py).
Invariants: reads only; an hour that nothing could be compared with is `unchecked`, never whole; a count that a source cannot tell stays null.

An hour is `silent` when nothing came in it although the same hour of the week always brought calls before: at least two weeks of them, ten on the
median. Or where a silence lasts a day and three times the longest of the four weeks before: a source of few calls an hour has no hour that always
brings any. The hour of the week is that of the billing zone, for people keep their hours when clocks change. Profiles need history, so a source is not
accused in its first two weeks; a source that comes as files is not silent after its newest record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from statistics import median
from typing import Final, TypedDict
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from governor.actions.context import Context
from governor.actions.load_catalog import catalog_as_of
from governor.actions.lost_calls import Loss, LossDocument, lost_calls
from governor.actions.remembered import remembered
from governor.errors import Invalid
from governor.policy.catalog_data import rfc3339
from governor.store.lake_slices import HOURS, SLICE_OF
from governor.store.rows.ingest import IngestBatch, SourceCursor, SourceWindow

HOUR: Final = timedelta(hours=1)
WEEK: Final = timedelta(days=7)
BACK: Final = 4  # weeks of history that make a profile
LEAST_WEEKS: Final = 2
LONGEST: Final = 3  # times the longest silence before that a source of few calls may be silent
LEAST_SILENCE: Final = 24  # hours
LEAST_CALLS: Final = 10  # median of the profile below which a silent hour says nothing
MOST_DAYS: Final = 92
STORED: Final = f"""SELECT source_instance AS source, epoch(start_time)::BIGINT // 3600 AS hour,
    count(DISTINCT source_kind || ' ' || source_record_id) AS stored,
    median(greatest(epoch(ingested_at) - epoch(coalesce(end_time, start_time)), 0)) AS lag_s, {SLICE_OF}
    FROM {{calls}} WHERE start_time >= $start AND start_time < $end GROUP BY ALL"""  # noqa: S608 - an expression of our own


class HourDocument(TypedDict):
    hour: str
    stored: int
    said: int | None
    state: str


class Shortfall(TypedDict):
    """A window of a pull of which less came than the source counted. hole: why it was not read whole, or empty."""

    start: str
    end: str
    came: int
    said: int | None
    missing: int | None
    hole: str


class SilentSpan(TypedDict):
    start: str
    end: str
    hours: int


class SourceTruth(TypedDict):
    """states: state -> hours in it. lost: calls that only another witness has."""

    source: str
    start: str
    end: str
    stored: int
    lag_s: float | None
    states: dict[str, int]
    windows: list[Shortfall]
    gaps: list[SilentSpan]
    lost: list[LossDocument]
    hours: list[HourDocument]


@dataclass(frozen=True)
class Hour:
    """state: whole | short | hole | silent | unchecked | idle. said: the source's own count, where it covers exactly this hour."""

    start: datetime
    stored: int
    said: int | None
    state: str

    def document(self) -> HourDocument:
        return {"hour": rfc3339(self.start), "stored": self.stored, "said": self.said, "state": self.state}


def completeness(
    ctx: Context, *, source: str = "", days: int = 14, since: datetime | None = None, until: datetime | None = None
) -> list[SourceTruth]:
    """Each source that is pulled or brought calls in the last `days` days (UTC) up to `until` (now): its hours, windows that came short, gaps and lost calls.

    since: from this hour on, whatever `days` says.
    """
    if not 1 <= days <= MOST_DAYS:
        raise Invalid(f"days is a number from 1 to {MOST_DAYS}")
    end = (until or ctx.now()).astimezone(UTC)
    end = end.replace(minute=0, second=0, microsecond=0) + (HOUR if end.minute or end.second or end.microsecond else timedelta())
    start = (end - HOUR - timedelta(days=days - 1)).replace(hour=0)
    if since is not None:
        start = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    stored: dict[str, dict[datetime, tuple[int, float]]] = defaultdict(dict)
    for row in remembered(
        ctx,
        f"stored/{start.isoformat()}/{end.isoformat()}",
        lambda: ctx.lake.by_day(STORED, start - BACK * WEEK, end, grows=HOURS).to_pylist(),
    ):
        stored[row["source"] or ""][datetime.fromtimestamp(row["hour"] * 3600, UTC)] = (row["stored"], row["lag_s"] or 0.0)
    windows, live = windows_of(ctx, start, end), live_sources(ctx, end)
    zone = ZoneInfo(catalog_as_of(ctx).organization.billing_zone)
    losses = lost_calls(ctx, start, end)
    names = [name for name, hours in stored.items() if any(hour >= start for hour in hours)]
    names = sorted({*names, *windows, *(name for name, hours in stored.items() if len(hours) > LEAST_WEEKS)})
    return [
        document(
            name,
            stored.get(name, {}),
            windows.get(name, []),
            [one for one in losses if one.source == name],
            start,
            end,
            zone,
            live=name in live,
        )
        for name in names
        if source in {"", name}
    ]


def windows_of(ctx: Context, start: datetime, end: datetime) -> dict[str, list[SourceWindow]]:
    """Oldest look first, so that the newest has the last word about an hour."""
    found: dict[str, list[SourceWindow]] = defaultdict(list)
    with ctx.rows.session() as session:
        query = select(SourceWindow).where(
            SourceWindow.org_id == ctx.org, col(SourceWindow.start_at) < end, col(SourceWindow.end_at) > start
        )
        for one in session.exec(query.order_by(col(SourceWindow.seen_at), col(SourceWindow.start_at))):
            found[one.source].append(one)
    return found


def live_sources(ctx: Context, end: datetime) -> set[str]:
    """Sources of which something is to be there by now: those that send or are pulled, and those whose next file is overdue by the rhythm of its files."""
    came: dict[str, dict[datetime, int]] = defaultdict(dict)
    pushed = col(IngestBatch.uris).startswith('["push:')
    with ctx.rows.session() as session:
        sends = session.exec(select(IngestBatch.source).where(IngestBatch.org_id == ctx.org, pushed).distinct())
        live = {*sends, *session.exec(select(SourceCursor.source).where(SourceCursor.org_id == ctx.org))}
        recent = (col(IngestBatch.committed_at) >= end - 2 * BACK * WEEK, col(IngestBatch.committed_at) < end)
        query = select(IngestBatch.source, IngestBatch.committed_at).where(
            IngestBatch.org_id == ctx.org, ~pushed, IngestBatch.stored > 0, *recent
        )
        for source, at in session.exec(query):
            came[source][at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)] = 1
    late = {source: long_silences(hours, end + HOUR) for source, hours in came.items()}  # a file of the running hour is there
    return live | {source for source, hours in late.items() if hours and max(hours) > max(came[source])}


def document(
    name: str,
    stored: Mapping[datetime, tuple[int, float]],
    windows: Sequence[SourceWindow],
    losses: Sequence[Loss],
    start: datetime,
    end: datetime,
    zone: tzinfo,
    *,
    live: bool,
) -> SourceTruth:
    counts = {hour: one[0] for hour, one in stored.items()}
    states, said = looks(counts, windows)
    quiet = silent_hours(counts, start, end, zone) | {hour for hour in long_silences(counts, end) if hour >= start}
    if not live:  # a file that is not due yet: its calls were not given, nobody was silent
        quiet = {hour for hour in quiet if hour < max(counts)}
    hours = []
    at = start
    while at < end:
        state = states.get(at) or ("silent" if at in quiet else "unchecked" if counts.get(at) else "idle")
        hours.append(Hour(at, counts.get(at, 0), said.get(at), state))
        at += HOUR
    shown = [(hour, one) for hour, one in stored.items() if hour >= start]
    return {
        "source": name,
        "start": rfc3339(start),
        "end": rfc3339(end),
        "stored": sum(one.stored for one in hours),
        "lag_s": round(median(one[1] for _, one in shown), 1) if shown else None,
        "states": {state: sum(one.state == state for one in hours) for state in ("whole", "short", "hole", "silent", "unchecked", "idle")},
        "windows": [short for one in windows if (short := shortfall(one, counts))],
        "gaps": gaps(quiet - states.keys(), counts),
        "lost": [one.document() for one in losses],
        "hours": [one.document() for one in hours],
    }


def got(window: SourceWindow, counts: Mapping[datetime, int]) -> int:
    """What came of a window: what the pull read, or what is stored of its hours where calls come another way."""
    whole_hours = window.start_at.minute == window.start_at.second == window.start_at.microsecond == 0
    inside = sum(stored for hour, stored in counts.items() if window.start_at <= hour < window.end_at) if whole_hours else 0
    return max(window.read, inside)


def shortfall(window: SourceWindow, counts: Mapping[datetime, int]) -> Shortfall | None:
    came = got(window, counts)
    if not window.hole and (window.said is None or window.said <= came):
        return None
    return {
        "start": rfc3339(window.start_at),
        "end": rfc3339(window.end_at),
        "came": came,
        "said": window.said,
        "missing": max(window.said - came, 0) if window.said is not None else None,
        "hole": window.hole,
    }


def looks(counts: Mapping[datetime, int], windows: Iterable[SourceWindow]) -> tuple[dict[datetime, str], dict[datetime, int]]:
    """What pulls say of each hour: its state, and the source's count where windows cover the hour and nothing else."""
    states: dict[datetime, str] = {}
    said: dict[datetime, int] = {}
    parts: dict[datetime, list[SourceWindow]] = defaultdict(list)
    for one in windows:
        state = "hole" if one.hole else "unchecked" if one.said is None else "short" if shortfall(one, counts) else "whole"
        hour = one.start_at.replace(minute=0, second=0, microsecond=0)
        if one.end_at - one.start_at > HOUR:
            while hour < one.end_at:
                states[hour] = state if state != "unchecked" or counts.get(hour) else "idle"
                said.pop(hour, None)
                hour += HOUR
        else:
            parts[hour].append(one)
            worst = max(
                (("hole" if p.hole else "short" if shortfall(p, counts) else "") for p in parts[hour]), key=("", "short", "hole").index
            )
            states[hour] = worst or state if worst or state != "unchecked" or counts.get(hour) else "idle"
    for hour, looked in parts.items():
        known = [one.said for one in looked if one.said is not None]
        if len(known) == len(looked) and sum((one.end_at - one.start_at for one in looked), timedelta()) == HOUR:
            said[hour] = sum(known)
    return states, said


def silent_hours(counts: Mapping[datetime, int], start: datetime, end: datetime, zone: tzinfo = UTC) -> set[datetime]:
    """Hours without a call that the source's own weekday and hour profile expects calls in. The running hour is not over: not judged."""
    if not counts:
        return set()
    first, found = min(counts), set[datetime]()
    at = first
    while at < end - HOUR:
        if not counts.get(at):
            # weeks that were silent already are no profile: a source that stopped stays silent, until nothing is left to expect it by
            local = at.astimezone(zone)  # a week before by its clock
            back = [(local - week * WEEK).astimezone(UTC) for week in range(1, BACK + 1)]
            weeks = [one for one in back if one >= first and one not in found]
            before = [counts.get(one, 0) for one in weeks]
            if len(before) >= LEAST_WEEKS and min(before) > 0 and median(before) >= LEAST_CALLS:
                found.add(at)
        at += HOUR
    return {hour for hour in found if hour >= start}


def long_silences(counts: Mapping[datetime, int], end: datetime) -> set[datetime]:
    """Hours of silences such as the source never had in the weeks before; of one without end the first two weeks, as with a profile that is used up."""
    busy = sorted(hour for hour, stored in counts.items() if stored and hour < end - HOUR)
    found: set[datetime] = set()
    usual: list[tuple[datetime, int]] = []
    for before, after in pairwise([*busy, end - HOUR]):
        length = (after - before) // HOUR - 1
        longest = max((one for ended, one in usual if ended > before - BACK * WEEK), default=0)
        if before - busy[0] >= LEAST_WEEKS * WEEK and length >= LEAST_SILENCE and length > LONGEST * longest:
            found |= {before + at * HOUR for at in range(1, min(length, LEAST_WEEKS * WEEK // HOUR) + 1)}
        elif length:
            usual.append((after, length))
    return found


def gaps(quiet: Iterable[datetime], counts: Mapping[datetime, int]) -> list[SilentSpan]:
    """Silent hours are one gap as long as nothing came between them; `hours` counts those that always brought calls."""
    runs: list[list[datetime]] = []
    for hour in sorted(quiet):
        if runs and not any(counts.get(runs[-1][-1] + step * HOUR) for step in range(1, (hour - runs[-1][-1]) // HOUR)):
            runs[-1].append(hour)
        else:
            runs.append([hour])
    return [{"start": rfc3339(run[0]), "end": rfc3339(run[-1] + HOUR), "hours": len(run)} for run in runs]
