"""Rubrics: what a judge is given, what it says by criterion, and how weights make one word of it."""

from dataclasses import replace
from typing import Any

import pytest

from governor.errors import Invalid
from governor.ledger.canonical import sha256_hex
from governor.shadow import judging
from governor.shadow.plan import Judge, ReplayPlan
from governor.shadow.rubrics import Criterion, combined, read_criteria, read_rubric, weighed
from governor.shadow.verdict import verdict
from tests.shadow.conftest import make_pairs, make_plan

RUBRIC = read_rubric([{"name": "facts", "text": "true of {the} claim", "weight": 3}, {"name": "tone", "text": "kind"}])


def test_the_prompt_holds_the_criteria_and_its_digest_covers_them() -> None:
    [message] = judging.messages([{"role": "user", "content": "q {x}"}], "one", "two", RUBRIC)
    assert "- facts (weight 3): true of {the} claim" in message["content"]
    assert "- tone (weight 1): kind" in message["content"]
    heavier = (replace(RUBRIC[0], weight="4"), RUBRIC[1])
    assert len({judging.prompt_sha256(one) for one in ((), RUBRIC, heavier)}) == 3
    assert judging.prompt_sha256(()) == sha256_hex(judging.PROMPT.encode())


def test_weights_decide_where_every_criterion_was_spoken_of() -> None:
    assert judging.opinion('{"better": "B", "criteria": {"facts": "A", "Tone": "B"}}', RUBRIC) == (1, {"facts": 1, "tone": -1})
    assert judging.opinion('{"better": "B", "criteria": {"facts": "A"}}', RUBRIC) == (-1, {"facts": 1})
    assert judging.opinion('I say {"better": "tie"}', RUBRIC) == (0, {})
    both = '{"better": "A"} would be wrong, so {"better": "B"}'
    again = '{"better": "b"}, as said: {"better": "B"}'
    assert (judging.opinion(both, ()), judging.opinion(again, ())) == ((0, {}), (-1, {}))
    assert weighed({"facts": 0, "tone": -1}, RUBRIC) == -1


@pytest.mark.parametrize("reply", ["", "{", "}{", '{"criteria": ["facts"]}', '{"criteria": {"facts": "C", "other": "A"}}', "[1]"])
def test_what_cannot_be_read_says_nothing(reply: str) -> None:
    assert read_criteria(reply, RUBRIC) == {}


def test_orders_that_differ_are_a_tie_by_criterion() -> None:
    assert combined({"facts": 1, "tone": 1, "alone": 1}, {"facts": -1, "tone": 1}) == {"facts": 1, "tone": 0}


@pytest.mark.parametrize(
    "rubric",
    [
        [{"name": "a", "weight": "0"}],
        [{"name": "a"}, {"name": "A"}],
        [{"name": "1"}],
        [{"name": "a", "text": "x" * 1001}],
        [{"name": f"c{at}"} for at in range(13)],
        [{"name": "a", "points": 3}],
        7,
    ],
)
def test_a_rubric_that_cannot_be_weighed_is_refused(rubric: Any) -> None:
    with pytest.raises(Invalid, match="rubric"):
        read_rubric(rubric)


def test_one_text_is_a_rubric() -> None:
    assert read_rubric("Answers what was asked.") == (Criterion("rubric", "Answers what was asked."),)


def test_the_verdict_says_what_the_judge_said_by_criterion_and_decides_nothing_by_it() -> None:
    judge = Judge("judges", "mistral-large", "mistral", judging.prompt_sha256(RUBRIC), rubric=RUBRIC)
    plan = make_plan(200, margin="0.05", judge=judge)
    assert ReplayPlan.parse(plan.document()) == plan
    pairs = [
        replace(pair, judge=0, equal="no", quality=(-1, 1), criteria={"facts": 1, "tone": -1}) for pair in make_pairs(plan, [0] * plan.n)
    ]
    found = verdict(plan, [pair.document() for pair in pairs])
    assert [(one["name"], one["weight"], one["n"], one["estimate"]) for one in found["judge"]["criteria"]] == [
        ("facts", "3", 200, "1.000000"),
        ("tone", "1", 200, "-1.000000"),
    ]
    assert found["verdict"] == verdict(plan, [replace(pair, criteria={}) for pair in pairs])["verdict"] == "inconclusive"
