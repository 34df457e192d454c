"""`change:review`: evidence is there, policy says who must approve; and again whenever a bound part changes.

Owns: the step from shadowing to review, voiding what went stale. Does not own: the run (replay), decisions (decide.py).
Invariants: no approval is accepted on a digest that has no review entry; a change that was approved goes back to review when its digest moves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, select

from governor.actions.assess import Assessment, assess, find_change
from governor.actions.context import SYSTEM, Context
from governor.actions.evidence_files import ended_idem
from governor.actions.review_queue import REVIEWABLE
from governor.changes import State, move
from governor.evidence import EvidenceItem
from governor.ledger.canonical import canonical_json
from governor.ledger.entry import EntryDraft
from governor.ledger.types import change_stream
from governor.store.rows.changes import Change, ShadowRun
from governor.store.rows.ledger import LedgerEntry
from governor.store.transaction import Transaction


def complete_shadow(ctx: Context, tx: Transaction, change: Change, run: ShadowRun, files: Sequence[EvidenceItem]) -> None:
    """Called in the transaction that ends a run, after run and evidence files are written: appends `change:shadow` and moves the change.

    A run that is done leads to review; any other end (budget, policy, invalid baseline) back to draft. Call `ensure_review` after the commit.
    """
    done = run.status == "done"
    tx.session.add(run)
    tx.session.flush()
    tx.append(
        EntryDraft(
            type="change:shadow",
            stream=change_stream(change.id),
            payload={
                "change": change.id,
                "run": run.id,
                "status": run.status,
                "author": run.author,
                "verdict": str(json.loads(run.verdict)["verdict"]) if done else "",
                "plan_digest": run.plan_digest,
                "spent_pico": str(run.spent_pico),
            },
            actor=SYSTEM.ledger_ref(),
            idem=ended_idem(run),
            occurred_at=tx.now,
            evidence=[item.reference() for item in sorted(files, key=lambda item: item.name)] if done else [],
        )
    )
    change.state = move(change.state, State.IN_REVIEW if done else State.DRAFT)
    change.updated_at = tx.now
    if done:  # fresh evidence is undecided, whatever was decided on what expired
        change.submitted_at, change.decided_at = tx.now, None
    note_assessment(change, assess(ctx, tx.session, change, tx.now))  # after the entry, which says what the evidence is
    tx.session.add(change)


def ensure_review(ctx: Context, change_id: str) -> bool:
    """Put the current digest before the deciders, if it is not yet. True when something was written; safe to call at any time."""
    with ctx.rows.session() as session:
        change = find_change(session, ctx.org, change_id)
        if State(change.state) not in REVIEWABLE or is_reviewed(session, ctx.org, assess(ctx, session, change, ctx.now())):
            return False
    with ctx.transaction(SYSTEM) as tx:
        change = find_change(tx.session, ctx.org, change_id, lock=True)
        found = assess(ctx, tx.session, change, tx.now)
        if State(change.state) not in REVIEWABLE or is_reviewed(tx.session, ctx.org, found):
            return False
        at = tx.now
        if found.stale:  # behind every decision there is, also one by a clock that is ahead: what was decided before is void
            change.submitted_at = at = max([at, *(vote.decided_at + timedelta(microseconds=1) for vote in found.approvals)])
            if change.state == State.APPROVED:
                change.state, change.decided_at = move(change.state, State.IN_REVIEW), None
        note_assessment(change, found)
        change.updated_at = tx.now
        tx.session.add(change)
        tx.append(review_entry(ctx, found, at))
    return True


def note_assessment(change: Change, found: Assessment) -> None:
    change.digest = found.binding.digest
    change.needs = canonical_json(found.needs()).decode()


def is_reviewed(session: Session, org: str, found: Assessment) -> bool:
    if found.stale:
        return False
    query = select(LedgerEntry.id).where(LedgerEntry.org_id == org, LedgerEntry.idem == review_idem(found))
    return session.exec(query).first() is not None


def review_idem(found: Assessment) -> str:
    return f"change:review:{found.change.id}:{found.binding.digest}{found.again}"


def review_entry(ctx: Context, found: Assessment, now: datetime) -> EntryDraft:
    decision = found.decision
    violations: list[dict[str, Any]] = [
        {"rule": violation.rule, "severity": violation.severity, "message": violation.message} for violation in decision.violations
    ]
    return EntryDraft(
        type="change:review",
        stream=change_stream(found.change.id),
        payload={
            "change": found.change.id,
            "digest": found.binding.digest,
            "needs": [{"role": need.role, "reason": need.reason, **need.asked} for need in decision.needs],
            "violations": violations,
            "verdict": str(found.verdict.get("verdict", "")),
            "parts": {
                "workflow": found.binding.workflow,
                "plan": found.binding.plan,
                "sample": found.binding.sample,
                "evidence": found.binding.evidence,
                "price_book": found.binding.price_book,
            },
        },
        actor=SYSTEM.ledger_ref(),
        idem=review_idem(found),
        occurred_at=now,
        evidence=[item.reference() for item in found.files],
        policy={
            "bundle_sha256": ctx.bundle.revision,
            "decision_id": f"{found.change.id}:{found.binding.digest}",
            "result": "allow" if decision.allow else "deny",
        },
    )
