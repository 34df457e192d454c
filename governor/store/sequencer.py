"""Places in the log: committed entries wait, and one sequencer at a time gives all that wait their leaf indices.

Owns: the waiting table, the locks of the ledger, leaf indices. Does not own: what an entry says and its stream numbers (store/ledger.py), signing.
Invariants: indices have no gap; nobody is placed before everybody who began to append earlier has committed or given up, and all are placed
in the order of `recorded_at`, so time never steps back in the log; what is placed here is signed by a later transaction only.

On Postgres writers of different streams append side by side (they share the append lock) and whoever needs a receipt becomes the sequencer.
On SQLite there is one writer at any time: it places its entry itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, func, insert, literal, select, text
from sqlmodel import Session, col

from governor.store.database import Database
from governor.store.nodes import grow, on_postgres
from governor.store.rows.ledger import LedgerEntry, LedgerWaiting

_ALONE: Final = "governor ledger alone"
_KEY: Final = "hashtextextended('governor-{}:' || :org, 0)"
_APPEND, _HEAD = _KEY.format("ledger"), _KEY.format("head")
_HOLD: Final = text(f"SELECT pg_advisory_xact_lock({_HEAD})")
_CLOSE: Final = text(f"SELECT pg_advisory_xact_lock({_APPEND})")
_DRAIN: Final = text(f"SELECT pg_advisory_lock({_APPEND}), pg_advisory_unlock({_APPEND})")  # no way to the client and back in between
_SAID: Final = ("org_id", "id", "type", "stream", "stream_seq", "idem", "leaf", "leaf_hash", "recorded_at")
_WAIT: Final = insert(LedgerWaiting)
_WAIT_POSTGRES: Final = f"INSERT INTO ledgerwaiting ({', '.join(_SAID)}) VALUES ({', '.join(f'%({name})s' for name in _SAID)})"
_MOVE_POSTGRES: Final = text(
    "WITH moved AS (DELETE FROM ledgerwaiting w USING unnest(CAST(:seqs AS int[])) WITH ORDINALITY AS due (seq, nth) "
    f"WHERE w.org_id = :org AND w.seq = due.seq RETURNING due.nth, {', '.join(f'w.{name}' for name in _SAID)}) "
    f"INSERT INTO ledgerentry ({', '.join(_SAID)}, idx) SELECT {', '.join(_SAID)}, :before + nth FROM moved"
)
_MOST_IDS: Final = 5_000  # below the bound parameters of one statement


def wait(session: Session, said: dict[str, Any]) -> None:
    """One row of an entry that waits. On Postgres straight to the driver: this statement bounds how many append at once."""
    if on_postgres(session):
        session.connection().exec_driver_sql(_WAIT_POSTGRES, said)
    else:
        session.connection().execute(_WAIT, said)


def hold(session: Session, org_id: str) -> None:
    """One at a time places, signs or changes a key. Held until the transaction ends."""
    if on_postgres(session):
        session.connection().execute(_HOLD, {"org": org_id})


def alone(session: Session, org_id: str) -> None:
    """Nobody else appends, places, signs or changes a key until this transaction ends; all that waited has its place.

    For whoever must know an index before the commit, or change what signs. Take it before the first append of the transaction.
    """
    hold(session, org_id)
    if on_postgres(session):
        session.connection().execute(_CLOSE, {"org": org_id})
    session.info[_ALONE] = True
    place(session, org_id, waiting(session, org_id))


def is_alone(session: Session) -> bool:
    return not on_postgres(session) or session.info.get(_ALONE, False)


def settle(rows: Database) -> dict[str, int]:
    """Give every committed entry that waits its place, in a transaction of its own. id -> index of those it placed."""
    if rows.embedded:
        return {}
    with rows.session(write=True) as session:
        hold(session, rows.org)
        return place(session, rows.org, _drained(session, rows.org)) if count_waiting(session, rows.org) else {}


def _drained(session: Session, org_id: str) -> Sequence[Any]:
    """What waits up to the newest time that was seen, once all who had begun to append have ended.

    Whoever begins later takes no earlier time, so nobody can still come in between; they go on while these are placed.
    """
    connection = session.connection()
    newest = connection.execute(select(func.max(LedgerWaiting.recorded_at)).where(col(LedgerWaiting.org_id) == org_id)).scalar_one()
    try:
        connection.execute(_DRAIN, {"org": org_id})
    except BaseException:
        connection.invalidate()  # this lock is the connection's, not the transaction's: neither may outlive a failure
        raise
    return waiting(session, org_id, until=newest)


def waiting(session: Session, org_id: str, until: datetime | None = None) -> Sequence[Any]:
    """(seq, id, leaf_hash) in the order in which they are placed."""
    mine = select(col(LedgerWaiting.seq), col(LedgerWaiting.id), col(LedgerWaiting.leaf_hash)).where(col(LedgerWaiting.org_id) == org_id)
    if until is not None:
        mine = mine.where(col(LedgerWaiting.recorded_at) <= until)
    return session.connection().execute(mine.order_by(col(LedgerWaiting.recorded_at), col(LedgerWaiting.seq))).all()


def count_waiting(session: Session, org_id: str) -> int:
    return (
        session.connection()
        .execute(select(func.count()).select_from(LedgerWaiting).where(col(LedgerWaiting.org_id) == org_id))
        .scalar_one()
    )


def tree_size(session: Session, org_id: str) -> int:
    """How many entries have a place."""
    last = select(col(LedgerEntry.idx)).where(col(LedgerEntry.org_id) == org_id).order_by(col(LedgerEntry.idx).desc()).limit(1)
    found = session.connection().execute(last).scalar()
    return 0 if found is None else found + 1


def place(session: Session, org_id: str, rows: Sequence[Any]) -> dict[str, int]:
    """Move waiting rows to the end of the log, in their order. id -> index. The caller holds the head."""
    size = tree_size(session, org_id) if rows else 0
    if rows:
        with as_sequencer(session):
            for begin in range(0, len(rows), _MOST_IDS):
                _move(session, org_id, [row.seq for row in rows[begin : begin + _MOST_IDS]], size + begin)
            grow(session, org_id, size, [bytes(row.leaf_hash) for row in rows])
    return {row.id: size + number for number, row in enumerate(rows)}


@contextmanager
def as_sequencer(session: Session) -> Iterator[None]:
    """Under the role that may write leaves, tree and checkpoints, where the installation keeps one apart. What raises inside must roll back."""
    connection = session.connection()
    role = connection.get_execution_options().get("governor_ledger_role", "")
    if not role or not on_postgres(session):
        yield
        return
    session.flush()  # the rows of the action are written under its own role
    name = connection.dialect.identifier_preparer.quote_identifier(role)
    connection.exec_driver_sql(f"SET LOCAL ROLE {name}", execution_options={"no_parameters": True})
    yield
    connection.exec_driver_sql("RESET ROLE")


def _move(session: Session, org_id: str, seqs: list[int], first: int) -> None:
    """Rows `seqs` get the indices from `first` on. On Postgres each row is found once: it is taken out and written in one statement."""
    connection = session.connection()
    if on_postgres(session):
        connection.execute(_MOVE_POSTGRES, {"org": org_id, "seqs": seqs, "before": first - 1})
        return
    some = col(LedgerWaiting.seq).in_(seqs)
    order = func.row_number().over(order_by=(col(LedgerWaiting.recorded_at), col(LedgerWaiting.seq)))
    entry = [col(getattr(LedgerWaiting, name)) for name in _SAID]
    moved = select(*entry, (literal(first - 1) + order).label("idx")).where(col(LedgerWaiting.org_id) == org_id, some)
    connection.execute(insert(LedgerEntry).from_select([*_SAID, "idx"], moved))
    connection.execute(delete(LedgerWaiting).where(col(LedgerWaiting.org_id) == org_id, some))
