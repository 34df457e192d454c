"""Price proposals; the database refuses prices that overlap and edits of a price."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from governor.store.migrations.guard import isolate

revision = "0006"
down_revision = "0005"

SAME = ("org_id", "kind", "provider", "model", "match", "meter", "service_tier", "region")
FIXED = (
    *("id", "version_id", *SAME, "context_min", "context_max", "band_rule", "amount", "per", "currency", "valid_from", "valid_to"),
    "recorded_at",
)


def upgrade() -> None:
    op.create_table(
        "priceproposal",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("source_version", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("evidence_sha256", sa.String(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("notes", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("difference", sa.String(), nullable=False),
        sa.Column("version_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index(op.f("ix_priceproposal_state"), "priceproposal", ["state"], unique=False)
    isolate([("priceproposal", "org_id")])
    for name in ("proposal_id", "approved_by", "evidence_sha256"):
        op.add_column("pricebookversion", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.add_column("pricerow", sa.Column("band_rule", sa.String(), nullable=False, server_default=""))
    for statement in sqlite() if op.get_bind().dialect.name == "sqlite" else postgres():
        op.execute(statement)


def sqlite() -> list[str]:
    same = " AND ".join(f'p."{name}" = NEW."{name}"' for name in SAME)
    meets = " AND ".join(
        f"(p.{high} IS NULL OR NEW.{low} IS NULL OR NEW.{low} < p.{high}) AND (NEW.{high} IS NULL OR p.{low} IS NULL OR p.{low} < NEW.{high})"
        for low, high in (("valid_from", "valid_to"), ("context_min", "context_max"))
    )
    changed = " OR ".join(f'OLD."{name}" IS NOT NEW."{name}"' for name in FIXED)
    return [
        (
            f"CREATE TRIGGER pricerow_no_overlap BEFORE INSERT ON pricerow WHEN NEW.superseded_at IS NULL BEGIN "
            f"SELECT RAISE(ABORT, 'two prices for the same thing at the same time') "
            f"WHERE EXISTS (SELECT 1 FROM pricerow p WHERE {same} AND p.superseded_at IS NULL AND {meets}); END"
        ),
        (
            f"CREATE TRIGGER pricerow_no_update BEFORE UPDATE ON pricerow WHEN OLD.superseded_at IS NOT NULL OR NEW.superseded_at IS NULL OR {changed} "
            "BEGIN SELECT RAISE(ABORT, 'the price book is append only'); END"
        ),
        "CREATE TRIGGER pricerow_no_delete BEFORE DELETE ON pricerow BEGIN SELECT RAISE(ABORT, 'the price book is append only'); END",
    ]


def postgres() -> list[str]:
    """The SKU enters the index as a number of 64 bits, so that no extension is needed.

    Rows that overlap already are superseded: the lower id stays.
    """
    names = " || chr(31) || ".join(f'"{name}"' for name in SAME)
    sku = f"hashtextextended({names}, 0) >> 1"
    same = " AND ".join(f'b."{name}" = a."{name}"' for name in SAME)
    meets = (
        "tstzrange(b.valid_from, b.valid_to) && tstzrange(a.valid_from, a.valid_to) "
        "AND int4range(b.context_min, b.context_max) && int4range(a.context_min, a.context_max)"
    )
    changed = " OR ".join(f'OLD."{name}" IS DISTINCT FROM NEW."{name}"' for name in FIXED)
    return [
        "ALTER TABLE pricerow NO FORCE ROW LEVEL SECURITY",
        (
            f"UPDATE pricerow a SET superseded_at = now() WHERE a.superseded_at IS NULL AND EXISTS "
            f"(SELECT 1 FROM pricerow b WHERE {same} AND b.superseded_at IS NULL AND b.id < a.id AND {meets})"
        ),
        "ALTER TABLE pricerow FORCE ROW LEVEL SECURITY",
        (
            f"ALTER TABLE pricerow ADD CONSTRAINT pricerow_no_overlap EXCLUDE USING gist (int8range({sku}, {sku}, '[]') WITH &&, "
            "int4range(context_min, context_max) WITH &&, tstzrange(valid_from, valid_to) WITH &&) WHERE (superseded_at IS NULL)"
        ),
        (
            "CREATE FUNCTION pricerow_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF TG_OP <> 'UPDATE' OR OLD.superseded_at IS NOT NULL OR NEW.superseded_at IS NULL OR {changed} THEN "
            "RAISE EXCEPTION 'the price book is append only'; END IF; RETURN NEW; END $$"
        ),
        "CREATE TRIGGER pricerow_append_only BEFORE UPDATE OR DELETE ON pricerow FOR EACH ROW EXECUTE FUNCTION pricerow_append_only()",
    ]
