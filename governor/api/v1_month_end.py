"""`/api/v1/periods/.../checklist` and the way to a close and back: soft close, signature, reopening, disputes."""

from __future__ import annotations

from typing import Annotated, Final, cast

from litestar import Response, get, post
from litestar.params import Parameter
from msgspec import Struct

from governor.actions.accruals import accrual_of
from governor.actions.close_checklist import close_checklist
from governor.actions.context import Actor, Context
from governor.actions.dispute_line import DisputeDocument, answer_dispute, dispute_line, list_disputes
from governor.actions.reopen_period import VersionRow, reopen, version_file, versions
from governor.actions.sign_close import withdraw
from governor.actions.soft_close import soft_close
from governor.api.bodies import ANY, download, raw_answer
from governor.api.month_answers import Accrual, CloseChecklist, Reopening, SoftClose, WithdrawnClose
from governor.api.months import Month
from governor.api.slices import Cursor, Items, Limit, Slice, Whole, named, slice_of

TAGS: Final = ["periods"]


class PeriodReason(Struct, forbid_unknown_fields=True):
    reason: str = ""


class NewDispute(Struct, forbid_unknown_fields=True):
    """line: line_id of the statement."""

    line: str
    reason: str


class DisputeAnswer(Struct, forbid_unknown_fields=True):
    """verdict: upheld or rejected."""

    verdict: str
    answer: str


@get("/periods/{month:str}/checklist", sync_to_thread=True, tags=TAGS)
def checklist(ctx: Context, month: Month) -> CloseChecklist:
    """What is done, what blocks the close, and who may act."""
    return cast("CloseChecklist", close_checklist(ctx, month))


@post("/periods/{month:str}/soft-close", status_code=200, sync_to_thread=True, tags=TAGS)
def do_soft_close(ctx: Context, actor: Actor, month: Month) -> SoftClose:
    """Accrue the month, once: captured plus expected by cost center. Its journal: `/exports/FORMAT?accrual=true`. Role finance or admin."""
    return cast("SoftClose", soft_close(ctx, actor, month))


@get("/periods/{month:str}/accrual", sync_to_thread=True, tags=TAGS)
def show_accrual(ctx: Context, month: Month) -> Accrual:
    """The accrual of the month; 404 when it is not soft closed."""
    return cast("Accrual", accrual_of(ctx, month))


@post("/periods/{month:str}/withdraw", status_code=200, sync_to_thread=True, tags=TAGS)
def do_withdraw(ctx: Context, actor: Actor, month: Month, data: PeriodReason) -> WithdrawnClose:
    """Take back the first signature of a close that waits for a second person, or a close that broke off."""
    return cast("WithdrawnClose", withdraw(ctx, actor, month, data.reason))


@post("/periods/{month:str}/reopen", status_code=200, sync_to_thread=True, tags=TAGS)
def do_reopen(ctx: Context, actor: Actor, month: Month, data: PeriodReason) -> Reopening:
    """Ask to reopen the newest closed month, or agree when another person asked."""
    return cast("Reopening", reopen(ctx, actor, month, data.reason))


@get("/periods/{month:str}/versions", sync_to_thread=True, tags=TAGS)
def list_versions(ctx: Context, month: Month) -> Annotated[Items[VersionRow], named("VersionItems")]:
    """Closes of the month that were reopened."""
    return {"items": versions(ctx, month)}


@get("/periods/{month:str}/versions/{version:int}/files/{name:str}", sync_to_thread=True, tags=TAGS, operation_class=raw_answer(ANY))
def fetch_version_file(ctx: Context, month: Month, version: Whole, name: str) -> Response[bytes]:
    """One file of a reopened close, the bytes it was closed with."""
    found = version_file(ctx, month, version, name)
    return download(found.body, found.media_type, found.name, **{"Governor-SHA256": found.sha256})


@get("/disputes", sync_to_thread=True, tags=TAGS)
def disputes(
    ctx: Context, limit: Limit, cursor: Cursor, period: Annotated[str, Parameter(query="period")] = ""
) -> Annotated[Slice[DisputeDocument], named("DisputeSlice")]:
    """Disputes and their answers, newest first."""
    return slice_of(list_disputes(ctx, period), lambda one: str(one["id"]), limit=limit, cursor=cursor)


@post("/periods/{month:str}/disputes", sync_to_thread=True, tags=TAGS)
def do_dispute(ctx: Context, actor: Actor, month: Month, data: NewDispute) -> DisputeDocument:
    """Disagree with a line of a closed statement."""
    return dispute_line(ctx, actor, month, data.line, data.reason)


@post("/disputes/{dispute:str}/answer", status_code=200, sync_to_thread=True, tags=TAGS)
def do_answer(ctx: Context, actor: Actor, dispute: str, data: DisputeAnswer) -> DisputeDocument:
    """Answer a dispute somebody else opened. Role finance or admin."""
    return answer_dispute(ctx, actor, dispute, data.verdict, data.answer)


ROUTES = [
    checklist, do_soft_close, show_accrual, do_withdraw, do_reopen, list_versions, fetch_version_file, disputes, do_dispute, do_answer,
]  # fmt: skip
