"""The door of `governor witness`: a process of its own, run by another team, with its own keys and state. It knows no Governor home.

Owns: HTTP of c2sp.org/tlog-witness (submission) and a page per log for comparing (monitoring). Does not own: the rule (actions/cosign.py).
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any, Final

from anyio import to_thread
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.datastructures import State

from governor.actions.cosign import PLAIN, add_checkpoint
from governor.store.witness import WitnessFolder

FOLDER: Final = "GOVERNOR_WITNESS_DIR"
MAX_BODY: Final = 256 * 1024


@post("/add-checkpoint", status_code=200)
async def submit(request: Request[Any, Any, State], state: State) -> Response[bytes]:
    """Cosign, or say why not: 400, 403, 404, 409 with the size that is known, 422."""
    body = await request.body()
    reply = await to_thread.run_sync(add_checkpoint, state.witness, body, int(time.time()))
    return Response(reply.body.encode(), status_code=reply.status, headers={"content-type": reply.media_type})


@get("/logs/{digest:str}/checkpoint", sync_to_thread=True)
def newest(state: State, digest: str) -> Response[bytes]:
    """The last cosigned checkpoint of the log whose origin has this SHA-256 (hex)."""
    for origin, seen in state.witness.newest().items():
        if hashlib.sha256(origin.encode()).hexdigest() == digest:
            return Response(seen.note.encode(), headers={"content-type": PLAIN, "Cache-Control": "no-store"})
    return Response(b"unknown log\n", status_code=404, headers={"content-type": PLAIN})


@get("/", sync_to_thread=True, media_type=MediaType.TEXT)
def about(state: State) -> str:
    """Who this witness is and what it watches."""
    lines = [f"witness {state.witness.name}", *state.witness.vkeys, ""]
    sizes = state.witness.newest()
    lines += [f"{sizes[origin].size if origin in sizes else 0} {origin}" for origin in sorted(state.witness.logs())]
    return "\n".join(lines) + "\n"


def create_witness_app(folder: Path) -> Litestar:
    return Litestar(
        route_handlers=[submit, newest, about],
        state=State({"witness": WitnessFolder(folder)}),
        request_max_body_size=MAX_BODY,
        openapi_config=None,
        logging_config=None,
    )


def build() -> Litestar:
    """What the server process calls."""
    return create_witness_app(Path(os.environ[FOLDER]))


def serve_witness(folder: Path, *, address: str, port: int) -> None:
    """Blocks until stopped."""
    os.environ[FOLDER] = str(folder)
    Granian(
        "governor.api.witness:build", address=address, port=port, interface=Interfaces.ASGI, factory=True, websockets=False,
        log_level=LogLevels.warning, respawn_failed_workers=True,
    ).serve()  # fmt: skip
