"""Entries of one type are found without reading every leaf."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_index("ix_ledgerentry_type", "ledgerentry", ["org_id", "type", "idx"])
