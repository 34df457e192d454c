"""The budgets page: limits of a month, what it will come to, why it differs from the month before, and what was told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from litestar import Response, get, post
from litestar.params import Parameter
from litestar.response import Redirect
from markupsafe import Markup

from governor.actions.context import Actor, Context
from governor.actions.explain_spend import explain_spend
from governor.actions.forecast_month import SCOPES, forecast_document
from governor.actions.load_catalog import catalog_as_of
from governor.actions.month_view import month_frame, newest_month
from governor.actions.notify import NoticeDocument, notices, notify_test
from governor.actions.show_budgets import BudgetRow, show_budgets
from governor.chargeback.period import month_days
from governor.errors import GovernorError, Invalid
from governor.web.charts import svg
from governor.web.money_charts import forecast_spec, waterfall_spec
from governor.web.newer_calls import SHOWS_SUMS
from governor.web.plots import share_bar
from governor.web.shell import Flash, go, render, type_of_request
from governor.web.slices import Slice, slice_of
from governor.web.spend import SIZES, Period

TONES: Final = {"over": "bad", "heading_over": "warn", "near": "warn", "within": "good"}
BARS: Final = {"over": "bad", "heading_over": "warn", "near": "warn", "within": "plain"}
STATES: Final = {"over": "used up", "heading_over": "heading over", "near": "threshold reached", "within": "within"}
MOST_TOLD: Final = 20


@dataclass(frozen=True)
class Row:
    """One budget: its facts, bar, words of its state, where its forecast is shown."""

    facts: BudgetRow
    bar: Markup
    tone: str
    label: str
    link: str


@dataclass(frozen=True)
class BudgetsPage:
    month: dict[str, Any]
    slice: Slice[Row]
    forecast: dict[str, Any]
    budget: str | None
    scope: tuple[str, str]
    as_of: str
    chart: str
    why: dict[str, Any]
    waterfall: str
    told: list[NoticeDocument]
    notifications: list[str]
    may_test: bool
    kept: dict[str, str]


@get("/budgets", opt=SHOWS_SUMS, sync_to_thread=True)
def show(
    request: type_of_request,
    ctx: Context,
    actor: Actor,
    period: Period = "",
    as_of: Annotated[str, Parameter(query="as_of")] = "",
    page: Annotated[int, Parameter(query="page", ge=1)] = 1,
) -> Response[str]:
    period = period or newest_month(ctx)
    dimension, value = scope_of(request)
    day = day_of(as_of)
    found = show_budgets(ctx, period, as_of=day)
    rows = [row_of(one, period) for one in found["rows"]]
    only = {dimension: value} if dimension else {}
    chart = urlencode({"period": period, **only, **({"as_of": as_of} if as_of else {})})
    shown = BudgetsPage(
        month=month_frame(ctx, period),
        slice=slice_of(rows, page, "/budgets", {"period": period, **only}),
        forecast=forecast_document(ctx, period, dimension, value, as_of=day),
        budget=limit_of(found["rows"], dimension, value),
        scope=(dimension, value),
        as_of=as_of,
        chart=f"/budgets/forecast.svg?{chart}",
        why=explain_spend(ctx, period, only=only),
        waterfall=f"/budgets/movement.svg?{urlencode({'period': period, **only})}",
        told=notices(ctx, limit=MOST_TOLD),
        notifications=sorted(catalog_as_of(ctx).notifications),
        may_test="admin" in actor.roles,
        kept={**only, **({"as_of": as_of} if as_of else {})},
    )
    return render(request, "budgets.html", shown)


@get("/budgets/forecast.svg", opt=SHOWS_SUMS, sync_to_thread=True)
def forecast_chart(
    request: type_of_request,
    ctx: Context,
    period: Period,
    as_of: Annotated[str, Parameter(query="as_of")] = "",
    size: Annotated[str, Parameter(query="size", pattern=f"^({'|'.join(SIZES)})$")] = "wide",
) -> Response[str]:
    dimension, value = scope_of(request)
    day = day_of(as_of)
    limit = limit_of(show_budgets(ctx, period, dimension=dimension, value=value, as_of=day)["rows"], dimension, value)
    width, height = SIZES[size]
    found = forecast_document(ctx, period, dimension, value, as_of=day)
    return image(svg(forecast_spec(found, month_days(period), limit, width=width, height=height)))


@get("/budgets/movement.svg", opt=SHOWS_SUMS, sync_to_thread=True)
def movement_chart(
    request: type_of_request,
    ctx: Context,
    period: Period,
    size: Annotated[str, Parameter(query="size", pattern=f"^({'|'.join(SIZES)})$")] = "wide",
) -> Response[str]:
    dimension, value = scope_of(request)
    width, height = SIZES[size]
    found = explain_spend(ctx, period, only={dimension: value} if dimension else {})
    return image(svg(waterfall_spec(found, width=width, height=height)))


@post("/notifications/{notification:str}/test", sync_to_thread=True)
def try_notification(ctx: Context, actor: Actor, notification: str) -> Redirect:
    """Send a test notice; what stands in the way is shown on the page. Role admin, asked for in the action."""
    try:
        flash = Flash("good", f"{notification}: delivered", notify_test(ctx, actor, notification)["result"])
    except GovernorError as error:
        flash = Flash("bad", f"{notification}: not delivered", " ".join(f"{error.message}. {error.hint}".split()))
    return go("/budgets#told", flash)


def image(text: str) -> Response[str]:
    return Response(text, media_type="image/svg+xml", headers={"Cache-Control": "private, max-age=60"})


def scope_of(request: type_of_request) -> tuple[str, str]:
    """Whose spend, from the address; ("", "") for all of it."""
    chosen = [(name, value) for name in SCOPES if (value := request.query_params.get(name, ""))]
    if len(chosen) > 1:
        raise Invalid("a forecast has one scope", hint="give one of workflow, owner, cost_center")
    return chosen[0] if chosen else ("", "")


def day_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Invalid("as_of: not a day", hint="write it as YYYY-MM-DD") from None


def limit_of(rows: list[BudgetRow], dimension: str, value: str) -> str | None:
    """The lowest budget of exactly this scope."""
    wanted = {dimension: value} if dimension else {"organization": True}
    limits = [row["limit"] for row in rows if row["scope"] == wanted]
    return min(limits, key=Decimal, default=None)


def row_of(found: BudgetRow, period: str) -> Row:
    scope = {name: str(value) for name, value in found["scope"].items() if name in SCOPES}
    share = Decimal(found["spent"]) / Decimal(found["limit"])
    return Row(
        facts=found,
        bar=share_bar(share, BARS[found["state"]], f"{found['percent']}% of the budget spent"),
        tone=TONES[found["state"]],
        label=STATES[found["state"]],
        link=f"/budgets?{urlencode({'period': period, **scope}, quote_via=quote)}#forecast",
    )


ROUTES = [show, forecast_chart, movement_chart, try_notification]
