"""Static check of Rego before it decides anything: what OPA would reject at compile time and what makes decisions unrepeatable.

Owns: the list of builtins that both engines have, the house rules. Does not own: the time limit around a check (sandbox.py).
Why: the embedded engine finds an unknown function only when its rule is evaluated, and knows no clock that two runs would agree on.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from governor.errors import Invalid
from governor.policy.metadata import rule_meta
from governor.policy.question import CostFacts, EvidenceFacts, Question, Target
from governor.policy.recursion import circle
from governor.policy.syntax import Module, parse

# Builtins that OPA and regorus both have and agree on; docs/policy.md names the arguments they read differently.
BUILTINS = frozenset(
    """
    abs array.concat array.reverse array.slice base64.decode base64.encode base64.is_valid base64url.decode base64url.encode bits.and bits.lsh
    bits.negate bits.or bits.rsh bits.xor ceil concat contains count endswith floor format_int glob.match graph.reachable hex.decode hex.encode
    indexof indexof_n intersection is_array is_boolean is_null is_number is_object is_set is_string json.filter json.is_valid json.marshal
    json.remove json.unmarshal lower max min numbers.range object.filter object.get object.keys object.remove object.subset object.union object.union_n print
    product regex.find_all_string_submatch_n regex.find_n regex.is_valid regex.match regex.replace regex.split replace round semver.compare semver.is_valid
    sort split sprintf startswith strings.any_prefix_match strings.any_suffix_match strings.reverse substring sum time.clock
    time.date time.diff time.format time.parse_duration_ns time.parse_ns time.parse_rfc3339_ns time.weekday to_number trim trim_left
    trim_prefix trim_right trim_space trim_suffix type_name union units.parse units.parse_bytes upper walk
    """.split()  # noqa: SIM905 - eighty names read better as text
)
OTHERWISE = "the two engines answer differently"  # each was seen with ordinary arguments
REFUSED = {
    "glob.quote_meta": f"{OTHERWISE}: one leaves brackets and question marks as they are",
    "strings.count": f"{OTHERWISE} where matches overlap",
    "strings.replace_n": f"{OTHERWISE} where one replacement makes the text of another; use replace",
    "time.add_date": f"{OTHERWISE} at the ends of months, one of them not at all; add nanoseconds, or compare time.date",
    "yaml.is_valid": f"{OTHERWISE}: they read two versions of YAML; use JSON",
    "yaml.marshal": f"{OTHERWISE}: they write two versions of YAML; use JSON",
    "yaml.unmarshal": f"{OTHERWISE}: they read two versions of YAML (yes, 012); use JSON",
    "time.now_ns": "no clock: two runs would decide differently; questions carry `input.at`",
    "http.send": "no network from a rule",
    "net.lookup_ip_addr": "no network from a rule",
    "opa.runtime": "no environment of the process",
    "rand.intn": "no chance: two runs would decide differently",
    "uuid.rfc4122": "no chance: two runs would decide differently",
}


@dataclass(frozen=True, order=True)
class Problem:
    """line 0: the whole file. severity: error | warning."""

    file: str
    line: int
    code: str
    message: str
    severity: str = "error"


def check(modules: Mapping[str, str], *, known: Mapping[str, str] | None = None, tests: Iterable[str] | None = None) -> list[Problem]:
    """Problems of `modules`. known: modules they may call besides each other; tests: names of test files, where a test beside each rule is wanted.

    Each file is parsed alone first, so that one that does not parse is a problem and not the end of the check.
    """
    problems: list[Problem] = []
    parsed: list[Module] = []
    for file, source in sorted(modules.items()):
        try:
            parsed += parse({file: source})
        except Invalid as error:
            line = re.search(r":(\d+):", error.message)
            message = re.sub(rf"^{re.escape(file)}:(\d+:)? ", "", error.message)
            problems.append(Problem(file, int(line.group(1)) if line else 0, "parse", message))
    others = [module for file, source in sorted((known or {}).items()) if file not in modules for module in parse({file: source})]
    rules = {(module.package, rule.name) for module in [*parsed, *others] for rule in module.rules}
    for module in parsed:
        problems += _calls(module, rules)
        problems += _negations(module)
        problems += _inputs(module)
        problems += _shape(module, modules[module.file], rules)
    problems += _recursion(parsed, others)
    if tests is not None:
        problems += _whole(parsed, set(tests))
        problems += _named(parsed, modules)
    return sorted(problems)


def question_fields() -> frozenset[str]:
    """Every `input` path a question can have, such as `candidate.provider`."""
    nested: dict[str, Any] = {"candidate": Target, "baseline": Target, "evidence": EvidenceFacts, "cost": CostFacts}
    top = {item.name for question in get_args(Question) for item in dataclasses.fields(question)}
    batch = {"questions"}  # lib/batch.rego: many questions in one request
    return frozenset(top | batch | {f"{name}.{item.name}" for name, kind in nested.items() for item in dataclasses.fields(kind)})


def _calls(module: Module, rules: set[tuple[str, str]]) -> Iterator[Problem]:
    for name, line in module.calls:
        if name in REFUSED:
            yield Problem(module.file, line, "refused-builtin", f"{name}: {REFUSED[name]}")
            continue
        if name in BUILTINS:
            continue
        head, _, rest = name.partition(".")
        full = (
            module.imports.get(head, head) + (f".{rest}" if rest else "")
            if head in module.imports or head == "data"
            else f"data.{module.package}.{name}"
        )
        package, _, rule = full.removeprefix("data.").rpartition(".")
        if (package, rule) not in rules:
            yield Problem(module.file, line, "unknown-function", f"{name} is neither a rule here nor a builtin that both engines have")


def _negations(module: Module) -> Iterator[Problem]:
    """OPA evaluates the operands of a `not` before it and is undefined where one of them is; the embedded engine holds the `not` for true."""
    for name, line in module.negated:
        if name not in BUILTINS and not module.file.endswith("_test.rego"):
            why = "where it is undefined OPA leaves the whole rule undefined and the embedded engine goes on; give it a name on the line before"
            yield Problem(
                module.file, line, "undefined-in-not", f"{name} is an operand of a `not`: {why}, or ask for it in a rule of its own"
            )


def _recursion(parsed: list[Module], others: list[Module]) -> Iterator[Problem]:
    found = circle([*parsed, *others])
    ours = next((at for at, (module, _) in enumerate(found) if module in parsed), None)
    if ours is None:
        return
    found = found[ours:] + found[:ours]
    module, rule = found[0]
    names = [f"{one.package}.{each.path}" for one, each in [*found, found[0]]]
    why = "OPA refuses the whole bundle, and the embedded engine ends"
    yield Problem(module.file, rule.line, "recursion", f"{' needs '.join(names)}: no rule may need its own answer; {why}")


def _inputs(module: Module) -> Iterator[Problem]:
    if module.file.endswith("_test.rego"):
        return
    fields = question_fields()
    seen = set()
    for name, line in module.refs:
        path = name.removeprefix("input.")
        if name.startswith("input.") and path not in fields and path not in seen:
            seen.add(path)
            yield Problem(
                module.file, line, "unknown-input", f"{name} is in no question; a question holds nothing of high cardinality and no text"
            )


def _shape(module: Module, source: str, rules: set[tuple[str, str]]) -> Iterator[Problem]:
    file = module.file
    if "rego.v1" not in module.imports.values():
        yield Problem(file, 1, "no-rego-v1", "`import rego.v1` is missing; without it the two engines read the file differently")
    if file.endswith("_test.rego"):
        return
    packages = {package for package, _ in rules}
    for alias, path in module.imports.items():
        if path.startswith("data.") and path.removeprefix("data.") in packages:
            why = "import the rules you use: the embedded engine evaluates all of an imported package"
            yield Problem(file, 1, "package-import", f"import {path} (as {alias}): {why}", "warning")
    for name, line in module.refs:
        package, _, rule = name.removeprefix("data.").rpartition(".")
        if name.startswith("data.governor.rules.") and package in packages | {""} and (package, rule) not in rules:
            yield Problem(file, line, "unknown-rule", f"{name} does not exist; a collection that names it would be undefined")
    yield from _completeness(module, source)


def _completeness(module: Module, source: str) -> Iterator[Problem]:
    file = module.file
    defaults = {rule.name for rule in module.rules if rule.is_default}
    named = {rule.name for rule in module.rules}
    if "decision" in named and "decision" not in defaults:
        yield Problem(file, 1, "no-default", "`decision` has no default: where nothing matches it would be undefined")
    if "deny" in named or file.startswith("rules/"):
        try:
            meta = rule_meta(file, source)
        except Invalid as error:
            yield Problem(file, 1, "metadata", error.message.removeprefix(f"{file}: "))
        else:
            if "deny" not in named:
                yield Problem(file, 1, "no-deny", "a rule file defines `deny`")
            if f'"{meta.rule_id}"' not in source:
                yield Problem(file, 1, "rule-id", f"METADATA says {meta.rule_id}, the module never uses that id")


def _whole(parsed: list[Module], tests: set[str]) -> Iterator[Problem]:
    used = {name for module in parsed if module.file.startswith("collections/") for name, _ in module.refs}
    for module in parsed:
        if not module.file.startswith("rules/") or module.file.endswith("_test.rego"):
            continue
        if module.file.removesuffix(".rego") + "_test.rego" not in tests:
            yield Problem(module.file, 0, "no-test", "no test file beside the rule")
        if f"data.{module.package}.deny" not in used:
            yield Problem(module.file, 0, "not-collected", "no collection asks this rule, so it decides nothing")
        for name, lost in (("undecided", "a missing fact would count as allowed"), ("warn", "its warnings reach nobody")):
            line = next((rule.line for rule in module.rules if rule.name == name), None)
            if line is not None and f"data.{module.package}.{name}" not in used:
                yield Problem(module.file, line, "not-collected", f"no collection reads `{name}` of this rule: {lost}")


def _named(parsed: list[Module], modules: Mapping[str, str]) -> Iterator[Problem]:
    """A collection that asks a rule and leaves it out of `rules` would not say that it was asked."""
    asked = {f"data.{module.package}.deny": module.file for module in parsed if module.file.startswith("rules/")}
    for module in parsed:
        if not module.file.startswith("collections/") or module.file.endswith("_test.rego"):
            continue
        for name, line in sorted(set(module.refs)):
            if name not in asked:
                continue
            try:
                rule_id = rule_meta(asked[name], modules[asked[name]]).rule_id
            except Invalid:  # said of the rule itself
                continue
            if f'"{rule_id}"' not in modules[module.file]:
                yield Problem(module.file, line, "not-named", f"{rule_id} is asked here, and `rules` does not name it")
