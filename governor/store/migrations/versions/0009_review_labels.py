"""People's labels on pairs of shadow runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from governor.store.migrations.guard import isolate

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "review_label",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("change_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("pick", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("via", sa.String(), nullable=False),
        sa.Column("labelled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("run_id", "position", "reviewer"),
    )
    op.create_index(op.f("ix_review_label_org_id"), "review_label", ["org_id"], unique=False)
    op.create_index(op.f("ix_review_label_change_id"), "review_label", ["change_id"], unique=False)
    op.create_index(op.f("ix_review_label_run_id"), "review_label", ["run_id"], unique=False)
    isolate([("review_label", "org_id")])
