"""The journal: it balances, it equals the statement, posting it twice is recognised."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest

from governor.catalog.commitment import FxRateDocument
from governor.chargeback.currency import stated_in
from reports.journal import ACCOUNTS, amounts, render_csv


def lines(month: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render_csv(month).decode())))


def side(found: list[dict[str, str]], name: str) -> Decimal:
    return sum((Decimal(line[name]) for line in found if line[name]), Decimal(0))


def test_debits_equal_credits_and_the_clearing_line_is_the_total(month: dict[str, Any]) -> None:
    found = lines(month)
    assert side(found, "debit") == side(found, "credit")
    assert found[-1]["account"] == "2150"
    assert Decimal(found[-1]["credit"]) == Decimal(month["totals"]["statement_total"])


def test_each_cost_center_owes_its_statement(month: dict[str, Any]) -> None:
    found = lines(month)
    for center in month["cost_centers"]:
        own = [line for line in found if line["cost_center"] == center["id"]]
        assert side(own, "debit") - side(own, "credit") == Decimal(center["total"])


def test_shadow_corrections_and_unallocated_have_accounts_of_their_own(month: dict[str, Any]) -> None:
    found = {(line["cost_center"], line["account"]): line for line in lines(month)}
    assert found[("CC-4100", "5220")]["debit"] == "1.23"
    assert found[("CC-5200", "5230")]["credit"] == "18.32"
    assert ("UNALLOCATED", "5290") in found


def test_no_amount_is_negative_and_no_line_has_both_sides(month: dict[str, Any]) -> None:
    for line in lines(month):
        assert bool(line["debit"]) != bool(line["credit"])
        assert not (line["debit"] + line["credit"]).startswith("-")


def test_external_ids_are_distinct_and_stable(month: dict[str, Any]) -> None:
    ids = [line["external_id"] for line in lines(month)]
    assert len(set(ids)) == len(ids)
    assert ids == [line["external_id"] for line in lines(month)]


def test_an_external_id_outlives_releases(month: dict[str, Any]) -> None:
    """The ledger of finance knows a line by it: another one would be posted a second time."""
    assert [line["external_id"] for line in lines(month)][:2] == ["acme-2026-10-bf459fe626ee3e67", "acme-2026-10-f389bd0c14e739a7"]


def test_accounts_can_be_named(month: dict[str, Any]) -> None:
    named = render_csv(month | {"accounts": {"clearing": ["2999", "Our clearing"]}})
    assert b"2999,Our clearing" in named


def test_a_month_that_charges_nothing_is_an_empty_journal(month: dict[str, Any]) -> None:
    assert len(render_csv(month | {"cost_centers": []}).decode().splitlines()) == 1


def test_what_adds_up_to_nothing_clears_nothing(month: dict[str, Any]) -> None:
    charged, taken_back = (
        month["cost_centers"][0] | {"id": name, "lines": [], "corrections": [], "commitments": [], "internal": []}
        for name in ("CC-1", "CC-2")
    )
    charged["corrections"], taken_back["corrections"] = [{"amount": "3.10"}], [{"amount": "-3.10"}]
    found = lines(month | {"cost_centers": [charged, taken_back]})
    assert [(line["debit"], line["credit"]) for line in found] == [("3.10", ""), ("", "3.10"), ("", "0.00")]


def test_the_period_is_that_of_the_posting_day(month: dict[str, Any]) -> None:
    """The close of an accrued month is booked in the next one: in its own period the month would hold accrual and use, the next one the reversal alone."""
    assert {(row["period"], row["posting_date"]) for row in lines(month)} == {("2026-10", "2026-10-31")}
    accrued = month | {"posting_date": "2026-11-01"}
    assert {(row["period"], row["posting_date"]) for row in lines(accrued)} == {("2026-11", "2026-11-01")}


@pytest.mark.parametrize(("currency", "rate"), [("EUR", "0.87"), ("JPY", "151.37")])
def test_both_currencies_balance_line_by_line(month: dict[str, Any], currency: str, rate: str) -> None:
    stated = stated_in(month, FxRateDocument(currency=currency, period="2026-10", rate=rate, source="ECB", date="2026-10-30"))
    found = lines(stated)
    assert side(found, "local_debit") == side(found, "local_credit")
    assert Decimal(found[-1]["local_credit"]) == Decimal(stated["totals"]["local_total"])
    facts = {(line["local_currency"], line["fx_rate"], line["fx_source"], line["fx_date"]) for line in found}
    assert facts == {(currency, rate, "ECB", "2026-10-30")}
    told = {(line["cost_center"], line["account"]): (net(line, ""), net(line, "local_")) for line in found if line["cost_center"]}
    assert told == {(center["id"], ACCOUNTS[kind][0]): both for center in stated["cost_centers"] for kind, both in amounts(center).items()}
    assert not any(line[name].startswith("-") for line in found for name in ("debit", "credit", "local_debit", "local_credit"))


def net(line: dict[str, str], before: str) -> Decimal:
    return Decimal(line[f"{before}debit"] or 0) - Decimal(line[f"{before}credit"] or 0)


@pytest.mark.parametrize("cents", ["0.01", "0.99", "1.00", "-0.01", "-1.00"])
def test_a_line_of_cents_is_on_one_side(month: dict[str, Any], cents: str) -> None:
    center = month["cost_centers"][0]
    line = center["lines"][0] | {"amount": cents}
    small = month | {"cost_centers": [center | {"lines": [line], "corrections": [], "internal": [], "commitments": []}]}
    told, clearing = lines(small)
    given, other = ("credit", "debit") if cents.startswith("-") else ("debit", "credit")
    assert (told[given], told[other]) == (cents.removeprefix("-"), "")
    assert (clearing[other], clearing[given]) == (cents.removeprefix("-"), "")


def test_lines_are_those_that_post_something_numbered_in_order() -> None:
    """Written out by hand: what comes to nothing in both currencies is no line, what rounds to nothing in one of them still is, on one side.

    Such a line stood in debit in one currency and in credit in the other.
    """

    def center(name: str, *pairs: tuple[str, str], **more: Any) -> dict[str, Any]:
        return {
            "id": name,
            "lines": [{"traffic_class": "production", "amount": one, "local_amount": other} for one, other in pairs],
            **more,
        }

    document = {
        "statement_number": "acme-2026-10", "month": "2026-10", "posting_date": "2026-10-31", "currency": "USD", "organization": {"id": "acme"},
        "fx": {"currency": "JPY", "rate": "150", "source": "ECB", "date": "2026-10-30"},
        "cost_centers": [
            center("A", ("1.00", "150"), ("0.25", "38"), corrections=[{"amount": "-2.00", "local_amount": "-300"}]),
            center("B", ("0.50", "75"), ("-0.50", "-75")),
            center("C", ("0.00", "1")),
            center("D", ("0.01", "0")),
            center("E", ("0.00", "-2")),
        ],
    }  # fmt: skip
    found = lines(document)
    names = ("line_no", "cost_center", "account", "debit", "credit", "local_debit", "local_credit")
    assert [tuple(row[name] for name in names) for row in found] == [
        ("1", "A", "5210", "1.25", "", "188.00", ""),
        ("2", "A", "5230", "", "2.00", "", "300.00"),
        ("3", "C", "5210", "0.00", "", "1.00", ""),
        ("4", "D", "5210", "0.01", "", "0.00", ""),
        ("5", "E", "5210", "", "0.00", "", "2.00"),
        ("6", "", "2150", "0.74", "", "113.00", ""),
    ]
    assert {len(row["external_id"].removeprefix("acme-2026-10-")) for row in found} == {16}
