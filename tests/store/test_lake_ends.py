"""Looking at little of a large lake: its first and last call, a call by id, epochs of days that are kept; each equal to looking at everything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from made_lake import fill

from governor.store import lake_slices
from governor.store.lake import Lake
from governor.store.lake_facts import epoch_of

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 6, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = Lake(str(tmp_path / "catalog.sqlite"), str(tmp_path / "data"), "acme", lock_dir=tmp_path)
    fill(made, 1_000, START, END)
    yield made
    made.close()


def everything(lake: Lake, where: str) -> tuple[datetime, datetime]:
    [row] = lake.query(f"SELECT min(start_time) AS first, max(start_time) AS last FROM lake.calls WHERE {where}").to_pylist()
    return row["first"], row["last"]


def test_ends_of_an_empty_lake(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "catalog.sqlite"), str(tmp_path / "data"), "acme", lock_dir=tmp_path)
    assert lake.ends() is lake.ends(bearing=False) is None
    fill(lake, 50, START, END)
    lake._write(lambda connection: connection.execute("UPDATE lake.calls SET cost_bearing = false"))
    assert lake.ends() is None
    assert lake.ends(bearing=False) == everything(lake, "true")
    lake.close()


def test_ends_are_those_of_all_rows(lake: Lake) -> None:
    before = lake.snapshot_id()
    old = lake.ends()
    fill(lake, 20, START - timedelta(days=40), START - timedelta(days=39), tag="early")
    fill(lake, 20, END + timedelta(days=300), END + timedelta(days=301), tag="late")
    # the outermost calls of each end bear no cost: other witnesses of what is not there
    lake._write(lambda connection: connection.execute(f"UPDATE lake.calls SET cost_bearing = false WHERE start_time > TIMESTAMPTZ '{END}'"))
    lake._write(
        lambda connection: connection.execute(
            f"UPDATE lake.calls SET cost_bearing = false WHERE start_time < TIMESTAMPTZ '{START - timedelta(days=39, hours=6)}'"
        )
    )
    assert lake.ends() == everything(lake, "cost_bearing") != old
    assert lake.ends(bearing=False) == everything(lake, "true") != lake.ends()
    assert lake.ends(snapshot=before) == old
    lake._write(lambda connection: connection.execute(f"DELETE FROM lake.calls WHERE start_time > TIMESTAMPTZ '{START}'"))
    lake.compact()
    assert lake.ends(bearing=False) == everything(lake, "true")


def test_calls_by_id_are_found_wherever_they_are(lake: Lake) -> None:
    ids = lake.query("SELECT record_id FROM lake.calls ORDER BY start_time").column("record_id").to_pylist()
    wanted = [ids[3], ids[-5], "0" * 64]
    assert lake.calls(wanted).column("record_id").to_pylist() == [ids[3], ids[-5]]
    assert lake.calls([ids[7]], columns=["record_id", "status"], snapshot=lake.snapshot_id()).num_rows == 1
    assert lake.calls(["0" * 64]).num_rows == lake.calls([]).num_rows == 0
    assert lake.calls([ids[3]], start=END).num_rows == 0


@pytest.mark.parametrize("least", [0, 10**9])
def test_epochs_of_kept_days_go_on_from_the_days_before(lake: Lake, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", least)
    marks = [START + timedelta(hours=hours) for hours in (7, 24, 24.5, 80)]
    counted = "count(*) AS calls FROM {calls} WHERE start_time >= $start AND start_time < $end GROUP BY ALL"
    expected = lake.query(
        f"SELECT {epoch_of(marks)} AS epoch, {counted.replace('{calls}', 'lake.calls')}", {"start": START, "end": END}
    ).to_pylist()
    for some in ([], marks, marks):  # the second time from what was kept; the days without a mark were kept before
        days = lake.by_day(f"SELECT {{epoch}} AS epoch, {lake_slices.SLICE_OF}, {counted}", START, END, some)
        sums: dict[int, int] = {}
        for row in days.to_pylist():
            sums[row["epoch"]] = sums.get(row["epoch"], 0) + row["calls"]
        assert sums == ({row["epoch"]: row["calls"] for row in expected} if some else {0: 1_000})
