"""HEAD, as load balancers and uptime checks ask it, and Allow, for all routes at once.

Invariants: HEAD answers what GET would, without its body; Allow names every method of the path.
"""

from __future__ import annotations

import re
from typing import cast

from litestar import Litestar
from litestar.datastructures import MutableScopeHeaders
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send


def with_head(app: Litestar) -> Litestar:
    """The same application; its routes need not know of HEAD."""
    routed: ASGIApp = app.asgi_handler

    async def handle(any_scope: Scope, receive: Receive, send: Send) -> None:
        scope = cast("HTTPScope", any_scope)  # a server without websockets sends no other
        asked = scope["method"]
        if asked == "HEAD":
            scope["method"] = "GET"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                name_methods(app, scope, message)
            elif message["type"] == "http.response.body" and asked == "HEAD":
                if message.get("more_body"):
                    return
                message["body"] = b""
            await send(message)

        await routed(scope, receive, answer)

    app.asgi_handler = handle
    return app


def name_methods(app: Litestar, scope: HTTPScope, message: Message) -> None:
    """Litestar's own handler of OPTIONS knows only the methods of the path's first handler."""
    headers = MutableScopeHeaders.from_message(message)
    if "allow" not in headers:
        return
    known: set[str] = {method.strip() for method in headers["allow"].split(",")}
    if scope["method"] == "OPTIONS":
        handlers = {re.sub(r":\w+}", "}", path): found for path, found in app.route_handler_method_map.items()}  # the template has no types
        known |= {str(method) for method in handlers.get(scope["path_template"], {})}
    if "GET" in known:
        known.add("HEAD")
    headers["allow"] = ", ".join(sorted(known))
