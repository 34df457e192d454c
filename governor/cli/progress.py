"""The bar of a shadow run on stderr, so that stdout stays the answer."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from governor.cli.session import Session


@contextmanager
def following(session: Session, run_id: str) -> Iterator[None]:
    """A line on stderr that follows the run while the block works: rewritten on a terminal, now and then a new one elsewhere."""
    from sqlalchemy.exc import SQLAlchemyError

    from governor.actions.shadow_progress import shadow_progress
    from governor.errors import GovernorError

    context, over = session.context(), threading.Event()
    terminal = sys.stderr.isatty()

    def tell() -> None:
        last = ""
        while not over.wait(0.5 if terminal else 15):
            with suppress(GovernorError, SQLAlchemyError):  # the database may be busy: the next turn tells
                found = shadow_progress(context, run_id)
                if found.total and (line := found.line()) != last:
                    typer.echo(f"\r\033[K{line}" if terminal else line, err=True, nl=not terminal)
                    last = line
        if terminal and last:
            typer.echo("\r\033[K", err=True, nl=False)

    thread = threading.Thread(target=tell, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)
