"""`Idempotency-Key` on a POST: the same key with the same request does the work once and answers the same again.

Owns: the key's life (taken, answered, given back), replayed answers. Does not own: what a POST does.
Invariants: only success is remembered, so that a refusal can be tried again; the same key with another request is refused; an answer that
carries a secret is not stored; a key taken by a request that died is free again after ABANDONED.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, Final

from anyio import to_thread
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from governor.actions.context import Actor, Context
from governor.api.bodies import HungUp
from governor.errors import BodyTooLarge, Invalid, Refused
from governor.store.rows.people import IdempotencyKey

HEADER: Final = "idempotency-key"
SECRET: Final = "answers_with_secret"  # noqa: S105 - a route option: the answer must not be stored
REPEATABLE: Final = "repeatable"  # route option: doing it twice is doing it once, and the answer may be a file
ABANDONED: Final = timedelta(minutes=2)
LONGEST_KEY: Final = 200
LARGEST_ANSWER: Final = 256 * 1024
UNDER_WAY: Final = 0  # status of a key whose request has not answered yet


class IdempotencyConflict(Refused):
    code = "idempotency_conflict"
    hint = "use a new Idempotency-Key for a new request"


class Idempotency(ASGIMiddleware):
    """Runs inside authentication: keys belong to a person."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        key = Headers.from_scope(scope).get(HEADER, "")
        if scope.get("method") != "POST" or not key or scope["route_handler"].opt.get(REPEATABLE):
            await next_app(scope, receive, send)
            return
        if len(key) > LONGEST_KEY or not key.isprintable():
            raise Invalid(f"Idempotency-Key is at most {LONGEST_KEY} printable characters")
        ctx: Context = scope["litestar_app"].state.context
        actor: Actor = scope["user"]
        body = await read_body(receive, ctx.settings.max_body_bytes)
        request = fingerprint(scope, body)
        known = await to_thread.run_sync(take, ctx, actor.id, key, request)
        if known is not None:
            await answer(send, *known)
            return
        status, answered = 0, False
        try:
            status, text = await call(scope, body, send, next_app)
            if 200 <= status < 300:  # noqa: PLR2004 - HTTP success
                secret = bool(scope["route_handler"].opt.get(SECRET))
                await to_thread.run_sync(keep, ctx, actor.id, key, status, "" if secret else text)
                answered = True
        finally:
            if not answered:
                await to_thread.run_sync(give_back, ctx, actor.id, key)


async def call(scope: Scope, body: bytes, send: Send, next_app: ASGIApp) -> tuple[int, str]:
    """Run the request on the body that was read; returns status and text of the answer, which is also sent."""
    status, pieces, size, done = 0, [], 0, False

    async def replay() -> Any:
        nonlocal done
        if done:
            return {"type": "http.disconnect"}
        done = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def watch(message: Message) -> None:
        nonlocal status, size
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body" and size <= LARGEST_ANSWER:
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
        await send(message)

    await next_app(scope, replay, watch)
    text = b"".join(pieces).decode("utf-8", errors="replace") if size <= LARGEST_ANSWER else ""
    return status, text


async def read_body(receive: Receive, limit: int) -> bytes:
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message: Any = await receive()
        if message["type"] != "http.request":
            raise HungUp
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > limit:
            raise BodyTooLarge(f"the body is larger than {limit} bytes")
        more = bool(message.get("more_body"))
    return b"".join(pieces)


def fingerprint(scope: Scope, body: bytes) -> str:
    asked = hashlib.sha256()
    for part in (scope["path"].encode(), scope.get("query_string", b""), body):
        asked.update(len(part).to_bytes(8, "big") + part)
    return asked.hexdigest()


async def answer(send: Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"idempotent-replay", b"true"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode(), "more_body": False})


def take(ctx: Context, person: str, key: str, request: str) -> tuple[int, str] | None:
    """None when the work is ours to do, else the earlier answer. Raises IdempotencyConflict."""
    try:
        return taken(ctx, person, key, request)
    except IntegrityError:  # at the same moment, which Postgres finds out at the end
        raise under_way() from None


def under_way() -> IdempotencyConflict:
    return IdempotencyConflict("a request with this Idempotency-Key is under way", hint="wait for its answer, then ask again")


def taken(ctx: Context, person: str, key: str, request: str) -> tuple[int, str] | None:
    with ctx.rows.session(write=True) as session:
        known = find(session, ctx.org, person, key)
        if known is not None and known.status == UNDER_WAY and ctx.now() - known.created_at > ABANDONED:
            session.delete(known)
            session.flush()
            known = None
        if known is None:
            session.add(
                IdempotencyKey(
                    org_id=ctx.org, person_id=person, key=key, request_sha256=request, status=UNDER_WAY, body="", created_at=ctx.now()
                )
            )
            return None
        if known.request_sha256 != request:
            raise IdempotencyConflict("this Idempotency-Key was used for another request")
        if known.status == UNDER_WAY:
            raise under_way()
        if not known.body:
            raise IdempotencyConflict("this was done already; its answer is not kept because it held a secret or was too long")
        return known.status, known.body


def keep(ctx: Context, person: str, key: str, status: int, text: str) -> None:
    with ctx.rows.session(write=True) as session:
        if (known := find(session, ctx.org, person, key)) is not None:
            known.status, known.body = status, text
            session.add(known)


def give_back(ctx: Context, person: str, key: str) -> None:
    with ctx.rows.session(write=True) as session:
        if (known := find(session, ctx.org, person, key)) is not None and known.status == UNDER_WAY:
            session.delete(known)


def find(session: Session, org: str, person: str, key: str) -> IdempotencyKey | None:
    query = select(IdempotencyKey).where(IdempotencyKey.org_id == org, IdempotencyKey.person_id == person, IdempotencyKey.key == key)
    return session.exec(query.with_for_update()).first()
