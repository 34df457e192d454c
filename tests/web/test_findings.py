"""Findings by kind, each with what to do and calls to look at; and the page of one call, which knows everything but what was said."""

from __future__ import annotations

import html
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from page_text import plain

from governor.actions.apply import apply
from governor.actions.context import OPERATOR
from governor.actions.findings import Finding, findings
from governor.actions.ingest import ingest
from governor.actions.show_call import WITHHELD, show_call
from governor.actions.sign_in import set_password
from governor.catalog import parse_documents
from governor.web import findings as page_module
from governor.web.calls import written
from governor.web.findings import SHOWN, fits, sections_of

MONTH = "2026-10"
WHO = "sol@acme.example"
CANARY = "the claimant said that"
NO_FILTER = {"period": MONTH, "status": "", "severity": "", "rule": "", "workflow": ""}


def finding(status: str, number: int = 0, **more: Any) -> Finding:
    facts = {
        "workflow": "fnol-triage",
        "severity": "high",
        "message": f"objection {number}",
        "solution": "Run `governor apply`.",
        "calls": 2,
    }
    return Finding(
        **{"rule": "model.approved", "status": status, "cost_at_risk_pico": 10**12, "example_record_ids": ("ab" * 32,), **facts, **more}
    )


def test_the_page_says_what_the_action_says(site: Any) -> None:
    found = findings(site.ctx, MONTH)
    assert found
    with site.at(WHO) as sol:
        text = sol.get(f"/findings?period={MONTH}").text
    for one in found:
        assert html.escape(one.message[1:], quote=False) in text.replace("&#39;", "'")
        if one.workflow:
            assert f'<a href="/workflows/{one.workflow}">{one.workflow}</a>' in text
    seen = plain(text)
    assert "governor change propose" in seen
    assert f"Violations {sum(one.status == 'violation' for one in found)}" in seen
    assert "`" not in seen


def test_every_example_leads_to_its_call(site: Any) -> None:
    with site.at(WHO) as sol:
        links = set(re.findall(r'href="(/calls/[0-9a-f]{64})"', sol.get(f"/findings?period={MONTH}").text))
        assert len(links) >= 3
        for link in sorted(links)[:4]:
            shown = sol.get(link)
            assert shown.status_code == 200
            assert "How it was governed" in shown.text


@pytest.mark.parametrize("name", ["status", "severity", "rule", "workflow"])
def test_filters_keep_what_they_name(site: Any, name: str) -> None:
    every = findings(site.ctx, MONTH)
    value = {"status": "violation", "severity": "high", "rule": "owner.required", "workflow": "-"}[name]
    kept = [one for one in every if fits(one, {name: value})]
    assert 0 < len(kept) <= len(every)
    with site.at(WHO) as sol:
        text = sol.get(f"/findings?period={MONTH}&{name}={value}").text
        assert text.count('<span class="sub todo">') == len(kept)
        assert "No finding matches the filter" in sol.get(f"/findings?period={MONTH}&{name}=nothing-like-it").text


def test_waived_and_undecided_stand_apart(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [finding("violation", number) for number in range(SHOWN + 30)]
    rest = [
        finding("undecided", message="the region is unknown"),
        finding("waived", message="latency is over the target", waiver="W-17"),
        finding("warning", window=MONTH, example_record_ids=()),
    ]
    monkeypatch.setattr(page_module, "month_findings", lambda _ctx, _period: [*many, *rest])
    with site.at(WHO) as sol:
        text = sol.get(f"/findings?period={MONTH}").text
        sections = dict(re.findall(r'<section class="panel flush" aria-labelledby="s-(\w+)">(.*?)</section>', text, re.DOTALL))
        assert list(sections) == ["violation", "undecided", "warning", "waived"]
        assert "latency is over the target" in html.unescape(sections["waived"]).lower()
        assert "W-17" in sections["waived"]
        assert "<code>governor apply</code>" in sections["undecided"]
        assert "the month as a whole" in sections["warning"]
        assert sections["violation"].count("/calls/") == SHOWN
        more = html.unescape(re.search(r'<a href="([^"]+)">All 50</a>', sections["violation"])[1])  # type: ignore[index]
        first = sol.get(more)
        assert first.text.count("/calls/") == 50
        assert "waived" not in plain(first.text[first.text.index("s-violation") :]).lower()


def test_sections_page_only_under_a_chosen_kind() -> None:
    rows = [finding("violation", number) for number in range(70)]
    [whole] = sections_of(rows, NO_FILTER, 1)
    assert (len(whole.slice.items), whole.slice.total, bool(whole.more), whole.slice.next) == (SHOWN, 70, True, "")
    [paged] = sections_of(rows, {**NO_FILTER, "status": "violation"}, 2)
    assert (len(paged.slice.items), bool(paged.more), "page=1" in paged.slice.previous) == (20, False, True)


def test_cost_at_risk_of_what_has_no_price_is_not_zero(site: Any) -> None:
    found = [one for one in findings(site.ctx, MONTH) if "acme-finetune" in one.message]
    assert [(one.unpriced_calls, one.cost_at_risk_pico) for one in found] == [(one.calls, 0) for one in found]
    assert found
    with site.at(WHO) as sol:
        text = sol.get(f"/findings?period={MONTH}").text
    row = plain(text[text.index("acme-finetune") :].split("</tr>")[0])
    assert "unpriced" in row


def test_no_finding_teaches(site: Any) -> None:
    with site.at(WHO) as sol:
        page = sol.get("/findings?period=2031-02").text
    assert "No calls in 2031-02" in page
    assert "no objection" not in page, "nothing was asked of policy"


def test_a_call_is_priced_as_by_hand(site: Any) -> None:
    rows = site.ctx.lake.calls(equal={"response_model": "gpt-4o-2024-08-06", "status": "ok"}, cost_bearing=True, limit=400).to_pylist()
    call = next(row for row in rows if not str(row["gateway_cache"] or "").startswith("hit"))
    cached = call["cache_read_tokens"] or 0
    by_hand = (
        (call["input_tokens"] - cached) * Decimal("2.10") + cached * Decimal("1.05") + call["output_tokens"] * Decimal("8.40")
    ) / 1_000_000
    found = show_call(site.ctx, call["record_id"])["governed"]
    assert Decimal(found["contracted_cost"]) == by_hand
    assert found["workflow"] == dict(call["metadata"])["workflow"]
    assert found["rule"].startswith(found["workflow"])
    with site.at(WHO) as sol:
        seen = plain(sol.get(f"/calls/{call['record_id']}").text)
    assert f"Charged ${by_hand.normalize():f}, by the contract's price" in seen, "a cent hides what one call costs"


def test_a_call_without_a_price_says_so(site: Any) -> None:
    [row] = site.ctx.lake.calls(equal={"response_model": "acme-finetune-7b", "status": "ok"}, limit=1).to_pylist()
    with site.at(WHO) as sol:
        seen = plain(sol.get(f"/calls/{row['record_id']}").text)
    assert "Contracted cost no price" in seen
    assert "unapproved" in seen


def test_a_call_shows_nothing_that_quotes_its_content(site: Any) -> None:
    rows = [row for row in site.ctx.lake.calls(equal={"status": "error"}).to_pylist() if CANARY in (row["error_message"] or "")]
    assert len(rows) == 1, "the record with the quoted prompt is stored"
    with site.at(WHO) as sol:
        text = sol.get(f"/calls/{rows[0]['record_id']}").text
    assert CANARY not in text
    assert "400" in text
    names = {fact["name"] for facts in show_call(site.ctx, rows[0]["record_id"])["facts"].values() for fact in facts}
    assert not names & WITHHELD


def test_an_unknown_call_is_not_found(site: Any) -> None:
    with site.at(WHO) as sol:
        for path in ("/calls/" + "0" * 64, "/calls/%3Cscript%3E"):
            answer = sol.get(path)
            assert answer.status_code == 404
            assert "<script>" not in answer.text


def test_facts_are_written_in_full() -> None:
    assert written(1234567) == "1,234,567"
    assert written(Decimal("0.000100000000")) == "0.0001"
    assert written(True) == "yes"
    assert written([("workflow", "a"), ("team", "b")]) == "workflow: a, team: b"
    assert written(["x", "y"]) == "x, y"
    assert written(6711.21) == "6,711.21"


def test_security_finds_an_archived_record_on_the_page_and_nobody_else(open_site: Any, tmp_path: Path) -> None:
    record = json.loads((Path(__file__).parents[1] / "connectors/fixtures/litellm_generic_api.jsonl").read_text().splitlines()[0])
    record["messages"] = [{"role": "user", "content": "<script>alert(1)</script>"}]
    sent = tmp_path / "record.jsonl"
    sent.write_text(json.dumps(record))
    people = "".join(
        f"---\nkind: person\nemail: {name}@acme.example\nroles: [{role}]\n" for name, role in (("sol", "security"), ("ada", "auditor"))
    )
    with open_site(tmp_path / "home") as site:
        document = f"kind: organization\nbilling_zone: UTC\narchive: full\ncontent_capture: {{confidential: full}}\n{people}"
        apply(site.ctx, site.admin, parse_documents(document))
        for name in ("sol", "ada"):
            set_password(site.ctx, site.admin, email=f"{name}@acme.example", password="a long enough password")
        ingest(site.ctx, OPERATOR, "litellm", [str(sent)])
        [call] = site.ctx.lake.calls(columns=["record_id"]).to_pylist()
        path = f"/calls/{call['record_id']}"
        with site.at(WHO) as sol:
            assert f'href="{path}/raw"' in sol.get(path).text
            answer = sol.get(f"{path}/raw")
            assert (answer.status_code, answer.content) == (200, sent.read_bytes())
            assert answer.headers["content-type"] == "application/octet-stream"
            assert answer.headers["content-disposition"].startswith("attachment")
        with site.at("ada@acme.example") as ada:
            assert "/raw" not in ada.get(path).text
            assert ada.get(f"{path}/raw").status_code == 403
