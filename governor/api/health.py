"""`/healthz`: is this process able to answer from its database? Open to all, says nothing else."""

from __future__ import annotations

from typing import TypedDict

from litestar import get
from sqlalchemy import text

from governor.actions.context import Context


class Health(TypedDict):
    """status: ok."""

    status: str


@get("/healthz", sync_to_thread=True, tags=["health"])
def health(ctx: Context) -> Health:
    """Alive and able to read its database."""
    with ctx.rows.session() as session:
        session.connection().execute(text("SELECT 1"))
    return {"status": "ok"}


ROUTES = [health]
