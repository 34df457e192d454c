"""An anchor in a directory: one append-only file per log, on another volume, a mounted share, or a folder that another team owns.

Owns: appending a note durably, reading the file. Does not own: who may write there (the operating system). Invariants: opened for appending only,
never truncated; one writer at a time; a note that is already the last one is not written again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final

from governor.errors import Unavailable
from governor.ledger.anchor import AnchorConfig, as_block, file_of, split_notes
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.note import parse_note
from governor.ports import AnchorReceipt

HALF: Final = "\n\n"
MOST_READ: Final = 8_000_000  # thousands of notes; the newest one vouches for all before it


class DirectoryAnchor:
    """`target` must exist: a missing mount point must not be made on the volume below it."""

    def __init__(self, config: AnchorConfig, origin: str) -> None:
        self.path = Path(config.target) / file_of(origin)
        self._name = config.name

    def publish(self, note: str, prove: Callable[[int], Sequence[bytes]]) -> AnchorReceipt:  # noqa: ARG002 - a file asks for no proof
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise Unavailable(f"anchor {self._name} cannot be written: {error.strerror}", hint=f"is {self.path.parent} mounted?") from None
        with os.fdopen(descriptor, "r+b", buffering=0) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            text = tail(handle)
            if split_notes(text)[-1:] != [note]:
                handle.write((mend(text) + as_block(note)).encode())
                os.fsync(handle.fileno())
        size = parse_checkpoint(parse_note(note).text).size
        return AnchorReceipt(f"size {size} in {self.path.name}")

    def kept(self, newest: str) -> list[str]:  # noqa: ARG002 - the file shows all of them
        try:
            with self.path.open("rb") as handle:
                return split_notes(tail(handle))
        except FileNotFoundError:
            if self.path.parent.is_dir():
                return []
            raise Unavailable(f"anchor {self._name}: {self.path.parent} is not there", hint="is it mounted?") from None
        except OSError as error:
            raise Unavailable(f"anchor {self._name} cannot be read: {error.strerror}") from None


def tail(handle: IO[bytes]) -> str:
    """The newest part of the file; a first note that was cut is no note."""
    size = handle.seek(0, os.SEEK_END)
    handle.seek(max(0, size - MOST_READ))
    return handle.read().decode("utf-8", "replace")


def mend(text: str) -> str:
    """What must be written first when the last write was cut off: words that make the half note unreadable, and the end of its block."""
    return "" if not text or text.endswith(HALF) else "(cut off)\n\n"
