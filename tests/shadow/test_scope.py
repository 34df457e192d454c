"""Shares the evidence speaks for, and where a trace with tools left the recorded way."""

from decimal import Decimal

import pytest

from governor.shadow.comparison import Pair
from governor.shadow.guards import Facts
from governor.shadow.sampling import Candidate, draw
from governor.shadow.scope import Scope, planned_shares, spoken_for
from governor.shadow.steps import diverges


def counted() -> Scope:
    scope = Scope()
    for _ in range(60):
        scope.count("", 100, 5)
    for _ in range(30):
        scope.count("truncated", 200, 10)
    for _ in range(10):
        scope.count("gateway_cache_hit", 100, 0)
    return scope


def test_shares_are_of_the_whole_window_and_add_up() -> None:
    found = planned_shares(counted().document())
    assert found is not None
    assert (found["calls"], found["tokens"], found["spend"]) == ("0.6000", "0.4615", "0.5000")
    assert [(one["reason"], one["n"], one["calls"], one["spend"]) for one in found["left_out"]] == [
        ("truncated", 30, "0.3000", "0.5000"),
        ("gateway_cache_hit", 10, "0.1000", "0.0000"),
    ]
    assert sum(Decimal(one["calls"]) for one in found["left_out"]) + Decimal(found["calls"]) == 1


def test_a_share_of_nothing_is_unknown_and_a_plan_that_did_not_count_says_nothing() -> None:
    scope = Scope()
    scope.count("", 0, 0)
    found = planned_shares(scope.document())
    assert found is not None
    assert (found["calls"], found["tokens"], found["spend"]) == ("1.0000", None, None)
    assert planned_shares({}) is None


def test_what_the_run_left_out_takes_its_part_by_weight() -> None:
    sample = draw([Candidate(10 if number % 4 else 70, f"r{number:03}", tokens=100) for number in range(200)], 80, "seed").draws
    pairs = [Pair(at, one.record_id, "excluded_policy" if one.cost_pico == 70 else "done") for at, one in enumerate(sample)]
    found = spoken_for(counted().document(), sample, pairs)
    assert found is not None
    [denied] = [one for one in found["left_out"] if one["reason"] == "excluded_policy"]
    # a quarter of the requests, seven tenths of the money: the sample's weights give both back
    assert float(denied["calls"]) == pytest.approx(0.6 * 0.25, abs=0.05)
    assert float(denied["spend"]) == pytest.approx(0.5 * 0.7, abs=0.05)
    assert Decimal(found["calls"]) + Decimal(denied["calls"]) == pytest.approx(Decimal("0.6"), abs=Decimal("0.0002"))


def test_other_words_are_no_divergence_and_another_call_is() -> None:
    def facts(answer: str, called: bool, status: str = "ok") -> Facts:
        return Facts(status, answer=answer, called=called)

    assert diverges(facts("a", True), facts("a", True)) is False
    assert diverges(facts("a", True), facts("b", True)) is True
    assert diverges(facts("a", True), facts("a", False)) is True
    assert diverges(facts("a", False), facts("b", False)) is False
    assert diverges(facts("a", True), facts("", False, "error")) is True
    assert diverges(facts("", False, "error"), facts("b", True)) is None
