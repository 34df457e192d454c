"""A measured fact as a file: name, media type, bytes, digest. What approvals bind and packets carry.

Owns: the item and its digest. Does not own: what was measured (shadow/), where bytes are kept (store/). Invariants: an item's digest is that of its bytes;
a name is a plain relative path, so that nothing unpacked from a packet can land elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from governor.errors import Invalid
from governor.ledger.canonical import digest

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*", re.ASCII)
MAX_NAME: Final = 200


@dataclass(frozen=True)
class EvidenceItem:
    """Raises Invalid for a name that is not a plain lower-case relative path."""

    name: str
    media_type: str
    body: bytes

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or len(self.name) > MAX_NAME:
            raise Invalid(f"{self.name!r} cannot name an evidence file", hint="use lower-case letters, digits, dot, dash, underscore and /")

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    def reference(self) -> dict[str, Any]:
        """As an entry of the ledger names it."""
        return {"name": self.name, "sha256": self.sha256, "size": len(self.body), "media_type": self.media_type}


def evidence_digest(items: Iterable[EvidenceItem]) -> str:
    """One digest over all items, independent of their order."""
    return digest(sorted((item.reference() for item in items), key=lambda found: found["name"]))
