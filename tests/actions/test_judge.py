"""Each distinct question is asked once; what is undefined and what fails decides nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from governor.actions.judge import judge, prepare
from governor.errors import PolicyRefused
from governor.policy.bundle import load_bundle
from governor.policy.decision import EngineInfo
from governor.policy.embedded import RegorusEngine
from governor.policy.question import CallQuestion, WindowQuestion

ALLOW: dict[str, Any] = {"allow": True, "rules": ["a.b"], "violations": [], "waived": [], "warnings": [], "undecided": []}
QUESTION = CallQuestion(
    workflow_id="w",
    attribution_status="mapped",
    provider="openai",
    model="gpt-4o",
    requested_model="gpt-4o",
    region=None,
    environment=None,
    data_class=None,
    is_fallback=False,
    fallback_from=None,
    traffic_class="production",
    at="2026-10-01T00:00:00Z",
)


class CountingEngine:
    """Answers every question alike and counts them."""

    def __init__(self, answer: Any = ALLOW) -> None:
        self.info = EngineInfo("fake", "0")
        self.answer = answer
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def load(self, modules: Mapping[str, str], data: Mapping[str, Any]) -> None: ...

    def decide_many(self, path: str, inputs: Sequence[Mapping[str, Any]]) -> list[Any]:
        if self.answer is PolicyRefused:
            raise PolicyRefused("broken")
        self.asked += [(path, one) for one in inputs]
        return [self.answer for _ in inputs]


def test_distinct_questions_once_in_order() -> None:
    engine = CountingEngine()
    other = replace(QUESTION, model="gpt-5")
    decisions = judge(engine, [QUESTION, other, QUESTION])
    assert [question["model"] for _, question in engine.asked] == ["gpt-4o", "gpt-5"]
    assert len(decisions) == 3
    assert {path for path, _ in engine.asked} == {"governor/call/decision"}
    assert judge(engine, []) == []


def test_undefined_is_undecided() -> None:
    [decision] = judge(CountingEngine(answer=None), [QUESTION])
    assert (decision.allow, decision.status) == (False, "undecided")


def test_a_failing_engine_decides_nothing() -> None:
    with pytest.raises(PolicyRefused):
        judge(CountingEngine(answer=PolicyRefused), [QUESTION])


def test_the_revision_covers_policy_and_catalog() -> None:
    bundle, engine = load_bundle(), RegorusEngine()
    workflow = {"id": "w", "owner": "a@b.example", "latency_target_ms": 100}
    first = prepare(engine, bundle, {"workflows": [workflow]})
    assert prepare(engine, bundle, {"workflows": [workflow]}) == first
    assert prepare(engine, bundle, {"workflows": [{**workflow, "latency_target_ms": 101}]}) != first
    assert first.startswith(bundle.revision)


def test_shipped_policy_answers_windows() -> None:
    bundle, engine = load_bundle(), RegorusEngine()
    prepare(engine, bundle, {"workflows": [{"id": "w", "owner": "a@b.example", "latency_target_ms": 100}]})
    window = WindowQuestion("w", "2026-10", 10, 0, 150, 0, 0, None, "2026-10-01T00:00:00Z")
    decision = judge(engine, [window])[0]
    assert [violation.rule for violation in decision.violations] == ["latency.target"]
    assert decision.violations[0].severity == "medium"
