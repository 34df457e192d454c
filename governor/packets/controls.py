"""`controls.json`: which files of a packet support evidence for which control of a public framework. A pointer for an auditor, never a verdict.

Owns: reading the list beside this file, naming only files the packet holds. Does not own: any claim of conformity, for there is none.
Invariants: the relation is always "supports evidence for"; a control whose every file is absent is left out; same files, same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from governor.evidence import EvidenceItem
from governor.ledger.canonical import canonical_json

NAME: Final = "controls.json"
RELATION: Final = "supports evidence for"
NOTE: Final = (
    "Pointers for an auditor: each row names the files of this packet that support evidence for a control. "
    "Conformity with a law, a standard or a framework is nowhere stated; judging it is the reader's work."
)


@lru_cache
def _known() -> Any:
    return json.loads((files("governor.packets") / NAME).read_text(encoding="utf-8"))


def controls(kind: str, evidence: Iterable[str]) -> dict[str, Any]:
    """The document of a packet of this kind (`change` or `period`) with these evidence names."""
    known, held = _known(), {f"evidence/{name}" for name in evidence}
    rows = []
    for control in known["controls"]:
        answers = [known["answers"][name] for name in control["answers"]]
        answers = [{**one, "files": [name for name in one[kind] if not name.startswith("evidence/") or name in held]} for one in answers]
        named = list(dict.fromkeys(name for one in answers for name in one["files"]))
        if named:
            answered = [one["question"] for one in answers if one["files"]]
            rows.append(
                {
                    **{name: control[name] for name in ("framework", "id", "title")},
                    "relation": RELATION,
                    "answers": answered,
                    "files": named,
                }
            )
    used = {row["framework"] for row in rows}
    return {"v": 1, "note": NOTE, "frameworks": [one for one in known["frameworks"] if one["name"] in used], "controls": rows}


def controls_item(kind: str, evidence: Iterable[str]) -> EvidenceItem:
    """`evidence/controls.json`."""
    return EvidenceItem(NAME, "application/json", canonical_json(controls(kind, evidence)))
