"""`ledger restore`: after a database came back older than what was signed, a person decides to go on, as a new incarnation of the log.

Owns: what was lost and who proves it, the decision on record, the order of steps. Does not own: the key chain that tells it later (key_history.py).
Invariants: nothing goes on without an admin who saw exactly this loss; the new incarnation has a name and keys of its own, so that the old name never
signs two histories; notes of what was lost are kept as evidence; every step may be repeated after a crash.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from sqlmodel import Session, col, select

from governor.actions.anchors import opened
from governor.actions.context import Actor, Context
from governor.actions.key_history import FAR, INCARNATIONS, RESTORE, SECOND, HeldKey, key_chain, log_key, restores, restoring
from governor.errors import AnchorConflict, GovernorError, IntegrityError, Invalid, Refused
from governor.ledger.anchor import as_block, signed_checkpoint
from governor.ledger.canonical import digest, sha256_hex
from governor.ledger.checkpoint import Checkpoint
from governor.ledger.entry import Entry, EntryDraft
from governor.ledger.note import Ended, VerifierKey, parse_note
from governor.ports import Signer
from governor.store import ledger, sequencer
from governor.store.kept import disagreement, keep_note, kept_note, note_file
from governor.store.ledger import Appended
from governor.store.rows.ledger import LedgerCheckpoint
from governor.store.sequencer import tree_size
from governor.store.transaction import Transaction

MOST_REASON: Final = 500
MOST_NOTES: Final = 200
CONFIRM: Final = 16


@dataclass
class Told:
    """One signed note from outside: where it is kept, what it says."""

    place: str
    tree: Checkpoint
    note: str


@dataclass
class Loss:
    """What going on would give up. `ended`: every name the log had, up to where its history is this one; `confirm`: digest of all of it."""

    head: Checkpoint
    old_head: Checkpoint
    begin: int
    size: int
    next_origin: str
    ended: list[Ended]
    earlier: list[HeldKey]
    told: list[Told] = field(repr=False)

    @property
    def proven_by(self) -> list[str]:
        return sorted({one.place for one in self.told if one.tree == self.old_head})

    @property
    def facts(self) -> dict[str, Any]:
        """As it stands in the entry."""
        return {
            "incarnation": self.next_origin,
            "old_head": _tree(self.old_head),
            "restored_head": _tree(self.head),
            "lost": {"from": self.begin, "to": self.old_head.size, "proven_by": self.proven_by},
            "unsigned": {"from": self.head.size, "to": self.size},
        }

    @property
    def confirm(self) -> str:
        return digest(self.facts)[:CONFIRM]

    @property
    def document(self) -> dict[str, Any]:
        notes = [{"place": one.place, **_tree(one.tree)} for one in self.told]
        return {**self.facts, "notes": notes, "confirm": self.confirm}


def preview_restore(ctx: Context) -> Loss:
    """What the anchors and the home prove to have existed and the database no longer tells. Raises Refused where nothing is missing."""
    sequencer.settle(ctx.rows)  # an entry that waits is one of those that the database holds
    with ctx.rows.session() as session:
        key, chain = _believed(session, ctx)
        newest = ledger.latest_checkpoint(session, ctx.org)
        if newest is None:
            raise Refused("the database holds no checkpoint to go on from", hint="restore a backup that holds one, or begin a new home")
        head, size = signed_checkpoint(newest.note, key), tree_size(session, ctx.org)
        if (
            (head.size, head.root) != (newest.size, newest.root)
            or size < head.size
            or ledger.root_at(session, ctx.org, head.size) != head.root
        ):
            raise IntegrityError("the database does not hold what its own newest checkpoint says", hint="restore a backup that is whole")
    told, wrong = list(_notes(ctx, key, newest.note)), list[Told]()
    agreed: dict[str, int] = {}
    with ctx.rows.session() as session:
        for one in told:
            if disagreement(session, ctx.org, key, one.note) is not None:
                wrong.append(one)
            else:
                agreed[one.tree.origin] = max(agreed.get(one.tree.origin, 0), one.tree.size)
        if not wrong:
            raise Refused("the database continues every note that is kept: nothing is lost", hint="`governor ledger verify` says how it is")
        ended = [_end(session, ctx, key, origin, wrong, agreed, head) for origin in (key.name, *(one.origin for one in key.ended))]
    old = max(wrong, key=lambda one: (one.tree.origin == ended[0].origin, one.tree.size)).tree
    number = ctx.keys.incarnation(ctx.org) + 1
    last = {one.origin: one.lost for one in ended}
    to_the_end = {(one.origin, one.lost) for one in key.ended}
    earlier = [
        _until(one, last.get(one.name, old.size)) if one.last is None or (one.name, one.last) in to_the_end else one for one in chain
    ]
    missing = sorted(wrong, key=lambda one: -one.tree.size)[:MOST_NOTES]
    begin = max(one.agreed for one in ended)
    return Loss(head, old, begin, size, ctx.keys.origin_of(ctx.org, number), ended, earlier, missing)


def restore_ledger(ctx: Context, actor: Actor, *, reason: str, confirm: str, address: str = "") -> dict[str, Any]:
    """Go on from what the database holds. `confirm`: as the preview showed it. A decision whose process died is finished by asking again."""
    actor.require("admin")
    reason = reason.strip()
    if not 1 <= len(reason) <= MOST_REASON:
        raise Invalid(f"reason: 1 to {MOST_REASON} characters are needed", hint="say what happened and who may be asked; no personal data")
    if len(ctx.keys.organizations()) > 1:
        raise Refused("this home signs for several organizations with one log key", hint="give the organization a home of its own first")
    begun = _begun(ctx)
    if begun is None:
        found = preview_restore(ctx)
        if confirm != found.confirm:
            raise Refused("this is not what would be lost now", hint="look at the preview again and confirm with the digest it shows")
        begun = _decide(ctx, actor, found, reason, address)
    _take_over(ctx, begun)
    ctx.seal()
    told = incarnations(ctx)
    return {"entry": begun.idx, **told[0]}


class LogHead(TypedDict):
    origin: str
    size: int
    root: str


EntrySpan = TypedDict("EntrySpan", {"from": int, "to": int})
LostSpan = TypedDict("LostSpan", {"from": int, "to": int, "proven_by": list[str]})
IncarnationRow = TypedDict(
    "IncarnationRow",
    {
        "origin": str,
        "from": int,
        "entry": int | None,
        "decided_at": str | None,
        "reason": str | None,
        "lost": LostSpan | None,
        "old_head": LogHead | None,
        "restored_head": LogHead | None,
        "unsigned": EntrySpan | None,
    },
)


def incarnations(ctx: Context) -> list[IncarnationRow]:
    """Every name the log had, newest first; one alone where nothing was ever restored."""
    with ctx.rows.session() as session:
        found: list[Any] = []
        for row, entry in restores(session, ctx.org, ctx.keys):
            said = entry.payload
            about = {name: said[name] for name in ("reason", "lost", "old_head", "restored_head", "unsigned")}
            found.append({"origin": said["origin"], "from": row.idx, "entry": row.idx, "decided_at": row.recorded_at.isoformat(), **about})
    first = {"origin": ctx.keys.origin_of(ctx.org, 1), "from": 0, "entry": None, "decided_at": None}
    return [*found, {**first, "reason": None, "lost": None, "old_head": None, "restored_head": None, "unsigned": None}]


def _believed(session: Session, ctx: Context) -> tuple[VerifierKey, list[HeldKey]]:
    """The log's key with all before it, also those that only the home remembers because the database lost their replacement."""
    key, chain = log_key(session, ctx.org, ctx.keys), key_chain(session, ctx.org, ctx.keys, "log", revoked=False)
    known, rows = {one.public_key for one in chain}, list(_checkpoints(session, ctx.org))
    ended = list(key.ended)
    for public in ctx.keys.past("log"):
        for size, note in rows if public not in known else []:
            one = VerifierKey(note.text.split("\n", 1)[0], 1, public)
            if note.signed_by(one):
                chain.append(HeldKey("log", sha256_hex(public), public, "retired", name=one.name))
                if one.name != key.name and one.name not in {name.origin for name in ended}:
                    ended.append(Ended(one.name, size, 0))
                break
    forgotten = tuple((one.verifier, FAR) for one in chain[1:] if one.last is None)
    return VerifierKey(key.name, 1, key.public_key, (*key.earlier, *forgotten), tuple(ended)), chain


def _checkpoints(session: Session, org: str) -> Iterator[tuple[int, Any]]:
    rows = select(LedgerCheckpoint).where(LedgerCheckpoint.org_id == org).order_by(col(LedgerCheckpoint.size).desc()).limit(1000)
    return ((row.size, parse_note(row.note)) for row in session.exec(rows))


def _notes(ctx: Context, key: VerifierKey, newest: str) -> Iterator[Told]:
    """Every note of every name of this log that the home or an anchor keeps. Raises Unavailable where an anchor does not answer."""
    found = [("home", note) for note in [kept_note(note_file(ctx.settings.home, ctx.org))] if note]
    for config in ctx.settings.anchors:
        if config.kind == "timestamp":
            continue
        for origin in (key.name, *(one.origin for one in key.ended)):
            try:
                found += [(config.name, note) for note in opened(ctx, config, origin).kept(newest if origin == key.name else "")]
            except AnchorConflict:
                continue  # it holds more than it shows: what the others show is what can be named
            except GovernorError as error:
                error.hint = (
                    error.hint or "what it keeps must be seen before anything is given up: reach it, or take it out of governor.toml"
                )
                raise
    for place, note in found:
        try:
            yield Told(place, signed_checkpoint(note, key), note)
        except GovernorError:
            continue  # a stranger's note says nothing about this log


def _end(
    session: Session, ctx: Context, key: VerifierKey, origin: str, wrong: list[Told], agreed: dict[str, int], head: Checkpoint
) -> Ended:
    """How far one name's history is this one, and how far it was signed."""
    sizes, before = [one.tree.size for one in wrong if one.tree.origin == origin], key.incarnation(origin)
    own = [size for size, note in _checkpoints(session, ctx.org) if note.text.split("\n", 1)[0] == origin]
    lost = max([*sizes, *own, agreed.get(origin, 0), before.lost if before else 0])
    shared = [size for size in own if not sizes or size < min(sizes)]
    share = max([*shared, *([agreed[origin]] if origin in agreed and before is None else [])], default=0)
    return Ended(origin, min(share, head.size, before.agreed if before and before.lost else share), lost)


def _until(key: HeldKey, last: int) -> HeldKey:
    return HeldKey(key.role, key.key_id, key.public_key, "retired", key.first, last, name=key.name)


def _tree(tree: Checkpoint) -> dict[str, Any]:
    return {"origin": tree.origin, "size": tree.size, "root": tree.root.hex()}


def _key(one: HeldKey) -> dict[str, Any]:
    return {"origin": one.name, "public_key": base64.b64encode(one.public_key).decode(), "first": one.first, "last": one.last}


def _decide(ctx: Context, actor: Actor, found: Loss, reason: str, address: str) -> Appended:
    """The entry, written although nothing else may be. It names the new keys and everything they take over."""
    body = "".join(as_block(one.note) for one in found.told).encode()
    name = f"lost-{found.next_origin.replace('/', '%2F')}.checkpoints"
    keep_note(ctx.settings.home / "anchors" / name, body.decode())
    old, new = ctx.keys.log_signer(), ctx.keys.make_successor("log", address)
    payload: dict[str, Any] = {
        **found.facts,
        "origin": found.next_origin,
        "reason": reason,
        "key_id": new.key_id,
        "public_key": base64.b64encode(new.public_key).decode(),
        "previous": old.key_id,
        "earlier": [_key(one) for one in found.earlier],
        "ended": [{"origin": one.origin, "agreed": one.agreed, "lost": one.lost} for one in found.ended],
    }
    if ctx.keys.has(SECOND):
        before, second = ctx.keys.mldsa_signer(), ctx.keys.make_successor(SECOND)
        payload |= {"second_key_id": second.key_id, "second_public_key": base64.b64encode(second.public_key).decode()}
        payload |= {"second_previous_public_key": base64.b64encode(before.public_key).decode()}
    payload["vouched"] = base64.b64encode(new.sign(restoring(payload))).decode()
    evidence = [{"name": "lost.checkpoints", "sha256": sha256_hex(body), "size": len(body), "media_type": "text/plain"}]
    draft = EntryDraft(RESTORE, INCARNATIONS, payload, actor.ledger_ref(), f"{RESTORE}:{new.key_id}", ctx.now(), evidence=evidence)
    with ctx.rows.session(write=True) as session:
        sequencer.alone(session, ctx.org)
        newest = ledger.latest_checkpoint(session, ctx.org)
        if newest is None or (newest.size, tree_size(session, ctx.org)) != (found.head.size, found.size):
            raise Refused("the database changed meanwhile", hint="look at the preview again")
        tx = Transaction(session, org=ctx.org, now=ctx.now(), producer=ctx.keys.producer_signer())
        return tx.append(draft)


def _begun(ctx: Context) -> Appended | None:
    """A decision on record whose keys have not taken over yet."""
    coming: Signer | None = ctx.keys.successor("log")
    with ctx.rows.session() as session:
        rows = ledger.entries(session, ctx.org, stream=INCARNATIONS, limit=1000) if coming is not None else []
        told = (row for row in reversed(rows) if coming and Entry.parse(row.leaf).payload.get("key_id") == coming.key_id)
        return next((Appended(**row.model_dump()) for row in told), None)


def _take_over(ctx: Context, decided: Appended) -> None:
    """The name before the keys: an old key under the new name is refused by everything, a new key under the old name would not be."""
    origin = str(Entry.parse(decided.leaf).payload["origin"])
    with ctx.rows.session(write=True) as session:
        sequencer.alone(session, ctx.org)
        number = ctx.keys.incarnation(ctx.org)
        if ctx.keys.origin_of(ctx.org, number) != origin:
            ctx.keys.begin_incarnation(ctx.org, number + 1)
        if ctx.keys.has(SECOND):
            ctx.keys.adopt(SECOND)
        ctx.keys.adopt("log")
