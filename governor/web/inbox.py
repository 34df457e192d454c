"""The inbox: what waits for me, why, and what waits for others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Response, get

from governor.actions.context import Actor, Context
from governor.actions.inbox import inbox
from governor.actions.load_catalog import catalog_as_of
from governor.web.shell import render, type_of_request


@dataclass(frozen=True)
class InboxPage:
    decide: list[dict[str, Any]]
    act: list[dict[str, Any]]
    watch: list[dict[str, Any]]
    drifted: list[dict[str, Any]]
    expiring: list[dict[str, Any]]
    months: list[dict[str, Any]]
    more: int  # changes that are left out
    roles: list[str]
    first: bool  # nothing is governed yet


@get("/", sync_to_thread=True)
def show_inbox(request: type_of_request, ctx: Context, actor: Actor) -> Response[str]:
    return render(request, "inbox.html", InboxPage(**inbox(ctx, actor), roles=sorted(actor.roles), first=not catalog_as_of(ctx).workflows))


ROUTES = [show_inbox]
