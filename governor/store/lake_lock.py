"""One ingest at a time per lake, across processes and machines; and patience with a busy catalog.

Owns: the ingest lock (advisory on Postgres, a locked file otherwise) and the retry of lake transactions.
Does not own: what happens inside. Invariants: DuckLake checks nothing across overlapping transactions, so every writer of calls holds this lock
from its first look to its commit; a process that dies lets go.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, TypeVar

import duckdb

from governor.errors import LakeBusy, Misconfigured, StoreAway
from governor.store.database import libpq
from governor.store.lake_attach import Place, scrubbed

if TYPE_CHECKING:
    import psycopg  # loaded where Postgres is

log = logging.getLogger(__name__)
Result = TypeVar("Result")

POLL_SECONDS: Final = 0.02
ATTEMPTS: Final = 12
_BUSY: Final = (
    "database is locked",
    "database table is locked",
    "conflict",
    "could not serialize",
    "deadlock detected",
    "Failed to commit",
)


@contextmanager
def ingest_lock(place: Place, folder: Path, *, patience: float = 600.0) -> Iterator[Callable[[], object]]:
    """Hold the lake's writer place. Raises LakeBusy when it is not free within `patience` seconds.

    Yields what a writer calls before it commits: it raises where the place was lost with its connection, and a rival may be writing the same calls.
    """
    if place.on_postgres:
        with _postgres_lock(place, patience) as connection:
            yield lambda: connection.execute("SELECT 1")
        return
    with _lock_file(folder) as handle:
        deadline = time.monotonic() + patience
        while not _taken(handle.fileno()):
            if time.monotonic() >= deadline:
                raise LakeBusy("another process is writing to the lake")
            time.sleep(POLL_SECONDS)
        yield lambda: None  # closing the file lets go, also when the process dies


def _lock_file(folder: Path) -> IO[str]:
    """Raises StoreAway where the home may only be read; what else is wrong with the disk is told as it is."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return (folder / "ingest.lock").open("a")
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise
        needs = "the lake's lock cannot be taken where the home may only be read"
        raise StoreAway(
            f"{needs}: {folder}", hint="copy the home to where it may be written and give the copy with --home", abroad=needs
        ) from None


def refuse_lent_sessions(place: Place) -> None:
    """A pooler that lends one Postgres session to several connections lends the writer's place too, and never gives it back. Raises Misconfigured."""
    if not place.on_postgres:
        return
    import psycopg

    try:
        with psycopg.connect(libpq(place.catalog), autocommit=True) as one, psycopg.connect(libpq(place.catalog), autocommit=True) as other:
            seen = [connection.execute("SELECT pg_backend_pid()").fetchone() for _ in range(3) for connection in (one, other)]
    except psycopg.OperationalError as error:
        raise StoreAway(f"the lake catalog (Postgres) does not answer: {scrubbed(str(error), place)}") from None
    if len(set(seen[::2])) > 1 or set(seen[::2]) & set(seen[1::2]):
        raise Misconfigured(
            "the pooler before the lake's catalog lends one Postgres session to several connections: several writers would have the lake at once",
            hint="let it pool sessions (PgBouncer: pool_mode = session), or give GOVERNOR_LAKE_CATALOG the address of Postgres itself",
        )


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _postgres_lock(place: Place, patience: float) -> Iterator[psycopg.Connection]:
    import psycopg

    try:
        with psycopg.connect(libpq(place.catalog), autocommit=True) as connection:
            connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{max(1, int(patience * 1000))}ms",))
            connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"governor-lake:{place.schema}",))
            yield connection
    except psycopg.errors.LockNotAvailable:
        raise LakeBusy("another process is writing to the lake") from None
    except psycopg.OperationalError as error:
        raise StoreAway(f"the lake catalog (Postgres) does not answer: {scrubbed(str(error), place)}") from None


def committed(connection: duckdb.DuckDBPyConnection, work: Callable[[], Result], alone: Callable[[], object]) -> Result:
    """One lake transaction of a writer. `alone` raises where the writer's place was lost: then nothing is committed."""
    connection.execute("BEGIN TRANSACTION")
    try:
        done = work()
        alone()
        connection.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # it may be gone already
            connection.execute("ROLLBACK")
        raise
    return done


def patiently(work: Callable[[], Result]) -> Result:
    """Run a lake transaction again while the catalog is busy, waiting longer each time. `work` rolls back what it began."""
    for attempt in range(ATTEMPTS):
        try:
            return work()
        except duckdb.Error as error:
            if attempt == ATTEMPTS - 1 or not any(sign in str(error) for sign in _BUSY):
                raise
            pause = min(5.0, 0.05 * 2**attempt) * (0.5 + random.random())  # noqa: S311 - spreads rivals, guards nothing
            log.debug("lake is busy, waiting %.2f s: %s", pause, type(error).__name__)  # its words may hold the password
            time.sleep(pause)
    raise AssertionError("unreachable")  # pragma: no cover
