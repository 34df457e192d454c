"""`/api/v1/allocation`: where each shared dollar of a month goes, and rules tried on a month before they are applied."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

from litestar import get, post
from msgspec import Struct

from governor.actions.context import Context
from governor.actions.show_allocation import lines_from, show_allocation
from governor.api.money_answers import AllocationOfMonth, LineOfMonth
from governor.api.months import Month
from governor.api.slices import Items, named
from governor.catalog import parse_document
from governor.errors import TooLarge

TAGS: Final = ["periods"]
MOST: Final = 500


class AllocationTrial(Struct, forbid_unknown_fields=True):
    """documents: allocation, driver and rate_plan documents as `apply` reads them."""

    documents: list[dict[str, Any]]


@get("/periods/{month:str}/allocation", sync_to_thread=True, tags=TAGS)
def show(ctx: Context, month: Month) -> AllocationOfMonth:
    """Rules and rate plans in force, what they move, what they cannot, and every cost center's sum."""
    return cast("AllocationOfMonth", show_allocation(ctx, month))


@post("/periods/{month:str}/allocation/preview", status_code=200, sync_to_thread=True, tags=TAGS)
def preview(ctx: Context, month: Month, data: AllocationTrial) -> AllocationOfMonth:
    """Try rules on a month. Nothing is stored."""
    if len(data.documents) > MOST:
        raise TooLarge(f"{len(data.documents)} documents; at most {MOST} are tried at once")
    return cast(
        "AllocationOfMonth",
        show_allocation(ctx, month, [parse_document(one, f"document {number}") for number, one in enumerate(data.documents, start=1)]),
    )


@get("/periods/{month:str}/lines/{line:str}", sync_to_thread=True, tags=TAGS)
def show_line(ctx: Context, month: Month, line: str) -> Annotated[Items[LineOfMonth], named("LineItems")]:
    """A line and the parts it was shared out into, as the month is now."""
    return {"items": cast("list[LineOfMonth]", lines_from(ctx, month, line))}


ROUTES = [show, preview, show_line]
