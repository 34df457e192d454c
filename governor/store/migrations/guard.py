"""What every migrated table gets besides its columns: row-level security on Postgres, append-only triggers on the ledger.

Owns: the statements. Does not own: which tables exist (the versions say so).
Invariants: a policy compares the row's organization with `app.org` of the transaction; without `app.org` nothing is visible.
"""

from __future__ import annotations

from collections.abc import Iterable

from alembic import op

from governor.store.append_only import append_only_ddl


def isolate(tables: Iterable[tuple[str, str]]) -> None:
    """Guard (table, organization column) pairs. SQLite holds one organization and needs nothing."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, column in tables:
        op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
        op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
        rule = f"{column} = current_setting('app.org', true)"
        op.execute(f'CREATE POLICY organization ON "{table}" USING ({rule}) WITH CHECK ({rule})')


def refuse_rewrites() -> None:
    """Triggers that refuse update and delete on the ledger's tables."""
    for statement in append_only_ddl(op.get_bind().dialect.name):
        op.execute(statement)
