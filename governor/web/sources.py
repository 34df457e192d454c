"""Sources: what came in, what could not be read and why, what contradicts itself; and a file by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from anyio import to_thread
from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import Parameter
from litestar.response import Redirect
from markupsafe import Markup

from governor.actions.browse_sources import (
    batches,
    conflicts,
    count_batches,
    quarantine_kinds,
    quarantined,
    sources,
    tally_quarantined,
    waiting,
)
from governor.actions.completeness import SourceTruth, completeness
from governor.actions.context import Actor, Context
from governor.actions.discard import discard, discard_all
from governor.actions.ingest_upload import AUTO, NotRecognised, ingest_upload, may_upload, offered
from governor.actions.quarantine import MOST, STATES, retry
from governor.errors import Invalid
from governor.web.ingested import ingested
from governor.web.map_file import draft_page
from governor.web.newer_calls import SHOWS_SUMS
from governor.web.plots import heat_strip
from governor.web.present import plain_connector, plural
from governor.web.prices import Page
from governor.web.session import Form
from governor.web.shell import Flash, go, render, type_of_request
from governor.web.slices import Slice, slice_of, slice_read

DAYS: Final = 14  # of the heat strip


@dataclass(frozen=True)
class SourcesPage:
    sources: list[dict[str, Any]]
    listed: Slice[dict[str, Any]]
    batches: Slice[dict[str, Any]]
    source: str
    waiting: dict[str, int]
    may_upload: bool
    connectors: dict[str, str]
    limit_mib: int
    url: str
    complete: list[SourceTruth]
    strips: dict[str, Markup]
    until: datetime


@dataclass(frozen=True)
class QuarantinePage:
    """raw: whether the reader may see the records themselves, which may hold prompts. mark: which records `open` of them are, as long as none comes or goes."""

    slice: Slice[dict[str, Any]]
    state: str
    states: tuple[str, ...]
    source: str
    sources: list[str]
    code: str
    codes: list[str]
    open: int
    mark: str
    most: int
    raw: bool
    may_decide: bool


@dataclass(frozen=True)
class ConflictsPage:
    slice: Slice[dict[str, Any]]


@get("/sources", opt=SHOWS_SUMS, sync_to_thread=True)
def show_sources(
    request: type_of_request,
    ctx: Context,
    actor: Actor,
    source: Annotated[str, Parameter(query="source")] = "",
    page: Page = 1,
    listed: Annotated[int, Parameter(query="list", ge=1)] = 1,
) -> Response[str]:
    every = sources(ctx)
    until = strips_end(ctx)
    complete = [one for one in completeness(ctx, days=DAYS, until=until) if source in {"", one["source"]}]
    shown = SourcesPage(
        sources=every,
        listed=slice_of(every, listed, "/sources", {"source": source}, named="list"),
        batches=slice_read(
            count_batches(ctx, source=source),
            lambda offset, limit: batches(ctx, source=source, offset=offset, limit=limit),
            page,
            "/sources",
            {"source": source},
        ),
        source=source,
        waiting=waiting(ctx),
        may_upload=may_upload(actor),
        connectors={one: plain_connector(one) for one in offered(ctx)},
        limit_mib=ctx.settings.max_body_bytes >> 20,
        url=ctx.settings.public_url.rstrip("/"),
        complete=complete,
        until=until,
        strips={one["source"]: strip(one) for one in complete},
    )
    return render(request, "sources.html", shown)


def strips_end(ctx: Context) -> datetime:
    """Now; where all traffic is older (exports of a past month), its newest call, so that there is something to see."""
    ends, now = ctx.lake.ends(bearing=False), ctx.now()
    newest = ends[1] if ends else None
    return now if newest is None or newest > now - timedelta(days=DAYS) else newest.astimezone(UTC)


def strip(one: SourceTruth) -> Markup:
    """A row a day, a cell an hour."""
    days: dict[str, list[tuple[str, str]]] = {}
    for hour in one["hours"]:
        day, clock = hour["hour"][:10], hour["hour"][11:16]
        row = days.setdefault(day, [])
        said = f", the source counts {hour['said']:,}" if hour["said"] is not None else ""
        row.append((hour["state"], f"{day} {clock} UTC: {hour['state']}, {hour['stored']:,} stored{said}"))
    words = ", ".join(f"{count} {state}" for state, count in one["states"].items() if count)
    return heat_strip([(day[5:], hours) for day, hours in days.items()], f"{one['source']}: hours {words}")


@post("/sources/upload")
async def do_upload(request: type_of_request, ctx: Context, actor: Actor, form: Form) -> Response[Any]:
    """A file by hand. The size limit is that of every request body. What no connector reads gets a mapping of its own."""
    file = (await request.form()).get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise Invalid("choose a file")
    only_detect = form.text("do") == "detect"
    work = partial(
        ingest_upload,
        ctx,
        actor,
        file.filename,
        file.file,
        connector=form.text("connector") or AUTO,
        source=form.text("source"),
        only_detect=only_detect,
    )
    try:
        done = await to_thread.run_sync(work)
    except NotRecognised as unknown:
        try:
            return await draft_page(request, ctx, actor, file, form.text("source"))
        except Invalid:  # no log
            raise unknown from None
    if done["counts"] is None:
        read_by = plain_connector(done["connector"])
        told = Flash("good", f"{read_by} reads {done['file']}", "Nothing was stored yet. Choose the file again to ingest it.")
        return go("/sources#upload", told)
    return go("/sources", ingested(done))


@get("/sources/quarantine", sync_to_thread=True)
def show_quarantine(
    request: type_of_request,
    ctx: Context,
    actor: Actor,
    in_state: Annotated[str, Parameter(query="state")] = "open",
    source: Annotated[str, Parameter(query="source")] = "",
    code: Annotated[str, Parameter(query="code")] = "",
    page: Page = 1,
) -> Response[str]:
    if in_state not in STATES:
        raise Invalid(f"no state {in_state!r}", hint=f"states: {', '.join(STATES)}")
    wanted = "" if in_state == "all" else in_state
    all_sources, codes = quarantine_kinds(ctx)
    still = tally_quarantined(ctx, source=source, code=code)
    listed = still if wanted == "open" else tally_quarantined(ctx, state=wanted, source=source, code=code)
    shown = QuarantinePage(
        slice_read(
            listed["records"],
            lambda offset, limit: quarantined(ctx, state=wanted, source=source, code=code, offset=offset, limit=limit),
            page,
            "/sources/quarantine",
            {"state": in_state, "source": source, "code": code},
        ),
        in_state,
        STATES,
        source,
        all_sources,
        code,
        codes,
        open=still["records"],
        mark=still["mark"],
        most=MOST,
        raw="admin" in actor.roles,
        may_decide=may_upload(actor),
    )
    return render(request, "quarantine.html", shown)


def chosen(form: Form) -> dict[str, str]:
    """The filter that a form of the page stood under."""
    return {"source": form.text("source"), "code": form.text("code")}


def filtered(choice: dict[str, str]) -> str:
    kept = {name: value for name, value in choice.items() if value}
    return f"/sources/quarantine?{urlencode(kept)}" if kept else "/sources/quarantine"


@post("/sources/quarantine/retry", sync_to_thread=True)
def do_retry(ctx: Context, actor: Actor, form: Form) -> Redirect:
    one, choice = form.text("id"), chosen(form)
    if not one and form.text("every") != "yes":
        raise Invalid("name the record to retry, or all of them")
    counts = retry(ctx, actor, [one], every=False) if one else retry(ctx, actor, [], every=True, **choice)
    if not counts["read"]:
        return go(filtered(choice), Flash("warn", "Nothing to retry", "No open record was left."))
    good = not counts["quarantined"]
    text = f"{counts['stored']:,} stored, {counts['duplicates']:,} known already, {counts['quarantined']:,} still cannot be read and stay open."
    return go(filtered(choice), Flash("good" if good else "warn", f"{plural(counts['read'], 'record')} tried again", text))


@post("/sources/quarantine/discard", sync_to_thread=True)
def do_discard(ctx: Context, actor: Actor, form: Form) -> Redirect:
    reason = form.need("reason", "why it can never be read")
    if form.text("confirm") != "yes":
        raise Invalid("tick the box to say that the record is to be given up")
    done = discard(ctx, actor, [form.need("id", "the record to discard")], reason=reason)
    told = (
        "It can no longer be retried; its bytes and your reason stay on record." if done["discarded"] else "It had been discarded before."
    )
    return go(filtered(chosen(form)), Flash("good", "Record discarded", told))


@post("/sources/quarantine/discard-all", sync_to_thread=True)
def do_discard_all(ctx: Context, actor: Actor, form: Form) -> Redirect:
    """Every open record of the filter, exactly those that were counted when the page was made."""
    reason = form.need("reason", "why they can never be read")
    if form.text("confirm") != "yes":
        raise Invalid("tick the box to say that all these records are to be given up")
    done = discard_all(ctx, actor, **chosen(form), reason=reason, mark=form.need("mark", "which records were shown"))
    rest = f" {plural(done['left'], 'record')} of this choice are left: discard again." if done["left"] else ""
    told = f"They can no longer be retried; their bytes and your reason stay on record.{rest}"
    return go("/sources/quarantine", Flash("good", f"{plural(done['discarded'], 'record')} discarded", told))


@get("/sources/conflicts", sync_to_thread=True)
def show_conflicts(request: type_of_request, ctx: Context, page: Page = 1) -> Response[str]:
    found = slice_read(
        waiting(ctx)["conflicts"], lambda offset, limit: conflicts(ctx, offset=offset, limit=limit), page, "/sources/conflicts", {}
    )
    return render(request, "conflicts.html", ConflictsPage(found))


ROUTES = [show_sources, do_upload, show_quarantine, do_retry, do_discard, do_discard_all, show_conflicts]
