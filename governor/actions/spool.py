"""Pushed bodies on disk, between the receiver's answer and the lake.

Owns: the files of the spool: how they are written, claimed, read. Does not own: when they are drained (drain.py), what a body says (connectors).
Invariants: a body is synced, and so is its folder, before `put` returns; a claim dies with its process; only who has the claim reads or removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from governor.actions.context import Context
from governor.errors import Unavailable
from governor.store.rows.base import uuid7

_held: dict[Path, tuple[float, int]] = {}
BODY = ".push"
GROUP = ".group"
UNFINISHED = ".part"
UNFINISHED_S = 3600.0  # a write takes moments: what is older was left by a process that died in the middle, and was never acknowledged


def folder_of(ctx: Context) -> Path:
    folder = ctx.settings.home / "spool" / hashlib.sha256(ctx.org.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def put(ctx: Context, note: Mapping[str, str], body: bytes) -> Path:
    """A body with its note (source, connector, content_type, actor), under a name that sorts by time. Raises Unavailable where the spool is full."""
    full = held(folder_of(ctx)) + len(body) > ctx.settings.spool_max_bytes
    if full:
        raise Unavailable(
            "the spool is full: the lake has not taken what came before", hint="send it again later; GOVERNOR_SPOOL_MAX_BYTES is the limit"
        )
    return write(folder_of(ctx) / f"{uuid7()}{BODY}", json.dumps(dict(note)).encode() + b"\n" + body)


def held(folder: Path) -> int:
    """Bytes that wait. Looked up once a second: a burst may pass the limit by what one second brings."""
    at, known = _held.get(folder, (0.0, 0))
    if time.monotonic() - at < 1.0 and at:
        return known
    total = 0
    with os.scandir(folder) as found:
        for one in found:
            with contextlib.suppress(FileNotFoundError):  # stored meanwhile
                total += one.stat().st_size
    _held[folder] = (time.monotonic(), total)
    return total


def waiting_since(ctx: Context) -> tuple[int, int, float]:
    """(bodies that wait, their bytes, when the oldest came in Unix seconds)."""
    found = []
    for path in folder_of(ctx).glob(f"*{BODY}"):
        with contextlib.suppress(FileNotFoundError):  # stored meanwhile
            found.append(path.stat())
    return len(found), sum(one.st_size for one in found), min((one.st_mtime for one in found), default=0.0)


def put_group(ctx: Context, members: list[Path]) -> Path:
    """Which bodies become one batch; the group's name is the batch id."""
    return write(folder_of(ctx) / f"{uuid7()}{GROUP}", "\n".join(path.name for path in members).encode())


def members_of(group: Path) -> list[Path]:
    """The bodies of a group that are still there."""
    return [path for name in group.read_text(encoding="utf-8").split("\n") if (path := group.with_name(name)).exists()]


def write(path: Path, content: bytes) -> Path:
    """Whole and synced, or not at all."""
    partial = path.with_suffix(UNFINISHED)
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        partial.rename(path)
    except OSError:  # a full disk keeps no part of it
        partial.unlink(missing_ok=True)
        raise
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return path


def drop_unfinished(folder: Path) -> None:
    for path in folder.glob(f"*{UNFINISHED}"):
        with contextlib.suppress(FileNotFoundError):  # finished, or dropped by another
            if path.stat().st_mtime < time.time() - UNFINISHED_S:
                path.unlink()


def note_of(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        found: dict[str, str] = json.loads(file.readline())
    return found


def body_of(path: Path) -> bytes:
    return path.read_bytes().partition(b"\n")[2]


def uri_of(note: Mapping[str, str], body: bytes) -> str:
    """Named after the bytes: a bad record pushed twice is quarantined once."""
    return f"push:{note['source']}/{hashlib.sha256(body).hexdigest()[:16]}"


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether this process alone has the file; a process that dies lets go of it."""
    try:
        handle = path.open("rb")
    except FileNotFoundError:
        yield False
        return
    with handle:
        try:
            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield path.exists()
