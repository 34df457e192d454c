"""Checks of approved routes as rows: which route is due, asking for one, reading them.

Owns: the cadence, the row and its job, the document. Does not own: carrying a check out (revalidate.py), what it says (shadow/recheck.py).
Invariants: one open check a change; only a route that is in force is asked; nothing here changes a route.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypedDict

from sqlmodel import Session, col, select

from governor.actions.assess import find_change
from governor.actions.context import SYSTEM, Actor, Context
from governor.actions.load_catalog import catalog_as_of
from governor.actions.usage import usd
from governor.catalog import Catalog, WorkflowDocument, begins, ends
from governor.errors import Invalid, NotFound, WrongState
from governor.prices.price import PICO
from governor.store.rows.base import uuid7
from governor.store.rows.changes import Change
from governor.store.rows.rechecks import RouteCheck
from governor.store.transaction import Transaction

ASKERS: Final = ("requester", "owner", "security", "admin")
LIVE: Final = ("cutover", "verified", "drifted")


def schedule(ctx: Context) -> list[str]:
    """The chore: ids of the changes whose route is due and gets a check now."""
    now, catalog = ctx.now(), catalog_as_of(ctx)
    wished = {key: one.revalidate for key, one in catalog.workflows.items() if one.revalidate is not None}
    made = []
    for change in live_changes(ctx, catalog, now) if wished else ():
        setting = wished.get(change.workflow_id)
        if setting is None:
            continue
        with ctx.transaction(SYSTEM) as tx:
            last = newest(tx.session, ctx.org, change.id)
            since = last.created_at if last else change.cutover_at
            if since is None or since + timedelta(days=setting.every_days) > now:
                continue
            if last is not None and last.status != "done":
                enqueue(tx, last.id)  # its job may have been given up: one check that could not be done must not be the last
                continue
            add(tx, catalog.workflows[change.workflow_id], change, author="")
            made.append(change.id)
    return made


class StartedCheck(TypedDict):
    """id: of the change."""

    id: str
    check: str
    job: str


def start_revalidation(ctx: Context, actor: Actor, change_id: str) -> StartedCheck:
    """A check now. Raises WrongState before the cutover or when the route is no longer approved, Invalid without a setting."""
    actor.require(*ASKERS)
    catalog = catalog_as_of(ctx)
    with ctx.transaction(actor) as tx:
        change = find_change(tx.session, ctx.org, change_id, lock=True)
        workflow = catalog.workflows.get(change.workflow_id)
        if workflow is None or not in_force(workflow, change, tx.now):
            raise WrongState(
                f"{change.id} is {change.state} and no route in force is its own",
                hint="only a route in use is asked again, after its cutover",
            )
        if workflow.revalidate is None:
            hint = 'add `revalidate: {every_days: 30, sample: 50, budget_usd: "2"}` to the workflow and `governor apply` it'
            raise Invalid(f"workflow {workflow.id} sets no sample and budget for this", hint=hint)
        last = newest(tx.session, ctx.org, change.id)
        if last is not None and last.status != "done":
            return {"id": change.id, "check": last.id, "job": enqueue(tx, last.id)}
        check, job = add(tx, workflow, change, author=actor.id)
    return {"id": change.id, "check": check, "job": job}


def add(tx: Transaction, workflow: WorkflowDocument, change: Change, *, author: str) -> tuple[str, str]:
    setting = workflow.revalidate
    assert setting is not None  # noqa: S101 - both callers looked
    check = RouteCheck(
        id=uuid7(),
        org_id=tx.org,
        change_id=change.id,
        workflow_id=change.workflow_id,
        status="planned",
        planned=setting.sample,
        budget_pico=int(Decimal(setting.budget_usd) * PICO),
        author=author,
        created_at=tx.now,
    )
    tx.session.add(check)
    tx.session.flush()
    return check.id, enqueue(tx, check.id)


def enqueue(tx: Transaction, check_id: str) -> str:
    return tx.enqueue_again("revalidate", {"check_id": check_id}, dedupe=f"revalidate:{check_id}")


def live_changes(ctx: Context, catalog: Catalog, now: datetime) -> list[Change]:
    with ctx.rows.session() as session:
        query = select(Change).where(Change.org_id == ctx.org, col(Change.state).in_(LIVE)).order_by(col(Change.number))
        found = session.exec(query).all()
    return [one for one in found if one.workflow_id in catalog.workflows and in_force(catalog.workflows[one.workflow_id], one, now)]


def in_force(workflow: WorkflowDocument, change: Change, now: datetime) -> bool:
    """Is the route this change brought still an approved one?"""
    mine = [route for route in workflow.routes if route.change == change.id]
    return change.state in LIVE and any(
        (route.approved_from is None or begins(route.approved_from) <= now) and now < ends(route.approved_until) for route in mine
    )


def newest(session: Session, org: str, change_id: str) -> RouteCheck | None:
    query = select(RouteCheck).where(RouteCheck.org_id == org, RouteCheck.change_id == change_id)
    return session.exec(query.order_by(col(RouteCheck.created_at).desc(), col(RouteCheck.id).desc())).first()


def find_check(session: Session, org: str, check_id: str) -> RouteCheck:
    found = session.exec(select(RouteCheck).where(RouteCheck.org_id == org, RouteCheck.id == check_id).with_for_update()).first()
    if found is None:
        raise NotFound(f"no check {check_id} of a route")
    return found


def checks_of(ctx: Context, change_id: str, *, limit: int = 12) -> list[RouteCheckDocument]:
    """Newest first."""
    with ctx.rows.session() as session:
        query = select(RouteCheck).where(RouteCheck.org_id == ctx.org, RouteCheck.change_id == change_id)
        return [document(one) for one in session.exec(query.order_by(col(RouteCheck.created_at).desc()).limit(limit))]


def checks_between(ctx: Context, start: datetime, end: datetime) -> list[RouteCheckDocument]:
    """The last finished check of each change in [start, end)."""
    with ctx.rows.session() as session:
        query = select(RouteCheck).where(
            RouteCheck.org_id == ctx.org,
            RouteCheck.status == "done",
            col(RouteCheck.finished_at) >= start,
            col(RouteCheck.finished_at) < end,
        )
        last = {one.change_id: document(one) for one in session.exec(query.order_by(col(RouteCheck.finished_at)))}
    return [last[name] for name in sorted(last)]


class RouteCheckDocument(TypedDict):
    """scheduled: asked for by the workflow's `revalidate`, by nobody. verdict and result: null until it is done."""

    check: str
    change: str
    workflow: str
    status: str
    verdict: str | None
    planned: int
    spent: str
    budget: str
    scheduled: bool
    created_at: str
    finished_at: str | None
    result: dict[str, Any] | None


def document(check: RouteCheck) -> RouteCheckDocument:
    """A check as people and programs read it."""
    return {
        "check": check.id,
        "change": check.change_id,
        "workflow": check.workflow_id,
        "status": check.status,
        "verdict": check.verdict or None,
        "planned": check.planned,
        "spent": usd(check.spent_pico),
        "budget": usd(check.budget_pico),
        "scheduled": not check.author,
        "created_at": check.created_at.isoformat(),
        "finished_at": check.finished_at.isoformat() if check.finished_at else None,
        "result": json.loads(check.result) if check.result else None,
    }
