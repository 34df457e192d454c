"""One HTTP exchange with an anchor: guarded against our own network, bounded in time and size, never redirected."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import yarl

from governor.adapters.endpoint_guard import GuardedResolver, check_url
from governor.errors import Unavailable

TIMEOUT_S: Final = 20.0
MOST: Final = 4_000_000
BUSY: Final = 500


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def exchange(
    method: str, url: str, *, anchor: str, allow_private: bool, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Answer:
    """Raises Unavailable when there is no usable answer (503 and the like included), Invalid or Refused for a URL that may not be called."""
    check_url(url.partition("?")[0], allow_private=allow_private)
    try:
        found = asyncio.run(_exchange(method, url, body, dict(headers or {}), allow_private))
    except (TimeoutError, OSError, aiohttp.ClientError, ValueError) as error:
        raise Unavailable(f"anchor {anchor} does not answer: {type(error).__name__}: {error}"[:300]) from None
    if found.status >= BUSY:
        raise Unavailable(f"anchor {anchor} answers {found.status}")
    return found


async def _exchange(method: str, url: str, body: bytes, headers: dict[str, str], allow_private: bool) -> Answer:
    resolver = GuardedResolver(allow_private=allow_private, encrypted=url.startswith("https:"))
    limit = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, timeout=limit
        ) as session,
        session.request(method, yarl.URL(url, encoded=True), data=body or None, headers=headers, allow_redirects=False) as response,
    ):
        found = bytearray()
        async for chunk in response.content.iter_chunked(65_536):
            found += chunk
            if len(found) > MOST:
                raise ValueError(f"the answer is larger than {MOST} bytes")
        return Answer(response.status, bytes(found), {name.lower(): value for name, value in response.headers.items()})
