"""Each distinct question is asked once, answers are remembered under everything they depend on, failures decide nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from governor.actions.judge import DecisionCache, judge, prepare
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


def test_the_cache_knows_revision_path_and_question(tmp_path: Path) -> None:
    engine, cache = CountingEngine(), DecisionCache(tmp_path / "decisions.db")
    first = judge(engine, [QUESTION], revision="r1", cache=cache)
    assert judge(engine, [QUESTION], revision="r1", cache=cache) == first
    assert len(engine.asked) == 1
    judge(engine, [QUESTION], revision="r2", cache=cache)
    judge(engine, [QUESTION], "governor/other/decision", revision="r1", cache=cache)
    judge(engine, [replace(QUESTION, at="2026-11-01T00:00:00Z")], revision="r1", cache=cache)
    assert len(engine.asked) == 4
    cache.close()
    again = DecisionCache(tmp_path / "decisions.db")
    assert judge(engine, [QUESTION], revision="r1", cache=again) == first
    assert len(engine.asked) == 4, "the file outlives the process"


def test_without_a_revision_nothing_is_remembered() -> None:
    engine, cache = CountingEngine(), DecisionCache()
    judge(engine, [QUESTION], cache=cache)
    judge(engine, [QUESTION], cache=cache)
    assert len(engine.asked) == 2


def test_undefined_is_undecided_and_not_remembered() -> None:
    engine, cache = CountingEngine(answer=None), DecisionCache()
    decision = judge(engine, [QUESTION], revision="r1", cache=cache)[0]
    assert (decision.allow, decision.status) == (False, "undecided")
    engine.answer = ALLOW
    assert judge(engine, [QUESTION], revision="r1", cache=cache)[0].allow


def test_a_failing_engine_decides_nothing() -> None:
    cache = DecisionCache()
    with pytest.raises(PolicyRefused):
        judge(CountingEngine(answer=PolicyRefused), [QUESTION], revision="r1", cache=cache)
    assert judge(CountingEngine(), [QUESTION], revision="r1", cache=cache)[0].allow


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
