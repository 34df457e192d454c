"""`prices:propose`, `prices:approve`, `prices:reject`: a list of prices waits for a person of finance, who decides on the difference it makes.

Owns: proposals and their decision. Does not own: what a difference is (prices/difference), how a version is stored (import_prices.py).
Invariants: nothing is priced by a proposal; who approves names the digest of the difference they saw, and where the book has moved on since it is refused;
a decided proposal keeps the difference that was decided on; the same open list is proposed once.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, TypedDict

from sqlmodel import Session, col, func, select

from governor.actions.apply import lock_catalog
from governor.actions.context import Actor, Context
from governor.actions.import_prices import called_models, check_seed, list_rows, record, seed_document
from governor.actions.proposed_seed import body_of, brought_by, seed_of_proposal
from governor.errors import Invalid, NotFound, Refused, StaleApproval
from governor.ledger.canonical import timestamp
from governor.ledger.entry import EntryDraft
from governor.prices.difference import Difference, difference
from governor.prices.seed import Seed
from governor.store.rows.prices import PriceProposal
from governor.store.transaction import Transaction

PROPOSERS: Final = ("finance", "admin")
APPROVERS: Final = ("finance",)
KEPT: Final = 500  # changes of a decided difference that stay readable; its digest is over all of them


def propose_prices(ctx: Context, actor: Actor, seed: Seed, *, evidence: bytes | None = None) -> dict[str, Any]:
    """Record `seed` as a proposal. Returns {"proposal", "state", "source", "source_version", "digest", "rows", difference counts, "difference_digest", "notes"}.

    "proposal" is null where the list would change nothing. Raises Invalid for an empty or contradictory set, Forbidden or Unauthenticated for anybody but
    finance, admin or the operator of an embedded home.
    """
    if actor.kind != "system" and not (actor.kind == "operator" and ctx.settings.embedded):
        actor.require(*PROPOSERS)
    check_seed(seed)
    called = called_models(ctx)
    with ctx.transaction(actor) as tx:
        lock_catalog(tx.session, ctx.org)  # numbers and differences are made of what stands: one at a time
        found = difference(list_rows(tx.session, ctx.org, None), seed.rows, called, seed.withdraw, brought_by(tx.session, ctx.org, seed))
        said: dict[str, Any] = {"proposal": None, "state": None, "version": None, "stored": 0, "difference_digest": digest_of(found)}
        said = seed_document(seed, found) | said
        if not found.added and not found.changed:
            return said
        row = _open_one(tx.session, ctx.org, seed.digest)
        if row is None:
            row = PriceProposal(
                org_id=ctx.org,
                id=_next_id(tx.session, ctx.org),
                source=seed.source,
                source_version=seed.source_version,
                digest=seed.digest,
                evidence_sha256=seed.digest if evidence is None else hashlib.sha256(evidence).hexdigest(),
                rows=len(seed.rows),
                body=body_of(seed),
                notes=json.dumps(list(seed.notes)),
                proposed_at=tx.now,
                proposed_by=actor.id,
            )
            tx.session.add(row)
            _write(ctx, tx, actor, "propose", row, {"source": row.source, "source_version": row.source_version, "rows": row.rows})
        return said | {"proposal": row.id, "state": row.state}


def decide_proposal(
    ctx: Context, actor: Actor, proposal_id: str, *, approve: bool, difference_digest: str = "", reason: str = ""
) -> dict[str, Any]:
    """Approve (a version is recorded) or reject. Returns {"proposal", "state", "version", "stored", "difference_digest"}.

    Raises StaleApproval when `difference_digest` is given and the difference is another one now, Refused when it was decided before, Invalid when a
    rejection has no reason.
    """
    actor.require(*APPROVERS)
    if not approve and not reason.strip():
        raise Invalid("say why the prices are rejected", hint="say why; the reason goes on record")
    called = called_models(ctx)
    with ctx.transaction(actor) as tx:
        lock_catalog(tx.session, ctx.org)
        row = _get(tx.session, ctx.org, proposal_id)
        if row.state != "proposed":
            raise Refused(f"{row.id} was {row.state} already")
        seed = seed_of_proposal(row)
        found = difference(list_rows(tx.session, ctx.org, None), seed.rows, called, seed.withdraw, brought_by(tx.session, ctx.org, seed))
        now = digest_of(found)
        if approve and difference_digest and difference_digest != now:
            raise StaleApproval(f"the book has changed since {row.id} was shown", hint=f"look at `governor prices proposal {row.id}` again")
        row.state, row.decided_at, row.decided_by = ("approved" if approve else "rejected"), tx.now, actor.id
        row.reason, row.difference = reason.strip()[:2000], json.dumps(found.document(KEPT))
        said: dict[str, Any] = {"proposal": row.id, "state": row.state, "version": None, "stored": 0, "difference_digest": now}
        if approve:
            approved = {"proposal": row.id, "evidence_sha256": row.evidence_sha256, "difference": now, "reason": row.reason}
            said |= record(ctx, tx, actor, seed, found, approved=approved)
            row.version_id = str(said["version"])
        else:
            _write(ctx, tx, actor, "reject", row, {"reason": row.reason})
        tx.session.add(row)
    return said


def list_proposals(ctx: Context, *, state: str = "", limit: int | None = 100) -> list[ProposalRow]:
    """Newest first, without their differences."""
    with ctx.rows.session() as session:
        query = select(PriceProposal).where(PriceProposal.org_id == ctx.org)
        if state:
            query = query.where(PriceProposal.state == state)
        return [
            _facts(row)
            for row in session.exec(query.order_by(col(PriceProposal.proposed_at).desc(), col(PriceProposal.id).desc()).limit(limit))
        ]


def show_proposal(ctx: Context, proposal_id: str, *, limit: int = KEPT) -> dict[str, Any]:
    """Facts and the difference: of an open proposal as it would be now, of a decided one as it was decided on. Raises NotFound."""
    called = called_models(ctx)
    with ctx.rows.session() as session:
        row = _get(session, ctx.org, proposal_id)
        seed = seed_of_proposal(row)
        facts = _facts(row) | {"notes": list(seed.notes), "withdrawn_from": None if seed.withdraw is None else seed.withdrawn_from}
        if row.state != "proposed":
            return facts | {"difference": json.loads(row.difference), "difference_digest": None}
        found = difference(list_rows(session, ctx.org, None), seed.rows, called, seed.withdraw, brought_by(session, ctx.org, seed))
    return facts | {"difference": found.document(limit), "difference_digest": digest_of(found)}


def digest_of(found: Difference) -> str:
    """Hex SHA-256 over everything the difference says."""
    return hashlib.sha256(json.dumps(found.document(10**9), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class ProposalRow(TypedDict):
    """version: of the price book that an approval made."""

    proposal: str
    state: str
    source: str
    source_version: str
    digest: str
    evidence_sha256: str
    rows: int
    proposed_at: str
    proposed_by: str
    decided_at: str | None
    decided_by: str | None
    reason: str
    version: str | None


def _facts(row: PriceProposal) -> ProposalRow:
    return {
        "proposal": row.id,
        "state": row.state,
        "source": row.source,
        "source_version": row.source_version,
        "digest": row.digest,
        "evidence_sha256": row.evidence_sha256,
        "rows": row.rows,
        "proposed_at": timestamp(row.proposed_at),
        "proposed_by": row.proposed_by,
        "decided_at": timestamp(row.decided_at) if row.decided_at else None,
        "decided_by": row.decided_by or None,
        "reason": row.reason,
        "version": row.version_id or None,
    }


def _get(session: Session, org: str, proposal_id: str) -> PriceProposal:
    row = session.get(PriceProposal, (org, proposal_id.strip().upper()))
    if row is None:
        raise NotFound(f"no price proposal {proposal_id[:40]}", hint="`governor prices proposals` lists them")
    return row


def _open_one(session: Session, org: str, digest: str) -> PriceProposal | None:
    query = select(PriceProposal).where(PriceProposal.org_id == org, PriceProposal.digest == digest, PriceProposal.state == "proposed")
    return session.exec(query).first()


def _next_id(session: Session, org: str) -> str:
    return f"PP-{session.exec(select(func.count()).select_from(PriceProposal).where(PriceProposal.org_id == org)).one() + 1}"


def _write(ctx: Context, tx: Transaction, actor: Actor, verb: str, row: PriceProposal, more: dict[str, Any]) -> None:
    tx.append(
        EntryDraft(
            type=f"prices:{verb}",
            stream=f"prices/{ctx.org}",
            payload={"proposal": row.id, "digest": row.digest, "evidence_sha256": row.evidence_sha256} | more,
            actor=actor.ledger_ref(),
            idem=f"prices:{verb}:{row.id}",
            occurred_at=tx.now,
        )
    )
