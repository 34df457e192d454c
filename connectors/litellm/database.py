"""Pulls LiteLLM_SpendLogs straight from LiteLLM's Postgres, read-only, since a watermark.

Owns: the query, the overlap window, the cursor. Does not own: the mapping (shapes, calls_sql), when to pull (the sync action).
Invariants: one READ ONLY transaction per pull, by column allow-list; rows of the overlap come again and are recognised by record_id.

The proxy writes rows in batches after a call ends, so a row can appear long after its startTime: each pull starts `overlap_seconds`
(default one hour) before the watermark. The cursor is the largest startTime seen, never later than the database's own clock.
Options: config.database (URL, the secret already resolved), config.overlap_seconds, config.since, config.table.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pyarrow as pa
from psycopg import sql

from connectors.engine import Planned, convert
from connectors.litellm.calls_sql import plan_of
from connectors.litellm.shapes import SPEND, SPEND_CONTENT
from connectors.paging import number
from connectors.payloads import Records
from governor.errors import Invalid, Unavailable
from governor.ports import Batch, ReadOptions

TABLE: Final = "LiteLLM_SpendLogs"
_OVERLAP_S: Final = 3600
_PAGE: Final = 2000  # rows fetched at a time; a row with prompts is about 10 kB


def _moment(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"{name} {text!r} is no time", hint="an ISO 8601 instant such as 2026-10-01T00:00:00Z") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def pull(cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
    address = options.config.get("database")
    if not address:
        raise Invalid("the source has no `database`", hint="config: {database: env:LITELLM_DB} in the source document")
    start = None
    if cursor:
        start = _moment(cursor, "cursor") - timedelta(seconds=number(options.config, "overlap_seconds", _OVERLAP_S))
    elif options.config.get("since"):
        start = _moment(str(options.config["since"]), "since")
    reached = _moment(cursor, "cursor") if cursor else None
    with Planned() as planned:
        for lines, last, row in _pages(str(address), start, options):
            reached = last if reached is None else max(reached, last)
            chunk = Records(f"postgres:{options.config.get('table', TABLE)}", row, pa.array(lines, pa.large_binary()), received=None)
            for batch in convert(planned, plan_of("spend_logs", options), [chunk], options):
                yield batch, reached.isoformat().replace("+00:00", "Z")


def _pages(address: str, start: datetime | None, options: ReadOptions) -> Iterator[tuple[list[bytes], datetime, int]]:
    """Rows as JSON lines, oldest first, with the latest startTime of the page."""
    table = str(options.config.get("table", TABLE))
    try:
        with psycopg.connect(address, connect_timeout=10, application_name="governor") as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            clock, columns = _look(connection, table, with_content=options.with_content)
            with connection.cursor(name="governor_spend_logs") as rows:
                rows.itersize = _PAGE
                rows.execute(_query(table, columns, bounded=start is not None), {"start": start and start.replace(tzinfo=None)})
                number = 0
                while page := rows.fetchmany(min(_PAGE, options.batch_rows)):
                    last = max((at for _, at in page if at is not None), default=clock)
                    yield [text.encode() for text, _ in page], min(last.replace(tzinfo=UTC), clock.replace(tzinfo=UTC)), number
                    number += len(page)
    except psycopg.Error as error:
        # psycopg's own text can name host and user, so only the kind of failure is passed on
        raise Unavailable(f"LiteLLM's database: {type(error).__name__}", hint="check the address, the role and its SELECT right") from error


def _look(connection: psycopg.Connection[Any], table: str, *, with_content: bool) -> tuple[datetime, list[str]]:
    clock = connection.execute("SELECT now() AT TIME ZONE 'UTC'").fetchone()
    found = connection.execute("SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0", [f'"{table}"'])
    present = {name for (name,) in found.fetchall()}
    if "request_id" not in present or clock is None:
        raise Invalid(f"the database has no table {table} that this role can see")
    wanted = [*SPEND, *(SPEND_CONTENT if with_content else ())]
    return clock[0], [name for name in wanted if name in present]


def _query(table: str, columns: list[str], *, bounded: bool) -> sql.Composed:
    fields = sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    where = sql.SQL('WHERE "startTime" >= %(start)s') if bounded else sql.SQL("")
    text = 'SELECT row_to_json(r)::text, r."startTime" FROM (SELECT {fields} FROM {table} {where} ORDER BY "startTime", request_id) r'
    return sql.SQL(text).format(fields=fields, table=sql.Identifier(table), where=where)
