"""What an append must know of the log and the locks before it, in one way to the server (Postgres)."""

from __future__ import annotations

from alembic import op

from governor.store.log_end import JOIN_DDL

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(JOIN_DDL)
