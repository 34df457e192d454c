"""The ledger in the rows database: append one entry, seal the tree, prove a position.

Owns: stream order, the same wish twice, checkpoints, reading. Does not own: what an entry says (ledger/), leaf indices and locks
(store/sequencer.py), tree nodes (store/nodes.py), checking the whole (store/fsck.py). Invariants: stream numbers have no gap; `recorded_at`
never steps back; a checkpoint is signed only over committed entries and only when consistent with the last one; the same `idem` is one entry
for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert
from sqlmodel import Session, col, select

from governor.errors import IntegrityError, NotFound
from governor.ledger import merkle
from governor.ledger.canonical import timestamp
from governor.ledger.checkpoint import Checkpoint, parse_checkpoint
from governor.ledger.entry import Disclosure, Entry, EntryDraft, disclose
from governor.ledger.note import ED25519, VerifierKey, parse_note, sign_note
from governor.ledger.proof import TlogProof
from governor.ports import Signer
from governor.store import sequencer
from governor.store.build import producer
from governor.store.log_end import LogEnd, log_end, noted_size
from governor.store.log_head import Head, hold_head
from governor.store.nodes import with_nodes
from governor.store.rows.base import uuid7
from governor.store.rows.ledger import LedgerCheckpoint, LedgerDisclosure, LedgerEntry, LedgerWaiting

OTHER_KEY: Final = "the key was replaced where another copy of keys/ lies: bring that copy here"
CLOCK_TOLERANCE: Final = timedelta(seconds=10)  # waiting for a lock looks like a small step back


@dataclass(slots=True)
class Appended:
    """An entry as its writer knows it. `idx` is None until the sequencer gave it its place, which is before its action is over."""

    org_id: str
    id: str
    type: str
    stream: str
    stream_seq: int
    idem: str
    leaf: bytes
    leaf_hash: bytes
    recorded_at: datetime
    idx: int


def append(
    session: Session,
    org_id: str,
    draft: EntryDraft,
    recorded_at: datetime,
    producer_signer: Signer,
    *,
    kept: str = "",
    unbroken: Callable[[Session], None] = lambda _: None,
) -> Appended:
    """Write one entry inside the caller's transaction.

    Its `idx` is None until the sequencer placed it: after the commit (Postgres), or at once where the caller is alone (always so on SQLite).
    `kept` is the checkpoint that the home knows; where it is none of the log's, `unbroken` is asked before anything is written, and may raise.
    """
    head = log_end(session, org_id, draft.idem, draft.stream, kept)
    if kept and not head.signed:
        unbroken(session)
    if head.known is not None:
        return _known(session, org_id, head.known)
    last = max((one for one in (head.placed_at, head.waiting_at) if one is not None), default=recorded_at)
    if last - recorded_at > CLOCK_TOLERANCE and draft.type != "clock:anomaly":
        append(session, org_id, _anomaly(recorded_at, last), last, producer_signer)
    return _write(session, org_id, draft, max(recorded_at, last), head, producer_signer)


def _write(session: Session, org_id: str, draft: EntryDraft, recorded_at: datetime, head: LogEnd, signer: Signer) -> Appended:
    disclosures = [disclose(name, value) for name, value in sorted(draft.personal.items())]
    entry = Entry.build(
        draft,
        entry_id=uuid7(int(recorded_at.timestamp() * 1000)),
        stream_seq=1 if head.stream_seq is None else head.stream_seq + 1,
        stream_prev=head.leaf_hash,
        recorded_at=recorded_at,
        producer=producer(),
        signer=signer,
        disclosures=disclosures,
    )
    said: dict[str, Any] = {
        "org_id": org_id,
        "id": entry.id,
        "type": entry.type,
        "stream": draft.stream,
        "stream_seq": entry.stream_seq,
        "idem": draft.idem,
        "leaf": entry.leaf,
        "leaf_hash": entry.leaf_hash,
        "recorded_at": recorded_at,
    }
    sequencer.wait(session, said)
    if disclosures:
        shown = [
            {"org_id": org_id, "digest": one.digest, "entry_id": entry.id, "name": one.name, "disclosure": one.text} for one in disclosures
        ]
        session.connection().execute(insert(LedgerDisclosure), shown)
    placed = sequencer.place(session, org_id) if sequencer.is_alone(session) else {}
    return Appended(**said | {"idx": placed.get(entry.id)})


def _known(session: Session, org_id: str, entry_id: str) -> Appended:
    """The entry that the same wish made before, wherever it stands by now."""
    waits = session.exec(select(LedgerWaiting).where(LedgerWaiting.org_id == org_id, LedgerWaiting.id == entry_id)).first()
    if waits is not None:
        return Appended(**waits.model_dump(exclude={"seq"}) | {"idx": None})
    return Appended(**entry_by_id(session, org_id, entry_id).model_dump())


def _anomaly(clock: datetime, last: datetime) -> EntryDraft:
    held = timestamp(last)
    return EntryDraft(
        type="clock:anomaly",
        stream="clock/server",
        payload={"clock": timestamp(clock), "held_at": held},
        actor={"kind": "system", "ref": "system"},
        idem=f"clock:anomaly:{held}",
        occurred_at=clock,
    )


def root_at(session: Session, org_id: str, size: int) -> bytes:
    """Root over the first `size` entries."""
    return with_nodes(session, org_id, lambda reader: merkle.root(reader, size))


def sign_checkpoint(
    session: Session,
    org_id: str,
    signer: Signer,
    origin: str,
    now: datetime,
    *,
    head: Head | None = None,
    cosign: Callable[[str], str] = lambda _: "",
    successor: Signer | None = None,
    key: VerifierKey | None = None,
) -> LedgerCheckpoint | None:
    """Sign the committed tree, in a transaction of its own, after the entries committed; `cosign` adds lines. None when the log is empty.

    `head` where the caller holds it already. While a key is being replaced its `successor` signs too; `key` knows the keys that the signer's replaced.

    Raises IntegrityError when the tree is not the last signed one with entries added: signing on would be equivocation.
    """
    head = head or hold_head(session, org_id)
    size, signed = head.size, head.signed
    if signed:
        _check_signed(head, key or VerifierKey(origin, ED25519, signer.public_key))
    found, proof = with_nodes(
        session, org_id, lambda reader: (merkle.root(reader, size), merkle.consistency_proof(reader, signed, size) if signed else [])
    )
    if signed:
        merkle.verify_consistency(signed, size, head.root, found, proof)
    if size == signed:
        return latest_checkpoint(session, org_id)
    said = Checkpoint(origin, size, found).text
    note = sign_note(said, [(origin, one) for one in (signer, successor) if one is not None]) + cosign(said)
    made: dict[str, Any] = {"org_id": org_id, "size": size, "root": found, "note": note, "created_at": now}
    with sequencer.as_sequencer(session):
        session.connection().execute(insert(LedgerCheckpoint), made)
    return LedgerCheckpoint(**made)


def _check_signed(head: Head, key: VerifierKey) -> None:
    """Whether the tree may go on from its last signed state."""
    note = parse_note(head.note)
    signed = parse_checkpoint(note.text)
    if signed.origin != key.name and key.incarnation(signed.origin) is None:
        raise IntegrityError(f"the log was signed as {signed.origin}, now it would be {key.name}", hint="set GOVERNOR_LOG_DOMAIN back")
    if (signed.size, signed.root) != (head.signed, head.root):
        raise IntegrityError(f"the stored checkpoint of size {head.signed} is not what its note says")
    if not note.signed_by(key):
        raise IntegrityError(f"the stored checkpoint of size {head.signed} is not signed by this log key", hint=OTHER_KEY)
    if head.size < head.signed:
        lost = f"the log has {head.size} entries, but {head.signed} were signed"
        raise IntegrityError(lost, hint="the database was restored or truncated; see docs/ledger.md")


def latest_checkpoint(session: Session, org_id: str) -> LedgerCheckpoint | None:
    return session.exec(
        select(LedgerCheckpoint).where(LedgerCheckpoint.org_id == org_id).order_by(col(LedgerCheckpoint.size).desc()).limit(1)
    ).first()


def is_signed(session: Session, org_id: str, note: str) -> bool:
    """Whether exactly this note is one of the log's checkpoints."""
    held = select(LedgerCheckpoint.note).where(LedgerCheckpoint.org_id == org_id, LedgerCheckpoint.size == noted_size(note))
    return session.connection().execute(held).scalar() == note


def checkpoint_covering(session: Session, org_id: str, idx: int) -> LedgerCheckpoint:
    """The first checkpoint that holds entry `idx`: the same one at every asking. Raises NotFound while it is not sealed."""
    found = session.exec(
        select(LedgerCheckpoint)
        .where(LedgerCheckpoint.org_id == org_id, LedgerCheckpoint.size > idx)
        .order_by(col(LedgerCheckpoint.size))
        .limit(1)
    ).first()
    if found is None:
        raise NotFound(f"entry {idx} is not sealed yet", hint="run `governor ledger checkpoint`")
    return found


def inclusion(session: Session, org_id: str, idx: int, size: int) -> list[bytes]:
    """Audit path of entry `idx` in the tree of `size`."""
    return with_nodes(session, org_id, lambda reader: merkle.inclusion_proof(reader, idx, size))


def consistency(session: Session, org_id: str, old: int, new: int) -> list[bytes]:
    """Proof that the tree of `old` entries is the beginning of the tree of `new`."""
    return with_nodes(session, org_id, lambda reader: merkle.consistency_proof(reader, old, new))


def range_proof(session: Session, org_id: str, begin: int, end: int, size: int) -> list[bytes]:
    """Proof that entries [begin, end) are all entries between those positions."""
    return with_nodes(session, org_id, lambda reader: merkle.range_proof(reader, begin, end, size))


def leaf_of(row: LedgerEntry) -> bytes:
    """The bytes of an entry. Raises IntegrityError when they are not those that were recorded."""
    if merkle.leaf_hash(row.leaf) != row.leaf_hash:
        raise IntegrityError(f"ledger entry {row.idx} does not hash to what was recorded")
    return row.leaf


def tlog_proof(session: Session, org_id: str, idx: int, checkpoint: LedgerCheckpoint) -> TlogProof:
    """The proof file of one entry under one checkpoint."""
    return TlogProof(idx, tuple(inclusion(session, org_id, idx, checkpoint.size)), checkpoint.note)


def entries(
    session: Session,
    org_id: str,
    *,
    stream: str | None = None,
    after: int = -1,
    limit: int = 100,
    type: str | None = None,  # noqa: A002 - the column's name
) -> Sequence[LedgerEntry]:
    """Entries with idx > after in log order, of one stream or type where given."""
    wanted = select(LedgerEntry).where(LedgerEntry.org_id == org_id, col(LedgerEntry.idx) > after)
    if stream is not None:
        wanted = wanted.where(LedgerEntry.stream == stream)
    if type is not None:
        wanted = wanted.where(LedgerEntry.type == type)
    return session.exec(wanted.order_by(col(LedgerEntry.idx)).limit(limit)).all()


def only_of_type(session: Session, org_id: str, type: str, first: int, last: int) -> bool:  # noqa: A002 - the column's name
    """Whether the entries at [first, last) are all of this type."""
    other = select(LedgerEntry.idx).where(
        LedgerEntry.org_id == org_id, col(LedgerEntry.idx) >= first, col(LedgerEntry.idx) < last, LedgerEntry.type != type
    )
    return session.exec(other.limit(1)).first() is None


def entry_by_id(session: Session, org_id: str, entry_id: str) -> LedgerEntry:
    found = session.exec(select(LedgerEntry).where(LedgerEntry.org_id == org_id, LedgerEntry.id == entry_id)).first()
    if found is None:
        raise NotFound(f"no ledger entry {entry_id}")
    return found


def disclosures(session: Session, org_id: str, entry_id: str) -> list[Disclosure]:
    """Personal fields of an entry that were not erased."""
    rows = session.exec(
        select(LedgerDisclosure)
        .where(LedgerDisclosure.org_id == org_id, LedgerDisclosure.entry_id == entry_id)
        .order_by(col(LedgerDisclosure.name))
    ).all()
    return [Disclosure(row.name, row.disclosure) for row in rows]


def parsed(row: LedgerEntry) -> dict[str, Any]:
    """What the leaf says (the bytes are the truth; the columns are a projection)."""
    return dict(Entry.parse(row.leaf).body)
