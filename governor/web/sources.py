"""Sources: what came in, what could not be read and why, what contradicts itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import Parameter
from litestar.response import Redirect

from governor.actions.browse_sources import batches, conflicts, quarantined, sources
from governor.actions.context import Actor, Context
from governor.actions.quarantine import retry
from governor.web.session import Form
from governor.web.shell import Flash, go, render, type_of_request
from governor.web.slices import Slice, slice_of


@dataclass(frozen=True)
class SourcesPage:
    sources: list[dict[str, Any]]
    batches: Slice[dict[str, Any]]
    source: str
    quarantined: int
    conflicts: int


@dataclass(frozen=True)
class QuarantinePage:
    slice: Slice[dict[str, Any]]
    state: str


@dataclass(frozen=True)
class ConflictsPage:
    slice: Slice[dict[str, Any]]


Page = Annotated[int, Parameter(query="page", ge=1)]


@get("/sources", sync_to_thread=True)
def show_sources(request: type_of_request, ctx: Context, source: Annotated[str, Parameter(query="source")] = "", page: Page = 1) -> Response[str]:
    shown = SourcesPage(
        sources=sources(ctx),
        batches=slice_of(batches(ctx, source=source), page, "/sources", {"source": source}),
        source=source,
        quarantined=len(quarantined(ctx)),
        conflicts=len(conflicts(ctx)),
    )
    return render(request, "sources.html", shown)


@get("/sources/quarantine", sync_to_thread=True)
def show_quarantine(
    request: type_of_request, ctx: Context, in_state: Annotated[str, Parameter(query="state")] = "open", page: Page = 1
) -> Response[str]:
    rows = quarantined(ctx, state="" if in_state == "all" else in_state)
    return render(request, "quarantine.html", QuarantinePage(slice_of(rows, page, "/sources/quarantine", {"state": in_state}), in_state))


@post("/sources/quarantine/retry", sync_to_thread=True)
def do_retry(ctx: Context, actor: Actor, form: Form) -> Redirect:
    one = form.text("id")
    counts = retry(ctx, actor, [one] if one else [], every=not one)
    tone = "good" if counts["stored"] or counts["duplicates"] else "warn"
    told = f"{counts['stored']} stored, {counts['duplicates']} known already, {counts['quarantined']} still cannot be read."
    return go("/sources/quarantine", Flash(tone, "Retried", told))


@get("/sources/conflicts", sync_to_thread=True)
def show_conflicts(request: type_of_request, ctx: Context, page: Page = 1) -> Response[str]:
    return render(request, "conflicts.html", ConflictsPage(slice_of(conflicts(ctx), page, "/sources/conflicts", {})))


ROUTES = [show_sources, show_quarantine, do_retry, show_conflicts]
