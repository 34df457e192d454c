"""One ledger entry, checked here and now from its stored bytes: the same steps an outsider would take.

Owns: which checks are made and how they read. Does not own: the whole log (verify_ledger.py), the document of an entry (browse_ledger.py).
Invariants: reads only; every hash is computed again from the leaf, no column is believed; a failed check is a row, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlmodel import Session, select

from governor.actions.browse_ledger import find
from governor.actions.context import Context
from governor.actions.key_history import key_chain, log_key
from governor.errors import GovernorError, IntegrityError
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.entry import Entry
from governor.ledger.merkle import leaf_hash, verify_inclusion
from governor.ledger.note import parse_note
from governor.store import ledger
from governor.store.rows.ledger import LedgerCheckpoint, LedgerEntry


@dataclass(frozen=True)
class EntryCheck:
    """status: ok | fail | waiting (not under a checkpoint yet)."""

    name: str
    status: str
    detail: str


def check_entry(ctx: Context, name: str) -> list[EntryCheck]:
    """Leaf, producer, place in the stream, path to the root, signature of the root. Raises NotFound for an entry that is not there."""
    with ctx.rows.session() as session:
        row = find(session, ctx.org, name)
        newest = ledger.latest_checkpoint(session, ctx.org)
        checks = [
            attempt("Bytes", lambda: bytes_of(row)),
            attempt("Writer", lambda: writer_of(ctx, session, row)),
            attempt("Stream", lambda: place_of(session, ctx.org, row)),
        ]
        if newest is None or row.idx >= newest.size:
            return [*checks, EntryCheck("Proof", "waiting", "the next checkpoint will cover it")]
        covering = newest
        return [
            *checks,
            attempt("Proof", lambda: proof_of(session, ctx.org, row, covering)),
            attempt("Checkpoint", lambda: signature_of(ctx, session, covering)),
        ]


def attempt(name: str, check: Callable[[], str]) -> EntryCheck:
    try:
        return EntryCheck(name, "ok", check())
    except GovernorError as error:
        return EntryCheck(name, "fail", error.message)


def bytes_of(row: LedgerEntry) -> str:
    if leaf_hash(row.leaf) != row.leaf_hash:
        raise IntegrityError("the bytes do not hash to the leaf on record")
    return f"{len(row.leaf):,} bytes hash to the leaf on record"


def writer_of(ctx: Context, session: Session, row: LedgerEntry) -> str:
    entry = Entry.parse(row.leaf)
    known = {one.key_id: one.public_key for one in key_chain(session, ctx.org, ctx.keys, "producer")}
    key = known.get(str(entry.body["producer"].get("key_id")))
    if key is None:
        raise IntegrityError("written under a key this installation does not know")
    entry.verify_producer(key)
    return f"signed by {entry.body['producer'].get('service')} {entry.body['producer'].get('version')}"


def place_of(session: Session, org: str, row: LedgerEntry) -> str:
    body = Entry.parse(row.leaf).body
    seq, previous = int(body["stream_seq"]), body["stream_prev"]
    before = session.exec(
        select(LedgerEntry).where(LedgerEntry.org_id == org, LedgerEntry.stream == str(body["stream"]), LedgerEntry.stream_seq == seq - 1)
    ).first()
    if previous != (leaf_hash(before.leaf).hex() if before is not None else None) or (before is None) != (seq == 1):
        raise IntegrityError(f"does not follow number {seq - 1} of its stream")
    return "the first of its stream" if before is None else f"number {seq}; names the hash of number {seq - 1}"


def proof_of(session: Session, org: str, row: LedgerEntry, newest: LedgerCheckpoint) -> str:
    path = ledger.inclusion(session, org, row.idx, newest.size)
    verify_inclusion(row.idx, newest.size, leaf_hash(row.leaf), path, newest.root)
    return f"{len(path)} hashes lead from this leaf to the root over {newest.size:,} entries"


def signature_of(ctx: Context, session: Session, newest: LedgerCheckpoint) -> str:
    note, key = parse_note(newest.note), log_key(session, ctx.org, ctx.keys)
    said = parse_checkpoint(note.text)
    if not note.signed_by(key):
        raise IntegrityError("the newest checkpoint is not signed by the log's key")
    if (said.origin, said.size, said.root) != (key.name, newest.size, newest.root):
        raise IntegrityError("the newest checkpoint signs another tree")
    return f"the root is signed by {key.name}"
