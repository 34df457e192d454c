"""A body has to come: whoever opens a connection and sends next to nothing would hold it, and one of the process's few files, for ever.

Owns: how long a body is waited for. Does not own: headers, which the server itself waits 30 seconds for, and how large a body may be.
Invariants: only time spent waiting for the sender counts, so that a busy server refuses nobody; a sender that is given up looks like one that hung up.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from litestar import Litestar
from litestar.types import ASGIApp, Receive, ReceiveMessage, Scope, Send

PATIENCE: Final = 60.0  # seconds
LEAST_RATE: Final = 500  # bytes that buy another second


def with_patience(app: Litestar) -> Litestar:
    """The same application; its routes need not know of it."""
    routed: ASGIApp = app.asgi_handler

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        await routed(scope, in_time(receive, PATIENCE), send)

    app.asgi_handler = handle
    return app


def in_time(receive: Receive, left: float) -> Receive:
    """The body's pieces, or the message that the sender has gone."""
    whole = False

    async def piece() -> ReceiveMessage:
        nonlocal left, whole
        if whole:  # the only news is that they hung up, which may take as long as the answer
            return await receive()
        began = time.monotonic()
        try:
            message = await asyncio.wait_for(receive(), left)
        except TimeoutError:
            return {"type": "http.disconnect"}
        left -= time.monotonic() - began
        if message["type"] == "http.request":
            left = max(left, 0.0) + len(message.get("body", b"")) / LEAST_RATE  # ASGI lets a server leave both out
            whole = not message.get("more_body", False)
        return message

    return piece
