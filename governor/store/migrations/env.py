"""Alembic's entry: runs the versions on the connection that `Database.migrate` opened."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from governor.store import rows
from governor.store.migrations.compare import item_for_autogenerate

assert rows.__all__  # noqa: S101 - importing the rows registers their tables

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    compare_type=True,
    render_item=item_for_autogenerate,
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
