"""Anchors at work: publish the newest checkpoint, compare the database with what is kept, raise the alarm.

Owns: when a note is published, the comparison, the alarm. Does not own: how old each anchor is (anchor_states.py), reaching one (adapters/anchor_*.py),
the rule of contradiction (ledger/anchor.py).
Invariants: publishing appends nothing to the ledger (an entry about a checkpoint would want a checkpoint of its own, for ever); a disagreement is
kept in the home, so that nothing more is signed until a person decides; an anchor that does not answer is never counted as agreeing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from sqlalchemy import func
from sqlmodel import Session, col, select

from governor.actions import key_history
from governor.actions.anchor_states import anchor_states
from governor.actions.context import Context
from governor.adapters.anchors import open_anchor
from governor.errors import AnchorConflict, GovernorError, IntegrityError, NotFound
from governor.ledger.anchor import AnchorConfig, Contradiction, signed_checkpoint, witness_keys
from governor.ledger.note import VerifierKey, parse_note
from governor.ports import Anchor
from governor.store import ledger
from governor.store.fsck import BATCH
from governor.store.kept import Disagreement, disagreement, keep_note, kept_note, note_file
from governor.store.log_end import noted_size
from governor.store.rows.anchors import LedgerAnchor
from governor.store.rows.ledger import LedgerCheckpoint

log = logging.getLogger(__name__)
BLIND: Final = (
    "NOT AUDIT-GRADE: no anchor outside the database owner's reach. This check cannot see a history that was rewritten as a whole, "
    "re-signed with a stolen log key, or cut back together with its checkpoints."
)
UNSEEN: Final = (
    "NOT AUDIT-GRADE NOW: no outside anchor could be compared ({why}). A rewritten or cut-back history would not be seen by this check."
)
ASKED: Final = frozenset({"witness", "timestamp"})  # these judge a note themselves, or only its age


class AnchorCheck(TypedDict):
    """status: agrees | empty | conflict | unreachable. newest: largest tree it keeps; notes: how many were compared."""

    name: str
    kind: str
    outside: bool
    status: str
    detail: str
    newest: int
    notes: int
    contradictions: int


@dataclass(frozen=True)
class Compared:
    """status: agrees | empty | conflict | unreachable. `newest`: largest tree it keeps; `notes`: how many were compared."""

    name: str
    kind: str
    outside: bool
    status: str
    detail: str
    newest: int = 0
    notes: int = 0
    evidence: tuple[Contradiction, ...] = field(default=(), repr=False)

    @property
    def problem(self) -> str:
        return f"anchor {self.name}: {self.detail}" if self.status == "conflict" else ""

    def document(self) -> AnchorCheck:
        """For JSON; the evidence itself is written by `--evidence`."""
        return {
            "name": self.name,
            "kind": self.kind,
            "outside": self.outside,
            "status": self.status,
            "detail": self.detail,
            "newest": self.newest,
            "notes": self.notes,
            "contradictions": len(self.evidence),
        }


def configured(ctx: Context, name: str) -> AnchorConfig:
    """Raises NotFound for a name the settings do not have."""
    for config in ctx.settings.anchors:
        if config.name == name:
            return config
    raise NotFound(f"no anchor is called {name}", hint="anchors are in governor.toml; see docs/anchors.md")


def opened(ctx: Context, config: AnchorConfig, origin: str = "") -> Anchor:
    """For the log under its present name, or under one that it had before it was restored."""
    return open_anchor(
        config,
        origin=origin or ctx.keys.origin(ctx.org),
        home=ctx.settings.home,
        allow_private=ctx.settings.allow_private_endpoints,
        now=ctx.now,
    )


def log_key(ctx: Context) -> VerifierKey:
    with ctx.rows.session() as session:
        return key_history.log_key(session, ctx.org, ctx.keys)


def publish_anchor(ctx: Context, anchor: str) -> str:
    """Publish the newest checkpoint to one anchor; the job `anchor`. What it answered, in words.

    Raises AnchorConflict (after keeping the note, so that signing stops) when the anchor holds a history that the database does not tell.
    """
    config = configured(ctx, anchor)
    with ctx.rows.session() as session:
        newest = ledger.latest_checkpoint(session, ctx.org)
        known = newest is not None and session.get(LedgerAnchor, (ctx.org, anchor, newest.size)) is not None
    if newest is None:
        return "nothing is signed yet"

    def prove(old: int) -> Sequence[bytes]:
        with ctx.rows.session() as session:
            return ledger.consistency(session, ctx.org, old, newest.size)

    try:
        if known or config.kind not in ASKED:
            compared = compare_anchor(ctx, config)
            if compared.status == "conflict":
                raise AnchorConflict(compared.problem)
            if compared.newest >= newest.size and known:
                return f"size {compared.newest} is kept already"
        receipt = opened(ctx, config).publish(newest.note, prove)
    except AnchorConflict:
        compared = compare_anchor(ctx, config)
        if compared.status == "agrees" and compared.newest >= newest.size:
            return f"size {compared.newest} is kept already"  # another process of ours was faster
        raise
    row = LedgerAnchor(
        org_id=ctx.org, anchor=anchor, size=newest.size, root=newest.root, kind=config.kind, detail=receipt.detail, receipt=receipt.body,
        published_at=ctx.now(),
    )  # fmt: skip
    with ctx.rows.session(write=True) as session:
        if session.get(LedgerAnchor, (ctx.org, anchor, newest.size)) is None:
            session.add(row)
    return receipt.detail


def cosigned(ctx: Context, note: str, size: int) -> str:
    """The note with the cosignatures that witnesses gave for it; a stored line that does not verify under the configured key is left out."""
    with ctx.rows.session() as session:
        for config in ctx.settings.anchors:
            row = session.get(LedgerAnchor, (ctx.org, config.name, size)) if config.kind == "witness" else None
            longer = note + (row.receipt.decode("utf-8", "replace") if row is not None else "")
            try:
                if longer != note and any(parse_note(longer).cosigned_at(key) is not None for key in witness_keys(config)):
                    note = longer
            except GovernorError:
                log.warning("what witness %s answered for size %d is not what is stored", config.name, size)
    return note


def publish_all(ctx: Context, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Seal, then publish to every anchor (or those named): {"name", "ok", "detail"}. One that fails keeps no other from being served."""
    chosen = [configured(ctx, name) for name in names] or list(ctx.settings.anchors)
    ctx.seal()
    told: list[dict[str, Any]] = []
    for config in chosen:
        try:
            told.append({"name": config.name, "ok": True, "detail": publish_anchor(ctx, config.name)})
        except GovernorError as error:
            told.append({"name": config.name, "ok": False, "detail": f"{error.message}. {error.hint}".rstrip(". ")})
    return told


def compare_anchor(ctx: Context, config: AnchorConfig) -> Compared:
    """One anchor against the database, note by note."""
    with ctx.rows.session() as session:
        last = ledger.latest_checkpoint(session, ctx.org)
        told = key_history.restores(session, ctx.org, ctx.keys)
        since, ended = told[0][0].idx if told else 0, [one["origin"] for one in told[0][1].payload["ended"]] if told else []
        mine = (LedgerAnchor.org_id == ctx.org, LedgerAnchor.anchor == config.name, col(LedgerAnchor.size) > since)
        published = session.exec(select(func.max(LedgerAnchor.size)).where(*mine)).one()
    about = (config.name, config.kind, config.outside)
    try:
        notes = list(opened(ctx, config).kept(last.note if last is not None else ""))
        before = [note for origin in ended if config.kind != "timestamp" for note in opened(ctx, config, origin).kept("")]
    except AnchorConflict as error:
        return Compared(*about, "conflict", error.message)
    except GovernorError as error:
        return Compared(*about, "unreachable", error.message)
    if not notes and not published and not before:
        return Compared(*about, "empty", "keeps nothing of this log yet")
    with ctx.rows.session() as session:
        compared = _compare(session, ctx, about, [*before, *notes])
    if compared.status != "conflict" and published and compared.newest < published:
        return Compared(
            *about, "conflict", f"no longer keeps the checkpoint of {published} entries that it took", compared.newest, len(notes)
        )
    return compared


def _compare(session: Session, ctx: Context, about: tuple[str, str, bool], notes: Sequence[str]) -> Compared:
    key, newest, wrong = log_key(ctx), 0, list[Disagreement]()
    ours = _ours(session, ctx.org, notes[:-1])
    for place, note in enumerate(notes):
        if note in ours and place < len(notes) - 1:
            continue  # the checkpoint itself is checked against the tree with all others
        found = disagreement(session, ctx.org, key, note)
        if found is None:
            tree = signed_checkpoint(note, key)
            newest = max(newest, tree.size if tree.origin == key.name else 0)
        else:
            wrong.append(found)
    if not wrong:
        return Compared(*about, "agrees", f"{len(notes)} kept, the newest over {newest} entries", newest, len(notes))
    worst = max(wrong, key=lambda one: (one.kind != "foreign", one.evidence is not None, one.size))
    if worst.kind != "foreign":
        remember(ctx, worst.note)
    strongest = {one.kind: one.evidence for one in sorted(wrong, key=lambda one: one.size) if one.evidence is not None}
    evidence = tuple(strongest.values())
    return Compared(*about, "conflict", worst.detail, worst.size, len(notes), evidence)


def _ours(session: Session, org: str, notes: Sequence[str]) -> set[str]:
    """The checkpoints of the database of the sizes that the notes name."""
    sizes = set[int]()
    for note in notes:
        with suppress(GovernorError):  # what is no checkpoint is found by the comparison
            sizes.add(noted_size(note))
    ordered, query = sorted(sizes), select(LedgerCheckpoint.note).where(LedgerCheckpoint.org_id == org)
    some = (ordered[begin : begin + BATCH] for begin in range(0, len(ordered), BATCH))
    return {note for part in some for note in session.exec(query.where(col(LedgerCheckpoint.size).in_(part)))}


def remember(ctx: Context, note: str) -> None:
    """Stop signing: a signed note that the database contradicts becomes the note that the next checkpoint must continue."""
    keep_note(note_file(ctx.settings.home, ctx.org), note)


def compare_all(ctx: Context) -> list[Compared]:
    """Every configured anchor, and the note in the home."""
    found: list[Compared] = []
    try:
        note = kept_note(note_file(ctx.settings.home, ctx.org))  # first: a conflict with an anchor is remembered in this file
    except IntegrityError as error:
        note = ""
        found.append(Compared("home", "home", False, "conflict", error.message))
    if note:
        with ctx.rows.session() as session:
            found.append(_compare(session, ctx, ("home", "home", False), [note]))
    return [*(compare_anchor(ctx, config) for config in ctx.settings.anchors), *found]


def caveat(compared: Sequence[Compared]) -> str:
    """First line of a report: what it cannot see. Empty when an outside anchor was really compared."""
    if any(one.outside and one.status in {"agrees", "conflict"} for one in compared):
        return ""
    outside = [one for one in compared if one.outside]
    if not outside:
        return BLIND
    return UNSEEN.format(why="; ".join(f"{one.name} {one.status}" for one in outside))


def watch_anchors(ctx: Context) -> None:
    """The chore: publish what no job published, and raise the alarm about anchors that are stale or disagree."""
    if not ctx.settings.anchors:
        return
    for told in publish_all(ctx):
        if not told["ok"]:
            log.warning("anchor %s: %s", told["name"], told["detail"])
    for state in anchor_states(ctx):
        if state["state"] == "stale":
            log.error(
                "anchor %s is stale: it lacks %d entries, last published %s",
                state["name"],
                state["behind"],
                state["published_at"] or "never",
            )
