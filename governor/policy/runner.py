"""Run the `test_` rules of a bundle, with line coverage, as `opa test` would.

Owns: discovery, pass/fail/error/todo, coverage per file. Invariants: undefined and anything but true is a failure; a bundle without tests fails.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from governor.policy.bundle import Bundle
from governor.policy.embedded import UNDEFINED, build, explain
from governor.policy.syntax import parse


@dataclass(frozen=True)
class CaseResult:
    """outcome: pass | fail | error | todo."""

    file: str
    name: str
    outcome: str
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Coverage:
    file: str
    covered: int
    missed: tuple[int, ...]

    @property
    def percent(self) -> float:
        total = self.covered + len(self.missed)
        return 100.0 * self.covered / total if total else 100.0


@dataclass(frozen=True)
class SuiteReport:
    results: tuple[CaseResult, ...]
    coverage: tuple[Coverage, ...]

    def count(self, outcome: str) -> int:
        return sum(1 for one in self.results if one.outcome == outcome)

    @property
    def passed(self) -> bool:
        return self.count("pass") > 0 and not self.count("fail") and not self.count("error")

    @property
    def covered_percent(self) -> float:
        covered, missed = sum(one.covered for one in self.coverage), sum(len(one.missed) for one in self.coverage)
        return 100.0 * covered / (covered + missed) if covered + missed else 0.0

    def document(self) -> dict[str, Any]:
        return {
            "pass": self.count("pass"),
            "fail": self.count("fail"),
            "error": self.count("error"),
            "todo": self.count("todo"),
            "coverage_percent": round(self.covered_percent, 1),
            "tests": [
                {"file": one.file, "name": one.name, "outcome": one.outcome, "detail": one.detail, "ms": round(one.seconds * 1000, 2)}
                for one in self.results
            ],
            "files": [
                {"file": one.file, "coverage_percent": round(one.percent, 1), "missed_lines": list(one.missed)} for one in self.coverage
            ],
        }


def run_tests(bundle: Bundle, pattern: str = "") -> SuiteReport:
    """Tests whose `package.name` contains pattern. Raises governor.errors.Invalid when a module does not parse."""
    engine = build({**bundle.modules, **bundle.tests}, json.dumps(bundle.data_with({})))
    engine.set_enable_coverage(True)
    engine.set_input_json("{}")
    results = []
    for module in parse(bundle.tests):
        for name in dict.fromkeys(rule.name for rule in module.rules):
            if not name.startswith(("test_", "todo_")) or pattern not in f"{module.package}.{name}":
                continue
            results.append(_run(engine, module.file, module.package, name))
    report = json.loads(engine.get_coverage_report_as_json())
    return SuiteReport(tuple(results), tuple(_coverage(report, bundle.modules)))


def _run(engine: Any, file: str, package: str, name: str) -> CaseResult:
    if name.startswith("todo_"):
        return CaseResult(file, name, "todo")
    started = perf_counter()
    try:
        answer = engine.eval_rule_as_json(f"data.{package}.{name}")
    except BaseException as error:  # noqa: BLE001 - explained or re-raised
        return CaseResult(file, name, "error", explain(error), perf_counter() - started)
    detail = "" if answer == "true" else "undefined" if answer == UNDEFINED else f"is {answer[:200]}"
    return CaseResult(file, name, "pass" if answer == "true" else "fail", detail, perf_counter() - started)


def _coverage(report: Mapping[str, Any], modules: Mapping[str, str]) -> list[Coverage]:
    lines = {one["path"]: one for one in report["files"] if one["path"] in modules}
    return [Coverage(path, len(lines[path]["covered"]), tuple(sorted(lines[path]["not_covered"]))) for path in sorted(lines)]
