"""One arm of one sampled position as it stands: a call to make, what is stored of it, what settling it says.

Owns: these shapes and reading a row. Does not own: writing (replay_rows.py). Invariants: no text of a prompt or reply is in any of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from sqlmodel import col

from governor.ports import ModelRequest
from governor.shadow.comparison import FINAL_STATES
from governor.shadow.guards import Facts
from governor.shadow.plan import Arm
from governor.store.rows.changes import ReplayResult


class Stored(NamedTuple):
    """A row as read."""

    id: str
    position: int
    record_id: str
    arm: str
    state: str
    reserved_pico: int
    cost_pico: int | None
    reply: str
    output_sha256: str
    finished_at: datetime | None


STORED: Final = [col(getattr(ReplayResult, name)) for name in Stored._fields]


@dataclass
class Task:
    """One call to make. worst_pico: the most it may cost; route: whose prices rate it; row: as it was last seen, None where it has to be read."""

    position: int
    arm: str
    request: ModelRequest
    route: Arm
    worst_pico: int
    row: Stored | None = None


@dataclass
class Result:
    """One arm of one position as stored. attempts: how many reservations of it have ended.

    lost_pico: what its reply may have cost beyond what is known; abandoned_pico: reservations of a worker that died, and second bills. They are spent too,
    but say nothing about the routes: evidence leaves them out, so that a killed worker changes no byte of a verdict.
    """

    state: str
    facts: Facts | None = None
    cost_pico: int | None = None
    lost_pico: int = 0
    abandoned_pico: int = 0
    attempts: int = 0
    output_sha256: str = ""
    pick: int | None = None
    criteria: Mapping[str, int] = field(default_factory=dict)  # a judge's word by criterion of its rubric
    row: Stored | None = field(default=None, compare=False, repr=False)  # what it was read from

    @property
    def final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def evidence_pico(self) -> int:
        """What this reply cost to get, had every worker lived."""
        return (self.cost_pico or 0) + self.lost_pico

    @property
    def spend_pico(self) -> int:
        return self.evidence_pico + self.abandoned_pico

    def columns(self) -> dict[str, Any]:
        """What its row says of it."""
        return {"state": self.state, "cost_pico": self.cost_pico, "output_sha256": self.output_sha256, "reply": self.reply()}

    def reply(self) -> str:
        document = {
            "facts": self.facts,
            "lost_pico": str(self.lost_pico),
            "abandoned_pico": str(self.abandoned_pico),
            "attempts": self.attempts,
            "pick": self.pick,
        } | ({"criteria": dict(self.criteria)} if self.criteria else {})
        return msgspec.json.encode(document).decode()


Table = dict[int, dict[str, Result]]


@dataclass
class Written:
    """What settling a call needs to say. unknown_cost: the reservation counts in full."""

    state: str
    facts: Facts | None = None
    cost_pico: int | None = None
    unknown_cost: bool = False
    output_sha256: str = ""
    pick: int | None = None
    criteria: Mapping[str, int] = field(default_factory=dict)


def parse(row: Stored) -> Result:
    found = result_of(row.state, json.loads(row.reply)) if row.reply else Result(row.state)
    found.cost_pico, found.output_sha256, found.row = row.cost_pico, row.output_sha256, row
    return found


def result_of(state: str, document: Mapping[str, Any]) -> Result:
    """What the document of a row's reply says; its other columns are not in it."""
    facts = document.get("facts")
    return Result(
        state=state,
        facts=Facts.parse(facts) if facts else None,
        lost_pico=int(document.get("lost_pico", "0")),
        abandoned_pico=int(document.get("abandoned_pico", "0")),
        attempts=int(document.get("attempts", 0)),
        pick=document.get("pick"),
        criteria=document.get("criteria", {}),
    )
