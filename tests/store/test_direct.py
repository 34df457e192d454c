"""What goes straight to the driver fails as what goes through the library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from governor.errors import Unavailable
from governor.store import direct
from governor.store.database import Database, libpq


@pytest.fixture
def rows(postgres: str) -> Iterator[Database]:
    found = Database(postgres, "acme")
    with found.session(write=True) as session:
        session.connection().execute(text("CREATE TABLE thing (id integer PRIMARY KEY)"))
    yield found
    found.close()


def insert(rows: Database, *ids: int, then: Exception | None = None) -> None:
    with rows.session(write=True) as session:
        for one in ids:
            direct.execute(session.connection(), "INSERT INTO thing VALUES (%(id)s)", {"id": one})
        if then:
            raise then


def ask(rows: Database, question: str) -> Any:
    with rows.session() as session:
        return direct.execute(session.connection(), question, ()).fetchall()


def test_it_is_part_of_the_transaction(rows: Database) -> None:
    insert(rows, 7)
    with pytest.raises(RuntimeError):
        insert(rows, 8, then=RuntimeError())
    assert ask(rows, "SELECT id FROM thing") == [(7,)]


def test_a_refused_row_is_the_librarys_error_and_the_connection_goes_on(rows: Database) -> None:
    with pytest.raises(IntegrityError) as refused:
        insert(rows, 7, 7)
    assert isinstance(refused.value.orig, psycopg.errors.UniqueViolation)
    assert not refused.value.connection_invalidated
    with pytest.raises(DBAPIError, match="nothing"):
        ask(rows, "SELECT nothing")
    assert ask(rows, "SELECT count(*) FROM thing") == [(0,)]


def test_a_lost_connection_is_let_go(rows: Database, postgres: str) -> None:
    def lose() -> None:
        with rows.session(write=True) as session:
            connection = session.connection()
            [[backend]] = direct.execute(connection, "SELECT pg_backend_pid()", ())
            with psycopg.connect(libpq(postgres), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (backend,))
            direct.execute(connection, "INSERT INTO thing VALUES (7)", ())

    with pytest.raises(Unavailable, match="broke off") as lost:
        lose()
    assert isinstance(lost.value.__context__, OperationalError)
    assert ask(rows, "SELECT count(*) FROM thing") == [(0,)]
