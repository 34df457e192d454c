"""The budgets page: every budget with its exact spend, numbers of both charts in tables, and who may send a test."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from page_text import plain

from governor.actions.apply import apply
from governor.actions.context import OPERATOR
from governor.actions.explain_spend import explain_spend
from governor.actions.show_budgets import show_budgets
from governor.catalog import parse_documents
from governor.web.charts import svg
from governor.web.money_charts import forecast_spec, path, waterfall_spec
from governor.web.present import money_text

MONTH = "2026-10"
FINN, ADMIN = "finn@acme.example", "admin@acme.example"


def test_every_budget_stands_with_its_spend(site: Any) -> None:
    rows = show_budgets(site.ctx, MONTH)["rows"]
    with site.at(FINN) as finn:
        text = finn.get(f"/budgets?period={MONTH}").text
    assert len(rows) > 5
    for row in rows:
        assert row["budget"] in text
        assert money_text(row["spent"]) in plain(text)
    assert 'title="' + rows[0]["spent"] + ' USD"' in text


def test_causes_on_the_page_are_those_of_the_action(site: Any) -> None:
    found = explain_spend(site.ctx, MONTH, only={"workflow": "fnol-triage"})
    with site.at(FINN) as finn:
        seen = plain(finn.get(f"/budgets?period={MONTH}&workflow=fnol-triage").text)
    assert money_text(found["after"], 2) in seen
    assert "What 2026-10 comes to" not in seen
    assert "fnol-triage" in seen


def test_charts_are_images_and_a_wrong_address_is_named(site: Any) -> None:
    with site.at(FINN) as finn:
        for address in (f"/budgets/forecast.svg?period={MONTH}&workflow=fnol-triage", f"/budgets/movement.svg?period={MONTH}&size=narrow"):
            answer = finn.get(address)
            assert answer.headers["content-type"].startswith("image/svg+xml"), answer.text
            assert answer.text.startswith("<svg")
        assert finn.get("/budgets?period=2026-10&as_of=soon").status_code == 422
        assert finn.get("/budgets?workflow=a&owner=b@c.example").status_code == 422
        assert "not enough history" in plain(finn.get(f"/budgets?period={MONTH}&as_of=2026-10-03").text)


def test_only_an_admin_sends_a_test_and_sees_why_it_failed(site: Any, monkeypatch: Any) -> None:
    monkeypatch.delenv("NO_SUCH_HOOK", raising=False)
    hook = "kind: notification\nid: hook\nchannel: webhook\nurl: https://hooks.acme.example/in\nsecret: env:NO_SUCH_HOOK\nevents: [budget.threshold]\n"
    apply(site.ctx, OPERATOR, parse_documents(hook))
    with site.at(FINN) as finn:
        assert "Send a test" not in finn.get("/budgets").text
        finn.post("/notifications/hook/test", page="/budgets")
        assert "needs role admin" in plain(finn.get("/budgets").text)
        assert finn.client.post("/notifications/hook/test", data={}, follow_redirects=False).status_code == 403
    with site.at(ADMIN) as admin:
        assert admin.post("/notifications/hook/test", page="/budgets").headers["location"].startswith("/budgets")
        seen = plain(admin.get("/budgets").text)
    assert "hook: not delivered" in seen
    assert "env:NO_SUCH_HOOK" in seen


def test_an_empty_home_says_what_to_write(bare_site: Any) -> None:
    with bare_site.at(ADMIN) as admin:
        seen = plain(admin.get("/budgets").text)
    assert "No budget is in force" in seen
    assert "kind: budget" in seen


def test_the_band_opens_where_knowledge_ends_and_reaches_the_interval() -> None:
    found = {
        "days": [{"day": "2026-10-01", "spent": "10.00"}],
        "expected": [{"day": "2026-10-02", "cost": "10.00"}, {"day": "2026-10-03", "cost": "30.00"}],
        "low": "40.00",
        "high": "90.00",
    }
    spent, ahead = path(found)
    assert spent == [{"day": "2026-10-01", "cost": 10.0}]
    assert ahead[0] == {"day": "2026-10-01", "cost": 10.0, "low": 10.0, "high": 10.0}
    assert ahead[-1] == {"day": "2026-10-03", "cost": 50.0, "low": 40.0, "high": 90.0}


def test_a_month_with_one_day_is_drawn() -> None:
    """A line of one point is none: on the day after the first ingest the chart was empty."""
    found = {"days": [{"day": "2026-10-01", "spent": "2"}], "expected": [], "spent": "2", "low": None, "high": None, "forecast": None}
    one = svg(forecast_spec(found, ["2026-10-01", "2026-10-02"], None, width=400, height=200))
    found["days"].append({"day": "2026-10-02", "spent": "1"})
    two = svg(forecast_spec(found, ["2026-10-01", "2026-10-02"], None, width=400, height=200))
    assert ("mark-symbol" in one, "mark-symbol" in two) == (True, False)


def test_the_waterfall_lands_on_what_came_after() -> None:
    terms = {"volume": "5.00", "mix": "0.00", "cache": "-3.00"}
    spec = waterfall_spec({"against": "a", "period": "b", "before": "10.00", "after": "12.00", "terms": terms}, width=400, height=300)
    rows = spec["data"]["values"]
    assert [row["name"] for row in rows] == ["a", "volume", "cache", "b"]
    assert Decimal(str(rows[-2]["high"])) == Decimal(str(rows[-1]["high"])) == 12
    image = svg(spec)
    assert all(f">{told}</text>" in image for told in ("$10.00", "+$5.00", "−$3.00", "$12.00"))
