"""The embedded engine in processes of its own: many questions at once, and rules that can be stopped.

Owns: the child process, its limits, what crosses the border (a line of JSON each way). Does not own: the engine (embedded.py), when it is asked here.
Why: the engine holds the interpreter's lock, so threads would only take turns, and a rule that never ends would hold it for ever, unreachable even for signals.
Invariants: a child that dies or reports an error fails the whole batch (fail closed); answers come back in the order of the questions; a question or a
module that takes longer than SECONDS of processor time ends the child by the kernel's hand, also where its parent is gone.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import IO, Any, cast

from governor.errors import Invalid, PolicyRefused

WORTH_IT = 8_000  # below this, starting interpreters costs more than it saves
MOST = 8
SECONDS = 10.0
MEMORY_BYTES = 4 * 1024**3
KEPT = 8  # engines that a child holds: one for each catalog that it was asked about


class Child:
    """One process with engines in it. One question at a time; whoever shares it takes turns."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds, self._lock = seconds, Lock()
        self._known: set[str] = set()
        self._process = subprocess.Popen(  # noqa: S603 - this program
            [sys.executable, "-P", "-m", "governor.policy.processes", str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # an interrupt at the terminal is for the parent, which may have questions to finish
        )
        self._in, self._out = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)

    def load(self, name: str, modules: Mapping[str, str], data: str) -> None:
        """Raises Invalid naming file and line."""
        if name not in self._known:
            self._tell({"load": name, "modules": dict(modules), "data": data})
            self._known.add(name)

    def ask(self, name: str, rule: str, questions: Sequence[str]) -> list[Any] | None:
        """One answer per question (JSON text of an input); None where what was loaded as `name` had to make room."""
        found = self._tell({"ask": name, "rule": rule, "questions": list(questions)})
        if found is None:
            self._known.discard(name)
        return found  # type: ignore[no-any-return]

    def ended(self) -> bool:
        return self._process.poll() is not None

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _tell(self, order: dict[str, Any]) -> Any:
        with self._lock:
            try:
                self._in.write(json.dumps(order).encode() + b"\n")
                self._in.flush()
                line = self._out.readline()
            except (OSError, ValueError):  # it ended before
                line = b""
            if not line.endswith(b"\n"):
                self._lament()
        answer = json.loads(line)
        if "invalid" in answer:
            raise Invalid(answer["invalid"])
        if "refused" in answer:
            raise PolicyRefused(answer["refused"])
        return answer["done"]

    def _lament(self) -> None:
        status = self._process.wait()
        if status == -signal.SIGPROF:
            raise Endless(f"a rule did not finish within {self._seconds:g} seconds of processor time and was stopped")
        raise PolicyRefused(f"a policy process died (status {status})")


class Endless(PolicyRefused):
    """A rule was stopped."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="look for loops over large ranges, recursion and deep nesting: `governor policy test --bundle DIR`")


def answers_of(modules: Mapping[str, str], data: str, rule: str, questions: Sequence[str]) -> list[Any]:
    """One answer per question (JSON text of an input). Raises PolicyRefused or Invalid as the engine would."""
    workers = min(MOST, os.cpu_count() or 1, max(1, len(questions) * 2 // WORTH_IT))
    size = -(-len(questions) // workers)
    parts = [list(questions[start : start + size]) for start in range(0, len(questions), size)]
    with ThreadPoolExecutor(len(parts)) as pool:
        found = list(pool.map(lambda part: _ask_one(modules, data, rule, part), parts))
    return [answer for part in found for answer in part]


def _ask_one(modules: Mapping[str, str], data: str, rule: str, questions: Sequence[str]) -> list[Any]:
    child = Child()
    try:
        child.load("", modules, data)
        found = child.ask("", rule, questions)
    finally:
        child.close()
    if not isinstance(found, list) or len(found) != len(questions):
        raise PolicyRefused("a policy process lost answers")
    return found


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    seconds, engines = float(sys.argv[1]), OrderedDict[str, Any]()
    for line in sys.stdin.buffer:
        try:
            answer = {"done": _obey(json.loads(line), engines, seconds)}
        except Invalid as error:
            answer = {"invalid": error.message}
        except PolicyRefused as error:
            answer = {"refused": error.message}
        _allow(0)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _obey(order: dict[str, Any], engines: OrderedDict[str, Any], seconds: float) -> Any:
    from governor.policy.embedded import build, evaluate

    _allow(seconds)
    if "load" in order:
        engines[order["load"]] = build(order["modules"], order["data"])
        while len(engines) > KEPT:
            engines.popitem(last=False)
        return True
    if (engine := engines.get(order["ask"])) is None:
        return None
    answers = []
    for question in order["questions"]:
        _allow(seconds)
        answers.append(evaluate(engine, order["rule"], question))
    return answers


def _allow(seconds: float) -> None:
    """Processor time until the kernel ends this process, wherever it is: nobody handles the signal. 0: as much as it takes."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
