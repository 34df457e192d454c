"""Whether what the database shows as state is what the ledger says: decisions, where each change stands, closed months.

Owns: the comparison of state rows with ledger entries. Does not own: the log itself (store/fsck.py).
Invariants: reads only; believes no row. A row without its entry was put there by hand; an entry without its row was answered, and then hidden.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from sqlmodel import Session, col, select

from governor.errors import GovernorError
from governor.ledger.entry import Entry
from governor.ledger.types import change_stream
from governor.packets.period import state_of
from governor.store.rows.changes import Approval, Change
from governor.store.rows.ledger import LedgerEntry, LedgerWaiting
from governor.store.rows.periods import Period

DECISIONS: Final = ("change:approve", "change:reject")
DECIDED: Final = frozenset({"approved", "rejected", "expired", "cutover", "verified", "drifted"})
Decision = tuple[str, str, str, str, str]  # change, decision, role, person, digest


def state_problems(session: Session, org: str) -> list[str]:
    """One sentence for each row that no entry stands behind, and for each decision on record that no row shows.

    People may decide while it reads: what it finds must be there when it looks again.
    """
    found = _look(session, org)
    return [one for one in found if one in _look(session, org)] if found else []


def _look(session: Session, org: str) -> list[str]:
    session.expire_all()
    return [*_decisions(session, org), *_changes(session, org), *_months(session, org)]


def _decisions(session: Session, org: str) -> Iterator[str]:
    rows = session.exec(select(Approval).where(Approval.org_id == org)).all()
    shown = Counter[Decision]((one.change_id, one.decision, one.role, one.person_id, one.digest) for one in rows)
    told = Counter[Decision](
        (
            str(entry.payload.get("change")),
            entry.type.removeprefix("change:"),
            str(entry.payload.get("role")),
            entry.actor_ref,
            str(entry.payload.get("digest")),
        )
        for entry in _entries(session, org, DECISIONS)
    )
    for change, decision, role, *_ in sorted((shown - told).elements()):
        yield f"{change}: a row says {decision} by {role}, and no ledger entry does"
    for change, decision, role, *_ in sorted((told - shown).elements()):
        yield f"{change}: the ledger says {decision} by {role}, and no row does"


def _changes(session: Session, org: str) -> Iterator[str]:
    """Only states that a decision leads to: before that a change may be worked on without an entry for every step."""
    stories: dict[str, list[Entry]] = defaultdict(list)
    for entry in _entries(session, org, ()):
        stories[str(entry.body["stream"])].append(entry)
    for change in session.exec(select(Change).where(Change.org_id == org).order_by(col(Change.number))).all():
        said = state_of(stories[change_stream(change.id)])
        if change.state != said and (change.state in DECIDED or said in DECIDED):
            yield f"{change.id}: its row says {change.state}, the ledger {said or 'nothing'}"


def _months(session: Session, org: str) -> Iterator[str]:
    told = {str(entry.payload.get("month")) for entry in _entries(session, org, ("period:close",))}
    for row in session.exec(select(Period).where(Period.org_id == org).order_by(col(Period.month))).all():
        if row.state == "closed" and row.month not in told:
            yield f"{row.month}: its row says closed, and no ledger entry does"


def _entries(session: Session, org: str, types: tuple[str, ...]) -> Iterator[Entry]:
    """Entries of those types, or of every change where none is named, those that wait for their place included.

    One that cannot be read is a finding of the log's own check.
    """
    seen, tables = set[str](), ((LedgerEntry, col(LedgerEntry.idx)), (LedgerWaiting, col(LedgerWaiting.seq)))
    for table, order in tables:
        wanted = col(table.type).in_(types) if types else col(table.type).like("change:%")
        for leaf in session.exec(select(table.leaf).where(table.org_id == org, wanted).order_by(order)).all():
            try:
                entry = Entry.parse(leaf)
            except (GovernorError, TypeError, AttributeError):
                continue
            if entry.id not in seen:
                seen.add(entry.id)
                yield entry
