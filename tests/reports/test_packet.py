"""The packet's report: same document, same bytes; the words an auditor looks for; nothing crashes on what is absent."""

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reports.packet import points, render_html, render_pdf, usd


def metric(name: str, estimate: str, low: str, high: str, margin: str, status: str) -> dict[str, Any]:
    return {
        "name": name, "kind": "guard", "critical": True, "margin": margin, "n": 300, "estimate": estimate, "ci95": [low, high], "status": status,
    }  # fmt: skip


@pytest.fixture
def document() -> dict[str, Any]:
    owner, security = "01930000-0000-7000-8000-0000aaaa0002", "01930000-0000-7000-8000-0000aaaa0003"
    requester = "01930000-0000-7000-8000-0000aaaa0001"
    digest, bundle = "9f2c" + "41d7" * 15, "b7c4" * 16
    steps = [
        ("change:propose", "person", requester), ("change:shadow", "system", "system"), ("change:review", "system", "system"),
        ("change:approve", "person", owner), ("change:approve", "person", security), ("change:cutover", "person", owner),
    ]  # fmt: skip
    return {
        "change": {
            "id": "RC-42", "workflow": "fnol-triage", "state": "cutover", "digest": digest, "requester": requester,
            "reason": "same quality for a fifth of the price", "endpoint": "gateway-shadow",
            "baseline": {"id": "current", "provider": "openai", "model": "gpt-4o", "regions": ["us-east-1"]},
            "candidate": {"provider": "anthropic", "model": "claude-haiku-4-5", "regions": ["us-east-1"]},
            "requested_at": "2026-11-18T09:12:44.000000Z", "decided_at": "2026-11-20T16:02:11.000000Z", "cutover_at": "2026-11-21T07:30:00.000000Z",
            "cutover_note": "",
        },
        "workflow": {
            "id": "fnol-triage", "cost_center": "CC-4100", "grc_id": "SNOW-12345", "environment": "production", "risk_tier": "high",
            "data_class": "confidential", "latency_target_ms": 2500, "monthly_budget": "12000",
        },
        "plan": {},
        "needs": [
            {"role": "owner", "reason": "every route change needs the workflow's owner"},
            {"role": "security", "reason": "the workflow's data is confidential and the provider is new to it"},
        ],
        "policy": {"bundle_sha256": bundle, "decision_id": "d-7", "result": "allow"},
        "violations": [],
        "shadow": {
            "run": "r-1", "status": "done", "planned": 300, "plan_digest": "5d" * 32, "spent_pico": "4182000000000", "budget_pico": "20000000000000",
            "author": requester, "started_at": "2026-11-18T09:20:00.000000Z", "finished_at": "2026-11-18T10:01:00.000000Z",
            "verdict": {
                "verdict": "pass", "decided_by": "final_test", "n_planned": 300, "n_prefix": 300, "n_pairs": 288,
                "sentence": "On 288 replayed calls, it lost no more than allowed.", "price_book": "ab" * 32,
                "states": {"done": 288, "excluded_policy": 12},
                "metrics": [
                    metric("quality", "-0.006944", "-0.024100", "0.009800", "0.030", "pass"),
                    metric("error", "0.000000", "-0.013100", "0.013100", "0.020", "pass"),
                    metric("contract", "0.010417", "-0.003300", "0.027600", "0.020", "pass"),
                    metric("latency", "0.045100", "0.018000", "0.076000", "0.020", "pass"),
                ],
                "cost": {
                    "replay_spend_pico": "4182000000000", "n": 288, "savings_rate": "0.781200", "ci95": ["0.751000", "0.806000"],
                    "monthly_savings_usd": "8412.55", "monthly_ci95_usd": ["8087.10", "8679.40"],
                },
                "latency": {"n": 288, "p50_ratio": "0.412000", "p95_ratio": "0.530000"},
                "limitations": ["teacher_forced", "content_not_judged", "excluded_policy"],
            },
        },
        "decisions": [
            {
                "idx": 18 + at, "decision": "approve", "role": role, "person": who, "digest": digest, "counts": True, "reason": words,
                "auth": {"amr": "token"}, "decided_at": f"2026-11-20T1{5 + at}:02:11.000000Z", "expires_at": "2026-12-04T15:02:11.000000Z",
            }
            for at, (role, who, words) in enumerate(
                [("owner", owner, "evidence read; severity field kept"), ("security", security, "region and retention unchanged")]
            )
        ],
        "verification": None,
        "log": "governor.local/default",
        "issuer": "governor.local/default/issuer",
        "recipient": "",
        "people": {},
        "evidence": [
            {"name": "plan.json", "sha256": "5d" * 32, "size": 41822, "media_type": "application/json"},
            {"name": "verdict.json", "sha256": "1c" * 32, "size": 4310, "media_type": "application/json"},
            {"name": "pairs.parquet", "sha256": "e7" * 32, "size": 55012, "media_type": "application/vnd.apache.parquet"},
        ],
        "events": [
            {
                "idx": 12 + 2 * number, "id": f"e-{number}", "type": kind, "stream_seq": number, "leaf_sha256": f"{number:02x}" * 32,
                "recorded_at": f"2026-11-{17 + number}T09:12:44.000000Z", "actor": {"kind": who, "ref": ref, "roles": []},
            }
            for number, (kind, who, ref) in enumerate(steps, 1)
        ],
    }  # fmt: skip


def test_same_document_same_bytes(document: dict[str, Any]) -> None:
    first = render_pdf(document)
    assert first.startswith(b"%PDF-1.7")
    assert render_pdf(copy.deepcopy(document)) == first
    document["change"]["reason"] = "another reason"
    assert render_pdf(document) != first


def test_it_says_what_an_auditor_asks(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(render_pdf(document))
    try:
        done = subprocess.run(["pdftotext", "report.pdf", "-"], cwd=tmp_path, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("pdftotext is not installed on this machine")
    text = " ".join(done.stdout.split())
    for words in (
        "RC-42: fnol-triage", "gpt-4o at openai", "claude-haiku-4-5 at anthropic", "Approved and cut over", "On 288 replayed calls, it lost no more than allowed.",
        "Every role that policy asked for approved it", "Security the workflow's data is confidential", "\u22122.4 to +1.0", "8,412.55 USD",
        "20 November 2026, 15:02:11 UTC", "evidence read;", "severity field kept", "Position in the ledger", "governor packet verify",
        "What is not proven", "12 not allowed by policy", "2 people", document["change"]["digest"], document["evidence"][0]["sha256"],
    ):  # fmt: skip
        assert words in text, words


def test_people_are_references_unless_a_recipient_is_named(document: dict[str, Any]) -> None:
    assert "person aaaa0002" in render_html(document)
    document["recipient"], document["people"] = "Auditors LLP", {document["decisions"][0]["person"]: "Dana Diaz <dana@acme.example>"}
    page = render_html(document)
    assert "Dana Diaz &lt;dana@acme.example&gt;" in page
    assert "People are shown by reference" not in page


@pytest.mark.parametrize(
    ("state", "verdict", "words"),
    [
        ("rejected", "fail", "Rejected"),
        ("expired", "inconclusive", "Inconclusive"),
        ("drifted", "pass", "traffic drifted from it"),
        ("approved", "aborted_budget", "Stopped: budget"),
    ],
)
def test_every_outcome_has_its_words_and_the_sentence_of_the_evidence(
    document: dict[str, Any], state: str, verdict: str, words: str
) -> None:
    document["change"]["state"] = state
    document["shadow"]["verdict"] |= {"verdict": verdict, "sentence": f"What verdict.json says of {verdict}."}
    page = render_html(document)
    assert words in page
    assert f"What verdict.json says of {verdict}." in page


def test_absence_is_named_not_hidden(document: dict[str, Any]) -> None:
    document.update({"shadow": None, "policy": None, "needs": [], "decisions": [], "workflow": {}, "evidence": []})
    page = render_html(document)
    for words in (
        "No shadow test",
        "No decision is on record",
        "No approval was asked for",
        "not measured",
        "No policy decision on this digest",
    ):
        assert words in page, words
    assert render_pdf(document)


@pytest.mark.parametrize(
    ("state", "on_route", "words"),
    [
        (
            "drifted",
            240,
            "The change drifted. From 2026-10-08 to 2026-11-01, 240 of 1,360 calls took the approved route (17.64 %); 1,120 went elsewhere.",
        ),
        ("verified", 0, "The change is verified. From 2026-10-08 to 2026-11-01, 0 of 1,120 calls took the approved route"),
    ],
)
def test_it_says_what_became_of_the_route(document: dict[str, Any], state: str, on_route: int, words: str) -> None:
    seen = {"calls": on_route + 1120, "on_route": on_route, "elsewhere": 1120, "fallback": 0, "share": "17.64"}
    seen |= {"since": "2026-10-08T15:00:01.018525Z", "until": "2026-11-01T09:00:00.000000Z", "routes": [], "enough": True}
    page = " ".join(render_html({**document, "verification": seen, "change": {**document["change"], "state": state}}).split())
    assert words in page
    assert "Since the cutover" not in render_html(document)


def test_text_is_escaped(document: dict[str, Any]) -> None:
    document["change"]["reason"] = "<script>alert(1)</script>"
    assert "<script>" not in render_html(document)


def test_numbers_in_their_form() -> None:
    assert [points(value) for value in ("-0.0176", "0.0450", "0.0004", None)] == ["\u22121.8", "+4.5", "0.0", "\u2013"]
    assert [usd(value) for value in ("8412.555", "-3", None)] == ["8,412.56 USD", "\u22123.00 USD", "\u2013"]


def test_it_answers_in_the_order_people_ask(document: Any) -> None:
    page = render_html(document)
    order = (
        "What changed?", "Was it allowed?", "What did the shadow test show?", "Who answered, and when", "What will it cost?",
        "What is not proven", "How to verify",
    )  # fmt: skip
    places = [page.index(f"</span> {words}</h2>") for words in order]
    assert places == sorted(places)


def test_golden_results_are_a_part_of_their_own(document: dict[str, Any]) -> None:
    assert "Golden set" not in render_html(document)
    report = {
        "set": "hail", "version": 2, "digest": "ab" * 32, "margin": "0.1", "critical": False, "cases": 46, "passed": 17, "failed": 25, "baseline_passed": 41,
        "not_asked": {"skipped_budget": 2}, "by_check": [{"check": "json", "cases": 42, "passed": 17, "failed": 25, "baseline_passed": 41}],
        "by_rubric": {"cases": 2, "judged": 2, "better": 0, "worse": 1, "tie": 1, "criteria": [{"name": "tone", "better": 0, "worse": 1, "tie": 1}]},
        "worst": [{"case": f"case-{at:02}", "check": "json", "what": "lost"} for at in range(24)] + [{"case": "last", "check": "json", "what": "neither"}],
        "won": [],
    }  # fmt: skip
    html = " ".join(render_html({**document, "golden": report}).split())
    for words in (
        "Golden set hail, version 2", "passed <b>17</b> and failed <b>25</b>; the current model passed 41", "Reported, no gate",
        "2 stopped by the spending limit", "<th>tone</th>", "right before, wrong now", "and 5 more, in evidence/golden.jsonl",
    ):  # fmt: skip
        assert words in html, words
    assert html.index("case-00") < html.index("case-19")
    assert "case-20" not in html
    assert render_pdf({**document, "golden": report}).startswith(b"%PDF")


def test_a_promise_without_a_call_has_no_number(document: dict[str, Any]) -> None:
    def line(name: str, status: str) -> dict[str, Any]:
        return {"name": name, "status": status, "critical": True, "estimate": "-0.2", "ci95": ["-0.333", "0.1"], "margin": "0.05"}

    def told(*metrics: dict[str, Any]) -> str:
        shadow = {**document["shadow"], "verdict": {**document["shadow"]["verdict"], "verdict": "inconclusive", "metrics": list(metrics)}}
        return " ".join(render_html({**document, "shadow": shadow}).split())

    never = told(line("tool_calls", "not_applicable"))
    assert "no such call" in never
    assert "33.3" not in never
