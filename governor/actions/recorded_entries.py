"""Entries of some types as their leaves say them, for whoever holds rows to the ledger.

Owns: reading them, those that wait for their place included. Does not own: whether a leaf is in the log (store/fsck.py). Invariants: reads leaves only, never columns.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from governor.errors import GovernorError
from governor.ledger.entry import Entry
from governor.store.rows.ledger import LedgerEntry, LedgerWaiting


def recorded_entries(session: Session, org: str, types: tuple[str, ...]) -> Iterator[Entry]:
    """Entries of those types, or of every change where none is named, in the order of the log.

    One that cannot be read is a finding of the log's own check.
    """
    for table, order in ((LedgerEntry, col(LedgerEntry.idx)), (LedgerWaiting, col(LedgerWaiting.seq))):
        wanted = col(table.type).in_(types) if types else col(table.type).like("change:%")
        for leaf in session.exec(select(table.leaf).where(table.org_id == org, wanted).order_by(order)).all():
            try:
                yield Entry.parse(leaf)
            except (GovernorError, TypeError, AttributeError):
                continue
