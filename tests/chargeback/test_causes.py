"""Each cause of a difference, by a day of which it is known what happened. A million tokens cost a dollar in, four dollars out, ten cents from the cache."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from governor.chargeback.reconciliation.bill import BillLine
from governor.chargeback.reconciliation.bridge import Reconciled, reconcile
from governor.chargeback.reconciliation.cells import UsageLine

LATE = datetime(2026, 12, 20, tzinfo=UTC)
PICO = {"input": 1_000_000, "output": 4_000_000, "cache_read": 100_000, "request": 10**10, "image": 4 * 10**10}
DAY = "2026-10-02"


def we(meter: str, quantity: int, *, day: str = DAY, model: str = "gpt-5", tier: str = "", share: str = "1") -> UsageLine:
    """share: of the list price that is paid."""
    listed = quantity * PICO[meter]
    return UsageLine(day, "openai", (), model, meter, tier, quantity, listed, int(listed * Decimal(share)))


def they(meter: str, quantity: int | None, amount: str, *, day: str = DAY, tier: str | None = None, **other: Any) -> BillLine:
    given: dict[str, Any] = {"account": "", "model": "gpt-5", "currency": "USD", **other}
    return BillLine(
        day=day,
        issuer="openai",
        meter=meter,
        tier=tier,
        kind="usage",
        amount=Decimal(amount),
        quantity=None if quantity is None else Decimal(quantity),
        **given,
    )


def terms(found: Reconciled) -> dict[str, str]:
    return {cause: f"{Decimal(amount) / 10**12:f}" for cause, amount in found.terms.items() if amount}


def compare(*lines: UsageLine | BillLine, now: datetime = LATE) -> Reconciled:
    ours, bill = ([line for line in lines if isinstance(line, kind)] for kind in (UsageLine, BillLine))
    return reconcile("2026-10", ours, bill, now=now)  # type: ignore[arg-type]


CALLS = (we("input", 1_000_000), we("output", 100_000))


@pytest.mark.parametrize(
    ("lines", "causes"),
    [
        ([*CALLS, they("input", 1_000_000, "1"), they("output", 100_000, "0.4")], {}),
        # more, or less, on both sides: calls
        ([*CALLS, they("input", 1_500_000, "1.5"), they("output", 150_000, "0.6")], {"not_captured": "0.7"}),
        ([*CALLS, they("input", 500_000, "0.5"), they("output", 50_000, "0.2")], {"captured_not_billed": "-0.7"}),
        # on one side only, or one up and one down: the same calls, counted in another way
        ([*CALLS, they("input", 1_200_000, "1.2"), they("output", 100_000, "0.4")], {"token_class": "0.2"}),
        ([*CALLS, they("input", 1_000_000, "1"), they("output", 90_000, "0.36")], {"token_class": "-0.04"}),
        ([*CALLS, they("input", 1_200_000, "1.2"), they("output", 90_000, "0.36")], {"token_class": "0.16"}),
        (
            [*CALLS, we("cache_read", 500_000), they("input", 900_000, "0.9"), they("cache_read", 600_000, "0.06"), they("output", 100_000, "0.4")],
            {"token_class": "-0.09"},
        ),
        # a class that goes against all the others is counted in another; the rest are calls
        (
            [*CALLS, we("cache_read", 500_000), they("input", 1_400_000, "1.4"), they("cache_read", 400_000, "0.04"), they("output", 150_000, "0.6")],
            {"token_class": "-0.01", "not_captured": "0.6"},
        ),
        # a model that answers nothing has only calls
        ([we("input", 1_000_000), they("input", 1_200_000, "1.2")], {"not_captured": "0.2"}),
        ([we("input", 1_000_000), they("input", 800_000, "0.8")], {"captured_not_billed": "-0.2"}),
        # other units are neither side
        ([*CALLS, we("request", 5), they("input", 1_000_000, "1"), they("output", 100_000, "0.4"), they("request", 7, "0.07")], {"not_captured": "0.02"}),
        ([*CALLS, we("request", 5), they("input", 1_000_000, "1"), they("output", 100_000, "0.4"), they("request", 4, "0.04")], {"captured_not_billed": "-0.01"}),
    ],
    ids=["alike", "more", "fewer", "more-in", "fewer-out", "in-up-out-down", "cached", "against-the-rest", "only-in", "fewer-in", "requests", "fewer-requests"],
)  # fmt: skip
def test_quantities(lines: list[UsageLine | BillLine], causes: dict[str, str]) -> None:
    assert terms(compare(*lines)) == causes


def test_a_model_that_only_one_side_has_is_not_captured_or_not_billed() -> None:
    other = we("input", 2_000_000, model="o3")
    assert terms(compare(*CALLS, other, they("input", 1_000_000, "1"), they("output", 100_000, "0.4"))) == {"captured_not_billed": "-2"}
    billed = they("input", 2_000_000, "2.5", model="o3")
    assert terms(compare(*CALLS, they("input", 1_000_000, "1"), they("output", 100_000, "0.4"), billed)) == {"not_captured": "2.5"}


def test_days_that_the_bill_lacks_carries_on_the_next_or_may_still_change_are_timing() -> None:
    whole = [they("input", 1_000_000, "1"), they("output", 100_000, "0.4")]
    later = [we("input", 3_000_000, day="2026-10-05")]
    assert terms(compare(*CALLS, *whole, *later)) == {"timing": "-3"}, "no line of that day"
    moved = compare(
        we("input", 1_000_000),
        we("input", 1_000_000, day="2026-10-03"),
        they("input", 700_000, "0.7"),
        they("input", 1_300_000, "1.3", day="2026-10-03"),
    )
    assert terms(moved) == {}
    assert [dict(cell.terms) for cell in sorted(moved.cells, key=lambda cell: cell.key)] == [
        {"timing": -300_000 * PICO["input"]},
        {"timing": 300_000 * PICO["input"]},
    ]
    apart = compare(
        we("input", 1_000_000),
        we("input", 1_000_000, day="2026-10-04"),
        they("input", 700_000, "0.7"),
        they("input", 1_300_000, "1.3", day="2026-10-04"),
    )
    assert terms(apart) == {"not_captured": "0.3", "captured_not_billed": "-0.3"}, "two days apart is no neighbour"
    uneven = compare(
        we("input", 1_000_000),
        we("input", 1_000_000, day="2026-10-03"),
        they("input", 700_000, "0.7000"),
        they("input", 1_400_000, "1.4000", day="2026-10-03"),
    )
    assert terms(uneven) == {"not_captured": "0.4", "captured_not_billed": "-0.3"}
    soon = compare(
        we("input", 1_000_000),
        we("input", 1_000_000, day="2026-10-03"),
        they("input", 700_000, "0.7"),
        they("input", 1_300_000, "1.3", day="2026-10-03"),
        now=datetime(2026, 10, 4, 12, tzinfo=UTC),
    )
    assert [(cell.pending, dict(cell.terms)) for cell in sorted(soon.cells, key=lambda cell: cell.key)] == [
        (False, {"captured_not_billed": -300_000 * PICO["input"]}),
        (True, {"timing": 300_000 * PICO["input"]}),
    ], "a day that may still change explains no other"


def test_tokens_billed_in_another_tier_are_neither_lost_nor_dear() -> None:
    half = compare(we("input", 1_000_000), they("input", 600_000, "0.6000", tier=""), they("input", 400_000, "0.2000", tier="batch"))
    assert terms(half) == {"tier": "-0.2"}
    assert {cell.key.tier: dict(cell.terms) for cell in half.cells} == {"": {"tier": -4 * 10**11}, "batch": {"tier": 2 * 10**11}}
    some = compare(we("input", 1_000_000), they("input", 700_000, "0.7000", tier=""), they("input", 400_000, "0.2000", tier="batch"))
    assert terms(some) == {"tier": "-0.15", "not_captured": "0.1", "price": "-0.05"}, "of 400,000 in batch 300,000 are ours"
    fewer = compare(we("input", 1_000_000), they("input", 500_000, "0.5000", tier=""), they("input", 400_000, "0.2000", tier="batch"))
    assert terms(fewer) == {"tier": "-0.2", "captured_not_billed": "-0.1"}


@pytest.mark.parametrize(
    ("ours", "bill", "causes"),
    [
        (we("input", 1_000_000), they("input", 1_000_000, "1.10"), {"price": "0.1"}),
        (we("input", 1_000_000), they("input", 1_000_000, "0.90"), {"price": "-0.1"}),
        (we("input", 1_000_000), they("input", 1_000_000, "0.99", list_amount=Decimal("1.1")), {"price": "0.1", "discount": "-0.11"}),
        (we("input", 1_000_000), they("input", 1_000_000, "0.90", list_amount=Decimal(1)), {"discount": "-0.1"}),
        (we("input", 2_000_000, share="0.5"), they("input", 2_000_000, "0.90", list_amount=Decimal(2)), {"discount": "-0.1"}),
        (we("input", 2_000_000, share="0.5"), they("input", 2_000_000, "1.10", list_amount=Decimal("2.2")), {"price": "0.2", "discount": "-0.1"}),
        (we("input", 1_000_000), they("input", 1_200_000, "1.32"), {"not_captured": "0.2", "price": "0.12"}),
        (we("input", 1_004_000), they("input", 1_004_000, "1.00"), {"rounding": "-0.004"}),
        (we("input", 1_005_000), they("input", 1_005_000, "1.00"), {"rounding": "-0.005"}),
        (we("input", 1_005_001), they("input", 1_005_001, "1.00"), {"price": "-0.005001"}),
    ],
    ids=["dearer", "cheaper", "list and discount", "discount", "our own discount", "its list price", "more and dearer", "rounded", "half a cent", "beyond it"],
)  # fmt: skip
def test_money(ours: UsageLine, bill: BillLine, causes: dict[str, str]) -> None:
    found = compare(ours, bill)
    assert terms(found) == causes
    assert found.notes == []


def test_an_amount_without_a_quantity_says_one_only_where_its_digits_tell_it() -> None:
    assert terms(compare(we("input", 1_000_000), they("input", None, "1.2000000"))) == {"not_captured": "0.2"}
    assert terms(compare(we("input", 1_000_000), they("input", None, "1.2000004"))) == {"unexplained": "0.2000004"}, (
        "no whole number of tokens"
    )
    assert terms(compare(we("input", 1_000_000), they("input", None, "1.20"))) == {"unexplained": "0.2"}, "a cent hides ten thousand tokens"
    assert terms(compare(we("input", 1_004_000), they("input", None, "1.00"))) == {"rounding": "-0.004"}


@pytest.mark.parametrize(("amount", "price"), [("100.00", "99"), ("0.01", "-0.99")])
def test_cents_read_as_dollars_are_named_once(amount: str, price: str) -> None:
    for quantity in (1_000_000, None):
        found = compare(
            we("input", 1_000_000),
            they("input", quantity, amount),
            we("input", 1_000_000, model="o3"),
            they("input", quantity, amount, model="o3"),
        )
        assert terms(found) == {"price": f"{2 * Decimal(price):f}"}
        [note] = found.notes
        assert "a factor of exactly 100" in note
