"""One statement straight to the Postgres driver, for the few that every append waits for: the library's own way costs as much again as the driver's.

Owns: the short way and that a failure on it looks like one on the long way. Does not own: statements. Invariants: what fails raises what the library would
raise, and a connection that was lost does not go back to rest.
"""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


def execute(connection: Connection, statement: str, values: Any) -> psycopg.Cursor[Any]:
    """The driver's cursor after `statement`, in the driver's own words. Raises sqlalchemy.exc.DBAPIError."""
    driver: Any = connection.connection.driver_connection
    try:
        found: psycopg.Cursor[Any] = driver.execute(statement, values)
    except psycopg.Error as error:
        dialect = connection.dialect
        lost = dialect.is_disconnect(error, driver, None)  # type: ignore[arg-type] # the interface is the library's name for any driver's error
        if lost:
            connection.invalidate(error)
        raise DBAPIError.instance(statement, values, error, psycopg.Error, connection_invalidated=lost, dialect=dialect) from error
    return found
