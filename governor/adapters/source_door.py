"""The one way a pull asks a source's API over HTTP.

Owns: transport, the list of POSTs that are queries, patience with 429 and 5xx, size limits. Does not own: what is asked (connectors), when (actions/sync.py).
Invariants: GET, or a POST that the source documents as a query; nothing else can be said. Every address is guarded when it is resolved; no redirect is
followed; headers with keys go to the configured host only; no key and no body reaches an error.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from governor.adapters.endpoint_guard import GuardedResolver, check_url
from governor.errors import Invalid, Refused, TooLarge, Unavailable
from governor.ports import SourceReply, SourceRequest

# POSTs that only read. A new one is a decision of this list, not of a connector: the overlay writes to nobody's gateway.
QUERIES: Final = (
    re.compile(r"/v1/request/query-clickhouse$"),  # Helicone
    re.compile(r"/runs/query$"),  # LangSmith
)
AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
CHUNK: Final = 1 << 18
TRIES: Final = 6


@dataclass
class HttpSourceDoor:
    """implements ports.SourceDoor. The host that is asked first with a key is the only one that gets it. `longest_wait_s` bounds one pause."""

    allow_private: bool = False
    timeout_s: float = 120.0
    longest_wait_s: float = 120.0
    max_bytes: int = 256 << 20
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    asked: int = 0
    _host: tuple[str, str] | None = field(default=None, repr=False)
    _runner: asyncio.Runner | None = field(default=None, repr=False)
    _sessions: dict[bool, aiohttp.ClientSession] = field(default_factory=dict, repr=False)

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        return self

    def __exit__(self, *_: object) -> None:
        if self._runner is not None:
            for session in self._sessions.values():
                self._runner.run(session.close())
            self._runner.close()

    def ask(self, request: SourceRequest) -> SourceReply:
        """Asks until there is an answer, no more than TRIES times. Raises Invalid for what the source refuses, Unavailable for what may pass."""
        if self._runner is None:
            raise RuntimeError("the door is not open")
        self._check(request)
        why = ""
        for attempt in range(TRIES):
            self.asked += 1
            try:
                status, headers, body = self._runner.run(self._once(request))
            except aiohttp.ClientConnectorCertificateError as error:  # no patience helps
                why = getattr(error.certificate_error, "verify_message", "") or "it cannot be verified"
                hint = "let SSL_CERT_FILE name a file with the authorities that you trust, your own among them"
                raise Invalid(f"{named(request)}: its certificate is not trusted: {why}", hint=hint) from None
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                why, wait = refusal_of(error), 0.0
                if "refused:" in why:
                    raise Refused(f"{named(request)}: {why}") from None
            else:
                if 200 <= status < 300:  # noqa: PLR2004 - success
                    return SourceReply(body, headers)
                why, wait = f"it answered {status}", self._pause(headers.get("retry-after", ""))
                if status not in AGAIN:
                    raise rejected(request, status)
            if attempt + 1 < TRIES:
                self.sleep(min(max(wait, 2.0**attempt), self.longest_wait_s))
        raise Unavailable(
            f"{named(request)}: {why}, {TRIES} times", hint="what was read is stored; the next `governor sync` goes on from there"
        )

    def _check(self, request: SourceRequest) -> None:
        check_url(request.url.partition("?")[0], allow_private=self.allow_private)
        if request.body is not None and not any(query.search(urlsplit(request.url).path) for query in QUERIES):
            raise Refused(f"{named(request)}: a POST that is no documented query", hint="Governor never writes to a source")
        host = urlsplit(request.url)[:2]
        if request.headers and self._host not in (None, host):
            raise Refused(f"{named(request)}: the key goes to the configured host only")
        if request.headers:
            self._host = host

    async def _once(self, request: SourceRequest) -> tuple[int, dict[str, str], bytes]:
        encrypted = request.url.startswith("https:")
        if encrypted not in self._sessions:
            resolver = GuardedResolver(allow_private=self.allow_private, encrypted=encrypted)
            self._sessions[encrypted] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=2, resolver=resolver),
                headers={"User-Agent": "workflow-model-governor", "Accept": "application/json"},
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=self.timeout_s if request.into is None else None, sock_read=self.timeout_s),
            )
        headers = dict(request.headers)
        data = None
        if request.body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(request.body)
        async with self._sessions[encrypted].request(
            "GET" if data is None else "POST", request.url, params=request.query or None, data=data, headers=headers, allow_redirects=False
        ) as answer:
            told = {name.lower(): value for name, value in answer.headers.items()}
            if answer.status >= 300:  # noqa: PLR2004 - an error's text may repeat what was asked: unread
                return answer.status, told, b""
            return answer.status, told, await self._body(answer, request)

    async def _body(self, answer: aiohttp.ClientResponse, request: SourceRequest) -> bytes:
        if request.into is not None:
            with request.into.open("wb") as out:
                async for chunk in answer.content.iter_chunked(CHUNK):
                    out.write(chunk)
            return b""
        parts, size = [], 0
        async for chunk in answer.content.iter_chunked(CHUNK):
            size += len(chunk)
            if size > self.max_bytes:
                hint = "what was read is stored; read this part from the source's export of files"
                raise TooLarge(f"{named(request)}: an answer of more than {self.max_bytes >> 20} MiB", hint=hint)
            parts.append(chunk)
        return b"".join(parts)

    def _pause(self, told: str) -> float:
        """Retry-After in seconds; it may be a number or a date."""
        if not told:
            return 0.0
        try:
            return max(0.0, float(told))
        except ValueError:
            pass
        try:
            return max(0.0, (parsedate_to_datetime(told) - self.now()).total_seconds())
        except (ValueError, TypeError):
            return 0.0


def named(request: SourceRequest) -> str:
    """The question without its query: a signed URL is a secret."""
    parts = urlsplit(request.url)
    return f"{parts.hostname}{parts.path}"


def refusal_of(error: BaseException) -> str:
    text = " ".join(str(one) for one in (error, getattr(error, "os_error", None), error.__cause__))
    return f"it is refused: {text.partition('is refused: ')[2]}" if "is refused: " in text else f"no answer ({type(error).__name__})"


def rejected(request: SourceRequest, status: int) -> Invalid:
    unknown = "does the source's version know this question? docs/connectors.md says what is asked"
    hints = {401: "check the key in `secret`", 403: "the key may not read this", 404: "check `url` and the ids in the source's config"}
    hints |= {400: unknown, 422: unknown}
    moved = "a redirect is not followed; write the final address into `url`" if 300 <= status < 400 else ""  # noqa: PLR2004
    return Invalid(f"{named(request)}: it answered {status}", hint=hints.get(status, moved))
