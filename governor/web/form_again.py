"""A refused form comes back on the page it stood on: what is wrong beside it, what was typed still in it.

Owns: the one way every form goes. Does not own: what is refused, and in which words (refusals.py); the page (its own GET route is asked again, so it shows
what holds now), where its fields are (filled_form.py). Invariants: without a page to go back to the refusal has a page of its own.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote, urlsplit

from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.types import HTTPRequestEvent, HTTPResponseStartEvent, Message, Receive, Scope, Send

from governor.web.filled_form import filled
from governor.web.session import local_path

PAGE: Final = "page"  # the hidden field that says where a form stood
SIGN_IN: Final = "/sign-in?"  # no page to come back to after signing in, but one with a form
KEPT: Final = ("type", "asgi", "http_version", "scheme", "server", "client", "root_path", "extensions")


class FormAgain(Response[Any]):
    """The page of the form with `notice`; `otherwise` where that page cannot be shown."""

    def __init__(self, notice: str, otherwise: Response[Any]) -> None:
        super().__init__(None, status_code=otherwise.status_code)
        self.notice = notice
        self.otherwise = otherwise

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **rest: Any) -> ASGIResponse:
        return Again(self, request, self.otherwise.to_asgi_response(app, request, **rest))


class Again(ASGIResponse):
    def __init__(self, refused: FormAgain, request: Request[Any, Any, Any], otherwise: ASGIResponse) -> None:
        super().__init__()
        self.refused = refused
        self.request = request
        self.plain = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            sent = {name: value if isinstance(value, str) else "" for name, value in (await self.request.form()).items()}
        except Exception:  # noqa: BLE001 - too large or no form: that is what was refused
            sent = {}
        shown = await page_of(self.request, sent[PAGE]) if sent.get(PAGE) else None
        if shown is None:
            return await self.plain(scope, receive, send)
        headers, text = shown
        body = filled(text, self.request.url.path, sent, self.refused.notice).encode()
        headers = [*headers, (b"content-length", str(len(body)).encode())]
        start: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": self.refused.otherwise.status_code or 400,
            "headers": headers,
        }
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return None


async def page_of(request: Request[Any, Any, Any], page: str) -> tuple[list[tuple[bytes, bytes]], str] | None:
    """What a GET of the page answers to whoever is signed in; None where it is no page."""
    wanted = urlsplit(page if page.startswith(SIGN_IN) else local_path(page))
    of_body = {b"content-type", b"content-length", b"transfer-encoding"}
    scope: Any = {name: request.scope[name] for name in KEPT if name in request.scope}
    scope |= {"method": "GET", "path": unquote(wanted.path), "raw_path": wanted.path.encode(), "query_string": wanted.query.encode()}
    scope["headers"] = [(name, value) for name, value in request.scope["headers"] if name.lower() not in of_body]
    answers: list[Any] = []

    async def nothing() -> HTTPRequestEvent:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def keep(message: Message) -> None:
        answers.append(message)

    await request.app(scope, nothing, keep)
    headers = [(name, value) for name, value in answers[0]["headers"] if name.lower() != b"content-length"]
    if answers[0]["status"] != 200 or not any(value.startswith(b"text/html") for name, value in headers):  # noqa: PLR2004 - HTTP
        return None
    return headers, b"".join(one.get("body", b"") for one in answers[1:]).decode()
