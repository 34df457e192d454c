"""What a month below 95% lacks, the biggest first: amounts that add up, one gap for each call, coverage once it is mended."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from governor.actions.context import Context
from governor.actions.coverage_gaps import first_gaps, gaps
from governor.actions.govern import GovernedMonth, coverage_line
from governor.chargeback.coverage import coverage_of
from governor.cli.period import show_gaps
from governor.prices.exposure import NOTHING, Exposure
from governor.prices.rate import Rated

USD = 10**12


def calls(cost: int, **changes: Any) -> Any:
    """A group of calls that is mapped, but for what is changed. `why`: the reason for which it has no price, with `cost` the middle of its exposure."""
    why = changes.pop("why", "")
    found = {
        "calls": 1, "workflow_id": "claims", "owner": "dana", "route_status": "approved", "keys": {}, "provider": "openai", "model": "gpt-4o",
        "service_tier": "default", "traffic_class": "production", "unpriced_calls": 1 if why else 0, "contracted_pico": 0 if why else cost * USD,
        "exposure": Exposure(0, cost * USD, 9 * cost * USD, 3) if why else NOTHING, "rated": Rated("unpriced", reason=why) if why else Rated("priced"),
    }  # fmt: skip
    return SimpleNamespace(**found | changes)


def month_of(*groups: Any) -> GovernedMonth:
    lines = [coverage_line(group) for group in groups if group.traffic_class == "production"]
    asked = SimpleNamespace(names=("app", "metadata.workflow"))
    return cast(GovernedMonth, SimpleNamespace(groups=list(groups), coverage=coverage_of(lines), asked=asked))


def test_a_gap_names_the_fee_that_has_no_price() -> None:
    """`no price` sent people to price a model that has prices."""
    (found,) = gaps(
        month_of(
            calls(
                5, provider="x_ai", model="grok", rated=Rated("unpriced", reason="no_meter_price", missing="web_search"), unpriced_calls=1
            )
        )
    )
    assert (found["text"], found["meter"]) == ("x_ai/grok: no price of web search", "web_search")
    assert 'with that `meter`, where of a tool `model: "*"`' in found["do"]


def test_gaps_are_told_apart_and_add_up_to_what_is_not_mapped(capsys: pytest.CaptureFixture[str]) -> None:
    month = month_of(
        calls(50),
        calls(20, route_status="unapproved", model="o3"),
        calls(9, workflow_id=None, owner=None, route_status="none", keys={"app": "inbox", "metadata.workflow": "ghost"}),
        calls(4, workflow_id=None, owner=None, route_status="none", keys={"metadata.workflow": "ghost"}, model="o3"),
        calls(6, why="no_meter_price", service_tier="batch"),
        calls(5, why="no_meter_price", service_tier="batch", workflow_id="search"),
        calls(3, why="unknown_usage"),
        calls(2, owner=None),
        calls(1, why="unknown_model", model="new", workflow_id=None, owner=None, route_status="none"),
        calls(0, route_status="unapproved", model="free"),
        calls(700, traffic_class="shadow", workflow_id=None),
    )
    found = gaps(month)
    assert [(one["text"], one["amount"], one["percent_then"]) for one in found] == [
        ("claims: openai/o3: no approved route", "20.00", "70.00"),
        ("metadata.workflow: ghost: no workflow", "13.00", "83.00"),
        ("openai/gpt-4o (batch): no price", "11.00", "94.00"),
        ("claims: openai/gpt-4o: no token counts", "3.00", "97.00"),
        ("claims: no owner", "2.00", "99.00"),
        ("calls that carry nothing a rule could ask for: openai/new: no price, no workflow", "1.00", "100.00"),
    ]
    assert sum(Decimal(one["amount"]) for one in found) * USD == month.coverage.denominator_pico - month.coverage.mapped_pico
    assert (found[1]["field"], found[1]["workflow"], found[1]["model"], found[2]["calls"]) == ("metadata.workflow: ghost", None, None, 2)
    assert "`governor catalog draft`" in found[1]["do"]
    assert found[5]["do"].endswith(
        "no rule is suggested for them: have the gateway say who calls (a key alias, a tag), or sign an exception for this month"
    )
    assert first_gaps(cast(Context, None), month_of(calls(95), calls(5, owner=None))) == [], "enough is mapped"
    show_gaps(found)
    told = capsys.readouterr().out
    assert " 20.00%  then  70.00%  claims: openai/o3: no approved route (1 call)" in told
    assert told.count("governor catalog draft") == 1, "what to do is said once"
