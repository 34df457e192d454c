"""What witnesses lost, counted by days that are kept: equal to one join over the whole window, also for calls around midnight and after new calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from governor.actions.context import Context
from governor.actions.lost_calls import ENDS_ONLY, NAMED, SHARED, Loss, compared, tells_names
from governor.store import lake_slices
from governor.store.lake import Lake
from governor.store.lake_meets import Meets

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 5, tzinfo=UTC)
# one join over everything: what the days have to add up to
WHOLE = f"""
WITH seen AS (
    SELECT coalesce(source_instance, '') AS source, source_kind AS kind, split_part(source_kind, '.', 1) AS family, status, start_time, source_record_id,
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
FROM missing GROUP BY ALL ORDER BY ALL"""
# Four witnesses of the calls of one gateway, one of another gateway's, one that saw other traffic; each loses some, all disagree by up to
# `apart` seconds about when a call began; failed calls have attempts of one alias.
MADE = """INSERT INTO lake.calls BY NAME
SELECT sha256('{tag}' || i || kind || source) AS record_id, 0::UBIGINT AS record_hash, source AS source_instance, kind AS source_kind, true AS cost_bearing,
    '{tag}' || i || '-' || (i % 3) AS source_record_id, began + to_milliseconds((hash(i, source, kind) % ({apart} * 1000))::BIGINT) AS start_time,
    CASE WHEN i % 7 = 0 THEN 'error' WHEN i % 101 = 0 THEN NULL ELSE 'ok' END AS status,
    CASE WHEN i % 31 = 0 THEN NULL ELSE name || '{tag}' || i END AS dup_group_key, CASE WHEN i % 7 = 0 THEN name || '{tag}' || (i - i % 2) END AS dup_alias_key
FROM (SELECT i, TIMESTAMPTZ '{start}' + to_seconds(i * {gap}) AS began FROM range({rows}) t(i)),
    (VALUES ('a', 'litellm.spend_logs', 'k', 5, 0), ('b', 'litellm.generic_api', 'k', 4, 0), ('it''s {{calls}}', 'litellm.s3', 'k', 2, 0),
        (NULL, 'otlp.span', 'k', 3, 0), ('z', 'otlp.span', 'k', 9, 900), ('c', 'litellm.spend_logs', 'other', 9, 0), ('one', 'kong.http', 'k', 9, 0)
    ) AS w(source, kind, name, keeps, after)
WHERE hash(i, source, kind, 1) % 10 < keeps + 5 * (i % 2) AND i >= after"""


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = Lake(str(tmp_path / "catalog.sqlite"), str(tmp_path / "data"), "acme", lock_dir=tmp_path)
    add(made, "first", 3_600, START - timedelta(hours=3), gap=100)
    yield made
    made.close()


def add(lake: Lake, tag: str, rows: int, start: datetime, *, gap: int, apart: int = 300, only: str = "true") -> None:
    sql = MADE.format(tag=tag, rows=rows, start=start.isoformat(), gap=gap, apart=apart) + f" AND {only}"
    lake._write(lambda connection: connection.execute(sql))


def by_days(lake: Lake, start: datetime = START, end: datetime = END) -> list[Loss]:
    return compared(cast(Context, SimpleNamespace(lake=lake)), start, end)


def at_once(lake: Lake, start: datetime = START, end: datetime = END) -> list[Loss]:
    rows: list[dict[str, Any]] = lake.query(WHOLE, {"start": start, "end": end, "ends_only": list(ENDS_ONLY)}).to_pylist()
    plain = ("source", "kind", "by_source", "by_kind", "both_saw", "lost", "lost_ok")
    return [Loss(*(row[name] for name in plain), tuple(row["named"])) for row in rows]


@pytest.mark.parametrize("least", [0, 10**9])
def test_days_add_up_to_the_window(lake: Lake, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", least)
    expected = at_once(lake)
    assert len({(one.source, one.kind) for one in expected}) >= 4
    assert any(one.lost > NAMED and one.lost > one.ok > 0 for one in expected)
    assert by_days(lake) == expected
    assert by_days(lake) == expected  # from what was kept
    hours = (START + timedelta(hours=5), END - timedelta(hours=7))
    assert by_days(lake, *hours) == at_once(lake, *hours)


def test_around_midnight_calls_meet(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    before = by_days(lake)
    add(lake, "night", 600, START + timedelta(days=1, hours=23, minutes=55), gap=1, apart=240)
    after = by_days(lake)
    assert after == at_once(lake) != before


def test_late_calls_of_a_past_day_change_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    before = by_days(lake)
    add(lake, "late", 50, START + timedelta(days=2, hours=12), gap=10)
    assert by_days(lake) == at_once(lake) != before


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The days that are counted whole, or for their names alone."""
    days: list[str] = []
    plain = lake_slices._Asked.note

    def note(asked: lake_slices._Asked, number: int) -> None:
        if isinstance(asked.grows, Meets):
            days.append(f"{asked.spans[number].day:%d}" + " names" * (asked.grows.sound is tells_names))
        plain(asked, number)

    monkeypatch.setattr(lake_slices._Asked, "note", note)
    return days


def test_a_day_to_which_records_of_its_calls_come_is_not_counted_again(
    lake: Lake, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late witnesses of calls that were lost, of calls that both had, earlier and failed attempts, and around midnight."""
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    share = "hash(i, coalesce(source, ''), 5) % 60"
    night, noon = START + timedelta(days=1, hours=22), START + timedelta(days=2, hours=12)
    for tag, start in (("night", night), ("noon", noon)):
        add(lake, tag, 3_000, start, gap=3, only=f"{share} >= 9")
    found = [by_days(lake)]
    counted.clear()
    for low in range(0, 9, 3):
        for tag, start in (("night", night), ("noon", noon)):
            add(lake, tag, 3_000, start, gap=3, only=f"{share} BETWEEN {low} AND {low + 2}")
        found.append(by_days(lake))
        assert found[-1] == at_once(lake) != found[-2]
    assert found[-1][0].both > found[0][0].both
    assert all(one.endswith("names") for one in counted), "calls that were found are among the first of a dense hour, and leave its list"


def test_names_of_a_list_that_was_cut_are_looked_up_again(lake: Lake, counted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    day = START + timedelta(days=2)
    window = (day + timedelta(hours=9), day + timedelta(hours=20))
    lagging = "coalesce(source, '') = 'b' AND i BETWEEN {} AND {}"
    add(lake, "dense", 4_000, day + timedelta(hours=10), gap=1, apart=5, only=f"NOT ({lagging.format(0, 900)})")
    first = by_days(lake, *window)
    assert any(one.lost > NAMED for one in first)
    counted.clear()
    add(lake, "dense", 4_000, day + timedelta(hours=10), gap=1, apart=5, only=lagging.format(0, 30))
    second = by_days(lake, *window)
    assert second == at_once(lake, *window) != first
    add(lake, "dense", 4_000, day + timedelta(hours=10), gap=1, apart=5, only=lagging.format(31, 900))
    assert by_days(lake, *window) == at_once(lake, *window) != second
    assert set(counted) == {"03 names"}


def test_a_correction_and_a_merge_of_files_are_counted_whole(lake: Lake, counted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    before = by_days(lake)
    add(lake, "late", 50, START + timedelta(days=2, hours=12), gap=10)
    by_days(lake)
    counted.clear()
    sql = (
        "UPDATE lake.calls SET dup_group_key = 'another ' || dup_group_key WHERE source_instance = 'b' AND start_time::DATE = '2026-10-02'"
    )
    lake._write(lambda connection: connection.execute(sql))
    corrected = by_days(lake)
    assert corrected == at_once(lake) != before
    assert "02" in counted
    lake.compact()
    assert by_days(lake) == corrected
    add(lake, "later", 50, START + timedelta(days=1, hours=12), gap=10)
    assert by_days(lake) == at_once(lake) != corrected


def test_one_witness_alone_lost_nothing(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "catalog.sqlite"), str(tmp_path / "data"), "acme", lock_dir=tmp_path)
    assert by_days(lake) == []
    lake.close()
