"""The frame around every page: navigation, who is signed in, the CSRF value, the one-time message; and the template engine.

Owns: `render`, Shell, Flash. Does not own: what a page shows. Templates are autoescaped and fail on an undefined name.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from litestar import MediaType, Request, Response
from litestar.datastructures import Cookie
from litestar.response import Redirect

from governor.actions.context import Context
from governor.actions.inbox import waiting_count
from governor.actions.load_catalog import organization_name
from governor.actions.remembered import older_told
from governor.actions.sign_in import SignedIn
from governor.web.present import FILTERS

TEMPLATES: Final = Path(__file__).parent / "templates"
FLASH: Final = "governor_flash"
# The table of contents of the people's door: path, label.
NAVIGATION: Final = (
    ("/", "Inbox"),
    ("/changes", "Changes"),
    ("/review", "Review"),
    ("/workflows", "Workflows"),
    ("/spend", "Spend"),
    ("/budgets", "Budgets"),
    ("/findings", "Findings"),
    ("/periods", "Month end"),
    ("/prices", "Prices"),
    ("/sources", "Sources"),
    ("/ledger", "Ledger"),
    ("/settings", "Settings"),
)
type_of_request = Request[SignedIn | None, None, Any]


@dataclass(frozen=True)
class NavItem:
    path: str
    label: str
    badge: int = 0


@dataclass(frozen=True)
class Flash:
    """Shown once on the next page. tone: good | warn | bad."""

    tone: str
    title: str
    text: str = ""


@dataclass(frozen=True)
class Shell:
    org: str
    email: str
    roles: list[str]
    csrf: str
    here: str
    page: str
    nav: list[NavItem]
    waiting: int
    flash: Flash | None
    counted_at: datetime | None  # where newer calls are still being counted


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    return made


def navigation(request: type_of_request, waiting: int) -> list[NavItem]:
    served = {path for route in request.app.routes if (path := route.path)}
    return [NavItem(path, label, waiting if path == "/" else 0) for path, label in NAVIGATION if path in served]


def shell_of(request: type_of_request, signed: SignedIn, page: str, waiting: int = 0) -> Shell:
    ctx: Context = request.app.state.context
    return Shell(
        org=organization_name(ctx),
        email=signed.actor.email,
        roles=sorted(signed.actor.roles),
        csrf=signed.csrf,
        here="/" + page.strip("/").split("?")[0].split("/", maxsplit=1)[0],
        page=page,
        nav=navigation(request, waiting),
        waiting=waiting,
        flash=read_flash(request.cookies),
        counted_at=older_told(),
    )


def render(request: type_of_request, template: str, page: Any, *, status: int = 200, at: str = "") -> Response[str]:
    """A page inside the shell when somebody is signed in, else bare. at: the address that shows it again, where a POST answers with a page."""
    signed: SignedIn | None = request.scope.get("user")
    shell = None
    if signed is not None:
        here = at or request.url.path + (f"?{request.url.query}" if request.url.query else "")
        shell = shell_of(request, signed, here, waiting_count(request.app.state.context, signed.actor))
    text = environment().get_template(template).render(page=page, shell=shell)
    response: Response[str] = Response(text, media_type=MediaType.HTML, status_code=status, headers={"Cache-Control": "no-store"})
    if shell is not None and shell.flash is not None:
        response.delete_cookie(FLASH, path="/")
    return response


def go(path: str, flash: Flash | None = None) -> Redirect:
    """See other, after a POST, with a message for the next page."""
    response = Redirect(path, status_code=303)
    if flash is not None:
        text = base64.urlsafe_b64encode(json.dumps(asdict(flash)).encode()).decode()
        response.set_cookie(Cookie(key=FLASH, value=text, path="/", httponly=True, samesite="lax", max_age=60))
    return response


def read_flash(cookies: Mapping[str, str]) -> Flash | None:
    try:
        found = json.loads(base64.urlsafe_b64decode(cookies.get(FLASH, "")))
        return Flash(tone=str(found["tone"]), title=str(found["title"])[:200], text=str(found["text"])[:1000])
    except (ValueError, KeyError, TypeError):
        return None
