"""What an append must know of the log, asked in one query: the same wish, the newest times, the end of the stream, the note of the home.

Owns: the question, over entries that have their place and entries that wait for it; on Postgres also the locks that come before it, in the same
way to the server. Does not own: appending (store/ledger.py). Invariants: one statement, so an entry on its way from one table to the other is
seen exactly once; it begins when the locks are held.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Integer, Select, String, bindparam, literal, select, true, union_all
from sqlmodel import Session, col

from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.note import parse_note
from governor.store.nodes import on_postgres
from governor.store.rows.ledger import LedgerCheckpoint, LedgerEntry, LedgerWaiting


class LogEnd(NamedTuple):
    """known: id of the entry of the same wish; signed: whether the home's note is exactly one of the log's checkpoints."""

    known: str | None
    placed_at: datetime | None
    waiting_at: datetime | None
    stream_seq: int | None
    leaf_hash: bytes | None
    signed: bool


def _log_end() -> Select[Any]:
    """Parameters org, idem, stream, size, note; one row, as LogEnd."""
    org, idem, stream, note = (bindparam(name, type_=String()) for name in ("org", "idem", "stream", "note"))
    size = bindparam("size", type_=Integer())
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
    signed = select(literal(1)).where(
        col(LedgerCheckpoint.org_id) == org, col(LedgerCheckpoint.size) == size, col(LedgerCheckpoint.note) == note
    )
    one = select(literal(1).label("one")).subquery()
    return select(
        select(wishes.c.id).limit(1).scalar_subquery().label("known"),
        placed_at.scalar_subquery().label("placed_at"),
        waiting_at.scalar_subquery().label("waiting_at"),
        tail.c.stream_seq,
        tail.c.leaf_hash,
        signed.exists().label("signed"),
    ).select_from(one.outerjoin(tail, true()))


_ALONE: Final = _log_end()  # SQLite has one writer: there is nobody to wait for
_JOIN: Final = "SELECT * FROM ledger_join(%s, %s, %s, %s, %s)"
JOIN_DDL: Final = """
CREATE OR REPLACE FUNCTION ledger_join(
    of_org text, of_idem text, of_stream text, kept_size integer, kept_note text,
    OUT known text, OUT placed_at timestamptz, OUT waiting_at timestamptz, OUT stream_seq integer, OUT leaf_hash bytea, OUT signed boolean
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
    -- in this order: a stream or a wish is never held by somebody who still waits to join
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('governor-ledger:' || of_org, 0));
    PERFORM pg_advisory_xact_lock(hashtextextended('governor-idem:' || of_org || ' ' || of_idem, 0));
    PERFORM pg_advisory_xact_lock(hashtextextended('governor-stream:' || of_org || ' ' || of_stream, 0));
    -- each statement sees what had committed when it began: this one, all that the locks waited for
    SELECT
        (SELECT id FROM ledgerentry WHERE org_id = of_org AND idem = of_idem
         UNION ALL SELECT id FROM ledgerwaiting WHERE org_id = of_org AND idem = of_idem LIMIT 1),
        (SELECT recorded_at FROM ledgerentry WHERE org_id = of_org ORDER BY idx DESC LIMIT 1),
        (SELECT recorded_at FROM ledgerwaiting WHERE org_id = of_org ORDER BY recorded_at DESC LIMIT 1),
        tail.stream_seq, tail.leaf_hash,
        EXISTS (SELECT FROM ledgercheckpoint WHERE org_id = of_org AND size = kept_size AND note = kept_note)
    INTO known, placed_at, waiting_at, stream_seq, leaf_hash, signed
    FROM (SELECT 1) AS one LEFT JOIN (
        (SELECT stream_seq, leaf_hash FROM ledgerentry WHERE org_id = of_org AND stream = of_stream ORDER BY stream_seq DESC LIMIT 1)
        UNION ALL
        (SELECT stream_seq, leaf_hash FROM ledgerwaiting WHERE org_id = of_org AND stream = of_stream ORDER BY stream_seq DESC LIMIT 1)
        ORDER BY stream_seq DESC LIMIT 1
    ) AS tail ON true;
END $$
"""


def log_end(session: Session, org_id: str, idem: str, stream: str, kept: str) -> LogEnd:
    """The end of the log as one who appends must see it: beside writers of other streams and wishes, behind those of this one, until the end."""
    size = noted_size(kept) if kept else 0
    if on_postgres(session):
        from governor.store import direct  # it brings the driver, which nobody needs on SQLite

        [found] = direct.execute(session.connection(), _JOIN, (org_id, idem, stream, size, kept))
        return LogEnd._make(found)
    return LogEnd._make(
        session.connection().execute(_ALONE, {"org": org_id, "idem": idem, "stream": stream, "size": size, "note": kept}).one()
    )


@lru_cache(maxsize=8)  # the same note at every append until the next one is signed
def noted_size(note: str) -> int:
    """Size of the tree that a checkpoint's note names."""
    return parse_checkpoint(parse_note(note).text).size
