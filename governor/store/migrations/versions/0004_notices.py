"""Notices: what was told to people, each once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from governor.store.migrations.guard import isolate

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("dedupe", sa.String(), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("org_id", "dedupe"),
    )
    op.create_index(op.f("ix_notice_org_id"), "notice", ["org_id"], unique=False)
    isolate([("notice", "org_id")])
