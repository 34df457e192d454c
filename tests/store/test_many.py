"""Many rows by one statement: what is stored is what the library's own way stores, and it is known how many rows were as they were thought to be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from governor.store.database import Database
from governor.store.many import execute_many
from governor.store.rows.base import BigDecimalInt, UtcInstant

TABLE = sa.Table(
    "many_rows",
    sa.MetaData(),
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("amount", BigDecimalInt),
    sa.Column("said", sa.String),
    sa.Column("at", UtcInstant),
)
REWRITE = sa.update(TABLE).where(TABLE.c.id == sa.bindparam("row"), TABLE.c.said == sa.bindparam("seen"))
AT = datetime(2026, 10, 1, 12, tzinfo=timezone(timedelta(hours=2)))
ROWS: list[dict[str, Any]] = [
    {"row": "a", "seen": "old", "amount": 10**30, "said": "it's 100 % ? :name %s \\ \U0001f600", "at": AT},
    {"row": "b", "seen": "old", "amount": None, "said": "", "at": None},
    {"row": "c", "seen": "old", "amount": 1, "said": "new", "at": AT.replace(microsecond=7)},
]


@pytest.fixture(params=["sqlite", "postgres"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    url = request.getfixturevalue("postgres") if request.param == "postgres" else f"sqlite:///{tmp_path}/rows.db"
    database = Database(url, "acme")
    with database.session(write=True) as session:
        connection = session.connection()
        TABLE.metadata.create_all(connection)
        connection.execute(TABLE.insert(), [{"id": one["row"], "said": "old", "amount": 0, "at": AT} for one in ROWS])
        yield connection
    database.close()


def stored(connection: sa.Connection) -> list[Any]:
    return [tuple(row) for row in connection.execute(sa.select(TABLE).order_by(TABLE.c.id))]


def test_the_values_are_those_of_the_librarys_own_way(connection: sa.Connection) -> None:
    with connection.begin_nested() as undone:
        connection.execute(REWRITE, ROWS)
        theirs = stored(connection)
        undone.rollback()
    assert execute_many(connection, REWRITE, ROWS) == len(ROWS)
    assert stored(connection) == theirs
    assert theirs[0] == ("a", 10**30, ROWS[0]["said"], AT.astimezone(UTC))


def test_a_row_that_changed_is_not_counted(connection: sa.Connection) -> None:
    assert execute_many(connection, REWRITE, [ROWS[0], {**ROWS[1], "seen": "other"}, ROWS[2]]) == len(ROWS) - 1
    assert stored(connection)[1][2] == "old"
