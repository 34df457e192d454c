"""Shared costs and rate plans: every part adds up, nothing is shared out twice, nothing disappears."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governor.catalog import AllocationDocument, AllocationRule, DriverDocument, RatePlanDocument, parse_document
from governor.catalog.allocation import check_allocations, check_rate_plans
from governor.chargeback.allocate import Allocation, allocate, allocation_document
from governor.chargeback.lines import MEASURES, UNALLOCATED, Line
from governor.chargeback.plans import fee, plan_lines
from governor.chargeback.shares import UNITS, ratio_text, ratios, split
from governor.errors import Invalid
from governor.prices.price import PICO

MONTH = "2026-10"


def line(center: str, pico: int, **given: Any) -> Line:
    values: dict[str, Any] = {
        "charge_month": MONTH, "cost_center": center, "workflow_id": f"wf-{center}", "owner": None, "provider": "openai", "model": "gpt-4o", "service_tier": "",
        "traffic_class": "production", "route_status": "approved", "meter": "input", "list_amount": "2.5", "list_per": 1_000_000, "contract_amount": "2.5",
        "contract_per": 1_000_000, "price_source": "list", "quantity": abs(pico) // 2_500_000, "calls": 3, "list_pico": pico, "contracted_pico": pico,
    }  # fmt: skip
    return Line(**values | given)


def rule(name: str, order: int = 10, **fields: Any) -> AllocationRule:
    return AllocationRule(AllocationDocument.model_validate({"id": name, "order": order, **fields}), "d" * 64, None, "finn")


def shared(lines: list[Line], *rules: AllocationRule, drivers: Any = None) -> Allocation:
    return allocate(lines, rules, drivers or {}, MONTH)


def by_center(found: Allocation) -> dict[str, int]:
    sums: dict[str, int] = {}
    for one in found.lines:
        sums[one.cost_center] = sums.get(one.cost_center, 0) + one.contracted_pico
    return sums


WEIGHTS = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=4), st.integers(0, 10**15), min_size=1, max_size=60).filter(
    lambda found: any(found.values())
)


def conserved(amount: int, weights: dict[str, int]) -> None:
    shares = ratios(weights)
    parts = split(amount, shares)
    assert sum(shares.values()) == UNITS
    assert sum(parts.values()) == amount
    assert all(abs(part * UNITS - amount * shares[name]) < UNITS for name, part in parts.items()), "less than a pico-USD from its share"
    assert not any(weights[name] == 0 for name in parts), "nobody pays without a weight"


@given(st.integers(-(10**19), 10**19), WEIGHTS)
def test_parts_of_any_split_sum_to_their_origin(amount: int, weights: dict[str, int]) -> None:
    conserved(amount, weights)
    shares = ratios(weights)
    assert split(-amount, shares) == {name: -part for name, part in split(amount, shares).items()}


def test_parts_of_20000_random_splits_sum_to_their_origin() -> None:
    draw = random.Random(20_000)
    for _ in range(20_000):
        weights = {str(number): draw.choice((0, 1, draw.randrange(10**6), draw.randrange(10**15))) for number in range(draw.randint(1, 12))}
        conserved(draw.randrange(-(10**9), 10**16), weights | {"x": 1 + draw.randrange(10**9)})


@pytest.mark.parametrize("seed", range(20))
def test_what_is_cut_off_goes_to_the_largest_remainders(seed: int) -> None:
    draw = random.Random(seed)
    weights = {name: draw.randrange(7) for name in draw.sample("abcdefgh", draw.randint(2, 8))} | {"z": 1}
    amount = draw.randrange(10 ** draw.randint(1, 14))
    exact = {name: Fraction(amount * weight, sum(weights.values())) for name, weight in weights.items()}
    first = sorted(exact, key=lambda name: (int(exact[name]) - exact[name], name))[: amount - sum(map(int, exact.values()))]
    assert split(amount, weights) == {name: int(part) + (name in first) for name, part in exact.items()}
    assert split(-amount, weights) == {name: -part for name, part in split(amount, weights).items()}, "a credit as the charge it takes back"


def test_nothing_is_shared_out_by_weights_that_weigh_nothing() -> None:
    for weights in ({"a": 0}, {}, {"a": 3, "b": -1}):
        with pytest.raises(ValueError, match="weigh"):
            ratios(weights)
    assert ratios({"b": 1, "a": 2, "c": 0}) == {"a": 666666666667, "b": 333333333333}, "twelve decimals; what weighs nothing has no part"
    assert ratio_text(10**13) == "10"


def test_two_equal_parts_are_fifty_percent_each() -> None:
    """One of them may have a pico-USD less, and was shown as 49.99%."""
    found = shared([line("S", 3_399_954_940_091)], rule("pool", method="even", source={"cost_center": "S"}, targets=["A", "B"]))
    told = allocation_document(found)["flows"]
    assert [(flow["target"], flow["percent"]) for flow in told] == [("A", "50.00"), ("B", "50.00")]
    assert sum(Decimal(flow["amount"]) for flow in told) == Decimal("3.399954940091")


def test_ratio_text_is_exact() -> None:
    assert [ratio_text(units) for units in (UNITS, UNITS // 4, 1, 333_333_333_334)] == ["1", "0.25", "0.000000000001", "0.333333333334"]
    assert sum(Decimal(ratio_text(units)) for units in ratios({"a": 1, "b": 1, "c": 1}).values()) == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"method": "direct", "targets": ["A"]}, {"A": 110, "B": 30}),
        ({"method": "even", "targets": ["A", "B", "C"]}, {"A": 43 + 1, "B": 63, "C": 33}),
        ({"method": "fixed", "percents": {"A": "12.5", "B": "87.5"}}, {"A": 10 + 13, "B": 30 + 87}),
        ({"method": "fixed", "percents": {"A": "33", "B": "66.5", "C": "0.5"}}, {"A": 43, "B": 30 + 67, "C": 0}),
        ({"method": "proportional"}, {"A": 10 + 25, "B": 30 + 75}),
        ({"method": "proportional", "targets": ["B"]}, {"A": 10, "B": 130}),
        ({"method": "driver", "driver": "seats"}, {"A": 10 + 80, "B": 30 + 20}),
        ({"method": "driver", "driver": "calls"}, {"A": 60, "B": 80}),
        ({"method": "mapped", "by": "model", "mapping": {"gpt-4o": "B"}}, {"A": 10, "B": 130}),
    ],
)
def test_each_method(fields: dict[str, Any], expected: dict[str, int]) -> None:
    seats = DriverDocument.model_validate({"id": "seats", "period": MONTH, "source": "HR", "weights": {"A": "40", "B": "10.0"}})
    lines = [line("A", 10), line("B", 30), line("SHARED", 100)]
    found = shared(lines, rule("r", source={"cost_center": "SHARED"}, **fields), drivers={seats.key: seats})
    assert by_center(found) == expected
    assert {name: sum(getattr(one, name) for one in found.lines) for name in MEASURES} == {
        name: sum(getattr(one, name) for one in lines) for name in MEASURES
    }
    parts = [one for one in found.lines if one.rule]
    assert sum(Decimal(one.ratio) for one in parts) == 1
    assert {(one.rule, one.origin, one.origin_center) for one in parts} == {("r@dddddddddddd", lines[2].line_id, "SHARED")}


def test_rules_run_once_in_order_and_the_residual_takes_what_they_left() -> None:
    rules = (
        rule("search", 10, method="even", source={"workflow": "wf-search"}, targets=["A", "B"]),
        rule("by-model", 20, method="mapped", source={"cost_center": "SHARED"}, by="model", mapping={"gpt-4o": "A"}),
        rule("rest", 99, method="residual", targets=["C"]),
    )
    lines = [
        line("SHARED", 100, workflow_id="wf-search"), line("SHARED", 50), line("SHARED", 7, model="o9"), line(UNALLOCATED, 5), line("B", 1),
        line("SHARED", 9, traffic_class="shadow"),
    ]  # fmt: skip
    found = shared(lines, *rules)
    assert by_center(found) == {"A": 100, "B": 51, "C": 12, "SHARED": 9}, "shadow spend is never shared out"
    assert [(flow.rule.split("@")[0], flow.source, flow.target, flow.pico) for flow in found.flows] == [
        ("search", "SHARED", "A", 50), ("search", "SHARED", "B", 50), ("by-model", "SHARED", "A", 50), ("rest", "SHARED", "C", 7),
        ("rest", UNALLOCATED, "C", 5),
    ]  # fmt: skip
    without = shared(lines, *rules[:2])
    assert [(left.pico, left.reason, left.blocking) for left in without.left] == [(7, "its model is not in the mapping", False)]
    assert by_center(without) == {"A": 100, "B": 51, "SHARED": 16, UNALLOCATED: 5}


def test_what_is_shared_and_by_what_is_the_months_own_production_use() -> None:
    """Corrections were shared out in their own month; shadow use, corrections of it and lines that count no tokens weigh nothing as tokens."""
    lines = [
        line("S", 100), line("S", 40, corrects="a-line-of-september", charge_month="2026-09"), line("A", 10, quantity=30),
        line("B", 10, quantity=10), line("B", 5, quantity=900, meter="request", list_per=1, contract_per=1), line("B", 5, quantity=999, traffic_class="shadow"),
    ]  # fmt: skip
    assert {one.unit for one in lines} == {"Tokens", "Requests"}
    found = shared(lines, rule("r", method="driver", driver="tokens", source={"cost_center": "S"}))
    assert by_center(found) == {"S": 40, "A": 10 + 75, "B": 20 + 25}
    costs = shared([*lines, line("A", 70, traffic_class="judge")], rule("r", method="proportional", source={"cost_center": "S"}))
    assert by_center(costs) == {"S": 40, "A": 80 + 40, "B": 20 + 60}


def test_what_a_missing_driver_blocks_no_residual_takes() -> None:
    rules = (
        rule("r", method="driver", driver="seats", source={"cost_center": "S"}),
        rule("rest", 99, method="residual", targets=["C"]),
    )
    found = shared([line("S", 90), line(UNALLOCATED, 7), line(UNALLOCATED, 2, traffic_class="shadow")], *rules)
    assert by_center(found) == {"S": 90, "C": 7, UNALLOCATED: 2}
    assert [left.blocking for left in found.left] == [True]


def test_missing_weights_block_and_nothing_moves() -> None:
    found = shared([line("A", 10), line("S", 90)], rule("r", method="driver", driver="seats", source={"cost_center": "S"}))
    assert [(left.blocking, left.reason) for left in found.left] == [(True, f"driver seats has no weights for {MONTH}")]
    assert by_center(found) == {"A": 10, "S": 90}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"method": "proportional", "targets": ["X"]}, "no target has direct cost in this month"),
        ({"method": "driver", "driver": "calls", "targets": ["X"]}, "driver calls gives none of the targets a weight"),
        ({"method": "driver", "driver": "seats", "targets": ["X"]}, "driver seats gives none of the targets a weight"),
        ({"method": "mapped", "by": "owner", "mapping": {"a@x.example": "X"}}, "its owner is not in the mapping"),
    ],
    ids=["cost", "calls", "seats", "mapped"],
)
def test_what_nobody_weighs_stays_or_goes_to_the_residual_and_blocks_nothing(fields: dict[str, Any], reason: str) -> None:
    seats = DriverDocument.model_validate({"id": "seats", "period": MONTH, "source": "HR", "weights": {"A": "40"}})
    lines, one, drivers = [line("A", 10), line("S", 90)], rule("r", source={"cost_center": "S"}, **fields), {seats.key: seats}
    stays = shared(lines, one, drivers=drivers)
    assert by_center(stays) == {"A": 10, "S": 90}
    assert [(left.pico, left.reason, left.source, left.blocking) for left in stays.left] == [(90, reason, "cost center S", False)]
    gone = shared(lines, one, rule("rest", 99, method="residual", targets=["C"]), drivers=drivers)
    assert (by_center(gone), gone.left) == ({"A": 10, "C": 90}, []), "what the residual took is not left as well"


def test_what_costs_nothing_is_no_percent_of_nothing() -> None:
    found = shared([line("S", 0)], rule("r", method="even", source={"cost_center": "S"}, targets=["A"]))
    assert [(flow["amount"], flow["percent"]) for flow in allocation_document(found)["flows"]] == [("0.00", "0.00")]
    assert allocation_document(None) == {"total": "0.00", "flows": [], "left": []}


@given(
    st.lists(
        st.tuples(st.sampled_from(["A", "B", "C", "S", UNALLOCATED]), st.integers(0, 10**16), st.sampled_from(["x", "y", "z"])), max_size=30
    )
)
def test_any_month_is_conserved(rows: list[tuple[str, int, str]]) -> None:
    lines = [replace(line(center, pico, model=model), quantity=pico % 977) for center, pico, model in rows]
    found = shared(
        lines,
        rule("m", 5, method="mapped", source={"cost_center": UNALLOCATED}, by="model", mapping={"x": "A"}),
        rule("p", 10, method="proportional", source={"cost_center": "S"}),
        rule("rest", 99, method="residual", targets=["C"]),
    )
    for name in MEASURES:
        assert sum(getattr(one, name) for one in found.lines) == sum(getattr(one, name) for one in lines)
    assert len({one.line_id for one in found.lines}) == len(found.lines)


def even(name: str, source: str, *targets: str, order: int = 10) -> AllocationDocument:
    return AllocationDocument.model_validate(
        {"id": name, "order": order, "method": "even", "source": {"cost_center": source}, "targets": list(targets)}
    )


def test_cycles_and_second_passes_are_refused_by_name() -> None:
    with pytest.raises(Invalid, match="allocation a: target S2 is the source of allocation b"):
        check_allocations([even("a", "S1", "S2"), even("b", "S2", "S1")])
    with pytest.raises(Invalid, match="allocation a: target S1 is the source of allocation a"):
        check_allocations([even("a", "S1", "S1", "X")])
    with pytest.raises(Invalid, match="allocation b: cost center S1 is the source of allocation a already"):
        check_allocations([even("a", "S1", "X"), even("b", "S1", "Y")])
    residual = AllocationDocument.model_validate({"id": "rest", "order": 1, "method": "residual", "targets": ["X"]})
    with pytest.raises(Invalid, match="residual rule comes last"):
        check_allocations([residual, even("a", "S1", "X")])
    check_allocations([even("a", "S1", "X"), even("b", "S2", "X")])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"method": "even"}, "needs source and targets"),
        ({"method": "fixed", "source": {"cost_center": "S"}, "percents": {"A": "60", "B": "30"}}, "sum to 90, not 100"),
        ({"method": "even", "source": {"cost_center": "S"}, "targets": ["A", "A"]}, "written twice"),
        ({"method": "direct", "source": {"cost_center": "S"}, "targets": ["A"], "driver": "x"}, "no use for driver"),
        ({"method": "direct", "source": {"cost_center": "S", "workflow": "w"}, "targets": ["A"]}, "exactly one of"),
    ],
)
def test_a_rule_says_what_its_method_needs(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        parse_document({"kind": "allocation", "id": "r", **fields}, "file")


def plan(kind: str, **fields: Any) -> RatePlanDocument:
    return RatePlanDocument.model_validate({"id": "p", "plan": kind, "cost_centers": ["A"], "recovers_to": "PLATFORM", **fields})


@pytest.mark.parametrize(
    ("given_plan", "base", "pico", "words"),
    [
        (plan("pass_through"), 5 * PICO, 0, "usage is passed through"),
        (plan("platform_fee", percent="50"), 2 * PICO + 1, PICO, "50 % of $2.000000000001 = $1.00"),  # half of a pico: to the even
        (plan("platform_fee", percent="7.5"), 200 * PICO, 15 * PICO, "7.5 % of $200.00 = $15.00"),
        (plan("fixed_fee", amount="500"), 620 * PICO, -120 * PICO, "$500.00 a month - $620.00 of usage = $-120.00"),
        (plan("credit_pool", amount="100"), 40 * PICO, -40 * PICO, "the smaller of $40.00 used and $100.00 prepaid = $40.00"),
        (plan("credit_pool", amount="100"), 140 * PICO, -100 * PICO, "the smaller of $140.00 used and $100.00 prepaid = $100.00"),
        (
            plan("tiered", tiers=[{"up_to": "1000", "percent": "10"}, {"percent": "5"}]),
            1500 * PICO,
            125 * PICO,
            "10 % of $1,000.00 + 5 % of $500.00 = $125.00",
        ),
        (
            plan("tiered", tiers=[{"up_to": "1000", "percent": "10"}, {"percent": "5"}]),
            1000 * PICO,
            100 * PICO,
            "10 % of $1,000.00 = $100.00",
        ),
        (plan("credit_pool", amount="100"), -40 * PICO, 0, "the smaller of $-40.00 used and $100.00 prepaid = $0.00"),
    ],
)
def test_each_plan_prints_its_arithmetic(given_plan: RatePlanDocument, base: int, pico: int, words: str) -> None:
    assert fee(given_plan, base) == (pico, words)


def test_every_fee_has_its_counter_line() -> None:
    lines = [
        line("A", 7 * PICO),
        line("B", 9 * PICO),
        line("A", PICO, traffic_class="shadow"),
        line("A", PICO, corrects="a-line-of-september"),
    ]
    found = plan_lines(lines, [RatePlanDocument.model_validate(
        {"id": "fee", "plan": "platform_fee", "percent": "33.333", "cost_centers": ["A", "B", "NOBODY"], "recovers_to": "PLATFORM"}
    )], MONTH)  # fmt: skip
    assert sum(one.contracted_pico for one in found) == 0
    assert {one.cost_center: one.contracted_pico for one in found if one.cost_center != "PLATFORM"} == {
        "A": 2_333_310_000_000,
        "B": 2_999_970_000_000,
    }
    assert len({one.line_id for one in found}) == 4


def test_plans_that_contradict_are_refused() -> None:
    other = RatePlanDocument.model_validate({"id": "q", "plan": "pass_through", "cost_centers": ["A"], "recovers_to": "PLATFORM"})
    with pytest.raises(Invalid, match="rate_plan q: A is on rate_plan p already"):
        check_rate_plans([plan("platform_fee", percent="1"), other])
    with pytest.raises(Invalid, match="is charged by rate_plan q"):
        check_rate_plans([plan("pass_through"), other.model_copy(update={"cost_centers": ["PLATFORM"], "recovers_to": "X"})])
    for tiers in (
        [{"percent": "1"}, {"percent": "2"}],
        [{"up_to": "5", "percent": "1"}],
        [{"up_to": "5", "percent": "1"}, {"up_to": "4", "percent": "1"}, {"percent": "0"}],
    ):
        with pytest.raises(Invalid, match="tiers"):
            parse_document(
                {"kind": "rate_plan", "id": "p", "plan": "tiered", "cost_centers": ["A"], "recovers_to": "P", "tiers": tiers}, "f"
            )
