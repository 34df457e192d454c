"""Write the next schema version: what the registered tables have and the newest version has not.

python tools/make_migration.py 0002_what_changed    (0001 is rewritten from nothing while it is unreleased)
"""

from __future__ import annotations

import sys
import tempfile

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from governor.store.database import MIGRATIONS, Database, guarded_tables
from governor.store.migrations.compare import item_for_autogenerate

HEAD = '''"""{message}"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from governor.store.migrations.guard import isolate, refuse_rewrites

revision = {revision!r}
down_revision = {down!r}


def upgrade() -> None:  # noqa: PLR0915 - one statement a table
    {body}
{guards}
'''


def main(name: str) -> None:
    number, _, words = name.partition("_")
    first = int(number) == 1
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/empty.db", "default")
        if not first:
            database.migrate()
        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True, "render_item": item_for_autogenerate})
            script = produce_migrations(context, SQLModel.metadata)
        operations = script.upgrade_ops
        made = (
            [operation.table_name for operation in operations.ops if hasattr(operation, "table_name") and hasattr(operation, "columns")]
            if operations
            else []
        )
        body = render_python_code(operations, render_item=item_for_autogenerate) if operations else "pass"
    pairs = [pair for pair in guarded_tables() if pair[0] in made]
    guards = f"    isolate({pairs!r})\n" + ("    refuse_rewrites()" if first else "")
    down = None if first else f"{int(number) - 1:04d}"
    target = MIGRATIONS / "versions" / f"{name}.py"
    target.write_text(HEAD.format(message=words.replace("_", " ").capitalize() + ".", revision=number, down=down, body=body, guards=guards))
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main(sys.argv[1])
