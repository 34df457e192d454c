"""Month end: where each month stands, what closing would do, closing it, its files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from litestar import Response, get, post
from litestar.response import Redirect
from markupsafe import Markup

from governor.actions.browse_periods import list_periods, period_file
from governor.actions.browse_periods import show_period as period_document
from governor.actions.close_period import ROLES, close
from governor.actions.context import Actor, Context
from governor.actions.except_coverage import except_coverage
from governor.errors import Invalid
from governor.web.session import Form
from governor.web.shell import Flash, go, render, type_of_request
from governor.web.spend import PARTS, Part, bar_of


@dataclass(frozen=True)
class PeriodsPage:
    months: list[dict[str, Any]]


@dataclass(frozen=True)
class PeriodPage:
    period: dict[str, Any]
    parts: list[Part]
    coverage_bar: Markup
    may_close: bool
    roles: tuple[str, ...]


@get("/periods", sync_to_thread=True)
def show_periods(request: type_of_request, ctx: Context) -> Response[str]:
    return render(request, "periods.html", PeriodsPage(list_periods(ctx)))


@get("/periods/{month:str}", sync_to_thread=True)
def show_period(request: type_of_request, ctx: Context, actor: Actor, month: str) -> Response[str]:
    period = period_document(ctx, month)
    coverage = period["coverage"]
    page = PeriodPage(
        period=period,
        parts=[Part(label, coverage["parts"][name], bar_of(coverage["parts"][name], label)) for name, label in PARTS],
        coverage_bar=bar_of(coverage["percent"], "mapped spend"),
        may_close=bool(actor.roles & set(ROLES)),
        roles=ROLES,
    )
    return render(request, "period.html", page)


@post("/periods/{month:str}/close", sync_to_thread=True)
def do_close(ctx: Context, actor: Actor, month: str) -> Redirect:
    done = close(ctx, actor, month)
    return go(f"/periods/{month}", Flash("good", f"{month} is closed", f"{len(done['files'])} files, sealed in the ledger. It will never change."))


@post("/periods/{month:str}/except", sync_to_thread=True)
def do_except(ctx: Context, actor: Actor, month: str, form: Form) -> Redirect:
    until = form.text("expires")
    try:
        expires = datetime.fromisoformat(until).replace(hour=23, minute=59, second=59, tzinfo=UTC) if until else None
    except ValueError:
        raise Invalid(f"{until!r} is not a day") from None
    except_coverage(ctx, actor, month, reason=form.need("reason"), compensating_control=form.need("control"), expires_at=expires)
    return go(f"/periods/{month}", Flash("good", "Exception signed", "It is on record under your name."))


@get("/periods/{month:str}/files/{name:str}", sync_to_thread=True)
def download(ctx: Context, month: str, name: str) -> Response[bytes]:
    file = period_file(ctx, month, name)
    safe = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._-") else "-" for sign in file.name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}"', "Cache-Control": "private, no-store"}
    return Response(file.body, media_type=file.media_type, headers=headers)


ROUTES = [show_periods, show_period, do_close, do_except, download]
