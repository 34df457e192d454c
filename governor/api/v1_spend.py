"""`/api/v1/spend`: a month's spend by one cut (prompt version among them), and by the parts of assembled prompts."""

from __future__ import annotations

from typing import Annotated, Final, TypedDict, cast

from litestar import get
from litestar.params import Parameter

from governor.actions.context import Context
from governor.actions.month_view import newest_month
from governor.actions.show_segments import BY, show_segments
from governor.actions.show_spend import CUTS, spend_table
from governor.api.months import NewestMonth
from governor.api.v1_usage import UsageSums

TAGS: Final = ["usage"]
Workflow = Annotated[str, Parameter(query="workflow", description="Only this workflow; `-`: calls without.")]
Prompt = Annotated[str, Parameter(query="prompt", description="Only this prompt; `-`: calls without.")]


class CutSums(UsageSums):
    """cost_per_call: of priced calls; share: of the whole. Beside them stand the dimensions of the cut."""

    cost_per_call: str | None
    share: str


class SpendCut(TypedDict):
    """totals: null in a month without calls."""

    period: str
    by: str
    dimensions: list[str]
    snapshot: int | None
    rows: list[CutSums]
    totals: UsageSums | None


class PartSums(TypedDict):
    """share: of the row with the same dimensions, which stand beside it."""

    part: str
    segment: str | None
    calls: int
    tokens: int | None
    cost: str
    share: str


class PromptParts(TypedDict):
    """quiet_calls: say nothing of their parts; scaled_calls: their parts said more than their input."""

    period: str
    by: list[str]
    snapshot: int | None
    calls: int
    cost: str
    quiet_calls: int
    scaled_calls: int
    unpriced_calls: int
    parts: list[PartSums]
    rows: list[PartSums]


@get("/spend", sync_to_thread=True, tags=TAGS)
def show_cut(
    ctx: Context,
    period: NewestMonth = "",
    by: Annotated[str, Parameter(query="by", description=f"One of {', '.join(CUTS)}.")] = "workflow",
    workflow: Workflow = "",
    prompt: Prompt = "",
) -> SpendCut:
    """Calls, tokens, contracted cost, cost of one call and share, dearest first; `by=prompt`: per prompt and its version, null for calls without."""
    return cast("SpendCut", spend_table(ctx, period or newest_month(ctx), by=by, only=given(workflow=workflow, prompt=prompt)))


@get("/spend/segments", sync_to_thread=True, tags=TAGS)
def show_parts(
    ctx: Context,
    period: NewestMonth = "",
    by: Annotated[str, Parameter(query="by", description=f"Comma separated: {', '.join(BY)}.")] = "workflow",
    workflow: Workflow = "",
    prompt: Prompt = "",
) -> PromptParts:
    """Who pays for which part of an assembled prompt, over the calls that say how many input tokens each part has.

    `part` is `segment` (with its name), `smaller`, `unsaid`, `output` or `apart`; the costs sum to `cost`.
    """
    chosen = [part.strip() for part in by.split(",") if part.strip()]
    found = show_segments(ctx, period or newest_month(ctx), by=chosen, only=given(workflow=workflow, prompt=prompt))
    return cast("PromptParts", found)


def given(**filters: str) -> dict[str, str]:
    return {name: value for name, value in filters.items() if value}


ROUTES = [show_cut, show_parts]
