"""Entries that wait for their place in the log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from governor.store.append_only import no_update_ddl
from governor.store.migrations.guard import isolate

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "ledgerwaiting",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("stream_seq", sa.Integer(), nullable=False),
        sa.Column("idem", sa.String(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("org_id", "stream", "stream_seq"),
        sa.UniqueConstraint("org_id", "idem"),
    )
    op.create_index("ix_ledgerwaiting_order", "ledgerwaiting", ["org_id", "recorded_at", "seq"], unique=False)
    isolate([("ledgerwaiting", "org_id")])
    for statement in no_update_ddl(op.get_bind().dialect.name, "ledgerwaiting"):
        op.execute(statement)
