from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from governor.store.sqlite_wal import write_ahead

WRITERS = 6
FILES = 60  # without asking again, about one file in ten has a writer that is refused


def test_many_who_make_one_file_at_once_all_get_in(tmp_path: Path) -> None:
    together = Barrier(WRITERS)

    def write(path: Path) -> None:
        together.wait()
        connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        write_ahead(connection, 30)
        connection.execute("CREATE TABLE IF NOT EXISTS words (word)")
        connection.execute("INSERT INTO words VALUES ('here')")
        connection.close()

    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(FILES):
            path = tmp_path / f"{number}.db"
            list(pool.map(write, [path] * WRITERS))
            assert sqlite3.connect(path).execute("SELECT count(*) FROM words").fetchone() == (WRITERS,)


def test_patience_ends(tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "one.db", isolation_level=None)
    holder.execute("CREATE TABLE words (word)")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        write_ahead(sqlite3.connect(tmp_path / "one.db", timeout=0), 0.05)
