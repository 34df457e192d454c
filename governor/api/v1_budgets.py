"""`/api/v1/budgets`, `/forecast`, `/movement`, `/notices`: limits, what a month will come to, why it moved, what was told."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Final, TypedDict, cast

from litestar import get, post
from litestar.params import Parameter

from governor.actions.context import Actor, Context
from governor.actions.explain_spend import explain_spend
from governor.actions.forecast_month import forecast_document, refuse_unknown
from governor.actions.month_view import newest_month
from governor.actions.notify import NoticeDocument, notices, notify_test
from governor.actions.show_budgets import BudgetRow, show_budgets
from governor.api.money_answers import SpendMovement
from governor.api.months import MONTH_OR_NONE, NewestMonth
from governor.api.slices import Cursor, Limit, PeriodSlice, Slice, decode, encode, named, slice_of
from governor.errors import Invalid

TAGS: Final = ["budgets"]
NOTICE: Final = re.compile(r"([0-9a-f-]{36})?")  # the id of one, or none
AsOf = Annotated[date | None, Parameter(query="as_of", description="What would have been said on the morning of this day.")]


class SentTest(TypedDict):
    """result: what the channel answered."""

    notification: str
    channel: str
    result: str


class DaySpent(TypedDict):
    day: str
    spent: str


class DayExpected(TypedDict):
    day: str
    cost: str


class ForecastDocument(TypedDict):
    """forecast, low and high: null where nothing can be said; low to high holds with probability level. scope: one field and its value, or organization: true."""

    period: str
    scope: dict[str, str | bool]
    status: str
    unknown_from: str
    known_days: int
    spent: str
    forecast: str | None
    low: str | None
    high: str | None
    level: str
    method: str
    methods: dict[str, str]
    interval_method: str
    calibrated_on: int
    calibration_span: str
    days: list[DaySpent]
    expected: list[DayExpected]


@get("/budgets", sync_to_thread=True, tags=TAGS)
def list_budgets(
    ctx: Context, limit: Limit, cursor: Cursor, period: NewestMonth = "", as_of: AsOf = None
) -> Annotated[PeriodSlice[BudgetRow], named("BudgetSlice")]:
    """Every budget of a month with spend, forecast, the day it is used up and which thresholds were told; most urgent first."""
    found = show_budgets(ctx, period or newest_month(ctx), as_of=as_of)
    return {"period": found["period"], **slice_of(found["rows"], lambda row: str(row["budget"]), limit=limit, cursor=cursor)}


@get("/forecast", sync_to_thread=True, tags=TAGS)
def show_forecast(
    ctx: Context,
    period: NewestMonth = "",
    workflow: Annotated[str, Parameter(query="workflow")] = "",
    owner: Annotated[str, Parameter(query="owner")] = "",
    cost_center: Annotated[str, Parameter(query="cost_center")] = "",
    as_of: AsOf = None,
) -> ForecastDocument:
    """What a month will come to, with an 80% interval; null where nothing can be said. At most one scope."""
    chosen = [(name, value) for name, value in (("workflow", workflow), ("owner", owner), ("cost_center", cost_center)) if value]
    if len(chosen) > 1:
        raise Invalid("a forecast has one scope", hint="give one of workflow, owner, cost_center")
    dimension, value = chosen[0] if chosen else ("", "")
    month = period or newest_month(ctx)
    refuse_unknown(ctx, month, dimension, value)
    return cast("ForecastDocument", forecast_document(ctx, month, dimension, value, as_of=as_of))


@get("/movement", sync_to_thread=True, tags=TAGS)
def show_movement(
    ctx: Context,
    period: NewestMonth = "",
    against: Annotated[
        str, Parameter(query="against", pattern=MONTH_OR_NONE, description="The other month; default: the one before.")
    ] = "",
) -> SpendMovement:
    """Why spend differs from another month, by cause and workflow; causes sum to the difference exactly."""
    return cast("SpendMovement", explain_spend(ctx, period or newest_month(ctx), against=against))


@get("/notices", sync_to_thread=True, tags=TAGS)
def list_notices(ctx: Context, limit: Limit, cursor: Cursor) -> Annotated[Slice[NoticeDocument], named("NoticeSlice")]:
    """What was told, newest first, with the state of each delivery."""
    before = decode(cursor) if cursor else ""
    if not NOTICE.fullmatch(before):
        raise Invalid("unknown cursor", hint="start again without a cursor")
    found = notices(ctx, limit=limit + 1, before=before)
    return {"items": found[:limit], "next": encode(str(found[limit - 1]["id"])) if len(found) > limit else None}


@post("/notifications/{notification:str}/test", status_code=200, sync_to_thread=True, tags=TAGS)
def test_notification(ctx: Context, actor: Actor, notification: str) -> SentTest:
    """Send a test notice now. Role admin."""
    return cast("SentTest", notify_test(ctx, actor, notification))


ROUTES = [list_budgets, show_forecast, show_movement, list_notices, test_notification]
