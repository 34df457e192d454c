"""`/api/v1/spend`: a month's spend by one cut (prompt version among them), and by the parts of assembled prompts."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import get
from litestar.params import Parameter

from governor.actions.context import Context
from governor.actions.month_view import newest_month
from governor.actions.show_segments import BY, show_segments
from governor.actions.show_spend import CUTS, spend_table
from governor.api.months import NewestMonth

TAGS: Final = ["usage"]
Workflow = Annotated[str, Parameter(query="workflow", description="Only this workflow; `-`: calls without.")]
Prompt = Annotated[str, Parameter(query="prompt", description="Only this prompt; `-`: calls without.")]


@get("/spend", sync_to_thread=True, tags=TAGS)
def show_cut(
    ctx: Context,
    period: NewestMonth = "",
    by: Annotated[str, Parameter(query="by", description=f"One of {', '.join(CUTS)}.")] = "workflow",
    workflow: Workflow = "",
    prompt: Prompt = "",
) -> dict[str, Any]:
    """Calls, tokens, contracted cost, cost of one call and share, dearest first; `by=prompt`: per prompt and its version, null for calls without."""
    return spend_table(ctx, period or newest_month(ctx), by=by, only=given(workflow=workflow, prompt=prompt))


@get("/spend/segments", sync_to_thread=True, tags=TAGS)
def show_parts(
    ctx: Context,
    period: NewestMonth = "",
    by: Annotated[str, Parameter(query="by", description=f"Comma separated: {', '.join(BY)}.")] = "workflow",
    workflow: Workflow = "",
    prompt: Prompt = "",
) -> dict[str, Any]:
    """Who pays for which part of an assembled prompt, over the calls that say how many input tokens each part has.

    `part` is `segment` (with its name), `smaller`, `unsaid`, `output` or `apart`; the costs sum to `cost`.
    """
    chosen = [part.strip() for part in by.split(",") if part.strip()]
    return show_segments(ctx, period or newest_month(ctx), by=chosen, only=given(workflow=workflow, prompt=prompt))


def given(**filters: str) -> dict[str, str]:
    return {name: value for name, value in filters.items() if value}


ROUTES = [show_cut, show_parts]
