"""The registry of workflows, and the page of one."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.params import Parameter
from markupsafe import Markup

from governor.actions.context import Actor, Context
from governor.actions.month_view import month_frame, newest_month
from governor.actions.registry import workflow_document, workflows_list
from governor.actions.scorecard import Scorecard, scorecard
from governor.web.changes import PROPOSERS
from governor.web.newer_calls import SHOWS_SUMS
from governor.web.plots import share_bar, spark
from governor.web.shell import render, type_of_request
from governor.web.slices import Slice, slice_of

STATES: Final = (
    ("", "any state"),
    ("governed", "governed"),
    ("unapproved", "unapproved calls"),
    ("lapsed", "approval lapsed"),
    ("no_route", "no route"),
)
RISKS: Final = ("high", "medium", "low")


@dataclass(frozen=True)
class RegistryPage:
    slice: Slice[dict[str, Any]]
    period: str
    search: str
    owner: str
    risk: str
    state: str
    owners: list[str]
    states: tuple[tuple[str, str], ...]
    risks: tuple[str, ...]
    total: int


@dataclass(frozen=True)
class WorkflowPage:
    workflow: dict[str, Any]
    month: dict[str, Any]
    trend: Markup
    budget: Markup
    may_propose: bool
    card: Scorecard | None


@get("/workflows", opt=SHOWS_SUMS, sync_to_thread=True)
def show_workflows(
    request: type_of_request,
    ctx: Context,
    search: Annotated[str, Parameter(query="q")] = "",
    owner: Annotated[str, Parameter(query="owner")] = "",
    risk: Annotated[str, Parameter(query="risk")] = "",
    in_state: Annotated[str, Parameter(query="state")] = "",
    page: Annotated[int, Parameter(query="page", ge=1)] = 1,
) -> Response[str]:
    period = newest_month(ctx)
    every = workflows_list(ctx, period)
    rows = (
        workflows_list(ctx, period, search=search, owner=owner, risk=risk, state=in_state) if search or owner or risk or in_state else every
    )
    return render(
        request,
        "workflows.html",
        RegistryPage(
            slice=slice_of(rows, page, "/workflows", {"q": search, "owner": owner, "risk": risk, "state": in_state}),
            period=period,
            search=search,
            owner=owner,
            risk=risk,
            state=in_state,
            owners=sorted({row["owner"] for row in every}),
            states=STATES,
            risks=RISKS,
            total=len(every),
        ),
    )


@get("/workflows/{workflow_id:str}", opt=SHOWS_SUMS, sync_to_thread=True)
def show_workflow(
    request: type_of_request, ctx: Context, actor: Actor, workflow_id: str, period: Annotated[str, Parameter(query="period")] = ""
) -> Response[str]:
    period = period or newest_month(ctx)
    workflow = workflow_document(ctx, workflow_id, period)
    page = WorkflowPage(
        workflow=workflow,
        month=month_frame(ctx, period),
        trend=spark([Decimal(day["cost"]) for day in workflow["days"]], f"spend a day in {period}"),
        budget=budget_bar(workflow),
        may_propose=bool(actor.roles & PROPOSERS),
        card=next(iter(scorecard(ctx, period, workflow=workflow_id)), None),
    )
    return render(request, "workflow.html", page)


def budget_bar(workflow: dict[str, Any]) -> Markup:
    """Spend against the monthly budget; nothing where there is no budget."""
    if not workflow["monthly_budget"] or not workflow["total"] or not Decimal(workflow["monthly_budget"]):
        return Markup("")
    share = Decimal(workflow["total"]["contracted_cost"]) / Decimal(workflow["monthly_budget"])
    return share_bar(share, "bad" if share > 1 else "warn" if share > Decimal("0.9") else "plain", f"{share:.0%} of the monthly budget")


ROUTES = [show_workflows, show_workflow]
