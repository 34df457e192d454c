"""What the lake's catalog states of the files that hold its calls at a snapshot: nothing of the calls themselves is read.

Owns: the relation of a snapshot, the list of its files. Does not own: what follows from it (lake_slices.py, lake_ends.py).
Invariants: a file's name changes whenever its rows at the snapshot do; `first` and `last` bound its start times and are wide where rows were deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb

from governor.store.lake_attach import Place, literal

MANY: Final = 100_000  # paths to remember
_found: Final[set[tuple[str, int]]] = set()


@dataclass(frozen=True)
class DataFile:
    """rows: as written. first and last start_time: None where the file says nothing about them. untouched: every row as written, none deleted since."""

    name: str
    path: str
    rows: int
    untouched: bool
    first: datetime | None
    last: datetime | None

    def may_hold(self, start: datetime, end: datetime) -> bool:
        """Calls of [start, end)."""
        return self.first is None or self.last is None or (self.first < end and self.last >= start)


def stored_at(snapshot: int | None, only: Sequence[str] = ()) -> str:
    """The relation of calls as they were stored, now or as of a snapshot; in brackets where it is to have an alias. only: those of these files."""
    stored = "lake.calls" if snapshot is None else f"lake.calls AT (VERSION => {int(snapshot)})"
    return f"(SELECT * FROM {stored} WHERE filename IN ({', '.join(map(literal, only))}))" if only else stored


def holds(connection: duckdb.DuckDBPyConnection, snapshot: int, files: Sequence[DataFile]) -> bool:
    """Whether the files alone can be asked, by their paths: they are found, with every row. A path that was found once is not looked for again."""
    if not all(file.untouched for file in files):
        return False
    new = [file for file in files if (file.path, file.rows) not in _found]
    if not new:
        return True
    found = connection.execute(f"SELECT count(*) FROM {stored_at(snapshot, [file.path for file in new])}").fetchone()
    if found is None or found[0] != sum(file.rows for file in new):
        return False
    if len(_found) > MANY:
        _found.clear()
    _found.update((file.path, file.rows) for file in new)
    return True


def files_at(connection: duckdb.DuckDBPyConnection, place: Place, snapshot: int) -> list[DataFile]:
    """Those of the snapshot, in the order of their names."""
    catalog = f'"__ducklake_metadata_lake"."{place.schema if place.on_postgres else "main"}"'
    found = connection.execute(
        f"""SELECT f.path || '|' || coalesce(d.path, '') || '|' ||
                CASE WHEN f.partial_max IS NULL THEN '' ELSE least(f.partial_max, $at)::VARCHAR END AS name,
            CASE WHEN f.path_is_relative THEN $under || h.path || t.path || f.path ELSE f.path END AS path, f.record_count AS rows,
            d.path IS NULL AND f.partial_max IS NULL AS untouched,
            s.min_value::TIMESTAMPTZ AS first, s.max_value::TIMESTAMPTZ AS last
        FROM {catalog}.ducklake_data_file f
        JOIN {catalog}.ducklake_table t ON t.table_id = f.table_id AND t.table_name = 'calls' AND t.end_snapshot IS NULL
        JOIN {catalog}.ducklake_schema h ON h.schema_id = t.schema_id AND h.end_snapshot IS NULL
        JOIN {catalog}.ducklake_column c ON c.table_id = t.table_id AND c.column_name = 'start_time' AND c.end_snapshot IS NULL
        LEFT JOIN {catalog}.ducklake_file_column_stats s ON s.data_file_id = f.data_file_id AND s.column_id = c.column_id
        LEFT JOIN {catalog}.ducklake_delete_file d
            ON d.data_file_id = f.data_file_id AND d.begin_snapshot <= $at AND (d.end_snapshot IS NULL OR d.end_snapshot > $at)
        WHERE f.begin_snapshot <= $at AND (f.end_snapshot IS NULL OR f.end_snapshot > $at) ORDER BY 1""",
        {"at": snapshot, "under": place.data_path},
    ).to_arrow_table()
    return [DataFile(**row) for row in found.to_pylist()]
