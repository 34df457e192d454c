"""Shared costs: the rules in force, where each shared dollar of a month goes, and rules tried on the month before they are applied."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final

from litestar import Response, get, post
from litestar.params import Parameter

from governor.actions.context import Context
from governor.actions.month_view import month_frame, newest_month
from governor.actions.show_allocation import lines_from, show_allocation
from governor.catalog import parse_documents
from governor.errors import Invalid, TooLarge
from governor.web.allocation_chart import LARGEST, allocation_spec
from governor.web.charts import svg
from governor.web.newer_calls import SHOWS_SUMS
from governor.web.session import Form
from governor.web.shell import render, type_of_request
from governor.web.spend import Period

SIZES: Final = {"wide": 1060, "narrow": 340}
LONGEST: Final = 100_000


@dataclass(frozen=True)
class AllocationPage:
    """error: why the tried rules were refused; tried: their text."""

    month: dict[str, Any]
    found: dict[str, Any]
    drawn: int
    tried: str = ""
    error: str = ""


@dataclass(frozen=True)
class LinePage:
    month: str
    line: str
    family: list[dict[str, Any]]


@get("/allocation", opt=SHOWS_SUMS, sync_to_thread=True)
def show(request: type_of_request, ctx: Context, period: Period = "") -> Response[str]:
    month = period or newest_month(ctx)
    return render(request, "allocation.html", AllocationPage(month_frame(ctx, month), ordered(show_allocation(ctx, month)), LARGEST))


@post("/allocation/preview", status_code=200, sync_to_thread=True)
def preview(request: type_of_request, ctx: Context, form: Form) -> Response[str]:
    """Nothing is stored: the answer is the page with the tried rules."""
    month, text = form.need("period", "the month"), form.need("rules", "rules to try")
    if len(text) > LONGEST:
        raise TooLarge(f"{len(text)} characters of rules; at most {LONGEST} are tried at once")
    try:
        found, error = show_allocation(ctx, month, parse_documents(text, "rules")), ""
    except Invalid as refused:
        found, error = show_allocation(ctx, month), f"{refused}{f' ({refused.hint})' if refused.hint else ''}"
    shown = AllocationPage(month_frame(ctx, month), ordered(found), LARGEST, text, error)
    return render(request, "allocation.html", shown, at=f"/allocation?period={month}")


@get("/allocation.svg", opt=SHOWS_SUMS, sync_to_thread=True)
def chart(
    ctx: Context, period: Period, size: Annotated[str, Parameter(query="size", pattern="^(wide|narrow)$")] = "wide"
) -> Response[bytes]:
    drawn = allocation_spec(ordered(show_allocation(ctx, period))["cost_centers"], width=SIZES[size])
    return Response(svg(drawn).encode(), media_type="image/svg+xml", headers={"Cache-Control": "private, max-age=60"})


@get("/periods/{month:str}/lines/{line:str}", sync_to_thread=True)
def show_line(request: type_of_request, ctx: Context, month: str, line: str) -> Response[str]:
    """Where a line comes from and where its origin went."""
    return render(request, "period_line.html", LinePage(month, line, lines_from(ctx, month, line)))


def ordered(found: dict[str, Any]) -> dict[str, Any]:
    return found | {"cost_centers": sorted(found["cost_centers"], key=lambda row: (-Decimal(row["charge"]), row["cost_center"]))}


ROUTES = [show, preview, chart, show_line]
