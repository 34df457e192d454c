"""The web process: API, pages and an embedded worker, built from one visible list.

Owns: what is served, the life of the opened organization, of the worker threads and of the spool's drainer. Does not own: any route.
Invariants: one process serves one organization; without a broker the jobs are done by threads of this process.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import to_thread
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from litestar import Litestar, MediaType, Request, Response
from litestar.datastructures import State
from litestar.exceptions import InternalServerException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from governor.actions.context import Context, open_context
from governor.actions.drain import Drainer
from governor.actions.remembered import settle
from governor.actions.single_sign_on import identity_provider
from governor.actions.workforce import Workforce
from governor.api.bodies import HungUp, Malformed
from governor.api.methods import with_head
from governor.api.problems import show_problem
from governor.api.routes import ROUTERS as API_ROUTERS
from governor.api.routes import operation_id
from governor.api.slow_senders import with_patience
from governor.api.v1_metrics import REQUESTS
from governor.settings import Settings, load_settings
from governor.web.attempts import Attempts
from governor.web.headers import add_headers
from governor.web.refusals import show_refusal
from governor.web.routes import ROUTERS as WEB_ROUTERS

# Everything that is served, in two lists: governor/api/routes.py and governor/web/routes.py.
ROUTERS: Final = [*API_ROUTERS, *WEB_ROUTERS]
MACHINE_PATHS: Final = ("/api/", "/v1/", "/ingest/", "/schema", "/healthz", "/tile/", "/checkpoint")


def create_app(settings: Settings, *, context: Context | None = None, with_worker: bool = True) -> Litestar:
    """The application of one organization. `context`: an organization that is open already and stays open (tests)."""

    @asynccontextmanager
    async def live(app: Litestar) -> AsyncIterator[None]:
        opened: Context = context if context is not None else await to_thread.run_sync(open_context, settings)
        app.state.context = opened
        force = Workforce(settings) if with_worker and not settings.broker_url else None
        if force is not None:
            opened.after_commit.append(force.wake)
            force.start()
        drainer = Drainer(opened) if with_worker else None
        if drainer is not None:
            drainer.start()
        try:
            yield
        finally:
            if drainer is not None:
                await to_thread.run_sync(drainer.stop)
            if force is not None:
                await to_thread.run_sync(force.stop)
            await to_thread.run_sync(settle, opened)
            if context is None:
                opened.close()

    app = Litestar(
        route_handlers=ROUTERS,
        middleware=[REQUESTS],
        lifespan=[live],
        state=State({"attempts": Attempts(), "context": context, "identity_provider": identity_provider(settings)}),
        exception_handlers={Exception: show_failure},
        before_send=[add_headers],
        request_max_body_size=settings.max_body_bytes,
        openapi_config=OpenAPIConfig(
            title="Governor",
            version="1",
            description="A governance ledger over the LLM gateways a company already runs. Errors are problem documents (RFC 9457); "
            "money is a decimal string in USD; every POST under /api/v1 takes an Idempotency-Key.",
            path="/schema",
            components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
            render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"], media_type=MediaType.JSON), YamlRenderPlugin()],
            use_handler_docstrings=True,
            operation_id_creator=operation_id,
        ),
        logging_config=None,
    )
    return with_head(with_patience(app))


def show_failure(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A problem document for machines, a page for people."""
    if isinstance(error, UnicodeDecodeError) and of_the_form(error):
        error = Malformed("a field of the form is not UTF-8 text")
    if isinstance(error, RecursionError):  # whichever reader of JSON it was
        error = Malformed("what was sent is nested too deeply")
    if isinstance(error, InternalServerException) and "disconnected" in error.detail:  # no failure of ours, and nobody is there to be told
        error = HungUp()
    return show_problem(request, error) if request.url.path.startswith(MACHINE_PATHS) else show_refusal(request, error)


def of_the_form(error: UnicodeDecodeError) -> bool:
    """Raised while Litestar took the body apart, before any of our code ran."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and str(frame.tb_frame.f_globals.get("__name__")).startswith("litestar.")


def build() -> Litestar:
    """What the server process calls: settings come from the environment and the home's governor.toml.

    Until the server listens for signals it holds the handler that its parent was forked with, which tells nobody: being told to end while the home is opened
    was lost, and the parent waited for ever.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
    settings = load_settings()
    if not logging.getLogger().handlers:  # started anew and not forked: our parent's words, level and form are not ours
        from governor.cli import log_to_stderr

        log_to_stderr(settings.log_level.upper(), long_lived=True)
    return create_app(settings)


def end_with_parent() -> None:
    """A parent that was killed cannot end us: we would go on serving, and hold the port of whoever is started in its place."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def serve(settings: Settings, *, host: str, address: str, port: int) -> None:
    """Blocks until stopped. One process: the rows database and the lake may have rivals, the embedded home needs none."""
    os.environ["GOVERNOR_HOME"] = str(settings.home)
    if "public_url" not in settings.model_fields_set and host in {"127.0.0.1", "localhost"}:
        os.environ["GOVERNOR_PUBLIC_URL"] = f"http://{host}:{port}"  # nobody named another: what pages show can be typed
    Granian(
        "governor.asgi:build",
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        factory=True,
        websockets=False,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
    ).serve()
