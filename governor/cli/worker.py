"""`governor worker`: a process that does jobs. The spoke that does them is found by its entry point."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated

import typer

from governor.cli.session import session_of
from governor.errors import Unavailable


def worker(
    ctx: typer.Context,
    threads: Annotated[int, typer.Option("--threads", min=1, max=64, help="Jobs done at the same time.")] = 2,
) -> None:
    """Do jobs: from Redis where GOVERNOR_BROKER_URL is set, else by polling the database. Stop with Ctrl-C or SIGTERM."""
    session = session_of(ctx)
    session.context(process=True)  # fail early, with a hint, when there is no home
    session.close()
    settings = session.settings()
    found = next(iter(entry_points(group="governor.workers", name="process")), None)
    if found is None:
        raise Unavailable("the worker part is not installed", hint="install workflow-model-governor again, in an environment of its own")
    session.note(f"worker of organization {settings.org}: {'broker' if settings.broker_url else 'polling the database'}, {threads} threads")
    found.load()(settings, threads=threads)
