"""`change:propose`: a route change is asked for; its evaluation plan is fixed before anything is sent.

Owns: reading the candidate, the request document, the change's number. Does not own: the plan (plan_shadow.py), the run (start_shadow.py).
Invariants: sampling and margins are in the plan, the plan is in the digest; nobody can choose them after seeing a reply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, TypedDict, cast

from sqlmodel import Session, col, select

from governor.actions.apply import lock_catalog
from governor.actions.assess import assess, find_change
from governor.actions.context import Actor, Context
from governor.actions.load_catalog import catalog_as_of
from governor.actions.plan_options import budget
from governor.catalog import Route, WorkflowDocument, begins, ends
from governor.changes import State
from governor.errors import Invalid, Refused
from governor.ledger.canonical import canonical_json
from governor.ledger.entry import EntryDraft
from governor.ledger.types import change_stream
from governor.policy.catalog_data import bare_model, canonical_provider
from governor.shadow.plan import plain
from governor.store.rows.changes import Change

PROPOSERS: Final = ("requester", "owner", "admin")
CANDIDATE: Final = re.compile(r"(?P<provider>[A-Za-z0-9._-]+)/(?P<model>[^\s@]\S*?)(@(?P<region>[a-z][A-Za-z0-9-]*))?")
LONGEST_RETENTION: Final = 36_500  # days; 0 is zero retention


class PlanSummary(TypedDict):
    digest: str
    sample: int
    budget_usd: str
    expected_spend_usd: str
    population: int


class RoleStrength(TypedDict, total=False):
    """strength: passkey, where policy asks for the person's own device."""

    strength: str


class NeededRole(RoleStrength):
    """Who must decide, and why."""

    role: str
    reason: str
    reasons: list[str]


class ProposedChange(TypedDict):
    """needs: roles with their reasons; violations: what policy objects to."""

    id: str
    digest: str | None
    state: str
    needs: list[NeededRole]
    violations: list[str]
    plan: PlanSummary


def propose(
    ctx: Context,
    actor: Actor,
    *,
    workflow: str,
    candidate: str,
    endpoint: str,
    endpoint_model: str = "",
    sample: int = 300,
    margins: Mapping[str, str] | None = None,
    budget_usd: str = "20",
    reason: str = "",
    baseline: str = "",
    retention_days: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> ProposedChange:
    """{"id","digest","state","needs","violations","plan"}. candidate: provider/model[@region]; baseline: id of a route, by default the first in force.

    retention_days: how long the candidate's provider keeps prompts, where a contract says; options: further parameters of the plan
    (plan_shadow.py names them). Needs role requester, owner or admin.
    """
    from governor.actions.plan_shadow import plan_shadow

    actor.require(*PROPOSERS)
    if retention_days is not None and not 0 <= retention_days <= LONGEST_RETENTION:
        raise Invalid(f"retention_days is a number of days from 0 to {LONGEST_RETENTION}, not {retention_days}")
    if not reason.strip():
        raise Invalid("a change needs a reason", hint="say why; the reason goes on record")
    catalog = catalog_as_of(ctx)
    document = catalog.workflow(workflow)
    catalog.endpoint(endpoint)
    route = baseline_route(document, baseline, ctx)
    arm = read_candidate(candidate) | ({} if retention_days is None else {"retention_days": retention_days})
    if compared(arm["provider"], arm["model"], arm["region"]) == compared(route.provider, route.model, first_region(route)):
        raise Invalid(f"the candidate {candidate} is the baseline route {route.id}")
    request: dict[str, Any] = {
        "workflow": workflow,
        "baseline": {
            "route": route.id,
            "provider": route.provider,
            "model": route.model,
            "region": first_region(route),
            "retention_days": route.retention_days,
        },
        "candidate": arm,
        "endpoint": endpoint,
        "endpoint_model": endpoint_model,
        "sample": sample,
        "margins": dict(margins or {}),
        "budget_usd": f"{budget(budget_usd):f}",
        "reason": reason.strip(),
        "options": plain(dict(options or {})),
    }
    plan = plan_shadow(ctx, request)
    with ctx.transaction(actor) as tx:
        number = next_number(tx.session, ctx.org)
        change = Change(
            id=change_id(ctx, number),
            org_id=ctx.org,
            number=number,
            workflow_id=workflow,
            state=State.DRAFT,
            requester_id=actor.id,
            requester_email=actor.email,
            request=canonical_json(request).decode(),
            plan=plan.canonical.decode(),
            digest="",
            created_at=tx.now,
            updated_at=tx.now,
        )
        found = assess(ctx, tx.session, change, tx.now)
        change.digest = found.binding.digest
        change.needs = canonical_json(found.needs()).decode()
        tx.session.add(change)
        tx.session.flush()
        tx.append(
            EntryDraft(
                type="change:propose",
                stream=change_stream(change.id),
                payload={
                    "change": change.id,
                    "workflow": workflow,
                    "digest": change.digest,
                    "baseline": request["baseline"],
                    "candidate": arm,
                    "endpoint": endpoint,
                    "plan_digest": plan.digest,
                    "planned": plan.n,
                    "budget_pico": str(plan.budget_pico),
                },
                actor=actor.ledger_ref(),
                idem=f"change:propose:{change.id}",
                occurred_at=tx.now,
                personal={"reason": request["reason"]},
            )
        )
    return {
        "id": change.id,
        "digest": change.digest,
        "state": str(State.DRAFT),
        "needs": cast("list[NeededRole]", found.needs()),
        "violations": [violation.message for violation in found.decision.violations],
        "plan": {
            "digest": plan.digest,
            "sample": plan.n,
            "budget_usd": request["budget_usd"],
            "expected_spend_usd": format((Decimal(plan.expected_spend_pico) / 10**12).quantize(Decimal("0.0001")), "f"),
            "population": plan.population.calls,
        },
    }


def asked_in(ctx: Context, change_id: str) -> dict[str, Any]:
    """The request of an earlier change, to ask for it again. Raises NotFound."""
    with ctx.rows.session() as session:
        found: dict[str, Any] = json.loads(find_change(session, ctx.org, change_id).request)
    return found


def read_candidate(text: str, what: str = "candidate") -> dict[str, Any]:
    """provider/model[@region]; `what` it is, for the error. An `@` followed by digits belongs to the model's name (`claude-sonnet-4@20250514`)."""
    found = CANDIDATE.fullmatch(text.strip())
    if found is None:
        raise Invalid(f"cannot read {what} {text!r}", hint="write provider/model@region, such as anthropic/claude-haiku-4-5@us-east-1")
    return {"provider": found["provider"], "model": found["model"], "region": found["region"] or ""}


def compared(provider: str, model: str, region: str) -> tuple[str, str, str]:
    """A route as policy compares names: another spelling is no other route. A dated snapshot is one."""
    return canonical_provider(provider), bare_model(model), region.lower()


def baseline_route(workflow: WorkflowDocument, route_id: str, ctx: Context) -> Route:
    """The named route, else the first whose approval is in force."""
    now = ctx.now()
    alive = [
        route
        for route in workflow.routes
        if (route.approved_from is None or begins(route.approved_from) <= now) and now < ends(route.approved_until)
    ]
    if route_id:
        named = next((route for route in workflow.routes if route.id == route_id), None)
        if named is None:
            raise Invalid(
                f"workflow {workflow.id} has no route {route_id!r}", hint=f"routes: {', '.join(route.id for route in workflow.routes)}"
            )
        return named
    if not alive:
        raise Refused(
            f"workflow {workflow.id} has no approved route in force to compare with", hint="declare its current route with `governor apply`"
        )
    return alive[0]


def first_region(route: Route) -> str:
    return route.regions[0] if route.regions else ""


def next_number(session: Session, org: str) -> int:
    lock_catalog(session, org)
    last = session.exec(select(Change.number).where(Change.org_id == org).order_by(col(Change.number).desc()).limit(1)).first()
    return (last or 0) + 1


def change_id(ctx: Context, number: int) -> str:
    """RC-<number>; organizations that share a database carry their name, because ids are unique in it."""
    return f"RC-{number}" if ctx.settings.embedded or ctx.org == "default" else f"RC-{ctx.org}-{number}"
