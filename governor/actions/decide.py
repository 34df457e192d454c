"""`change:approve` and `change:reject`: a person decides on exactly what was shown.

Owns: the checks at decision time, recording a decision. Does not own: the rules of who may (governor.changes), who is needed (policy).
Invariants: everything is recomputed when the decision arrives; a refused decision leaves no approval behind; one decision is one ledger entry.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, TypedDict

from governor.actions.assess import assess, find_change
from governor.actions.context import Actor, Context
from governor.actions.expire import expire_change
from governor.actions.passkeys import finish_decision
from governor.actions.review import ensure_review
from governor.changes import NEXT, Docket, Person, State, Vote, may_decide, move, of_change
from governor.errors import ExpiredApproval, Forbidden, Invalid, PasskeyNeeded, PolicyRefused, Unauthenticated
from governor.ledger.canonical import timestamp
from governor.ledger.entry import EntryDraft
from governor.ledger.types import change_stream
from governor.packets.passkey import PASSKEY
from governor.store.rows.changes import Approval


class DecidedChange(TypedDict):
    """open: roles that are still needed; expires_at: of an approval."""

    id: str
    state: str
    decision: str
    role: str
    digest: str
    open: list[str]
    expires_at: str | None


def approve(ctx: Context, actor: Actor, change_id: str, *, digest: str, reason: str, role: str = "", assertion: str = "") -> DecidedChange:
    """{"id","state","role","digest","open","expires_at"}. `role` chooses among several needed roles the person holds.

    `assertion`: what the person's device answered (passkeys.py); without it the decision counts, and is marked as the weaker kind.
    """
    return decide(ctx, actor, change_id, digest=digest, reason=reason, decision="approve", role=role, assertion=assertion)


def reject(ctx: Context, actor: Actor, change_id: str, *, digest: str, reason: str, role: str = "", assertion: str = "") -> DecidedChange:
    """One rejection by a needed role ends the change."""
    return decide(ctx, actor, change_id, digest=digest, reason=reason, decision="reject", role=role, assertion=assertion)


def decide(
    ctx: Context, actor: Actor, change_id: str, *, digest: str, reason: str, decision: str, role: str, assertion: str = ""
) -> DecidedChange:
    person = decider(actor)
    if not reason.strip():
        raise Invalid("a decision needs a reason", hint="say why; the reason goes on record")
    ensure_review(ctx, change_id)
    digest, signed = digest.strip().lower(), None
    if assertion:
        signed = finish_decision(ctx, actor, assertion)
        asked = signed["record"]
        if (asked["change"], asked["digest"], asked["decision"]) != (change_id, digest, decision) or role not in {"", asked["role"]}:
            raise Forbidden("the passkey signed another decision", hint="reload the page and try again")
        actor, role = replace(actor, auth=PASSKEY), asked["role"]
    try:
        return record(ctx, actor, person, change_id, digest=digest, reason=reason.strip(), decision=decision, role=role, signed=signed)
    except ExpiredApproval:
        expire_change(ctx, change_id)
        raise


def decider(actor: Actor) -> Person:
    """Only people decide, and only with a token or session that acts for all of the person."""
    if actor.kind != "person":
        raise Unauthenticated("only a person can decide on a change")
    if "api" not in actor.scopes:
        raise Forbidden("this token lacks scope api", hint="make one with `governor token create EMAIL --scope api`")
    return Person(actor.id, actor.email, actor.roles)


def record(
    ctx: Context,
    actor: Actor,
    person: Person,
    change_id: str,
    *,
    digest: str,
    reason: str,
    decision: str,
    role: str,
    signed: dict[str, Any] | None = None,
) -> DecidedChange:
    with ctx.transaction(actor) as tx:
        change = find_change(tx.session, ctx.org, change_id, lock=True)
        found = assess(ctx, tx.session, change, tx.now)
        at = max(tx.now, change.submitted_at or tx.now)  # the clock that put it before its deciders may be ahead of this one
        answered = may_decide(person, found.docket, digest=digest, decision=decision, now=tx.now, role=role)
        approving = decision == "approve"
        if approving and not found.decision.allow:
            hint = of_change(NEXT[State.EXPIRED], change.id) if found.outlived(tx.now) else "reject it, or propose another candidate"
            problems = [violation.message for violation in found.decision.violations] or ["policy is undecided"]
            raise PolicyRefused(f"policy does not allow {change.id}: {'; '.join(problems)}", hint=hint)
        if approving and signed is None and any(need.role == answered and need.strength for need in found.decision.needs):
            raise PasskeyNeeded(f"policy asks that {answered} approves {change.id} with a passkey; this is a weaker sign-in ({actor.auth})")
        lasts = tx.now + timedelta(days=ctx.settings.approval_days)  # and never longer than what it was given on
        expires = min(lasts, found.evidence_until or lasts) if approving else None
        vote = Vote(person.id, answered, decision, digest, expires)
        after = with_vote(found.docket, vote)
        if not approving:
            change.state = move(change.state, State.REJECTED)
        elif after.approved(tx.now):
            change.state = move(change.state, State.APPROVED)
        if change.state != State.IN_REVIEW:
            change.decided_at = tx.now
        change.updated_at = tx.now
        tx.session.add(change)
        tx.session.add(
            Approval(
                org_id=ctx.org,
                change_id=change.id,
                person_id=person.id,
                person_email=person.email,
                role=answered,
                decision=decision,
                digest=digest,
                reason=reason,
                decided_at=at,
                expires_at=expires,
                auth=actor.auth,
            )
        )
        payload: dict[str, Any] = {"change": change.id, "digest": digest, "role": answered, "state": str(change.state)}
        if expires is not None:
            payload["expires_at"] = timestamp(expires)
        if signed is not None:
            payload[PASSKEY] = signed
        tx.append(
            EntryDraft(
                type=f"change:{decision}",
                stream=change_stream(change.id),
                payload=payload,
                actor=actor.ledger_ref(),
                idem=f"change:{decision}:{change.id}:{digest}:{person.id}{found.again}",
                occurred_at=at,
                personal={"reason": reason},
            )
        )
    return {
        "id": change.id,
        "state": str(change.state),
        "decision": decision,
        "role": answered,
        "digest": digest,
        "open": after.open_roles(ctx.now()) if approving else [],
        "expires_at": expires.isoformat() if expires else None,
    }


def with_vote(docket: Docket, vote: Vote) -> Docket:
    return replace(docket, votes=(*docket.votes, vote))
