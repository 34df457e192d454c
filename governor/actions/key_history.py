"""Which keys signed before the present ones, and for which trees: told by the ledger, vouched for by the present key.

Owns: the chain of keys of a role and its ranges. Does not own: replacing a key (rotate_keys.py), key files (adapters/keys.py).
Invariants: the chain begins at the key this installation holds; each key names the one it replaced under its own signature, so that no row of the
database can add a key; a range is of tree sizes, never of clock time.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlmodel import Session, col, select

from governor.adapters.keys import FileKeys
from governor.errors import NotFound
from governor.ledger.canonical import canonical_json, sha256_hex
from governor.ledger.entry import Entry
from governor.ledger.note import VerifierKey, parse_note
from governor.store import ledger
from governor.store.rows.ledger import LedgerCheckpoint, LedgerEntry

ROLES: Final = ("log", "issuer", "producer")
MOST: Final = 1000


@dataclass(frozen=True)
class HeldKey:
    """state: active | incoming | retired | revoked. Good for trees of size first..last."""

    role: str
    key_id: str
    public_key: bytes
    state: str
    first: int = 0
    last: int | None = None
    since: str = ""
    reason: str = ""
    revoked_at: str = ""

    @property
    def sizes(self) -> str:
        return f"{self.first}..{'' if self.last is None else self.last}"


def key_stream(role: str) -> str:
    return f"key/{role}"


def vouching(role: str, previous: bytes, key: bytes) -> bytes:
    """What a new key signs about the one it replaces."""
    return canonical_json({"key": key.hex(), "previous": previous.hex(), "role": role, "v": 1})


def log_key(session: Session, org: str, keys: FileKeys) -> VerifierKey:
    """The log's present key, with those it replaced."""
    present, *before = key_chain(session, org, keys, "log")
    name = keys.origin(org)
    earlier = tuple((VerifierKey(name, 1, one.public_key), one.last) for one in before if one.last is not None)
    return VerifierKey(name, 1, present.public_key, earlier)


def key_chain(session: Session, org: str, keys: FileKeys, role: str) -> list[HeldKey]:
    """The present key first, then those before it."""
    signer = keys.signer(role)
    rows = ledger.entries(session, org, stream=key_stream(role), limit=MOST)
    entries = [(row, Entry.parse(row.leaf)) for row in rows]
    chain = [HeldKey(role, signer.key_id, signer.public_key, "active")]
    while len(chain) <= len(entries):
        present = chain[-1]
        found = next((one for one in entries if _replaces(role, one[1], present)), None)
        if found is None:
            break
        row, entry = found
        previous = base64.b64decode(entry.payload["previous_public_key"])
        last, first = _boundary(session, org, keys, role, row, present.public_key, previous)
        chain[-1] = replace(present, first=first, since=str(entry.body["recorded_at"]))
        chain.append(HeldKey(role, sha256_hex(previous), previous, "retired", last=last))
    revoked = {str(entry.payload["key_id"]): entry for _, entry in entries if entry.type == "key:revoke"}
    return [_revoked(one, revoked[one.key_id]) if one.key_id in revoked else one for one in chain]


def _replaces(role: str, entry: Entry, present: HeldKey) -> bool:
    payload = entry.payload
    if entry.type != "key:rotate" or payload.get("key_id") != present.key_id:
        return False
    previous = base64.b64decode(str(payload.get("previous_public_key", "")))
    vouched = base64.b64decode(str(payload.get("vouched", "")))
    return VerifierKey(role, 1, present.public_key).verifies(vouching(role, previous, present.public_key), vouched)


def _boundary(session: Session, org: str, keys: FileKeys, role: str, row: LedgerEntry, present: bytes, previous: bytes) -> tuple[int, int]:
    """(last tree of the old key, first tree of the new one)."""
    if role == "producer":
        return row.idx + 1, row.idx + 2
    if role == "issuer":
        try:
            return ledger.checkpoint_covering(session, org, row.idx).size, row.idx + 2
        except NotFound:
            return row.idx + 1, row.idx + 2
    name = keys.origin(org)
    both = [VerifierKey(name, 1, previous), VerifierKey(name, 1, present)]
    query = select(LedgerCheckpoint).where(LedgerCheckpoint.org_id == org, LedgerCheckpoint.size > row.idx)
    last, first = row.idx, 0
    for checkpoint in session.exec(query.order_by(col(LedgerCheckpoint.size)).limit(MOST)):
        note = parse_note(checkpoint.note)
        if not all(note.signed_by(key) for key in both):
            break
        last, first = checkpoint.size, first or checkpoint.size
    return last, first or row.idx + 1


def _revoked(key: HeldKey, entry: Entry) -> HeldKey:
    size: Any = entry.payload.get("revoked_at_size")
    last = key.last if size is None else int(size) if key.last is None else min(key.last, int(size))
    return replace(key, state="revoked", last=last, reason=str(entry.payload.get("reason", "")), revoked_at=str(entry.body["recorded_at"]))
