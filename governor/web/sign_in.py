"""Sign-in and sign-out pages."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Annotated, Final

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import Parameter
from litestar.response import Redirect

from governor.actions.context import Actor, Context
from governor.actions.load_catalog import organization_name
from governor.actions.people import PREFIX
from governor.actions.sign_in import SignedIn, anybody_has_a_password, sign_in, sign_in_with_token, sign_out, sign_out_everywhere
from governor.errors import GovernorError
from governor.web.attempts import Attempts
from governor.web.present import plural
from governor.web.session import BEFORE_SIGN_IN, OPEN, Form, address_of, cookie_name, local_path, session_cookie, session_cookie_name
from governor.web.shell import render, type_of_request

LARGEST_FORM: Final = 16_384  # bytes; anybody may send one, and a large one costs much to take apart
UNSENT: Final = "Your session ended before the form was sent: nothing was done. Sign in and send it again."


@dataclass(frozen=True)
class SignInPage:
    csrf: str
    next: str
    email: str = ""
    problem: str = ""
    with_token: bool = False
    org: str = ""
    provider: str = ""  # what people call the identity provider, where there is one
    passwords: bool = True


def sign_in_page(request: type_of_request, page: SignInPage, status: int = 200) -> Response[str]:
    request.scope["user"] = None  # shown bare, even to somebody signed in
    ctx: Context = request.app.state.context
    settings = ctx.settings
    provider = settings.oidc_name if settings.oidc_issuer else ""
    with_token = page.with_token or not anybody_has_a_password(ctx)  # the first admin has a token alone
    page = replace(page, with_token=with_token, org=organization_name(ctx), provider=provider, passwords=settings.password_sign_in)
    response = render(request, "sign_in.html", page, status=status)
    name = cookie_name(settings, BEFORE_SIGN_IN)
    response.set_cookie(Cookie(key=name, value=page.csrf, path="/", httponly=True, samesite="lax", max_age=3600))
    return response


def before_sign_in(request: type_of_request) -> str:
    """The CSRF value of the sign-in page. Two of them may be open: the value of the first stays good."""
    return request.cookies.get(cookie_name(request.app.state.context.settings, BEFORE_SIGN_IN)) or secrets.token_urlsafe(32)


def too_many(request: type_of_request, page: SignInPage, wait: int) -> Response[str]:
    shown = replace(page, problem=f"Too many tries. Try again in {plural(wait // 60 + 1, 'minute')}.")
    refused = sign_in_page(request, shown, 429)
    refused.headers["Retry-After"] = str(wait)
    return refused


@get("/sign-in", opt={OPEN: True}, sync_to_thread=True)
def show_sign_in(
    request: type_of_request, ctx: Context, next_path: Annotated[str, Parameter(query="next")] = "/", unsent: bool = False
) -> Response[str]:
    ended = bool(request.cookies.get(session_cookie_name(ctx.settings))) and request.user is None
    problem = UNSENT if unsent else "Your session ended. Sign in again." if ended else ""
    return sign_in_page(request, SignInPage(csrf=before_sign_in(request), next=local_path(next_path), problem=problem))


@post("/sign-in", opt={OPEN: True}, request_max_body_size=LARGEST_FORM, sync_to_thread=True)
def do_sign_in(request: type_of_request, ctx: Context, form: Form) -> Response[str] | Redirect:
    attempts: Attempts = request.app.state.attempts
    address = address_of(request)
    token, email = form.secret("token").strip(), form.text("email")
    page = SignInPage(csrf=form.text("csrf"), next=local_path(form.text("next", "/")), email=email, with_token=bool(token))
    # a token is not guessed: it counts for nobody, so that tries of others, or what they do to an e-mail, shut out nobody who has one
    if not token and (wait := attempts.begin(email, address, ctx.now())):
        return too_many(request, page, wait)
    if not token and not ctx.settings.password_sign_in:
        return sign_in_page(
            request, replace(page, problem="Passwords are not taken here. Sign in with the identity provider or a token."), 403
        )
    try:
        signed: SignedIn = sign_in_with_token(ctx, token) if token else sign_in(ctx, email=email, password=form.secret("password"))
    except GovernorError as error:
        problem = f"{error.message[:1].upper()}{error.message[1:]}."
        if form.secret("password").strip().startswith(PREFIX):  # the first admin has nothing else yet
            problem += " What you typed as the password looks like a token: sign in with it below, without an e-mail."
            page = replace(page, with_token=True)
        return sign_in_page(request, replace(page, problem=problem), 401)
    if not token:
        attempts.succeeded(email, address)
    response = Redirect(page.next, status_code=303)
    response.set_cookie(session_cookie(ctx.settings, signed.secret))
    response.delete_cookie(cookie_name(ctx.settings, BEFORE_SIGN_IN), path="/")
    return response


@post("/sign-out", sync_to_thread=True)
def do_sign_out(request: type_of_request, ctx: Context) -> Redirect:
    sign_out(ctx, request.cookies.get(session_cookie_name(ctx.settings), ""))
    return to_sign_in(ctx)


@post("/sign-out/everywhere", sync_to_thread=True)
def do_sign_out_everywhere(ctx: Context, actor: Actor) -> Redirect:
    sign_out_everywhere(ctx, actor)
    return to_sign_in(ctx)


def to_sign_in(ctx: Context) -> Redirect:
    response = Redirect("/sign-in", status_code=303)
    response.delete_cookie(session_cookie_name(ctx.settings), path="/")
    return response


ROUTES = [show_sign_in, do_sign_in, do_sign_out, do_sign_out_everywhere]
