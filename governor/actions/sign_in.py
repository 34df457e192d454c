"""Signing in on the pages: passwords (argon2id), sessions and their CSRF value.

Owns: password digests, session secrets. Does not own: tokens and roles (people.py), cookies (web).
Invariants: an unknown e-mail costs as much time as a wrong password; a session ends after SESSION_HOURS, on sign-out, when the person is
disabled, when their password changes or a token of theirs that opens sessions is revoked, and when the token that opened it expires. A token with an end
sets no password, and none replaces its own person's: whoever found it would stay when it is gone.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from threading import BoundedSemaphore
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlmodel import col, delete, select

from governor.actions.context import Actor, Context
from governor.actions.people import actor_of, authenticate, find_person, person_entry, sha256
from governor.errors import Forbidden, Invalid, Unauthenticated
from governor.store.rows.people import Person, WebSession

SESSION_HOURS: Final = 12
SHORTEST: Final = 12
LONGEST: Final = 1024
HASHER: Final = PasswordHasher()  # argon2id with the library's RFC 9106 low-memory profile
AT_ONCE: Final = BoundedSemaphore(4)  # each digest takes 64 MiB while it is made


@dataclass(frozen=True)
class SignedIn:
    """`secret` goes into the cookie, once; `csrf` into every form."""

    secret: str
    csrf: str
    actor: Actor


@lru_cache(maxsize=1)
def decoy() -> str:
    return HASHER.hash("nobody has this password")


def set_password(ctx: Context, actor: Actor, *, email: str, password: str) -> None:
    """One's own password, or anybody's by an admin. Ends the person's sessions. With a token alone, one's own is set only where there is none."""
    actor.require_lasting("a password")
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(f"a password has {SHORTEST} to {LONGEST:,} characters; this one has {len(password):,}")
    with AT_ONCE:
        digest = HASHER.hash(password)
    with ctx.transaction(actor) as tx:
        row = find_person(tx.session, ctx.org, email)
        if row.id != actor.id:
            actor.require("admin")
        elif row.password_hash and actor.auth == "token":
            raise Forbidden("you have a password, and a token does not replace it", hint="change it under Settings, or ask an admin")
        row.password_hash = digest
        tx.session.add(row)
        tx.session.exec(delete(WebSession).where(col(WebSession.person_id) == row.id))
        tx.append(person_entry(ctx, actor, row, password="changed"))  # noqa: S106 - says that, never what


def change_password(ctx: Context, actor: Actor, *, current: str, password: str) -> SignedIn:
    """One's own, by somebody who knows the present one (where there is one). Every session ends; the answer is a new one."""
    with ctx.rows.session() as session:
        row = find_person(session, ctx.org, actor.email)
    if row.password_hash and not matches(row.password_hash, current):
        raise Forbidden("the present password is wrong")
    set_password(ctx, actor, email=actor.email, password=password)
    return open_session(ctx, actor_of(row, frozenset({"api"}), "password"))


def anybody_has_a_password(ctx: Context) -> bool:
    """Whether the form for one can be of use to anybody."""
    with ctx.rows.session() as session:
        return session.exec(select(Person.id).where(Person.org_id == ctx.org, Person.password_hash != "").limit(1)).first() is not None


def matches(held: str, password: str) -> bool:
    try:
        with AT_ONCE:
            return HASHER.verify(held, password[:LONGEST])
    except (VerificationError, InvalidHashError):
        return False


def sign_in(ctx: Context, *, email: str, password: str) -> SignedIn:
    """Raises Unauthenticated without saying whether e-mail or password was wrong."""
    with ctx.rows.session() as session:
        row = session.exec(select(Person).where(Person.org_id == ctx.org, Person.email == email.strip().lower())).first()
    held = row.password_hash if row is not None and row.password_hash else decoy()
    if not matches(held, password) or row is None or row.disabled or not row.password_hash:
        raise Unauthenticated("e-mail or password is wrong", hint="an admin sets a password with `governor token password EMAIL`")
    return open_session(ctx, actor_of(row, frozenset({"api"}), "password"))


def sign_in_with_token(ctx: Context, token: str) -> SignedIn:
    """A session for the person of an API token with scope api."""
    actor = authenticate(ctx, token)
    if "api" not in actor.scopes:
        raise Unauthenticated("this token lacks scope api")
    return open_session(ctx, actor)


def open_session(ctx: Context, actor: Actor) -> SignedIn:
    """It does not outlive the token that proved the person, and its secret says when that ends: the digest that is kept holds for this too."""
    secret, csrf, now = secrets.token_urlsafe(32), secrets.token_urlsafe(32), ctx.now()
    if actor.ends is not None:
        secret += f".{int(actor.ends.timestamp())}"
    expires = now + timedelta(hours=SESSION_HOURS)
    with ctx.rows.session(write=True) as session:
        session.exec(delete(WebSession).where(col(WebSession.org_id) == ctx.org, col(WebSession.expires_at) <= now))
        session.add(
            WebSession(
                org_id=ctx.org,
                secret_sha256=sha256(secret),
                person_id=actor.id,
                csrf=csrf,
                created_at=now,
                expires_at=min(expires, actor.ends or expires),
            )
        )
    return SignedIn(secret, csrf, actor)


def session_actor(ctx: Context, secret: str) -> SignedIn:
    """Who a session cookie proves. Raises Unauthenticated when it ended."""
    with ctx.rows.session() as session:
        held = session.exec(select(WebSession).where(WebSession.org_id == ctx.org, WebSession.secret_sha256 == sha256(secret))).first()
        person = session.get(Person, held.person_id) if held else None
    if held is None or held.expires_at <= ctx.now() or person is None or person.disabled:
        raise Unauthenticated("your session ended", hint="sign in again")
    ends = secret.partition(".")[2]
    until = datetime.fromtimestamp(int(ends), UTC) if ends else None
    return SignedIn(secret, held.csrf, actor_of(person, frozenset({"api"}), "session", until))


def sign_out(ctx: Context, secret: str) -> None:
    with ctx.rows.session(write=True) as session:
        session.exec(delete(WebSession).where(col(WebSession.org_id) == ctx.org, col(WebSession.secret_sha256) == sha256(secret)))


def sign_out_everywhere(ctx: Context, actor: Actor) -> None:
    """For who lost a device, and signs in where no password of ours ends sessions."""
    with ctx.rows.session(write=True) as session:
        session.exec(delete(WebSession).where(col(WebSession.org_id) == ctx.org, col(WebSession.person_id) == actor.id))
