"""What an append must know of the log, asked in one query: the same wish, the newest times, the end of the stream.

Owns: the question, over entries that have their place and entries that wait for it. Does not own: appending (store/ledger.py).
Invariants: one statement, so an entry on its way from one table to the other is seen exactly once.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Select, String, bindparam, literal, select, true, union_all
from sqlmodel import col

from governor.store.rows.ledger import LedgerEntry, LedgerWaiting


def _log_end() -> Select[Any]:
    """Parameters org, idem, stream; one row: known, placed_at, waiting_at, stream_seq, leaf_hash."""
    org, idem, stream = (bindparam(name, type_=String()) for name in ("org", "idem", "stream"))
    kinds = (LedgerEntry, LedgerWaiting)
    wishes = union_all(*(select(col(one.id)).where(col(one.org_id) == org, col(one.idem) == idem) for one in kinds)).subquery()
    ends = [
        select(col(one.stream_seq), col(one.leaf_hash))
        .where(col(one.org_id) == org, col(one.stream) == stream)
        .order_by(col(one.stream_seq).desc())
        .limit(1)
        .subquery()
        for one in kinds
    ]
    tails = union_all(*(select(one) for one in ends)).subquery()
    tail = select(tails).order_by(tails.c.stream_seq.desc()).limit(1).subquery()
    placed_at = select(col(LedgerEntry.recorded_at)).where(col(LedgerEntry.org_id) == org).order_by(col(LedgerEntry.idx).desc()).limit(1)
    waiting_at = (
        select(col(LedgerWaiting.recorded_at))
        .where(col(LedgerWaiting.org_id) == org)
        .order_by(col(LedgerWaiting.recorded_at).desc())
        .limit(1)
    )
    one = select(literal(1).label("one")).subquery()
    return select(
        select(wishes.c.id).limit(1).scalar_subquery().label("known"),
        placed_at.scalar_subquery().label("placed_at"),
        waiting_at.scalar_subquery().label("waiting_at"),
        tail.c.stream_seq,
        tail.c.leaf_hash,
    ).select_from(one.outerjoin(tail, true()))


LOG_END: Final = _log_end()
