"""Checks of approved routes: an approved route asked again with the prompts of its approved evidence."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from governor.store.migrations.guard import isolate

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "route_check",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("change_id", sa.String(), nullable=False),
        sa.Column("workflow_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("planned", sa.Integer(), nullable=False),
        sa.Column("budget_pico", sa.Text(), nullable=False),
        sa.Column("reserved_pico", sa.Text(), nullable=False),
        sa.Column("spent_pico", sa.Text(), nullable=False),
        sa.Column("lines", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_route_check_org_id"), "route_check", ["org_id"], unique=False)
    op.create_index(op.f("ix_route_check_change_id"), "route_check", ["change_id"], unique=False)
    isolate([("route_check", "org_id")])
