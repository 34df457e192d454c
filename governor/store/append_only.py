"""The triggers that make the database itself refuse to change the ledger.

Owns: their statements, for SQLite and Postgres. Does not own: when they are laid down (migrations), what the ledger is (store/ledger.py).
"""

from __future__ import annotations

from typing import Final

GUARDED: Final = ("ledgerentry", "ledgernode", "ledgercheckpoint")


def append_only_ddl(dialect: str) -> list[str]:
    """Statements that make the database itself refuse UPDATE, DELETE (and TRUNCATE) on the ledger's tables."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'the ledger is append only: {table}'); END"
            for table in GUARDED
            for verb in ("UPDATE", "DELETE")
        ]
    function = (
        "CREATE OR REPLACE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION 'the ledger is append only: %', TG_TABLE_NAME; END $$"
    )
    statements = [function]
    for table in GUARDED:
        statements += [
            f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}",
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION ledger_append_only()",
            f"DROP TRIGGER IF EXISTS {table}_no_truncate ON {table}",
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()",
        ]
    return statements


def no_update_ddl(dialect: str, table: str) -> list[str]:
    """Statements for a table whose rows may go, but never change. On Postgres the function of `append_only_ddl` is there already."""
    if dialect == "sqlite":
        refuse = f"SELECT RAISE(ABORT, 'the ledger is append only: {table}');"
        return [f"CREATE TRIGGER IF NOT EXISTS {table}_no_update BEFORE UPDATE ON {table} BEGIN {refuse} END"]
    return [
        f"DROP TRIGGER IF EXISTS {table}_no_update ON {table}",
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION ledger_append_only()",
    ]
