"""Settings: people, tokens, endpoints, waivers, and what works on this installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, get_args

from litestar import Response, get, post
from litestar.response import Redirect

from governor.actions.browse_catalog import browse_catalog
from governor.actions.browse_people import list_people
from governor.actions.context import Actor, Context
from governor.actions.doctor import examine
from governor.actions.people import create_person, create_token, list_tokens, revoke_token
from governor.actions.sign_in import SHORTEST, set_password
from governor.catalog import Role
from governor.web.propose import whole
from governor.web.session import Form
from governor.web.shell import Flash, go, render, type_of_request

ROLES: Final[tuple[str, ...]] = get_args(Role)


@dataclass(frozen=True)
class SettingsPage:
    people: list[dict[str, Any]]
    tokens: list[dict[str, Any]]
    endpoints: list[dict[str, Any]]
    waivers: list[dict[str, Any]]
    admin: bool
    me: str
    roles: tuple[str, ...]
    shortest: int
    secret: dict[str, Any] | None = None


@dataclass(frozen=True)
class DoctorPage:
    checks: list[dict[str, object]]
    sound: bool


def settings_page(ctx: Context, actor: Actor, secret: dict[str, Any] | None = None) -> SettingsPage:
    admin = "admin" in actor.roles
    return SettingsPage(
        people=list_people(ctx),
        tokens=list_tokens(ctx, actor, email="" if admin else actor.email),
        endpoints=[item["document"] for item in browse_catalog(ctx, kind="endpoint")["items"]],
        waivers=[item["document"] for item in browse_catalog(ctx, kind="waiver")["items"]],
        admin=admin,
        me=actor.email,
        roles=ROLES,
        shortest=SHORTEST,
        secret=secret,
    )


@get("/settings", sync_to_thread=True)
def show_settings(request: type_of_request, ctx: Context, actor: Actor) -> Response[str]:
    return render(request, "settings.html", settings_page(ctx, actor))


@post("/settings/tokens", sync_to_thread=True)
def do_create_token(request: type_of_request, ctx: Context, actor: Actor, form: Form) -> Response[str]:
    """The one page that shows the secret; it is not stored and not shown again."""
    days = form.text("days")
    made = create_token(
        ctx,
        actor,
        email=form.text("email") or actor.email,
        scopes=form.text("scopes", "api").split(),
        name=form.text("name"),
        days=whole(days, "days") if days else None,
    )
    return render(request, "settings.html", settings_page(ctx, actor, made), status=201)


@post("/settings/tokens/{token_id:str}/revoke", sync_to_thread=True)
def do_revoke_token(ctx: Context, actor: Actor, token_id: str) -> Redirect:
    revoke_token(ctx, actor, token_id)
    return go("/settings", Flash("good", "Token revoked", "It proves nothing any more."))


@post("/settings/people", sync_to_thread=True)
def do_create_person(ctx: Context, actor: Actor, form: Form) -> Redirect:
    roles = [role for role in ROLES if form.text(f"role-{role}")]
    made = create_person(ctx, actor, email=form.need("email", "e-mail"), name=form.text("name"), roles=roles)
    return go("/settings", Flash("good", f"{made['email']} added", "Set a password or make a token, so that they can sign in."))


@post("/settings/password", sync_to_thread=True)
def do_set_password(ctx: Context, actor: Actor, form: Form) -> Redirect:
    email = form.text("email") or actor.email
    set_password(ctx, actor, email=email, password=form.secret("password"))
    return go("/settings", Flash("good", f"Password of {email} is set", "Their open sessions ended."))


@get("/settings/doctor", sync_to_thread=True)
def show_doctor(request: type_of_request, ctx: Context) -> Response[str]:
    checks = examine(ctx.settings)
    return render(
        request, "doctor.html", DoctorPage([check.as_dict() for check in checks], all(check.ok or not check.needed for check in checks))
    )


ROUTES = [show_settings, do_create_token, do_revoke_token, do_create_person, do_set_password, show_doctor]
