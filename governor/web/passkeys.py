"""The ceremony of passkeys: what the page asks of the device, and what the device answered.

Owns: the four routes. Does not own: any check (actions/passkeys.py), the decision itself (change.py). Invariants: every route is a POST with the form's
CSRF value; options are never cached.
"""

from __future__ import annotations

from litestar import Response, post
from litestar.response import Redirect

from governor.actions.context import Actor, Context
from governor.actions.passkeys import begin_decision, begin_registration, finish_registration, revoke_passkey
from governor.web.session import Form
from governor.web.shell import Flash, go


def asked(options: str) -> Response[bytes]:
    return Response(options.encode(), media_type="application/json", status_code=200, headers={"Cache-Control": "no-store"})


@post("/settings/passkeys/options", sync_to_thread=True)
def registration_options(ctx: Context, actor: Actor) -> Response[bytes]:
    return asked(begin_registration(ctx, actor))


@post("/settings/passkeys", sync_to_thread=True)
def do_register(ctx: Context, actor: Actor, form: Form) -> Redirect:
    made = finish_registration(
        ctx, actor, form.need("assertion", "the answer of your device (this needs JavaScript)"), name=form.text("name")
    )
    return go("/settings#passkeys", Flash("good", "Passkey registered", f"{made['name'] or 'It'} can sign your decisions from now on."))


@post("/settings/passkeys/{passkey_id:str}/revoke", sync_to_thread=True)
def do_revoke(ctx: Context, actor: Actor, passkey_id: str) -> Redirect:
    revoke_passkey(ctx, actor, passkey_id)
    return go("/settings#passkeys", Flash("good", "Passkey revoked", "What it signed stays signed; it signs nothing more."))


@post("/changes/{change_id:str}/passkey", sync_to_thread=True)
def decision_options(ctx: Context, actor: Actor, change_id: str, form: Form) -> Response[bytes]:
    return asked(begin_decision(ctx, actor, change_id, digest=form.need("digest"), decision=form.need("decision"), role=form.text("role")))


ROUTES = [registration_options, do_register, do_revoke, decision_options]
