"""Replay and judge calls over HTTP: an OpenAI-compatible or Anthropic endpoint, usually the company's own gateway with a shadow key.

Owns: transport, concurrency, retries, limits. Does not own: budget and policy (actions/replay.py), the wires (openai_wire.py, anthropic_wire.py).
Invariants: a failed call is a reply, never an exception; no redirect is followed; only an answer that says "not processed" (429, 5xx, no connection) is
retried, so an attempt that may have been billed is not repeated; a timeout, ours or the gateway's, is a failure; keys and bodies reach no log and no error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final

import aiohttp

from governor.adapters import anthropic_wire, openai_wire
from governor.adapters.call_line import Call, CallLine
from governor.adapters.endpoint_guard import GuardedResolver, check_url
from governor.adapters.pace import Pace
from governor.adapters.secrets import read_secret
from governor.errors import Invalid
from governor.ports import ModelReply, ModelRequest
from governor.shadow.conversation import unsendable
from governor.shadow.parameters import refused as refused_params
from governor.shadow.parsed import parsed

RETRIED: Final = frozenset({409, 425, 429, 500, 502, 503, 529})
LATE: Final = frozenset({408, 504, 524})  # the gateway stopped waiting for its provider, who may have answered and billed
BUSY: Final = frozenset({429, 503, 529})
CHUNK: Final = 65_536
ERROR_TEXT: Final = 300
# LiteLLM, Cloudflare: how often the call was passed on to another model
FELL_BACK: Final = ("x-litellm-attempted-fallbacks", "cf-aig-step")
NOT_SENT: Final = "no connection"  # how an error begins that certainly cost nothing
WIRES: Final[Mapping[str, Any]] = {"openai": openai_wire, "anthropic": anthropic_wire}


@dataclass(frozen=True)
class HttpModelEndpoint:
    """implements ports.ModelEndpoint. `secret` is a reference. `max_response_bytes` bounds a reply; `longest_wait_s` bounds one Retry-After.

    `per_minute`: requests that may leave in a minute, retries included.
    """

    protocol: str
    base_url: str
    secret: str = ""
    allow_private: bool = False
    stream: bool = False
    max_retries: int = 2
    longest_wait_s: float = 120.0
    max_response_bytes: int = 8 * 1024 * 1024
    per_minute: int | None = None
    _pace: Pace = field(default_factory=Pace, repr=False, compare=False, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pace", Pace(self.per_minute))
        if self.protocol not in WIRES:
            raise Invalid(f"no endpoint protocol {self.protocol!r}", hint="openai or anthropic")
        check_url(self.base_url, allow_private=self.allow_private)

    @property
    def url(self) -> str:
        base = self.base_url.rstrip("/")
        if self.protocol == "openai":
            return f"{base}/chat/completions"
        return f"{base}/messages" if base.endswith("/v1") else f"{base}/v1/messages"

    def call_many(self, requests: Iterable[ModelRequest], *, concurrency: int) -> Iterator[tuple[ModelRequest, ModelReply]]:
        """Answers in completion order. Closing the iterator cancels what is in flight."""
        with contextlib.closing(self.call_batches(requests, concurrency=concurrency)) as batches:
            for batch in batches:
                yield from batch

    def call_batches(self, requests: Iterable[ModelRequest], *, concurrency: int) -> Generator[list[tuple[ModelRequest, ModelReply]]]:
        """The same, as many at a time as have come; requests are taken when there is a place for them."""
        headers = self._headers()
        yield from CallLine(lambda: self._session(headers, concurrency), concurrency).run(requests)

    def _headers(self) -> dict[str, str]:
        key = read_secret(self.secret)
        found = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "workflow-model-governor"}
        if self.protocol == "anthropic":
            found |= {"anthropic-version": "2023-06-01"} | ({"x-api-key": key} if key else {})
        elif key:
            found["Authorization"] = f"Bearer {key}"
        return found

    @asynccontextmanager
    async def _session(self, headers: Mapping[str, str], concurrency: int) -> AsyncIterator[Call]:
        resolver = GuardedResolver(allow_private=self.allow_private, encrypted=self.base_url.startswith("https:"))
        connector = aiohttp.TCPConnector(limit=max(concurrency, 1), resolver=resolver)
        async with aiohttp.ClientSession(
            connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        ) as session:
            yield partial(self._call, session)

    async def _call(self, session: aiohttp.ClientSession, request: ModelRequest) -> ModelReply:
        refused = [*refused_params(request.params), *unsendable(self.protocol, request.messages)]
        if refused:
            return ModelReply("refused_params", error=f"cannot be replayed faithfully: {', '.join(refused)}", dropped_params=refused)
        body, dropped = WIRES[self.protocol].body(request, stream=self.stream or request.stream)
        data = json.dumps(body, ensure_ascii=False).encode()
        for attempt in range(self.max_retries + 1):
            await self._pace.leave()
            reply, wait = await self._attempt(session, request, data)
            if wait is None or attempt == self.max_retries:
                break
            if wait and reply.http_status in BUSY:
                self._pace.hold(wait)  # the endpoint's limit is everybody's
            await asyncio.sleep(wait or 0.25 * 2**attempt)
        return ModelReply(**{**reply.__dict__, "retries": attempt, "dropped_params": tuple(dropped)})

    async def _attempt(self, session: aiohttp.ClientSession, request: ModelRequest, data: bytes) -> tuple[ModelReply, float | None]:
        """(reply, seconds to wait before another attempt; None: this one is final)."""
        started = time.perf_counter()
        limit = aiohttp.ClientTimeout(total=request.timeout_s)
        try:
            async with session.post(self.url, data=data, headers=_marks(request), timeout=limit, allow_redirects=False) as response:
                if response.status != 200:  # noqa: PLR2004
                    text = (await self._body(response)).decode("utf-8", "replace")
                    kind = "timeout" if response.status in LATE else "error"
                    reply = ModelReply(kind, http_status=response.status, error=_error_text(text), duration_ms=_since(started))
                    return reply, self._wait(response) if response.status in RETRIED else None
                if "text/event-stream" in response.headers.get("Content-Type", ""):
                    return replace(await self._read_stream(response, started), passed_on=_passed_on(response)), None
                body = await self._body(response)
                document = parsed(body)
                if b"\\ud" in body.lower():
                    document = sound(document)
                fields = WIRES[self.protocol].parse(document)
                return ModelReply("ok", http_status=200, duration_ms=_since(started), passed_on=_passed_on(response), **fields), None
        except (TimeoutError, OSError, aiohttp.ClientError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            return self._failure(error, started, request)

    def _failure(self, error: Exception, started: float, request: ModelRequest) -> tuple[ModelReply, float | None]:
        status, again, words = "error", None, f"not a {self.protocol} answer: {error}"
        if isinstance(error, TimeoutError):
            status, words = "timeout", f"no answer in {request.timeout_s:g} s"
        elif isinstance(error, aiohttp.ClientConnectorError):
            words = f"{NOT_SENT}: {error.os_error}"
            again = None if "is refused:" in words else 0.0
        elif isinstance(error, aiohttp.ClientError | OSError):
            words = f"connection lost: {type(error).__name__}"
        return ModelReply(status, error=words[:ERROR_TEXT], duration_ms=_since(started)), again

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        found = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK):
            found += chunk
            if len(found) > self.max_response_bytes:
                raise ValueError(f"the answer is larger than {self.max_response_bytes} bytes")
        return bytes(found)

    async def _read_stream(self, response: aiohttp.ClientResponse, started: float) -> ModelReply:
        stream = WIRES[self.protocol].Stream()
        buffer, size, first = bytearray(), 0, None
        async for chunk in response.content.iter_chunked(CHUNK):
            size += len(chunk)
            if size > self.max_response_bytes:
                raise ValueError(f"the answer is larger than {self.max_response_bytes} bytes")
            buffer += chunk
            *lines, rest = bytes(buffer).split(b"\n")
            buffer = bytearray(rest)
            for line in lines:
                if line.startswith(b"data:"):
                    stream.feed(line[5:].strip().decode("utf-8"))
            if first is None and stream.begun:
                first = _since(started)
            if stream.over:
                break  # some servers keep the connection open behind the last event
        if stream.error or not stream.finished:
            return ModelReply(
                "error",
                http_status=200,
                error=(stream.error or "the stream ended early")[:ERROR_TEXT],
                duration_ms=_since(started),
                ttft_ms=first,
            )
        return ModelReply(
            "ok", http_status=200, duration_ms=_since(started), ttft_ms=first, **WIRES[self.protocol].parse(sound(stream.document()))
        )

    def _wait(self, response: aiohttp.ClientResponse) -> float | None:
        """What Retry-After asks for; 0: our own pace. None: longer than our patience, so nobody asks again before it is over."""
        asked = retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))
        if asked <= self.longest_wait_s:
            return asked
        self._pace.hold(self.longest_wait_s)
        return None


def sound(document: Any) -> Any:
    """The same document with text that can be stored: halves of a character that came apart are joined, a half alone becomes a question mark."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        joined = json.loads(json.dumps(document))
        return json.loads(json.dumps(joined, ensure_ascii=False).encode("utf-8", "replace"))
    return document


def retry_after(text: str, now: datetime) -> float:
    """Seconds or an HTTP date (RFC 9110); 0 where there is none."""
    try:
        return max(0.0, float(text or "0"))  # in this order: a number that is none is no wait
    except ValueError:
        pass
    try:
        found = parsedate_to_datetime(text)
        return max((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() - now.timestamp(), 0.0)
    except ValueError:
        return 0.0


def _marks(request: ModelRequest) -> dict[str, str]:
    """Headers that keep replay spend apart from production in the gateway's own records (and so in ours)."""
    found = {"Idempotency-Key": request.idempotency_key, "x-governor-traffic": "shadow"}
    run = request.metadata.get("run", "")
    if run:
        found |= {
            "x-litellm-tags": f"governor-shadow-run,governor-shadow-run:{run}",
            "x-portkey-metadata": json.dumps({"governor-shadow-run": run}),
        }
    return found


def _passed_on(response: aiohttp.ClientResponse) -> bool:
    return any(response.headers.get(name, "").strip("0 ").isdecimal() for name in FELL_BACK)


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _error_text(text: str) -> str:
    """The endpoint's own message, shortened; bodies may echo the prompt, so never more than its start."""
    try:
        error = parsed(text).get("error", text)
        text = error.get("message", error) if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        pass
    return " ".join(str(text).split())[:ERROR_TEXT]
