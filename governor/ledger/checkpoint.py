"""A checkpoint: the tree's name, size and root in three lines (c2sp.org/tlog-checkpoint), signed as a note."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final

from governor.errors import Invalid
from governor.ledger.merkle import HASH_SIZE
from governor.ledger.note import strict_base64

MAX_SIZE: Final = 2**63 - 1
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_LINES: Final = 3


@dataclass(frozen=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """The text of a note (not the note). Raises Invalid for anything but origin, size, root and optional extension lines."""
    if not text.endswith("\n"):
        raise Invalid("checkpoint must end in a newline")
    lines = text[:-1].split("\n")
    if len(lines) < _LINES or not lines[0] or not all(lines):
        raise Invalid("checkpoint needs origin, size and root")
    size = parse_decimal(lines[1], "checkpoint size")
    root = strict_base64(lines[2])
    if len(root) != HASH_SIZE:
        raise Invalid("checkpoint root is not a SHA-256 hash")
    return Checkpoint(lines[0], size, root, tuple(lines[3:]))


def parse_decimal(text: str, what: str) -> int:
    """A non-negative integer in its only spelling."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise Invalid(f"{what} is not a number")
    return int(text)
