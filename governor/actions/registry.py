"""The registry of workflows as people read it: who answers for what, on which approved route, at what spend, with which objections.

Owns: rows and the document of one workflow. Does not own: the catalog, spend, findings, changes it puts together.
Invariants: reads only; a route that lapsed is said to have lapsed; spend of the month in view is exact.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import Any, Final

from governor.actions.context import Context
from governor.actions.inbox import SOON
from governor.actions.load_catalog import catalog_as_of
from governor.actions.month_view import daily, month_findings, month_view
from governor.actions.show_change import list_changes
from governor.actions.usage import usage_rows
from governor.catalog import Route, WorkflowDocument, begins, ends
from governor.errors import NotFound

ENDED: Final = frozenset({"rejected", "expired", "verified", "withdrawn"})


def workflows_list(
    ctx: Context, period: str, *, search: str = "", owner: str = "", risk: str = "", state: str = ""
) -> list[dict[str, Any]]:
    """Rows in order of name; `search` looks at id, name, owner, cost center and models; `state`: governed | unapproved | lapsed | no_route."""
    month = month_view(ctx, period)
    spend = {row["workflow"]: row for row in usage_rows(month.groups, ["workflow"])}
    found = Counter(one.workflow for one in month_findings(ctx, period) if one.status == "violation")
    served: dict[str, set[str]] = defaultdict(set)
    unapproved: set[str] = set()
    for group in month.groups:
        if group.workflow_id:
            served[group.workflow_id].add(route_name(group.provider, group.model))
            if group.route_status == "unapproved":
                unapproved.add(group.workflow_id)
    pending = Counter(row["workflow"] for row in list_changes(ctx) if row["state"] not in ENDED)
    now = ctx.now()
    rows = []
    for workflow in catalog_as_of(ctx).workflows.values():
        routes = [route_row(route, now) for route in workflow.routes]
        row = {
            **facts(workflow),
            "routes": routes,
            "served": sorted(served[workflow.id]),
            "spend": spend[workflow.id]["contracted_cost"] if workflow.id in spend else "0.00",
            "calls": spend[workflow.id]["calls"] if workflow.id in spend else 0,
            "unpriced_calls": spend[workflow.id]["unpriced_calls"] if workflow.id in spend else 0,
            "findings": found[workflow.id],
            "changes": pending[workflow.id],
            "state": state_of(routes, workflow.id in unapproved),
        }
        if fits(row, search, owner, risk, state):
            rows.append(row)
    return sorted(rows, key=lambda row: str(row["id"]))


def workflow_document(ctx: Context, workflow_id: str, period: str) -> dict[str, Any]:
    """Everything the page of one workflow shows. Raises NotFound."""
    catalog = catalog_as_of(ctx)
    workflow = catalog.workflows.get(workflow_id)
    if workflow is None:
        raise NotFound(f"no workflow {workflow_id}", hint="`governor apply` declares workflows")
    now = ctx.now()
    month = month_view(ctx, period)
    groups = [group for group in month.groups if group.workflow_id == workflow_id]
    routes = [route_row(route, now) for route in workflow.routes]
    return {
        **facts(workflow),
        "name": workflow.name,
        "environment": workflow.environment,
        "latency_target_ms": workflow.latency_target_ms,
        "max_cost_per_call": workflow.max_cost_per_call,
        "monthly_budget": workflow.monthly_budget,
        "capture": str(catalog.capture(workflow_id)),
        "retention_days": workflow.retention_days(catalog.organization),
        "has_contract": workflow.output_contract is not None,
        "match": [dict(rule) for rule in workflow.match],
        "routes": routes,
        "fallback": [route_name(one.provider, one.model) for one in workflow.fallback],
        "state": state_of(routes, any(group.route_status == "unapproved" for group in groups)),
        "usage": usage_rows(groups, ["provider", "model", "route"]),
        "total": next(iter(usage_rows(groups, [])), None),
        "days": daily_totals(ctx, period, workflow_id),
        "findings": [one.document() for one in month_findings(ctx, period) if one.workflow == workflow_id],
        "changes": list_changes(ctx, workflow=workflow_id),
    }


def daily_totals(ctx: Context, period: str, workflow_id: str) -> list[dict[str, str]]:
    return [{"day": row["day"], "cost": row["cost"]} for row in daily(ctx, period, "workflow", workflow=workflow_id)]


def facts(workflow: WorkflowDocument) -> dict[str, Any]:
    return {
        "id": workflow.id,
        "owner": workflow.owner,
        "cost_center": workflow.cost_center,
        "grc_id": workflow.grc_id,
        "risk_tier": workflow.risk_tier,
        "data_class": workflow.data_class,
    }


def route_name(provider: str | None, model: str | None) -> str:
    """provider/model; a model that carries its provider already is not given it twice."""
    if model is not None and provider is not None and model.startswith(f"{provider}/"):
        return model
    return f"{provider or 'unknown provider'}/{model or 'unknown model'}"


def route_row(route: Route, now: datetime) -> dict[str, Any]:
    until = ends(route.approved_until)
    early = route.approved_from is not None and begins(route.approved_from) > now
    return {
        "id": route.id,
        "model": route_name(route.provider, route.model),
        "regions": list(route.regions),
        "until": until.isoformat(),
        "change": route.change,
        "state": "lapsed" if until <= now else "planned" if early else "expiring" if until <= now + SOON else "approved",
    }


def state_of(routes: list[dict[str, Any]], unapproved: bool) -> str:
    """One word for the row: what needs attention first."""
    if not routes:
        return "no_route"
    if all(route["state"] == "lapsed" for route in routes):
        return "lapsed"
    return "unapproved" if unapproved else "governed"


def fits(row: dict[str, Any], search: str, owner: str, risk: str, state: str) -> bool:
    text = " ".join(
        [row["id"], row["owner"], row["cost_center"], row["grc_id"], *row["served"], *[route["model"] for route in row["routes"]]]
    )
    return (
        all(word in text.lower() for word in search.lower().split())
        and (not owner or row["owner"] == owner)
        and (not risk or row["risk_tier"] == risk)
        and (not state or row["state"] == state)
    )
