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
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import DateTime, bindparam, delete, func, insert, literal, select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col

from governor.errors import Misconfigured
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
_NEWEST: Final = select(func.max(LedgerWaiting.recorded_at)).where(col(LedgerWaiting.org_id) == bindparam("org"))
_MOVE_POSTGRES: Final = text(
    "WITH due AS MATERIALIZED (SELECT seq, row_number() OVER (ORDER BY recorded_at, seq) AS nth FROM ledgerwaiting "
    "WHERE org_id = :org AND recorded_at <= coalesce(:until, 'infinity')), "
    f"moved AS (DELETE FROM ledgerwaiting w USING due WHERE w.org_id = :org AND w.seq = due.seq RETURNING due.nth, {', '.join(f'w.{name}' for name in _SAID)}) "
    f"INSERT INTO ledgerentry ({', '.join(_SAID)}, idx) SELECT {', '.join(_SAID)}, nth + "
    "coalesce((SELECT idx FROM ledgerentry WHERE org_id = :org ORDER BY idx DESC LIMIT 1), -1) FROM moved RETURNING id, idx, leaf_hash"
).bindparams(bindparam("until", type_=DateTime(timezone=True)))


def wait(session: Session, said: dict[str, Any]) -> None:
    """One row of an entry that waits. On Postgres straight to the driver: this statement bounds how many append at once."""
    if on_postgres(session):
        from governor.store import direct  # it brings the driver, which nobody needs on SQLite

        direct.execute(session.connection(), _WAIT_POSTGRES, said)
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
    place(session, org_id)


def is_alone(session: Session) -> bool:
    return not on_postgres(session) or session.info.get(_ALONE, False)


def settle(rows: Database) -> dict[str, int]:
    """Give every committed entry that waits its place, in a transaction of its own. id -> index of those it placed.

    All that waits up to the newest time that is seen, once all who had begun to append have ended: whoever begins later takes no earlier time,
    so nobody can still come in between, and they go on while these are placed.
    """
    if rows.embedded:
        return {}
    with rows.session(write=True) as session:
        hold(session, rows.org)
        connection = session.connection()
        newest = connection.execute(_NEWEST, {"org": rows.org}).scalar()
        if newest is None:
            return {}
        try:
            connection.execute(_DRAIN, {"org": rows.org})
        except BaseException:
            connection.invalidate()  # this lock is the connection's, not the transaction's: neither may outlive a failure
            raise
        return place(session, rows.org, until=newest)


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


def place(session: Session, org_id: str, until: datetime | None = None) -> dict[str, int]:
    """Move what waits (no later than `until`) to the end of the log, in the order of its time. id -> index. The caller holds the head."""
    with as_sequencer(session):
        moved = _moved(session, org_id, until)
        if moved:
            grow(session, org_id, moved[0].idx, [bytes(row.leaf_hash) for row in moved])
    return {row.id: row.idx for row in moved}


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
    try:
        connection.exec_driver_sql(f"SET LOCAL ROLE {name}", execution_options={"no_parameters": True})
    except DBAPIError as error:
        why = str(error.orig).splitlines()[0]
        raise Misconfigured(f"GOVERNOR_LEDGER_ROLE {role} cannot be taken: {why}", hint="docs/operations.md makes the role") from None
    yield
    connection.exec_driver_sql("RESET ROLE")


def _moved(session: Session, org_id: str, until: datetime | None) -> Sequence[Any]:
    """(id, idx, leaf_hash) in the order of the log. On Postgres each row is found once: it is taken out and written in one statement."""
    connection = session.connection()
    if on_postgres(session):
        return sorted(connection.execute(_MOVE_POSTGRES, {"org": org_id, "until": until}), key=itemgetter(1))
    size, mine = tree_size(session, org_id), col(LedgerWaiting.org_id) == org_id  # its one writer places all that waits
    order = func.row_number().over(order_by=(col(LedgerWaiting.recorded_at), col(LedgerWaiting.seq)))
    entry = [col(getattr(LedgerWaiting, name)) for name in _SAID]
    connection.execute(insert(LedgerEntry).from_select([*_SAID, "idx"], select(*entry, literal(size - 1) + order).where(mine)))
    connection.execute(delete(LedgerWaiting).where(mine))
    placed = select(col(LedgerEntry.id), col(LedgerEntry.idx), col(LedgerEntry.leaf_hash)).where(col(LedgerEntry.org_id) == org_id)
    return connection.execute(placed.where(col(LedgerEntry.idx) >= size).order_by(col(LedgerEntry.idx))).all()
