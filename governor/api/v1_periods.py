"""`/api/v1/periods`: look at a month, close it, sign an exception, fetch its files."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, TypedDict, cast

from litestar import Response, get, post
from msgspec import Struct

from governor.actions.browse_periods import list_periods, period_file, period_status
from governor.actions.close_period import close, closed_files
from governor.actions.context import Actor, Context
from governor.actions.except_coverage import except_coverage
from governor.actions.reopen_period import FileRow
from governor.api.bodies import ANY, download, raw_answer
from governor.api.month_answers import ClosedPeriod, CoverageExceptionDocument, PeriodPreview, PeriodStatus
from governor.api.months import Month
from governor.api.slices import Cursor, Items, Limit, Slice, named, slice_of
from governor.errors import Invalid

TAGS: Final = ["periods"]


class NewCoverageException(Struct, forbid_unknown_fields=True):
    """expires_at: an instant with a time zone; default: in 14 days."""

    reason: str
    compensating_control: str
    expires_at: datetime | None = None


class MonthWithStatus(TypedDict):
    """status: what closing would do now, or did; null for older open months."""

    month: str
    state: str
    calls: int
    closed_at: datetime | None
    closed_by: str
    status: PeriodPreview | None


@get("/periods", sync_to_thread=True, tags=TAGS)
def list_all(ctx: Context, limit: Limit, cursor: Cursor) -> Annotated[Slice[MonthWithStatus], named("MonthSlice")]:
    """Months with calls or with a state, newest first."""
    return slice_of(cast("list[MonthWithStatus]", list_periods(ctx)), lambda one: str(one["month"]), limit=limit, cursor=cursor)


@get("/periods/{month:str}", sync_to_thread=True, tags=TAGS)
def show(ctx: Context, month: Month) -> PeriodStatus:
    """What closing would do now (coverage, totals, corrections, what stands in the way), or what the close did; and where the month stands on its way."""
    return cast("PeriodStatus", period_status(ctx, month))


@post("/periods/{month:str}/close", status_code=200, sync_to_thread=True, tags=TAGS)
def close_month(ctx: Context, actor: Actor, month: Month) -> ClosedPeriod:
    """Close the month: statements, FOCUS, journal, sealed in the ledger. Closing again answers the same. Role finance or admin."""
    done = close(ctx, actor, month)
    return cast("ClosedPeriod", {name: value for name, value in done.items() if name != "out"})


@post("/periods/{month:str}/exceptions", sync_to_thread=True, tags=TAGS)
def make_exception(ctx: Context, actor: Actor, month: Month, data: NewCoverageException) -> CoverageExceptionDocument:
    """Sign that the month may close below the coverage limit. Goes on record under your name."""
    if data.expires_at is not None and data.expires_at.tzinfo is None:
        raise Invalid("expires_at: give a time zone, such as 2026-11-15T23:59:59Z")
    return cast(
        "CoverageExceptionDocument",
        except_coverage(ctx, actor, month, reason=data.reason, compensating_control=data.compensating_control, expires_at=data.expires_at),
    )


@get("/periods/{month:str}/files", sync_to_thread=True, tags=TAGS)
def list_files(ctx: Context, month: Month) -> Annotated[Items[FileRow], named("FileItems")]:
    """Files of a closed month with their digests; 404 while it is open."""
    _, files = closed_files(ctx, month)
    return {"items": [{"name": file.name, "media_type": file.media_type, "sha256": file.sha256, "bytes": len(file.body)} for file in files]}


@get("/periods/{month:str}/files/{name:str}", sync_to_thread=True, tags=TAGS, operation_class=raw_answer(ANY))
def fetch_file(ctx: Context, month: Month, name: str) -> Response[bytes]:
    """One file of a closed month, the same bytes for ever."""
    found = period_file(ctx, month, name)
    return download(found.body, found.media_type, found.name, **{"Governor-SHA256": found.sha256, "ETag": f'"{found.sha256}"'})


ROUTES = [list_all, show, close_month, make_exception, list_files, fetch_file]
