"""The embedded engine: parity with recorded OPA decisions, threads, and failing closed."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from governor.errors import Invalid, PolicyRefused
from governor.policy.embedded import RegorusEngine
from governor.policy.processes import WORTH_IT

VECTORS = Path(__file__).parents[2] / "../shared/data/policy"
HEAD = "package demo\n\nimport rego.v1\n\n"


def engine(body: str, data: dict[str, Any] | None = None) -> RegorusEngine:
    made = RegorusEngine()
    made.load({"demo.rego": HEAD + body}, data or {})
    return made


def as_sets(value: Any) -> Any:
    """Sets arrive as lists in no particular order."""
    if isinstance(value, list):
        return sorted((as_sets(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, dict):
        return {key: as_sets(item) for key, item in value.items()}
    return value


@pytest.mark.skipif(not VECTORS.is_dir(), reason="recorded OPA decisions are not here (../shared)")
def test_decides_as_a_real_opa_did() -> None:
    made = RegorusEngine()
    made.load({"governor.rego": (VECTORS / "governor.rego").read_text()}, json.loads((VECTORS / "data.json").read_text()))
    inputs = json.loads((VECTORS / "inputs_500.json").read_text())
    expected = json.loads((VECTORS / "decisions_opa_500.json").read_text())
    answers = made.decide_many("governor/decision", inputs)
    assert len(answers) == len(expected) == 500
    assert [index for index, (got, want) in enumerate(zip(answers, expected, strict=True)) if as_sets(got) != as_sets(want)] == []


def test_undefined_is_none_and_null_is_none_but_false_is_false() -> None:
    made = engine("x := 1 if input.a == 1\n\nn := null if input.a == 1\n\nf := false if input.a == 1\n")
    assert made.decide_many("demo/x", [{"a": 1}, {"a": 2}]) == [1, None]
    assert made.decide_many("demo/n", [{"a": 1}]) == [None]
    assert made.decide_many("demo/f", [{"a": 1}]) == [False]
    assert made.decide_many("demo/nothing", [{}]) == [None]


def test_sets_of_objects_arrive() -> None:
    assert engine('x := {{"a": 1}, {"a": 2}}\n').decide_many("demo/x", [{}]) == [[{"a": 1}, {"a": 2}]]


def test_a_builtin_error_refuses_and_names_the_place() -> None:
    made = engine("default allow := true\n\nallow := false if time.parse_rfc3339_ns(input.at) > 0\n")
    with pytest.raises(PolicyRefused, match=r"demo\.rego:7: .*time\.parse_rfc3339_ns") as caught:
        made.decide_many("demo/allow", [{"at": 7}])
    assert "backtrace" not in caught.value.message.lower()
    with pytest.raises(PolicyRefused, match="parse datetime"):
        made.decide_many("demo/allow", [{"at": "never"}])


def test_a_syntax_error_names_file_and_line() -> None:
    with pytest.raises(Invalid, match=r"^demo\.rego:6: expecting"):
        engine("x := {{{\n")


def test_nothing_loaded_refuses() -> None:
    with pytest.raises(PolicyRefused, match="no policy is loaded"):
        RegorusEngine().decide_many("demo/x", [{}])
    with pytest.raises(Invalid, match="empty rule set"):
        RegorusEngine().load({}, {})


def test_many_threads_ask_one_engine_and_see_the_newest_load() -> None:
    made = engine("x := input.n + data.add\n", {"add": 1})
    answers: dict[int, list[Any]] = {}
    barrier = threading.Barrier(5)

    def ask(number: int) -> None:
        first = made.decide_many("demo/x", [{"n": number}])
        barrier.wait()
        barrier.wait()
        answers[number] = first + made.decide_many("demo/x", [{"n": number}])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    barrier.wait()
    made.load({"demo.rego": HEAD + "x := input.n + data.add\n"}, {"add": 100})
    barrier.wait()
    for thread in threads:
        thread.join()
    assert answers == {number: [number + 1, number + 100] for number in range(4)}


def test_equal_inputs_are_answered_in_order() -> None:
    made = engine("x := input.n * 2\n")
    assert made.decide_many("demo/x", [{"n": 2}, {"n": 1}, {"n": 2}]) == [4, 2, 4]


def test_many_distinct_questions_are_answered_by_several_processes_in_order() -> None:
    made = engine("x := input.n * data.by if input.n % 7 != 0\n", {"by": 3})
    count = WORTH_IT + 1
    assert made.decide_many("demo/x", [{"n": n} for n in range(count)]) == [n * 3 if n % 7 else None for n in range(count)]


def test_an_error_in_one_process_refuses_the_batch() -> None:
    made = engine("x := time.parse_rfc3339_ns(input.at)\n")
    inputs = [{"n": n, "at": "2026-10-01T00:00:00Z"} for n in range(WORTH_IT)] + [{"at": 1}]
    with pytest.raises(PolicyRefused, match="string argument"):
        made.decide_many("demo/x", inputs)
