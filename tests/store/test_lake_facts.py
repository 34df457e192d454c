"""The month in sums: exact, grouped by what rules ask, cut at epochs and bands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from governor.attribution import SEPARATOR, TELLING, telling_of
from governor.errors import Invalid
from governor.store.lake import Lake
from governor.store.lake_facts import epoch_of

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OCTOBER = (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
Make = Callable[..., Any]


def test_only_cost_bearing_calls_of_the_month_are_summed(lake: Lake, make_call: Make, make_batch: Make) -> None:
    start, end = OCTOBER
    calls = [
        make_call("first", start_time=start, cost_amount=Decimal("0.000000000001")),
        make_call("last", start_time=end - timedelta(microseconds=1), cost_amount=Decimal("123456789.000000000002")),
        make_call("before", start_time=start - timedelta(microseconds=1)),
        make_call("after", start_time=end),
        make_call("shadow", traffic_class="shadow"),
        make_call("loser", dup_group_key="response:first", source_kind="otlp.gen_ai"),
    ]
    lake.ingest("b1", [make_batch(*calls)], NOW)
    [row] = lake.month_facts(*OCTOBER).to_pylist()
    assert (row["calls"], row["input_tokens"], row["output_tokens"]) == (2, 200, 40)
    assert row["cost_amount"] == Decimal("123456789.000000000003")
    assert (row["first_start_time"], row["last_start_time"]) == (start, end - timedelta(microseconds=1))
    assert sorted(row["examples"]) == ["first", "last"]
    assert (row["epoch"], row["context_band"], row["day"]) == (0, 0, None)


def test_unknown_usage_is_null_and_counted(lake: Lake, make_call: Make, make_batch: Make) -> None:
    blind = {"input_tokens": None, "output_tokens": None}
    lake.ingest("b1", [make_batch(make_call("a", **blind, team_id="x"), make_call("b", **blind, status="error", team_id="y"))], NOW)
    rows = {row["team_id"]: row for row in lake.month_facts(*OCTOBER, keys=["team_id"]).to_pylist()}
    assert (rows["x"]["input_tokens"], rows["x"]["cost_amount"], rows["x"]["usage_unknown_calls"]) == (None, None, 1)
    assert (rows["y"]["status"], rows["y"]["usage_unknown_calls"]) == ("error", 0)


def test_calls_that_know_half_of_their_usage_are_unknown_and_summed_apart(lake: Lake, make_call: Make, make_batch: Make) -> None:
    calls = [
        make_call("whole", input_tokens=100, output_tokens=10),
        make_call("in", input_tokens=70, output_tokens=None),
        make_call("out", input_tokens=None, output_tokens=7),
    ]
    lake.ingest("b1", [make_batch(*calls)], NOW)
    rows = lake.month_facts(*OCTOBER).to_pylist()
    found = {(row["input_tokens"], row["output_tokens"]): (row["calls"], row["usage_unknown_calls"]) for row in rows}
    assert found == {(100, 10): (1, 0), (70, None): (1, 1), (None, 7): (1, 1)}


def test_the_uncached_class_is_derived_where_the_source_left_it_out(lake: Lake, make_call: Make, make_batch: Make) -> None:
    calls = [
        make_call("derived", input_tokens=100, cache_read_tokens=30, cache_write_tokens=20, cache_write_1h_tokens=5),
        make_call("said", input_tokens=10, input_uncached_tokens=9, cache_read_tokens=1),
    ]
    lake.ingest("b1", [make_batch(*calls)], NOW)
    [row] = lake.month_facts(*OCTOBER).to_pylist()
    assert (row["input_tokens"], row["input_uncached_tokens"], row["cache_read_tokens"]) == (110, 59, 31)
    assert (row["cache_write_tokens"], row["cache_write_1h_tokens"], row["cache_write_5m_tokens"]) == (20, 5, None)


def test_keys_of_every_kind(lake: Lake, make_call: Make, make_batch: Make) -> None:
    odd = 'it\'s "odd"'
    call = make_call("a", tags=["x", "y"], metadata=[(odd, "v"), ("workflow", "fnol")], team_id="t", attempt_count=2)
    lake.ingest("b1", [make_batch(call, make_call("b"))], NOW)
    names = ["tag", "source", "team_id", "metadata.workflow", f"metadata.{odd}", "attempt_count", "environment"]
    rows = {row["team_id"]: row for row in lake.month_facts(*OCTOBER, keys=names).to_pylist()}
    assert [rows["t"][name] for name in names] == [f"x{SEPARATOR}y", "prod", "t", "fnol", "v", "2", None]
    assert [rows[None][name] for name in names] == [None, "prod", None, None, None, None, None]
    with pytest.raises(Invalid, match="no call has"):
        lake.month_facts(*OCTOBER, keys=["record_id); DROP TABLE lake.calls; --"])


def test_epochs_bands_and_days_cut_the_month(lake: Lake, make_call: Make, make_batch: Make) -> None:
    boundary = datetime(2026, 10, 10, tzinfo=UTC)
    calls = [
        make_call("a", start_time=boundary - timedelta(microseconds=1), input_tokens=199),
        make_call("b", start_time=boundary, input_tokens=200),
        make_call("c", start_time=boundary, input_tokens=None, output_tokens=None),
    ]
    lake.ingest("b1", [make_batch(*calls)], NOW)
    rows = lake.month_facts(*OCTOBER, boundaries=[boundary], bands=[200], day_zone="UTC").to_pylist()
    assert [(row["epoch"], row["context_band"], row["day"], row["calls"]) for row in rows] == [
        (0, 0, "2026-10-09", 1),
        (1, 1, "2026-10-10", 1),
        (1, None, "2026-10-10", 1),
    ]


def test_days_are_those_of_the_zone(lake: Lake, make_call: Make, make_batch: Make) -> None:
    late = datetime(2026, 10, 9, 22, 30, tzinfo=UTC)  # after midnight in Berlin
    lake.ingest("b1", [make_batch(make_call("a", start_time=late), make_call("b", start_time=late + timedelta(days=20)))], NOW)
    rows = lake.month_facts(*OCTOBER, day_zone="Europe/Berlin").to_pylist()
    assert sorted(row["day"] for row in rows) == ["2026-10-10", "2026-10-29"]  # the clock went back on the 25th


@pytest.mark.parametrize("count", [0, 1, 2, 7, 40])
def test_an_epoch_counts_the_boundaries_passed(count: int) -> None:
    marks = [datetime(2026, 10, 1, tzinfo=UTC) + timedelta(hours=7 * number) for number in range(count)]
    probes = [mark + shift for mark in marks for shift in (timedelta(microseconds=-1), timedelta(0))] + [datetime(2026, 12, 1, tzinfo=UTC)]
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.register("probes", pa.table({"start_time": pa.array(probes, pa.timestamp("us", tz="UTC"))}))
        found = engine.execute(f"SELECT {epoch_of(marks)} FROM probes").fetchall()
    assert [row[0] for row in found] == [sum(mark <= probe for mark in marks) for probe in probes]


def test_the_sums_do_not_depend_on_how_the_calls_came(lake: Lake, make_call: Make, make_batch: Make) -> None:
    calls = [make_call(f"c{number:03}", cost_amount=Decimal(number) / 7, team_id=f"t{number % 3}") for number in range(90)]
    for call in calls:
        call["cost_amount"] = call["cost_amount"].quantize(Decimal("0.000000000001"))
    lake.ingest("b0", [make_batch(*calls[:10])], NOW)
    once = lake.snapshot_id()
    lake.ingest("b1", [make_batch(*calls[5:60])], NOW)
    lake.ingest("b2", [make_batch(*reversed(calls))], NOW)
    facts = lake.month_facts(*OCTOBER, keys=["team_id"]).to_pylist()
    assert [row["calls"] for row in facts] == [30, 30, 30]
    assert sum(row["cost_amount"] for row in facts) == sum(call["cost_amount"] for call in calls)
    assert sum(row["calls"] for row in lake.month_facts(*OCTOBER, keys=["team_id"], snapshot=once).to_pylist()) == 10


def test_calls_with_none_of_the_fields_that_are_asked_are_told_apart_by_what_else_they_carry(
    lake: Lake, make_call: Make, make_batch: Make
) -> None:
    silent = {"app": None, "tags": None, "api_key_alias": None, "team_id": None, "metadata": None}
    role = "arn:aws:sts::111111111111:assumed-role/path/rag-task"
    calls = [
        make_call("known", **silent | {"app": "letters", "team_id": "t-1"}),
        make_call("one", **silent, principal=f"{role}/i-1"),
        make_call("two", **silent, principal=f"{role}/i-2"),
        make_call("user", **silent, principal="arn:aws:iam::111111111111:user/ann"),
        make_call("tagged", **silent | {"tags": ["", "x"], "app": "", "team_id": "t-2"}),
        make_call("nothing", **silent),
    ]
    lake.ingest("b1", [make_batch(*calls)], NOW)
    for shape in ({}, {"day_zone": "Europe/Berlin"}):
        found = {row[TELLING]: row["calls"] for row in lake.month_facts(*OCTOBER, keys=["app", TELLING], **shape).to_pylist()}
        assert {telling and tuple(telling.split(SEPARATOR)): count for telling, count in found.items()} == {
            None: found[None],
            ("principal", f"{role}/*"): 2,
            ("principal", "arn:aws:iam::111111111111:user/ann"): 1,
            ("team_id", "t-2"): 1,
        }
    assert telling_of({"principal": f"{role}/i-1"}) == ("principal", f"{role}/*")  # as the lake says it
