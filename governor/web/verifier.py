"""`/verify.html`: the offline verifier as a page of this host, for a first look; the answer is worth more from a copy that came another way.

Owns: handing out the file with the content policy it states itself. Does not own: what it checks (packets/verify.html).
Invariants: byte for byte the published file; the browser may fetch nothing for it, not even from here.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache
from importlib.resources import files

from litestar import Response, get

from governor.actions.context import Actor


@get("/verify.html", sync_to_thread=False)
def show(actor: Actor) -> Response[bytes]:  # noqa: ARG001 - whoever is signed in may read it
    body, policy = _page()
    return Response(
        body,
        media_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": f"{policy}; frame-ancestors 'none'", "Cache-Control": "no-cache"},
    )


@lru_cache(maxsize=1)
def _page() -> tuple[bytes, str]:
    body = (files("governor.packets") / "verify.html").read_bytes()
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', body.decode())
    if found is None:
        raise ValueError("verify.html states no content policy: run tools/seal_verifiers.py")
    return body, html.unescape(found[1])


ROUTES = [show]
