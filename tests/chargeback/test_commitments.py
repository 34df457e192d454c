"""What a commitment covers and comes to, beside the same worked out with fractions."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from governor.catalog.commitment import CommitmentDocument
from governor.chargeback.amounts import usd
from governor.chargeback.commitments import Settled, charge_lines, commitments_document, covering, settle
from governor.chargeback.lines import Line
from governor.prices.price import PICO
from tests.chargeback.test_shared_costs import line

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
HOURS = 31 * 24


def bought(name: str = "held", **given: Any) -> CommitmentDocument:
    fields = {"id": name, "provider": "openai", "starts": "2026-10-01", "ends": "2026-11-01", "unused": {"cost_center": "D"}}
    return CommitmentDocument.model_validate(fields | ({} if "provisioned" in given else {"monthly_amount": "100"}) | given)


def use(number: int, pico: int, mark: str = "spend/held", **given: Any) -> Line:
    return line(f"C{number % 3}", pico, workflow_id=f"wf-{number}", commitment=mark, **given)


def by_hand(amount: Fraction, weights: list[Fraction], ids: list[str]) -> list[int]:
    """Largest remainder: what is cut off goes to the largest remainders, then to the smaller id."""
    exact = [amount * weight / sum(weights) for weight in weights]
    parts = [int(one) for one in exact]
    for place in sorted(range(len(parts)), key=lambda place: (parts[place] - exact[place], ids[place]))[: int(amount) - sum(parts)]:
        parts[place] += 1
    return parts


@pytest.mark.parametrize("seed", range(40))
def test_money_covers_its_amount_by_the_value_of_each_line(seed: int) -> None:
    draw = random.Random(seed)
    days = draw.choice((31, 15))
    one = bought(monthly_amount=f"0.{draw.randrange(1, 10**6):06d}", ends=f"2026-10-{days:02d}" if days < 31 else "2027-01-01")
    lines = [use(number, draw.randrange(10 ** draw.randint(3, 12))) for number in range(draw.randint(1, 9))]
    cost = round(Fraction(one.monthly_amount or "") * PICO * Fraction(days - (days < 31), 31))
    value = sum(line.contracted_pico for line in lines)
    made, [settled] = settle(lines, [one], START, END, "UTC")
    assert (settled.cost_pico, settled.value_pico, settled.used_pico) == (cost, value, min(cost, value))
    assert settled.unused_pico == max(0, cost - value)
    ordered = sorted(lines, key=lambda line: line.line_id)
    ids = [line.line_id for line in ordered]
    worth = [Fraction(line.contracted_pico) for line in ordered]
    shares = by_hand(Fraction(min(cost, value)), worth, ids)
    part = by_hand(Fraction(cost), worth, ids) if value > cost else [line.contracted_pico for line in ordered]
    covered = {(line.workflow_id): line for line in made if line.price_source == "commitment"}
    assert [covered[line.workflow_id].covered_pico for line in ordered] == part
    assert [covered[line.workflow_id].effective_pico for line in ordered] == shares
    assert {line.contracted_pico for line in covered.values()} == {0}
    rest = {line.workflow_id: line for line in made if line.price_source != "commitment"}
    assert {name: (line.contracted_pico, line.calls) for name, line in rest.items()} == {
        line.workflow_id: (line.contracted_pico - one, 0) for line, one in zip(ordered, part, strict=True) if line.contracted_pico > one
    }, "beyond it, each line's rest; its calls are counted once"
    for given in lines:
        both = [one for one in made if one.workflow_id == given.workflow_id]
        assert sum(one.quantity for one in both) == given.quantity
        assert sum(one.list_pico for one in both) == given.list_pico
        paid = covered[given.workflow_id].covered_pico
        if paid < given.contracted_pico:
            split = [Fraction(paid), Fraction(given.contracted_pico - paid)]
            assert covered[given.workflow_id].quantity == by_hand(Fraction(given.quantity), split, ["0", "1"])[0], (
                "as much of its use as of its worth"
            )


CAPACITY = {"units": 3, "hourly_rate": "2.50", "tokens_per_minute": 1000, "weights": {"output": "3.5"}}


@pytest.mark.parametrize("tokens", [0, 40_000_000, 133_919_999, 133_920_000, 200_000_000])
def test_capacity_is_used_by_weighted_tokens(tokens: int) -> None:
    """3 units x 744 hours x 60 minutes x 1000 tokens have room for 133,920,000; two tokens of output weigh seven."""
    one = bought(provisioned=CAPACITY)
    lines = [use(0, 5, "capacity/held", quantity=tokens - 7), use(1, 9, "capacity/held", quantity=2, meter="output")] if tokens else []
    lines += [use(2, 10**14, "capacity/held", quantity=10**9, meter="image")]
    made, [settled] = settle(lines, [one], START, END, "UTC")
    cost, room = 3 * HOURS * 5 * PICO // 2, 3 * HOURS * 60 * 1000
    assert settled.cost_pico == cost
    assert settled.used_pico == (cost if tokens >= room else round(Fraction(cost * tokens, room)))
    assert settled.words.endswith(f"{tokens:,} of 133,920,000 weighted tokens")
    assert ("all of it used" in settled.words) is (tokens >= room)
    shares = {line.workflow_id: line.effective_pico for line in made}
    assert shares["wf-2"] == 0 or not tokens, "pictures are no tokens"
    ordered = sorted(lines, key=lambda one: one.line_id)
    weights = [Fraction({"input": "1", "output": "3.5"}.get(one.meter, "0")) * one.quantity for one in ordered]
    by_weight = by_hand(Fraction(settled.used_pico), weights, [one.line_id for one in ordered]) if tokens else [0]
    assert [shares[one.workflow_id] for one in ordered] == by_weight
    assert commitments_document([settled])[0]["covered_value"] == usd(sum(one.contracted_pico for one in lines)), (
        "worth more than it costs, or less"
    )
    assert {line.contracted_pico for line in made} == {0}, "whatever the capacity is used for costs nothing more"


def test_capacity_without_a_throughput_is_used_by_what_its_calls_are_worth() -> None:
    one = bought(provisioned={"units": 2, "hourly_rate": "0.001"}, starts="2026-10-31T12:30:00Z", ends="2026-12-01")
    _, [settled] = settle([use(0, 7_000_000, "capacity/held")], [one], START, END, "UTC")
    assert (settled.cost_pico, settled.used_pico) == (23 * PICO // 1000, 7_000_000), "11.5 hours x 2 x 0.001"
    assert commitments_document([settled])[0]["quantity"] == "23"
    dear = [use(0, PICO, "capacity/held", quantity=1), use(1, 3 * PICO, "capacity/held", quantity=10**9)]
    made, [settled] = settle(dear, [one], START, END, "UTC")
    assert settled.used_pico == settled.cost_pico, "no more than it costs"
    assert {line.contracted_pico for line in made} == {0}, "and nothing is charged beyond it"
    assert {line.workflow_id: line.effective_pico for line in made} == {"wf-0": 5_750_000_000, "wf-1": 17_250_000_000}, "by their worth"
    odd = bought("odd", provisioned={"units": 1, "hourly_rate": "0.0000000000015"}, starts="2026-10-31T22:30:00Z", ends="2026-12-01")
    money = bought("a")
    _, both = settle([], [money, odd], START, END, "UTC")
    assert [(one.document.id, one.cost_pico) for one in both] == [("odd", 2), ("a", 100 * PICO)], (
        "2.25 pico-USD; in the order of their marks"
    )
    assert commitments_document(both)[0]["quantity"] == "1.5000"


def test_equal_lines_share_alike_in_whichever_order_they_come() -> None:
    lines = [use(number, 10) for number in range(3)]
    one = bought(monthly_amount="0.00000000002")
    made = [settle(order, [one], START, END, "UTC")[0] for order in (lines, lines[::-1])]
    parts = [{line.workflow_id: line.covered_pico for line in found if line.price_source == "commitment"} for found in made]
    assert parts[0] == parts[1]
    assert [parts[0][one.workflow_id] for one in sorted(lines, key=lambda one: one.line_id)] == [7, 7, 6], "ties go to the smaller id"


def test_what_holds_in_no_part_of_the_month_comes_to_nothing_and_keeps_its_lines() -> None:
    before, after = bought("b", starts="2026-09-01", ends="2026-10-01"), bought("a", starts="2026-11-01", ends="2026-12-01")
    lines = [use(0, 5, "spend/a"), use(1, 6, "spend/b"), use(2, 7, "spend/gone"), use(3, 8, "")]
    made, settled = settle(lines, [before, after], START, END, "UTC")
    assert settled == []
    assert sorted(made, key=lambda line: line.contracted_pico) == lines


@pytest.mark.parametrize(
    ("unused", "wanted"),
    [
        ({"cost_center": "D"}, {"D": 70}),
        ({"percents": {"X": "33.3", "Y": "66.7"}}, {"X": 23, "Y": 47}),
        ({"cost_center": "D", "by": "use"}, {"C0": 23, "C1": 47}),
    ],
    ids=["one", "percents", "by_use"],
)
def test_who_pays_for_what_nobody_used(unused: dict[str, Any], wanted: dict[str, int]) -> None:
    one = bought(unused=unused, monthly_amount="0.0000000001")
    made, settled = settle([use(0, 10), use(1, 20)], [one], START, END, "UTC")
    charged = charge_lines(made, settled, "2026-10")
    assert {line.cost_center: line.contracted_pico for line in charged if line.meter == "commitment_used"} == {"C0": 10, "C1": 20}
    assert {line.cost_center: line.contracted_pico for line in charged if line.meter == "commitment_unused"} == wanted
    assert {(line.list_pico, line.calls, line.quantity) for line in charged} == {(0, 0, 1)}
    idle = charge_lines([], settle([], [one], START, END, "UTC")[1], "2026-10")
    assert sum(line.contracted_pico for line in idle) == 100, "also in a month without any use"
    assert {line.meter for line in idle} == {"commitment_unused"}


def group(**given: Any) -> Any:
    values = {"traffic_class": "production", "provider": "openai", "model": "gpt-4o", "service_tier": None, "epoch_start": START} | given
    return SimpleNamespace(rated=SimpleNamespace(status=values.pop("status", "priced")), **values)


@pytest.mark.parametrize(
    ("given", "mark"),
    [
        ({}, "spend/m"),
        ({"provider": "anthropic"}, ""),
        ({"model": "GPT-4o-2024"}, "spend/m"),
        ({"model": "o3"}, "spend/rest"),
        ({"model": None}, "spend/rest"),
        ({"service_tier": "priority"}, "capacity/z"),
        ({"service_tier": "flex"}, "spend/m"),
        ({"traffic_class": "shadow"}, ""),
        ({"status": "unpriced"}, ""),
        ({"status": "zero_rated"}, ""),
        ({"epoch_start": START - timedelta(microseconds=1)}, ""),
        ({"epoch_start": datetime(2026, 10, 31, 22, 59, 59, tzinfo=UTC)}, "spend/m"),
        ({"epoch_start": datetime(2026, 10, 31, 23, tzinfo=UTC)}, "spend/rest"),
    ],
)
def test_what_covers_a_call(given: dict[str, Any], mark: str) -> None:
    """Capacity before money, then by id; until the first instant that it no longer holds, in the billing zone."""
    bought_ahead = [
        bought("rest", ends="2027-01-01", starts="2026-10-01T00:00:00Z"),
        bought("m", models=["GPT-4o"], starts="2026-10-01T00:00:00Z"),
        bought("z", provisioned=CAPACITY, service_tiers=["priority"], starts="2026-10-01T00:00:00Z"),
    ]
    asked = covering(bought_ahead, lambda _, model: "gpt-4o" if model.lower() == "gpt-4o-2024" else "", "Europe/Berlin")
    assert asked(group(**given)) == mark


def test_the_document_of_a_commitment_adds_up() -> None:
    one = Settled(bought(), 100 * PICO, 25 * PICO, 300 * PICO, Fraction(HOURS), "words")
    found = commitments_document([one])[0]
    assert (found["cost"], found["used"], found["unused"], found["used_percent"]) == ("100.00", "25.00", "75.00", "25.00")
    assert (found["covered_value"], found["quantity"], found["unit"]) == ("100.00", "100.00", "USD")
