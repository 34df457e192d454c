"""Run the check or the tests of foreign Rego in a child process that can be killed.

Owns: the wall-clock and memory limits, what crosses the process border (JSON). Why: the engine has no timeout; a nested loop in a rule, or a
deeply nested literal, runs for minutes and cannot be interrupted from within. Invariant: the child ends also where its parent was killed.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from governor.errors import GovernorError, Invalid, PolicyRefused
from governor.policy.bundle import Bundle
from governor.policy.check import Problem, check
from governor.policy.runner import CaseResult, Coverage, SuiteReport, run_tests

MEMORY_BYTES = 4 * 1024**3


def check_confined(
    modules: Mapping[str, str], *, known: Mapping[str, str] | None = None, tests: list[str] | None = None, seconds: float = 20
) -> list[Problem]:
    """`check`, with limits. Raises PolicyRefused when the time runs out."""
    answer = _run({"verb": "check", "modules": dict(modules), "known": dict(known or {}), "tests": tests}, seconds)
    return [Problem(**one) for one in answer]


def run_tests_confined(bundle: Bundle, pattern: str = "", *, seconds: float = 120) -> SuiteReport:
    """`run_tests`, with limits. Raises Invalid for a module that does not parse, PolicyRefused when the time runs out."""
    answer = _run({"verb": "test", "bundle": _plain(bundle), "pattern": pattern}, seconds)
    results = tuple(CaseResult(**one) for one in answer["results"])
    return SuiteReport(results, tuple(Coverage(one["file"], one["covered"], tuple(one["missed"])) for one in answer["coverage"]))


def _plain(bundle: Bundle) -> dict[str, Any]:
    return {"modules": dict(bundle.modules), "tests": dict(bundle.tests), "data": dict(bundle.data), "revision": bundle.revision}


def _run(order: dict[str, Any], seconds: float) -> Any:
    try:
        done = subprocess.run(  # noqa: S603 - this program
            [sys.executable, "-P", "-m", "governor.policy.sandbox", str(seconds + 1)],
            input=json.dumps(order).encode(),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        hint = "look for loops over large ranges, recursion and deep nesting"
        raise PolicyRefused(f"the policy did not finish within {seconds:g} seconds and was stopped", hint=hint) from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise PolicyRefused(f"the policy process died (status {done.returncode}): {said[-1][:200] if said else 'no message'}")
    answer = json.loads(done.stdout)
    if "invalid" in answer:
        raise Invalid(answer["invalid"])
    return answer["done"]


def _obey(order: dict[str, Any]) -> Any:
    if order["verb"] == "check":
        return [asdict(one) for one in check(order["modules"], known=order["known"], tests=order["tests"])]
    return asdict(run_tests(Bundle(**order["bundle"]), order["pattern"]))


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))  # by the kernel's hand: nobody handles the signal
    order = json.loads(sys.stdin.buffer.read())
    try:
        answer = {"done": _obey(order)}
    except GovernorError as error:
        answer = {"invalid": error.message}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
