"""The one sentence of a verdict: what it claims, on how much, and what would settle what is open."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from governor.shadow.comparison import Pair
from governor.shadow.golden import GoldenCase, GoldenLine, GoldenSet
from governor.shadow.plan import Judge, ReplayPlan
from governor.shadow.sentence import saving
from governor.shadow.verdict import verdict

PlanOf = Callable[..., ReplayPlan]
PairsOf = Callable[..., list[Pair]]


def with_golden(plan: ReplayPlan, cases: int = 100) -> ReplayPlan:
    named = tuple(GoldenCase(f"c{at}", f"{at:064x}", "exact") for at in range(cases))
    return replace(plan, golden=GoldenSet("set", 1, "d" * 64, named, "0.05"))


def lines(plan: ReplayPlan, lost: int, state: str = "done") -> list[GoldenLine]:
    assert plan.golden is not None
    arms: list[tuple[bool | None, bool | None]] = [
        (True, at >= lost) if state == "done" else (None, None) for at in range(len(plan.golden.cases))
    ]
    return [GoldenLine(one.id, one.sha256, state, *arm) for one, arm in zip(plan.golden.cases, arms, strict=True)]


def told(plan: ReplayPlan, pairs: list[Pair], golden: list[GoldenLine] | None = None) -> tuple[str, str]:
    found: dict[str, Any] = verdict(plan, pairs, golden or [])
    return found["verdict"], found["sentence"]


def test_an_open_golden_set_is_not_blamed_on_the_sample(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = with_golden(plan_of(400))
    word, said = told(plan, pairs_of(plan, [0] * plan.n), lines(plan, 3))
    assert word == "inconclusive"
    assert "On 400 replayed calls, anthropic/claude-haiku-4-5 kept every promise, but its 100 golden cases leave open" in said
    assert "golden set -3.0 points" in said
    assert said.endswith("More calls do not settle that; a new proposal with more cases does.")
    assert "do not decide" not in said


def test_what_more_calls_settle_and_what_more_cases_settle_are_told_apart(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = with_golden(plan_of(400))
    word, said = told(plan, pairs_of(plan, [-1 if at % 50 == 0 else 0 for at in range(plan.n)]), lines(plan, 3))
    assert word == "inconclusive"
    assert said.startswith("400 replayed calls do not decide quality -2.0 points")
    assert "more would likely decide it" in said
    assert "Its 100 golden cases are open too: golden set -3.0 points" in said


def test_a_lost_golden_set_counts_cases_and_not_calls(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = with_golden(plan_of(400))
    word, said = told(plan, pairs_of(plan, [0] * plan.n), lines(plan, 25))
    assert word == "fail"
    assert said.startswith(
        "On 400 replayed calls and 100 golden cases, anthropic/claude-haiku-4-5 did worse than allowed: golden set -25.0 points"
    )


def test_a_baseline_that_differs_from_itself_names_the_measure(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of(aa_replays=100)
    moved = [
        replace(pair, repeat={"quality": -1 if pair.position < 20 else 0}, repeat_equal="answer") if pair.position < 100 else pair
        for pair in pairs_of(plan, [0] * plan.n)
    ]
    word, said = told(plan, moved)
    assert word == "invalid_baseline"
    assert said.startswith("Asked twice in this run, the current model openai/gpt-4o differed from itself (quality -20.0 points)")


def test_a_baseline_that_does_not_answer_is_named_as_such(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    word, said = told(plan, [replace(pair, baseline_usable=False) for pair in pairs_of(plan, [0] * plan.n)])
    assert word == "invalid_baseline"
    assert "gave no usable answer to most of 300 calls" in said


@pytest.mark.parametrize(
    ("state", "word", "said"),
    [
        (
            "skipped_budget",
            "aborted_budget",
            "The budget of $20 was too small: 40 of 300 planned calls were compared; there is no verdict.",
        ),
        ("excluded_policy", "aborted_policy", "Policy kept back 260 of 300 sampled calls"),
    ],
)
def test_a_run_that_was_stopped_says_how_far_it_came_and_what_would_help(
    plan_of: PlanOf, pairs_of: PairsOf, state: str, word: str, said: str
) -> None:
    plan = plan_of()
    pairs = pairs_of(plan, [0] * plan.n)
    found = told(plan, [pair if pair.position < 40 else Pair(pair.position, pair.record_id, state) for pair in pairs])
    assert found[0] == word
    assert found[1].startswith(said)


def test_where_nothing_could_be_compared_it_says_why(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    pairs = [Pair(pair.position, pair.record_id, "excluded_content") for pair in pairs_of(plan, [0] * plan.n)]
    assert told(plan, pairs) == (
        "inconclusive",
        "No sampled call was compared (300 whose content is gone), so nothing is known of the candidate.",
    )


@pytest.mark.parametrize(
    ("rate", "interval", "said"),
    [
        ("0.10", ("0.05", "0.15"), " and saves 10.0 % [5.0, 15.0] per call"),
        ("-0.10", ("-0.15", "-0.05"), " and costs 10.0 % [5.0, 15.0] more per call"),
        ("0.02", ("-0.05", "0.09"), " and saves 2.0 % [-5.0, 9.0] per call"),
        ("-0.02", ("-0.09", "0.05"), " and costs 2.0 % [-5.0, 9.0] more per call"),
    ],
)
def test_a_saving_that_may_be_a_loss_shows_it(rate: str, interval: tuple[str, str], said: str) -> None:
    cost = {"savings_rate": rate, "ci95": list(interval)}
    assert saving({"cost": cost, "limitations": []}) == said
    assert saving({"cost": cost, "limitations": ["savings_rest_on_few"]}) == f"{said}, for which one call counts most"


def test_a_constant_answer_is_told_in_words(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    word, said = told(plan, [replace(pair, candidate_text="same", equal="no") for pair in pairs_of(plan, [0] * plan.n)])
    assert (word, "its answers hardly differ from one another" in said) == ("fail", True)


def test_a_judge_that_never_answered_is_silent_and_not_discarded(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of(judge=Judge("endpoint", "google", "gemini", "f" * 64, canaries=2))
    pairs = [
        replace(pair, quality=(-1, 1), equal="no", canary=False if pair.position < 2 else None) if pair.position < 60 else pair
        for pair in pairs_of(plan, [0] * plan.n)
    ]
    found = verdict(plan, pairs)
    assert found["verdict"] == "inconclusive"
    assert "judge_silent" in found["limitations"]
    assert "judge_discarded" not in found["limitations"]
    assert "The judge gave no opinion on most of them: see its endpoint, key and cap." in found["sentence"]
    heard = verdict(plan, [replace(pair, judge=0) if pair.equal == "no" else pair for pair in pairs])
    assert "judge_silent" not in heard["limitations"]
    assert "judge_discarded" in heard["limitations"]
