"""Settings: people, tokens, what is connected, what this installation is made of and what works."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, get_args

from litestar import Response, get, post
from litestar.exceptions import TooManyRequestsException
from litestar.params import Parameter
from litestar.response import Redirect

from governor.actions.browse_catalog import browse_catalog
from governor.actions.browse_people import list_people
from governor.actions.context import Actor, Context
from governor.actions.doctor import examine
from governor.actions.installation import installation
from governor.actions.passkey_challenges import available
from governor.actions.passkeys import list_passkeys
from governor.actions.people import NewTokenDocument, TokenRow, create_person, create_token, list_tokens, made_since, revoke_token
from governor.actions.sign_in import SHORTEST, change_password, open_session, set_password
from governor.catalog import Role
from governor.errors import Invalid
from governor.web.attempts import Attempts
from governor.web.present import instant
from governor.web.propose import whole
from governor.web.session import Form, address_of, session_cookie
from governor.web.shell import Flash, go, render, type_of_request
from governor.web.slices import Slice, slice_of

SHOWN: Final = 20  # people, and tokens: what is one's own stands below them
ROLES: Final[tuple[str, ...]] = get_args(Role)
LIFETIMES: Final = ((30, "30 days"), (90, "90 days"), (365, "a year"))
REFERENCE: Final = re.compile(r"(env|file|[a-z][a-z0-9+.-]*kms):.*")
SECRET_WORD: Final = re.compile(r"secret|password|token|key|credential|dsn", re.IGNORECASE)


@dataclass(frozen=True)
class SettingsPage:
    """people: all of them, to choose from; found: those looked for, a page of them."""

    people: list[dict[str, Any]]
    found: Slice[dict[str, Any]]
    search: str
    tokens: Slice[dict[str, Any]]
    endpoints: list[dict[str, Any]]
    sources: Slice[dict[str, Any]]
    waivers: list[dict[str, Any]]
    installation: dict[str, Any]
    admin: bool
    me: str
    has_password: bool
    roles: tuple[str, ...]
    lifetimes: tuple[tuple[int, str], ...]
    shortest: int
    passkeys: list[dict[str, Any]]
    passkeys_here: bool
    secret: NewTokenDocument | None = None


@dataclass(frozen=True)
class DoctorPage:
    checks: list[dict[str, object]]
    sound: bool


def settings_page(
    ctx: Context,
    actor: Actor,
    secret: NewTokenDocument | None = None,
    *,
    search: str = "",
    page: int = 1,
    tokens: int = 1,
    sources: int = 1,
) -> SettingsPage:
    admin = "admin" in actor.roles
    people = list_people(ctx)
    wanted = [one for one in people if search.casefold() in f"{one['email']} {one['name']} {' '.join(one['roles'])}".casefold()]
    every = [with_state(one, ctx.now()) for one in reversed(list_tokens(ctx, actor, email="" if admin else actor.email))]
    configured = [{**one, "config": shown_config(one.get("config", {}))} for one in documents(ctx, "source")]
    return SettingsPage(
        people=people,
        found=slice_of(wanted, page, "/settings", {"q": search}, SHOWN),
        search=search,
        tokens=slice_of(every, tokens, "/settings", {}, SHOWN, "tokens"),
        endpoints=documents(ctx, "endpoint"),
        sources=slice_of(configured, sources, "/settings", {}, SHOWN, "sources"),
        waivers=documents(ctx, "waiver"),
        installation=installation(ctx),
        admin=admin,
        me=actor.email,
        has_password=any(one["signs_in"] for one in people if one["id"] == actor.id),
        roles=ROLES,
        lifetimes=LIFETIMES,
        shortest=SHORTEST,
        passkeys=list_passkeys(ctx, actor),
        passkeys_here=available(ctx.settings),
        secret=secret,
    )


def documents(ctx: Context, kind: str) -> list[dict[str, Any]]:
    return [item["document"] for item in browse_catalog(ctx, kind=kind)["items"]]


def shown_config(config: dict[str, Any]) -> dict[str, str]:
    """References as they are written; a value that could hold a secret, or that is nested, is not shown."""
    shown = {}
    for name, value in config.items():
        text = value if isinstance(value, str) else ""
        plain = isinstance(value, bool | int) or (text and not SECRET_WORD.search(name) and "@" not in text)
        shown[name] = text if REFERENCE.fullmatch(text) else str(value) if plain else "not shown"
    return shown


def with_state(token: TokenRow, now: datetime) -> dict[str, Any]:
    expires = instant(token["expires_at"])
    return {**token, "state": "revoked" if token["revoked_at"] else "expired" if expires is not None and expires <= now else "active"}


@get("/settings", sync_to_thread=True)
def show_settings(
    request: type_of_request,
    ctx: Context,
    actor: Actor,
    search: Annotated[str, Parameter(query="q")] = "",
    page: Annotated[int, Parameter(query="page", ge=1)] = 1,
    tokens: Annotated[int, Parameter(query="tokens", ge=1)] = 1,
    sources: Annotated[int, Parameter(query="sources", ge=1)] = 1,
) -> Response[str]:
    return render(request, "settings.html", settings_page(ctx, actor, search=search.strip(), page=page, tokens=tokens, sources=sources))


@get("/settings/tokens", sync_to_thread=False)
def leave_secret() -> Redirect:
    """The address of the page that showed a secret, asked for again."""
    return Redirect("/settings", status_code=303)


@post("/settings/tokens", sync_to_thread=True)
def do_create_token(request: type_of_request, ctx: Context, actor: Actor, form: Form) -> Response[str]:
    """The one page that shows the secret; it is not stored and not shown again."""
    days = form.text("days")
    made = create_token(
        ctx,
        actor,
        email=form.text("email") or actor.email,
        scopes=form.text("scopes", "api").replace(",", " ").split(),
        name=form.text("name")[:100],
        days=whole(days, "days") if days else None,
    )
    return render(request, "settings.html", settings_page(ctx, actor, made), status=201, at="/settings")


@post("/settings/tokens/{token_id:str}/revoke", sync_to_thread=True)
def do_revoke_token(ctx: Context, actor: Actor, token_id: str) -> Redirect:
    """Whoever revokes a token of their own goes on in a new session."""
    ended = revoke_token(ctx, actor, token_id)
    others = len(made_since(ctx, token_id))
    more = f" Its person made {others} more since that still hold: if somebody else had it, look at those too." if others else ""
    words = f"It proves nothing any more, and sessions that it may have opened ended.{more}"
    response = go("/settings#tokens", Flash("good", "Token revoked", words))
    if ended:
        response.set_cookie(session_cookie(ctx.settings, open_session(ctx, actor).secret))
    return response


@post("/settings/people", sync_to_thread=True)
def do_create_person(ctx: Context, actor: Actor, form: Form) -> Redirect:
    roles = [role for role in ROLES if form.text(f"role-{role}")]
    made = create_person(ctx, actor, email=form.need("email", "e-mail"), name=form.text("name"), roles=roles)
    return go("/settings", Flash("good", f"{made['email']} added", "Set a password or make a token, so that they can sign in."))


@post("/settings/password", sync_to_thread=True)
def do_set_password(request: type_of_request, ctx: Context, actor: Actor, form: Form) -> Redirect:
    """One's own needs the present one, which cannot be guessed at leisure; an admin sets anybody else's."""
    email = form.text("email").lower() or actor.email
    if email != actor.email:
        set_password(ctx, actor, email=email, password=form.secret("password"))
        return go("/settings", Flash("good", f"Password of {email} is set", "Their open sessions ended."))
    attempts: Attempts = request.app.state.attempts
    address = address_of(request)
    if wait := attempts.begin(email, address, ctx.now()):
        raise TooManyRequestsException(f"try again in {wait // 60 + 1} minutes")
    try:
        signed = change_password(ctx, actor, current=form.secret("current"), password=form.secret("password"))
    except Invalid:  # the present one was right
        attempts.succeeded(email, address)
        raise
    attempts.succeeded(email, address)
    response = go("/settings", Flash("good", "Your password is changed", "Your other sessions ended."))
    response.set_cookie(session_cookie(ctx.settings, signed.secret))
    return response


@get("/settings/doctor", sync_to_thread=True)
def show_doctor(request: type_of_request, ctx: Context) -> Response[str]:
    checks = examine(ctx.settings)
    return render(
        request, "doctor.html", DoctorPage([check.as_dict() for check in checks], all(check.ok or not check.needed for check in checks))
    )


ROUTES = [show_settings, leave_secret, do_create_token, do_revoke_token, do_create_person, do_set_password, show_doctor]
