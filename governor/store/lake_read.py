"""Looking into the lake: calls by id and filter, exports, quarantine, conflicts, snapshots.

Owns: the read queries and their paging. Does not own: sums (lake_facts.py). Invariants: column names come from the schema, values are bound;
results are Arrow or plain dicts; every listing has a total order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from governor.calls import CALL_SCHEMA
from governor.errors import Invalid
from governor.store.lake_attach import literal
from governor.store.lake_claims import seen_with_claims
from governor.store.lake_files import stored_at

_ORDER: Final = "start_time, record_id"
NEVER: Final = datetime(1, 1, 2, tzinfo=UTC)  # the end of a window that holds nothing


@dataclass(frozen=True)
class CallFilter:
    """record_ids: only these; start, end: [start, end); cost_bearing: None for all; equal: column -> value (None matches null);
    after: (start_time, record_id) of the last row of the page before; columns: which to return.
    """

    record_ids: tuple[str, ...] | None = None
    start: datetime | None = None
    end: datetime | None = None
    cost_bearing: bool | None = None
    equal: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[datetime, str] | None = None
    columns: Sequence[str] = ()
    limit: int | None = None
    snapshot: int | None = None
    newest_first: bool = False


def calls_at(snapshot: int | None) -> str:
    """The relation of calls, now or as of a snapshot, with what their other witnesses supplied."""
    return seen_with_claims(stored_at(snapshot))


def calls_between(connection: duckdb.DuckDBPyConnection, snapshot: int, start: datetime, end: datetime, only: Sequence[str] = ()) -> str:
    """The relation of calls for a question about [start, end) that does not ask what was filled: plain, a third cheaper, where nothing was."""
    relation = stored_at(snapshot, only)
    sql = f"SELECT 1 FROM {relation} WHERE filled.columns IS NOT NULL AND start_time >= $start AND start_time < $end LIMIT 1"
    return seen_with_claims(relation) if connection.execute(sql, {"start": start, "end": end}).fetchone() else f"(FROM {relation})"


def calls(connection: duckdb.DuckDBPyConnection, wanted: CallFilter) -> pa.Table:
    columns = [checked(name) for name in wanted.columns] or CALL_SCHEMA.names
    where, values = _conditions(_with_times(connection, wanted))
    direction = " DESC" if wanted.newest_first else ""
    order = ", ".join(f"{name}{direction}" for name in _ORDER.split(", "))
    limit = f"LIMIT {int(wanted.limit)}" if wanted.limit is not None else ""
    sql = f"SELECT {', '.join(columns)} FROM {calls_at(wanted.snapshot)} WHERE {' AND '.join(where) or 'true'} ORDER BY {order} {limit}"
    return table(connection, sql, values)


def _with_times(connection: duckdb.DuckDBPyConnection, wanted: CallFilter) -> CallFilter:
    """Where only ids are asked for, also from when to when: the hashes of ids are read in a moment, the ids themselves are most of the lake's bytes."""
    if not wanted.record_ids or (wanted.start, wanted.end) != (None, None):
        return wanted
    hashes = [row[0] for row in connection.execute("SELECT md5_number_lower(unnest($ids))", {"ids": list(wanted.record_ids)}).fetchall()]
    # one is compared where the file is read, which spares the join and the other column
    met = (
        f"WHERE record_hash = {hashes[0]}::UBIGINT"
        if len(hashes) == 1
        else "SEMI JOIN (SELECT unnest($hashes) AS record_hash) AS h USING (record_hash)"
    )
    sql = f"SELECT min(start_time) AS first, max(start_time) + INTERVAL 1 MICROSECOND AS past FROM (FROM {stored_at(wanted.snapshot)}) AS c {met}"
    [near] = table(connection, sql, {} if len(hashes) == 1 else {"hashes": hashes}).to_pylist()
    if near["first"] is None:
        return replace(wanted, start=NEVER, end=NEVER)
    return replace(wanted, start=near["first"], end=near["past"])


def _conditions(wanted: CallFilter) -> tuple[list[str], dict[str, Any]]:
    where: list[str] = []
    values: dict[str, Any] = {}
    if wanted.record_ids is not None:
        where.append("record_id IN (SELECT unnest($ids))")
        values["ids"] = list(wanted.record_ids)
    if wanted.start is not None:
        where.append("start_time >= $start")
        values["start"] = wanted.start
    if wanted.end is not None:
        where.append("start_time < $end")
        values["end"] = wanted.end
    if wanted.cost_bearing is not None:
        where.append("cost_bearing = $bearing")
        values["bearing"] = wanted.cost_bearing
    for number, (name, value) in enumerate(wanted.equal.items()):
        where.append(f"{checked(name)} IS NOT DISTINCT FROM $equal{number}")
        values[f"equal{number}"] = value
    if wanted.after is not None:
        where.append(f"(start_time, record_id) {'<' if wanted.newest_first else '>'} ($after_time, $after_id)")
        values["after_time"], values["after_id"] = wanted.after
    return where, values


def checked(name: str) -> str:
    """A column name that the schema has. Raises Invalid."""
    if name not in CALL_SCHEMA.names:
        raise Invalid(f"calls have no column {name!r}", hint="docs/calls.md lists them")
    return name


def export_calls(
    connection: duckdb.DuckDBPyConnection, path: Path, start: datetime, end: datetime, snapshot: int | None, blank: Collection[str] = ()
) -> int:
    """Write beside the target and move: a reader never sees half a file. `blank`: columns left empty, of the same type."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    columns = ", ".join(f"CASE WHEN false THEN {name} END AS {name}" if name in blank else name for name in CALL_SCHEMA.names)
    relation = f"SELECT {columns} FROM {calls_at(snapshot)} WHERE start_time >= $start AND start_time < $end ORDER BY {_ORDER}"
    try:
        done = connection.execute(
            f"COPY ({relation}) TO {literal(str(partial))} (FORMAT parquet, COMPRESSION zstd)", {"start": start, "end": end}
        ).fetchone()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return int(done[0]) if done else 0


def batches(connection: duckdb.DuckDBPyConnection, newest: int | None) -> list[dict[str, Any]]:
    limit = "" if newest is None else f"LIMIT {int(newest)}"
    sql = f"SELECT * FROM (FROM lake.batches ORDER BY committed_at DESC, batch_id DESC {limit}) ORDER BY committed_at, batch_id"
    return rows(connection, sql)


def quarantine(
    connection: duckdb.DuckDBPyConnection,
    state: str | None,
    source: str | None,
    code: str | None,
    ids: Sequence[str],
    limit: int | None,
    offset: int = 0,
    *,
    raw: bool = True,
) -> list[dict[str, Any]]:
    where, values = ["true"], dict[str, Any]()
    for name, column, value in (("state", "state", state), ("source", "source", source), ("code", "split_part(reason, ':', 1)", code)):
        if value is not None:
            where.append(f"{column} = ${name}")
            values[name] = value
    if ids:
        where.append(
            "(id IN (SELECT unnest($ids)) OR list_any_value(list_transform($ids, lambda p: CASE WHEN starts_with(id, p) THEN true END)))"
        )
        values["ids"] = list(ids)
    columns, order = "*" if raw else "* EXCLUDE (raw)", "created_at DESC, ingest_uri, ingest_row, id"
    sql = f"SELECT {columns} FROM lake.quarantine WHERE {' AND '.join(where)} ORDER BY {order} {part(limit, offset)}"
    return rows(connection, sql, values)


def part(limit: int | None, offset: int) -> str:
    return f"LIMIT {'ALL' if limit is None else int(limit)} OFFSET {int(offset)}"


def decide_quarantine(connection: duckdb.DuckDBPyConnection, ids: Sequence[str], state: str, now: datetime) -> int:
    if state not in ("retried", "discarded"):
        raise Invalid(f"a quarantined record becomes retried or discarded, not {state!r}")
    done = connection.execute(
        "UPDATE lake.quarantine SET state = $state, decided_at = $now WHERE state = 'open' AND id IN (SELECT unnest($ids))",
        {"state": state, "now": now, "ids": list(ids)},
    ).fetchone()
    return int(done[0]) if done else 0


def conflicts(connection: duckdb.DuckDBPyConnection, limit: int | None, offset: int = 0) -> list[dict[str, Any]]:
    columns = "record_id, source_kind, source_instance, source_record_id, start_time, ingest_uri, ingest_row, raw_sha256, stored_raw_sha256, detected_at"
    return rows(connection, f"SELECT {columns} FROM lake.conflicts ORDER BY detected_at DESC, record_id, raw_sha256 {part(limit, offset)}")


def snapshot_id(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("SELECT id FROM ducklake_current_snapshot('lake') t(id)").fetchone()
    return int(row[0]) if row else 0


def count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(row[0]) if row else 0


def table(connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any] | None = None) -> pa.Table:
    return connection.execute(sql, dict(values or {})).to_arrow_table()


def rows(connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table(connection, sql, values).to_pylist()
    return found
