"""A SQLite file whose writer does not shut readers out.

Owns: turning a connection's file to write-ahead logging. Does not own: opening it, its other pragmas.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Final

PAUSE: Final = 0.01  # seconds before the same is asked again


def write_ahead(connection: sqlite3.Connection, patience: float) -> None:
    """Write-ahead logging, and every commit on disk before it returns. Call it outside a transaction.

    Two connections that turn a new file at the same moment would wait for each other: SQLite refuses one of them at once, whatever its
    busy timeout (https://www.sqlite.org/c3ref/busy_handler.html), so it is asked again. Raises sqlite3.OperationalError after `patience` seconds.
    """
    until = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(PAUSE)
    connection.execute("PRAGMA synchronous=FULL").close()
