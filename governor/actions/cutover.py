"""`change:cutover`: the company says it moved the route; the candidate becomes an approved route of the workflow.

Owns: the last check of the approvals, the catalog version that approves the new route. Does not own: the gateway (nothing is written to one).
Invariants: only while every needed approval stands on the current digest; the new route's approval ends; the old route stays approved until its own
date, so that rolling back is not a violation.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

import pydantic
from sqlmodel import Session

from governor.actions.apply import lock_catalog, write
from governor.actions.assess import Assessment, assess, find_change
from governor.actions.catalog_plan import Item, diff, later
from governor.actions.context import Actor, Context
from governor.actions.expire import expire_change
from governor.actions.gateway_snippets import EXPORTS, snippet
from governor.actions.load_catalog import known_versions, parsed
from governor.actions.review import ensure_review
from governor.catalog import Route, WorkflowDocument, document_digest, document_json, ends
from governor.changes import State, move
from governor.errors import ExpiredApproval, Invalid, PolicyRefused, StaleApproval
from governor.ledger.canonical import timestamp
from governor.ledger.entry import EntryDraft
from governor.ledger.types import change_stream

MOVERS: Final = ("requester", "owner", "admin")
ROUTE_DAYS: Final = 365  # where the baseline's own approval has less to run than a review cycle


class RouteSnippet(TypedDict):
    format: str
    text: str


class MovedRoute(TypedDict):
    """route: as the catalog holds it now; export: the route as a gateway writes it."""

    id: str
    state: str
    workflow: str
    route: dict[str, Any]
    approved_until: str | None
    export: RouteSnippet | None


def cutover(ctx: Context, actor: Actor, change_id: str, *, export: str = "", note: str = "", approved_until: str = "") -> MovedRoute:
    """{"id","state","route","approved_until","export"}. export: gateway format to print; approved_until: end of the new route's approval.

    Raises WrongState, StaleApproval or ExpiredApproval. Needs role requester, owner or admin.
    """
    actor.require(*MOVERS)
    if export and export not in EXPORTS:
        raise Invalid(f"no export for {export!r}", hint=f"exports: {', '.join(EXPORTS)}")
    refuse_moved(ctx, change_id)
    try:
        return record(ctx, actor, change_id, export=export, note=note, approved_until=approved_until)
    except ExpiredApproval:
        expire_change(ctx, change_id)
        raise


def refuse_moved(ctx: Context, change_id: str) -> None:
    """An approved change whose digest moved goes back to review, and the caller hears that its approvals are stale."""
    with ctx.rows.session() as session:
        before = find_change(session, ctx.org, change_id).state
    if before == State.APPROVED and ensure_review(ctx, change_id):
        raise StaleApproval(f"{change_id} changed since it was approved; it is back in review and its approvals are void")


def record(ctx: Context, actor: Actor, change_id: str, *, export: str, note: str, approved_until: str) -> MovedRoute:
    with ctx.transaction(actor) as tx:
        change = find_change(tx.session, ctx.org, change_id, lock=True)
        lock_catalog(tx.session, ctx.org)
        state = move(change.state, State.CUTOVER, verb="be cut over", of=change.id)
        found = assess(ctx, tx.session, change, tx.now)
        if found.stale:
            raise StaleApproval(f"{change.id} changed since it was approved")
        if found.docket.expired(tx.now):
            raise ExpiredApproval(f"an approval of {change.id} has expired before the cutover")
        if not found.decision.allow:
            raise PolicyRefused(f"policy does not allow {change.id} any more")
        if not found.docket.approved(tx.now):
            raise StaleApproval(f"{change.id} lacks an approval that policy asks for now: {', '.join(found.docket.open_roles(tx.now))}")
        route, digest = approve_route(tx.session, ctx, actor, found, tx.now, approved_until)
        change.state, change.cutover_at, change.cutover_note, change.updated_at = state, tx.now, note, tx.now
        tx.session.add(change)
        tx.append(
            EntryDraft(
                type="change:cutover",
                stream=change_stream(change.id),
                payload={
                    "change": change.id,
                    "digest": change.digest,
                    "workflow": change.workflow_id,
                    "route": route.id,
                    "approved_until": timestamp(ends(route.approved_until)),
                    "catalog_sha256": digest,
                },
                actor=actor.ledger_ref(),
                idem=f"change:cutover:{change.id}:{change.digest}",
                occurred_at=tx.now,
                personal={"note": note} if note else {},
            )
        )
    candidate = json.loads(change.request)["candidate"]
    return {
        "id": change.id,
        "state": str(state),
        "workflow": change.workflow_id,
        "route": route.model_dump(mode="json"),
        "approved_until": route.approved_until,
        "export": {"format": export, "text": snippet(export, change.workflow_id, candidate, change.id)} if export else None,
    }


def approve_route(session: Session, ctx: Context, actor: Actor, found: Assessment, now: datetime, approved_until: str) -> tuple[Route, str]:
    """Write the workflow's next version with the candidate as its first route; returns the route and the document's digest."""
    workflow = found.catalog.workflow(found.change.workflow_id)
    candidate = json.loads(found.change.request)["candidate"]
    try:
        route = Route.model_validate(
            {
                "id": found.change.id.lower(),
                "provider": candidate["provider"],
                "model": candidate["model"],
                "regions": [candidate["region"]] if candidate.get("region") else [],
                "retention_days": candidate.get("retention_days"),
                "approved_from": now.isoformat(),
                "approved_until": approved_until or default_end(workflow, found, now),
                "change": found.change.id,
            }
        )
    except pydantic.ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise Invalid(f"the approval of the new route cannot end on {approved_until[:40]!r}: {why}") from None
    if ends(route.approved_until) <= now:
        raise Invalid(f"the approval of the new route would have ended on {route.approved_until} already")
    versions, _ = known_versions(session, ctx.org, None)
    mine = [row for row in versions if row.kind == "workflow" and row.key == workflow.id]
    later_ones = [row for row in mine if row.body and row.valid_from is not None and row.valid_from > now]
    planned = [(parsed(row.body), row.valid_from, row.valid_to) for row in later_ones]
    digests = []
    # it holds in versions planned for later too
    for place, (before, start, end) in enumerate([(workflow, now, later(mine, now)), *planned]):
        if isinstance(before, WorkflowDocument):
            after = WorkflowDocument.model_validate(before.model_dump() | {"routes": [route, *before.routes], "valid_from": None})
            body = document_json(after)
            changes = diff(json.loads(document_json(before)), json.loads(body))
            write(session, ctx.org, Item("update", "workflow", workflow.id, changes, body, start, end, after), actor, now, place)
            digests.append(document_digest(body))
    return route, digests[0]


def default_end(workflow: WorkflowDocument, found: Assessment, now: datetime) -> str:
    """The baseline route's own end, so that the workflow keeps its review cycle; a year from now when that is over."""
    baseline = json.loads(found.change.request)["baseline"]["route"]
    route = next((one for one in workflow.routes if one.id == baseline), None)
    if route is not None and ends(route.approved_until) > now:
        return route.approved_until
    return (now + timedelta(days=ROUTE_DAYS)).date().isoformat()
