"""The rows database: transactions, migrations, and organizations that cannot see each other (on a real Postgres)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg.conninfo
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import Session, SQLModel, select

from governor.actions.context import open_context
from governor.errors import Refused, Unavailable
from governor.settings import load_settings
from governor.store.database import Database, guarded_tables, libpq, newest_revision
from governor.store.no_way_in import cause_of
from governor.store.rows.jobs import Job
from governor.store.rows.people import Organization, Person

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/home/rows.db", "default")
    database.migrate()
    yield database
    database.close()


@pytest.fixture(scope="module")
def postgres(new_postgres: Callable[[], str]) -> str:
    """URL of a migrated database."""
    url = new_postgres()
    migrating = Database(url, "acme")
    migrating.migrate()
    migrating.close()
    return url


def person(org: str, email: str) -> Person:
    return Person(org_id=org, email=email, created_at=NOW)


def test_a_session_commits_or_leaves_nothing(embedded: Database) -> None:
    with embedded.session(write=True) as session:
        session.add(person("default", "ana@acme.example"))

    def broken() -> None:
        with embedded.session(write=True) as session:
            session.add(person("default", "bob@acme.example"))
            session.flush()
            raise LookupError("stop")

    with pytest.raises(LookupError):
        broken()
    with embedded.session() as session:
        assert [found.email for found in session.exec(select(Person)).all()] == ["ana@acme.example"]


def test_a_read_session_cannot_write(embedded: Database) -> None:
    def write_in_a_read() -> None:
        with embedded.session() as session:
            session.add(person("default", "eve@acme.example"))

    with pytest.raises(OperationalError, match="readonly"):
        write_in_a_read()


def test_writers_wait_for_each_other(embedded: Database) -> None:
    """Read-modify-write of eight threads loses nothing: BEGIN IMMEDIATE makes them queue."""
    with embedded.session(write=True) as session:
        session.add(Organization(id="default", name="0", created_at=NOW))

    def add_one() -> None:
        for _ in range(5):
            with embedded.session(write=True) as session:
                row = session.get(Organization, "default")
                assert row is not None
                row.name = str(int(row.name) + 1)

    threads = [threading.Thread(target=add_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with embedded.session() as session:
        assert session.exec(select(Organization.name)).one() == "40"


def test_foreign_keys_bind(embedded: Database) -> None:
    def orphan() -> None:
        with embedded.session(write=True) as session:
            session.execute(
                sa.text(
                    "INSERT INTO token (id, org_id, person_id, name, secret_sha256, scopes, created_at) VALUES ('t', 'default', 'nobody', '', 's', '', '2026-01-01')"
                )
            )

    with pytest.raises(DBAPIError, match="FOREIGN KEY"):
        orphan()


def columns(engine: sa.Engine) -> dict[str, dict[str, tuple[bool, bool]]]:
    inspector = sa.inspect(engine)
    return {
        table: {
            column["name"]: (bool(column["nullable"]), column["name"] in inspector.get_pk_constraint(table)["constrained_columns"])
            for column in inspector.get_columns(table)
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def expected_columns() -> dict[str, dict[str, tuple[bool, bool]]]:
    return {
        table.name: {column.name: (bool(column.nullable), column.primary_key) for column in table.columns}
        for table in SQLModel.metadata.sorted_tables
    }


def constraints(engine: sa.Engine) -> set[tuple[str, str, tuple[str, ...]]]:
    inspector = sa.inspect(engine)
    found: set[tuple[str, str, tuple[str, ...]]] = set()
    for table in inspector.get_table_names():
        found |= {(table, "unique", tuple(sorted(key["column_names"]))) for key in inspector.get_unique_constraints(table)}
        found |= {(table, "foreign", tuple(sorted(key["constrained_columns"]))) for key in inspector.get_foreign_keys(table)}
        found |= {
            (table, "index", tuple(name or "" for name in key["column_names"])) for key in inspector.get_indexes(table) if not key["unique"]
        }
    return found


def test_migrations_make_what_the_rows_say(embedded: Database, tmp_path: Path) -> None:
    assert columns(embedded.engine) == expected_columns()
    fresh = sa.create_engine(f"sqlite:///{tmp_path}/fresh.db")
    SQLModel.metadata.create_all(fresh)
    assert constraints(embedded.engine) == constraints(fresh)
    revision = embedded.revision()
    embedded.migrate()
    assert embedded.revision() == revision


def test_an_earlier_schema_is_noticed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/governor.db"
    database = Database(url, "acme")
    assert not database.is_older()  # nothing was ever there
    database.migrate()
    assert database.revision() == newest_revision()
    assert not database.is_older()
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    assert database.is_older()
    database.close()


def test_migrations_make_the_same_on_postgres(postgres: str) -> None:
    database = Database(postgres, "acme")
    assert columns(database.engine) == expected_columns()
    database.check_isolation()
    database.close()


def test_the_ledger_refuses_rewrites(embedded: Database) -> None:
    with embedded.session(write=True) as session:
        session.execute(sa.text("INSERT INTO ledgernode (org_id, level, pos, hash) VALUES ('default', 0, 0, x'00')"))

    def rewrite() -> None:
        with embedded.session(write=True) as session:
            session.execute(sa.text("UPDATE ledgernode SET hash = x'01'"))

    with pytest.raises(DBAPIError, match="append only"):
        rewrite()


def raw_rows(session: Session, table: str) -> int:
    return int(session.execute(sa.text(f'SELECT count(*) FROM "{table}"')).scalar_one())


def test_organizations_never_see_each_other(postgres: str) -> None:
    ours, theirs = Database(postgres, "acme"), Database(postgres, "rival")
    with theirs.session(write=True) as session:
        session.add(person("rival", "spy@rival.example"))
        session.add(Job(org_id="rival", actor="replay", args="{}", dedupe="rival:1", available_at=NOW, created_at=NOW))
        session.add(Organization(id="rival", name="rival", created_at=NOW))
    with ours.session() as session:
        for table, _ in guarded_tables():
            assert raw_rows(session, table) == 0, table
    with ours.session(write=True) as session:
        assert session.execute(sa.text("UPDATE person SET email = 'stolen'")).rowcount == 0  # type: ignore[attr-defined]
        assert session.execute(sa.text("DELETE FROM job")).rowcount == 0  # type: ignore[attr-defined]

    def plant() -> None:
        with ours.session(write=True) as session:
            session.add(person("rival", "planted@rival.example"))

    with pytest.raises(DBAPIError, match="row-level security"):
        plant()
    with theirs.session() as session:
        assert [found.email for found in session.exec(select(Person)).all()] == ["spy@rival.example"]
    ours.close()
    theirs.close()


def test_a_connection_without_an_organization_sees_nothing(postgres: str) -> None:
    database = Database(postgres, "acme")
    with database.session(write=True) as session:
        session.add(person("acme", "dana@acme.example"))
    with database.engine.connect() as connection:  # also one from the pool that served a transaction of acme before
        assert connection.execute(sa.text("SELECT count(*) FROM person")).scalar_one() == 0
    database.close()


def test_a_role_above_the_rules_is_reported(postgres: str) -> None:
    owner = sa.engine.make_url(postgres).set(username="postgres", password=None)
    database = Database(owner.render_as_string(hide_password=False), "acme")
    with pytest.raises(Refused, match="bypasses row-level security"):
        database.check_isolation()
    database.close()


def test_a_read_session_is_read_only_on_postgres(postgres: str) -> None:
    database = Database(postgres, "acme")

    def write_in_a_read() -> None:
        with database.session() as session:
            session.add(person("acme", "eve@acme.example"))

    with pytest.raises(DBAPIError, match="read-only"):
        write_in_a_read()
    database.close()


def test_who_is_told_that_it_is_away_is_not_told_where_it_is(tmp_path: Path) -> None:
    database = Database(f"postgresql://app:secret@/rows?host={tmp_path}", "acme")
    with pytest.raises(Unavailable) as caught, database.session():
        pass
    told = f"{caught.value.abroad} {caught.value.hint}"
    assert "does not answer" in told
    assert not any(word in told for word in ("app:", "secret", str(tmp_path)))
    assert "secret" not in caught.value.message
    assert "host=" in caught.value.message
    database.close()


def test_libpq_strings_keep_sockets_and_passwords() -> None:
    assert psycopg.conninfo.conninfo_to_dict(libpq("postgresql://app:p%20w@/lake?host=/run/pg")) == {
        "user": "app",
        "password": "p w",
        "dbname": "lake",
        "host": "/run/pg",
    }
    assert psycopg.conninfo.conninfo_to_dict(libpq("postgres://db.example:5433/lake"))["port"] == "5433"


def test_a_connection_lost_while_it_rested_is_replaced(postgres: str) -> None:
    database = Database(postgres, "o'brien % co")  # the name goes into the first statement as text
    other = Database(postgres, "acme")
    with database.session() as session:
        lost = session.execute(sa.text("SELECT pg_backend_pid(), current_setting('app.org')")).one()
    assert lost[1] == "o'brien % co"
    with other.session(write=True) as session:
        assert session.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": lost[0]}).scalar_one()
    with database.session(write=True) as session:
        assert session.execute(sa.text("SELECT current_setting('app.org')")).scalar_one() == "o'brien % co"
        session.add(person("o'brien % co", "kim@acme.example"))
    with database.session() as session:
        assert session.exec(select(Person.email)).one() == "kim@acme.example"
    database.close()
    other.close()


@pytest.mark.parametrize(("write", "told"), [(True, "look whether it was done"), (False, "try again")])
def test_a_connection_lost_in_the_middle_is_no_defect_of_ours(postgres: str, write: bool, told: str) -> None:
    """A failover: exporters of OTLP drop what is answered with 500 and send again what is answered with 503."""
    database, other = Database(postgres, "acme"), Database(postgres, "acme")

    def cut_off() -> None:
        with database.session(write=write) as session:
            pid = session.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            with other.session(write=True) as killer:
                assert killer.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid}).scalar_one()
            session.execute(sa.text("SELECT 1"))

    with pytest.raises(Unavailable, match="broke off") as caught:
        cut_off()
    assert told in caught.value.hint
    with database.session(write=True) as session:
        session.execute(sa.text("SELECT 1"))
    database.close()
    other.close()


def test_of_two_who_wait_for_each_other_one_hears_that_it_may_try_again(postgres: str) -> None:
    database = Database(postgres, "acme")
    with database.session(write=True) as session:
        for name in ("ann", "ben"):
            session.add(person("acme", f"{name}@acme.example"))
    both, told = threading.Barrier(2), list[str]()
    rename = sa.text("UPDATE person SET name = 'x' WHERE email = :email")

    def take(first: str, then: str) -> None:
        try:
            with database.session(write=True) as session:
                session.execute(rename, {"email": f"{first}@acme.example"})
                both.wait(30)
                session.execute(rename, {"email": f"{then}@acme.example"})
            told.append("done")
        except Unavailable as error:
            told.append(error.hint)

    rivals = [threading.Thread(target=take, args=names) for names in (("ann", "ben"), ("ben", "ann"))]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    assert sorted(told) == ["done", "try again"]
    database.close()


def test_a_broken_transaction_leaves_nothing_on_postgres(postgres: str) -> None:
    database = Database(postgres, "broken")

    def broken() -> None:
        with database.session(write=True) as session:
            session.add(person("broken", "bob@acme.example"))
            session.flush()
            raise LookupError("stop")

    with pytest.raises(LookupError):
        broken()
    with database.session() as session:
        assert session.exec(select(Person)).all() == []
    database.close()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("@/governor_", "@/nope_"), "it has no such database"),
        (("//governor_", "//nobody_"), "it has no such user|it refuses this user|pg_hba"),
    ],
)
def test_why_postgres_is_no_way_in_is_named(postgres: str, change: tuple[str, str], told: str) -> None:
    database = Database(postgres.replace(*change), "acme")
    with pytest.raises(Unavailable, match=told) as caught, database.session():
        pass
    assert not any(word in f"{caught.value.message} {caught.value.hint}" for word in ("app@", "wrong@"))
    database.close()


@pytest.mark.parametrize(
    ("words", "embedded", "told"),
    [
        ('connection failed: FATAL:  password authentication failed for user "app"', False, "it refuses this user and password"),
        ("connection failed: Connection refused", False, "nothing listens there"),
        ("FATAL:  the database system is starting up", False, "it is starting, stopping or recovering"),
        ("database or disk is full", True, "its disk is full"),
        ("attempt to write a readonly database", True, "it may not be written"),
        ("unable to open database file", True, "its file cannot be opened"),
        ("something else", True, ""),
    ],
)
def test_words_of_the_driver_become_a_cause(words: str, embedded: bool, told: str) -> None:
    assert cause_of(words, embedded=embedded)[0] == told


def test_a_disk_that_fills_up_is_named_and_not_taken_for_a_defect(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/rows.db", "acme")

    def fill() -> None:
        with database.session(write=True) as session:
            pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar_one()
            session.connection().exec_driver_sql(f"PRAGMA max_page_count = {pages + 1}")
            session.connection().exec_driver_sql("CREATE TABLE big AS SELECT randomblob(1000000) AS body")

    with pytest.raises(Unavailable, match="cannot be used: its disk is full"):
        fill()
    database.close()


def test_a_database_that_may_only_be_read_is_read_with_what_its_log_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Database(f"sqlite:///{tmp_path}/rows.db", "acme")
    with first.session(write=True) as session:
        session.connection().exec_driver_sql("CREATE TABLE seen (one INTEGER)")
        session.connection().exec_driver_sql("INSERT INTO seen VALUES (7)")
    monkeypatch.setattr("governor.store.no_way_in.os.access", lambda _path, mode: mode != os.W_OK)

    def read() -> None:
        second = Database(f"sqlite:///{tmp_path}/rows.db", "acme")
        with second.session() as session:
            assert session.connection().exec_driver_sql("SELECT one FROM seen").scalar_one() == 7
        with pytest.raises(Unavailable, match="may only be read"), second.session(write=True):
            pass
        second.close()

    read()  # the log lies beside it
    first.close()
    assert not (tmp_path / "rows.db-wal").exists()
    read()


def test_a_database_of_an_earlier_version_that_may_only_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(f"sqlite:///{tmp_path}/rows.db", "acme")
    database.migrate()
    with sa.create_engine(database.url).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    database.close()
    monkeypatch.setattr("governor.store.no_way_in.os.access", lambda _path, mode: mode != os.W_OK)
    with pytest.raises(Unavailable, match="of an earlier version of Governor and may only be read"):
        Database(f"sqlite:///{tmp_path}/rows.db", "acme").migrate()


def test_an_embedded_database_is_its_owners_alone(tmp_path: Path) -> None:
    """Whoever made the folder, and whatever the umask."""
    tmp_path.chmod(0o755)
    before = os.umask(0o000)
    try:
        database = Database(f"sqlite:///{tmp_path / 'governor.db'}", "acme")
        database.migrate()
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        database.close()
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}, modes


def test_an_error_of_the_disk_names_the_temporary_folder() -> None:
    """SQLite keeps there what a large statement undoes: on a read-only root it is what is missing, not space."""
    assert "/tmp" in cause_of("(sqlite3.OperationalError) disk I/O error", embedded=True)[1]  # noqa: S108 - words


@pytest.mark.parametrize("name", ["a?b=c", "a%20b", "a%b#c", "a b'ä"])
def test_a_home_is_where_its_path_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A question mark ended the path of the database, and `%20` was a blank: the rows lay beside the home, or in another one."""
    settings = load_settings(home=tmp_path / name)
    with closing(open_context(settings, create=True)) as ctx, ctx.rows.session(write=True) as session:
        session.add(Organization(id="default", name="ours", billing_zone="UTC", created_at=ctx.now()))
        assert ctx.lake.totals()["calls"] == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]
    monkeypatch.setattr(os, "access", lambda *_: False)
    with closing(open_context(settings)) as ctx, ctx.rows.session() as session:
        assert (ctx.rows.read_only, session.get_one(Organization, "default").name) == (True, "ours")
