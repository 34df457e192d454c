"""What is known of a call before it is made, as segments; and a set of segments as a condition that a gateway or Rego can evaluate.

Owns: which fields may cut traffic, bands of prompt length, the JSON condition and its Rego module. Does not own: which segments move (split.py).
Invariants: nothing that the answer decides (output, status, duration, cost) may cut traffic; a call that does not state a field is in no moved segment.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Final

from governor.errors import Invalid
from governor.shadow.split import ABSENT, Segment

LENGTH: Final = "input_tokens"
FIELDS: Final = (
    LENGTH,
    "data_class",
    "operation",
    "requested_model",
    "workflow_step",
    "workflow_version",
    "prompt_id",
    "prompt_version",
    "app",
    "team_id",
    "environment",
    "api_key_alias",
    "tools_sha256",
    "tag",
)
METADATA: Final = re.compile(r"metadata\.[A-Za-z0-9_.-]{1,60}")
DEFAULT: Final = ("workflow_step", "tag", "data_class", LENGTH)
BANDS: Final = 4
MOST_VALUES: Final = 40


def check_fields(names: Sequence[str]) -> tuple[str, ...]:
    """Raises Invalid for a field that does not exist before the call, is named twice, or for more than four."""
    for name in names:
        if name not in FIELDS and not METADATA.fullmatch(name):
            raise Invalid(f"traffic cannot be split by {name!r}", hint=f"known before a call: {', '.join(FIELDS)}, metadata.NAME")
    if len(set(names)) != len(names) or not 1 <= len(names) <= 4:  # noqa: PLR2004 - deeper cells hold no pairs
        raise Invalid("name one to four different fields to split by")
    return tuple(names)


def edges_of(lengths: Sequence[int]) -> tuple[int, ...]:
    """Where bands of prompt length begin, at quantiles of the choosing calls; equal edges fall together."""
    ordered = sorted(lengths)
    return tuple(sorted({ordered[len(ordered) * at // BANDS] for at in range(1, BANDS)} - {ordered[0]})) if ordered else ()


def band(length: int | None, edges: Sequence[int]) -> str:
    """`FROM-` or `FROM-TO`, TO not included."""
    if length is None:
        return ABSENT
    at = bisect_right(edges, length)
    low = edges[at - 1] if at else 0
    return f"{low}-{edges[at]}" if at < len(edges) else f"{low}-"


def segment_of(call: Mapping[str, Any], names: Sequence[str], edges: Sequence[int]) -> Segment:
    return tuple(band(call.get(LENGTH), edges) if name == LENGTH else str(call.get(name) or ABSENT) for name in names)


def useful(calls: Sequence[Mapping[str, Any]], names: Sequence[str]) -> tuple[str, ...]:
    """Those of `names` that tell calls apart, in few enough values to learn about."""
    return tuple(name for name in names if name == LENGTH or 1 < len({call.get(name) for call in calls} - {None, ""}) <= MOST_VALUES)


def condition(workflow: str, names: Sequence[str], segments: Sequence[Segment]) -> dict[str, Any]:
    """{"any": [{"all": [{"field","op","value"}]}]}: the candidate serves a call for which one line holds altogether."""
    return {"any": [{"all": [must("workflow_id", "==", workflow), *lines(names, one)]} for one in sorted(segments)]}


def lines(names: Sequence[str], segment: Segment) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, value in zip(names, segment, strict=True):
        if name != LENGTH:
            found.append(must(name, "==", value))
            continue
        low, _, high = value.partition("-")
        found.append(must(name, ">=", int(low)))  # also where it is 0: a call without a count must not match
        if high:
            found.append(must(name, "<", int(high)))
    return found


def must(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


def rego(change: str, found: Mapping[str, Any]) -> str:
    """A module whose `candidate` is true for calls that the split would move; input: the fields of the condition, metadata as an object."""
    name = re.sub(r"[^a-z0-9_]", "_", change.lower())
    rules = ["candidate if {\n" + "".join(f"\t{line}\n" for line in rego_lines(rule["all"])) + "}\n" for rule in found["any"]]
    head = (
        f"# Recommended by the shadow evidence of {change}. Governor applies it to nothing.\n"
        f"package governor.split.{name}\n\nimport rego.v1\n\ndefault candidate := false\n\n"
    )
    return head + "\n".join(rules)


def rego_lines(tests: Sequence[Mapping[str, Any]]) -> list[str]:
    guard = [f"is_number(input.{LENGTH})"] if any(one["field"] == LENGTH for one in tests) else []  # Rego orders a null before numbers
    return guard + [f"{place(one['field'])} {one['op']} {json.dumps(one['value'], ensure_ascii=False)}" for one in tests]


def place(field: str) -> str:
    return f"input.metadata[{json.dumps(field.removeprefix('metadata.'))}]" if field.startswith("metadata.") else f"input.{field}"
