"""A proof of logging as one text file (c2sp.org/tlog-proof@v1): leaf index, audit path, signed checkpoint."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from governor.errors import Invalid
from governor.ledger.checkpoint import parse_decimal
from governor.ledger.merkle import HASH_SIZE
from governor.ledger.note import strict_base64

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_HASHES: Final = 63


@dataclass(frozen=True)
class TlogProof:
    """`checkpoint` is the signed note; `extra` is opaque to the format."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    @property
    def text(self) -> str:
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {base64.b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(step).decode() for step in self.hashes]
        return "\n".join(lines) + "\n\n" + self.checkpoint


def parse_proof(text: str) -> TlogProof:
    """Raises Invalid for anything but the one spelling of a proof."""
    head, found, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not found or lines.pop(0) != HEADER:
        raise Invalid(f"not a {HEADER} file")
    extra = strict_base64(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else None
    if not lines or not lines[0].startswith("index "):
        raise Invalid("proof has no index line")
    index = parse_decimal(lines.pop(0).removeprefix("index "), "proof index")
    hashes = tuple(strict_base64(line) for line in lines)
    if len(hashes) > MAX_HASHES or any(len(step) != HASH_SIZE for step in hashes):
        raise Invalid("proof hashes are not SHA-256 hashes")
    if not checkpoint.endswith("\n"):
        raise Invalid("proof has no checkpoint")
    return TlogProof(index, hashes, checkpoint, extra)
