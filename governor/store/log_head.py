"""What a signature must know of the log, asked in one query: the end of the tree, its newest checkpoint, whether anything was said in some streams.

Owns: the question. Does not own: the lock (store/sequencer.py), signing (store/ledger.py). Invariants: what is read stays so until the transaction ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, String, bindparam, literal, select, true
from sqlmodel import Session, col

from governor.store import sequencer
from governor.store.rows.ledger import LedgerCheckpoint, LedgerEntry


class Head(NamedTuple):
    """Entries in the tree, and its newest checkpoint: entries it covers (0: there is none), root, note. told: an entry stands in one of the streams."""

    size: int
    signed: int
    root: bytes
    note: str
    told: bool


def hold_head(session: Session, org_id: str, streams: Sequence[str] = ()) -> Head:
    """Nobody else places or signs from here on."""
    sequencer.hold(session, org_id)
    found = session.connection().execute(_HEAD, {"org": org_id, "streams": list(streams)}).one()
    return Head(found.size or 0, found.signed or 0, bytes(found.root or b""), found.note or "", bool(found.told))


def _head() -> Select[Any]:
    """Parameters org, streams; one row, whatever there is."""
    org, streams = bindparam("org", type_=String()), bindparam("streams", type_=String(), expanding=True)
    end = select(col(LedgerEntry.idx) + 1).where(col(LedgerEntry.org_id) == org).order_by(col(LedgerEntry.idx).desc()).limit(1)
    told = select(literal(1)).where(col(LedgerEntry.org_id) == org, col(LedgerEntry.stream).in_(streams))
    newest = (
        select(col(LedgerCheckpoint.size), col(LedgerCheckpoint.root), col(LedgerCheckpoint.note))
        .where(col(LedgerCheckpoint.org_id) == org)
        .order_by(col(LedgerCheckpoint.size).desc())
        .limit(1)
        .subquery()
    )
    one = select(end.scalar_subquery().label("size"), told.exists().label("told")).subquery()
    return select(one, newest.c.size.label("signed"), newest.c.root, newest.c.note).select_from(one.outerjoin(newest, true()))


_HEAD: Final = _head()
