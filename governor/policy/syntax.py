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
    """One rule definition. is_default: written with `default`. path: the whole head, `name.and.fields`. needs: names in it that it does not declare, dotted
    as far as they are fixed.
    """

    name: str
    line: int
    is_default: bool
    path: str
    needs: frozenset[str]


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
        rules=tuple(_rule(one, item["source"]["contents"]) for one in tree["rules"]),
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


def _rule(one: dict[str, Any], source: str) -> Rule:
    if "Default" in one:
        path = dotted(one["Default"]["refr"]) or ""
        return Rule(path.split(".")[0], one["Default"]["span"]["line"], is_default=True, path=path, needs=frozenset())
    head = one["Spec"]["head"]
    kind = next(name for name in HEADS if name in head)
    path = dotted(head[kind]["refr"]) or ""
    own = set(_declared(one["Spec"], source))
    said = {name for part in (_without(head[kind], "refr"), one["Spec"]["bodies"]) for name in _named(part)}
    needs = frozenset(name for name in said if name.split(".")[0] not in own)
    return Rule(path.split(".")[0], one["Spec"]["span"]["line"], is_default=False, path=path, needs=needs)


def _without(node: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name != key}


def _declared(spec: dict[str, Any], source: str) -> Iterator[str]:
    """Variables that a rule has for itself."""
    for node in _nodes(spec):
        spans = []
        if "Func" in node:
            yield from _named(node["Func"]["args"])
        if "AssignExpr" in node and node["AssignExpr"]["op"] == "ColEq":
            yield from _named(node["AssignExpr"]["lhs"])
        if "SomeIn" in node:
            yield from _named([node["SomeIn"]["key"], node["SomeIn"]["value"]])
        if "SomeVars" in node:
            spans = node["SomeVars"]["vars"]
        if "Every" in node:
            spans = [node["Every"]["key"], node["Every"]["value"]]
        yield from (source.encode()[span["start"] : span["end"]].decode() for span in spans if span)


def _named(tree: Any) -> Iterator[str]:
    """Each reference once, as long as its keys are fixed: `data.a.b` of `data.a.b[x].c`; and the references in its keys."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            name, rest = _fixed(node)
            if name:
                yield name
            stack.extend(rest)


def _fixed(node: dict[str, Any]) -> tuple[str, list[Any]]:
    """Name of the reference that `node` is, up to its first computed key, empty where it is none; and what else to look into."""
    if "Var" in node:
        return str(node["Var"]["value"]), []
    if "RefDot" not in node and "RefBrack" not in node:
        return "", list(node.values())
    links, others = [], []
    while "RefDot" in node or "RefBrack" in node:
        link = node.get("RefDot") or node["RefBrack"]
        links.append(link)
        node = link["refr"]
    if "Var" not in node:
        return "", [node, *(link["index"] for link in links if "index" in link)]
    name, fixed = str(node["Var"]["value"]), True
    for link in reversed(links):
        key = _key(link)
        fixed = fixed and key is not None
        name += f".{key}" if fixed else ""
        others += [link["index"]] if key is None else []
    return name, others


def dotted(ref: dict[str, Any]) -> str | None:
    """`a.b.c` of a reference; brackets with a string count as a dot, anything else ends the name."""
    if "Var" in ref:
        return str(ref["Var"]["value"])
    if "RefDot" in ref:
        inner = dotted(ref["RefDot"]["refr"])
        return f"{inner}.{_key(ref['RefDot'])}" if inner else None
    if "RefBrack" in ref:
        inner, key = dotted(ref["RefBrack"]["refr"]), _key(ref["RefBrack"])
        return f"{inner}.{key}" if inner and key is not None else inner
    return None


def _key(link: dict[str, Any]) -> str | None:
    """What stands behind the dot or in the brackets; None where that is computed."""
    if "field" in link:
        return str(link["field"][1] if isinstance(link["field"], list) else link["field"])
    return str(link["index"]["String"]["value"]) if "String" in link["index"] else None


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
