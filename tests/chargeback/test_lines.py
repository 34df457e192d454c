"""Lines, corrections and the statement document."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governor.chargeback.allocation import CENT
from governor.chargeback.commitments import CLASS as COMMITMENT
from governor.chargeback.commitments import UNUSED, USED
from governor.chargeback.corrections import correction_lines
from governor.chargeback.coverage import coverage_of
from governor.chargeback.lines import (
    MEASURES,
    UNALLOCATED,
    Line,
    UnpricedUse,
    add_up,
    free_calls,
    line_of,
    order,
    unpriced_uses,
    usage_lines,
)
from governor.chargeback.plans import CLASS, METER
from governor.chargeback.reconciliation.bridge import line_document
from governor.chargeback.reconciliation.cells import Cell, Key
from governor.chargeback.statement import StatementInput, cents_text, for_cost_center, percent, previous_of, statement_document, usd
from governor.ledger.canonical import canonical_json, parse_canonical
from governor.prices.book import PriceBook
from governor.prices.exposure import NOTHING, Exposure
from governor.prices.rate import Rated, Usage, rate_group
from governor.prices.units import UNIT_METERS

AT = datetime(2026, 10, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Group:
    rated: Rated
    workflow_id: str | None = "w"
    owner: str | None = "o@acme.example"
    cost_center: str | None = "CC-1"
    provider: str | None = "openai"
    model: str | None = "m"
    service_tier: str | None = None
    traffic_class: str = "production"
    route_status: str = "approved"
    calls: int = 1
    input_tokens: int | None = None
    output_tokens: int | None = None
    exposure: Exposure = NOTHING


def rated(tokens: tuple[int, int], amount: str = "2") -> Rated:
    rows = [
        {"kind": "list", "provider": "openai", "model": "m", "meter": meter, "amount": amount, "per": 1_000_000}
        for meter in ("input", "output")
    ]
    return rate_group(PriceBook(rows), "openai", "m", AT, Usage(*tokens))


def line(**changes: object) -> Line:
    (found, _) = usage_lines([Group(rated((10, 5)))], "2026-10")
    return replace(found, **changes)  # type: ignore[arg-type]


def test_groups_that_are_alike_become_one_line_per_meter() -> None:
    lines = usage_lines([Group(rated((10, 5)), calls=2), Group(rated((30, 1)), calls=3)], "2026-10")
    assert [(one.meter, one.quantity, one.contracted_pico, one.calls) for one in lines] == [
        ("input", 40, 80_000_000, 5),
        ("output", 6, 12_000_000, 0),
    ]


def test_only_tokens_are_counted_in_tokens() -> None:
    others = (*UNIT_METERS, "request", "replay", "reported_cost", METER, USED, UNUSED)
    assert [name for name in others if line(meter=name).unit == "Tokens"] == []
    assert line(meter=METER).unit == "Rate Plans"
    assert {line(meter=name).unit for name in ("input", "cache_write_1h", "audio_output", "video_input", "reasoning")} == {"Tokens"}


def test_another_price_or_owner_or_route_is_another_line() -> None:
    groups = [
        Group(rated((10, 0))),
        Group(rated((10, 0), "3")),
        Group(rated((10, 0)), owner="p@acme.example"),
        Group(rated((10, 0)), route_status="unapproved"),
    ]
    lines = usage_lines(groups, "2026-10")
    assert len({one.line_id for one in lines}) == 4


def test_spend_without_a_cost_center_is_unallocated_not_dropped() -> None:
    (only,) = usage_lines([Group(rated((10, 0)), workflow_id=None, owner=None, cost_center=None)], "2026-10")
    assert only.cost_center == UNALLOCATED


def test_unpriced_and_free_calls_are_counted_by_reason() -> None:
    groups = [
        Group(Rated("unpriced", reason="unknown_model", detail="d"), calls=2, input_tokens=5, exposure=Exposure(1, 2, 3, 4)),
        Group(Rated("unpriced", reason="unknown_model", detail="d"), calls=3, exposure=Exposure(1, 2, 3, 4)),
        Group(Rated("zero_rated", 0, 0, reason="gateway_cache_hit"), calls=7),
        Group(Rated("priced", 0, 0), calls=3),
        Group(Rated("priced_by_provider", 0, 0, reason="unknown_model"), calls=1),
        Group(rated((10, 0)), calls=9),
    ]
    (use,) = unpriced_uses(groups)
    assert (use.calls, use.input_tokens, use.output_tokens, use.exposure_mid_pico) == (5, 5, None, 4)
    assert free_calls(groups) == {"CC-1": {"gateway_cache_hit": 7, "without_use": 4}}, "on no line, and so they were in no count"


def test_a_provider_may_charge_more_than_9007_dollars_in_a_line() -> None:
    """It is counted in pico-USD, which a canonical document holds as text beyond 2^53: such a month could not be closed."""
    one = line(meter="reported_cost", quantity=9_100 * 10**12)
    assert line_of(parse_canonical(canonical_json(one.record()))) == one
    cell = Cell(Key("2026-09-13", "inhouse", "", "x", "reported_cost", ""), ours_quantity=9_100 * 10**12)
    assert parse_canonical(canonical_json(line_document(cell)))["our_quantity"] == "9100000000000000"


def test_more_tokens_than_2_to_53_close_a_month() -> None:
    """They are text in the document, and text beside numbers was a TypeError in the sum of a workflow, priced or not."""
    many = 2**53
    unpriced = Rated("unpriced", reason="unknown_model", detail="d")
    groups = [Group(rated((many, 5))), Group(unpriced, input_tokens=many + 1, output_tokens=3, exposure=Exposure(1, 2, 3, 4))]
    document = statement_document(
        StatementInput({"month": "2026-10"}, usage_lines(groups, "2026-10"), [], unpriced_uses(groups), {}, coverage_of([]))
    )
    (center,) = parse_canonical(canonical_json(document))["cost_centers"]
    assert [row["tokens"] for row in center["workflows"]] == [str(many + 5)]
    assert [(use["input_tokens"], use["output_tokens"]) for use in center["unpriced"]] == [(str(many + 1), 3)]


def test_a_line_of_an_older_month_keeps_its_id() -> None:
    """What was added to lines later is in the id only where it says something: else every closed month would be taken back and charged again."""
    assert line().line_id == "fd9df105f98535a2d93d57d5"
    same = [
        line(calls=9),
        line(ratio="0.5"),
        line(arithmetic="x"),
        line(terms="x"),
        line(method="x"),
        line(origin_center="x"),
        line(contracted_pico=1),
    ]
    assert {one.line_id for one in same} == {line().line_id}
    marked = [line(**{name: "x"}) for name in ("rule", "origin", "style", "commitment", "corrects", "owner", "service_tier")]
    assert len({one.line_id for one in (line(), line(owner=None), *marked)}) == 9


def test_unpriced_use_is_summed_by_whose_it_is_and_why() -> None:
    def use(given: int | None, out: int | None, **fields: Any) -> Group:
        why = Rated("unpriced", reason="unknown_model", detail="d")
        return Group(why, calls=1, input_tokens=given, output_tokens=out, exposure=Exposure(1, 20, 300, 4), **fields)

    nobody = {"workflow_id": None, "cost_center": None, "provider": None, "model": None}
    found = unpriced_uses([use(5, None), use(None, None, **nobody), use(7, 2), use(None, 4), use(None, None, **nobody)])
    assert found == [
        UnpricedUse("CC-1", "w", "openai", "m", "unknown_model", "d", 3, 12, 6, 3, 60, 900),
        UnpricedUse(UNALLOCATED, None, "unknown", "unknown", "unknown_model", "d", 2, None, None, 2, 40, 600),
    ], "unknown is not zero; in a stable order"


def test_lines_are_read_by_who_and_what_and_what_is_taken_back_comes_first() -> None:
    again = line(corrects="x", charge_month="2026-09", contracted_pico=0)
    back, cheaper = replace(again, quantity=-10), replace(again, quantity=0, contracted_pico=-5, model="n")
    wanted = [
        line(workflow_id="a", meter="output"),
        line(workflow_id="b"),
        line(workflow_id="b", meter="cache_read"),
        line(workflow_id=None),
        line(corrects="x", charge_month="2026-08", workflow_id="c"),
        back,
        replace(again, price_source="contract"),
        cheaper,
        replace(cheaper, price_source="contract", contracted_pico=5),
        line(cost_center="CC-2", charge_month="2026-01"),
    ]
    assert add_up(reversed(wanted)) == wanted


@pytest.mark.parametrize("number", range(4))
def test_what_is_taken_back_comes_first_whatever_it_cost(number: int) -> None:
    """Covered use costs nothing on its line, and a counter line of a plan less than nothing: the charge stood above its reversal."""
    one = line(workflow_id=f"w{number}")
    for before, after in (
        (replace(one, contracted_pico=0, commitment="spend/a"), replace(one, contracted_pico=0, commitment="spend/b")),
        (replace(one, contracted_pico=-7, rule="a", quantity=1), replace(one, contracted_pico=-9, rule="b", quantity=1)),
    ):
        made = correction_lines([before], [after], "ledger")
        assert [one.style for one in made] == ["reversal", "restated"]


def test_a_line_survives_its_record() -> None:
    assert line_of(line(list_pico=10**30).record()) == line(list_pico=10**30)


LINES = st.lists(st.tuples(st.sampled_from(["CC-1", "CC-2", "CC-3"]), st.sampled_from(["1", "2", "3"]), st.integers(1, 10**9)), max_size=12)


def made(rows: list[tuple[str, str, int]]) -> list[Line]:
    return add_up(
        line(
            cost_center=center,
            list_amount=price,
            contract_amount=price,
            quantity=n,
            list_pico=n * int(price),
            contracted_pico=n * int(price),
        )
        for center, price, n in rows
    )


@given(LINES, LINES, LINES)
def test_charged_plus_corrections_is_recomputed_and_never_twice(
    first: list[tuple[str, str, int]], second: list[tuple[str, str, int]], third: list[tuple[str, str, int]]
) -> None:
    charged, now, later = made(first), made(second), made(third)
    once = correction_lines(charged, now)
    assert sum(one.contracted_pico for one in charged) + sum(one.contracted_pico for one in once) == sum(one.contracted_pico for one in now)
    assert correction_lines([*charged, *once], now) == []
    again = correction_lines([*charged, *once], later)
    assert sum(one.contracted_pico for one in [*charged, *once, *again]) == sum(one.contracted_pico for one in later)
    for one in [*once, *again]:
        assert one.charge_month == "2026-10"
        assert one.contracted_pico == one.quantity * int(one.contract_amount or 0), "a correction keeps quantity x price"


@given(LINES, LINES, LINES)
def test_ledger_style_takes_back_what_stands_and_charges_what_is_right(
    first: list[tuple[str, str, int]], second: list[tuple[str, str, int]], third: list[tuple[str, str, int]]
) -> None:
    booked = made(first)
    for rows in (second, third):
        right = made(rows)
        stands = {line.line_id: line for line in add_up(replace(line, corrects="", style="") for line in booked)}
        wanted = {line.line_id: line for line in right}
        moved = {name for name in stands.keys() | wanted.keys() if measured(stands.get(name)) != measured(wanted.get(name))}
        found = correction_lines(booked, right, "ledger")
        taken = {line.corrects: measured(line) for line in found if line.style == "reversal"}
        assert taken == {
            name: tuple(-one for one in measured(stands[name])) for name in moved & stands.keys() if any(measured(stands[name]))
        }
        assert {line.corrects: line for line in found if line.style == "restated"} == {
            name: replace(wanted[name], corrects=name, style="restated") for name in moved & wanted.keys()
        }
        assert found == sorted(found, key=order)
        booked += found
        assert correction_lines(booked, right, "ledger") == []


def measured(line: Line | None) -> tuple[int, ...]:
    return tuple(getattr(line, name) for name in MEASURES) if line else (0,) * len(MEASURES)


@given(LINES, LINES)
def test_a_statement_foots_whatever_is_in_it(usage: list[tuple[str, str, int]], before: list[tuple[str, str, int]]) -> None:
    lines = made(usage)
    corrections = correction_lines(made(before), lines)
    document = statement_document(StatementInput({"month": "2026-11"}, lines, corrections, [], {}, coverage_of([])))
    exact = sum(one.contracted_pico for one in [*lines, *corrections])
    assert Decimal(document["totals"]["contracted_cost"]) == Decimal(exact) / 10**12
    assert Decimal(document["totals"]["statement_total"]) == round(Decimal(exact) / 10**12, 2)
    centers = document["cost_centers"]
    assert sum(Decimal(center["total"]) for center in centers) == Decimal(document["totals"]["statement_total"])
    for center in centers:
        amounts = [Decimal(one["amount"]) for one in [*center["lines"], *center["corrections"]]]
        assert sum(amounts) == Decimal(center["total"])
        assert sum(Decimal(row["amount"]) for row in center["workflows"]) == Decimal(center["usage_total"])


@pytest.mark.parametrize(
    ("usage", "corrections", "told", "net", "gross", "limit"),
    [
        (100, (9_999,), False, "99.99", "99.99", "100.00"),
        (100, (10_000,), True, "100.00", "100.00", "100.00"),
        (4_000_000, (15_000, -4_999), False, "100.01", "199.99", "200.00"),
        (4_000_000, (15_000, -5_000), True, "100.00", "200.00", "200.00"),
        (4_000_000, (-20_000,), True, "-200.00", "200.00", "200.00"),
        (100, (), False, "0.00", "0.00", "100.00"),
    ],
)
def test_corrections_are_told_from_a_hundred_dollars_or_half_a_percent(
    usage: int, corrections: tuple[int, ...], told: bool, net: str, gross: str, limit: str
) -> None:
    """Cents. What was taken back and what was charged again are both counted: they do not cancel out."""
    lines = made([("CC-1", str(CENT), usage)])
    corrected = [
        replace(lines[0], charge_month=f"2026-0{number}", corrects="x", contracted_pico=cents * CENT)
        for number, cents in enumerate(corrections, 1)
    ]
    document = statement_document(StatementInput({"month": "2026-10"}, lines, corrected, [], {}, coverage_of([])))
    [center] = document["cost_centers"]
    assert center["material"] == {"corrections": told, "net": net, "gross": gross, "limit": limit}
    assert document["totals"]["corrections_total"] == center["corrections_total"] == net


def test_each_kind_of_spend_is_in_its_own_sum() -> None:
    """Cents: every total names some lines and leaves out others, so each line here has an amount of its own."""
    one = made([("CC-1", str(CENT), 1)])[0]
    lines = [
        replace(one, contracted_pico=cents * CENT, **fields)  # type: ignore[arg-type]
        for cents, fields in (
            (1_00, {}),
            (2_00, {"rule": "shared/1", "workflow_id": "other"}),
            (4_00, {"traffic_class": "shadow"}),
            (8_00, {"cost_center": "CC-2", "route_status": "waived"}),
            (16_00, {"route_status": "unapproved"}),
            (32_00, {"cost_center": UNALLOCATED, "workflow_id": None}),
            (64_00, {"traffic_class": CLASS, "workflow_id": None}),
            (128_00, {"traffic_class": COMMITMENT, "workflow_id": None}),
        )
    ]
    back = [replace(lines[3], corrects="x", charge_month="2026-09", contracted_pico=-9_00 * CENT, calls=70)]
    use = UnpricedUse("CC-1", "w", "openai", "new", "unknown_model", "d", 3, None, None, 1, 2, 3)
    before = {"month": "2026-09", "totals": {"CC-1": 5_00, "GONE": 2_50}, "workflows": {"CC-1": {"w": 4_00}}}
    exception = {"reason": "late bills"}
    given = StatementInput(
        {"month": "2026-10"}, lines, back, [use], {"CC-1": {"hit": 2, "a_miss": 5}}, coverage_of([]), exception, before, {"w": "20"}
    )
    document = statement_document(given)
    totals = document["totals"]
    assert {name: totals[f"{name}_total"] for name in ("statement", "usage", "corrections", "shadow", "commitment", "shared", "unallocated")} == {
        "statement": "246.00", "usage": "63.00", "corrections": "-9.00", "shadow": "4.00", "commitment": "128.00", "shared": "2.00", "unallocated": "32.00",
    }  # fmt: skip
    assert totals["calls"] == sum(line.calls for line in lines) + 3 + 7, (
        "without those of corrections: they were counted in their own month"
    )
    assert (document["exception"], document["previous"]) == (exception, {"month": "2026-09", "total": "7.50"})
    first, second, nobody = document["cost_centers"]
    assert [(one["id"], one["document"], one["previous_total"]) for one in (first, second, nobody)] == [
        ("CC-1", "statement", "5.00"), ("CC-2", "credit_memo", None), (UNALLOCATED, "statement", None),
    ]  # fmt: skip
    assert [first[f"{name}_total"] for name in ("usage", "shared", "internal", "commitment")] == ["23.00", "2.00", "64.00", "128.00"]
    assert (first["calls"], second["calls"]) == (sum(line.calls for line in lines if line.cost_center == "CC-1") + 10, lines[3].calls)
    assert list(first["free_calls"]) == ["a_miss", "hit"]
    assert ([one["calls"] for one in first["unpriced"]], second["unpriced"]) == ([3], [])
    assert [(row["traffic_class"], row["amount"], row["unapproved"], row["previous"], row["budget"]) for row in first["workflows"]] == [
        ("production", "17.00", "16.00", "4.00", "20"),
        ("shadow", "4.00", "0.00", None, None),
    ]
    assert nobody["workflows"][0]["workflow"] is None


def test_a_cost_center_sees_its_own_lines_and_the_whole_total() -> None:
    lines = made([("CC-1", "1", 10**12), ("CC-2", "1", 10**12)])
    document = statement_document(StatementInput({"month": "2026-10"}, lines, [], [], {}, coverage_of([])))
    own = for_cost_center(document, "CC-2")
    assert own["cost_center"]["id"] == "CC-2"
    assert "cost_centers" not in own
    assert own["totals"]["statement_total"] == "2.00"


def test_the_month_before_is_compared_by_workflow() -> None:
    lines = made([("CC-1", "1", 3 * 10**12)])
    found = previous_of("2026-09", lines)
    assert found == {"month": "2026-09", "totals": {"CC-1": 300}, "workflows": {"CC-1": {"w": 300}}}
    beside = [{"corrects": "x"}, {"rule": "shared/1"}, {"traffic_class": "shadow"}, {"workflow_id": None}]
    more = previous_of("2026-09", [*lines, *(replace(lines[0], **fields) for fields in beside)])  # type: ignore[arg-type]
    assert more == {"month": "2026-09", "totals": {"CC-1": 1500}, "workflows": {"CC-1": {"w": 300, "": 300}}}, (
        "usage is compared with usage"
    )


def test_money_text() -> None:
    assert [usd(value) for value in (0, 10**12, -5 * 10**11, 1, 123 * 10**10)] == ["0.00", "1.00", "-0.50", "0.000000000001", "1.23"]
    assert [cents_text(value) for value in (0, -1, 12_345)] == ["0.00", "-0.01", "123.45"]
    assert percent(94_999, 100_000) == "94.99"
