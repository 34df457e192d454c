"""Opening a DuckLake: extensions from installed wheels, the catalog, the data prefix of one organization.

Owns: where an organization's catalog schema and files are, object-store credentials, DuckDB's settings. Does not own: tables (lake_tables.py).
Invariants: nothing is downloaded; two organizations share neither catalog schema nor data prefix; a password never reaches an error text.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape  # a*b is not the lake of its neighbour ab
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import duckdb

from governor.errors import Misconfigured, StoreAway, Unavailable
from governor.store.database import libpq

EXTENSIONS: Final = {"ducklake": "ducklake", "sqlite": "sqlite_scanner", "postgres": "postgres_scanner", "object": "httpfs"}
BUSY_MILLISECONDS: Final = 20_000
# DuckDB waits 30 s for an object store and asks four times: a page would stand for two minutes. A read has this long, an upload as long as it moves.
SILENT_SECONDS: Final = 10
RETRIES: Final = 1
# how Postgres says that it let go, in DuckDB's errors of whatever kind
LOST: Final = (
    "server closed the connection",
    "terminating connection",
    "connection to server",
    "unsuccessful query result",
    "Current transaction is aborted",
    "SSL connection has been closed",
    "SSL SYSCALL",
    "the database system is ",
)


@dataclass(frozen=True)
class Place:
    """Where one organization's lake is. `catalog`: a path or postgres:// URL; `data`: a directory or s3:// prefix."""

    catalog: str
    data: str
    org: str
    scratch: Path | None = None  # DuckDB spills here

    @property
    def on_postgres(self) -> bool:
        return self.catalog.startswith(("postgres://", "postgresql://", "postgresql+psycopg://"))

    @property
    def on_object_store(self) -> bool:
        return "://" in self.data

    @property
    def schema(self) -> str:
        """The catalog schema of the organization: its name made safe, and a digest so that two names never meet."""
        plain = re.sub(r"[^a-z0-9]+", "_", self.org.lower()).strip("_")[:30]
        return f"lake_{plain}_{hashlib.sha256(self.org.encode()).hexdigest()[:8]}"

    @property
    def data_path(self) -> str:
        """The prefix of the organization's files, with a slash at its end."""
        return f"{self.data.rstrip('/')}/{self.schema.removeprefix('lake_')}/"


def extension_path(name: str) -> Path:
    """The extension file that the wheel carries for this DuckDB version. Raises Unavailable when the versions differ."""
    try:
        package = importlib.import_module(f"duckdb_extension_{name}")
    except ImportError as error:
        raise Unavailable(f"DuckDB extension {name} is not installed", hint=f"install duckdb-extension-{name.replace('_', '-')}") from error
    pattern = f"extensions/v{duckdb.__version__}/{name}.duckdb_extension"
    for folder in package.__path__:
        found = Path(folder) / pattern
        if found.exists():
            return found
    raise Unavailable(f"the wheel of DuckDB extension {name} has no build for DuckDB {duckdb.__version__}", hint="install equal versions")


def attach(place: Place, *, threads: int | None = None, memory: str | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with the organization's lake attached as `lake`. Raises StoreAway when the catalog cannot be reached."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    if threads is not None:
        settings["threads"] = threads
    if memory is not None:
        settings["memory_limit"] = memory
    connection = duckdb.connect(config=settings)
    wanted = ["ducklake", "postgres" if place.on_postgres else "sqlite", *(["object"] if place.on_object_store else [])]
    for key in wanted:
        connection.execute(f"LOAD {literal(str(extension_path(EXTENSIONS[key])))}")
    if place.scratch is not None:
        place.scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection.execute(f"SET temp_directory = {literal(str(place.scratch))}")
    if place.on_object_store:
        connection.execute(_object_secret(place.data))
        connection.execute(f"SET GLOBAL http_timeout = {SILENT_SECONDS}; SET GLOBAL http_retries = {RETRIES}")
    else:
        Path(place.data).mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        connection.execute(_attach_statement(place))
    except duckdb.Error as error:
        connection.close()
        where = "Postgres" if place.on_postgres else place.catalog
        what = "cannot be opened"
        raise StoreAway(f"the lake catalog ({where}) {what}: {scrubbed(str(error), place)}", abroad=f"the lake catalog {what}") from None
    return connection


def check_unused(connection: duckdb.DuckDBPyConnection, place: Place) -> None:
    """A new lake's prefix holds no files yet. Those of another lake are unknown to this catalog: housekeeping would delete them a day later."""
    found = connection.execute("SELECT file FROM glob($files) LIMIT 1", {"files": f"{escape(place.data_path)}**/*.parquet"}).fetchone()
    if found:
        raise Misconfigured(
            f"a new lake cannot begin in {place.data_path}: it holds files that this catalog does not know, such as {found[0]}",
            hint="give GOVERNOR_LAKE_DATA a prefix of its own, or GOVERNOR_LAKE_CATALOG the catalog of these files (from a backup, if it was lost)",
        )


def check_found(connection: duckdb.DuckDBPyConnection, place: Place, tables: Iterable[str]) -> None:
    """A lake that is told another prefix than it began in has its files there, or it has none yet and nobody else has any there."""
    catalog = f'"__ducklake_metadata_lake"."{place.schema if place.on_postgres else "main"}"'
    began = connection.execute(f"SELECT value FROM {catalog}.ducklake_metadata WHERE key = 'data_path'").fetchone()
    if began is None or began[0] == place.data_path:
        return
    for table in tables:
        file = connection.execute("SELECT data_file FROM ducklake_list_files('lake', $table) LIMIT 1", {"table": table}).fetchone()
        if file is None:
            continue
        # a pattern, for an object store is not asked for a name without one
        if connection.execute("SELECT file FROM glob($files)", {"files": f"{escape(file[0][:-1])}*"}).fetchone() is None:
            raise Misconfigured(
                f"the files of this lake are not in {place.data_path}: it began in {began[0]}",
                hint="set GOVERNOR_LAKE_DATA as the other processes of this lake have it, or move the files first",
            )
        return
    check_unused(connection, place)


def literal(text: str) -> str:
    """A SQL string literal; for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def scrubbed(text: str, place: Place) -> str:
    """An error text without the catalog's password, which DuckDB quotes as it was given to it."""
    if not place.on_postgres:
        return text
    from psycopg.conninfo import conninfo_to_dict

    text = re.sub(r"password=('(\\.|[^'\\])*'|\S+)", "password=***", text)
    password = conninfo_to_dict(libpq(place.catalog)).get("password")
    return text.replace(str(password), "***") if password else text


@contextmanager
def reaching(place: Place) -> Iterator[None]:
    """A file or catalog that does not answer is a StoreAway; no error of DuckDB goes on with the catalog's password in it."""
    try:
        yield
    except duckdb.Error as error:
        words = scrubbed(str(error), place)
        lost = place.on_postgres and any(sign in words for sign in LOST)
        if lost or isinstance(error, duckdb.IOException | duckdb.FatalException):
            raise StoreAway(f"the lake cannot be read or written: {words}", abroad="the lake cannot be read or written") from None
        if words != str(error):
            raise type(error)(words) from None
        raise


def _attach_statement(place: Place) -> str:
    # Nothing is inlined by default: text of calls may hold characters that a catalog database cannot.
    options = [f"DATA_PATH {literal(place.data_path)}", "OVERRIDE_DATA_PATH true", "DATA_INLINING_ROW_LIMIT 0"]
    if place.on_postgres:
        options.append(f"METADATA_SCHEMA {literal(place.schema)}")
        return f"ATTACH {literal('ducklake:postgres:' + libpq(place.catalog))} AS lake ({', '.join(options)})"
    Path(place.catalog).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    options += ["META_JOURNAL_MODE 'WAL'", f"META_BUSY_TIMEOUT {BUSY_MILLISECONDS}"]
    return f"ATTACH {literal('ducklake:sqlite:' + place.catalog)} AS lake ({', '.join(options)})"


def _object_secret(data: str) -> str:
    """Credentials of the object store from the standard environment names (AWS_*; GCS through its S3 interface)."""
    kind = "gcs" if data.startswith(("gs://", "gcs://")) else "s3"
    names = {"KEY_ID": "AWS_ACCESS_KEY_ID", "SECRET": "AWS_SECRET_ACCESS_KEY", "SESSION_TOKEN": "AWS_SESSION_TOKEN", "REGION": "AWS_REGION"}
    options = [f"{name} {literal(os.environ[variable])}" for name, variable in names.items() if os.environ.get(variable)]
    if not os.environ.get("AWS_REGION") and os.environ.get("AWS_DEFAULT_REGION"):
        options.append(f"REGION {literal(os.environ['AWS_DEFAULT_REGION'])}")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        url = urlsplit(endpoint)
        options += [f"ENDPOINT {literal(url.netloc)}", f"USE_SSL {str(url.scheme == 'https').lower()}", "URL_STYLE 'path'"]
    return f"CREATE SECRET governor_objects ({', '.join([f'TYPE {kind}', *options])})"
