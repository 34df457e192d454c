"""METADATA comments of Rego modules: title, owner, severity and solution live there, and nowhere else.

Owns: reading the comment block, the rule book made of it. Why here: the embedded engine has no rego.metadata.*, so the rule book is
computed when the bundle is loaded and handed to Rego as `data.rulebook`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import yaml

from governor.errors import Invalid

REQUIRED = ("rule_id", "severity", "failure_msg", "solution", "owner")
SEVERITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True)
class RuleMeta:
    rule_id: str
    title: str
    description: str
    severity: str
    failure_msg: str
    solution: str
    owner: str
    file: str


def package_metadata(source: str) -> dict[str, Any] | None:
    """The YAML of the METADATA block that ends right above `package`, or None. Raises yaml.YAMLError when it is not YAML."""
    block: list[str] | None = None
    for line in source.splitlines():
        text = line.strip()
        if text == "# METADATA":
            block = []
        elif block is not None and text.startswith("#"):
            block.append(line.lstrip()[2:] if line.lstrip().startswith("# ") else line.lstrip()[1:])
        elif text.startswith("package "):
            loaded = yaml.safe_load("\n".join(block)) if block else None
            return loaded if isinstance(loaded, dict) else None
        elif text and not text.startswith("#"):
            return None
    return None


def rule_meta(file: str, source: str) -> RuleMeta:
    """The metadata every rule file must carry. Raises Invalid naming the file and the missing field."""
    try:
        found = package_metadata(source)
    except yaml.YAMLError as error:
        raise Invalid(f"{file}: METADATA is not YAML: {' '.join(str(error).split())}") from None
    if found is None:
        raise Invalid(f"{file}: no METADATA block above `package`")
    custom = found.get("custom") or {}
    if not isinstance(custom, Mapping):
        raise Invalid(f"{file}: METADATA custom holds no fields")
    values = {f"custom.{name}": custom.get(name) for name in REQUIRED} | {name: found.get(name) for name in ("title", "description")}
    missing = [name for name, value in values.items() if value is None or value == ""]
    if missing:
        raise Invalid(f"{file}: METADATA lacks {', '.join(missing)}")
    for name, value in values.items():
        if not isinstance(value, str):
            raise Invalid(f"{file}: METADATA {name} is {value!r}, not text", hint="put it in quotes")
    if custom["severity"] not in SEVERITIES:
        raise Invalid(f"{file}: METADATA custom.severity is {custom['severity']!r}, not one of {', '.join(SEVERITIES)}")
    fields = {name: " ".join(str(custom[name]).split()) for name in REQUIRED}
    return RuleMeta(title=str(found["title"]), description=" ".join(str(found["description"]).split()), file=file, **fields)


def rule_book(modules: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Maps rule id to its metadata, from the files under rules/. Raises Invalid when two files claim one id."""
    book: dict[str, dict[str, str]] = {}
    for file, source in sorted(modules.items()):
        if not file.startswith("rules/"):
            continue
        meta = rule_meta(file, source)
        if meta.rule_id in book:
            raise Invalid(f"{file}: rule id {meta.rule_id} is already used by {book[meta.rule_id]['file']}")
        book[meta.rule_id] = asdict(meta)
    return book
