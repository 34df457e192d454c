"""Commitments, provisioned capacity and a statement currency in a month that is closed: every file carries them, and they add up."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from governor.actions.close_period import close, files_of, status
from governor.actions.context import OPERATOR
from governor.actions.correct import pending_corrections
from governor.actions.export_month import export_month
from governor.actions.import_prices import import_prices
from governor.actions.show_spend import show_spend
from governor.actions.soft_close import soft_close
from governor.chargeback.statement import for_cost_center
from governor.errors import Forbidden, Unauthenticated, WrongState
from reports.focus_check import check_file
from reports.statement import render_html
from tests.actions.test_close_period import AFTER, MORE, NOVEMBER, OCTOBER, calls, prices

CAPACITY = """
kind: commitment
id: ptu-gpt-4o
name: Provisioned gpt-4o
valid_from: 2026-10-01
provider: openai
models: [gpt-4o]
starts: 2026-10-01
ends: 2027-10-01
provisioned: {units: 2, hourly_rate: "0.013", tokens_per_minute: 20, weights: {output: "4"}}
unused: {cost_center: CC-9}
"""
SPEND = """
kind: commitment
id: mini-commit
valid_from: 2026-10-01
provider: openai
models: [gpt-4o-mini]
starts: 2026-10-01
ends: 2027-10-01
monthly_amount: "%s"
unused: {percents: {CC-4100: "33.3", CC-9: "66.7"}}
"""
EURO = """
kind: fx_rate
currency: EUR
period: 2026-10
rate: "%s"
source: ECB reference rate
date: 2026-10-30
"""
IN_EURO = """
kind: organization
name: Acme Insurance
month_end: {currency: EUR}
"""


@pytest.fixture
def month(world: Any) -> Any:
    world.apply(MORE)
    import_prices(world.ctx, world.person("finn"), prices())
    calls(world, "fnol", count=40, tokens=(10_007, 333))
    calls(world, "ads", count=25, workflow="ad-copy", model="gpt-4o-mini", tokens=(30_001, 14_999))
    world.now = AFTER
    return world


def files(month: Any) -> dict[str, bytes]:
    with month.ctx.rows.session() as session:
        return {file.name: file.body for file in files_of(session, month.ctx.org, OCTOBER)}


def table(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode())))


def total(rows: list[dict[str, str]], column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows if row[column]), Decimal(0))


def test_capacity_is_paid_by_use_and_the_unused_part_by_name(month: Any) -> None:
    month.apply(CAPACITY, month.person("finn"))
    close(month.ctx, month.person("finn"), OCTOBER)
    found = files(month)
    document = json.loads(found[f"statement-{OCTOBER}.json"])
    (capacity,) = document["commitments"]
    assert capacity["cost"] == "19.344"  # 2 units x 744 hours x 0.013
    weighted = 40 * (10_007 + 4 * 333)
    used = round(19_344_000_000_000 * weighted / (2 * 744 * 60 * 20))
    assert Decimal(capacity["used"]) == Decimal(used).scaleb(-12)
    assert Decimal(capacity["used"]) + Decimal(capacity["unused"]) == Decimal(capacity["cost"])
    centers = {center["id"]: center for center in document["cost_centers"]}
    covered = [line for line in centers["CC-4100"]["lines"] if line["model"] == "gpt-4o"]
    assert covered
    assert all((line["contracted_cost"], line["amount"], line["price_source"]) == ("0.00", "0.00", "commitment") for line in covered)
    assert sum(Decimal(line["covered_cost"]) for line in covered) == Decimal(40 * (10_007 * 2_500_000 + 333 * 10_000_000)).scaleb(-12)
    assert [(line["meter"], line["contracted_cost"]) for line in centers["CC-4100"]["commitments"]] == [
        ("commitment_used", capacity["used"])
    ]
    assert [(line["meter"], line["contracted_cost"]) for line in centers["CC-9"]["commitments"]] == [
        ("commitment_unused", capacity["unused"])
    ]
    page = render_html(for_cost_center(document, "CC-4100"))
    assert " for commitments and provisioned capacity" in page
    assert "Contract prices saved" not in page, "the commitment saved it, at its own cost"
    rows = table(found[f"focus-{OCTOBER}.csv"])
    assert check_file(found[f"focus-{OCTOBER}.csv"], document) == []
    assert check_file(found[f"focus-{OCTOBER}.parquet"], document) == []
    assert total(rows, "BilledCost") == Decimal(document["totals"]["statement_total"])
    assert total(rows, "EffectiveCost") == Decimal(document["totals"]["contracted_cost"])
    mine = [row for row in rows if row["CommitmentDiscountId"]]
    assert {(row["ChargeCategory"], row["CommitmentDiscountStatus"]) for row in mine} == {
        ("Usage", "Used"),
        ("Purchase", ""),
        ("Usage", "Unused"),
    }
    assert total(mine, "BilledCost") == Decimal("19.34")
    assert total(mine, "EffectiveCost") == Decimal(capacity["cost"])
    bought = [row for row in mine if row["ChargeCategory"] == "Purchase"]
    assert abs(total(bought, "CommitmentDiscountQuantity") - 2 * 744) < Decimal("1e-9")
    journal = table(found[f"journal-{OCTOBER}.csv"])
    assert total([row for row in journal if row["account"] == "5250"], "debit") == Decimal("19.34")
    assert total(journal, "debit") == total(journal, "credit")
    for center in centers.values():
        name = next(name for name in found if name.endswith(".csv") and center["id"].replace(" ", "_").replace("/", "_") in name)
        assert total(table(found[name]), "amount") == Decimal(center["total"])


@pytest.mark.parametrize("amount", ["0.001", "0.10", "50"])
def test_a_commitment_of_money_covers_its_amount_and_no_more(month: Any, amount: str) -> None:
    value = Decimal(25 * (30_001 * 150_000 + 14_999 * 600_000)).scaleb(-12)
    month.apply(SPEND % amount, month.person("finn"))
    close(month.ctx, month.person("finn"), OCTOBER)
    document = json.loads(files(month)[f"statement-{OCTOBER}.json"])
    (one,) = document["commitments"]
    assert Decimal(one["used"]) == min(value, Decimal(amount))
    lines = [line for center in document["cost_centers"] for line in center["lines"] if line["model"] == "gpt-4o-mini"]
    assert sum(Decimal(line["contracted_cost"]) for line in lines) == max(Decimal(0), value - Decimal(amount))
    assert sum(line["quantity"] for line in lines) == 25 * (30_001 + 14_999)
    charged = [line for center in document["cost_centers"] for line in center["commitments"]]
    assert sum(Decimal(line["contracted_cost"]) for line in charged) == Decimal(amount)
    assert check_file(files(month)[f"focus-{OCTOBER}.csv"], document) == []


def test_late_use_of_capacity_moves_from_unused_to_used_and_costs_nothing(month: Any) -> None:
    month.apply(CAPACITY, month.person("finn"))
    close(month.ctx, month.person("finn"), OCTOBER)
    calls(month, "late", count=3, tokens=(5_000, 100))
    found = pending_corrections(month.ctx, NOVEMBER)
    assert sum(line.contracted_pico for line in found) == 0
    moved = {line.meter: line.contracted_pico for line in found if line.traffic_class == "commitment"}
    assert moved["commitment_used"] == -moved["commitment_unused"] > 0
    month.now = AFTER.replace(month=12)
    close(month.ctx, month.person("finn"), NOVEMBER)
    with month.ctx.rows.session() as session:
        later = {file.name: file.body for file in files_of(session, month.ctx.org, NOVEMBER)}
    assert check_file(later[f"focus-{NOVEMBER}.csv"], json.loads(later[f"statement-{NOVEMBER}.json"])) == []


def test_a_commitment_that_begins_inside_the_month_covers_from_then_on(month: Any) -> None:
    calls(month, "before", count=2, tokens=(1_000, 100), at=AFTER.replace(month=10, day=2))
    month.apply(CAPACITY.replace("starts: 2026-10-01", "starts: 2026-10-04"), month.person("finn"))
    close(month.ctx, month.person("finn"), OCTOBER)
    document = json.loads(files(month)[f"statement-{OCTOBER}.json"])
    assert document["commitments"][0]["cost"] == "17.472"  # 28 days
    lines = [
        line for center in document["cost_centers"] for line in center["lines"] if line["model"] == "gpt-4o" and line["meter"] == "input"
    ]
    assert sorted((line["quantity"], line["price_source"]) for line in lines) == [(2_000, "list"), (400_280, "commitment")]


def test_the_spend_of_a_month_says_what_is_covered_and_what_nobody_used(month: Any) -> None:
    assert show_spend(month.ctx, OCTOBER)["commitments"] == []
    month.apply(CAPACITY, month.person("finn"))
    month.apply(SPEND % "0.5", month.person("finn"))
    found = show_spend(month.ctx, OCTOBER)["commitments"]
    assert found == status(month.ctx, OCTOBER)["would_write"]["commitments"], "as the close would say it"
    assert {one["id"]: one["used_percent"] for one in found}["mini-commit"]
    for one in found:
        assert Decimal(one["used"]) + Decimal(one["unused"]) == Decimal(one["cost"]) > 0
    assert show_spend(month.ctx, "2026-09")["commitments"] == []


def test_who_may_commit(month: Any) -> None:
    with pytest.raises(Unauthenticated):
        month.apply(CAPACITY, OPERATOR)
    with pytest.raises(Forbidden):
        month.apply(CAPACITY, month.person("olga"))


NETSUITE_RATE = {"0.9234": "1.0829543", "151.37": "0.00660633", "0.0001": "10000", "0.0000001": "10000000"}


@pytest.mark.parametrize("rate", NETSUITE_RATE)
def test_a_statement_in_another_currency_foots_in_both(month: Any, rate: str, tmp_path: Path) -> None:
    month.apply(CAPACITY + "---" + SPEND % "0.10", month.person("finn"))
    month.apply(IN_EURO)
    with pytest.raises(WrongState, match="no kind: fx_rate says what a dollar was in 2026-10"):
        close(month.ctx, month.person("finn"), OCTOBER)
    with pytest.raises(WrongState, match="no kind: fx_rate says what a dollar was in 2026-10"):
        soft_close(month.ctx, month.person("finn"), OCTOBER)
    assert "fx_rate" in status(month.ctx, OCTOBER)["reasons"][0]
    month.apply(EURO % "7.5", month.person("finn"))
    month.apply(EURO % rate, month.person("finn"))  # put right before the close
    close(month.ctx, month.person("finn"), OCTOBER)
    found = files(month)
    document = json.loads(found[f"statement-{OCTOBER}.json"])
    assert document["fx"] == {
        "currency": "EUR",
        "rate": rate,
        "source": "ECB reference rate",
        "date": "2026-10-30",
        "period": OCTOBER,
        "from": "USD",
    }
    wanted = (Decimal(document["totals"]["statement_total"]) * Decimal(rate)).quantize(Decimal("0.01"))
    assert Decimal(document["totals"]["local_total"]) == wanted
    assert sum(Decimal(center["local_total"]) for center in document["cost_centers"]) == wanted
    for center in document["cost_centers"]:
        lines = [*center["lines"], *center["commitments"], *center["internal"], *center["corrections"]]
        assert sum(Decimal(line["local_amount"]) for line in lines) == Decimal(center["local_total"])
    focus = table(found[f"focus-{OCTOBER}.csv"])
    assert {(row["BillingCurrency"], row["PricingCurrency"], row["x_ExchangeRate"]) for row in focus} == {("EUR", "USD", rate)}
    assert total(focus, "BilledCost") == wanted
    assert total(focus, "PricingCurrencyEffectiveCost") == Decimal(document["totals"]["contracted_cost"])
    for name in (f"focus-{OCTOBER}.csv", f"focus-{OCTOBER}.parquet"):
        assert check_file(found[name], document, f"{wanted}") == []
    journal = table(found[f"journal-{OCTOBER}.csv"])
    assert total(journal, "local_debit") == total(journal, "local_credit") == wanted
    assert total(journal, "debit") == Decimal(document["totals"]["statement_total"])
    for name in ("netsuite", "quickbooks", "workday", "sap", "generic", "focus-1.2", "focus-1.3"):
        made = export_month(month.ctx, month.person("finn"), OCTOBER, name, out=tmp_path / name)
        assert Decimal(made["control"]["statement_total"]) == (
            Decimal(document["totals"]["statement_total"]) if name == "generic" else wanted
        )
        assert made["control"].get("fx", document["fx"]) == document["fx"]
    netsuite = table((tmp_path / "netsuite").read_bytes())
    assert {(row["Currency"], row["Exchange Rate"]) for row in netsuite} == ({("EUR", NETSUITE_RATE[rate])} if wanted else set())
    assert total(netsuite, "Debit") == total(netsuite, "Credit") == wanted
    before = found
    month.apply(EURO % "2", month.person("finn"))  # the rate is sealed with the month
    close(month.ctx, month.person("finn"), OCTOBER)
    assert files(month) == before
    assert pending_corrections(month.ctx, NOVEMBER) == []
