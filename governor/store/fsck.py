"""Check the stored ledger against itself and its signatures: everything, or the newest part.

Owns: what is compared and how a finding reads. Does not own: the log (store/ledger.py), outside anchors.
Invariants: it only reads; it recomputes every hash from the leaf bytes and believes no column; the absence of a checkpoint is itself a finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import Session, col, select

from governor.errors import GovernorError, IntegrityError
from governor.ledger import merkle
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.entry import Disclosure, Entry
from governor.ledger.note import VerifierKey, parse_note
from governor.store import ledger
from governor.store.nodes import with_nodes
from governor.store.rows.ledger import LedgerCheckpoint, LedgerDisclosure, LedgerEntry, LedgerNode
from governor.store.sequencer import count_waiting, tree_size

BATCH: Final = 1000
MAX_PROBLEMS: Final = 100


@dataclass
class Findings:
    """`problems` is empty when the ledger is whole; `unsealed` entries are committed but not under a checkpoint yet, or wait for their place."""

    size: int
    checked: int = 0
    unsealed: int = 0
    checkpoints: int = 0
    root: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def add(self, problem: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


@dataclass
class _Walk:
    """What the entries so far said: last hash and number of each stream, last time."""

    streams: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    last: datetime | None = None


def verify_tail(session: Session, org_id: str, log: VerifierKey, producers: Mapping[str, bytes], *, entries: int = 1000) -> Findings:
    """The newest entries and checkpoints; older nodes are believed. Cheap enough to run every minute."""
    return _check(session, org_id, log, producers, max(0, tree_size(session, org_id) - entries))


def fsck(session: Session, org_id: str, log: VerifierKey, producers: Mapping[str, bytes]) -> Findings:
    """Everything, from the first leaf. `producers`: key id -> public key of the programs that may write."""
    return _check(session, org_id, log, producers, 0)


def _check(session: Session, org_id: str, log: VerifierKey, producers: Mapping[str, bytes], start: int) -> Findings:
    found = Findings(size=tree_size(session, org_id))
    walk = _resume(session, org_id, start) if start else _Walk()
    frontier: dict[tuple[int, int], bytes] = {}
    if start:
        with_nodes(session, org_id, lambda reader: _load(frontier, reader, start))
    _look_at_end(session, org_id, found)
    for checkpoint in _checkpoints(session, org_id, col(LedgerCheckpoint.size) == start):
        _check_checkpoint(checkpoint, _root(frontier), log, found)
    for rows, nodes, signed in _batches(session, org_id, start):
        for row in rows:
            if row.idx != start + found.checked:
                found.add(f"entry {start + found.checked} is missing")
                return found
            _check_entry(row, walk, producers, found)
            _check_nodes(row, nodes, frontier, found)
            found.checked += 1
            if row.idx + 1 in signed:
                _check_checkpoint(signed[row.idx + 1], _root(frontier), log, found)
    for checkpoint in _checkpoints(session, org_id, col(LedgerCheckpoint.size) > found.size):
        _check_checkpoint(checkpoint, b"", log, found)
    expected = sum(found.size >> level for level in range(found.size.bit_length()))
    stored = session.exec(select(func.count()).select_from(LedgerNode).where(LedgerNode.org_id == org_id)).one()
    if stored != expected:
        found.add(f"the tree has {stored} nodes, {expected} belong to {found.size} entries")
    _check_disclosures(session, org_id, start, found)
    return found


def _batches(
    session: Session, org_id: str, start: int
) -> Iterator[tuple[Sequence[Any], Mapping[tuple[int, int], bytes], Mapping[int, Any]]]:
    """Entries, the stored nodes that became complete with them, and the checkpoints over trees that end among them (by size)."""
    columns = [
        col(getattr(LedgerEntry, name)) for name in ("idx", "id", "type", "stream", "stream_seq", "leaf", "leaf_hash", "recorded_at")
    ]
    entries = select(*columns).where(LedgerEntry.org_id == org_id).order_by(col(LedgerEntry.idx)).limit(BATCH)
    while rows := session.execute(entries.where(col(LedgerEntry.idx) >= start)).all():
        last = rows[-1].idx
        ranges = [
            and_(col(LedgerNode.level) == level, col(LedgerNode.pos).between(start >> level, last >> level))
            for level in range(last.bit_length() + 1)
        ]
        nodes = session.execute(select(LedgerNode.level, LedgerNode.pos, LedgerNode.hash).where(LedgerNode.org_id == org_id, or_(*ranges)))
        ending = col(LedgerCheckpoint.size).between(start + 1, last + 1)
        signed = {checkpoint.size: checkpoint for checkpoint in _checkpoints(session, org_id, ending)}
        yield rows, {(level, pos): value for level, pos, value in nodes}, signed
        start = last + 1


def _resume(session: Session, org_id: str, start: int) -> _Walk:
    """What was said before `start` by the streams that go on behind it."""
    goes_on = (
        select(LedgerEntry.stream, func.min(LedgerEntry.stream_seq).label("first"))
        .where(LedgerEntry.org_id == org_id, col(LedgerEntry.idx) >= start)
        .group_by(LedgerEntry.stream)
        .subquery()
    )
    before = select(LedgerEntry.stream, LedgerEntry.stream_seq, LedgerEntry.leaf_hash).join(
        goes_on, and_(col(LedgerEntry.stream) == goes_on.c.stream, col(LedgerEntry.stream_seq) == goes_on.c.first - 1)
    )
    streams = {stream: (seq, value) for stream, seq, value in session.exec(before.where(LedgerEntry.org_id == org_id))}
    return _Walk(
        streams, session.exec(select(LedgerEntry.recorded_at).where(LedgerEntry.org_id == org_id, LedgerEntry.idx == start - 1)).first()
    )


def _load(frontier: dict[tuple[int, int], bytes], reader: merkle.Reader, start: int) -> None:
    """Complete subtrees that end at `start`: what later leaves are combined with."""
    end = start
    for level in range(start.bit_length()):
        if end >> level & 1:
            pos = (end >> level) - 1
            frontier[level, pos] = reader(level, pos)
            end -= 1 << level


def _check_entry(row: Any, walk: _Walk, producers: Mapping[str, bytes], found: Findings) -> None:
    where, leaf = f"entry {row.idx}", stored_bytes(row.leaf)
    if merkle.leaf_hash(leaf) != row.leaf_hash:
        found.add(f"{where}: leaf bytes do not hash to leaf_hash")
    try:
        entry = Entry.parse(leaf)
        key = producers.get(str(entry.body["producer"].get("key_id")))
        if key is None:
            raise IntegrityError("written by an unknown producer key")
        entry.verify_producer(key)
    except GovernorError as error:
        found.add(f"{where}: {error.message}")
        return
    columns = (row.id, row.type, row.stream, row.stream_seq, row.recorded_at)
    if columns != (entry.id, entry.type, entry.body["stream"], entry.stream_seq, entry.recorded_at):
        found.add(f"{where}: columns differ from the leaf")
    seq, previous = walk.streams.get(entry.body["stream"], (0, None))
    if entry.stream_seq != seq + 1 or entry.body["stream_prev"] != (None if previous is None else previous.hex()):
        found.add(f"{where}: does not follow number {seq} of {entry.body['stream']}")
    if walk.last is not None and entry.recorded_at < walk.last:
        found.add(f"{where}: recorded_at steps back")
    walk.streams[entry.body["stream"]] = (entry.stream_seq, entry.leaf_hash)
    walk.last = entry.recorded_at


def stored_bytes(value: object) -> bytes:
    """A leaf as bytes; SQLite keeps whatever type a cheat wrote, and text must become a finding, not a crash."""
    return value if isinstance(value, bytes) else str(value).encode()


def _check_nodes(row: Any, nodes: Mapping[tuple[int, int], bytes], frontier: dict[tuple[int, int], bytes], found: Findings) -> None:
    made = list(merkle.new_nodes(lambda level, pos: frontier.pop((level, pos)), row.idx, merkle.leaf_hash(stored_bytes(row.leaf))))
    for level, pos, value in made:
        if nodes.get((level, pos)) != value:
            found.add(f"tree node {level}/{pos} is {'wrong' if (level, pos) in nodes else 'missing'}")
    level, pos, value = made[-1]
    frontier[level, pos] = value


def _look_at_end(session: Session, org_id: str, found: Findings) -> None:
    last = ledger.latest_checkpoint(session, org_id)
    if last is not None:
        found.unsealed = max(0, found.size - last.size) + count_waiting(session, org_id)
        found.root = last.root.hex()
    elif found.size:
        found.add("the log has entries but no checkpoint")


def _checkpoints(session: Session, org_id: str, where: ColumnElement[bool]) -> Iterator[Any]:
    columns = select(LedgerCheckpoint.size, LedgerCheckpoint.root, LedgerCheckpoint.note)
    wanted = columns.where(LedgerCheckpoint.org_id == org_id, where)
    yield from session.execute(wanted.order_by(col(LedgerCheckpoint.size)).execution_options(yield_per=BATCH))


def _check_checkpoint(row: Any, root: bytes, log: VerifierKey, found: Findings) -> None:
    """`root`: that of the leaves it covers; empty where the log has fewer."""
    found.checkpoints += 1
    try:
        note = parse_note(row.note)
        signed = parse_checkpoint(note.text)
        if not note.signed_by(log):
            raise IntegrityError("is not signed by the log key")
        if signed.origin != log.name and log.incarnation(signed.origin) is None:
            raise IntegrityError(f"is of {signed.origin}")
        if (signed.size, signed.root) != (row.size, row.root):
            raise IntegrityError("does not say what its columns say")
        if root != row.root:
            raise IntegrityError("was signed over another tree")
    except GovernorError as error:
        found.add(f"checkpoint {row.size} {error.message}")


def _root(frontier: Mapping[tuple[int, int], bytes]) -> bytes:
    """Root of the complete subtrees that the leaves so far make."""
    smallest, *larger = [value for _, value in sorted(frontier.items())] or [merkle.EMPTY_ROOT]
    return reduce(lambda right, left: merkle.node_hash(left, right), larger, smallest)


def _check_disclosures(session: Session, org_id: str, start: int, found: Findings) -> None:
    wanted = select(LedgerDisclosure.entry_id, LedgerDisclosure.name, LedgerDisclosure.disclosure, LedgerDisclosure.digest)
    wanted = wanted.where(LedgerDisclosure.org_id == org_id)
    if start:
        newest = select(LedgerEntry.id).where(LedgerEntry.org_id == org_id, col(LedgerEntry.idx) >= start)
        wanted = wanted.where(col(LedgerDisclosure.entry_id).in_(newest))
    for entry, name, text, digest in session.exec(wanted.execution_options(yield_per=BATCH)):
        if Disclosure(name, text).digest != digest:
            found.add(f"personal field {name} of entry {entry} is not what was committed to")
