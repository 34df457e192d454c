"""A month's charges: governed production usage and the shadow spend of its route changes, as exact lines.

Owns: reading both into lines. Does not own: governing (govern.py), what a line is (chargeback/lines). Invariants: a pure function of (month, lake snapshot,
knowledge time) and of replays that had ended by then; shadow spend is its own traffic class, charged to the requester's cost center
unless the organization says otherwise, and never part of production coverage; reserved money that was lost counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from governor.actions.context import Context
from governor.actions.govern import GovernedMonth, govern_month
from governor.catalog.organization import MonthEnd
from governor.chargeback.allocate import Allocation, allocate
from governor.chargeback.commitments import Settled, charge_lines, covering, settle
from governor.chargeback.lines import UNALLOCATED, Line, add_up, usage_lines
from governor.chargeback.plans import plan_lines
from governor.store.rows.changes import Change, ReplayResult, ShadowRun


@dataclass(frozen=True)
class Charged:
    """What a month comes to. used: as it was used; lines: after shared costs and rate plans; allocation: what the rules moved and what they could not."""

    month: str
    governed: GovernedMonth
    used: list[Line]
    lines: list[Line]
    allocation: Allocation
    commitments: list[Settled]


def charge_month(
    ctx: Context, month: str, *, snapshot: int | None = None, known_at: datetime | None = None, governed: GovernedMonth | None = None
) -> Charged:
    """Compute, store nothing. Without `snapshot` and `known_at`: as things are now. governed: the month, where it is known already.

    Raises Invalid for a malformed month.
    """
    governed = governed or govern_month(ctx, month, snapshot=snapshot, known_at=known_at)
    with ctx.rows.session() as session:
        replays = list(shadow_lines(session, ctx.org, month, governed, known_at))
    catalog = governed.timeline.at(governed.end)  # the rules in force when the month ends decide about all of it
    bought, zone = list(catalog.commitments.values()), catalog.organization.billing_zone
    covered = (
        covering(bought, lambda provider, model: entry.model if (entry := governed.book.find(provider, model)) else "", zone)
        if bought
        else None
    )
    used = add_up([*usage_lines(governed.groups, month, covered), *replays])
    settled: list[Settled] = []
    if bought:
        used, settled = settle(used, bought, governed.start, governed.end, zone)
        used = add_up(used)
    allocation = allocate(used, catalog.allocations, catalog.drivers, month)
    capacity = charge_lines(allocation.lines, settled, month)  # after the rules: what covered lines used is paid by who bears these lines
    lines = add_up([*allocation.lines, *capacity, *plan_lines(allocation.lines, catalog.rate_plans.values(), month)])
    return Charged(month, governed, used, lines, allocation, settled)


def shadow_lines(session: Session, org: str, month: str, governed: GovernedMonth, known_at: datetime | None) -> Iterable[Line]:
    """Replays and judge calls that ended in the month, one line per change and arm."""
    query = (
        select(ReplayResult, Change)
        .join(ShadowRun, col(ReplayResult.run_id) == col(ShadowRun.id))
        .join(Change, col(ShadowRun.change_id) == col(Change.id))
        .where(
            ReplayResult.org_id == org,
            col(ReplayResult.finished_at) >= governed.start,
            col(ReplayResult.finished_at) < governed.end,
            col(ReplayResult.cost_pico).is_not(None),
        )
        .order_by(col(ReplayResult.id))
    )
    if known_at is not None:
        query = query.where(col(ReplayResult.finished_at) <= known_at)
    plans: dict[str, dict[str, Any]] = {}
    for result, change in session.exec(query):
        if result.arm == "recorded":
            continue  # measured from the production call: nothing was sent, nothing was spent
        plan = plans.setdefault(change.id, json.loads(change.plan or "{}"))
        spent = (result.cost_pico or 0) + int(json.loads(result.reply or "{}").get("lost_pico") or 0)
        catalog = governed.timeline.at(governed.start if result.finished_at is None else result.finished_at)
        workflow = catalog.workflows.get(change.workflow_id)
        provider, model = _route(plan, result.arm)
        yield Line(
            charge_month=month,
            cost_center=shadow_payer(catalog.organization.month_end, change.requester_email, workflow.cost_center if workflow else "")
            or UNALLOCATED,
            workflow_id=change.workflow_id,
            owner=workflow.owner if workflow else None,
            provider=provider,
            model=model,
            service_tier="",
            traffic_class="shadow",
            route_status="approved",
            meter="replay",
            list_amount=None,
            list_per=None,
            contract_amount=None,
            contract_per=None,
            price_source="measured",
            quantity=1,
            calls=1,
            list_pico=spent,
            contracted_pico=spent,
        )


def shadow_payer(policy: MonthEnd, requester: str, owners: str) -> str:
    """The cost center that pays for a replay. A requester without one of their own pays from the workflow's."""
    if policy.shadow_charged_to == "platform":
        return policy.platform_cost_center
    return policy.people.get(requester, owners) if policy.shadow_charged_to == "requester" else owners


def _route(plan: dict[str, Any], arm: str) -> tuple[str, str]:
    """Whose model an arm called."""
    side = plan.get("judge" if arm.startswith("judge") else arm) or {}
    return str(side.get("provider") or "shadow"), str(side.get("model") or arm)
