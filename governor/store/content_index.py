"""Where each stored body is: its pack, its place in it, and the secret part of its key.

Owns: one SQLite file per organization. Does not own: the bytes (content_pack.py), when a body is written or erased (content.py).
Invariants: a body whose row is gone cannot be opened by anybody, for its salt is nowhere else; deleted rows are overwritten (secure_delete), and
the write-ahead file is emptied after an erasure; a pack is in the index only after its bytes are on disk.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from governor.store.sqlite_wal import write_ahead

PATIENCE: Final = 60.0  # seconds to wait for another writer of the index
AT_ONCE: Final = 5_000  # addresses in one statement
TABLES: Final = """
CREATE TABLE IF NOT EXISTS packs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kept_at INTEGER NOT NULL, bytes INTEGER NOT NULL, checked INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS bodies (
    address BLOB PRIMARY KEY, pack INTEGER NOT NULL, start INTEGER NOT NULL, size INTEGER NOT NULL, salt BLOB NOT NULL, kept_at INTEGER NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Found:
    """A body's place: name of the pack, first byte, length, salt of its key."""

    pack: str
    start: int
    size: int
    salt: bytes


@dataclass(frozen=True)
class Pack:
    """A pack and what of it is still held. checked: the calls it was written for are known to be in the lake, or it was looked through."""

    id: int
    name: str
    kept_at: int
    bytes: int
    checked: bool
    live: int
    live_bytes: int


Row = tuple[bytes, int, int, bytes]  # address, start, size, salt


class ContentIndex:
    """`path` is made with the first body. One connection per thread; times are whole seconds since 1970."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()

    def find(self, address: bytes) -> Found | None:
        if not self._there():
            return None
        query = "SELECT p.name, b.start, b.size, b.salt FROM bodies b JOIN packs p ON p.id = b.pack WHERE b.address = ?"
        row = self._connection().execute(query, (address,)).fetchone()
        return None if row is None else Found(*row)

    def holds(self, address: bytes) -> bool:
        return self._there() and self._connection().execute("SELECT 1 FROM bodies WHERE address = ?", (address,)).fetchone() is not None

    def ends(self) -> list[bytes]:
        """A body of the oldest pack, and one of the newest."""
        if not self._there():
            return []
        rows = [self._connection().execute(f"SELECT address, {end}(pack) FROM bodies").fetchone() for end in ("min", "max")]
        return [address for address, _ in rows if address is not None]

    def touch(self, addresses: Iterable[bytes], now: int) -> set[bytes]:
        """Which of them are held; they count as kept now, so that a sweep that runs beside leaves them alone."""
        if not self._there():
            return set()
        held: set[bytes] = set()
        with self._writing() as connection:
            for some in _parts(addresses):
                query = f"UPDATE bodies SET kept_at = ? WHERE address IN ({_marks(some)}) RETURNING address"
                held.update(row[0] for row in connection.execute(query, (now, *some)))
        return held

    def add(self, name: str, size: int, rows: Sequence[Row], now: int) -> None:
        """A pack whose bytes are on disk. A body that another writer kept meanwhile stays where it is."""
        with self._writing() as connection:
            pack = connection.execute("INSERT INTO packs (name, kept_at, bytes) VALUES (?, ?, ?)", (name, now, size)).lastrowid
            connection.executemany(
                "INSERT INTO bodies VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (address) DO UPDATE SET kept_at = excluded.kept_at",
                ((address, pack, start, length, salt, now) for address, start, length, salt in sorted(rows)),
            )

    def forget(self, addresses: Iterable[bytes], *, before: int | None = None) -> int:
        """Delete the rows, and with each the only copy of its salt. `before`: only those not kept since. Returns how many."""
        if not self._there():
            return 0
        gone = 0
        with self._writing() as connection:
            for some in _parts(addresses):
                query = f"DELETE FROM bodies WHERE address IN ({_marks(some)}) AND (? IS NULL OR kept_at < ?)"
                gone += connection.execute(query, (*some, before, before)).rowcount
        if gone:
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return gone

    def packs(self) -> list[Pack]:
        if not self._there():
            return []
        query = """SELECT p.id, p.name, p.kept_at, p.bytes, p.checked, coalesce(b.live, 0), coalesce(b.live_bytes, 0) FROM packs p
            LEFT JOIN (SELECT pack, count(*) AS live, sum(size) AS live_bytes FROM bodies GROUP BY pack) b ON b.pack = p.id ORDER BY p.id"""
        return [
            Pack(number, name, kept_at, size, bool(checked), live, live_bytes)
            for number, name, kept_at, size, checked, live, live_bytes in self._connection().execute(query)
        ]

    def bodies_of(self, packs: Iterable[int]) -> Iterator[list[tuple[bytes, int, int, int]]]:
        """(address, pack, start, size) of what these packs still hold, some at a time."""
        wanted = ",".join(str(int(one)) for one in packs)
        after = b""
        while True:
            query = f"SELECT address, pack, start, size FROM bodies WHERE address > ? AND pack IN ({wanted}) ORDER BY address LIMIT ?"
            found = self._connection().execute(query, (after, 20 * AT_ONCE)).fetchall()
            if not found:
                return
            yield found
            after = found[-1][0]

    def mark_checked(self, packs: Iterable[int]) -> None:
        with self._writing() as connection:
            connection.executemany("UPDATE packs SET checked = 1 WHERE id = ?", ((one,) for one in packs))

    def moved(self, name: str, size: int, kept_at: int, places: Sequence[tuple[bytes, int, int, int]], left: Sequence[int]) -> None:
        """Bodies copied into pack `name` ((address, old pack, old start, new start) each); the packs `left` are no more. Erased meanwhile stays erased."""
        with self._writing() as connection:
            query = "INSERT INTO packs (name, kept_at, bytes, checked) VALUES (?, ?, ?, 1)"
            pack = connection.execute(query, (name, kept_at, size)).lastrowid
            connection.executemany(
                "UPDATE bodies SET pack = ?, start = ? WHERE address = ? AND pack = ? AND start = ?",
                ((pack, new, address, old_pack, old) for address, old_pack, old, new in places),
            )
            connection.executemany("DELETE FROM packs WHERE id = ?", ((one,) for one in left))

    def drop_empty(self, packs: Iterable[int]) -> None:
        """Packs nobody's body is in any more."""
        with self._writing() as connection:
            query = "DELETE FROM packs WHERE id = ? AND NOT EXISTS (SELECT 1 FROM bodies WHERE pack = packs.id)"
            connection.executemany(query, ((one,) for one in packs))

    def names(self) -> set[str]:
        return {row[0] for row in self._connection().execute("SELECT name FROM packs")} if self._there() else set()

    def _there(self) -> bool:
        return hasattr(self._own, "connection") or self._path.exists()

    def _connection(self) -> sqlite3.Connection:
        known: tuple[int, sqlite3.Connection] | None = getattr(self._own, "connection", None)
        if known is not None and known[0] == os.getpid():
            return known[1]
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._path.exists():
            self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None)
        write_ahead(connection, PATIENCE)
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA cache_size = -32000")
        connection.executescript(TABLES)
        self._own.connection = (os.getpid(), connection)
        return connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has ended it already, and would be hidden behind that
                connection.execute("ROLLBACK")
            raise


def _parts(addresses: Iterable[bytes]) -> Iterator[list[bytes]]:
    source = iter(addresses)
    while some := list(islice(source, AT_ONCE)):
        yield some


def _marks(some: Sequence[bytes]) -> str:
    return ",".join("?" * len(some))
