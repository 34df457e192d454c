"""What a person's device was asked and has not answered yet, and where browsers give passkeys at all.

Owns: origin and relying party of the pages, open challenges. Does not own: what a challenge means (passkeys.py). Invariants: one open challenge per person
and purpose; it is answered once, within minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from typing import Final, TypeVar
from urllib.parse import urlsplit

from sqlmodel import Session, col, delete, select
from webauthn.helpers.exceptions import WebAuthnException

from governor.actions.context import Actor, Context
from governor.errors import Forbidden, Invalid, Refused
from governor.settings import Settings
from governor.store.rows.passkeys import Passkey, PasskeyChallenge

MINUTES: Final = 5
LONGEST_ANSWER: Final = 16 * 1024
Found = TypeVar("Found")


def site(settings: Settings) -> tuple[str, str]:
    """(origin, relying party id) of the pages. Raises Refused where browsers give no passkeys: an address without a name, or plain HTTP."""
    found = urlsplit(settings.public_url)
    host = found.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        named = bool(host)
    else:
        named = False
    if not named or (found.scheme != "https" and host != "localhost"):
        raise Refused(
            f"passkeys need a host name under HTTPS (or localhost); pages are at {settings.public_url}", hint="set GOVERNOR_PUBLIC_URL"
        )
    return f"{found.scheme}://{found.netloc}", host


def available(settings: Settings) -> bool:
    try:
        site(settings)
    except Refused:
        return False
    return True


def mine(session: Session, ctx: Context, actor: Actor) -> list[Passkey]:
    query = select(Passkey).where(Passkey.org_id == ctx.org, Passkey.person_id == actor.id, col(Passkey.revoked_at).is_(None))
    return list(session.exec(query.order_by(col(Passkey.id))).all())


def ask(session: Session, ctx: Context, actor: Actor, purpose: str, asked: bytes, record: str = "") -> None:
    """One open challenge per person and purpose."""
    now = ctx.now()
    session.exec(delete(PasskeyChallenge).where(col(PasskeyChallenge.org_id) == ctx.org, col(PasskeyChallenge.expires_at) <= now))
    session.exec(
        delete(PasskeyChallenge).where(
            col(PasskeyChallenge.org_id) == ctx.org, col(PasskeyChallenge.person_id) == actor.id, col(PasskeyChallenge.purpose) == purpose
        )
    )
    expires = now + timedelta(minutes=MINUTES)
    session.add(
        PasskeyChallenge(org_id=ctx.org, person_id=actor.id, purpose=purpose, challenge=asked.hex(), record=record, expires_at=expires)
    )


def take(ctx: Context, actor: Actor, purpose: str, answer: str) -> PasskeyChallenge:
    if len(answer) > LONGEST_ANSWER:
        raise Invalid("the device's answer is too long")
    with ctx.rows.session(write=True) as session:
        query = select(PasskeyChallenge).where(
            PasskeyChallenge.org_id == ctx.org, PasskeyChallenge.person_id == actor.id, PasskeyChallenge.purpose == purpose
        )
        row = session.exec(query.with_for_update()).first()
        if row is None or row.expires_at <= ctx.now():
            raise Forbidden("nothing was asked of your device, or too long ago", hint="reload the page and try again")
        session.delete(row)
        session.flush()
        return PasskeyChallenge(**row.model_dump())


def checked(check: Callable[[], Found]) -> Found:
    try:
        return check()
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise Forbidden(f"the passkey was not accepted: {error}", hint="reload the page and try again") from None
