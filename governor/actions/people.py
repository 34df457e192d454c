"""People: the first admin, passwords, tokens and web sessions.

Owns: proving who acts. Does not own: what a person may do (each action asks `Actor.require`), persons as documents (apply.py).
Invariants: secrets are stored as digests only and shown once; a disabled person or a revoked or expired token proves nothing;
whoever makes a token for somebody else is an admin, and the ledger says so; nothing made with a token outlives it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

from sqlmodel import Session, col, delete, select

from governor.actions.context import BRINGERS, OPERATOR, Actor, Context
from governor.actions.recorded_entries import recorded_entries
from governor.catalog import PersonDocument, parse_document
from governor.errors import Forbidden, Invalid, NotFound, Refused, Unauthenticated
from governor.ledger.entry import EntryDraft
from governor.store.rows.base import uuid7
from governor.store.rows.people import Person, Token, WebSession

PREFIX: Final = "gov_"
SCOPE: Final = re.compile(r"api|read|ingest:(\*|[A-Za-z0-9][A-Za-z0-9._:-]{0,99})")
MOST_DAYS: Final = 36_500  # a hundred years; without a number it lives until it is revoked
TOUCH: Final = timedelta(hours=1)  # last use is noted at most this often, so that reading stays reading


def sha256(secret: str) -> str:
    """Tokens carry 256 random bits, so one round of SHA-256 is enough; passwords take argon2 (passwords.py)."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create_first_admin(ctx: Context, *, email: str, name: str = "") -> str | None:
    """The first admin and their token (returned once); None when somebody holds role admin already."""
    document = person_of(email, name, ["admin"])
    with ctx.transaction(OPERATOR) as tx:
        people = tx.session.exec(select(Person).where(Person.org_id == ctx.org)).all()
        if any("admin" in person.roles.split(",") for person in people):
            return None
        row = next((person for person in people if person.email == document.email), None)
        row = row or Person(org_id=ctx.org, email=document.email, created_at=tx.now)
        row.name, row.roles = name or row.name, ",".join(sorted({*row.roles.split(","), *document.roles} - {""}))
        tx.session.add(row)
        tx.session.flush()
        secret, token = new_token(tx.session, ctx, row, ["api"], "first admin")
        tx.append(person_entry(ctx, OPERATOR, row, token_id=token.id))
    return secret


class NewPersonDocument(TypedDict):
    id: str
    email: str
    roles: list[str]


class NewTokenDocument(TypedDict):
    """token: the secret itself, shown once."""

    id: str
    token: str
    email: str
    scopes: list[str]
    expires_at: str | None


class TokenRow(TypedDict):
    """Never the secret."""

    id: str
    email: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


def create_person(ctx: Context, actor: Actor, *, email: str, name: str = "", roles: Sequence[str] = ()) -> NewPersonDocument:
    """Role admin. Raises Refused when the e-mail is taken (roles of known people change by `governor apply`)."""
    actor.require("admin")
    document = person_of(email, name, roles)
    with ctx.transaction(actor) as tx:
        if tx.session.exec(select(Person).where(Person.org_id == ctx.org, Person.email == document.email)).first():
            raise Refused(f"{document.email} is known already", hint="change roles with `kind: person` and `governor apply`")
        row = Person(org_id=ctx.org, email=document.email, name=name, roles=",".join(sorted(document.roles)), created_at=tx.now)
        tx.session.add(row)
        tx.session.flush()
        tx.append(person_entry(ctx, actor, row))
    return {"id": row.id, "email": row.email, "roles": sorted(document.roles)}


def create_token(
    ctx: Context, actor: Actor, *, email: str, scopes: Sequence[str] = ("api",), name: str = "", days: int | None = None
) -> NewTokenDocument:
    """A token for oneself, or for anybody by an admin; the token is shown once. Who acts by a token with an end makes none that outlives it."""
    wrong = [scope for scope in scopes if not SCOPE.fullmatch(scope)]
    if wrong or not scopes:
        raise Invalid(f"unknown scope {wrong[0]!r}" if wrong else "a token needs a scope", hint="scopes are api, read, ingest:SOURCE")
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise Invalid(f"days: a token lives between 1 and {MOST_DAYS:,} days")
    with ctx.transaction(actor) as tx:
        row = find_person(tx.session, ctx.org, email)
        may_make_tokens(actor, row)
        if any(scope.startswith("ingest:") for scope in scopes):
            actor.require(*BRINGERS)
        expires = tx.now + timedelta(days=days) if days is not None else actor.ends
        if expires is not None and actor.ends is not None and expires > actor.ends:
            actor.require_lasting("this token")
        secret, token = new_token(tx.session, ctx, row, scopes, name)
        token.expires_at = expires
        tx.append(
            EntryDraft(
                type="token:create",
                stream=f"person/{row.id}",
                payload={"person": row.id, "token": token.id, "scopes": list(scopes)},
                actor=actor.ledger_ref(),
                idem=f"token:create:{token.id}",
                occurred_at=tx.now,
            )
        )
    return {
        "id": token.id,
        "token": secret,
        "email": row.email,
        "scopes": list(scopes),
        "expires_at": expires.isoformat() if expires else None,
    }


def list_tokens(ctx: Context, actor: Actor, *, email: str = "") -> list[TokenRow]:
    """One's own tokens, or everybody's for an admin. Never a secret."""
    if actor.kind == "person" and "admin" not in actor.roles and email.lower() != actor.email:
        raise Forbidden("you may list your own tokens; an admin lists everybody's", hint=f"give {actor.email}")
    with ctx.rows.session() as session:
        query = select(Token, Person).where(Token.org_id == ctx.org, col(Token.person_id) == col(Person.id))
        if email:
            query = query.where(Person.email == email.lower())
        return [
            {
                "id": token.id,
                "email": person.email,
                "name": token.name,
                "scopes": token.scopes.split(),
                "created_at": token.created_at.isoformat(),
                "expires_at": token.expires_at.isoformat() if token.expires_at else None,
                "revoked_at": token.revoked_at.isoformat() if token.revoked_at else None,
                "last_used_at": token.last_used_at.isoformat() if token.last_used_at else None,
            }
            for token, person in session.exec(query.order_by(col(Token.id)))
        ]


def revoke_token(ctx: Context, actor: Actor, token_id: str) -> bool:
    """One's own token, or anybody's by an admin. Revoking twice is revoking once.

    A token of scope api opens sessions, and whoever should not have it may have one open: all of the person's end. True when they are one's own.
    """
    with ctx.transaction(actor) as tx:
        token = tx.session.exec(select(Token).where(Token.org_id == ctx.org, Token.id == token_id).with_for_update()).first()
        if token is None:
            raise NotFound(f"no token {token_id}")
        if token.person_id != actor.id:
            actor.require("admin")
        if token.revoked_at is not None:
            return False
        token.revoked_at = tx.now
        tx.session.add(token)
        opens_sessions = "api" in token.scopes.split()
        if opens_sessions:
            tx.session.exec(delete(WebSession).where(col(WebSession.person_id) == token.person_id))
        tx.append(
            EntryDraft(
                type="token:revoke",
                stream=f"person/{token.person_id}",
                payload={"person": token.person_id, "token": token.id},
                actor=actor.ledger_ref(),
                idem=f"token:revoke:{token.id}",
                occurred_at=tx.now,
            )
        )
        return opens_sessions and token.person_id == actor.id


def made_since(ctx: Context, token_id: str) -> list[str]:
    """Tokens that still prove somebody and that this token's person made since it was there, for whomever: whoever held it may have made them."""
    with ctx.rows.session() as session:
        token = session.exec(select(Token).where(Token.org_id == ctx.org, Token.id == token_id)).one()
        entries = recorded_entries(session, ctx.org, ("token:create",))
        made = {entry.payload["token"] for entry in entries if entry.actor_ref == token.person_id}
        live = select(Token).where(Token.org_id == ctx.org, Token.id != token_id, col(Token.revoked_at).is_(None))
        since = live.where(Token.created_at >= token.created_at)
        now = ctx.now()
        return sorted(one.id for one in session.exec(since) if one.id in made and (one.expires_at is None or one.expires_at > now))


def authenticate(ctx: Context, token: str) -> Actor:
    """The person a token proves. Raises Unauthenticated without saying which part was wrong."""
    now = ctx.now()
    with ctx.rows.session() as session:
        held = session.exec(select(Token).where(Token.org_id == ctx.org, Token.secret_sha256 == sha256(token.strip()))).first()
        person = session.get(Person, held.person_id) if held else None
    if held is None or person is None or person.org_id != ctx.org or person.disabled:
        raise Unauthenticated("unknown or revoked token")
    if held.revoked_at is not None or (held.expires_at is not None and held.expires_at <= now):
        raise Unauthenticated("unknown or revoked token")
    if not ctx.rows.read_only and (held.last_used_at is None or now - held.last_used_at > TOUCH):
        with ctx.rows.session(write=True) as session:
            used = session.get(Token, held.id)
            if used is not None:
                used.last_used_at = now
                session.add(used)
    return actor_of(person, frozenset(held.scopes.split()), "token", held.expires_at)


def actor_of(person: Person, scopes: frozenset[str], auth: str, ends: datetime | None = None) -> Actor:
    """A token without scope `api` carries no roles: it can push or read, never decide."""
    roles = frozenset(role for role in person.roles.split(",") if role) if "api" in scopes else frozenset()
    return Actor(id=person.id, email=person.email, kind="person", roles=roles, scopes=scopes, auth=auth, ends=ends)


def find_person(session: Session, org: str, email: str) -> Person:
    row = session.exec(select(Person).where(Person.org_id == org, Person.email == email.strip().lower())).first()
    if row is None or row.disabled:
        raise NotFound(f"no person {email}", hint="add them with `kind: person` and `governor apply`")
    return row


def may_make_tokens(actor: Actor, person: Person) -> None:
    if actor.kind == "person" and actor.id == person.id and "api" in actor.scopes:
        return
    actor.require("admin")


def person_of(email: str, name: str, roles: Sequence[str]) -> PersonDocument:
    document = parse_document({"kind": "person", "email": email, "name": name, "roles": list(roles)}, "person")
    if not isinstance(document, PersonDocument):
        raise TypeError("kind person is a PersonDocument")
    return document


def new_token(session: Session, ctx: Context, person: Person, scopes: Sequence[str], name: str) -> tuple[str, Token]:
    secret = PREFIX + secrets.token_urlsafe(32)
    row = Token(org_id=ctx.org, person_id=person.id, name=name, secret_sha256=sha256(secret), scopes=" ".join(scopes), created_at=ctx.now())
    session.add(row)
    session.flush()
    return secret, row


def person_entry(ctx: Context, actor: Actor, person: Person, **more: Any) -> EntryDraft:
    return EntryDraft(
        type="person:apply",
        stream=f"person/{person.id}",
        payload={"person": person.id, "roles": [role for role in person.roles.split(",") if role], **more},
        actor=actor.ledger_ref(),
        idem=f"person:apply:{uuid7()}",
        occurred_at=ctx.now(),
        personal={"email": person.email, "name": person.name},
    )
