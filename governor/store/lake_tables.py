"""The lake's tables: what they hold, how they are made and grown.

Owns: definitions of calls, conflicts, quarantine, spans, batches. Does not own: the columns of a call (governor.calls).
Invariants: tables only gain columns; calls are partitioned by the month of start_time; only tables of bounded plain text are kept inline in the catalog.
"""

from __future__ import annotations

from typing import Final

import duckdb
import pyarrow as pa

from governor.calls import CALL_SCHEMA, SPAN_SCHEMA, UTC_MICROS
from governor.store.lake_attach import Place, check_unused
from governor.store.lake_claims import FILLED

_S, _I = pa.string(), pa.int64()
STORED_CALL_SCHEMA: Final = pa.schema(
    [
        *CALL_SCHEMA,
        pa.field("source_exclusion", _S),  # what kept the row out when it arrived (lake_witness.py)
        pa.field("filled", FILLED),  # what other witnesses of the call supplied (lake_claims.py)
        pa.field("record_hash", pa.uint64()),  # of record_id: what an ingest scans to know its duplicates, an eighth of the bytes
    ]
)
CONFLICT_SCHEMA: Final = pa.schema(
    [
        *CALL_SCHEMA,
        pa.field("stored_raw_sha256", _S, metadata={"doc": "payload digest of the call that was kept"}),
        pa.field("detected_at", UTC_MICROS, metadata={"doc": "when the other payload arrived"}),
    ]
)
QUARANTINE_SCHEMA: Final = pa.schema(
    [
        ("id", _S),  # hex sha256 of raw, uri and row
        ("batch_id", _S),
        ("connector", _S),
        ("source", _S),
        ("ingest_uri", _S),
        ("ingest_row", _I),
        ("reason", _S),
        ("raw", pa.binary()),
        ("state", _S),  # open | retried | discarded
        ("created_at", UTC_MICROS),
        ("decided_at", UTC_MICROS),
    ]
)
BATCH_SCHEMA: Final = pa.schema(
    [
        ("batch_id", _S),
        ("source", _S),
        ("connector", _S),
        ("uris", _S),  # JSON list, first 20
        ("actor", _S),
        ("cursor", _S),
        ("read", _I),
        ("stored", _I),
        ("duplicates", _I),
        ("conflicts", _I),
        ("quarantined", _I),
        ("other_spans", _I),
        ("started_at", UTC_MICROS),
        ("committed_at", UTC_MICROS),
    ]
)
TABLES: Final = {
    "calls": STORED_CALL_SCHEMA,
    "conflicts": CONFLICT_SCHEMA,
    "quarantine": QUARANTINE_SCHEMA,
    "spans": SPAN_SCHEMA,
    "batches": BATCH_SCHEMA,
}
SWEEPS: Final = (
    "ducklake_cleanup_old_files",
    "ducklake_delete_orphaned_files",
)  # files no snapshot uses; a running reader has a day to finish
RECORD_HASH: Final = "md5_number_lower(record_id)"  # hash() may differ between versions of DuckDB
_INLINE_BATCHES: Final = 200


def sweeps(place: Place) -> tuple[str, ...]:
    """DuckLake looks for files without an owner by a pattern: in a path that holds its signs those of other homes would be found, and deleted."""
    return SWEEPS[:1] if set(place.data_path) & set("*?[") else SWEEPS


def missing(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a table or column is still to be made."""
    there = _columns(connection)
    return any(set(schema.names) - there[name] for name, schema in TABLES.items())


def build(connection: duckdb.DuckDBPyConnection, place: Place) -> None:
    """Make tables and columns that are not there. The caller holds the ingest lock. Raises Misconfigured for files of another lake."""
    found = _columns(connection)
    if not any(found.values()):
        check_unused(connection, place)
    for name, schema in TABLES.items():
        there = found[name]
        types = types_of(connection, schema)
        if not there:
            columns = ", ".join(f"{column} {kind}" for column, kind in types.items())
            connection.execute(f"CREATE TABLE lake.{name} ({columns})")
            if name == "calls":
                connection.execute("ALTER TABLE lake.calls SET PARTITIONED BY (year(start_time), month(start_time))")
            if name == "batches":  # one row per ingest: a Parquet file each would be waste
                connection.execute(f"CALL lake.set_option('data_inlining_row_limit', {_INLINE_BATCHES}, table_name => 'batches')")
            continue
        for column, kind in types.items():
            if column not in there:
                connection.execute(f"ALTER TABLE lake.{name} ADD COLUMN {column} {kind}")
                if column == "record_hash":
                    connection.execute(f"UPDATE lake.calls SET record_hash = {RECORD_HASH}")


def types_of(connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> dict[str, str]:
    """Column -> DuckDB type of an Arrow schema, as DuckDB itself reads it."""
    connection.register("shape", schema.empty_table())
    try:
        return {row[0]: row[1] for row in connection.execute("DESCRIBE shape").fetchall()}
    finally:
        connection.unregister("shape")


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    """Of each table, none of one that is not there. Asked once: every look goes through the columns of all catalogs, which every start waits for."""
    found = connection.execute("SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'lake' AND schema_name = 'main'")
    columns: dict[str, set[str]] = {name: set() for name in TABLES}
    for table, column in found.fetchall():
        columns.setdefault(table, set()).add(column)
    return columns
