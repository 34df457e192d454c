"""Completeness per source and hour: what a pull saw, what another witness kept, and hours in which a source fell silent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from governor.actions.completeness import completeness, gaps, long_silences, silent_hours
from governor.actions.context import OPERATOR, Context
from governor.actions.findings import findings
from governor.actions.ingest import ingest
from governor.actions.sync import keep
from governor.errors import Invalid
from governor.ports import SeenWindow

CAPTURES = Path(__file__).parents[2] / "../shared/data/captures/litellm"
SPEND = Path(__file__).parents[1] / "connectors/fixtures/litellm_spend_logs.jsonl"
HOUR = timedelta(hours=1)
START = datetime(2026, 10, 5, tzinfo=UTC)  # a Monday


@pytest.fixture
def ctx(world: Any) -> Context:
    found: Context = world.ctx
    return found


def traffic(ctx: Context, path: Path, per_hour: dict[datetime, int], source: str = "prod") -> None:
    """Spend rows, so many in each hour."""
    row = next(one for one in map(json.loads, SPEND.read_text().splitlines()) if one["status"] == "success")
    lines = []
    for hour, count in per_hour.items():
        for number in range(count):
            at = (hour + number * timedelta(seconds=3)).isoformat().replace("+00:00", "Z")
            name = f"chatcmpl-{source}-{hour:%m%d%H}-{number:05d}-abcdef"
            lines.append(json.dumps(row | {"request_id": name, "startTime": at, "endTime": at, "completionStartTime": at}))
    path.write_text("\n".join(lines))
    ingest(ctx, OPERATOR, "litellm", [str(path)], source=source)


def states(found: dict[str, Any]) -> dict[str, str]:
    return {hour["hour"]: hour["state"] for hour in found["hours"]}


def test_an_hour_is_silent_against_its_own_weekday_and_hour() -> None:
    counts = {START + week * 7 * 24 * HOUR + hour * HOUR: 40 for week in range(4) for hour in (9, 10, 11)}
    last = START + 3 * 7 * 24 * HOUR
    for hour in (10, 11):
        del counts[last + hour * HOUR]
    quiet = silent_hours(counts, last, last + 48 * HOUR)
    assert quiet == {last + 10 * HOUR, last + 11 * HOUR}  # Tuesday never had calls, nor had the night
    assert gaps(quiet, counts) == [{"start": "2026-10-26T10:00:00Z", "end": "2026-10-26T12:00:00Z", "hours": 2}]
    later = last + 7 * 24 * HOUR
    gone = silent_hours(counts, later, later + 24 * HOUR)  # it stopped for good: what was silent before is no profile
    assert gone == {later + hour * HOUR for hour in (9, 10, 11)}
    assert [one["hours"] for one in gaps({last, last + 5 * HOUR}, {})] == [2]
    assert [one["hours"] for one in gaps({last, last + 5 * HOUR}, {last + 3 * HOUR: 1})] == [1, 1]
    assert not silent_hours(dict.fromkeys(counts, 3), last, last + 48 * HOUR)  # too few calls to be sure of
    assert not silent_hours({hour: n for hour, n in counts.items() if hour >= last - 7 * 24 * HOUR}, last, last + 48 * HOUR)
    assert not silent_hours(counts, last, last + 11 * HOUR - timedelta(minutes=0)) - {last + 10 * HOUR}  # the running hour is not judged


@pytest.mark.parametrize(
    ("every", "days", "silent", "expected"),
    [(5, 28, 30, 29), (5, 28, 23, 0), (12, 28, 33, 0), (12, 28, 36, 35), (5, 13, 30, 0), (5, 28, 1000, 336), (1, 28, 30, 29)],
)
def test_a_source_of_few_calls_is_silent_against_its_own_longest_silence(every: int, days: int, silent: int, expected: int) -> None:
    """A call each `every` hours for `days` days, then none for `silent` hours, of which the running one is not judged."""
    first = datetime(2026, 9, 1, tzinfo=UTC)
    counts = {first + at * HOUR: 1 for at in range(0, days * 24 + 1, every)}
    assert len(long_silences(counts, max(counts) + (silent + 1) * HOUR)) == expected
    assert not long_silences({}, first)


def test_a_silence_that_was_found_is_no_measure_for_the_next_and_a_weekend_is() -> None:
    first = datetime(2026, 9, 1, tzinfo=UTC)  # a Tuesday
    twice = {first + at * HOUR: 1 for at in range(0, 56 * 24, 4) if not (600 <= at < 640 or 900 <= at < 940)}
    found = long_silences(twice, max(twice) + HOUR)
    assert sorted({hour.date().isoformat() for hour in found if hour.hour == 0}) == ["2026-09-26", "2026-09-27", "2026-10-09", "2026-10-10"]
    weekdays = {first + at * HOUR: 2 for at in range(56 * 24) if (first + at * HOUR).weekday() < 5 and 8 <= at % 24 < 18}
    assert not long_silences(weekdays, max(weekdays) + 100 * HOUR)


def test_the_change_of_clocks_makes_no_hour_silent() -> None:
    zone = ZoneInfo("Europe/Berlin")  # summer time ends on 25 October 2026
    days = [datetime(2026, 10, day, 9, tzinfo=zone) for day in (5, 12, 19, 26)]
    counts = {(day + hour * HOUR).astimezone(UTC): 40 for day in days for hour in range(8)}
    monday = datetime(2026, 10, 26, tzinfo=UTC)
    assert silent_hours(counts, monday, monday + 24 * HOUR) == {monday + 7 * HOUR}
    assert not silent_hours(counts, monday, monday + 24 * HOUR, zone)
    del counts[monday + 9 * HOUR]
    assert silent_hours(counts, monday, monday + 24 * HOUR, zone) == {monday + 9 * HOUR}


def test_windows_of_a_pull_make_hours_whole_short_or_holes(ctx: Context, tmp_path: Path) -> None:
    day = datetime(2026, 11, 1, tzinfo=UTC)
    traffic(ctx, tmp_path / "calls.jsonl", {day + n * HOUR: 10 for n in (1, 2, 3, 4, 5)})
    seen = [
        SeenWindow(day + HOUR, day + 2 * HOUR, 10, 10),
        SeenWindow(day + 2 * HOUR, day + 3 * HOUR, 10, 25),
        SeenWindow(day + 3 * HOUR, day + 3.5 * HOUR, 5, None, "the source stops at 10,000 rows"),
        SeenWindow(day + 3.5 * HOUR, day + 4 * HOUR, 5, 5),
        SeenWindow(day + 4 * HOUR, day + 4.5 * HOUR, 4, 4),
        SeenWindow(day + 4.5 * HOUR, day + 5 * HOUR, 6, 6),
    ]
    keep(ctx, OPERATOR, "prod", seen)
    [found] = completeness(ctx, days=2)
    shown = states(found)
    assert [shown[f"2026-11-01T0{n}:00:00Z"] for n in (0, 1, 2, 3, 4, 5)] == ["idle", "whole", "short", "hole", "whole", "unchecked"]
    said = {hour["hour"]: hour["said"] for hour in found["hours"]}
    assert [said[f"2026-11-01T0{n}:00:00Z"] for n in (1, 2, 3, 4, 5)] == [10, 25, None, 10, None]
    assert [(one["missing"], bool(one["hole"])) for one in found["windows"]] == [(15, False), (None, True)]
    keep(ctx, OPERATOR, "prod", [SeenWindow(day + HOUR, day + 4 * HOUR, 45, 45)])  # a later look at the same hours has the last word
    [found] = completeness(ctx, days=2)
    assert found["windows"] == []
    assert [states(found)[f"2026-11-01T0{n}:00:00Z"] for n in (2, 3)] == ["whole", "whole"]
    raised = [one for one in findings(ctx, "2026-11") if one.rule.startswith("source.")]
    assert raised == []


def test_a_hole_a_shortfall_and_a_silence_are_findings(ctx: Context, tmp_path: Path, world: Any) -> None:
    hours = {START + week * 7 * 24 * HOUR + 9 * HOUR: 12 for week in range(3)}
    traffic(ctx, tmp_path / "calls.jsonl", hours)
    world.now = START + 22 * 24 * HOUR
    assert {one.rule for one in findings(ctx, "2026-10") if one.rule.startswith("source.")} == set()  # it came as a file, nobody was silent
    keep(ctx, OPERATOR, "prod", [], cursor="2026-10-27T00:00:00Z")
    keep(ctx, OPERATOR, "prod", [SeenWindow(START, START + HOUR, 10, 30), SeenWindow(START + HOUR, START + 2 * HOUR, 10, None, "it stops")])
    raised = {one.rule: one for one in findings(ctx, "2026-10") if one.rule.startswith("source.")}
    assert set(raised) == {"source.completeness", "source.silence"}
    assert "20 calls" in raised["source.completeness"].message
    assert "1 window" in raised["source.completeness"].message
    assert "prod" in raised["source.silence"].message


def test_a_daily_file_that_stays_away_is_missed_once_it_is_overdue(ctx: Context, tmp_path: Path, world: Any) -> None:
    day, known = 24 * HOUR, tmp_path / "0.jsonl"
    for number in range(17):
        world.now = START + number * day + 25 * HOUR  # exported in the night after
        traffic(ctx, tmp_path / f"{number}.jsonl", {START + number * day + 9 * HOUR: 10})
    last = world.now

    def silent() -> bool:
        return any(one.rule == "source.silence" for one in findings(ctx, "2026-10"))

    world.now = last + 2 * day
    assert not silent(), "tomorrow's file may hold them"
    world.now = last + 4 * day
    ingest(ctx, OPERATOR, "litellm", [str(known)], source="prod")  # brings nothing new
    assert silent()
    (found,) = completeness(ctx)
    assert found["gaps"][-1]["start"] > "2026-10-21T09"
    traffic(ctx, tmp_path / "late.jsonl", {START + number * day + 9 * HOUR: 10 for number in range(17, 20)})
    world.now += timedelta(minutes=1)
    assert not silent()


@pytest.mark.parametrize(
    ("zone", "first"),
    [("America/New_York", datetime(2026, 10, 1, 4, tzinfo=UTC)), ("Asia/Kolkata", datetime(2026, 9, 30, 18, 30, tzinfo=UTC))],
)
def test_findings_look_at_a_month_of_the_billing_zone_from_its_first_hour(ctx: Context, world: Any, zone: str, first: datetime) -> None:
    world.apply(f"kind: organization\nname: Acme\nbilling_zone: {zone}\n")
    world.now = datetime(2026, 11, 20, tzinfo=UTC)
    keep(ctx, OPERATOR, "prod", [SeenWindow(first, first + HOUR, 10, 30)])
    assert ["20 calls" in one.message for one in findings(ctx, "2026-10") if one.rule == "source.completeness"] == [True]
    assert not [one for one in findings(ctx, "2026-11") if one.rule == "source.completeness"]


def test_it_refuses_a_span_that_is_none(ctx: Context) -> None:
    for days in (0, 93):
        with pytest.raises(Invalid, match="days"):
            completeness(ctx, days=days)


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="../shared/data/captures is not here")
def test_it_names_the_calls_that_generic_api_lost(ctx: Context, world: Any) -> None:
    """The proxy's log posts lost three served calls of the capture; its database has them."""
    world.now = datetime(2026, 11, 22, tzinfo=UTC)
    counts = ingest(ctx, OPERATOR, "litellm", [str(file) for file in sorted((CAPTURES / "generic_api/raw").glob("*.json"))])
    assert counts["stored"], counts
    ingest(ctx, OPERATOR, "litellm", [str(CAPTURES / "SpendLogs.jsonl")], source="database")
    newest = ctx.lake.query("SELECT max(start_time) AS newest FROM lake.calls").to_pylist()[0]["newest"]
    found = {one["source"]: one for one in completeness(ctx, days=2, until=newest + HOUR)}
    [lost] = found["litellm"]["lost"]
    assert lost["witness"] == "litellm.generic_api"
    assert lost["seen_by"] == {"source": "database", "witness": "litellm.spend_logs"}
    assert lost["lost_ok"] == 3
    have = set(ctx.lake.query("SELECT dup_group_key AS k FROM lake.calls WHERE source_kind = 'litellm.generic_api'")["k"].to_pylist())
    ids = {one["id"] for one in lost["calls"]}
    rows = ctx.lake.query(
        "SELECT source_record_id AS id, dup_group_key AS k, status FROM lake.calls WHERE source_kind = 'litellm.spend_logs'"
    )
    truly = {row["id"] for row in rows.to_pylist() if row["status"] == "ok" and row["k"] not in have}
    assert truly <= ids
    assert found["database"]["lost"] == []
