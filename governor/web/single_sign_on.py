"""Signing in with the company's identity provider: the way there and the way back.

Owns: the cookie of a sign-in under way, the two routes. Does not own: the protocol (adapters/identity_provider.py), whose account it is (actions/single_sign_on.py).
Invariants: who comes back must carry the state that this browser was sent out with; nothing that the address says is shown before that holds.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, replace
from typing import Annotated, Final

from litestar import Response, get
from litestar.datastructures import Cookie
from litestar.params import Parameter
from litestar.response import Redirect

from governor.actions.context import Context
from governor.actions.single_sign_on import CALLBACK, sign_in_with_code
from governor.adapters.identity_provider import Asked, IdentityProvider
from governor.errors import GovernorError, NotFound, Unauthenticated
from governor.web.attempts import Attempts
from governor.web.session import OPEN, address_of, cookie_name, local_path, session_cookie
from governor.web.shell import type_of_request
from governor.web.sign_in import SignInPage, before_sign_in, sign_in_page, too_many

UNDER_WAY: Final = "governor_oidc"
PATIENCE_S: Final = 600
DENIED: Final = "the identity provider did not sign you in"


@get("/sign-in/oidc", opt={OPEN: True}, sync_to_thread=True)
def go_to_provider(
    request: type_of_request, ctx: Context, next_path: Annotated[str, Parameter(query="next")] = "/"
) -> Response[str] | Redirect:
    provider = provider_of(request)
    attempts: Attempts = request.app.state.attempts
    page = SignInPage(csrf=before_sign_in(request), next=local_path(next_path))
    if wait := attempts.begin("", counted(request), ctx.now()):
        return too_many(request, page, wait)
    try:
        url, asked = provider.begin()
    except GovernorError as error:
        return sign_in_page(request, replace(page, problem=error.message), 502)
    response = Redirect(url, status_code=303)
    waiting = json.dumps(asdict(asked) | {"next": page.next})
    response.set_cookie(
        Cookie(
            key=cookie_name(ctx.settings, UNDER_WAY),
            value=waiting.encode().hex(),
            path="/",
            httponly=True,
            samesite="lax",
            max_age=PATIENCE_S,
        )
    )
    return response


@get(CALLBACK, opt={OPEN: True}, sync_to_thread=True)
def come_back(
    request: type_of_request, ctx: Context, came: Annotated[str, Parameter(query="state")] = "", code: str = "", error: str = ""
) -> Response[str] | Redirect:
    provider = provider_of(request)
    name = cookie_name(ctx.settings, UNDER_WAY)
    page = SignInPage(csrf=before_sign_in(request), next="/")
    try:
        asked, wanted = under_way(request.cookies.get(name, ""), came)
        page = replace(page, next=wanted)
        if not code:
            raise Unauthenticated(f"{DENIED}{f' ({error[:60]})' if error.isidentifier() else ''}")
        signed = sign_in_with_code(ctx, provider, code, asked)
    except GovernorError as problem:
        told = " ".join(f"{part[0].upper()}{part[1:]}." for part in (problem.message, problem.hint) if part)
        response: Response[str] | Redirect = sign_in_page(request, replace(page, problem=told), problem.status)
    else:
        request.app.state.attempts.succeeded("", counted(request))
        response = Redirect(page.next, status_code=303)
        response.set_cookie(session_cookie(ctx.settings, signed.secret))
    response.delete_cookie(name, path="/")
    return response


def counted(request: type_of_request) -> str:
    """Apart from passwords: neither way in is shut by tries at the other."""
    return f"{address_of(request)} by provider"


def under_way(cookie: str, state: str) -> tuple[Asked, str]:
    """What this browser was sent out with, and the page it wanted. Raises Unauthenticated where it is not what came back."""
    try:
        held = json.loads(bytes.fromhex(cookie))
        wanted = local_path(str(held.pop("next")))
        asked = Asked(**held)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Unauthenticated("this sign-in was begun more than ten minutes ago, or in another browser", hint="begin again") from None
    if not hmac.compare_digest(str(asked.state).encode(), state.encode()):
        raise Unauthenticated("another sign-in was begun in this browser since", hint="begin again")
    return asked, wanted


def provider_of(request: type_of_request) -> IdentityProvider:
    found: IdentityProvider | None = request.app.state.identity_provider
    if found is None:
        raise NotFound("no identity provider is set up", hint="GOVERNOR_OIDC_ISSUER names it; see docs/people.md")
    return found


ROUTES = [go_to_provider, come_back]
