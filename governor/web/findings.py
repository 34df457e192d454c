"""What policy objects to in a month."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Response, get
from litestar.params import Parameter

from governor.actions.context import Context
from governor.actions.findings import Finding
from governor.actions.month_view import month_findings, month_frame, newest_month
from governor.web.shell import render, type_of_request
from governor.web.slices import Slice, slice_of


@dataclass(frozen=True)
class FindingsPage:
    month: dict[str, Any]
    slice: Slice[dict[str, Any]]
    counts: dict[str, int]
    status: str
    rule: str
    rules: list[str]
    total: int


@get("/findings", sync_to_thread=True)
def show_findings(
    request: type_of_request,
    ctx: Context,
    period: Annotated[str, Parameter(query="period")] = "",
    status: Annotated[str, Parameter(query="status")] = "",
    rule: Annotated[str, Parameter(query="rule")] = "",
    page: Annotated[int, Parameter(query="page", ge=1)] = 1,
) -> Response[str]:
    period = period or newest_month(ctx)
    every: list[Finding] = month_findings(ctx, period)
    rows = [one.document() for one in every if (not status or one.status == status) and (not rule or one.rule == rule)]
    return render(
        request,
        "findings.html",
        FindingsPage(
            month=month_frame(ctx, period),
            slice=slice_of(rows, page, "/findings", {"period": period, "status": status, "rule": rule}),
            counts=dict(Counter(one.status for one in every)),
            status=status,
            rule=rule,
            rules=sorted({one.rule for one in every}),
            total=len(every),
        ),
    )


ROUTES = [show_findings]
