"""The spend page: how much of the month is explained, what has no price, who spent what, and where it went day by day."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from litestar import Response, get
from litestar.params import Parameter
from markupsafe import Markup

from governor.actions.context import Context
from governor.actions.month_view import daily, newest_month, spend_view
from governor.web.charts import daily_spec, svg
from governor.web.plots import share_bar
from governor.web.shell import render, type_of_request

NEEDED: Final = Decimal("0.95")
PARTS: Final = (("workflow", "belongs to a workflow"), ("owner", "has an owner"), ("approved_policy", "took an approved route"))
Period = Annotated[str, Parameter(query="period")]
Workflow = Annotated[str, Parameter(query="workflow")]
Provider = Annotated[str, Parameter(query="provider")]


@dataclass(frozen=True)
class Part:
    label: str
    percent: str
    bar: Markup


@dataclass(frozen=True)
class SpendPage:
    month: dict[str, Any]
    parts: list[Part]
    coverage_bar: Markup
    workflow: str
    provider: str
    filters: str
    charts: list[tuple[str, str]]


def bar_of(percent: str, label: str) -> Markup:
    share = Decimal(percent) / 100
    return share_bar(share, "good" if share >= NEEDED else "warn", f"{label}: {percent}%", mark=NEEDED)


@get("/spend", sync_to_thread=True)
def show_spend(request: type_of_request, ctx: Context, period: Period = "", workflow: Workflow = "", provider: Provider = "") -> Response[str]:
    period = period or newest_month(ctx)
    month = spend_view(ctx, period, workflow=workflow, provider=provider)
    coverage = month["coverage"]
    filters = {name: value for name, value in (("workflow", workflow), ("provider", provider)) if value}
    query = urlencode({"period": period, **filters})
    page = SpendPage(
        month=month,
        parts=[Part(label, coverage["parts"][name], bar_of(coverage["parts"][name], label)) for name, label in PARTS],
        coverage_bar=bar_of(coverage["percent"], "mapped spend"),
        workflow=workflow,
        provider=provider,
        filters=urlencode(filters),
        charts=[(by, f"/spend/chart/{by}?{query}") for by in ("workflow", "provider")],
    )
    return render(request, "spend.html", page)


@get("/spend/chart/{by:str}", sync_to_thread=True)
def chart(
    ctx: Context,
    by: str,
    period: Period,
    workflow: Workflow = "",
    provider: Provider = "",
    width: Annotated[int, Parameter(query="width", ge=200, le=1600)] = 480,
) -> Response[str]:
    rows = daily(ctx, period, "provider" if by == "provider" else "workflow", workflow=workflow, provider=provider)
    return Response(svg(daily_spec(rows, by, width=width)), media_type="image/svg+xml", headers={"Cache-Control": "private, max-age=60"})


ROUTES = [show_spend, chart]
