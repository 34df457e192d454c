"""One call: what is known of it and how it was governed. Its content has no page; an archived record is a file for security."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from litestar import Response, get

from governor.actions.context import Actor, Context
from governor.actions.raw_record import raw_record
from governor.actions.show_call import WITHHELD, show_call
from governor.web.present import when
from governor.web.shell import render, type_of_request

TITLES: Final = {
    "identity": "Where it came from",
    "counting": "How it counts",
    "correlation": "What it belongs to",
    "time": "When",
    "route": "Route",
    "usage": "Usage",
    "cost": "Cost, as the source says it",
    "attribution": "Who called, as the source says it",
    "governance": "Class",
    "outcome": "Outcome",
    "content": "Content: what is kept of it",
}
FIRST: Final = ("route", "usage", "time", "outcome", "attribution", "governance", "cost", "correlation", "counting", "content", "identity")


@dataclass(frozen=True)
class FactGroup:
    title: str
    rows: list[tuple[str, str, Any]]


@dataclass(frozen=True)
class CallPage:
    call: dict[str, Any]
    groups: list[FactGroup]
    withheld: list[str]
    raw: bool  # there is an archived record, and this reader may have it


@get("/calls/{record_id:str}", sync_to_thread=True)
def show(request: type_of_request, ctx: Context, actor: Actor, record_id: str) -> Response[str]:
    call = show_call(ctx, record_id)
    groups = [
        FactGroup(TITLES[name], [(fact["name"], fact["doc"], written(fact["value"])) for fact in call["facts"][name]])
        for name in FIRST
        if name in call["facts"]
    ]
    return render(request, "call.html", CallPage(call, groups, sorted(WITHHELD), call["archived"] and "security" in actor.roles))


@get("/calls/{record_id:str}/raw", sync_to_thread=True)
def raw(ctx: Context, actor: Actor, record_id: str) -> Response[bytes]:
    """The record as its source sent it, as a file: no browser is to make anything of it."""
    found = raw_record(ctx, actor, record_id)
    headers = {"Content-Disposition": f'attachment; filename="record-{found.sha256[:16]}.txt"', "Cache-Control": "no-store"}
    return Response(found.body, media_type="application/octet-stream", headers=headers)


def written(value: Any) -> Any:
    """A fact as text: lists and maps on lines of their own, times in UTC, numbers in full."""
    match value:
        case datetime():
            text: Any = when(value)
        case bool():
            text = "yes" if value else "no"
        case int():
            text = f"{value:,}"
        case Decimal():
            text = f"{value.normalize():f}"
        case float():
            text = f"{value:,.3f}".rstrip("0").rstrip(".")
        case list():
            text = ", ".join(f"{one[0]}: {one[1]}" if isinstance(one, tuple) else str(one) for one in value)
        case _:
            text = str(value)
    return text


ROUTES = [show, raw]
