"""Who calls: `Authorization: Bearer TOKEN`, and what its scopes let through this door.

Owns: reading the header, the scope a route needs. Does not own: tokens (actions/people.py), roles (each action).
Invariants: no cookie is read here, so no form on another site can act; a token of another organization is unknown;
scope `read` reads, `api` does what its person may, `ingest:SOURCE` pushes and does nothing else.
"""

from __future__ import annotations

from typing import Any, Final

from anyio import to_thread
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from governor.actions.context import Actor, Context
from governor.actions.people import authenticate
from governor.errors import Forbidden, Unauthenticated

PUSH: Final = "push"  # route option: the handler asks for an ingest scope itself
ASKS: Final = "only_asks"  # route option: a POST that changes nothing, so scope `read` is enough
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
HINT: Final = "send `Authorization: Bearer TOKEN`; `governor token create EMAIL` makes one"


class BearerAuthentication(AbstractAuthenticationMiddleware):
    """Puts the Actor into `request.user`."""

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        ctx: Context = connection.app.state.context
        kind, _, token = connection.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise Unauthenticated("this needs a token", hint=HINT)
        actor = await to_thread.run_sync(authenticate, ctx, token)
        options = connection.route_handler.opt
        if not options.get(PUSH):
            check_scope(actor, "GET" if options.get(ASKS) else str(connection.scope.get("method", "")))
        return AuthenticationResult(user=actor, auth=None)


def check_scope(actor: Actor, method: str) -> None:
    if "api" in actor.scopes or (method in READING and "read" in actor.scopes):
        return
    needed = "read" if method in READING else "api"
    raise Forbidden(f"this token lacks scope {needed}", hint=f"make one with `governor token create EMAIL --scope {needed}`")


def provide_actor(request: Request[Actor, Any, Any]) -> Actor:
    return request.user


def provide_context(request: Request[Any, Any, Any]) -> Context:
    found: Context = request.app.state.context
    return found
