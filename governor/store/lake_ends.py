"""The first and the last call of a lake, found from the ends that its files state of themselves.

Owns: these two instants. Does not own: what is asked about the time between. Invariants: equal to min and max over all rows; where a file says nothing
about its times, all rows are looked at.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import duckdb

from governor.store.lake_attach import Place
from governor.store.lake_files import files_at, stored_at

STEP: Final = timedelta(hours=1)  # a day may hold millions of calls


def ends(connection: duckdb.DuckDBPyConnection, place: Place, snapshot: int, *, bearing: bool) -> tuple[datetime, datetime] | None:
    """(first, last) start_time at the snapshot, of all calls or of those that bear cost; None where there is none."""
    calls = stored_at(snapshot)
    counts = "cost_bearing" if bearing else "true"
    stated = _stated(connection, place, snapshot)
    if stated is None:
        [row] = _rows(connection, f"SELECT min(start_time) AS first, max(start_time) AS last FROM {calls} WHERE {counts}")
        return None if row["first"] is None else (row["first"], row["last"])
    least, most = stated
    first = _walk(connection, f"SELECT min(start_time) AS at FROM {calls} WHERE {counts}", least, most, back=False)
    last = _walk(connection, f"SELECT max(start_time) AS at FROM {calls} WHERE {counts}", least, most, back=True)
    return None if first is None or last is None else (first, last)


def _walk(connection: duckdb.DuckDBPyConnection, sql: str, least: datetime, most: datetime, *, back: bool) -> datetime | None:
    """From one end on, looking at twice as many hours each time nothing was there."""
    past, step = most + timedelta(microseconds=1), STEP
    low, high = (past - step, past) if back else (least, least + step)
    while low < past and high > least:
        [row] = _rows(connection, f"{sql} AND start_time >= $low AND start_time < $high", low=low, high=high)
        if row["at"] is not None:
            found: datetime = row["at"]
            return found
        step *= 2
        low, high = (low - step, low) if back else (high, high + step)
    return None


def _stated(connection: duckdb.DuckDBPyConnection, place: Place, snapshot: int) -> tuple[datetime, datetime] | None:
    """The bounds of start_time over the files of the snapshot; None where there is no file or one is silent. Wide where rows were deleted."""
    files = files_at(connection, place, snapshot)
    first = [file.first for file in files if file.first is not None]
    last = [file.last for file in files if file.last is not None]
    return (min(first), max(last)) if files and len(first) == len(last) == len(files) else None


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, **values: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = connection.execute(sql, values).to_arrow_table().to_pylist()
    return found
