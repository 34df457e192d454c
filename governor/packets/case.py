"""What the checks of one packet have established so far, and what they need of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from governor.errors import GovernorError, IntegrityError, Invalid
from governor.ledger.canonical import sha256_hex
from governor.ledger.checkpoint import Checkpoint
from governor.ledger.entry import Entry
from governor.ledger.note import Note
from governor.ledger.trust import Issuer, Trust
from governor.packets import container
from governor.packets.period import Numbered


class Undecided(GovernorError):
    """Not wrong, but not provable with this trust file and this verifier."""

    code = "undecided"


class NotChecked(IntegrityError):
    """A check had no ground to stand on, because an earlier one failed or could not decide."""


@dataclass
class Case:
    """What the checks have established so far."""

    files: Mapping[str, bytes]
    trust: Trust
    issuer: Issuer | None = None
    subjects: dict[str, str] = field(default_factory=dict)
    predicate: dict[str, Any] = field(default_factory=dict)
    events: list[Entry] = field(default_factory=list)
    numbered: list[Numbered] = field(default_factory=list)  # of a period packet
    issue: Entry | None = None
    checkpoint: Checkpoint | None = None
    note: Note | None = None
    proven: bool = False

    @property
    def change(self) -> dict[str, Any]:
        found = self.predicate.get("change")
        if not self.predicate:
            raise NotChecked("not checked: the statement did not verify")
        if not isinstance(found, dict):
            raise IntegrityError("the statement names no change")
        return found


def need(condition: object, why: str) -> None:
    if not condition:
        raise NotChecked(f"not checked: {why}")


def matching_files(case: Case) -> int:
    """How many evidence files there are. Raises IntegrityError unless they and the report are exactly what the statement names."""
    need(case.subjects, "the statement did not verify")
    present = {name for name in case.files if name.startswith("evidence/")} | {container.REPORT}
    for name in sorted(present | case.subjects.keys()):
        if name not in case.subjects:
            raise IntegrityError(f"{name} is not named by the statement")
        if name not in case.files:
            raise IntegrityError(f"{name} is missing")
        if sha256_hex(case.files[name]) != case.subjects[name]:
            raise IntegrityError(f"{name} does not match its SHA-256")
    return len(present) - 1


def text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid("not UTF-8 text") from None
