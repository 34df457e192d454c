"""What policy objects to in a month: violations first, then what is undecided, near a limit, and waived, each apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from litestar import Response, get
from litestar.params import Parameter

from governor.actions.context import Context
from governor.actions.findings import Finding, FindingDocument
from governor.actions.month_view import month_findings, month_frame, month_view, newest_month
from governor.actions.period_way import place_in_time
from governor.policy.metadata import SEVERITIES
from governor.web.newer_calls import SHOWS_SUMS
from governor.web.shell import render, type_of_request
from governor.web.slices import Slice, slice_of

SHOWN: Final = 20  # of each kind before a filter pages through them
NO_WORKFLOW: Final = "-"


@dataclass(frozen=True)
class Kind:
    """A status, in words."""

    status: str
    title: str
    tone: str
    lede: str


KINDS: Final = (
    Kind(
        "violation",
        "Violations",
        "bad",
        "What policy does not allow. Each goes away by changing the traffic or the catalog, or by a signed waiver.",
    ),
    Kind("undecided", "Undecided", "warn", "Policy could not say yes or no, because a fact is missing. That is never taken for a yes."),
    Kind("warning", "Close to a limit", "plain", "Allowed, but not for long."),
    Kind("waived", "Waived", "plain", "Violations somebody signed for, until the waiver ends. They count as approved while it holds."),
)


@dataclass(frozen=True)
class Section:
    """more: a link to the rest, or empty."""

    kind: Kind
    slice: Slice[FindingDocument]
    more: str


@dataclass(frozen=True)
class FindingsPage:
    month: dict[str, Any]
    sections: list[Section]
    counts: dict[str, int]
    kinds: tuple[Kind, ...]
    chosen: dict[str, str]
    rules: list[str]
    workflows: list[str]
    severities: list[str]
    total: int
    calls: int
    ahead: bool


@get("/findings", opt=SHOWS_SUMS, sync_to_thread=True)
def show(
    request: type_of_request,
    ctx: Context,
    period: Annotated[str, Parameter(query="period")] = "",
    status: Annotated[str, Parameter(query="status")] = "",
    severity: Annotated[str, Parameter(query="severity")] = "",
    rule: Annotated[str, Parameter(query="rule")] = "",
    workflow: Annotated[str, Parameter(query="workflow")] = "",
    page: Annotated[int, Parameter(query="page", ge=1)] = 1,
) -> Response[str]:
    period = period or newest_month(ctx)
    frame = month_frame(ctx, period)
    every = month_findings(ctx, period)
    chosen = {"status": status, "severity": severity, "rule": rule, "workflow": workflow}
    found = [one for one in every if fits(one, chosen)]
    return render(
        request,
        "findings.html",
        FindingsPage(
            month=frame,
            sections=sections_of(found, {"period": period, **chosen}, page),
            counts=dict(Counter(one.status for one in every)),
            kinds=KINDS,
            chosen=chosen,
            rules=sorted({one.rule for one in every}),
            workflows=sorted({one.workflow or NO_WORKFLOW for one in every}),
            severities=[name for name in SEVERITIES if any(one.severity == name for one in every)],
            total=len(every),
            calls=sum(group.calls for group in month_view(ctx, period).groups) if not every else 0,
            ahead=place_in_time(ctx, period) == "ahead",
        ),
    )


def fits(one: Finding, chosen: dict[str, str]) -> bool:
    facts = {"status": one.status, "severity": one.severity, "rule": one.rule, "workflow": one.workflow or NO_WORKFLOW}
    return all(not value or facts[name] == value for name, value in chosen.items())


def sections_of(found: Sequence[Finding], filters: dict[str, str], page: int) -> list[Section]:
    """Each status apart; with a status chosen, its pages, else the weightiest of each."""
    sections = []
    for kind in KINDS:
        rows = [one.document() for one in found if one.status == kind.status]
        if not rows:
            continue
        if filters["status"]:
            sections.append(Section(kind, slice_of(rows, page, "/findings", filters), ""))
        else:
            more = f"/findings?{urlencode({name: value for name, value in {**filters, 'status': kind.status}.items() if value})}"
            sections.append(Section(kind, Slice(rows[:SHOWN], "", total=len(rows)), more if len(rows) > SHOWN else ""))
    return sections


ROUTES = [show]
