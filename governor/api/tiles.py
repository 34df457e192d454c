"""The log as static files for mirrors and monitors (c2sp.org/tlog-tiles): `/checkpoint` and `/tile/...`, read-only.

Owns: paths, caching. Does not own: the bytes (actions/mirror.py). Invariants: leaves hold no personal data but business facts, so a token with scope
`read` is asked for unless GOVERNOR_PUBLIC_TILES says otherwise; a tile may be cached for ever, a checkpoint for seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter

from governor.actions.context import Context
from governor.actions.mirror import newest_checkpoint, tile
from governor.actions.people import authenticate
from governor.api.bearer import HINT, check_scope
from governor.api.bodies import raw_answer
from governor.errors import Unauthenticated

TAGS: Final = ["ledger"]
YEAR: Final = 31_536_000


def reader(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let everybody in where the installation says so, else whoever may read."""
    ctx: Context = connection.app.state.context
    if ctx.settings.public_tiles:
        return
    kind, _space, token = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Unauthenticated("this needs a token", hint=HINT)
    check_scope(authenticate(ctx, token), "GET")


def caching(ctx: Context, seconds: int) -> str:
    """What asked for a token must not lie in a shared cache."""
    return f"{'public' if ctx.settings.public_tiles else 'private'}, max-age={seconds}" + (", immutable" if seconds == YEAR else "")


@get("/checkpoint", guards=[reader], sync_to_thread=True, tags=TAGS, security=[{"token": []}], operation_class=raw_answer("text/plain"))
def checkpoint(ctx: Context) -> Response[bytes]:
    """The newest signed checkpoint."""
    return Response(newest_checkpoint(ctx).encode(), media_type="text/plain", headers={"Cache-Control": caching(ctx, 5)})


TilePath = Annotated[
    Path, Parameter(description="As c2sp.org/tlog-tiles names it.", schema_extra={"format": None, "pattern": "^[a-z0-9./]+$"})
]


@get(
    "/tile/{path:path}",
    guards=[reader],
    sync_to_thread=True,
    tags=TAGS,
    security=[{"token": []}],
    operation_class=raw_answer("application/octet-stream"),
)
def show_tile(ctx: Context, path: TilePath) -> Response[bytes]:
    """`/tile/LEVEL/INDEX[.p/WIDTH]` hashes, `/tile/entries/INDEX[.p/WIDTH]` the entries themselves."""
    body = tile(ctx, str(path).lstrip("/"))
    return Response(body, media_type="application/octet-stream", headers={"Cache-Control": caching(ctx, YEAR)})


ROUTES = [checkpoint, show_tile]
