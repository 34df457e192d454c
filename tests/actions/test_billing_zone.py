"""A home west or east of Greenwich: a document's plain date is a day of the billing zone, so that nothing of it reaches into the month before."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from governor.actions.close_period import close, files_of, status
from governor.actions.correct import pending_corrections
from governor.actions.import_prices import import_prices
from governor.actions.month_view import this_month
from governor.api.v1_usage import list_findings
from governor.errors import Invalid
from tests.actions.test_close_period import AFTER, MORE, NOVEMBER, OCTOBER, calls, prices

ZONE = "kind: organization\nname: Acme\nbilling_zone: %s\n"
FROM_NOVEMBER = """
kind: rate_plan
id: platform
valid_from: 2026-11-01
plan: platform_fee
percent: "10"
cost_centers: [CC-4100]
recovers_to: CC-PLATFORM
---
kind: allocation
id: everybody
valid_from: 2026-11-01
order: 10
method: direct
source: {cost_center: CC-4100}
targets: [CC-9]
reason: a new rule
---
kind: commitment
id: november
valid_from: 2026-11-01
provider: openai
starts: 2026-11-01
ends: 2026-12-01
monthly_amount: "5000"
unused: {cost_center: CC-9}
"""
CHEAPER = """
kind: contract_price
provider: openai
model: gpt-4o
meter: input
price: {amount: "1.25", per: "1000000"}
valid_from: 2026-11-01
"""


@pytest.fixture(params=["America/New_York", "Europe/Berlin", "UTC"])
def month(world: Any, request: pytest.FixtureRequest) -> Any:
    world.apply(ZONE % request.param)
    world.apply(MORE)
    import_prices(world.ctx, world.person("finn"), prices())
    calls(world, "fnol", count=40, tokens=(10_007, 333))
    world.now = AFTER
    close(world.ctx, world.person("finn"), OCTOBER)
    return world


def test_a_rule_of_the_next_month_leaves_a_closed_one_alone(month: Any) -> None:
    month.apply(FROM_NOVEMBER, month.person("finn"))
    month.apply(CHEAPER)
    assert status(month.ctx, NOVEMBER)["corrections"] == []


def test_a_style_of_corrections_holds_from_the_month_it_is_dated(month: Any, request: pytest.FixtureRequest) -> None:
    zone = request.node.callspec.params["month"]
    month.apply(ZONE % zone + "valid_from: 2026-12-01\nmonth_end: {corrections: ledger}\n")
    calls(month, "late", count=3, tokens=(1_001, 7))
    month.now = AFTER + timedelta(days=31)
    assert [{line.style for line in pending_corrections(month.ctx, name)} for name in (NOVEMBER, "2026-12")] == [
        {""},
        {"reversal", "restated"},
    ]


def test_a_month_of_a_commitment_costs_its_monthly_amount(month: Any) -> None:
    month.apply(FROM_NOVEMBER, month.person("finn"))
    month.now = AFTER + timedelta(days=31)
    close(month.ctx, month.person("finn"), NOVEMBER)
    with month.ctx.rows.session() as session:
        found = {file.name: file.body for file in files_of(session, month.ctx.org, NOVEMBER)}
    (bought,) = json.loads(found[f"statement-{NOVEMBER}.json"])["commitments"]
    assert Decimal(bought["cost"]) == 5000


def test_the_zone_stays_once_a_month_is_closed(month: Any) -> None:
    with pytest.raises(Invalid, match=f"billing_zone: {OCTOBER} is closed in .*; Asia/Tokyo would move calls"):
        month.apply(ZONE % "Asia/Tokyo" + "valid_from: 2027-01-01\n")


def test_the_month_that_runs_is_that_of_the_zone(world: Any) -> None:
    world.apply(ZONE % "Asia/Tokyo")
    world.now = datetime(2026, 10, 31, 20, tzinfo=UTC)  # five in the morning of November
    assert this_month(world.ctx) == NOVEMBER
    assert list_findings.fn(world.ctx, 10, "")["period"] == NOVEMBER


def test_another_zone_is_for_all_months(world: Any) -> None:
    with pytest.raises(Invalid, match="another zone holds for all months"):
        world.apply(ZONE % "Asia/Tokyo" + "valid_from: 2027-01-01\n")
    world.apply(ZONE % "Asia/Tokyo")
    world.apply(ZONE % "Asia/Tokyo" + "valid_from: 2027-01-01\ncontent_capture: {public: off}\n")
