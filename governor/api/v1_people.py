"""`/api/v1/me`, `/people`, `/tokens`: who acts, and how they prove it."""

from __future__ import annotations

from typing import Annotated, TypedDict

from litestar import get, post
from litestar.params import Parameter
from msgspec import Struct, field

from governor.actions.context import Actor, Context
from governor.actions.people import (
    NewPersonDocument,
    NewTokenDocument,
    TokenRow,
    create_person,
    create_token,
    list_tokens,
    made_since,
    revoke_token,
)
from governor.api.idempotency import SECRET
from governor.api.slices import Cursor, Limit, Slice, named, slice_of


class NewPerson(Struct, forbid_unknown_fields=True):
    """roles: requester, owner, security, finance, auditor, admin."""

    email: str
    name: str = ""
    roles: list[str] = field(default_factory=list)


class NewToken(Struct, forbid_unknown_fields=True):
    """scopes: api (acts as the person), read, ingest:SOURCE or ingest:*. email: whose; default: your own. days: lifetime."""

    email: str = ""
    scopes: list[str] = field(default_factory=lambda: ["api"])
    name: str = ""
    days: int | None = None


class CurrentPerson(TypedDict):
    id: str
    email: str
    organization: str
    roles: list[str]
    scopes: list[str]


class RevokedToken(TypedDict):
    """made_since: tokens that still hold and that the same person made since this one was there: whoever held it may have made them."""

    id: str
    revoked: bool
    made_since: list[str]


@get("/me", sync_to_thread=False, tags=["people"])
def show_me(ctx: Context, actor: Actor) -> CurrentPerson:
    """Who this token is, and what it may do."""
    return {"id": actor.id, "email": actor.email, "organization": ctx.org, "roles": sorted(actor.roles), "scopes": sorted(actor.scopes)}


@post("/people", sync_to_thread=True, tags=["people"])
def add_person(ctx: Context, actor: Actor, data: NewPerson) -> NewPersonDocument:
    """Add a person. Role admin. Known people change by applying `kind: person`; they are listed by `GET /catalog?kind=person`."""
    return create_person(ctx, actor, email=data.email, name=data.name, roles=data.roles)


@get("/tokens", sync_to_thread=True, tags=["people"])
def list_all(
    ctx: Context,
    actor: Actor,
    limit: Limit,
    cursor: Cursor,
    email: Annotated[str, Parameter(query="email", description="Only of this person.")] = "",
) -> Annotated[Slice[TokenRow], named("TokenSlice")]:
    """Your own tokens, or everybody's for an admin; never a secret."""
    mine = "" if "admin" in actor.roles else actor.email
    return slice_of(list_tokens(ctx, actor, email=email or mine), lambda row: row["id"], limit=limit, cursor=cursor)


@post("/tokens", sync_to_thread=True, tags=["people"], opt={SECRET: True})
def make_token(ctx: Context, actor: Actor, data: NewToken) -> NewTokenDocument:
    """A token for yourself, or for anybody by an admin. It is shown once; a repeated Idempotency-Key does not show it again."""
    return create_token(ctx, actor, email=data.email or actor.email, scopes=data.scopes, name=data.name, days=data.days)


@post("/tokens/{token_id:str}/revoke", status_code=200, sync_to_thread=True, tags=["people"])
def revoke(ctx: Context, actor: Actor, token_id: str) -> RevokedToken:
    """End a token now: your own, or anybody's by an admin."""
    revoke_token(ctx, actor, token_id)
    return {"id": token_id, "revoked": True, "made_since": made_since(ctx, token_id)}


ROUTES = [show_me, add_person, list_all, make_token, revoke]
