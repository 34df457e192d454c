"""Rules of one's own: they answer as in the process, and one that never ends, or takes all memory, is stopped."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from governor.errors import Invalid, PolicyRefused
from governor.policy import confined, processes
from governor.policy.catalog_data import catalog_data
from governor.policy.confined import ConfinedEngine
from governor.policy.embedded import RegorusEngine

HEAD = "package demo\n\nimport rego.v1\n\n"
LOOP = "x if {\n\tinput.n == 7\n\tsome i in numbers.range(1, 100000)\n\tsome j in numbers.range(1, 100000)\n\ti + j < 0\n}\n\nx if input.n != 7\n"


@pytest.fixture(autouse=True)
def of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(confined, "_children", [])
    monkeypatch.setattr(confined, "_stopped", {})
    monkeypatch.setattr(confined, "Child", lambda: processes.Child(1))
    yield
    for child in confined._children:
        child.close()


def engine(body: str, data: dict[str, Any] | None = None) -> ConfinedEngine:
    made = ConfinedEngine()
    made.load({"demo.rego": HEAD + body}, data or {})
    return made


def test_it_answers_as_the_engine_in_the_process(bundle: Any, catalog: dict[str, Any], question: Any) -> None:
    made = (RegorusEngine(), ConfinedEngine())
    for one in made:
        one.load(bundle.modules, bundle.data_with(catalog_data(catalog)))
    here, there = (one.decide_many("governor/call/decision", [question.document(), question.document()]) for one in made)
    assert here == there
    assert here[0]["rules"]
    assert made[1].decide_many("governor/nothing", [{}]) == [None]


def test_a_rule_that_never_ends_is_stopped_and_not_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(LOOP)
    assert made.decide_many("demo/x", [{"n": 1}]) == [True]
    with pytest.raises(PolicyRefused, match="did not finish within 1 seconds of processor time"):
        made.decide_many("demo/x", [{"n": 1}, {"n": 7}])
    assert made.decide_many("demo/x", [{"n": 2}]) == [True], "the next child knows the rules"
    monkeypatch.setattr(confined, "the_child", lambda: pytest.fail("asked again"))
    with pytest.raises(PolicyRefused, match="did not finish"):
        made.decide_many("demo/x", [{"n": 7}])


def test_a_rule_that_never_ends_is_stopped_among_thousands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "WORTH_IT", 2)
    monkeypatch.setattr(processes.Child.__init__, "__defaults__", (1.0,))
    with pytest.raises(PolicyRefused, match="did not finish"):
        processes.answers_of({"demo.rego": HEAD + LOOP}, "{}", "data.demo.x", ['{"n": 1}', '{"n": 7}'])


def test_modules_that_take_for_ever_to_read_are_refused() -> None:
    with pytest.raises(PolicyRefused, match="did not finish"):
        engine("x := " + "[" * 40 + "]" * 40 + "\n")
    with pytest.raises(Invalid, match=r"demo\.rego:6"):
        engine("x := \n")


def test_a_rule_that_takes_all_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined, "Child", lambda: processes.Child(60))
    made = engine('x := count(concat("", [text | some i in numbers.range(1, 2000000); text := input.text]))\n')
    with pytest.raises(PolicyRefused, match="a policy process died"):
        made.decide_many("demo/x", [{"text": "x" * 10_000}])


def test_a_child_that_was_killed_is_followed_by_another() -> None:
    made = engine("x := input.n + data.by\n", {"by": 1})
    os.kill(confined._children[0]._process.pid, signal.SIGKILL)
    confined._children[0]._process.wait()
    assert made.decide_many("demo/x", [{"n": 1}]) == [2]


def test_more_catalogs_than_a_child_holds_and_several_threads() -> None:
    engines = [engine("x := input.n + data.by\n", {"by": by}) for by in range(processes.KEPT + 3)]
    found: dict[int, list[Any]] = {}

    def ask(by: int) -> None:
        found[by] = engines[by].decide_many("demo/x", [{"n": n} for n in range(5)])

    threads = [threading.Thread(target=ask, args=(by,)) for by in range(len(engines))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == {by: [n + by for n in range(5)] for by in range(len(engines))}
