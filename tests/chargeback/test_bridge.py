"""Verdicts of a comparison with the bill: on settled days, at limits that are exact, for each provider on its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from governor.chargeback.reconciliation.bill import BillLine, issuer_of
from governor.chargeback.reconciliation.bridge import (
    CAUSES,
    IssuerBridge,
    Reconciled,
    cell_status,
    document,
    exceeds,
    printed,
    reconcile,
    settles_at,
)
from governor.chargeback.reconciliation.cells import Cell, Key, UsageLine
from governor.errors import Invalid

LATE = datetime(2026, 12, 20, tzinfo=UTC)
DOLLAR = 10**12


def used(cost: int, *, day: str = "2026-10-02", issuer: str = "openai", model: str = "gpt-5", meter: str = "input") -> UsageLine:
    """cost: in cents; a million tokens cost a dollar."""
    return UsageLine(day, issuer, (), model, meter, "", cost * 10_000, cost * DOLLAR // 100, cost * DOLLAR // 100)


def billed(amount: str | None, *, day: str = "2026-10-02", issuer: str = "openai", kind: str = "usage", **other: Any) -> BillLine:
    given: dict[str, Any] = {"account": "", "model": "gpt-5", "meter": "input", "tier": None, "currency": "USD", **other}
    return BillLine(day=day, issuer=issuer, kind=kind, amount=None if amount is None else Decimal(amount), **given)


def compare(ours: Sequence[UsageLine], bill: Sequence[BillLine], now: datetime = LATE) -> Reconciled:
    return reconcile("2026-10", ours, bill, now=now)


def cell(ours: int = 0, bill: int = 0, *, pending: bool = False, issuer: str = "openai", model: str = "gpt-5") -> Cell:
    return Cell(Key("2026-10-02", issuer, "", model, "input", ""), ours_pico=ours, bill_pico=bill, pending=pending)


def result(*cells: Cell, unexplained: int = 0, invoice: int | None = None, issuers: Sequence[str] = ("openai",)) -> Reconciled:
    whole = sum(one.bill_pico for one in cells) if invoice is None else invoice
    return Reconciled(
        month="2026-10",
        cells=list(cells),
        terms=dict.fromkeys(CAUSES, 0) | {"unexplained": unexplained},
        ours_pico=sum(one.ours_pico for one in cells),
        invoice_pico=whole,
        pending_days=sorted({(one.key.issuer, one.key.day) for one in cells if one.pending}),
        without_bill={},
        issuers=list(issuers),
        by_issuer={issuer: IssuerBridge(dict.fromkeys(CAUSES, 0), 0, 0) for issuer in issuers},
    )


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (result(issuers=()), "empty"),
        (result(), "reconciled"),
        (result(cell(1000, 1000)), "reconciled"),
        (result(cell(951, 1000)), "reconciled"),
        (result(cell(950, 1000)), "mismatch"),
        (result(cell(1050, 1000)), "mismatch"),
        (result(cell(525, 500, model="a"), cell(475, 500, model="b")), "mismatch"),
        (result(cell(524, 500, model="a"), cell(475, 500, model="b")), "reconciled"),
        (result(cell(0, 0)), "reconciled"),
        (result(cell(1, 0)), "mismatch"),
        (result(cell(1000, 1000), unexplained=5), "mismatch"),
        (result(cell(1000, 1000), unexplained=-5), "mismatch"),
        (result(cell(1000, 1000), unexplained=4), "reconciled"),
        (result(cell(1000, 1000), unexplained=5, invoice=1001), "reconciled"),
        (result(cell(1000, 1000, model="a"), cell(0, 500, pending=True)), "pending"),
        (result(cell(0, 500, pending=True)), "pending"),
        (result(cell(0, 500, pending=True), unexplained=500), "pending"),
        (result(cell(900, 1000, model="a"), cell(0, 500, pending=True)), "mismatch"),
        (result(cell(950, 1000, model="a"), cell(0, 10**9, pending=True)), "mismatch"),
    ],
)
def test_the_verdict_is_that_of_settled_days_at_exact_limits(found: Reconciled, status: str) -> None:
    assert found.status == status


def test_of_nothing_nothing_is_too_much_and_anything_else_is() -> None:
    five = Decimal(5)
    assert [exceeds(part, whole, five) for part, whole in [(0, 0), (1, 0), (0, 100), (5, 100), (4, 100), (5, -100)]] == [
        False,
        True,
        False,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("difference", "bill", "status"),
    [
        (DOLLAR, 10 * DOLLAR, "matched"),
        (DOLLAR + 1, 10 * DOLLAR, "mismatch"),
        (-DOLLAR - 1, 10 * DOLLAR, "mismatch"),
        (DOLLAR, 0, "matched"),
        (2 * DOLLAR, 100 * DOLLAR, "matched"),
        (2 * DOLLAR + 1, 100 * DOLLAR, "mismatch"),
        (-2 * DOLLAR, -100 * DOLLAR, "matched"),
    ],
)
def test_a_line_may_differ_by_a_dollar_or_by_two_percent(difference: int, bill: int, status: str) -> None:
    assert cell_status(cell(bill - difference, bill)) == status
    assert cell_status(cell(bill - difference, bill, pending=True)) == "pending"


@pytest.mark.parametrize(
    ("issuer", "hours"),
    [("openai", 24), ("anthropic", 24), ("openrouter", 24), ("aws", 72), ("azure", 72), ("gcp", 120), ("mistral", 72)],
)
def test_a_day_is_settled_so_long_after_its_end_as_its_provider_still_changes_it(issuer: str, hours: int) -> None:
    settled = datetime(2026, 10, 3, tzinfo=UTC) + timedelta(hours=hours)
    assert settles_at(issuer, "2026-10-02") == settled
    before, after = (
        compare([used(500, issuer=issuer)], [billed("5", issuer=issuer)], now=settled + timedelta(microseconds=step)) for step in (-1, 0)
    )
    assert (before.status, before.pending_days) == ("pending", [(issuer, "2026-10-02")])
    assert (after.status, after.pending_days) == ("reconciled", [])


def test_each_providers_share_is_of_its_own_settled_days_and_the_worst_line_comes_first() -> None:
    now = datetime(2026, 10, 10, tzinfo=UTC)
    ours = [
        used(1000, day="2026-10-02"),
        used(500, day="2026-10-03"),
        used(800, day="2026-10-09"),  # not settled: of no error
        used(2000, day="2026-10-02", issuer="anthropic", model="claude-sonnet-4-6"),
        used(77, issuer="mistral"),
    ]
    bill = [
        billed("10.25", day="2026-10-02"),
        billed("4.90", day="2026-10-03"),
        billed("2", day="2026-10-09"),
        billed("18", day="2026-10-02", issuer="anthropic", model="claude-sonnet-4-6"),
        billed("1.5", day="2026-10-02", issuer="anthropic", kind="tax", model="", meter=""),
    ]
    told = document(compare(ours, bill, now))
    assert told["status"] == "mismatch"
    anthropic, openai = told["issuers"]
    assert {name: anthropic[name] for name in ("issuer", "ours", "invoice", "difference", "billed_usage", "net", "gross")} == {
        "issuer": "anthropic",
        "ours": usd("20"),
        "invoice": usd("19.5"),
        "difference": usd("-0.5"),
        "billed_usage": usd("18"),
        "net": {"amount": usd("2"), "percent": "11.1111"},
        "gross": {"amount": usd("2"), "percent": "11.1111"},
    }
    assert {name: openai[name] for name in ("issuer", "ours", "invoice", "difference", "billed_usage", "net", "gross")} == {
        "issuer": "openai",
        "ours": usd("23"),
        "invoice": usd("17.15"),
        "difference": usd("-5.85"),
        "billed_usage": usd("17.15"),
        "net": {"amount": usd("0.15"), "percent": "0.9901"},
        "gross": {"amount": usd("0.35"), "percent": "2.3102"},
    }
    assert told["net"] == {"amount": usd("1.85"), "percent": "5.5807"}
    assert told["gross"] == {"amount": usd("2.35"), "percent": "7.0890"}
    assert told["without_bill"] == [{"issuer": "mistral", "ours": usd("0.77")}]
    assert [(line["issuer"], line["day"], line["status"]) for line in told["lines"]] == [
        ("openai", "2026-10-09", "pending"),
        ("anthropic", "2026-10-02", "mismatch"),
        ("openai", "2026-10-02", "matched"),
        ("openai", "2026-10-03", "matched"),
    ]
    assert all(set(map(Decimal, line["causes"].values())).isdisjoint({0}) for line in told["lines"])
    assert (anthropic["bridge"]["tax"], openai["bridge"]["tax"]) == (usd("1.5"), usd("0"))


def usd(amount: str) -> str:
    return f"{Decimal(amount):.2f}"


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (billed("-1", kind="discount"), None),
        (billed("-1", kind="discount", model=""), "discount"),
        (billed("-1", kind="discount", meter=""), "discount"),
        (billed("-1", kind="credit"), "credits"),
        (billed("-1", kind="tax"), "tax"),
        (billed("-1", kind="fee"), "fees"),
        (billed("-1", kind="commitment"), "commitment"),
        (billed("-1", kind="rounding"), "rounding"),
        (billed("-1", day="2026-09-30", invoice_month="2026-10"), "timing"),
        (billed("-1", day="2026-09-30", kind="discount", invoice_month="2026-10"), "discount"),
    ],
)
def test_only_usage_of_the_month_and_discounts_on_it_meet_what_we_say(line: BillLine, cause: str | None) -> None:
    found = compare([used(500)], [billed("5"), line])
    if cause is None:  # it says of what: what is charged there is a dollar less
        assert [one.difference for one in found.cells] == [-DOLLAR]
    else:
        assert [one.difference for one in found.cells] == [0]
        assert {name: amount for name, amount in found.terms.items() if amount} == {cause: -DOLLAR}


@pytest.mark.parametrize(("rate", "sound"), [("0.000001", True), ("0.00000099", False), ("1000", True), ("1000.01", False)])
def test_a_rate_is_sound_up_to_its_limits(rate: str, sound: bool) -> None:
    line = billed("5", currency="XYZ", usd_rate=Decimal(rate))
    if sound:
        assert compare([], [line]).invoice_pico == 5 * DOLLAR * Decimal(rate)
    else:
        with pytest.raises(Invalid, match="an exchange rate of"):
            compare([], [line])


def test_a_usage_report_needs_no_rate_and_gives_no_money() -> None:
    """Its currency is only how its file is told."""
    report = billed(None, currency="EUR", quantity=Decimal(5_000_000))
    assert compare([used(500)], [billed("5"), report]).status == "reconciled"
    with pytest.raises(Invalid, match="names tokens and no money"):
        compare([used(500)], [report])


def test_a_result_of_before_providers_had_bridges_prints_as_one() -> None:
    told = document(compare([used(500), used(100, issuer="anthropic")], [billed("5.5"), billed("1", issuer="anthropic")]))
    now = printed(told)
    assert [one["issuer"] for one in now["issuers"]] == ["anthropic", "openai"]
    assert now["issuers"][0]["steps"] == []
    assert [amount for _, amount in now["issuers"][1]["steps"]] == [usd("0.5")]
    assert (now["pending_days"], now["status"]) == (0, told["status"])
    older = told | {"issuers": [{"issuer": one["issuer"]} for one in told["issuers"]]}
    then = printed(older)
    assert [(one["issuer"], one["invoice"], one["steps"]) for one in then["issuers"]] == [
        ("anthropic, openai", told["invoice"], now["issuers"][1]["steps"])
    ]


@pytest.mark.parametrize(
    ("provider", "gateway", "issuer"),
    [
        ("openai", "", "openai"),
        ("openai", "openrouter", "openrouter"),
        ("openrouter", "", "openrouter"),
        ("aws.bedrock", "", "aws"),
        ("azure.openai", "litellm", "azure"),
        ("gcp.vertex_ai", "", "gcp"),
        ("mistral", "litellm", "mistral"),
    ],
)
def test_who_bills_for_calls(provider: str, gateway: str, issuer: str) -> None:
    assert issuer_of(provider, gateway) == issuer
