"""A month that is governed again after new calls is the month governed from nothing; what answers were made of is asked about each time."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from governor.actions import governed_rows
from governor.actions.apply import apply
from governor.actions.context import OPERATOR, SYSTEM, Context, open_context
from governor.actions.forecast_month import HISTORY_MONTHS
from governor.actions.govern import GovernedMonth, govern_month
from governor.actions.governed_rows import KEPT, Part, known_parts, remember_parts, rows_of
from governor.actions.import_prices import import_prices
from governor.actions.load_catalog import Timeline
from governor.actions.priced_models import priced_models
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.catalog import parse_documents
from governor.errors import PolicyRefused
from governor.policy.embedded import RegorusEngine
from governor.ports import Batch
from governor.prices.price import price_of
from governor.prices.seed import Seed
from governor.settings import load_settings
from governor.store import lake_slices

NOW = datetime(2026, 11, 2, tzinfo=UTC)
OCTOBER = "2026-10"
CATALOG = """
kind: person
email: dana@acme.example
roles: [owner]
---
kind: workflow
id: triage
owner: dana@acme.example
data_class: internal
match: [{api_key_alias: triage-key}]
routes:
  - {id: current, provider: openai, model: gpt-4o, approved_until: 2026-10-20}
---
kind: contract_price
provider: openai
model: gpt-4o
meter: input
price: {amount: "2.00", per: 1000000, currency: USD}
---
kind: contract_price
provider: openai
model: gpt-4o
meter: output
price: {amount: "10.0000000003", per: 1000000, currency: USD}
"""


def forget() -> None:
    governed_rows._kept.clear()
    governed_rows._decided.clear()


def batch(first: int, size: int) -> Batch:
    """Drawn calls of the month: priced and not, of the workflow and of nobody, with and without usage."""
    draw, calls = random.Random(first), []
    for number in range(first, first + size):
        start = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(minutes=draw.randrange(31 * 24 * 60))
        model = draw.choice(["gpt-4o", "gpt-4o", "fine-ft-7", "gpt-4.1"])
        calls.append(
            {
                "record_id": f"{number:064x}", "revision": 0, "source_kind": "litellm.generic_api", "source_instance": "test",
                "source_record_id": f"call-{number}", "raw_sha256": f"{number:064x}", "grain": "attempt", "cost_bearing": True, "start_time": start,
                "end_time": start, "time_basis": "start", "duration_ms": float(draw.randrange(900)), "provider": "openai", "requested_model": model,
                "response_model": model, "input_tokens": draw.choice([None, draw.randrange(9000)]), "output_tokens": draw.randrange(900),
                "status": draw.choice(["ok", "error"]), "traffic_class": "production", "usage_source": "provider",
                "api_key_alias": draw.choice(["triage-key", "other", None]),
            }
        )  # fmt: skip
    table = pa.Table.from_arrays(
        [pa.array([one.get(field.name) for one in calls], field.type) for field in CALL_SCHEMA], schema=CALL_SCHEMA
    )
    return Batch(table, REJECT_SCHEMA.empty_table(), SPAN_SCHEMA.empty_table(), CONTENT_SCHEMA.empty_table())


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    forget()
    context = open_context(load_settings(home=tmp_path / "home"), create=True)
    context.now = lambda: NOW
    apply(context, OPERATOR, parse_documents(CATALOG, "catalog.yaml"))
    listed = {"kind": "list", "provider": "openai", "model": "gpt-4.1", "per": 1_000_000}
    rows = tuple(price_of({**listed, "meter": meter, "amount": amount}) for meter, amount in (("input", "1"), ("output", "8.00000005")))
    import_prices(context, SYSTEM, Seed("csv", "test", rows, ()))
    context.lake.ingest("batch-1", [batch(0, 400)], NOW)
    yield context
    context.close()


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were governed, each time."""
    from governor.actions import govern

    counts, judge_groups = [], govern.judge_groups

    def counted(ctx: Any, timeline: Any, groups: Any) -> Any:
        counts.append(len(groups))
        return judge_groups(ctx, timeline, groups)

    monkeypatch.setattr(govern, "judge_groups", counted)
    return counts


def both(ctx: Context) -> tuple[GovernedMonth, GovernedMonth]:
    """By day and as a whole."""
    return govern_month(ctx, OCTOBER, by_day=True), govern_month(ctx, OCTOBER)


def from_nothing(ctx: Context) -> tuple[GovernedMonth, GovernedMonth]:
    forget()
    return both(ctx)


def same(one: GovernedMonth, other: GovernedMonth) -> bool:
    facts = [
        (month.groups, [group.keys for group in month.groups], month.coverage, month.snapshot, month.catalog_digest)
        for month in (one, other)
    ]
    return facts[0] == facts[1]


def test_after_new_calls_only_their_rows_are_governed_and_every_answer_is_that_of_governing_all(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = both(ctx)
    counts = counting(monkeypatch)
    assert all(same(*pair) for pair in zip(before, both(ctx), strict=True))
    assert counts == [0, 0]
    ctx.lake.ingest("batch-2", [batch(1000, 5)], NOW)
    after = both(ctx)
    assert 0 < counts[2] <= 5
    assert 0 < counts[3] <= 5
    assert sum(group.calls for group in after[0].groups) == 405
    assert all(same(*pair) for pair in zip(after, from_nothing(ctx), strict=True))
    assert counts[4:] == [len(month.groups) for month in after]
    assert not same(before[1], after[1])


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_days_made_of_the_same_answers_are_told_again_whole(ctx: Context, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """New calls, late ones, a corrected row, a merge of files: each time what governing all from the calls themselves says."""
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    apply(ctx, OPERATOR, parse_documents(f"kind: organization\nname: Acme\nbilling_zone: {zone}", "zone.yaml"))
    read: list[int] = []
    plain = governed_rows.rows_of
    monkeypatch.setattr("governor.actions.govern.rows_of", lambda *given: (read.append(1), plain(*given))[1])

    def as_from_nothing() -> bool:
        again = govern_month(ctx, OCTOBER, by_day=True)
        told = governed_rows.known_parts(next(reversed(governed_rows._kept)))
        forget()
        with monkeypatch.context() as patch:
            patch.setattr(lake_slices, "LEAST", 10**12)
            whole = govern_month(ctx, OCTOBER, by_day=True)
        governed_rows.remember_parts(next(reversed(governed_rows._kept)), told)
        return alike(again) == alike(whole)

    def alike(month: GovernedMonth) -> Any:
        groups = sorted(
            (repr(replace(group, examples=tuple(sorted(group.examples)))), sorted(group.keys.items())) for group in month.groups
        )
        return groups, month.coverage

    def reads(change: Callable[[], Any]) -> int:
        change()
        read.clear()
        assert as_from_nothing()
        return len(read) - 1

    assert reads(lambda: None) >= 31
    assert reads(lambda: None) == 0
    assert 0 < reads(lambda: ctx.lake.ingest("batch-2", [batch(1000, 1)], NOW)) <= 2
    assert reads(lambda: ctx.lake.ingest("batch-3", [batch(2000, 4)], NOW)) > 0
    wrong = "UPDATE lake.calls SET cost_bearing = false WHERE start_time BETWEEN '2026-10-09' AND '2026-10-10 12:00'"
    assert reads(lambda: ctx.lake._write(lambda connection: connection.execute(wrong))) > 0
    reads(ctx.lake.compact)
    assert 0 < reads(lambda: ctx.lake.ingest("batch-4", [batch(3000, 1)], NOW)) <= 2


def test_a_new_price_rule_or_policy_answers_anew(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    before, counts = both(ctx)[1], counting(monkeypatch)
    ctx.now = lambda: NOW + timedelta(hours=1)
    apply(ctx, OPERATOR, parse_documents(CATALOG.replace('"2.00"', '"3.00"'), "catalog.yaml"))
    dearer = govern_month(ctx, OCTOBER)
    assert sum(group.contracted_pico for group in dearer.groups) > sum(group.contracted_pico for group in before.groups)
    apply(ctx, OPERATOR, parse_documents(CATALOG.replace('"2.00"', '"3.00"').replace("triage-key", "other"), "catalog.yaml"))
    moved = govern_month(ctx, OCTOBER, as_of="now")
    assert {group.keys["api_key_alias"] for group in moved.groups if group.workflow_id} == {"other"}
    apply(
        ctx, OPERATOR, parse_documents(CATALOG.replace('"2.00"', '"3.00"').replace("gpt-4o, approved", "gpt-4.1, approved"), "catalog.yaml")
    )
    routed = govern_month(ctx, OCTOBER, as_of="now")
    assert {group.model for group in routed.groups if group.route_status == "approved"} == {"gpt-4.1"}
    assert all(counts)
    assert same(routed, (forget(), govern_month(ctx, OCTOBER, as_of="now"))[1])


def test_an_engine_that_fails_refuses_though_every_answer_is_known(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    govern_month(ctx, OCTOBER)

    def down(*_: object) -> None:
        raise PolicyRefused("the policy server is down")

    monkeypatch.setattr(RegorusEngine, "load", down)
    with pytest.raises(PolicyRefused):
        govern_month(ctx, OCTOBER)


def test_a_month_by_days_and_as_it_is_charged_ask_policy_once(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    plain = RegorusEngine.decide_many
    monkeypatch.setattr(
        RegorusEngine, "decide_many", lambda engine, path, inputs: asked.extend(map(str, inputs)) or plain(engine, path, inputs)
    )
    by_day, whole = govern_month(ctx, OCTOBER, by_day=True), govern_month(ctx, OCTOBER)
    assert len(by_day.groups) > len(whole.groups) > 0
    assert 0 < len(asked) == len(set(asked))
    before = len(asked)
    apply(ctx, OPERATOR, parse_documents(CATALOG.replace("gpt-4o, approved", "gpt-4.1, approved"), "catalog.yaml"))
    govern_month(ctx, OCTOBER, as_of="now")
    assert len(asked) > before


def test_undecided_for_want_of_an_answer_is_asked_again(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(RegorusEngine, "decide_many", lambda _engine, _path, inputs: [None for _ in inputs])
        assert {group.decision.status for group in govern_month(ctx, OCTOBER).groups} == {"undecided"}
    assert "violation" in {group.decision.status for group in govern_month(ctx, OCTOBER).groups}


def test_the_models_a_form_proposes_are_those_of_the_governed_month(ctx: Context) -> None:
    for size in (0, 300):
        if size:
            ctx.lake.ingest("batch-2", [batch(1000, size)], NOW)
        months = both(ctx)
        expected = {(group.provider, group.model) for group in months[0].groups if group.price_status == "priced"}
        assert priced_models(ctx, OCTOBER) == expected == {("openai", "gpt-4o"), ("openai", "gpt-4.1")}
        assert len({group.model for group in months[0].groups}) == 3


def test_rows_are_the_tables_own(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table(
        {
            "text": pa.array(["a", None, "a", ""]),
            "list": pa.array([["x"], None, [], ["y", "z"]], pa.list_(pa.string())),
            "whole": pa.array([1, None, 3, 4]),
            "none": pa.nulls(4, pa.string()),
        }
    )
    for part in (table, table.slice(1, 3), pa.concat_tables([table.slice(2), table.slice(0, 2)]), table.slice(0, 0)):
        told = [(row["text"], tuple(row["list"] or ()), row["whole"], row["none"]) for row in part.to_pylist()]
        assert rows_of(part, part.column_names) == told
    monkeypatch.setattr(governed_rows, "_kept", type(governed_rows._kept)())
    for number in range(KEPT + 1):
        remember_parts(number, {"": Part((), {(number,): "group"}, ["group"])})
        remember_parts(f"empty {number}", {"": Part((), {}, [])})
    assert known_parts(0) == {}
    assert known_parts(KEPT)[""].rows == {(KEPT,): "group"}


def test_large_months_of_earlier_catalogs_take_no_more_room_than_many_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(governed_rows, "_kept", type(governed_rows._kept)())
    monkeypatch.setattr(governed_rows, "MOST_ROWS", 10)
    monkeypatch.setattr(governed_rows, "ALWAYS", 3)

    def month(name: str, groups: int) -> None:
        remember_parts(name, {"": Part((), {}, ["group"] * groups)})

    for number in range(6):
        month(f"changed {number}", 2)
    assert list(governed_rows._kept) == [f"changed {number}" for number in (1, 2, 3, 4, 5)]
    month("larger than all room", 50)
    month("running", 1)
    assert list(governed_rows._kept) == ["changed 5", "larger than all room", "running"]


def test_the_months_of_a_forecast_do_not_drive_out_the_running_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(governed_rows, "_kept", type(governed_rows._kept)())
    monkeypatch.setattr(governed_rows, "MOST_ROWS", 10)
    looked_at = ["running", "charged", *(f"{number} months before" for number in range(1, HISTORY_MONTHS + 1))]
    for name in looked_at:
        remember_parts(name, {"": Part((), {}, ["group"] * 50)})
    assert list(governed_rows._kept) == looked_at


def test_a_catalog_of_many_epochs_is_searched_and_not_copied_for_every_row() -> None:
    looked = []

    class Counted:
        def __init__(self, number: int) -> None:
            self.catalog, self.number = number, number

        @property
        def start(self) -> datetime:
            looked.append(self.number)
            return datetime(2026, 10, 1, tzinfo=UTC) + timedelta(hours=self.number)

    timeline = Timeline(tuple(Counted(number) for number in range(700)), NOW)  # type: ignore[arg-type]
    found = [timeline.at(datetime(2026, 10, 1, tzinfo=UTC) + timedelta(minutes=30 + 60 * number)) for number in range(-2, 702)]
    assert found == [0, 0, *range(700), 699, 699]
    assert len(looked) == 700


def test_the_collector_rests_while_a_month_is_governed_and_works_again_after_it(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    from governor.actions import govern

    judge_groups, working = govern.judge_groups, []
    monkeypatch.setattr(govern, "judge_groups", lambda *given: (working.append(gc.isenabled()), judge_groups(*given))[1])
    govern_month(ctx, OCTOBER)
    assert (working, gc.isenabled()) == ([False], True)
    monkeypatch.setattr(govern, "judge_groups", lambda *_: 1 / 0)
    ctx.lake.ingest("batch-2", [batch(1000, 5)], NOW)
    with pytest.raises(ZeroDivisionError):
        govern_month(ctx, OCTOBER)
    assert gc.isenabled()
