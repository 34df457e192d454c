"""Shared costs in a month that is closed: every file carries them, and they add up."""

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
from governor.actions.import_prices import import_prices
from governor.actions.show_allocation import lines_from, show_allocation
from governor.catalog import parse_documents
from governor.errors import Forbidden, Invalid, Unauthenticated, WrongState
from reports.focus_rules import check
from tests.actions.test_close_period import AFTER, MORE, NOVEMBER, OCTOBER, calls, prices

SHARED = """
kind: workflow
id: search
owner: olga@acme.example
cost_center: CC-SHARED
risk_tier: low
data_class: internal
match:
  - {metadata.workflow: search}
routes:
  - {id: current, provider: openai, model: gpt-4o-mini, regions: [us-east-1], approved_until: 2027-03-31}
"""
RULES = """
kind: allocation
id: search-by-seats
valid_from: 2026-10-01
order: 10
method: driver
driver: seats
source: {cost_center: CC-SHARED}
reason: search is offered to everybody
---
kind: rate_plan
id: platform
valid_from: 2026-10-01
plan: platform_fee
percent: "7.5"
cost_centers: [CC-4100, "CC 52/00"]
recovers_to: CC-PLATFORM
"""
SEATS = """
kind: driver
id: seats
period: 2026-10
source: HR export of 2026-10-31
weights: {CC-4100: "70", "CC 52/00": "35", CC-9: "2"}
"""


@pytest.fixture
def month(world: Any) -> Any:
    world.apply(MORE)
    world.apply(SHARED)
    import_prices(world.ctx, world.person("finn"), prices())
    calls(world, "fnol", count=40, tokens=(10_007, 333))
    calls(world, "ads", count=25, workflow="ad-copy", model="gpt-4o-mini", tokens=(3_001, 1_499))
    calls(world, "search", count=31, workflow="search", model="gpt-4o-mini", tokens=(70_001, 9_999))
    world.now = AFTER
    world.apply(RULES, world.person("finn"))
    return world


def files(month: Any, name: str = OCTOBER) -> dict[str, bytes]:
    with month.ctx.rows.session() as session:
        return {file.name: file.body for file in files_of(session, month.ctx.org, name)}


def table(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode())))


def test_a_month_without_its_weights_does_not_close(month: Any) -> None:
    said = "allocation search-by-seats: driver seats has no weights for 2026-10"
    assert status(month.ctx, OCTOBER)["reasons"] == [said]
    with pytest.raises(WrongState, match=said):
        close(month.ctx, month.person("finn"), OCTOBER)
    assert status(month.ctx, OCTOBER)["state"] == "open"
    month.apply(SEATS, month.person("finn"))
    assert status(month.ctx, OCTOBER)["reasons"] == []


def test_weights_that_are_put_right_after_the_month_hold_for_it(month: Any) -> None:
    finn = month.person("finn")
    month.apply(SEATS, finn)
    month.later(days=1)
    month.apply(SEATS.replace('"70"', '"0"').replace('"35"', '"0"'), finn)
    (flow,) = show_allocation(month.ctx, OCTOBER)["flows"]
    assert (flow["target"], flow["percent"]) == ("CC-9", "100.00")
    close(month.ctx, finn, OCTOBER)
    month.later(days=1)
    month.apply(SEATS, finn)
    assert {line.cost_center for line in pending_corrections(month.ctx, NOVEMBER)} >= {"CC-9", "CC-4100"}, "a closed month is corrected"


def test_every_file_carries_the_shares_and_they_add_up(month: Any, tmp_path: Path) -> None:
    month.apply(SEATS, month.person("finn"))
    closed = close(month.ctx, month.person("finn"), OCTOBER, tmp_path)
    exact = (
        40 * (10_007 * 2_500_000 + 333 * 10_000_000) + 25 * (3_001 * 150_000 + 1_499 * 600_000) + 31 * (70_001 * 150_000 + 9_999 * 600_000)
    )
    assert Decimal(closed["totals"]["contracted_cost"]) == Decimal(exact) / 10**12, "fees cancel out, shares sum to their origin"
    found = files(month)
    focus = found["focus-2026-10.csv"]
    assert check(focus) == []
    rows = table(focus)
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal(closed["totals"]["statement_total"])
    ratios: dict[str, Decimal] = {}
    for row in rows:
        if row["x_OriginChargeId"]:
            ratios[row["x_OriginChargeId"]] = ratios.get(row["x_OriginChargeId"], Decimal(0)) + Decimal(row["x_AllocationRatio"])
    assert ratios
    assert set(ratios.values()) == {Decimal(1)}
    shares = {
        row["SubAccountId"]: Decimal(row["ContractedCost"]) for row in rows if row["x_OriginChargeId"] and row["SkuMeter"] == "Input Tokens"
    }
    whole = Decimal(31 * 70_001 * 150_000) / 10**12
    assert sum(shares.values()) == whole
    assert abs(shares["CC-4100"] - whole * 70 / 107) < Decimal("1e-11")
    assert {row["SubAccountId"] for row in rows} == {"CC-4100", "CC 52/00", "CC-9", "CC-PLATFORM"}, "the source has nothing left"
    fees = [row for row in rows if row["ChargeCategory"] == "Adjustment"]
    assert sum(Decimal(row["ContractedCost"]) for row in fees) == 0
    assert all("7.5 % of $" in row["x_Arithmetic"] for row in fees)
    lines = [row for name, body in found.items() if name.startswith("statement-") and name.endswith(".csv") for row in table(body)]
    assert sum(Decimal(row["amount"]) for row in lines) == Decimal(closed["totals"]["statement_total"])
    assert {row["kind"] for row in lines} == {"usage", "shared", "rate_plan"}
    journal = table(found["journal-2026-10.csv"])
    debit, credit = (sum(Decimal(row[side]) for row in journal if row[side]) for side in ("debit", "credit"))
    assert debit == credit
    memo = next(center for center in json.loads(found["statement-2026-10.json"])["cost_centers"] if center["id"] == "CC-PLATFORM")
    assert memo["document"] == "credit_memo"


def test_a_late_call_changes_shares_in_the_open_month_only(month: Any) -> None:
    month.apply(SEATS, month.person("finn"))
    close(month.ctx, month.person("finn"), OCTOBER)
    before, charged = files(month), Decimal(show_allocation(month.ctx, OCTOBER)["cost"])
    calls(month, "late", count=3, workflow="search", model="gpt-4o-mini", tokens=(1_001, 7))
    corrections = pending_corrections(month.ctx, NOVEMBER)
    assert sum(line.contracted_pico for line in corrections) == 3 * (1_001 * 150_000 + 7 * 600_000)
    assert {line.cost_center for line in corrections} == {"CC-4100", "CC 52/00", "CC-9", "CC-PLATFORM"}
    month.later(days=30)
    close(month.ctx, month.person("finn"), NOVEMBER)
    assert files(month) == before
    shown = show_allocation(month.ctx, OCTOBER)
    assert shown["closed"]["total"] == json.loads(before["statement-2026-10.json"])["totals"]["statement_total"]
    assert Decimal(shown["cost"]) == charged + sum(Decimal(line.contracted_pico) for line in corrections) / 10**12  # with the late calls
    assert check(files(month, NOVEMBER)["focus-2026-11.csv"]) == []
    assert pending_corrections(month.ctx, "2026-12") == []


def test_a_trial_changes_nothing_and_says_where_each_dollar_went(month: Any) -> None:
    even = "kind: allocation\nid: search-by-seats\nmethod: even\nsource: {cost_center: CC-SHARED}\ntargets: [CC-4100, CC-9]\n"
    tried = show_allocation(month.ctx, OCTOBER, parse_documents(even))
    assert [(flow["target"], flow["percent"]) for flow in tried["flows"]] == [("CC-4100", "50.00"), ("CC-9", "50.00")]
    assert sum(Decimal(row["charge"]) for row in tried["cost_centers"]) == Decimal(tried["cost"])
    for row in tried["cost_centers"]:
        assert sum(Decimal(row[name]) for name in ("direct", "given", "received", "rate_plans", "shadow")) == Decimal(row["charge"])
    assert show_allocation(month.ctx, OCTOBER)["left"][0]["blocks"] is True
    with pytest.raises(Invalid, match="is the source of allocation"):
        show_allocation(month.ctx, OCTOBER, parse_documents(even.replace("id: search-by-seats", "id: other")))
    with pytest.raises(Invalid, match="only allocation, driver and rate_plan"):
        show_allocation(month.ctx, OCTOBER, parse_documents(MORE))


def test_a_line_leads_to_its_origin(month: Any) -> None:
    month.apply(SEATS, month.person("finn"))
    close(month.ctx, month.person("finn"), OCTOBER)
    shared = next(row for row in table(files(month)["statement-2026-10-CC-9.csv"]) if row["kind"] == "shared")
    family = lines_from(month.ctx, OCTOBER, shared["origin_line_id"])
    assert [one["cost_center"] for one in family if not one["origin"]] == ["CC-SHARED"]
    whole, parts = (sum(Decimal(one["contracted_cost"]) for one in family if bool(one["origin"]) is kind) for kind in (False, True))
    assert whole == parts


def test_who_may_decide_who_pays(month: Any) -> None:
    with pytest.raises(Forbidden):
        month.apply(SEATS, month.person("dana"))
    with pytest.raises(Unauthenticated, match="needs a person"):
        month.apply(RULES.replace("7.5", "8"), OPERATOR)
    with pytest.raises(Invalid, match="valid_from is missing"):
        month.apply("kind: allocation\nid: x\nmethod: even\nsource: {cost_center: S}\ntargets: [A]\n")
    assert show_allocation(month.ctx, OCTOBER)["rules"][0]["approver"] == month.person("finn").id
