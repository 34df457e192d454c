"""Golden cases: reading them, checking answers, and what their lines decide."""

import json
from dataclasses import replace
from typing import Any

import pytest

from governor.errors import Invalid
from governor.shadow.golden import Case, GoldenCase, GoldenLine, GoldenSet, number, read_cases
from governor.shadow.golden_measured import measure_golden
from governor.shadow.plan import ReplayPlan
from governor.shadow.verdict import rederive, verdict
from tests.shadow.conftest import make_pairs, make_plan


def case(**fields: Any) -> Case:
    return read_cases([{"id": "one", "prompt": "How much?", **fields}])[0]


@pytest.mark.parametrize(
    ("fields", "right", "wrong"),
    [
        ({"check": "exact", "expected": "Paris"}, "Paris\n", "paris"),
        ({"expected": "Paris."}, "  PARIS ", "Paris, France"),
        ({"check": "contains", "expected": ["water", "roof"]}, "The ROOF lets water in", "The roof"),
        ({"check": "regex", "expected": r"^CLM-\d{4}$"}, "CLM-1234", "claim CLM-1234"),
        ({"check": "number", "expected": "12,000", "tolerance": "1%"}, "That makes 3 x 4,020 = 12,060 EUR.", "12,200"),
        ({"check": "number", "expected": 0.3, "tolerance": "0"}, "0.30", "0.31"),
        ({"check": "json", "expected": {"a": 1, "b": "x"}}, '```json\n{"b": "X", "a": 1.0}\n```', '{"a": 1}'),
        ({"check": "json", "expected": {"a": {"b": None}, "c": 2}, "fields": ["a.b"]}, '{"a": {"b": null}, "c": 9}', '{"a": {}}'),
    ],
)
def test_a_check_takes_the_right_answer_and_no_other(fields: dict[str, Any], right: str, wrong: str) -> None:
    assert case(**fields).right(right, ())
    assert not case(**fields).right(wrong, ())
    assert not case(**fields).right("", ())


def test_tool_calls_are_read_as_json() -> None:
    wish = case(check="json", expected=[{"name": "open_claim", "arguments": {"amount": 5}}])
    assert wish.right("", [{"function": {"name": "open_claim", "arguments": '{"amount": 5.0}'}}])
    assert not wish.right("", [{"function": {"name": "open_claim", "arguments": '{"amount": 6}'}}])


def test_a_pattern_that_takes_for_ever_is_no_match() -> None:
    assert not case(check="regex", expected=r"^(\w+\s?)*$").right("word " * 40 + "!", ())


def test_a_case_comes_back_from_its_content_as_it_was() -> None:
    kept = case(check="number", expected="5", tolerance="1", rubric=[{"name": "facts", "text": "true", "weight": 2}], params={"seed": 3})
    assert Case.stored(json.loads(json.dumps(kept.document()))) == kept


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "list of cases"),
        ([{"id": "a b", "prompt": "x", "expected": "y"}], "case 1: id"),
        ([{"id": "a", "prompt": "x", "expected": "y", "weight": 1}], "unknown field 'weight'"),
        ([{"id": "a", "prompt": "x"}], "expected (with a check) or a rubric"),
        ([{"id": "a", "prompt": "x", "check": "like", "expected": "y"}], "check 'like'"),
        ([{"id": "a", "prompt": "x", "check": "regex", "expected": "("}], "no regular expression"),
        ([{"id": "a", "prompt": "x", "check": "number", "expected": "few"}], "a number needs expected"),
        ([{"id": "a", "prompt": "x", "check": "number", "expected": "5", "tolerance": "1e9999999%"}], "a number needs expected"),
        ([{"id": "a", "prompt": "x", "expected": "y", "fields": ["z"]}], "fields belong to check json"),
        (
            [{"id": "a", "prompt": "x", "check": "json", "expected": {"severity": "low"}, "fields": ["severty"]}],
            "fields: 'severty' is not in expected",
        ),
        ([{"id": "a", "prompt": "x", "check": "contains", "expected": []}], "text that is not empty"),
        ([{"id": "a", "prompt": "x", "check": "contains", "expected": ["roof", "."]}], "more than blanks and outer punctuation"),
        ([{"id": "a", "prompt": "x", "messages": [{"role": "user", "content": "z"}], "expected": "y"}], "prompt and messages"),
        ([{"id": "a", "expected": "y"}], "messages: a list"),
        ([{"id": "a", "prompt": "x", "expected": "y"}] * 2, "used twice"),
        ([{"id": "a", "prompt": "x", "rubric": [{"name": "f", "weight": -1}]}], "weight of f"),
    ],
)
def test_a_case_that_cannot_be_read_is_named(rows: list[Any], said: str) -> None:
    with pytest.raises(Invalid, match=said.replace("(", r"\(").replace(")", r"\)")):
        read_cases(rows)


def test_the_last_number_of_an_answer_counts() -> None:
    assert str(number("first 3, then -1,234.5e0.")) == "-1234.5"
    assert number("none at all") is None
    assert str(number("it is 5, see claim 12e34567890")) == "5"
    assert case(check="number", expected="5").right("see claim 12e34567890", []) is False


def planned(cases: int, margin: str = "0.05", *, critical: bool = True) -> ReplayPlan:
    named = tuple(GoldenCase(f"c{at}", f"{at:064x}", "exact") for at in range(cases))
    return replace(make_plan(400), golden=GoldenSet("set", 1, "d" * 64, named, margin, critical))


def lines(plan: ReplayPlan, *, lost: int = 0, won: int = 0, state: str = "done") -> list[GoldenLine]:
    assert plan.golden is not None
    return [
        GoldenLine(one.id, one.sha256, state, at >= lost + won or at < lost, at >= lost)
        if state == "done"
        else GoldenLine(one.id, one.sha256, state)
        for at, one in enumerate(plan.golden.cases)
    ]


def word(plan: ReplayPlan, golden: list[GoldenLine]) -> tuple[str, str]:
    found = verdict(plan, make_pairs(plan, [0] * plan.n), golden)
    return found["verdict"], found["decided_by"]


def test_golden_cases_pass_fail_and_leave_open_what_the_sample_alone_would_pass() -> None:
    plan = planned(100)
    assert word(plan, lines(plan))[0] == "pass"
    assert word(plan, lines(plan, lost=25)) == ("fail", "golden")
    assert word(plan, lines(plan, lost=3))[0] == "inconclusive"
    assert word(plan, lines(plan)[:99])[0] == "inconclusive"  # a case that nobody asked
    assert word(plan, lines(plan, state="skipped_budget")) == ("aborted_budget", "budget")
    assert word(plan, []) == ("inconclusive", "not_decided")


def test_a_reported_set_decides_nothing() -> None:
    plan = planned(100, critical=False)
    assert word(plan, lines(plan, lost=25))[0] == word(plan, [])[0] == "pass"


def test_cases_are_never_counted_in_the_sample() -> None:
    plan = planned(100)
    pairs = make_pairs(plan, [0] * plan.n)
    found, alone = verdict(plan, pairs, lines(plan, lost=1)), verdict(replace(plan, golden=None), pairs)
    assert (found["n_pairs"], found["n_planned"], found["cost"]) == (alone["n_pairs"], alone["n_planned"], alone["cost"])
    assert [one["name"] for one in found["metrics"]] == [*[one["name"] for one in alone["metrics"]], "golden"]
    assert found["golden"]["lost"] == ["c0"]
    assert found["metrics"][-1]["n"] == 100


def test_the_file_gives_the_verdict_again_and_another_line_another_verdict() -> None:
    plan = planned(100)
    pairs = b"".join(json.dumps(pair.document()).encode() + b"\n" for pair in make_pairs(plan, [0] * plan.n))

    def body(found: list[GoldenLine]) -> bytes:
        return b"".join(json.dumps(one.document()).encode() + b"\n" for one in found)

    first = rederive(plan.canonical, pairs, body(lines(plan)))
    assert first == rederive(plan.canonical, pairs, body(lines(plan)[::-1]))
    assert first != rederive(plan.canonical, pairs, body(lines(plan, lost=1)))
    assert first != rederive(plan.canonical, pairs)


def test_a_line_of_other_content_counts_for_nothing() -> None:
    plan = planned(40)
    found = measure_golden(plan, [replace(one, sha256="e" * 64) for one in lines(plan)])
    assert found is not None
    assert found.counts.n == 0
    assert not found.complete


def test_a_plan_without_a_set_keeps_its_digest_and_one_with_a_set_comes_back() -> None:
    plan = make_plan(400)
    assert "golden" not in plan.document()
    with_set = planned(40)
    assert ReplayPlan.parse(json.loads(with_set.canonical)) == with_set
    assert with_set.digest != plan.digest
