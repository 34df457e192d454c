"""Pages for people who compare answers: what waits, one pair a page, labels kept, taken back, submitted; the same as a spreadsheet.

Owns: the view and its forms. Does not own: who may label and what is shown (actions/review_queue.py). Works with keys (a, b, t, u) and without JavaScript.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import Parameter
from litestar.response import Redirect

from governor.actions.context import Actor, Context
from governor.actions.review_labels import label, submit, undo
from governor.actions.review_queue import ReviewRow, show_pair, waiting
from governor.actions.review_sheets import TYPES, export_sheet, import_sheet
from governor.adapters.spreadsheets import LARGEST_FILE
from governor.errors import Invalid
from governor.web.attached import attached
from governor.web.session import Form
from governor.web.shell import Flash, go, render, type_of_request

SHOWN_ERRORS: Final = 5
CHOICES: Final = (("a", "A is better"), ("b", "B is better"), ("tie", "Equally good"), ("unsure", "Cannot tell"))


@dataclass(frozen=True)
class ReviewPage:
    waiting: list[ReviewRow]


@dataclass(frozen=True)
class PairPage:
    work: dict[str, Any]
    pair: dict[str, Any] | None
    choices: tuple[tuple[str, str], ...] = CHOICES


@get("/review", sync_to_thread=True)
def show_list(request: type_of_request, ctx: Context, actor: Actor) -> Response[str]:
    return render(request, "review.html", ReviewPage(waiting(ctx, actor)))


@get("/review/{change_id:str}", sync_to_thread=True)
def show_one(
    request: type_of_request, ctx: Context, actor: Actor, change_id: str, pair: Annotated[int | None, Parameter(query="pair", ge=0)] = None
) -> Response[str]:
    found = show_pair(ctx, actor, change_id, pair)
    return render(request, "review_pair.html", PairPage(found, found["pair"]))


@post("/review/{change_id:str}/label", sync_to_thread=True)
def do_label(ctx: Context, actor: Actor, change_id: str, form: Form) -> Redirect:
    position = place(form)
    if form.text("pick") == "undo":
        undo(ctx, actor, change_id, position)
        return go(f"/review/{change_id}?pair={position}", Flash("good", "Taken back", "This pair is open again."))
    label(ctx, actor, change_id, position, form.need("pick", "which answer is better"), form.text("note"))
    return go(f"/review/{change_id}")


@post("/review/{change_id:str}/submit", sync_to_thread=True)
def do_submit(ctx: Context, actor: Actor, change_id: str) -> Redirect:
    done = submit(ctx, actor, change_id)
    return go(
        "/review",
        Flash("good", f"{done['submitted']} labels submitted on {change_id}", "They are evidence now. You cannot approve this change."),
    )


@post("/review/{change_id:str}/sheet", sync_to_thread=True)
def download(ctx: Context, actor: Actor, change_id: str, form: Form) -> Response[bytes]:
    """A POST: a sheet of captured content leaves the house."""
    kind = form.text("form", "xlsx")
    body = export_sheet(ctx, actor, change_id, form=kind, reviewer=form.text("reviewer"))
    name = re.sub(r"[^A-Za-z0-9._-]", "-", change_id)
    return attached(body, TYPES[kind], f"{name}-review.{kind}")


@post("/review/{change_id:str}/upload")
async def upload(request: type_of_request, ctx: Context, actor: Actor, change_id: str) -> Redirect:
    from anyio import to_thread

    data = await request.form()
    file = data.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise Invalid("choose the sheet to send")
    body = await file.read(LARGEST_FILE + 1)
    reviewer = str(data.get("reviewer") or "")
    done = await to_thread.run_sync(lambda: import_sheet(ctx, actor, body, reviewer=reviewer, change_id=change_id))
    told = f"{done['unchanged']} known already, {done['empty']} without a pick. " + " ".join(
        f"Row {error['row']}: {error['reason']}." for error in done["errors"][:SHOWN_ERRORS]
    )
    more = len(done["errors"]) - SHOWN_ERRORS
    tone = "warn" if done["errors"] else "good"
    return go(
        "/review",
        Flash(tone, f"{done['imported']} labels taken, {len(done['errors'])} not", told + (f" And {more} more." if more > 0 else "")),
    )


def place(form: Form) -> int:
    text = form.need("position")
    if not text.isascii() or not text.isdecimal() or len(text) > 9:  # noqa: PLR2004
        raise Invalid("position is a whole number")
    return int(text)


ROUTES = [show_list, show_one, do_label, do_submit, download, upload]
