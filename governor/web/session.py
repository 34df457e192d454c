"""Who is at the page: the session cookie, and the CSRF token every form must carry.

Owns: cookie names and flags, the authentication of page requests, the CSRF check. Does not own: secrets and their lifetime (actions/sign_in.py).
Invariants: a page without a session leads to sign-in; a POST whose form lacks the session's CSRF value does nothing.
"""

from __future__ import annotations

import hmac
from ipaddress import ip_address, ip_network
from typing import Any, Final
from urllib.parse import quote, urlsplit

from anyio import to_thread
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from governor.actions.context import Actor, Context
from governor.actions.sign_in import SESSION_HOURS, SignedIn, session_actor
from governor.errors import Forbidden, Invalid, Unauthenticated
from governor.settings import Settings

OPEN: Final = "open_to_all"  # route option: no session needed
SESSION: Final = "governor_session"
BEFORE_SIGN_IN: Final = "governor_before"


def secure(settings: Settings) -> bool:
    return settings.public_url.startswith("https:")


def cookie_name(settings: Settings, name: str) -> str:
    """The __Host- prefix makes browsers refuse the cookie from anywhere but this host over TLS: a neighbour under the same domain cannot set it."""
    return f"__Host-{name}" if secure(settings) else name


def session_cookie_name(settings: Settings) -> str:
    return cookie_name(settings, SESSION)


def session_cookie(settings: Settings, secret: str) -> Cookie:
    return Cookie(
        key=session_cookie_name(settings),
        value=secret,
        path="/",
        httponly=True,
        samesite="lax",
        max_age=SESSION_HOURS * 3600,
    )


def signed_in(connection: ASGIConnection[Any, Any, Any, Any]) -> SignedIn | None:
    """Whoever the session cookie names, while it holds."""
    ctx: Context = connection.app.state.context
    secret = connection.cookies.get(session_cookie_name(ctx.settings), "")
    try:
        return session_actor(ctx, secret) if secret else None
    except Unauthenticated:
        return None


class SessionAuthentication(AbstractAuthenticationMiddleware):
    """Puts SignedIn into `request.user`; None on open routes without a session."""

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        signed = await to_thread.run_sync(signed_in, connection)
        if signed is None and not connection.route_handler.opt.get(OPEN):
            raise Unauthenticated("sign in to see this page")
        return AuthenticationResult(user=signed, auth=None)


class Form:
    """The fields of a posted form, as text."""

    def __init__(self, fields: dict[str, str]) -> None:
        self._fields = fields

    def text(self, name: str, default: str = "") -> str:
        return self._fields.get(name, default).strip()

    def secret(self, name: str) -> str:
        """As typed: a password may begin with a space."""
        return self._fields.get(name, "")

    def need(self, name: str, label: str = "") -> str:
        if not (found := self.text(name)):
            raise Invalid(f"fill in: {label or name}")
        return found


async def read_form(request: Request[Any, Any, Any]) -> Form:
    data = await request.form()
    return Form({name: value for name, value in data.items() if isinstance(value, str)})


async def check_csrf(request: Request[Any, Any, Any]) -> None:
    """Runs before every page route: a POST needs the session's value, or before sign-in the value of its own cookie."""
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    signed: SignedIn | None = request.scope.get("user")
    before = request.cookies.get(cookie_name(request.app.state.context.settings, BEFORE_SIGN_IN), "")
    expected = before if signed is None or request.url.path == "/sign-in" else signed.csrf
    sent = (await read_form(request)).text("csrf")
    if not expected or not hmac.compare_digest(sent.encode(), expected.encode()):
        raise Forbidden("this form is out of date", hint="send it again from the page as it is now")


def sign_in_path(request: Request[Any, Any, Any]) -> str:
    """Where to sign in, coming back to the page that was asked for."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":  # what a form held is gone: the page says so
        stood = back(request)
        come_back = f"&next={quote(stood, safe='')}" if stood not in {"", "/"} else ""
        return "/sign-in" if request.url.path == "/sign-out" else f"/sign-in?unsent=true{come_back}"
    return "/sign-in" if wanted == "/" else f"/sign-in?next={quote(wanted, safe='')}"


def local_path(text: str) -> str:
    """A path on this host, or the inbox: a sign-in link must not lead elsewhere, nor out again."""
    inside = text.startswith("/") and not text.startswith(("//", "/\\", "/sign-out", "/sign-in")) and text.isprintable()
    return text if inside else "/"


def back(request: Request[Any, Any, Any]) -> str:
    """The page the form stood on, when it is one of ours."""
    found = urlsplit(request.headers.get("referer", ""))
    ours = {request.url.netloc, urlsplit(request.app.state.context.settings.public_url).netloc}  # a proxy may pass another Host on
    return local_path(found.path + (f"?{found.query}" if found.query else "")) if found.netloc in ours else ""


def address_of(request: Request[Any, Any, Any]) -> str:
    """Where the request came from; empty where the server was not told. Of IPv6 the network: whoever has one address has 2^64 of them.

    What a proxy says counts only where the settings name that proxy: anybody else may write what they like.
    """
    proxies = request.app.state.context.settings.proxies
    forwarded = ",".join(request.headers.getall("x-forwarded-for", [])) if proxies else ""
    found = ""
    for one in reversed([*forwarded.split(","), request.client.host if request.client else ""]):
        try:
            address = ip_address(one.strip())
        except ValueError:
            break
        address = getattr(address, "ipv4_mapped", None) or address
        found = str(address if address.version == 4 else ip_network((address, 64), strict=False))  # noqa: PLR2004 - IPv4
        if not any(address in network for network in proxies):
            break
    return found


def provide_actor(request: Request[SignedIn, Any, Any]) -> Actor:
    return request.user.actor
