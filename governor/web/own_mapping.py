"""A month through a person's own mapping file: a form to write or send it, tried first, then downloaded. Nothing is stored.

Owns: the form, what a trial says. Does not own: the mapping's checks, formats, bytes, who may (export_month). Invariants: a refusal leaves the text in the form;
what is downloaded is what the command writes with the same file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final

from anyio import to_thread
from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import Parameter

from governor.actions.context import Actor, Context
from governor.actions.export_month import Exported, cost_centers_of, exported, formats_described, start_mapping
from governor.actions.month_view import month_frame
from governor.errors import GovernorError, Invalid, TooLarge
from governor.web.attached import attached
from governor.web.exports import Accrual
from governor.web.newer_calls import SHOWS_SUMS
from governor.web.session import Form
from governor.web.shell import render, type_of_request

LARGEST: Final = 1 << 20
Start = Annotated[str, Parameter(query="start", max_length=40)]


@dataclass(frozen=True)
class MappingPage:
    """text: the mapping in the form; made: what a trial came to; error: why it was refused. starts: shipped mappings to begin with."""

    frame: dict[str, Any]
    text: str
    accrual: bool
    starts: dict[str, str]
    made: Exported | None = None
    error: str = ""


@get("/periods/{month:str}/mapping", opt=SHOWS_SUMS, sync_to_thread=True)
def show(request: type_of_request, ctx: Context, month: str, start: Start = "", accrual: Accrual = False) -> Response[str]:
    frame = month_frame(ctx, month)
    name = start or ("netsuite" if accrual else "stripe")
    return render(request, "own_mapping.html", page_of(frame, start_mapping(name, cost_centers_of(ctx, month)), accrual=accrual))


@post("/periods/{month:str}/mapping")
async def use(request: type_of_request, ctx: Context, actor: Actor, month: str, form: Form) -> Response[Any]:
    accrual, text = form.text("accrual") == "true", form.secret("mapping")
    frame = await to_thread.run_sync(partial(month_frame, ctx, month))
    try:
        text = await sent_file(request) or text.replace("\r\n", "\n")
        made = await to_thread.run_sync(partial(exported, ctx, actor, month, "", mapping=text, accrual=accrual))
    except GovernorError as refused:
        if refused.status not in {409, 413, 422}:
            raise
        told = f"{refused}{f' ({refused.hint})' if refused.hint else ''}"
        return render(request, "own_mapping.html", page_of(frame, text[:LARGEST], accrual=accrual, error=told), status=refused.status)
    if form.text("do") == "download":
        return attached(made.body, made.media_type, made.name, made.sha256)
    return render(request, "own_mapping.html", page_of(frame, text, accrual=accrual, made=made))


async def sent_file(request: type_of_request) -> str:
    """The text of a file that was sent, empty without one. Raises TooLarge, Invalid."""
    file = (await request.form()).get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        return ""
    body = await file.read(LARGEST + 1)
    if len(body) > LARGEST:
        raise TooLarge(f"the mapping file is larger than {LARGEST:,} bytes")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Invalid("the mapping file is not UTF-8 text") from None


def page_of(frame: dict[str, Any], text: str, *, accrual: bool, made: Exported | None = None, error: str = "") -> MappingPage:
    found = formats_described()
    starts = {name: one.about for name, one in found.items() if one.records == "journal" or (one.records == "events" and not accrual)}
    return MappingPage(frame, text, accrual, starts, made, error)


ROUTES = [show, use]
