"""Headers that tell browsers to distrust everything but ourselves: no inline script or style, no framing, no sniffing, no referrer.

What does not say how long it may be kept is not kept.
"""

from __future__ import annotations

from typing import Final

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
TLS_ONLY: Final = {"strict-transport-security": "max-age=31536000"}


async def add_headers(message: Message, scope: Scope) -> None:
    """On every answer of this process, errors included."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    tls = scope["litestar_app"].state.context.settings.public_url.startswith("https:")
    for name, value in {**HEADERS, **(TLS_ONLY if tls else {})}.items():
        headers.setdefault(name, value)
    if tls:  # also one that deletes: browsers let go of a __Host- cookie by a Secure one only
        message["headers"] = [(name, with_secure(value) if name.lower() == b"set-cookie" else value) for name, value in message["headers"]]


def with_secure(cookie: bytes) -> bytes:
    return cookie if b"; secure" in cookie.lower() else cookie + b"; Secure"
