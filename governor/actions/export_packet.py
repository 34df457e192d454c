"""`packet export`: gather what is on record about one decided change and seal it into a packet.

Owns: reading rows into the packet's document, issuing on the ledger, reuse of an earlier issue. Does not own: the packet's bytes (packets/), the report's looks.
Invariants: the same state gives the same bytes, because an issue of the same facts is found again under the same checkpoint, once witnesses answered; people appear
as opaque references unless a recipient is named.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from typing import Final

from sqlmodel import Session, col, select

from governor.actions.context import ISSUERS, Actor, Context
from governor.actions.packet_document import Facts, gather
from governor.actions.rotate_keys import present_issuer
from governor.actions.witnessed import witnessed
from governor.errors import IntegrityError, Refused, Unavailable
from governor.ledger.canonical import sha256_hex
from governor.ledger.entry import Entry, EntryDraft
from governor.ledger.types import change_stream
from governor.packets.assemble import PacketEvent, PacketParts, assemble, statement_envelope
from governor.ports import Renderer
from governor.store import sequencer
from governor.store.rows.ledger import LedgerEntry

ATTEMPTS: Final = 5


def export_packet(ctx: Context, actor: Actor, change_id: str, *, recipient: str = "") -> bytes:
    """The .govpacket bytes.

    Raises NotFound for an unknown change, WrongState while it is undecided, MissingEvidence without evidence, IntegrityError where rows and ledger disagree.
    """
    may_issue(actor)
    wrong = ""
    for _ in range(ATTEMPTS):
        sequencer.settle(ctx.rows)  # what a crash left waiting belongs to the story
        with ctx.rows.session() as session:
            facts = gather(session, ctx.org, change_id, recipient=recipient, log=ctx.keys.origin(ctx.org))
        wrong = facts.problem
        if wrong:  # or somebody acts just now: what is wrong is there when it is looked at again
            continue
        made = _known(ctx, facts) or _issue(ctx, actor, facts)
        if made is not None:
            return _assemble(ctx, *made)
    if wrong:
        raise IntegrityError(f"{change_id}: {wrong}", hint="`governor ledger verify` names what was changed; restore it from a backup")
    raise Refused(f"{change_id} keeps changing while its packet is made", hint="try again")


def may_issue(actor: Actor) -> None:
    """A packet is a document that this company signs, and its issue stands on the ledger: more than reading."""
    if actor.kind == "person":
        actor.require(*ISSUERS)


def _known(ctx: Context, facts: Facts) -> tuple[PacketParts, bytes, int] | None:
    """An issue of the same facts at the end of the stream, if the report still prints the same."""
    for event in reversed(facts.events):
        entry = Entry.parse(event.leaf)
        if entry.type != "packet:issue":
            return None
        before = facts.until(event.idx)
        if entry.payload.get("facts_sha256") == before.digest:
            parts, statement = _state(ctx, before)
            if sha256_hex(statement) == entry.payload["statement_sha256"]:
                return parts, statement, event.idx
    return None


def _issue(ctx: Context, actor: Actor, facts: Facts) -> tuple[PacketParts, bytes, int] | None:
    """Record a new issue right behind the events it covers; None when another entry came between."""
    parts, statement = _state(ctx, facts)
    digest = sha256_hex(statement)
    payload = {"change": facts.change_id, "statement_sha256": digest, "facts_sha256": facts.digest, "events": len(facts.events)}
    draft = EntryDraft(
        type="packet:issue",
        stream=change_stream(facts.change_id),
        payload=payload,
        actor=actor.ledger_ref(),
        idem=f"packet:issue:{facts.change_id}:{digest}",
        occurred_at=ctx.now(),
        personal={"recipient": facts.recipient} if facts.recipient else {},
    )
    try:
        with ctx.transaction(actor) as tx:
            row = tx.append(draft)
            if row.stream_seq != len(facts.events) + 1:
                raise _OvertakenError
            if json.loads(statement)["signatures"][0]["keyid"] != present_issuer(tx.session, ctx):
                raise Refused("the issuer key is being replaced", hint="finish it with `governor keys rotate issuer`, then try again")
    except _OvertakenError:
        return None
    return parts, statement, row.idx


class _OvertakenError(Exception):
    """Rolls the issue back: the stream grew while the report was printed."""


def _state(ctx: Context, facts: Facts) -> tuple[PacketParts, bytes]:
    document = facts.document
    printed = {**document, **facts.display, "issuer": ctx.keys.issuer_name(ctx.org)}
    parts = PacketParts(document, facts.log, facts.events, facts.evidence, renderer("packet_pdf")(printed))
    return parts, statement_envelope(parts, ctx.keys.issuer_signer())


def _assemble(ctx: Context, parts: PacketParts, statement: bytes, issue_idx: int) -> bytes:
    checkpoint = witnessed(ctx, issue_idx)
    with ctx.rows.session() as session:
        rows = {row.idx: row for row in _rows(session, ctx.org, [*(event.idx for event in parts.events), issue_idx])}
        events = [
            PacketEvent(event.idx, rows[event.idx].leaf, checkpoint.proof(session, ctx.org, event.idx), event.disclosures)
            for event in parts.events
        ]
        issue = PacketEvent(issue_idx, rows[issue_idx].leaf, checkpoint.proof(session, ctx.org, issue_idx))
    proven = PacketParts(parts.document, parts.log, events, parts.evidence, parts.report)
    signer = ctx.keys.issuer_signer()
    return assemble(proven, statement, issue, issuer_name=ctx.keys.issuer_name(ctx.org), issuer=signer)


def _rows(session: Session, org: str, indices: Sequence[int]) -> Sequence[LedgerEntry]:
    return session.exec(select(LedgerEntry).where(LedgerEntry.org_id == org, col(LedgerEntry.idx).in_(indices))).all()


def renderer(name: str) -> Renderer:
    """The printing press installed under this name. Raises Unavailable when the installation lacks it."""
    found = importlib.metadata.entry_points(group="governor.renderers", name=name)
    for point in found:
        loaded: Renderer = point.load()
        return loaded
    raise Unavailable(f"no renderer {name!r} is installed", hint="reinstall workflow-model-governor")
