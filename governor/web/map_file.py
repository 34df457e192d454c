"""A log of one's own format by hand: its mapping is drafted, corrected in a form, tried, downloaded, used. Works without JavaScript.

Owns: the form and what it shows. Does not own: guesses, checks, trials, storing (actions/map_upload.py). Invariants: a refusal leaves the text in the form;
the first records travel with the form and lie nowhere, so that only an ingest wants the file again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from anyio import to_thread
from litestar import Response, get, post
from litestar.datastructures import UploadFile

from governor.actions.context import BRINGERS, Actor, Context
from governor.actions.draft_mapping import named_after
from governor.actions.map_upload import LARGEST, draft_upload, ingest_mapped, try_mapping
from governor.errors import GovernorError, Invalid
from governor.web.attached import attached
from governor.web.ingested import ingested
from governor.web.session import Form
from governor.web.shell import go, render, type_of_request

SHOWN_AGAIN: Final = {409, 413, 422}  # refusals that the form can answer


@dataclass(frozen=True)
class MapPage:
    """text: the mapping in the form; sample: the first records; made: what a trial came to, whole: of all of the file; reader: a connector that reads the file anyway."""

    file: str = ""
    text: str = ""
    sample: str = ""
    source: str = ""
    reader: str = ""
    made: dict[str, Any] | None = None
    error: str = ""
    limit_mib: int = 0
    drafted: bool = False
    whole: bool = False


@get("/sources/mapping", sync_to_thread=False)
def show(request: type_of_request, ctx: Context, actor: Actor) -> Response[str]:
    actor.require(*BRINGERS)
    return page_of(request, ctx, MapPage())


def page_of(request: type_of_request, ctx: Context, page: MapPage, status: int = 200) -> Response[str]:
    return render(request, "map_file.html", MapPage(**{**vars(page), "limit_mib": ctx.settings.max_body_bytes >> 20}), status=status)


async def draft_page(request: type_of_request, ctx: Context, actor: Actor, file: UploadFile, source: str) -> Response[str]:
    """The page with a mapping drafted from a file that was sent. Raises Invalid for what is no log."""
    await file.seek(0)
    made = await to_thread.run_sync(partial(draft_upload, ctx, actor, file.filename, file.file))
    page = MapPage(made["file"], made["mapping"], made["sample"], source, made["reader"], drafted=True)
    return page_of(request, ctx, page)


@post("/sources/mapping")
async def use(request: type_of_request, ctx: Context, actor: Actor, form: Form) -> Response[Any]:
    actor.require(*BRINGERS)
    sent = (await request.form()).get("file")
    file = sent if isinstance(sent, UploadFile) and sent.filename else None
    do, text, sample, source = form.text("do"), form.secret("mapping").replace("\r\n", "\n"), form.secret("sample"), form.text("source")
    page = MapPage(form.text("name"), text[:LARGEST], sample, source)
    if do == "download":  # also one that is not finished
        return attached(text[:LARGEST], "application/yaml", f"{named_after(page.file)}.yaml")
    try:
        if do == "draft":
            if file is None:
                raise Invalid("choose a file of the log")
            return await draft_page(request, ctx, actor, file, source)
        if do == "ingest":
            if file is None:
                raise Invalid("choose the file again", hint="a page cannot keep it; only its first records travel with the form")
            done = await to_thread.run_sync(partial(ingest_mapped, ctx, actor, text, file.filename, file.file, source=source))
            return go("/sources", ingested(done))
        given = (file.filename, file.file) if file else ("", None)
        made = await to_thread.run_sync(partial(try_mapping, ctx, actor, text, sample, *given))
    except GovernorError as refused:
        if refused.status not in SHOWN_AGAIN:
            raise
        told = f"{refused.abroad}{f' ({refused.hint})' if refused.hint else ''}"
        return page_of(request, ctx, MapPage(**{**vars(page), "error": told}), refused.status)
    return page_of(request, ctx, MapPage(**{**vars(page), "made": made, "whole": file is not None}))


ROUTES = [show, use]
