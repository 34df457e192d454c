"""The ledger in the rows database: append one entry, seal the tree, prove a position.

Owns: index, stream order, tree nodes, checkpoints, the append lock, the triggers that refuse change. Does not own: what an entry says (ledger/),
checking the whole (store/fsck.py). Invariants: leaf indices and stream numbers have no gap; `recorded_at` never steps back; a checkpoint is
signed only over committed entries and only when consistent with the last one; the same `idem` is one entry for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import text, tuple_
from sqlmodel import Session, col, select

from governor.errors import IntegrityError, NotFound
from governor.ledger import merkle
from governor.ledger.canonical import timestamp
from governor.ledger.checkpoint import Checkpoint, parse_checkpoint
from governor.ledger.entry import Disclosure, Entry, EntryDraft, disclose
from governor.ledger.note import VerifierKey, parse_note, parse_vkey, sign_note, vkey
from governor.ledger.proof import TlogProof
from governor.ports import Signer
from governor.store.build import producer
from governor.store.rows.base import uuid7
from governor.store.rows.ledger import LedgerCheckpoint, LedgerDisclosure, LedgerEntry, LedgerNode

CLOCK_TOLERANCE: Final = timedelta(seconds=10)  # waiting for the append lock looks like a small step back
Result = TypeVar("Result")


def append(session: Session, org_id: str, draft: EntryDraft, recorded_at: datetime, producer_signer: Signer) -> LedgerEntry:
    """Write one entry at the end of the organization's log, inside the caller's transaction.

    The append lock is held until that transaction ends, so indices have no gap. On SQLite the caller's BEGIN IMMEDIATE is the lock.
    """
    lock(session, org_id)
    known = session.exec(select(LedgerEntry).where(LedgerEntry.org_id == org_id, LedgerEntry.idem == draft.idem)).first()
    if known is not None:
        return known
    last = _newest(session, org_id)
    if last is not None and recorded_at < last.recorded_at:
        if last.recorded_at - recorded_at > CLOCK_TOLERANCE and draft.type != "clock:anomaly":
            append(session, org_id, _anomaly(recorded_at, last), last.recorded_at, producer_signer)
            last = _newest(session, org_id) or last
        recorded_at = last.recorded_at
    return _write(session, org_id, draft, recorded_at, 0 if last is None else last.idx + 1, producer_signer)


def _write(session: Session, org_id: str, draft: EntryDraft, recorded_at: datetime, idx: int, signer: Signer) -> LedgerEntry:
    before = session.exec(
        select(LedgerEntry)
        .where(LedgerEntry.org_id == org_id, LedgerEntry.stream == draft.stream)
        .order_by(col(LedgerEntry.stream_seq).desc())
        .limit(1)
    ).first()
    disclosures = [disclose(name, value) for name, value in sorted(draft.personal.items())]
    entry = Entry.build(
        draft,
        entry_id=uuid7(int(recorded_at.timestamp() * 1000)),
        stream_seq=1 if before is None else before.stream_seq + 1,
        stream_prev=None if before is None else before.leaf_hash,
        recorded_at=recorded_at,
        producer=producer(),
        signer=signer,
        disclosures=disclosures,
    )
    row = LedgerEntry(
        org_id=org_id,
        id=entry.id,
        idx=idx,
        type=entry.type,
        stream=draft.stream,
        stream_seq=entry.stream_seq,
        idem=draft.idem,
        leaf=entry.leaf,
        leaf_hash=entry.leaf_hash,
        recorded_at=recorded_at,
    )
    session.add(row)
    for found in disclosures:
        session.add(LedgerDisclosure(org_id=org_id, digest=found.digest, entry_id=entry.id, name=found.name, disclosure=found.text))
    for level, pos, value in merkle.new_nodes(_reader(session, org_id), idx, entry.leaf_hash):
        session.add(LedgerNode(org_id=org_id, level=level, pos=pos, hash=value))
    session.flush()
    return row


def _newest(session: Session, org_id: str) -> LedgerEntry | None:
    return session.exec(select(LedgerEntry).where(LedgerEntry.org_id == org_id).order_by(col(LedgerEntry.idx).desc()).limit(1)).first()


def _anomaly(clock: datetime, last: LedgerEntry) -> EntryDraft:
    held = timestamp(last.recorded_at)
    return EntryDraft(
        type="clock:anomaly",
        stream="clock/server",
        payload={"clock": timestamp(clock), "held_at": held},
        actor={"kind": "system", "ref": "system"},
        idem=f"clock:anomaly:{held}",
        occurred_at=clock,
    )


def lock(session: Session, org_id: str) -> None:
    """Whoever appends, signs or changes a key waits here; held until the transaction ends."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('governor-ledger:' || :org, 0))"), {"org": org_id})


def tree_size(session: Session, org_id: str) -> int:
    last = session.exec(select(LedgerEntry.idx).where(LedgerEntry.org_id == org_id).order_by(col(LedgerEntry.idx).desc()).limit(1)).first()
    return 0 if last is None else last + 1


def _reader(session: Session, org_id: str) -> merkle.Reader:
    def read(level: int, pos: int) -> bytes:
        row = session.get(LedgerNode, (org_id, level, pos))
        if row is None:
            raise IntegrityError(f"ledger node {level}/{pos} is missing")
        return row.hash

    return read


def with_nodes(session: Session, org_id: str, build: Callable[[merkle.Reader], Result]) -> Result:
    """Run a proof builder with one query: a first dry run records which nodes it wants."""
    wanted: set[tuple[int, int]] = set()

    def note(level: int, pos: int) -> bytes:
        wanted.add((level, pos))
        return bytes(merkle.HASH_SIZE)

    build(note)
    rows = session.exec(
        select(LedgerNode).where(LedgerNode.org_id == org_id, tuple_(col(LedgerNode.level), col(LedgerNode.pos)).in_(sorted(wanted)))
    ).all()
    nodes = {(row.level, row.pos): row.hash for row in rows}
    missing = wanted - nodes.keys()
    if missing:
        raise IntegrityError(f"ledger nodes {sorted(missing)[:3]} are missing")
    return build(lambda level, pos: nodes[level, pos])


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
    cosign: Callable[[str], str] = lambda _: "",
    successor: Signer | None = None,
    key: VerifierKey | None = None,
) -> LedgerCheckpoint | None:
    """Sign the committed tree, in a transaction of its own, after the entries committed; `cosign` adds lines. None when the log is empty.

    While a key is being replaced its `successor` signs too; `key` knows the keys that the signer's replaced.

    Raises IntegrityError when the tree is not the last signed one with entries added: signing on would be equivocation.
    """
    lock(session, org_id)
    size = tree_size(session, org_id)
    last = latest_checkpoint(session, org_id)
    if last is not None:
        _check_grown(session, org_id, last, size, key or VerifierKey(origin, 1, signer.public_key))
    if size == 0 or (last is not None and last.size == size):
        return last
    found = root_at(session, org_id, size)
    said = Checkpoint(origin, size, found).text
    signed = sign_note(said, [(origin, one) for one in (signer, successor) if one is not None])
    row = LedgerCheckpoint(org_id=org_id, size=size, root=found, note=signed + cosign(said), created_at=now)
    session.add(row)
    session.flush()
    return row


def _check_grown(session: Session, org_id: str, last: LedgerCheckpoint, size: int, key: VerifierKey) -> None:
    signed = parse_checkpoint(parse_note(last.note).text)
    if signed.origin != key.name and key.incarnation(signed.origin) is None:
        raise IntegrityError(f"the log was signed as {signed.origin}, now it would be {key.name}", hint="set GOVERNOR_LOG_DOMAIN back")
    if (signed.size, signed.root) != (last.size, last.root):
        raise IntegrityError(f"the stored checkpoint of size {last.size} is not what its note says")
    if parse_note(last.note).signed_by(key) is False:
        raise IntegrityError(f"the stored checkpoint of size {last.size} is not signed by this log key")
    if size < last.size:
        raise IntegrityError(
            f"the log has {size} entries, but {last.size} were signed", hint="the database was restored or truncated; see docs/ledger.md"
        )
    proof = consistency(session, org_id, last.size, size)
    merkle.verify_consistency(last.size, size, last.root, root_at(session, org_id, size), proof)


def latest_checkpoint(session: Session, org_id: str) -> LedgerCheckpoint | None:
    return session.exec(
        select(LedgerCheckpoint).where(LedgerCheckpoint.org_id == org_id).order_by(col(LedgerCheckpoint.size).desc()).limit(1)
    ).first()


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


def log_vkey(origin: str, signer: Signer) -> VerifierKey:
    return parse_vkey(vkey(origin, signer.public_key))
