"""Golden sets: versions of cases whose right answer is known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from governor.store.migrations.guard import isolate

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "golden_version",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("workflow_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("cases", sa.String(), nullable=False),
        sa.Column("imported_by", sa.String(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("org_id", "name", "version"),
    )
    op.create_index(op.f("ix_golden_version_org_id"), "golden_version", ["org_id"], unique=False)
    op.create_index(op.f("ix_golden_version_name"), "golden_version", ["name"], unique=False)
    op.create_index(op.f("ix_golden_version_workflow_id"), "golden_version", ["workflow_id"], unique=False)
    isolate([("golden_version", "org_id")])
