"""Which keys signed before the present ones, and for which trees: told by the ledger, vouched for by the present key.

Owns: the chain of keys of a role and its ranges. Does not own: replacing a key (rotate_keys.py), key files (adapters/keys.py).
Invariants: the chain begins at the key this installation holds; each key names the one it replaced under its own signature, so that no row of the
database can add a key; a range is of tree sizes, never of clock time.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlmodel import Session, col, select

from governor.adapters.keys import FileKeys
from governor.errors import GovernorError, Misconfigured, NotFound
from governor.ledger.canonical import canonical_json, sha256_hex
from governor.ledger.cosign import is_cosigned
from governor.ledger.entry import Entry
from governor.ledger.note import ED25519, MLDSA_COSIGNATURE, Ended, VerifierKey, parse_note
from governor.store import ledger
from governor.store.rows.ledger import LedgerCheckpoint, LedgerEntry

SECOND: Final = "log-mldsa"
ROLES: Final = ("log", SECOND, "issuer", "producer")
RESTORE: Final = "ledger:restore"
INCARNATIONS: Final = "ledger/incarnation"  # the stream of those entries
REASONS: Final = ("compromised", "lost", "superseded", "ceased")  # of a revocation, the gravest first
MOST: Final = 1000
FAR: Final = 2**63 - 1


@dataclass(frozen=True)
class HeldKey:
    """state: active | incoming | retired | revoked. Good for trees of size first..last. `name`: what it signs under (log keys: the log's name then)."""

    role: str
    key_id: str
    public_key: bytes
    state: str
    first: int = 0
    last: int | None = None
    since: str = ""
    reason: str = ""
    revoked_at: str = ""
    name: str = ""

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, MLDSA_COSIGNATURE if self.role == SECOND else ED25519, self.public_key)

    @property
    def sizes(self) -> str:
        return f"{self.first}..{'' if self.last is None else self.last}"


def key_stream(role: str) -> str:
    return f"key/{role}"


LOG_STREAMS: Final = (key_stream("log"), INCARNATIONS)  # who says how the log's key came to be


def vouching(role: str, previous: bytes, key: bytes) -> bytes:
    """What a new key signs about the one it replaces."""
    return canonical_json({"key": key.hex(), "previous": previous.hex(), "role": role, "v": 1})


def restoring(payload: Mapping[str, Any]) -> bytes:
    """What the first key of a new incarnation signs: everything its `ledger:restore` entry says."""
    return canonical_json({name: value for name, value in payload.items() if name != "vouched"})


def log_key(session: Session, org: str, keys: FileKeys, *, changed: bool = True) -> VerifierKey:
    """The log's present key, with those it replaced and the incarnations before this one. changed: whether anything stands in LOG_STREAMS.

    A replaced key counts for every tree it signed, revoked or not: a revocation tells others what to believe, and the log keeps its checkpoints.
    """
    if not changed:
        return VerifierKey(keys.origin(org), ED25519, keys.log_signer().public_key)
    present, *before = chain = key_chain(session, org, keys, "log", revoked=False)
    told = restores(session, org, keys, chain) if present.first or before else []
    ended = tuple(Ended(one["origin"], one["agreed"], one["lost"]) for one in told[0][1].payload["ended"]) if told else ()
    ends = {
        (one.origin, one.lost) for one in ended
    }  # more than was decided about, under an ended name, is a finding and no stranger's note
    earlier = tuple((one.verifier, FAR if (one.name, one.last) in ends else one.last) for one in before if one.last is not None)
    return VerifierKey(present.name, ED25519, present.public_key, earlier, ended)


def restores(session: Session, org: str, keys: FileKeys, chain: Sequence[HeldKey] = ()) -> list[tuple[LedgerEntry, Entry]]:
    """The decisions by which the log went on after a restored database, newest first: each named by the key chain of this home."""
    keys_seen = {one.key_id for one in chain or key_chain(session, org, keys, "log")}
    rows = ledger.entries(session, org, stream=INCARNATIONS, limit=MOST)
    told = [(row, Entry.parse(row.leaf)) for row in rows if row.type == RESTORE]
    return [one for one in reversed(told) if one[1].payload.get("key_id") in keys_seen and _vouched(one[1])]


def key_chain(session: Session, org: str, keys: FileKeys, role: str, *, revoked: bool = True) -> list[HeldKey]:
    """The present key first, then those before it; without `revoked` as they were before any revocation."""
    signer = keys.signer(role)
    rows = [*ledger.entries(session, org, stream=key_stream(role), limit=MOST)]
    if role in {"log", SECOND}:
        rows += ledger.entries(session, org, stream=INCARNATIONS, limit=MOST)
    entries = [(row, Entry.parse(row.leaf)) for row in rows]
    name = keys.issuer_name(org) if role == "issuer" else keys.origin(org) if role != "producer" else ""
    chain = [HeldKey(role, signer.key_id, signer.public_key, "active", name=name)]
    while len(chain) <= len(entries):
        present = chain[-1]
        found = next((one for one in entries if _replaces(role, one[1], present) or _restored(role, one[1], present)), None)
        if found is None:
            break
        row, entry = found
        if entry.type == RESTORE:
            chain[-1] = replace(present, first=row.idx + 1, since=str(entry.body["recorded_at"]))
            chain += _named(role, entry)
            if role == "log":  # the decision names every key before it
                break
            continue
        previous = base64.b64decode(entry.payload["previous_public_key"])
        older = HeldKey(role, sha256_hex(previous), previous, "retired", name=present.name)
        last, first = _boundary(session, org, row, present, older)
        chain[-1] = replace(present, first=first, since=str(entry.body["recorded_at"]))
        chain.append(replace(older, last=last))
    told: dict[str, list[Entry]] = {}
    for _, entry in entries:
        if revoked and entry.type == "key:revoke":
            told.setdefault(str(entry.payload["key_id"]), []).append(entry)
    return [_revoked(one, told[one.key_id]) if one.key_id in told else one for one in chain]


def strangers(session: Session, org: str, keys: FileKeys) -> list[str]:
    """Roles of signing keys that have no part in what was signed so far: what those of another home sign here verifies under no key, for ever.

    The log's two keys are held against its newest checkpoint, the producer against the first entry, which every key of its chain goes back to.
    Raises Misconfigured where the log would go on under another name.
    """
    newest = ledger.latest_checkpoint(session, org)
    if newest is None:
        return []

    def own(role: str) -> list[bytes]:
        return [*(one.public_key for one in key_chain(session, org, keys, role, revoked=False)), *keys.past(role)]

    try:
        note = parse_note(newest.note)
        (row,) = ledger.entries(session, org, limit=1)
        first = Entry.parse(row.leaf)
    except (GovernorError, ValueError):
        return []  # the log itself is damaged: `governor ledger verify` says so
    origin, writer, found = note.text.partition("\n")[0], first.body["producer"].get("key_id"), []
    if origin not in {keys.origin_of(org, number + 1) for number in range(keys.incarnation(org))}:
        raise Misconfigured(
            f"the log was signed as {origin}, now it would be {keys.origin(org)}",
            hint="set GOVERNOR_LOG_DOMAIN back, or bring keys/domain back from the backup of this home",
        )
    if not any(note.signed_by(VerifierKey(origin, ED25519, one)) for one in own("log")):
        found.append("log")
    cosigned = keys.has(SECOND) and is_cosigned(newest.note)
    if cosigned and not any(note.signed_by(VerifierKey(origin, MLDSA_COSIGNATURE, one)) for one in own(SECOND)):
        found.append(SECOND)
    return found if any(sha256_hex(one) == writer for one in own("producer")) else [*found, "producer"]


def _replaces(role: str, entry: Entry, present: HeldKey) -> bool:
    payload = entry.payload
    if entry.type != "key:rotate" or payload.get("key_id") != present.key_id:
        return False
    previous = base64.b64decode(str(payload.get("previous_public_key", "")))
    vouched = base64.b64decode(str(payload.get("vouched", "")))
    return present.verifier.verifies(vouching(role, previous, present.public_key), vouched)


def _restored(role: str, entry: Entry, present: HeldKey) -> bool:
    """Whether this decision made `present` the first key of a new incarnation."""
    named = entry.payload.get("key_id" if role == "log" else "second_key_id")
    return entry.type == RESTORE and named == present.key_id and _vouched(entry)


def _vouched(entry: Entry) -> bool:
    public, vouched = (base64.b64decode(str(entry.payload.get(name, ""))) for name in ("public_key", "vouched"))
    return VerifierKey("log", ED25519, public).verifies(restoring(entry.payload), vouched)


def _named(role: str, entry: Entry) -> list[HeldKey]:
    """The keys before a new incarnation, as its decision names them."""
    if role == SECOND:
        public = base64.b64decode(entry.payload["second_previous_public_key"])
        old = entry.payload["ended"][0]
        return [HeldKey(role, sha256_hex(public), public, "retired", last=old["lost"], name=old["origin"])]
    found = []
    for one in entry.payload["earlier"]:
        public = base64.b64decode(one["public_key"])
        found.append(HeldKey(role, sha256_hex(public), public, "retired", one["first"], one["last"], name=one["origin"]))
    return found


def _boundary(session: Session, org: str, row: LedgerEntry, present: HeldKey, older: HeldKey) -> tuple[int, int]:
    """(last tree of the old key, first tree of the new one)."""
    if present.role == "producer":
        return row.idx + 1, row.idx + 2
    if present.role == "issuer":
        try:
            return ledger.checkpoint_covering(session, org, row.idx).size, row.idx + 2
        except NotFound:
            return row.idx + 1, row.idx + 2
    query = select(LedgerCheckpoint).where(LedgerCheckpoint.org_id == org, LedgerCheckpoint.size > row.idx)
    last, first = row.idx, 0
    for checkpoint in session.exec(query.order_by(col(LedgerCheckpoint.size)).limit(MOST)):
        note = parse_note(checkpoint.note)
        if not all(note.signed_by(key.verifier) for key in (older, present)):
            break
        last, first = checkpoint.size, first or checkpoint.size
    return last, first or row.idx + 1


def gravity(reason: str) -> int:
    """0 is the gravest."""
    return REASONS.index(reason) if reason in REASONS else len(REASONS)


def _revoked(key: HeldKey, entries: Sequence[Entry]) -> HeldKey:
    """Of several revocations the narrowest size counts and the gravest reason: what was said against a key is never taken back by a later entry."""
    sizes = [int(entry.payload["revoked_at_size"]) for entry in entries if entry.payload.get("revoked_at_size") is not None]
    last = min([*sizes, *([] if key.last is None else [key.last])], default=None)
    gravest = min(entries, key=lambda entry: gravity(str(entry.payload.get("reason", ""))))
    reason, since = str(gravest.payload.get("reason", "")), str(gravest.body["recorded_at"])
    return replace(key, state="revoked", last=last, reason=reason, revoked_at=since)
