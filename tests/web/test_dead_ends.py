"""Where a person would be stuck or misled: a run that stopped, a session that ended, a month of which nothing is known, an address with a typo."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from governor.actions.jobs import run_one
from governor.actions.people import authenticate, create_token
from governor.actions.show_change import run_document, show_change
from governor.actions.start_shadow import start_shadow
from governor.errors import Refused
from governor.shadow.plan import QUALITY, Metric, refuse_underpowered
from governor.store.rows.changes import ShadowRun
from governor.web.session import session_cookie_name

RAE = "rae@acme.example"


def test_a_run_that_was_given_up_says_why_and_can_be_started_again(open_site: Any, tmp_path: Path) -> None:
    """Its endpoint may not be called: nothing goes on by itself, so the page must offer to."""
    with open_site(tmp_path / "home", traffic=tmp_path) as site:
        fields = {"workflow": "fnol-triage", "candidate": "openai/gpt-4.1-mini", "endpoint": "gateway-shadow", "sample": "60"}
        with site.at(RAE) as visitor:
            sent = visitor.post("/changes/new", {**fields, "quality": "0.2", "budget": "5", "reason": "less"}, page="/changes/new")
            assert sent.headers["location"] == "/changes/RC-1"
        stopped_run(site)


def stopped_run(site: Any) -> None:
    rae = authenticate(site.ctx, create_token(site.ctx, site.admin, email=RAE)["token"])
    started = start_shadow(site.ctx, rae, "RC-1")
    with site.at(RAE) as visitor:
        assert "Run again" not in visitor.get("/changes/RC-1").text, "a worker will take it up"
    assert run_one(site.ctx, started["job"]) == "failed"
    shown = show_change(site.ctx, "RC-1")
    assert (shown["runs"][-1]["given_up"], shown["progress"]) == (True, None)
    assert "the shadow run stopped" in shown["next"]
    with site.at(RAE) as visitor:
        page = visitor.get("/changes/RC-1").text
        assert "The shadow run stopped. Mend the problem it names below" in page
        assert "is plain http" in page
        assert "use https, or GOVERNOR_ALLOW_PRIVATE_ENDPOINTS=true" in page, "the hint belongs to the problem"
        assert "Run again" in page
        assert "under way" not in page.partition("History")[0].partition("<main")[2]
        assert visitor.post("/changes/RC-1/shadow", page="/changes/RC-1").status_code == 303
    assert show_change(site.ctx, "RC-1")["runs"][-1]["given_up"] is False


def test_what_the_endpoint_said_is_told_with_the_model_that_answered_instead(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = [
        {"arm": "candidate", "error": "http_429", "n": 3},
        {"arm": "candidate", "error": "answer_of_another_model", "n": 2, "model": "mistral-large-2411"},
    ]
    shown = show_change(site.ctx, "RC-1")
    now = site.ctx.now()
    run = run_document(
        ShadowRun(
            id="r", org_id=site.ctx.org, change_id="RC-1", status="invalid_baseline", author="", planned=60, budget_pico=9, spent_pico=5,
            started_at=now, finished_at=now,
        ), {},
    )  # fmt: skip
    run |= {"failures": failed, "error": None, "given_up": False}
    monkeypatch.setattr("governor.web.change.show_change", lambda *_, **__: shown | {"runs": [*shown["runs"], run]})
    with site.at(RAE) as visitor:
        page = " ".join(visitor.get("/changes/RC-1").text.split())
    assert "HTTP 429 to 3 calls of the candidate; " in page
    assert "(mistral-large-2411) to 2 calls of the candidate." in page


def test_a_session_that_ended_is_said(site: Any) -> None:
    with site.at(RAE) as visitor:
        visitor.client.cookies.set(session_cookie_name(site.ctx.settings), "ended")
        assert "Your session ended. Sign in again." in visitor.client.get("/spend", follow_redirects=True).text
        sent = visitor.client.post("/changes/RC-1/decide", data={"decision": "approve"}, follow_redirects=True)
        assert "nothing was done. Sign in and send it again." in sent.text
    with site.visitor() as stranger:
        assert "session ended" not in stranger.get("/sign-in").text


def test_a_month_without_calls_is_no_all_clear(site: Any) -> None:
    with site.at(RAE) as visitor:
        past, ahead = visitor.get("/findings?period=2020-01").text, visitor.get("/findings?period=2099-01").text
        assert "No calls in 2020-01" in past
        assert "Nothing was asked of policy" in past
        assert "The month has not begun" in ahead
        assert "no objection" not in past + ahead
        workflow = visitor.get("/workflows/fnol-triage?period=2020-01").text
        assert "Nothing was spent in 2020-01" in workflow
        assert "forecast.svg" not in workflow, "a frame without a line says nothing"
        assert "(metadata <code>workflow</code>)" in visitor.get("/workflows/fnol-triage?period=2026-10").text
        month = visitor.get("/periods/2099-01").text
        assert "it has not begun" in month
        assert "still running" not in month
        assert "calls come in" not in month


def test_a_wrong_value_in_an_address_is_named(site: Any) -> None:
    with site.at(RAE) as visitor:
        wrong = visitor.get("/findings?page=many")
        assert wrong.status_code == 400
        assert "page: " in wrong.text
        assert "Validation failed" not in wrong.text


def test_the_address_of_a_form_leads_to_its_page(site: Any) -> None:
    with site.at(RAE) as visitor:
        for path, page in (
            ("/settings/people", "/settings"),
            ("/settings/passkeys/ID/revoke", "/settings"),
            ("/changes/RC-1/decide", "/changes/RC-1"),
            ("/sources/quarantine/retry", "/sources/quarantine"),
            ("/sign-out", "/"),
        ):
            answer = visitor.client.get(path, follow_redirects=False)
            assert (answer.status_code, answer.headers.get("location")) == (303, page), path


def test_a_plan_that_cannot_decide_says_what_to_do_and_not_only_which_option() -> None:
    with pytest.raises(Refused) as refused:
        refuse_underpowered([Metric(QUALITY, "0.03")], 300, Decimal("0.12"))
    assert "replay 897 (--sample), or let quality lose more" in refused.value.hint


@pytest.mark.parametrize("path", ["/nowhere", "/ledger/1", "/changes/RC-999"])
def test_an_address_without_a_page_keeps_the_way_on(site: Any, path: str) -> None:
    with site.at(RAE) as visitor:
        shown = visitor.get(path)
        assert shown.status_code == 404
        assert 'aria-label="Main"' in shown.text
        assert RAE in shown.text
    with site.visitor() as stranger:
        told = stranger.get("/nowhere")
        assert told.status_code == 404
        assert "aria-label" not in told.text
