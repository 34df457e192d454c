"""A plan that redacts, against production's recorded answers: what leaves, and what is compared."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from governor.actions.apply import apply
from governor.actions.context import OPERATOR, open_context
from governor.actions.evidence_files import evidence_files
from governor.actions.ingest import ingest
from governor.actions.init_home import init_home
from governor.actions.people import authenticate, create_token
from governor.actions.propose import propose
from governor.actions.replay import replay
from governor.actions.review_queue import load_work, show_pair
from governor.actions.start_shadow import start_shadow
from governor.catalog import parse_documents
from governor.demo.catalog import catalog_yaml
from governor.demo.traffic import make_month
from governor.ports import ModelReply, ModelRequest
from governor.settings import load_settings

MAIL, KEPT = "jo.miller@acme.example", "[EMAIL]"


class Endpoint:
    """Answers as production did, with the address as the prompt has it; every third time it names another severity. As a judge it calls all a tie."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def call_many(self, requests: Sequence[ModelRequest], *, concurrency: int) -> Iterator[tuple[ModelRequest, ModelReply]]:
        del concurrency
        for request in requests:
            self.sent.append(json.dumps(request.messages))
            position = int(request.idempotency_key.rsplit("-", 2)[1])
            text = json.dumps({"severity": "high" if position % 3 == 0 else "low", "cause": f"told by {KEPT}"})
            if "<answer_a>" in self.sent[-1]:
                text = '{"better": "tie"}'
            yield request, ModelReply("ok", text, input_tokens=40, output_tokens=6, duration_ms=5.0, http_status=200, finish_reason="stop")


def with_mail(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        call = json.loads(line)
        if "Triage the first notice" in line and call["status"] == "success":
            call["messages"][-1]["content"] += f" Reported by {MAIL}."
            call["response"]["choices"][0]["message"]["content"] = json.dumps({"severity": "low", "cause": f"told by {MAIL}"})
        yield json.dumps(call) + "\n"


def test_a_recorded_answer_is_redacted_for_the_judge_the_people_and_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GOVERNOR_ALLOW_PRIVATE_ENDPOINTS", "true")
    ctx = open_context(load_settings(home=tmp_path), create=True)
    try:
        admin = authenticate(ctx, init_home(ctx, email="admin@acme.example", name="Admin", billing_zone="UTC")["token"])
        lena = "\n---\nkind: person\nemail: lena@acme.example\nroles: [requester]\n"
        apply(ctx, admin, parse_documents(catalog_yaml("http://127.0.0.1:9/v1", "2030-01-01") + lena))
        for file in make_month(tmp_path / "traffic", "2026-10", calls=1000).files:
            file.write_text("".join(with_mail(file.read_text().splitlines())))
            ingest(ctx, OPERATOR, "litellm", [str(file)])
        judge = {"endpoint": "gateway-shadow", "provider": "anthropic", "model": "claude-haiku-4-5"}
        change = propose(
            ctx, admin, workflow="fnol-triage", candidate="openai/gpt-4.1-mini", endpoint="gateway-shadow", endpoint_model="other", reason="cheaper",
            sample=60, margins={"quality": "0.2", "error": "0.2"}, budget_usd="50",
            options={"redact": True, "baseline_arm": "recorded", "judge": judge, "seed": "redacted"},
        )["id"]  # fmt: skip
        endpoint = Endpoint()
        replay(ctx, start_shadow(ctx, admin, change)["run"], endpoints=lambda _ctx, _id: endpoint)
        assert any("<answer_a>" in text for text in endpoint.sent)
        assert not [text for text in endpoint.sent if MAIL in text]
        reviewer = authenticate(ctx, create_token(ctx, admin, email="lena@acme.example")["token"])
        with ctx.rows.session() as session:
            pairs = [
                json.loads(row)
                for item in evidence_files(session, ctx.org, change)
                if item.name == "pairs.jsonl"
                for row in item.body.splitlines()
            ]
            work = load_work(ctx, session, reviewer, change)
        done = [pair for pair in pairs if pair["state"] == "done"]
        assert {pair["equal"] for pair in done} - {""} == {"answer", "no"}, "the same words, but for the address"
        assert not any(pair["d"].get("leak") for pair in done), "production's answer held nothing that its prompt did not hold"
        shown = [show_pair(ctx, reviewer, change, position)["pair"] for position in work.order]
        assert any(KEPT in pair["a"] and KEPT in pair["b"] for pair in shown)
        assert not any(MAIL in pair["a"] + pair["b"] for pair in shown)
    finally:
        ctx.close()
