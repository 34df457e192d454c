"""Rules that ask themselves: OPA refuses such a bundle as a whole, and the embedded engine's process dies of it.

Owns: which rule needs which, over all modules. Does not own: the syntax tree (syntax.py), the other house rules (check.py).
Invariant: a name that a rule also declares for itself (an argument, `some`, `every`, `:=`) counts as its own, so that nothing right is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from governor.policy.syntax import Module, Rule


def circle(modules: Sequence[Module]) -> list[tuple[Module, Rule]]:
    """One circle of rules, each of which needs the next and the last the first; empty where there is none."""
    placed: dict[str, tuple[Module, Rule]] = {}
    needs: dict[str, set[str]] = {}
    for module in modules:
        for rule in module.rules:
            name = f"data.{module.package}.{rule.path}"
            if name not in placed or placed[name][1].is_default:
                placed[name] = (module, rule)
            needs.setdefault(name, set()).update(_meant(module, rule))
    below = _below(placed)
    graph = {name: sorted({found for path in paths for found in _rules_at(path, placed, below)}) for name, paths in sorted(needs.items())}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [placed[name] for name in reversed(error.args[1][1:])]  # found from what is needed to what needs it
    return []


def _meant(module: Module, rule: Rule) -> Iterator[str]:
    """Full paths of what a rule names."""
    named = {one.path.split(".")[0] for one in module.rules}
    for path in rule.needs:
        head, dot, rest = path.partition(".")
        if head == "data":
            yield path
        elif head in module.imports:
            yield module.imports[head] + dot + rest
        elif head in named:
            yield f"data.{module.package}.{path}"


def _below(placed: Mapping[str, object]) -> dict[str, list[str]]:
    """Every path on the way to a rule, with the rules below it: who asks for a package asks for all of it."""
    found: dict[str, list[str]] = {}
    for name in placed:
        for at, letter in enumerate(name):
            if letter == ".":
                found.setdefault(name[:at], []).append(name)
    return found


def _rules_at(path: str, placed: Mapping[str, object], below: Mapping[str, list[str]]) -> Iterator[str]:
    yield from below.get(path, ())
    while path:  # a field of what a rule says is that rule
        if path in placed:
            yield path
        path = path.rpartition(".")[0]
