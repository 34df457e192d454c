"""What waits for a person, and what waits for others, with the reason.

Owns: the order and the sorting into waiting, watching, attention. Does not own: who may decide (governor.changes, asked through show_change.py).
Invariants: reads only; something I cannot act on says why and who can; the quick count looks at stored rows and asks no policy.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlmodel import col, or_, select

from governor.actions.assess import since_review
from governor.actions.context import Actor, Context
from governor.actions.load_catalog import catalog_as_of
from governor.actions.show_change import list_changes, show_change
from governor.catalog import ends
from governor.changes import State
from governor.store.rows.changes import Approval, Change, ShadowRun
from governor.store.rows.periods import Period
from governor.store.rows.reviews import ReviewLabel

OPEN: Final = (State.IN_REVIEW, State.SHADOWING, State.DRAFT, State.APPROVED)
SOON: Final = timedelta(days=45)
MOST: Final = 100


def inbox(ctx: Context, actor: Actor) -> dict[str, Any]:
    """{"decide","act","watch","drifted","expiring","months","more"}: decide: my decision is asked for; act: my next step; watch: others act; more: how many
    changes are left out. What waits for a decision comes before all else, and there the oldest first.
    """
    owned = owned_workflows(ctx, actor)
    moving = [row for row in list_changes(ctx) if row["state"] in {*OPEN, State.CUTOVER, State.DRIFTED}]
    asked = [row for row in reversed(moving) if row["state"] == State.IN_REVIEW][:MOST]
    others = [row for row in moving if row["state"] != State.IN_REVIEW][:MOST]
    shown = asked + others
    found: dict[str, Any] = {"decide": [], "act": [], "watch": [], "drifted": []}
    for row in shown:
        if row["state"] == State.DRIFTED:
            found["drifted"].append(row)
            continue
        if row["state"] != State.IN_REVIEW:
            mine = bool(actor.roles & {"requester", "owner", "admin"}) and (row["requester"] == actor.email or row["workflow"] in owned)
            why = next_words(ctx, row["id"]) if row["state"] == State.APPROVED else NEXT_STEP.get(row["state"], "")
            item = {**row, "why": why, "verdict": None, "monthly_change": None}
            found["act" if mine and row["state"] != State.SHADOWING else "watch"].append(item)
            continue
        full = show_change(ctx, row["id"], actor)
        item = {
            **row,
            "why": reason_for(full),
            "verdict": full["verdict"],
            "monthly_change": monthly_change(full),
            "digest": full["digest"],
        }
        can = full["you"]["may_approve"] or full["you"]["may_reject"]
        found["decide" if can else "watch"].append(item)
    found["decide"].sort(key=lambda item: item["updated_at"])
    return {**found, "expiring": expiring_routes(ctx), "months": open_months(ctx), "more": len(moving) - len(shown)}


NEXT_STEP: Final = {
    "draft": "no evidence yet: start the shadow run",
    "shadowing": "the shadow run is under way",
    "cutover": "look at later traffic to see whether the route is taken",
}


def next_words(ctx: Context, change_id: str) -> str:
    """Of an approved change. Whoever moves the route of one whose approvals are void meanwhile has moved it without any."""
    full = show_change(ctx, change_id)
    void = any(need["status"] == "open" for need in full["needs"])
    return full["next"] if void else "everybody needed has approved: move the route in the gateway, then record the cutover"


def reason_for(change: dict[str, Any]) -> str:
    """Why this is or is not mine to decide."""
    you = change["you"]
    if you["may_approve"]:
        need = next((need for need in change["needs"] if need["role"] == you["role"]), None)
        return f"you answer for {you['role']}: {need['reason']}" if need else f"you answer for {you['role']}"
    others = sorted({email for need in change["needs"] for email in need["may"]})
    return f"{you['why_not']}" + (f"; {', '.join(others)} may" if others else "")


def monthly_change(change: dict[str, Any]) -> str | None:
    """What the change does to a month's cost, in USD: negative saves."""
    saves = ((change["verdict"] or {}).get("cost") or {}).get("monthly_savings_usd")
    return None if saves is None else f"{-Decimal(saves):f}"


def waiting_count(ctx: Context, actor: Actor) -> int:
    """Changes in review whose open need this person seems to answer, from what is stored."""
    with ctx.rows.session() as session:
        query = select(Change).where(Change.org_id == ctx.org, Change.state == State.IN_REVIEW, Change.requester_id != actor.id)
        changes = list(session.exec(query.order_by(col(Change.number)).limit(MOST)))
        if not changes:
            return 0
        ids = [change.id for change in changes]
        votes = session.exec(
            select(Approval).where(Approval.org_id == ctx.org, Approval.decision == "approve", col(Approval.change_id).in_(ids))
        )
        put = {change.id: change for change in changes}
        standing = [
            vote for vote in votes if vote.digest == put[vote.change_id].digest and since_review(put[vote.change_id], vote.decided_at)
        ]
        answered = {(vote.change_id, vote.role) for vote in standing}
        spoken = {vote.change_id for vote in standing if vote.person_id == actor.id}
        authored = select(ShadowRun.change_id).where(
            ShadowRun.org_id == ctx.org, col(ShadowRun.change_id).in_(ids), ShadowRun.author == actor.id
        )
        labelled = select(ReviewLabel.change_id).where(
            ReviewLabel.org_id == ctx.org,
            col(ReviewLabel.change_id).in_(ids),
            ReviewLabel.state == "submitted",
            or_(ReviewLabel.person_id == actor.id, ReviewLabel.reviewer == actor.email),
        )
        not_theirs = {*spoken, *session.exec(authored), *session.exec(labelled)}
    owned = owned_workflows(ctx, actor)

    def mine(change: Change) -> bool:
        roles = {need["role"] for need in json.loads(change.needs)}
        open_roles = {role for role in roles if (change.id, role) not in answered}
        held = (actor.roles - {"owner"}) | ({"owner"} if change.workflow_id in owned else set())
        return change.id not in not_theirs and bool(open_roles & held)

    return sum(mine(change) for change in changes)


def owned_workflows(ctx: Context, actor: Actor) -> set[str]:
    return {name for name, workflow in catalog_as_of(ctx).workflows.items() if workflow.owner == actor.email}


def expiring_routes(ctx: Context) -> list[dict[str, Any]]:
    """Approved routes that end within SOON or ended while still declared, soonest first."""
    now: datetime = ctx.now()
    found = [
        {
            "workflow": workflow.id,
            "route": route.id,
            "model": f"{route.provider}/{route.model}",
            "until": end.isoformat(),
            "lapsed": end <= now,
        }
        for workflow in catalog_as_of(ctx).workflows.values()
        for route in workflow.routes
        if (end := ends(route.approved_until)) <= now + SOON
    ]
    return sorted(found, key=lambda one: (one["until"], one["workflow"]))


def open_months(ctx: Context) -> list[dict[str, Any]]:
    """Months in which something was computed or closing began, and that are not closed."""
    with ctx.rows.session() as session:
        query = select(Period).where(Period.org_id == ctx.org, Period.state != "closed").order_by(col(Period.month))
        return [{"month": row.month, "state": row.state} for row in session.exec(query)]
