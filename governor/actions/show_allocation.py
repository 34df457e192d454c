"""Allocation as people look at it: the rules and rate plans in force, and where each shared dollar of a month goes.

Owns: the document of one month, the trial of rules that are not applied. Does not own: any sum (chargeback/allocate, chargeback/plans). Invariants: reads only;
a closed month shows the shares that were sealed, and what it charged beside what the records say today;
a trial computes with the numbers a close at this moment would use.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

from governor.actions.charge_month import Charged, charge_month
from governor.actions.close_period import files_of
from governor.actions.context import Context
from governor.actions.month_view import month_whole
from governor.actions.remembered import remembered
from governor.actions.show_spend import closed_total
from governor.catalog import (
    AllocationDocument,
    AllocationRule,
    Catalog,
    Document,
    DriverDocument,
    RatePlanDocument,
    document_digest,
    document_json,
)
from governor.catalog.allocation import check_allocations, check_rate_plans
from governor.chargeback.allocate import Allocation, allocate, allocation_document
from governor.chargeback.amounts import usd
from governor.chargeback.commitments import UNUSED, charge_lines
from governor.chargeback.lines import Line, add_up
from governor.chargeback.plans import plan_lines
from governor.errors import Invalid, NotFound
from governor.ledger.canonical import timestamp
from governor.store.rows.periods import Period


def show_allocation(ctx: Context, month: str, trial: Sequence[Document] = ()) -> dict[str, Any]:
    """{"period","state","trial","closed","rules","rate_plans","flows","left","cost_centers","total"}. `trial`: rules that replace those of their id, stored nowhere.

    Raises Invalid for a malformed month or rules that contradict each other.
    """
    with ctx.rows.session() as session:
        period = session.get(Period, (ctx.org, month))
        sealed = next((file for file in files_of(session, ctx.org, month) if file.name == f"statement-{month}.json"), None)
    charged = month_charged(ctx, month)
    catalog = charged.governed.timeline.at(charged.governed.end)
    rules: Sequence[AllocationRule]
    if trial:
        rules, drivers, plans = _tried(catalog, trial)
        allocation = allocate(charged.used, rules, drivers, month)
        bought = charge_lines(allocation.lines, charged.commitments, month)
        lines = add_up([*allocation.lines, *bought, *plan_lines(allocation.lines, plans, month)])
    else:
        rules, plans = catalog.allocations, list(catalog.rate_plans.values())
        allocation, lines = charged.allocation, charged.lines
    found = allocation_document(allocation)
    state = period.state if period else "open"
    if sealed is not None and not trial:
        found = json.loads(sealed.body).get("allocation", allocation_document(None))
    return {
        "period": month,
        "state": state,
        "trial": bool(trial),
        "closed": closed_total(ctx, month),
        "rules": [_rule(rule) for rule in rules],
        "rate_plans": [plan.model_dump(mode="json", exclude_defaults=True) for plan in plans],
        **found,
        "cost_centers": _centers(charged.used, allocation, lines),
        "cost": usd(sum(line.contracted_pico for line in lines)),
    }


def month_charged(ctx: Context, month: str) -> Charged:
    return cast(Charged, remembered(ctx, f"charged/{month}", lambda: charge_month(ctx, month, governed=month_whole(ctx, month))))


def _tried(catalog: Catalog, trial: Sequence[Document]) -> tuple[list[AllocationRule], dict[str, DriverDocument], list[RatePlanDocument]]:
    """The rules as they would stand. Raises Invalid for other kinds and for contradictions."""
    rules = {rule.document.id: rule for rule in catalog.allocations}
    drivers, plans = dict(catalog.drivers), dict(catalog.rate_plans)
    for document in trial:
        if isinstance(document, AllocationDocument):
            rules[document.id] = AllocationRule(document, document_digest(document_json(document)), None, "")
        elif isinstance(document, DriverDocument):
            drivers[document.key] = document
        elif isinstance(document, RatePlanDocument):
            plans[document.id] = document
        else:
            raise Invalid(f"{document.kind} {document.key}: only allocation, driver and rate_plan can be tried on a month")
    check_allocations(rule.document for rule in rules.values())
    check_rate_plans(plans.values())
    return sorted(rules.values(), key=lambda rule: (rule.document.order, rule.document.id)), drivers, list(plans.values())


def _rule(rule: AllocationRule) -> dict[str, Any]:
    document = rule.document
    return document.model_dump(mode="json", exclude_defaults=True, exclude={"valid_from"}) | {
        "order": document.order,
        "name": rule.name,
        "version": rule.digest[:12],
        "valid_from": timestamp(rule.valid_from) if rule.valid_from else None,
        "approver": rule.approver or None,
    }


def _centers(used: Sequence[Line], allocation: Allocation, lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Per cost center: direct, given away, received, rate plans, shadow, charge; the columns add up across and down."""
    sums: dict[str, dict[str, int]] = {}

    def add(center: str, column: str, pico: int) -> None:
        row = sums.setdefault(center, dict.fromkeys(("direct", "given", "received", "rate_plans", "shadow", "charge"), 0))
        row[column] += pico

    for line in used:
        add(line.cost_center, "direct" if line.traffic_class == "production" else "shadow", line.cost_pico)
    for flow in allocation.flows:
        add(flow.source, "given", -flow.pico)
        add(flow.target, "received", flow.pico)
    for line in lines:
        if line.traffic_class == "internal":
            add(line.cost_center, "rate_plans", line.contracted_pico)
        if line.meter == UNUSED:
            add(line.cost_center, "direct", line.contracted_pico)
        add(line.cost_center, "charge", line.contracted_pico)
    return [{"cost_center": name, **{column: usd(pico) for column, pico in row.items()}} for name, row in sorted(sums.items())]


def lines_from(ctx: Context, month: str, origin: str) -> list[dict[str, Any]]:
    """The line of that id and every part of it, as the month is now: where a statement line comes from and where its origin went."""
    charged = month_charged(ctx, month)
    found = [line for line in [*charged.used, *charged.lines] if origin in {line.line_id, line.origin}]
    if not found:
        raise NotFound(
            f"{month} has no line {origin[:80]} now",
            hint="it may be a correction, or its use was re-priced or moved since the close; the closed statement still holds it",
        )
    unique = {line.line_id: line for line in found}
    return [
        asdict(line) | {"line_id": line.line_id, "contracted_cost": usd(line.contracted_pico), "list_cost": usd(line.list_pico)}
        for line in unique.values()
    ]
