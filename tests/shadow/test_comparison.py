"""A pair of replies as bounded differences."""

from typing import Any

import pytest

from governor.shadow.comparison import Limits, Pair, compare, differences, quality
from governor.shadow.guards import Facts

GOOD: dict[str, bool] = {"error": False, "timeout": False, "refusal": False, "truncation": False, "empty": False}


def facts(answer: str = "a", **tripped: Any) -> Facts:
    called = bool(tripped.pop("called", False))
    duration = tripped.pop("duration_us", 1000)
    return Facts("ok", {**GOOD, **tripped}, text=answer, answer=answer, called=called, duration_us=duration)


FAILED = Facts("error", {"error": True, "timeout": False})


@pytest.mark.parametrize(
    ("base", "cand", "expected"),
    [
        (facts(), facts(), ((0, 0), "answer")),
        (facts("a"), facts("b"), ((-1, 1), "no")),
        (facts(), FAILED, ((-1, -1), "")),
        (FAILED, facts(), ((1, 1), "")),
        (FAILED, FAILED, ((0, 0), "")),
        (facts(), facts(refusal=True), ((-1, -1), "")),
        (facts(called=True), facts(), ((-1, -1), "")),
    ],
)
def test_an_unlabelled_difference_is_neither_good_nor_bad(base: Facts, cand: Facts, expected: Any) -> None:
    assert quality(base, cand) == expected


def test_only_a_trusted_judge_labels() -> None:
    assert compare(0, "r", facts("a"), facts("b"), limits=Limits(), costs=(1, 1), judge=1).quality == (-1, 1)
    assert compare(0, "r", facts("a"), facts("b"), limits=Limits(), costs=(1, 1), judge=1, trust_judge=True).quality == (1, 1)


def test_words_where_a_call_was_needed_count_against_the_candidate() -> None:
    base, cand = facts(called=True, tool_calls=False), facts(tool_calls=False)
    assert differences(base, cand)["tool_calls"] == -1


def test_a_failed_reply_is_never_fast() -> None:
    pair = compare(0, "r", facts(duration_us=500), FAILED, limits=Limits(latency_us=1000), costs=(1, 0))
    assert pair.d["latency"] == -1
    assert pair.candidate_us is None


def test_an_unknown_cost_of_the_candidate_is_over_the_ceiling() -> None:
    assert compare(0, "r", facts(), facts(), limits=Limits(cost_pico=10), costs=(5, None)).d["cost_ceiling"] == -1


def test_pairs_survive_storage() -> None:
    pair = compare(
        3,
        "r",
        facts(),
        facts("b"),
        limits=Limits(latency_us=1, cost_pico=1),
        costs=(10**14, None),
        aa={"error": 1},
        aa_equal="no",
        spend_pico=7,
    )
    assert Pair.parse(pair.document()) == pair
