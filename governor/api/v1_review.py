"""`/api/v1/review`: the queue of people who compare answers blind, as pages and spreadsheets use it."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

from litestar import Request, Response, delete, get, post
from litestar.params import Parameter
from msgspec import Struct

from governor.actions.context import Actor, Context
from governor.actions.review_labels import label, submit, undo
from governor.actions.review_queue import ReviewRow, show_pair, waiting
from governor.actions.review_sheets import TYPES, export_sheet, import_sheet
from governor.api.bodies import raw_answer, raw_body, unpack
from governor.api.review_answers import LabelledPair, PairToReview, SubmittedLabels, TakenSheet
from governor.api.slices import LARGEST_WHOLE, Items, Whole, named
from governor.errors import Invalid

TAGS: Final = ["review"]
Reviewer = Annotated[str, Parameter(query="reviewer", max_length=200, description="Who compares, where it is not you.")]
Position = Annotated[
    int | None, Parameter(query="position", ge=0, le=LARGEST_WHOLE, description="Pair to show; the first open one without it.")
]


class ReviewPick(Struct, forbid_unknown_fields=True):
    """pick: a | b | tie | unsure, for the answers as they are shown."""

    pick: str
    note: str = ""


@get("/review", sync_to_thread=True, tags=TAGS)
def all_waiting(ctx: Context, actor: Actor) -> Annotated[Items[ReviewRow], named("ReviewItems")]:
    """Changes whose answers differ and wait for people."""
    return {"items": waiting(ctx, actor)}


@get("/review/{change_id:str}", sync_to_thread=True, tags=TAGS)
def one_pair(ctx: Context, actor: Actor, change_id: str, position: Position = None) -> PairToReview:
    """A pair as request, A and B. Nothing says which side is which."""
    return cast("PairToReview", show_pair(ctx, actor, change_id, position))


@post("/review/{change_id:str}/{position:int}", status_code=200, sync_to_thread=True, tags=TAGS)
def keep_label(ctx: Context, actor: Actor, change_id: str, position: Whole, data: ReviewPick) -> LabelledPair:
    """A draft: it may be changed or taken back until it is submitted."""
    return cast("LabelledPair", label(ctx, actor, change_id, position, data.pick, data.note))


@delete("/review/{change_id:str}/{position:int}", status_code=200, sync_to_thread=True, tags=TAGS)
def take_back(ctx: Context, actor: Actor, change_id: str, position: Whole) -> LabelledPair:
    """Take a draft back."""
    return cast("LabelledPair", undo(ctx, actor, change_id, position))


@post("/review/{change_id:str}/submit", status_code=200, sync_to_thread=True, tags=TAGS)
def submit_labels(ctx: Context, actor: Actor, change_id: str) -> SubmittedLabels:
    """Your drafts become evidence; you cannot approve this change any more."""
    return cast("SubmittedLabels", submit(ctx, actor, change_id))


@get("/review/{change_id:str}/sheet/{form:str}", sync_to_thread=True, tags=TAGS, operation_class=raw_answer(*TYPES.values()))
def sheet(
    ctx: Context,
    actor: Actor,
    change_id: str,
    form: str,
    reviewer: Reviewer = "",
    every: Annotated[bool, Parameter(query="all", description="Also pairs beyond the registered part.")] = False,
) -> Response[bytes]:
    """The open pairs as csv or xlsx."""
    body = export_sheet(ctx, actor, change_id, form=form, reviewer=reviewer, everything=every)
    return Response(
        body, media_type=TYPES[form], headers={"Content-Disposition": f'attachment; filename="review.{form}"', "Cache-Control": "no-store"}
    )


@post(
    "/review/{change_id:str}/sheet",
    status_code=200,
    sync_to_thread=True,
    tags=TAGS,
    operation_class=raw_body(*TYPES.values(), "application/octet-stream"),
)
def send_sheet(
    request: Request[Actor, Any, Any], ctx: Context, actor: Actor, change_id: str, body: bytes, reviewer: Reviewer = ""
) -> TakenSheet:
    """A sheet with picks. Rows that cannot be taken are named; the same sheet again changes nothing."""
    plain = unpack(body, request.headers.get("content-encoding", ""), ctx.settings.max_body_bytes)
    if not plain:
        raise Invalid("the body is empty")
    return cast("TakenSheet", import_sheet(ctx, actor, plain, reviewer=reviewer, change_id=change_id))


ROUTES = [all_waiting, one_pair, keep_label, take_back, submit_labels, sheet, send_sheet]
