"""Why a rows database cannot be reached or written, in words that hold no password: the driver's own may hold what the URL held.

Owns: telling causes apart by the words of SQLite and Postgres. Does not own: connecting (store/database.py).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import quote

# words of the driver -> what it is, what to do
SQLITE: Final = (
    ("database or disk is full", "its disk is full", "free some space and try again"),
    ("readonly database", "it may not be written", "check its permissions and whether its disk is mounted read-only, or copy the home and give the copy"),
    ("not a database", "the file is no SQLite database", "bring it back from a backup"),
    ("disk I/O error", "its disk gives an error; it may be full", "check its free space, and that the temporary folder (/tmp) may be written"),
    ("unable to open database file", "its file cannot be opened", "check that its folder exists and may be written"),
    ("database is locked", "another process holds it", "try again when that is done"),
)  # fmt: skip
POSTGRES: Final = (
    ("password authentication failed", "it refuses this user and password", "check user and password in GOVERNOR_DATABASE_URL"),
    ("no password supplied", "it asks for a password", "give it in GOVERNOR_DATABASE_URL"),
    ("no pg_hba.conf entry", "it does not let this user in from here", "its pg_hba.conf says who may connect"),
    ('database "', "it has no such database", "check the database's name in GOVERNOR_DATABASE_URL"),
    ('role "', "it has no such user, or that user may not log in", "check the user in GOVERNOR_DATABASE_URL"),
    ("too many clients", "it has no connection free", "try again, or raise its max_connections"),
    ("connection slots", "it has no connection free", "try again, or raise its max_connections"),
    ("could not translate host name", "its host is not known", "check the host in GOVERNOR_DATABASE_URL"),
    ("failed to resolve host", "its host is not known", "check the host in GOVERNOR_DATABASE_URL"),
    ("onnection refused", "nothing listens there", "check host and port in GOVERNOR_DATABASE_URL, and that the server is up"),
    ("the database system is ", "it is starting, stopping or recovering", "try again in a moment"),
    ("No space left on device", "its disk is full", "free some space and try again"),
)  # fmt: skip
UNKNOWN: Final = "check GOVERNOR_DATABASE_URL and that the server is up; GOVERNOR_LOG_LEVEL=debug shows the cause"


def cause_of(words: str, *, embedded: bool) -> tuple[str, str]:
    """(what it is, what to do); no cause where the words are not known."""
    found = next((one for one in (SQLITE if embedded else POSTGRES) if one[0] in words), None)
    return (found[1], found[2]) if found else ("", UNKNOWN)


def read_only_address(path: Path) -> str | None:
    """How SQLite opens a database that may only be read; None for one that may be written, or that is not there.

    A log that was not written back is read where it lies beside it; without one nothing can change under a reader.
    """
    if not path.exists() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return None
    log = path.with_name(f"{path.name}-wal")
    address = quote(quote(str(path)))  # SQLAlchemy takes one away, SQLite the other
    return f"sqlite:///file:{address}?mode=ro{'' if log.exists() and log.stat().st_size else '&immutable=1'}&uri=true"
