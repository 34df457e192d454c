"""Sums of past days that were kept: equal to asking directly, whatever the zone, bands and epochs, and never those of rows that changed since."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from made_lake import fill

from governor.store import lake_slices
from governor.store.lake import Lake
from governor.store.lake_meets import Meets

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 8, tzinfo=UTC)
KEYS = ["metadata.workflow", "api_key_alias"]
STORED = """SELECT source_instance AS source, count(*) AS calls, date_trunc('day', start_time) AS slice FROM {calls}
    WHERE start_time >= $start AND start_time < $end GROUP BY ALL"""
SHAPES: list[dict[str, Any]] = [
    {},
    {"day_zone": "Europe/Berlin"},
    {"bands": [1000, 2000]},
    {"boundaries": [datetime(2026, 10, 3, 11, 3, tzinfo=UTC), datetime(2026, 10, 5, tzinfo=UTC), datetime(2026, 10, 5, 0, 1, tzinfo=UTC)]},
]


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = Lake(str(tmp_path / "catalog.sqlite"), str(tmp_path / "data"), "acme", lock_dir=tmp_path)
    fill(made, 5_000, START, END)
    yield made
    made.close()


def facts(lake: Lake, start: datetime = START, end: datetime = END, **shape: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.month_facts(start, end, keys=KEYS, **shape).to_pylist()
    return [row | {"examples": sorted(row["examples"])} for row in rows]


def directly(lake: Lake, monkeypatch: pytest.MonkeyPatch, *window: datetime, **shape: Any) -> list[dict[str, Any]]:
    with monkeypatch.context() as patch:
        patch.setattr(lake_slices, "LEAST", 10**12)
        return facts(lake, *window, **shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_days_put_together_are_the_month(lake: Lake, shape: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    windows = ((START, END), (START + timedelta(hours=5), END - timedelta(hours=7)), (START, END))
    for window in windows:
        assert facts(lake, *window, **shape) == directly(lake, monkeypatch, *window, **shape)


def test_only_days_with_new_files_are_counted_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    facts(lake)
    kept = set(lake._kept.glob("*.arrow"))
    assert len(kept) == 7
    before = lake.snapshot_id()
    fill(lake, 50, START + timedelta(days=3), START + timedelta(days=3, hours=2), tag="late")
    assert facts(lake) == directly(lake, monkeypatch)
    fresh = set(lake._kept.glob("*.arrow")) - kept
    assert [path.name[:8] for path in fresh] == ["20261004"]
    assert facts(lake, snapshot=before) == directly(lake, monkeypatch, snapshot=before)
    assert set(lake._kept.glob("*.arrow")) == kept | fresh


def test_a_changed_row_is_seen_and_so_is_the_day_before_the_change(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    first, before = facts(lake), lake.snapshot_id()
    sql = "UPDATE lake.calls SET cost_bearing = false, exclusion_reason = 'superseded' WHERE ingest_row < 40 AND start_time < '2026-10-02'"
    lake._write(lambda connection: connection.execute(sql))
    assert sum(row["calls"] for row in facts(lake)) == sum(row["calls"] for row in first) - 36
    assert facts(lake) == directly(lake, monkeypatch)
    lake.compact()
    assert facts(lake) == directly(lake, monkeypatch)
    assert facts(lake, snapshot=before) == first


def test_an_answer_that_was_cut_off_is_counted_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    whole = facts(lake)
    for number, path in enumerate(lake._kept.iterdir()):
        if number % 2:
            path.write_bytes(path.read_bytes()[:100])
        else:
            path.unlink()
    assert facts(lake) == whole


def test_any_question_by_day(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted() -> dict[str, int]:
        sums: dict[str, int] = {}
        for row in lake.by_day(STORED, START, END).to_pylist():
            sums[row["source"]] = sums.get(row["source"], 0) + row["calls"]
        return sums

    small = counted()
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    assert counted() == counted() == small == {"gateway": 4500, "gateway-posts": 500}


def test_a_day_that_only_became_more_takes_its_earlier_answer(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    facts(lake)
    asked = []
    cut = lake_slices._cut
    monkeypatch.setattr(lake_slices, "_cut", lambda answer, days: (asked.append(sum(answer["calls"].to_pylist())), cut(answer, days))[1])
    late, later = START + timedelta(days=3), START + timedelta(days=3, hours=2)
    fill(lake, 50, late, later, tag="late")
    assert facts(lake) == directly(lake, monkeypatch)
    fill(lake, 40, late, later, tag="later")
    assert facts(lake) == directly(lake, monkeypatch)
    assert asked == [45, 81], "a tenth of the rows are other witnesses; what came is counted together"
    fill(lake, 2_000, late, later, tag="much")
    assert facts(lake) == directly(lake, monkeypatch)
    assert asked[-1] > 2_000, "counted whole again"
    fill(lake, 30, late, later, tag="more")
    assert facts(lake) == directly(lake, monkeypatch)
    assert asked[-1] == 27
    lake._write(lambda connection: connection.execute("UPDATE lake.calls SET cost_bearing = false WHERE ingest_row < 40"))
    assert facts(lake) == directly(lake, monkeypatch)


def test_new_calls_whose_file_cannot_be_found_by_its_path_are_counted_with_the_day(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    facts(lake)
    monkeypatch.setattr("governor.store.lake_files.literal", lambda text: f"'/elsewhere{text}'")
    fill(lake, 50, START + timedelta(days=3), START + timedelta(days=3, hours=2), tag="late")
    assert facts(lake) == directly(lake, monkeypatch)


def test_what_a_day_takes_from_a_relation_is_part_of_its_name(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    sql = f"""SELECT l.owner, count(*) AS calls, {lake_slices.SLICE_OF} FROM (FROM {{calls}}) AS c JOIN owners l ON l.team = c.team_id
        WHERE start_time >= $start AND start_time < $end GROUP BY ALL"""
    teams = sorted(set(lake.calls().column("team_id").to_pylist()))

    def owned(owner: str, only: datetime | None = None) -> dict[str, int]:
        table = pa.table({"team": teams, "owner": [owner] * len(teams)})
        told = {START + timedelta(days=day): [owner if only is None or START + timedelta(days=day) == only else "dana"] for day in range(7)}
        rows = lake.by_day(sql, START, END, told=lambda: told, owners=table).to_pylist()
        return {name: sum(row["calls"] for row in rows if row["owner"] == name) for name in {row["owner"] for row in rows}}

    assert owned("dana") == {"dana": 5_000}
    assert owned("rae") == {"rae": 5_000}
    assert owned("dana") == {"dana": 5_000}
    mixed = owned("finn", START + timedelta(days=2))
    assert set(mixed) == {"dana", "finn"}
    assert sum(mixed.values()) == 5_000


def test_hours_that_calls_came_in_are_counted_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """For sums that do not add up: how many different calls an hour has, and its median."""
    hourly = f"""SELECT epoch(start_time)::BIGINT // 3600 AS hour, count(DISTINCT team_id || api_key_alias) AS stored, median(duration_ms) AS middle,
        {lake_slices.SLICE_OF} FROM {{calls}} WHERE start_time >= $start AND start_time < $end GROUP BY ALL"""

    def counted() -> list[dict[str, Any]]:
        return sorted(lake.by_day(hourly, START, END, grows=lake_slices.HOURS).to_pylist(), key=lambda row: row["hour"])

    def whole() -> list[dict[str, Any]]:
        with monkeypatch.context() as patch:
            patch.setattr(lake_slices, "LEAST", 10**12)
            return counted()

    monkeypatch.setattr(lake_slices, "LEAST", 0)
    assert counted() == whole()
    windows = []
    hours = lake_slices._hours
    monkeypatch.setattr(lake_slices, "_hours", lambda span, files: (windows.append(hours(span, files)), hours(span, files))[1])
    at = START + timedelta(days=3, hours=5, minutes=50)
    for tag, first, last in (("a", at, at + timedelta(minutes=20)), ("b", at + timedelta(hours=18), at + timedelta(hours=18, minutes=9))):
        fill(lake, 60, first, last, tag=tag)
        assert counted() == whole()
    day = START + timedelta(days=3)
    assert windows[0] == (day + timedelta(hours=5), day + timedelta(hours=7))
    assert windows[1] == (day + timedelta(hours=5), day + timedelta(days=1))
    fill(lake, 3, START + timedelta(days=2, hours=23, minutes=59), START + timedelta(days=3, minutes=1), tag="midnight")
    assert counted() == whole()


@pytest.mark.parametrize("nights", [False, True])
def test_keys_that_came_are_counted_again_alone(lake: Lake, nights: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many calls have so many records of a day, or of a night: late records of known calls, a correction, a merge of files, what a day is told."""
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    unit = lake_slices.NIGHT_OF if nights else lake_slices.DAY_OF
    sql = f"""SELECT records, sum(ms) AS ms, count(*) AS calls, {{sign}} AS sign, slice FROM (
        SELECT dup_group_key, count(*) AS records, round(sum(duration_ms))::BIGINT AS ms, {unit} AS slice FROM {{calls}}
        WHERE start_time >= $start AND start_time < $end GROUP BY ALL) GROUP BY ALL"""
    meets = Meets("dup_group_key", ("dup_group_key", "duration_ms", "start_time"))
    asked: list[int] = []
    count = lake_slices._Asked.count
    monkeypatch.setattr(lake_slices._Asked, "count", lambda self, run, *bounds: (asked.extend(run), count(self, run, *bounds))[1])

    def counted(told: dict[datetime, list[str]] | None = None) -> dict[int, tuple[int, int]]:
        sums: dict[int, tuple[int, int]] = {}
        for row in lake.by_day(sql, START, END, grows=meets, nights=nights, told=lambda: told or {}).to_pylist():
            known = sums.get(row["records"], (0, 0))
            sums[row["records"]] = (known[0] + row["sign"] * row["calls"], known[1] + row["sign"] * int(row["ms"]))
        return {records: found for records, found in sums.items() if found != (0, 0)}

    def whole() -> dict[int, tuple[int, int]]:
        with monkeypatch.context() as patch:
            patch.setattr(lake_slices, "LEAST", 10**12)
            return counted()

    def came(tag: str, hour: int) -> None:
        at = START + timedelta(days=3, hours=hour)
        fill(lake, 60, at, at + timedelta(hours=3), tag=tag, other={"dup_group_key": "'litellm:' || (2100 + i * 7)"})

    assert counted() == whole()
    for number, hour in enumerate((1, 8, 20)):
        asked.clear()
        came(f"late{number}", hour)
        assert counted() == whole()
        assert asked == []
    assert max(counted()) >= 3
    lake._write(
        lambda connection: connection.execute("UPDATE lake.calls SET dup_group_key = 'one' WHERE ingest_row < 2400 AND ingest_row > 2300")
    )
    assert counted() == whole()
    lake.compact()
    assert counted() == whole()
    came("again", 2)
    assert counted() == whole()
    asked.clear()
    came("told", 3)
    assert counted({START + timedelta(days=3, hours=12 * nights): ["something"]}) == whole()
    assert asked, "what a day is told is part of its answer"


def test_the_files_of_a_postgres_catalog_are_found_by_their_paths(
    tmp_path: Path, new_postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    made = Lake(new_postgres(), str(tmp_path / "data"), "acme", lock_dir=tmp_path)
    fill(made, 2_000, START, END)
    facts(made)
    whole: list[int] = []
    note = lake_slices._Asked.note
    monkeypatch.setattr(lake_slices._Asked, "note", lambda asked, number: (whole.append(number), note(asked, number))[1])
    fill(made, 20, START + timedelta(days=3), START + timedelta(days=3, hours=2), tag="late")
    assert facts(made) == directly(made, monkeypatch)
    assert whole == []
    made.close()
