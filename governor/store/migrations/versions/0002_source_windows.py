"""What pulls saw of each window of a source."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from governor.store.migrations.guard import isolate

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "sourcewindow",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read", sa.Integer(), nullable=False),
        sa.Column("said", sa.Integer(), nullable=True),
        sa.Column("hole", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "source", "start_at", "end_at"),
    )
    isolate([("sourcewindow", "org_id")])
