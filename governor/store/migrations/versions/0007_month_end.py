"""Month end: steps on the way to a close, versions that were reopened, disputes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from governor.store.migrations.guard import isolate

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "periodstep",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("person_email", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_periodstep_org_id"), "periodstep", ["org_id"], unique=False)
    op.create_index(op.f("ix_periodstep_month"), "periodstep", ["month"], unique=False)
    op.create_table(
        "periodversion",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("totals", sa.String(), nullable=False),
        sa.Column("lines", sa.String(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("agreed_by", sa.String(), nullable=False),
        sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("org_id", "month", "version"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_periodversion_org_id"), "periodversion", ["org_id"], unique=False)
    op.create_table(
        "periodversionfile",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["periodversion.id"]),
        sa.UniqueConstraint("version_id", "name"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_periodversionfile_org_id"), "periodversionfile", ["org_id"], unique=False)
    op.create_index(op.f("ix_periodversionfile_version_id"), "periodversionfile", ["version_id"], unique=False)
    op.create_table(
        "dispute",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("line_id", sa.String(), nullable=False),
        sa.Column("cost_center", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("opened_by", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("answered_by", sa.String(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_dispute_org_id"), "dispute", ["org_id"], unique=False)
    op.create_index(op.f("ix_dispute_month"), "dispute", ["month"], unique=False)
    isolate([("periodstep", "org_id"), ("periodversion", "org_id"), ("periodversionfile", "org_id"), ("dispute", "org_id")])
