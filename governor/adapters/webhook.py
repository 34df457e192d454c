"""Notices as signed webhooks, after Standard Webhooks (standardwebhooks.com): `webhook-id`, `webhook-timestamp`, `webhook-signature`.

Owns: body, signature, one POST. Does not own: attempts (the outbox repeats the job), who is told (actions/notify.py).
Invariants: the address that was checked is the one that is dialled; no redirect is followed; the secret is read when needed and reaches no error; an attempt
ends after TIMEOUT_S; an answer is read up to MOST_ANSWER bytes; the same notice has the same id and body in every attempt.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aiohttp

from governor.adapters.endpoint_guard import GuardedResolver, check_url
from governor.adapters.secrets import read_secret
from governor.errors import Invalid, Refused, TooLarge, Unavailable
from governor.ports import Notice

TIMEOUT_S: Final = 15.0
MOST_BODY: Final = 20 * 1024  # what Standard Webhooks recommends
MOST_ANSWER: Final = 4096
PREFIX: Final = "whsec_"
SHORTEST_KEY: Final = 24
GONE: Final = 410


@dataclass(frozen=True)
class Webhook:
    """implements ports.Notifier. `secret` is a reference to `whsec_<base64>`."""

    url: str
    secret: str
    allow_private: bool = False
    clock: Callable[[], float] = time.time

    def send(self, notice: Notice) -> str:
        check_url(self.url, allow_private=self.allow_private)
        body = body_of(notice)
        headers = signed(notice.id, int(self.clock()), body, key_of(self.secret, read_secret(self.secret)))
        return asyncio.run(self._post(body, headers))

    async def _post(self, body: bytes, headers: dict[str, str]) -> str:
        resolver = GuardedResolver(allow_private=self.allow_private, encrypted=self.url.startswith("https:"))
        limit = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(resolver=resolver), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, timeout=limit
                ) as session,
                session.post(self.url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                await answer.content.read(MOST_ANSWER)
                status = answer.status
        except aiohttp.ClientConnectorError as error:
            if "is refused:" in str(error.os_error):
                raise Refused(f"the webhook was not sent: {error.os_error}") from None
            raise Unavailable("the webhook's host does not answer") from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"the webhook was not delivered: {type(error).__name__}") from None
        if 200 <= status < 300:  # noqa: PLR2004 - success
            return f"HTTP {status}"
        if status == GONE:
            raise Refused("the receiver answered 410: it wants no more notices", hint="remove the notification from the catalog")
        raise Unavailable(f"the receiver answered HTTP {status}")


def body_of(notice: Notice) -> bytes:
    """Raises TooLarge."""
    about = {"title": notice.title, "text": notice.text, "url": notice.url, **notice.data}
    plain = {"type": notice.event, "timestamp": notice.at.isoformat().replace("+00:00", "Z"), "data": about}
    body = json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    if len(body) > MOST_BODY:
        raise TooLarge(f"a notice of {len(body)} bytes; a webhook takes {MOST_BODY}")
    return body


def signed(notice_id: str, timestamp: int, body: bytes, key: bytes) -> dict[str, str]:
    """The headers of one attempt."""
    name = f"msg_{notice_id}"
    mac = hmac.new(key, f"{name}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "User-Agent": "workflow-model-governor",
        "webhook-id": name,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def key_of(reference: str, secret: str) -> bytes:
    """The bytes behind `whsec_...`. Raises Invalid naming the reference, never the value."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or len(key) < SHORTEST_KEY:
        raise Invalid(
            f"the secret {reference} is no webhook signing secret",
            hint=f"{PREFIX} and base64 of at least {SHORTEST_KEY} random bytes: echo whsec_$(openssl rand -base64 32)",
        )
    return key
