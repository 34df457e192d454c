"""How long people take to decide on route changes: from the question, and from the evidence.

Owns: the sums over a list of changes. Does not own: the list (show_change.py). Invariants: what waits is counted apart and never a short time; what was withdrawn
was left to nobody to decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from statistics import median
from typing import TypedDict

from governor.actions.show_change import ChangeRow
from governor.changes import State


class DecisionTimes(TypedDict):
    """In seconds. asked: half were decided within so long of being proposed; put: of being put before their deciders with evidence; longest: of being proposed."""

    decided: int
    asked: float | None
    put: float | None
    longest: float | None
    waiting: int
    oldest: float | None


def decision_times(rows: Sequence[ChangeRow], now: datetime) -> DecisionTimes:
    decided = [row for row in rows if row["decided_at"] and row["state"] != State.WITHDRAWN]
    asked = [between(row["created_at"], row["decided_at"]) for row in decided]
    put = [between(row["submitted_at"], row["decided_at"]) for row in decided if row["submitted_at"]]
    waiting = [between(row["submitted_at"], now.isoformat()) for row in rows if row["state"] == State.IN_REVIEW and row["submitted_at"]]
    return {
        "decided": len(asked),
        "asked": median(asked) if asked else None,
        "put": median(put) if put else None,
        "longest": max(asked, default=None),
        "waiting": len(waiting),
        "oldest": max(waiting, default=None),
    }


def between(begin: str | None, end: str | None) -> float:
    return (datetime.fromisoformat(end or "") - datetime.fromisoformat(begin or "")).total_seconds()
