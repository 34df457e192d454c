"""The syntax tree of Rego modules as regorus reports it: packages, rules, calls and input paths.

Owns: the walk over that JSON. Does not own: what is good or bad about it (check.py), running anything (runner.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from governor.policy.embedded import build

HEADS = ("Compr", "Set", "Func")


@dataclass(frozen=True)
class Rule:
    """One rule definition. is_default: written with `default`."""

    name: str
    line: int
    is_default: bool


@dataclass(frozen=True)
class Module:
    """calls and refs: dotted name and line. negated: calls and indexed lookups that are an operand of a `not`. imports: local name -> full path."""

    file: str
    package: str
    rules: tuple[Rule, ...]
    calls: tuple[tuple[str, int], ...]
    refs: tuple[tuple[str, int], ...]
    negated: tuple[tuple[str, int], ...]
    imports: Mapping[str, str]


def parse(modules: Mapping[str, str]) -> list[Module]:
    """Raises governor.errors.Invalid naming file and line when one does not parse."""
    engine = build(modules, "{}")
    return [_module(item) for item in json.loads(engine.get_ast_as_json())]


def _module(item: dict[str, Any]) -> Module:
    tree = item["ast"]
    calls: list[tuple[str, int]] = []
    refs: list[tuple[str, int]] = []
    for node in _nodes(tree["rules"]):
        if "Call" in node:
            name = dotted(node["Call"]["fcn"])
            if name:
                calls.append((name, node["Call"]["span"]["line"]))
        for kind in ("RefDot", "RefBrack"):
            if kind in node:
                name = dotted({kind: node[kind]})
                if name:
                    refs.append((name, node[kind]["span"]["line"]))
    imports = {}
    for one in tree["imports"]:
        path = dotted(one["refr"]) or ""
        alias = one.get("as")
        imports[str(alias[1] if isinstance(alias, list) else alias) if alias else path.rsplit(".", 1)[-1]] = path
    return Module(
        file=item["source"]["file"],
        package=dotted(tree["package"]["refr"]) or "",
        rules=tuple(_rule(one) for one in tree["rules"]),
        calls=tuple(calls),
        refs=tuple(refs),
        negated=tuple(found for node in _nodes(tree["rules"]) if "NotExpr" in node for found in _operands(node["NotExpr"]["expr"])),
        imports=imports,
    )


def _operands(negated: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Calls and lookups by a computed key below the expression that a `not` denies; what stands in a comprehension is its own."""
    stack = [part for whole in negated.values() for part in (whole.values() if isinstance(whole, dict) else ())]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if "Call" in node:
                yield dotted(node["Call"]["fcn"]) or "", node["Call"]["span"]["line"]
            elif "RefBrack" in node and not {"String", "Number"} & set(node["RefBrack"]["index"]):
                yield f"{dotted(node['RefBrack']['refr'])}[...]", node["RefBrack"]["span"]["line"]
            stack.extend(value for kind, value in node.items() if not kind.endswith("Compr"))
        elif isinstance(node, list):
            stack.extend(node)


def _rule(one: dict[str, Any]) -> Rule:
    if "Default" in one:
        return Rule(_head_name(one["Default"]["refr"]), one["Default"]["span"]["line"], is_default=True)
    head = one["Spec"]["head"]
    kind = next(name for name in HEADS if name in head)
    return Rule(_head_name(head[kind]["refr"]), one["Spec"]["span"]["line"], is_default=False)


def _head_name(ref: dict[str, Any]) -> str:
    return (dotted(ref) or "").split(".")[0]


def dotted(ref: dict[str, Any]) -> str | None:
    """`a.b.c` of a reference; brackets with a string count as a dot, anything else ends the name."""
    if "Var" in ref:
        return str(ref["Var"]["value"])
    if "RefDot" in ref:
        inner = dotted(ref["RefDot"]["refr"])
        field = ref["RefDot"]["field"]
        return f"{inner}.{field[1] if isinstance(field, list) else field}" if inner else None
    if "RefBrack" in ref:
        inner, index = dotted(ref["RefBrack"]["refr"]), ref["RefBrack"]["index"]
        return f"{inner}.{index['String']['value']}" if inner and "String" in index else inner
    return None


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
