"""`/api/v1/usage`, `/findings`, `/calls`, `/content`: what was used at what cost, what policy objects to, the calls, and erasing what they said."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any, Final, TypedDict, cast

from litestar import Response, get, post
from litestar.background_tasks import BackgroundTask
from litestar.params import Parameter
from litestar.response import File
from msgspec import Meta, Struct

from governor.actions.context import Actor, Context
from governor.actions.erase import erase
from governor.actions.export_calls import export_calls
from governor.actions.findings import STATUS_WEIGHT, Finding, FindingDocument, findings
from governor.actions.month_view import this_month
from governor.actions.raw_record import raw_record
from governor.actions.show_call import kept_from
from governor.actions.usage import DIMENSIONS, usage_report
from governor.api.bodies import download, raw_answer
from governor.api.call_columns import call_answer
from governor.api.months import MONTH, MONTH_OR_NONE
from governor.api.slices import Cursor, Limit, PeriodSlice, named, slice_of
from governor.errors import Invalid, NotFound

Period = Annotated[str, Parameter(query="period", pattern=MONTH, description="Calendar month of the billing zone, YYYY-MM.")]
AsOf = Annotated[
    str,
    Parameter(query="as_of", pattern="^(event|now)$", description="event: the catalog as it was when each call happened; now: today's."),
]
OCTETS: Final = "application/octet-stream"
PARQUET: Final = "application/vnd.apache.parquet"


class UsageSums(TypedDict):
    """Token sums are null where no call of the row knew its usage. Beside it stand the dimensions of `by`, null where a call says none."""

    calls: int
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    list_cost: str
    contracted_cost: str
    unpriced_calls: int
    gateway_cost: str | None
    provider_cost: str | None
    ledger_cost: str


class CoverageParts(TypedDict):
    workflow: str
    owner: str
    approved_policy: str


class UnpricedExposure(TypedDict):
    low: str
    middle: str
    high: str


class CoverageDocument(TypedDict):
    """Percentages are cut, never rounded up; of nothing they are 100."""

    mapped_spend: str
    total_spend: str
    percent: str
    sufficient: bool
    nothing_to_cover: bool
    parts: CoverageParts
    calls: int
    mapped_calls: int
    unpriced_calls: int
    unpriced_exposure: UnpricedExposure


class SuggestedRule(TypedDict):
    """A rule that would attribute calls nobody owns; looks_like: a workflow of the catalog."""

    match: str
    calls: int
    spend: str
    looks_like: str | None
    yaml: str


class UsageReport(TypedDict):
    period: str
    snapshot: int | None
    as_of: str
    price_book: str
    policy_revision: str
    catalog: str
    rows: list[UsageSums]
    coverage: CoverageDocument
    suggestions: list[SuggestedRule]


class ErasedContent(TypedDict):
    calls: int
    objects: int
    erased: int


@get("/usage", sync_to_thread=True, tags=["usage"])
def show_usage(
    ctx: Context,
    period: Period,
    by: Annotated[str, Parameter(query="by", description=f"Comma separated: {', '.join(DIMENSIONS)}.")] = "workflow",
    as_of: AsOf = "event",
) -> UsageReport:
    """Calls, inclusive token sums and exact cost of a month, with coverage and what would map the rest."""
    return cast("UsageReport", usage_report(ctx, period, [part.strip() for part in by.split(",") if part.strip()], as_of=as_of))


@get("/findings", sync_to_thread=True, tags=["usage"])
def list_findings(
    ctx: Context,
    limit: Limit,
    cursor: Cursor,
    period: Annotated[
        str, Parameter(query="period", pattern=MONTH_OR_NONE, description="YYYY-MM of the billing zone; default: this month.")
    ] = "",
    workflow: Annotated[str, Parameter(query="workflow")] = "",
    rule: Annotated[str, Parameter(query="rule", description="Such as model.approved.")] = "",
    status: Annotated[str, Parameter(query="status", description="violation, undecided, waived or warning.")] = "",
    as_of: AsOf = "event",
) -> Annotated[PeriodSlice[FindingDocument], named("FindingSlice")]:
    """Violations, what is undecided, waived or near a limit; with calls, cost at risk and example record ids."""
    if status not in {"", *STATUS_WEIGHT}:
        raise Invalid(f"no finding has status {status!r}", hint=f"choose from {', '.join(STATUS_WEIGHT)}")
    month = period or this_month(ctx)
    found = [
        one
        for one in findings(ctx, month, as_of=as_of)
        if workflow in {"", one.workflow} and rule in {"", one.rule} and status in {"", one.status}
    ]
    page = slice_of(found, key, limit=limit, cursor=cursor)
    return {"period": month, "items": [one.document() for one in page["items"]], "next": page["next"]}


def key(one: Finding) -> str:
    return "\x1f".join(str(part) for part in (one.status, one.rule, one.workflow, one.message))


@get("/calls/export", sync_to_thread=True, tags=["calls"], media_type=PARQUET, operation_class=raw_answer(PARQUET))
def export(ctx: Context, actor: Actor, period: Period) -> File:
    """The month's canonical calls as a Parquet file, cost bearing or not, every column; what may quote a prompt is null without role security."""
    scratch = ctx.settings.home / "scratch"
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    with NamedTemporaryFile(dir=scratch, suffix=".parquet", delete=False) as file:
        path = Path(file.name)
    try:
        rows = export_calls(ctx, actor, period, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return File(
        path,
        filename=f"calls-{period}.parquet",
        media_type=PARQUET,
        headers={"Governor-Rows": str(rows), "Cache-Control": "no-store"},
        background=BackgroundTask(path.unlink, missing_ok=True),
    )


@get("/calls/{record_id:str}", sync_to_thread=True, tags=["calls"], operation_class=call_answer())
def show_call(ctx: Context, actor: Actor, record_id: str) -> dict[str, Any]:
    """One call with its canonical columns; prompts and outputs are never here, and what may quote them is null without role security."""
    found: list[dict[str, Any]] = ctx.lake.calls([record_id]).to_pylist()
    if not found:
        raise NotFound(f"no call {record_id}")
    return found[0] | dict.fromkeys(kept_from(actor))


@get("/calls/{record_id:str}/raw", sync_to_thread=True, tags=["calls"], media_type=OCTETS, operation_class=raw_answer(OCTETS))
def raw(ctx: Context, actor: Actor, record_id: str) -> Response[bytes]:
    """The call's record as its source sent it, where it was archived. Role security."""
    found = raw_record(ctx, actor, record_id)
    return download(found.body, OCTETS, f"record-{found.sha256[:16]}", **{"Governor-SHA256": found.sha256})


class ContentErasure(Struct, forbid_unknown_fields=True):
    """Which calls' content goes (all that is given must hold), and why; the reason goes on record."""

    reason: str
    record_ids: Annotated[list[str], Meta(max_length=10_000)] = []
    end_user: str = ""
    before: datetime | None = None


@post("/content/erase", status_code=200, sync_to_thread=True, tags=["calls"])
def erase_content(ctx: Context, actor: Actor, data: ContentErasure) -> ErasedContent:
    """Erase prompts, answers and archived records of calls; hashes, calls and proofs stay. Role admin or security."""
    if data.before is not None and data.before.tzinfo is None:
        raise Invalid("before: give the instant with its offset, such as 2026-01-01T00:00:00Z")
    found = erase(ctx, actor, record_ids=data.record_ids, end_user=data.end_user, before=data.before, reason=data.reason)
    return cast("ErasedContent", found)


ROUTES = [show_usage, list_findings, export, show_call, raw, erase_content]
