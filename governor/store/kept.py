"""The newest checkpoint this process signed or was shown, kept beside the database: a restored or rewritten database is not signed on.

Owns: the file in the home, the comparison of one kept note with the stored tree. Does not own: anchors that others run (adapters/anchor_*.py).
Invariants: the file is written by the one that signs, before the signature is committed, and never moves to a smaller tree by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlmodel import Session

from governor.errors import GovernorError, IntegrityError
from governor.ledger.anchor import Contradiction, signed_checkpoint
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.note import VerifierKey, parse_note
from governor.store import ledger
from governor.store.sequencer import tree_size
from governor.store.whole_file import write_whole

HINT = (
    "the database was restored or rewritten: run `governor ledger verify --evidence DIR`. Bring back the newer database; "
    "if there is none, an admin decides to go on with `governor ledger restore` (docs/anchors.md)"
)


DAMAGED: Final = (
    "bring it back from the backup of this home; if there is none, compare the newest checkpoint (`governor ledger entries`, anchors, "
    "the last packet) with what you know, then delete the file"
)


@dataclass(frozen=True)
class Disagreement:
    """What a kept note says against the database. kind: fork | rollback | foreign; evidence only where two signatures contradict each other."""

    kind: str
    size: int
    detail: str
    note: str
    evidence: Contradiction | None = None


def note_file(home: Path, org: str) -> Path:
    return home / "anchors" / f"newest-{org.replace('/', '%2F')}.checkpoint"


def kept_note(path: Path) -> str:
    """Empty where there is none. Raises IntegrityError for a file that holds no checkpoint."""
    try:
        with path.open("rb", buffering=0) as file:
            found = file.read()
    except OSError:
        return ""
    note = found.decode("utf-8", "replace")
    if note and not (note.endswith("\n") and "\n\n\u2014 " in note):  # every append asks, so no more than this is looked at
        raise IntegrityError(f"{path} is damaged: it holds no checkpoint", hint=DAMAGED)
    return note


def keep_note(path: Path, note: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(path, note.encode())


def check_kept(session: Session, org_id: str, key: VerifierKey, note: str) -> None:
    """Raise IntegrityError where the stored tree does not continue the kept note. Cheap when the note is the newest checkpoint."""
    last = ledger.latest_checkpoint(session, org_id)
    if not note or (last is not None and last.note == note):
        return
    origin = parse_checkpoint(parse_note(note).text).origin
    if origin != key.name and key.incarnation(origin) is None:
        return  # the log has another name since; the last checkpoint in the database refuses that by itself
    found = disagreement(session, org_id, key, note)
    if found is not None:
        raise IntegrityError(f"nothing is signed or written: {found.detail}", hint=HINT)


def disagreement(session: Session, org_id: str, key: VerifierKey, note: str) -> Disagreement | None:
    """Compare one note from outside with the stored tree; None when they tell the same history."""
    try:
        kept = signed_checkpoint(note, key)
    except GovernorError as error:
        return Disagreement("foreign", 0, f"a note kept outside {error.message}", note)
    size, last = tree_size(session, org_id), ledger.latest_checkpoint(session, org_id)
    ended = key.incarnation(kept.origin)
    if ended is not None and ended.agreed < kept.size <= ended.lost:
        return None  # a person decided to go on without what this note covers
    shown = last.note if last is not None else ""
    if kept.size > size:
        detail = f"{kept.size} entries were signed, the database has {size}: entries {size} to {kept.size - 1} are gone"
        return Disagreement("rollback", kept.size, detail, note, Contradiction("rollback", note, shown) if shown else None)
    try:
        stored = ledger.root_at(session, org_id, kept.size)
    except IntegrityError as error:
        return Disagreement("fork", kept.size, f"the tree of {kept.size} entries cannot be computed: {error.message}", note)
    if stored == kept.root:
        return None
    detail = f"the first {kept.size} entries are not those that were signed"
    return Disagreement("fork", kept.size, detail, note, _evidence(session, org_id, key, note, stored))


def _evidence(session: Session, org_id: str, key: VerifierKey, note: str, stored: bytes) -> Contradiction | None:
    """Only where the database shows a signed tree that contains the other beginning: its key has then vouched for both."""
    size, last = parse_checkpoint(parse_note(note).text).size, ledger.latest_checkpoint(session, org_id)
    if last is None or last.size < size:
        return None
    try:
        shown = signed_checkpoint(last.note, key)
        if (shown.size, shown.root) != (last.size, ledger.root_at(session, org_id, last.size)):
            return None
        proof = tuple(ledger.consistency(session, org_id, size, last.size))
    except GovernorError:
        return None
    return Contradiction("fork", note, last.note, stored, proof)
