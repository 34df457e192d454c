"""The spend page: how much of the month is explained, what has no price or owner, who spent what, and where it went day by day."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from litestar import Response, get
from litestar.params import Parameter
from markupsafe import Markup

from governor.actions.context import Context
from governor.actions.draft_catalog import draft_catalog
from governor.actions.forecast_month import SCOPES
from governor.actions.month_view import daily, newest_month
from governor.actions.show_spend import CUTS, FILTERS, show_spend
from governor.chargeback.period import month_days
from governor.web.attached import attached
from governor.web.charts import daily_spec, svg
from governor.web.coverage import Gate, gate_of
from governor.web.newer_calls import SHOWS_SUMS
from governor.web.plots import share_bar
from governor.web.present import percent
from governor.web.prompt_parts import PromptParts, prompt_parts
from governor.web.shell import render, type_of_request
from governor.web.slices import Slice, slice_of

STACKS: Final = ("workflow", "provider")
CUT_LABELS: Final = {name: name.replace("_", " ") for name in CUTS}
NOBODY: Final = {
    "workflow": "unattributed",
    "owner": "nobody",
    "cost_center": "unallocated",
    "model": "unknown model",
    "prompt": "- none named",
}
SIZES: Final = {"wide": (1060, 300), "narrow": (350, 300), "column": (720, 260)}
SHOWN: Final = 200  # rows of the table on one page
Period = Annotated[str, Parameter(query="period")]


@dataclass(frozen=True)
class Row:
    """label, link and bar of one row of the table; facts: its sums."""

    label: str
    link: str
    bar: Markup
    share: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class SpendPage:
    month: dict[str, Any]
    gate: Gate
    rows: Slice[Row]
    only: dict[str, str]
    stack: str
    stacks: list[tuple[str, str]]
    cuts: list[tuple[str, str, str]]
    chart: str
    kept: dict[str, str]
    ahead: str  # of whom the pages on what is to come and why it moved speak
    parts: PromptParts | None  # who pays for which part of the prompt, where the page is cut by prompt


@get("/spend", opt=SHOWS_SUMS, sync_to_thread=True)
def show(
    request: type_of_request,
    ctx: Context,
    period: Period = "",
    by: Annotated[str, Parameter(query="by")] = "workflow",
    stack: Annotated[str, Parameter(query="stack")] = "workflow",
    page: Annotated[int, Parameter(query="page", ge=1)] = 1,
) -> Response[str]:
    period = period or newest_month(ctx)
    only = filters(request)
    month = show_spend(ctx, period, by=by, only=only)
    stack = stack if stack in STACKS else STACKS[0]
    state = {"period": period, "by": by, "stack": stack, **only}
    shown = SpendPage(
        month=month,
        gate=gate_of(month["coverage"]),
        rows=slice_of([row_of(found, by, state) for found in month["rows"]], page, "/spend", state, SHOWN),
        only=only,
        stack=stack,
        stacks=[(name, link(state, stack=name)) for name in STACKS],
        cuts=[(name, label, link(state, by=name)) for name, label in CUT_LABELS.items()],
        chart=f"/spend/chart.svg?{urlencode({'period': period, 'stack': stack, **only})}",
        kept={"by": by, "stack": stack, **only},
        ahead=urlencode({"period": period, **narrowest(only)}),
        parts=prompt_parts(ctx, period, only) if by == "prompt" else None,
    )
    return render(request, "spend.html", shown)


@get("/spend/chart.svg", opt=SHOWS_SUMS, sync_to_thread=True)
def chart(
    request: type_of_request,
    ctx: Context,
    period: Period,
    stack: Annotated[str, Parameter(query="stack", pattern=f"^({'|'.join(STACKS)})$")] = "workflow",
    size: Annotated[str, Parameter(query="size", pattern=f"^({'|'.join(SIZES)})$")] = "wide",
) -> Response[str]:
    width, height = SIZES[size]
    rows = daily(ctx, period, stack, only=filters(request))
    image = svg(daily_spec(rows, stack, month_days(period), width=width, height=height))
    return Response(image, media_type="image/svg+xml", headers={"Cache-Control": "private, max-age=60"})


@get("/spend/catalog.yaml", sync_to_thread=True)
def catalog(
    ctx: Context,
    period: Period,
    at_least: Annotated[str, Parameter(query="at_least")] = "",
    by: Annotated[str, Parameter(query="by")] = "",
) -> Response[bytes]:
    made = draft_catalog(ctx, period, at_least=at_least.strip() or "0", by=by.strip())
    return attached(made.text, "application/yaml", f"catalog-{made.period}.yaml")


def filters(request: type_of_request) -> dict[str, str]:
    """What the page is narrowed to, from the address: dimension -> value, `-` for none."""
    return {name: value for name in FILTERS if (value := request.query_params.get(name, ""))}


def narrowest(only: dict[str, str]) -> dict[str, str]:
    """The one workflow, owner or cost center that the page is narrowed to; forecasts and movements have one scope."""
    chosen = {name: value for name, value in only.items() if name in SCOPES and value != "-"}
    return chosen if len(chosen) == 1 else {}


def link(state: dict[str, str], **changed: str) -> str:
    return f"/spend?{urlencode({**state, **changed})}"


def row_of(found: dict[str, Any], by: str, state: dict[str, str]) -> Row:
    """A workflow leads to its page; anything else narrows this page to itself, cut by workflow (or by model)."""
    value = found[by]
    chosen = {name: found[name] or "-" for name in (CUTS[by] if by == "prompt" else (by,))}
    narrowed = link(state, by="model" if by == "workflow" else "workflow", **chosen)
    return Row(
        label=value or NOBODY.get(by, "unknown"),
        link=f"/workflows/{quote(value, safe='')}" if by == "workflow" and value else narrowed,
        bar=share_bar(found["share"], "plain", f"{share_text(found['share'])} of the contracted cost shown"),
        share=share_text(found["share"]),
        facts=found,
    )


def share_text(share: Decimal) -> str:
    """A share that is there is never written as none."""
    return "<0.1%" if 0 < share < Decimal("0.0005") else percent(share)


ROUTES = [show, chart, catalog]
