"""The rows database of one organization: engine, transactions, isolation, migrations.

Owns: how a transaction begins (BEGIN IMMEDIATE on SQLite, `app.org` on Postgres), the way to the newest schema, the isolation check.
Does not own: tables (store/rows), what a transaction may hold (store/transaction.py).
Invariants: a session is one transaction; on Postgres every transaction names its organization, and row-level security does the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, ProgrammingError
from sqlmodel import Session, SQLModel

from governor.errors import Invalid, Misconfigured, Refused, Unavailable
from governor.store import rows
from governor.store.no_way_in import cause_of, read_only_address
from governor.store.sqlite_wal import write_ahead

log = logging.getLogger(__name__)
BUSY_SECONDS: Final = 30
LOOK: Final = "look whether it was done before you ask again: the connection may have gone while it was written"
MIGRATIONS: Final = Path(__file__).parent / "migrations"
_DEADLOCK: Final = "40P01"  # as Postgres names it: the driver is imported where Postgres is, it costs every command a tenth of a second
_MIGRATION_LOCK: Final = 0x676F7665726E  # any constant: serialises rival migrations of one database


class Database:
    """Operational rows. `url` is a SQLAlchemy URL (`sqlite:///path` or `postgresql://...`), `org` the organization this process serves.

    `ledger_role`: the Postgres role under which the sequencer writes (store/sequencer.py); empty means that of `url`.
    """

    def __init__(self, url: str, org: str, ledger_role: str = "") -> None:
        self.org = org
        self.ledger_role = ledger_role
        self.url = engine_url(url)
        self.embedded = self.url.startswith("sqlite")
        read_only = _read_only_url(self.url) if self.embedded else None
        self.read_only = read_only is not None
        self.engine = _sqlite(self.url, read_only) if self.embedded else _postgres(self.url)

    @contextmanager
    def session(self, write: bool = False) -> Iterator[Session]:
        """One transaction: committed when the block ends, rolled back when it raises. `write` takes the writer's place at once on SQLite."""
        options = {"governor_write": write, "governor_org": self.org, "governor_ledger_role": self.ledger_role}
        with self._transaction(**options) as connection, Session(connection, expire_on_commit=False) as session:
            try:
                yield session
                session.flush()
                connection.commit()
            except OperationalError as error:  # a disk that fills up is no defect of ours, nor are two who wait for each other
                if getattr(error.orig, "sqlstate", "") == _DEADLOCK:
                    raise Unavailable(
                        "two actions waited for each other and this one gave way; nothing was changed", hint="try again"
                    ) from None
                if not write or not cause_of(str(error.orig), embedded=self.embedded)[0]:
                    raise
                raise self._unavailable(error, "cannot be used") from None

    def overwrite_deleted(self) -> None:
        """Empty SQLite's write-ahead file, which still holds the pages as they were before something was erased."""
        if self.embedded:
            with closing(self.engine.raw_connection()) as connection:  # outside a transaction
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def migrate(self) -> None:
        """Bring the schema to the newest version. Safe to run again and beside rivals."""
        if self.read_only and self.is_older():  # who only reads would hear that nothing was changed
            raise Unavailable(
                "the home is of an earlier version of Governor and may only be read: its tables cannot be brought up to date",
                hint="copy it to where it may be written and give the copy with --home, or read it with the version that wrote it",
            )
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self._transaction(governor_write=True) as connection:
            if not self.embedded:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()

    def is_older(self) -> bool:
        """Whether this version of Governor has migrations that the database has not seen. One without any tables is no older one.

        Raises Misconfigured for a database of a later version.
        """
        with self._transaction() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return False
            seen = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if seen is not None and str(seen) > newest_revision():
            raise Misconfigured(
                f"the rows database is of a later version of Governor (schema {seen}, this one knows {newest_revision()})",
                hint="run the newer version; an older one must not write here",
            )
        return seen is None or str(seen) < newest_revision()

    @contextmanager
    def _transaction(self, **options: Any) -> Iterator[Connection]:
        """A transaction whose caller commits. A server that goes away in its middle (restart, failover) is no defect of ours: whoever asked may ask again."""
        try:
            with self._begin(**options) as connection:
                yield connection
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            raise self._unavailable(error, "broke off", hint=LOOK if options.get("governor_write") else "try again") from None

    def _begin(self, **options: Any) -> Connection:
        """A connection that began. One that was lost while it rested is noticed by that, and replaced: nothing has happened on it yet."""
        if self.read_only and options.get("governor_write"):
            raise Unavailable(
                "the home may only be read; nothing was changed", hint="copy it to where it may be written and give the copy with --home"
            )
        try:
            return _begun(self._connect(), options)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return _begun(self._connect(), options)  # the pool has let go of all that rested

    def _connect(self) -> Connection:
        """Raises Unavailable when there is no way in, without the words of the driver: they may hold what the URL held."""
        try:
            return self.engine.connect()
        except (OperationalError, ProgrammingError) as error:  # the second: an option that the driver does not know
            raise self._unavailable(error, "does not answer") from None

    def _unavailable(self, error: DBAPIError, what: str, hint: str = "") -> Unavailable:
        log.debug("the rows database %s", what, exc_info=error)
        why, to_do = cause_of(str(error.orig), embedded=self.embedded)
        return Unavailable(
            f"the rows database {make_url(self.url).render_as_string(hide_password=True)} {what}{f': {why}' if why else ''}",
            hint=hint or to_do,
            abroad=f"the rows database {what}",  # anybody may ask for /healthz
        )

    def revision(self) -> str | None:
        """The schema version the database is at; None when it was never migrated."""
        from alembic.runtime.migration import MigrationContext

        with self._transaction() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def check_isolation(self) -> None:
        """Raise Refused when row-level security does not bind this role, naming what is open. Embedded mode holds one organization."""
        if self.embedded:
            return
        with self._transaction() as connection:
            found = open_doors(connection)
        if found:
            raise Refused(
                f"organizations are not kept apart: {'; '.join(found)}",
                hint="connect as a role made with NOSUPERUSER NOBYPASSRLS; docs/operations.md has the commands",
            )

    def close(self) -> None:
        self.engine.dispose()


@cache
def newest_revision() -> str:
    """Revisions are numbers that their files begin with; asking Alembic costs every command its import."""
    return max(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def engine_url(url: str) -> str:
    """Accept the usual spellings of a Postgres URL and name our driver. Raises Misconfigured."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            url = "postgresql+psycopg://" + url.removeprefix(prefix)
    if not url.startswith(("sqlite:", "postgresql+psycopg:")):
        raise Misconfigured("GOVERNOR_DATABASE_URL is neither a postgresql:// nor a sqlite:/// URL")
    try:
        make_url(url)
    except (ValueError, ArgumentError):  # their words may hold the password
        hint = "a port is a number; / # @ : in a password are written %2F %23 %40 %3A"
        raise Misconfigured("the URL of the database (GOVERNOR_DATABASE_URL or GOVERNOR_LAKE_CATALOG) cannot be read", hint=hint) from None
    return url


def libpq(url: str) -> str:
    """A Postgres URL as a libpq keyword string, which psycopg and DuckDB's Postgres extension both read."""
    from psycopg.conninfo import make_conninfo

    found = make_url(engine_url(url))
    parts = {"host": found.host, "port": found.port, "user": found.username, "password": found.password, "dbname": found.database}
    options = {name: value if isinstance(value, str) else ",".join(value) for name, value in found.query.items()}
    return make_conninfo("", **{name: value for name, value in parts.items() if value is not None}, **options)


def guarded_tables() -> list[tuple[str, str]]:
    """(table, column that names the organization), for every table of the rows database."""
    if not rows.__all__:
        raise Unavailable("no tables are registered")
    tables = SQLModel.metadata.sorted_tables
    return [(table.name, "org_id" if "org_id" in table.columns else "id") for table in tables]


def open_doors(connection: Connection) -> list[str]:
    """What lets this role see past its organization; empty when nothing does."""
    found: list[str] = []
    role: Any = connection.execute(text("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")).one()
    if role.rolsuper or role.rolbypassrls:
        found.append(f"role {role.rolname} bypasses row-level security")
    state: dict[str, bool] = {
        row.relname: bool(row.relrowsecurity and row.relforcerowsecurity)
        for row in connection.execute(
            text("SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relnamespace = current_schema()::regnamespace")
        )
    }
    found += [f"table {name} has no row-level security" for name, _ in guarded_tables() if not state.get(name, False)]
    return found


def _begun(connection: Connection, options: dict[str, Any]) -> Connection:
    try:
        connection.execution_options(**options).begin()
    except BaseException:
        connection.close()
        raise
    return connection


def _postgres(url: str) -> Engine:
    """The driver would begin with a message of its own: here that is the one that names the organization."""
    import psycopg

    engine = create_engine(url, isolation_level="AUTOCOMMIT", pool_size=5, max_overflow=10)

    @event.listens_for(engine, "handle_error")
    def _refuse(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, psycopg.DataError) and "NUL (0x00)" in str(context.original_exception):
            raise Invalid("a text holds the character U+0000, which Postgres keeps in none", hint="send it without") from None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        begin = _first_words(options.get("governor_write", True), options.get("governor_org"))
        try:
            connection.connection.driver_connection.execute(begin)  # type: ignore[union-attr] # each transaction begins here: the short way
        except psycopg.Error:
            connection.exec_driver_sql(
                begin, execution_options={"no_parameters": True}
            )  # the engine tells a lost connection from a wrong word

    return engine


@lru_cache
def _first_words(write: bool, org: str | None) -> str:
    from psycopg.sql import Literal

    begin = "BEGIN" if write else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"  # a reader sees one state, as on SQLite
    return begin if org is None else f"{begin}; SET LOCAL app.org = {Literal(org).as_string()}"


def _read_only_url(url: str) -> str | None:
    path = make_url(url).database
    return read_only_address(Path(path)) if path and path != ":memory:" else None


def _sqlite(url: str, read_only: str | None) -> Engine:
    path = make_url(url).database
    if path and path != ":memory:" and read_only is None:
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not Path(path).exists():  # a home that somebody made before may be open to all; this file holds people, sessions and hashes
            Path(path).touch(mode=0o600)
    engine = create_engine(read_only or url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves; the driver begins too late
        if not read_only:
            write_ahead(connection, BUSY_SECONDS)
        for pragma in ("secure_delete=ON", "foreign_keys=ON", f"busy_timeout={BUSY_SECONDS * 1000}"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("governor_write", False)
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if write else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
