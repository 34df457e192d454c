"""Whether the database shows as state what the ledger says: decisions, where each change stands and what was asked, closed months.

Owns: the comparison of decisions and changes with ledger entries. Does not own: closed months (month_rows), the log itself (store/fsck.py).
Invariants: reads only; believes no row. A row without its entry was put there by hand; an entry without its row was answered, and then hidden.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from sqlmodel import Session, col, select

from governor.actions.change_rows import change_problems
from governor.actions.month_rows import month_problems
from governor.actions.recorded_entries import recorded_entries
from governor.ledger.canonical import timestamp
from governor.ledger.entry import Entry
from governor.ledger.types import change_stream
from governor.packets.told import DECISIONS
from governor.store import ledger
from governor.store.rows.changes import Approval, Change

Decision = tuple[str, str, str, str, str]  # change, decision, role, person, digest


def state_problems(session: Session, org: str) -> list[str]:
    """One sentence for each row that no entry stands behind or that says something else, and for each entry that no row shows."""
    return [*_decisions(session, org), *_changes(session, org), *month_problems(session, org)]


def _decisions(session: Session, org: str) -> Iterator[str]:
    rows = session.exec(select(Approval).where(Approval.org_id == org)).all()
    shown = Counter[Decision]((one.change_id, one.decision, one.role, one.person_id, one.digest) for one in rows)
    entries: dict[Decision, list[Entry]] = defaultdict(list)
    for entry in recorded_entries(session, org, DECISIONS):
        entries[_decision(entry)].append(entry)
    told = Counter[Decision]({key: len(found) for key, found in entries.items()})
    for change, decision, role, *_ in sorted((shown - told).elements()):
        yield f"{change}: a row says {decision} by {role}, and no ledger entry does"
    for change, decision, role, *_ in sorted((told - shown).elements()):
        yield f"{change}: the ledger says {decision} by {role}, and no row does"
    for row in rows:
        said = entries.get((row.change_id, row.decision, row.role, row.person_id, row.digest), ())  # more than one: parts moved, and back
        meant = next((one for one in said if one.body["occurred_at"] == timestamp(row.decided_at)), said[0] if said else None)
        for name in _other_words(session, org, row, meant) if meant else ():
            yield f"{row.change_id}: the row of {row.decision} by {row.role} has another {name} than the ledger"


def _decision(entry: Entry) -> Decision:
    said = entry.payload
    return str(said.get("change")), entry.type.removeprefix("change:"), str(said.get("role")), entry.actor_ref, str(said.get("digest"))


def _other_words(session: Session, org: str, row: Approval, said: Entry) -> Iterator[str]:
    """Columns of a decision that differ from its entry. The reason is held as long as the ledger may disclose it."""
    if row.auth != said.body["actor"].get("auth", {}).get("amr"):
        yield "way of signing in"
    if timestamp(row.decided_at) != said.body["occurred_at"]:
        yield "time"
    if (timestamp(row.expires_at) if row.expires_at else None) != said.payload.get("expires_at"):
        yield "expiry"
    if any(one.name == "reason" and one.value != row.reason for one in ledger.disclosures(session, org, said.id)):
        yield "reason"


def _changes(session: Session, org: str) -> Iterator[str]:
    """States only where a decision leads to them: before that a change may be worked on without an entry for every step."""
    stories: dict[str, list[Entry]] = defaultdict(list)
    for entry in recorded_entries(session, org, ()):
        stories[str(entry.body["stream"])].append(entry)
    rows = session.exec(select(Change).where(Change.org_id == org).order_by(col(Change.number))).all()
    for change in rows:
        yield from (f"{change.id}: {one}" for one in change_problems(change, stories[change_stream(change.id)]))
    shown = {change_stream(change.id) for change in rows}
    for name in sorted(name for name, story in stories.items() if name not in shown and any(one.type == "change:propose" for one in story)):
        yield f"{name.removeprefix('change/')}: the ledger says that it was proposed, and no row does"
