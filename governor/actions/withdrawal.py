"""Who withdrew a change, when and why, as the ledger says.

Owns: reading it. Does not own: withdrawing (withdraw.py). Invariants: an erased reason or person is null, never a guess.
"""

from __future__ import annotations

from typing import Final, TypedDict

from sqlmodel import Session, select

from governor.changes import State
from governor.ledger.types import change_stream
from governor.store import ledger
from governor.store.rows.changes import Change
from governor.store.rows.people import Person

TYPE: Final = "change:withdraw"


class StoppedRun(TypedDict):
    """reserved_pico: for calls that were under way; what they cost is spent as well."""

    id: str
    spent_pico: str
    reserved_pico: str


class ChangeWithdrawal(TypedDict):
    """by, reason: null where they are erased or unknown."""

    at: str
    by: str | None
    reason: str | None
    stopped: StoppedRun | None


def withdrawal_of(session: Session, change: Change) -> ChangeWithdrawal | None:
    """None where it was not withdrawn."""
    if change.state != State.WITHDRAWN:
        return None
    row = next(iter(ledger.entries(session, change.org_id, stream=change_stream(change.id), type=TYPE)), None)
    if row is None:  # it waits for its place in the log
        return {"at": change.updated_at.isoformat(), "by": None, "reason": None, "stopped": None}
    said = ledger.parsed(row)
    person = session.exec(select(Person).where(Person.org_id == change.org_id, Person.id == said["actor"]["ref"])).first()
    payload = said["payload"]
    return {
        "at": change.updated_at.isoformat(),
        "by": person.email if person is not None else None,
        "reason": next((str(one.value) for one in ledger.disclosures(session, change.org_id, row.id) if one.name == "reason"), None),
        "stopped": {"id": payload["run"], "spent_pico": payload["spent_pico"], "reserved_pico": payload["reserved_pico"]}
        if "run" in payload
        else None,
    }
