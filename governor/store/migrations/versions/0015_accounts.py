"""Accounts of people at an identity provider."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from governor.store.migrations.guard import isolate

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("org_id", "issuer", "subject"),
        sa.UniqueConstraint("org_id", "issuer", "person_id"),
    )
    op.create_index(op.f("ix_account_org_id"), "account", ["org_id"], unique=False)
    isolate([("account", "org_id")])
