"""The embedded Rego engine: regorus behind ports.PolicyEngine.

Owns: the traps of the binding, so that nobody else meets them. Invariants: an engine object never crosses a thread (regorus panics), answers are
read as JSON only, any error refuses (builtin errors are strict), error text carries no stack trace.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import regorus

from governor.errors import Invalid, PolicyRefused
from governor.policy.decision import EngineInfo
from governor.policy.processes import WORTH_IT, answers_of

UNDEFINED = '"<undefined>"'
NO_SUCH_RULE = "not a valid rule path"
PLACE = re.compile(r"--> (?P<file>[^\n]+?):(?P<line>\d+):\d+")


class RegorusEngine:
    """One loaded bundle; every thread that asks gets its own regorus engine made from it."""

    def __init__(self) -> None:
        self.info = EngineInfo("regorus", version("gordon-to-regorus"))
        self._modules: dict[str, str] = {}
        self._data = "{}"
        self._loads = 0
        self._threads = threading.local()

    def load(self, modules: Mapping[str, str], data: Mapping[str, Any]) -> None:
        if not modules:
            raise Invalid("no policy module: an empty rule set is refused")
        self._modules, self._data = dict(modules), json.dumps(data)
        self._loads += 1
        self._loaded()

    def decide_many(self, path: str, inputs: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Equal inputs are evaluated once; many distinct ones on every core."""
        if not self._loads:
            raise PolicyRefused("no policy is loaded")
        rule = "data." + path.strip("/").replace("/", ".")
        keys = [json.dumps(one, sort_keys=True) for one in inputs]
        distinct = list(dict.fromkeys(keys))
        many = len(distinct) >= WORTH_IT and (os.cpu_count() or 1) > 1
        found = answers_of(self._modules, self._data, rule, distinct) if many else self._answers(rule, distinct)
        answers = dict(zip(distinct, found, strict=True))
        return [answers[key] for key in keys]

    def _loaded(self) -> None:
        """Raises Invalid where what was loaded is no policy."""
        self._engine()

    def _answers(self, rule: str, questions: Sequence[str]) -> list[Any]:
        engine = self._engine()
        return [evaluate(engine, rule, one) for one in questions]

    def _engine(self) -> Any:
        if getattr(self._threads, "loads", None) != self._loads:
            self._threads.engine = build(self._modules, self._data)
            self._threads.loads = self._loads
        return self._threads.engine


def build(modules: Mapping[str, str], data: str) -> Any:
    """A regorus engine with modules and data. Raises Invalid naming file and line."""
    engine = regorus.Engine()
    for name, source in sorted(modules.items()):
        try:
            engine.add_policy(name, source)
        except BaseException as error:  # noqa: BLE001 - explained or re-raised
            said = explain(error)
            raise Invalid(said if said.startswith(f"{name}:") else f"{name}: {said}") from None
    try:
        engine.add_data_json(data)
    except BaseException as error:  # noqa: BLE001 - explained or re-raised
        raise Invalid(f"policy data: {explain(error)}") from None
    return engine


def evaluate(engine: Any, rule: str, question: str) -> Any:
    """The answer of one rule to one input (JSON text); None when undefined. Raises PolicyRefused for any error."""
    try:
        engine.set_input_json(question)
        answer = engine.eval_rule_as_json(rule)
    except BaseException as error:  # noqa: BLE001 - explained or re-raised
        reason = explain(error)
        if NO_SUCH_RULE in reason:
            return None
        raise PolicyRefused(f"policy {rule} failed: {reason}", hint="fix the rule; until then nothing it governs is allowed") from None
    return None if answer == UNDEFINED else json.loads(answer)


def explain(error: BaseException) -> str:
    """One line: what, and where as file:line. Re-raises what is no failure of the engine (an interrupt); pyo3 panics are BaseExceptions."""
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | MemoryError):
        raise error
    text = str(error).split("Stack backtrace", 1)[0]
    place = PLACE.search(text)
    what = text.rsplit("error:", 1)[-1]
    return (f"{place['file']}:{place['line']}: " if place else "") + " ".join(what.split())
