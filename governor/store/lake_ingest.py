"""Storing calls once: stage what connectors read, compare with what is stored, commit everything or nothing.

Owns: the lake transaction of an ingest and its counts. Does not own: what waits to be stored (lake_stage.py), the lock and retry
(lake_lock.py), which witness bears the cost (lake_witness.py). Invariants: read = stored + duplicates + conflicts + quarantined; the same key
is stored once; with a payload that says something else it is a conflict and never overwrites; the batch row commits with its calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import datetime
from typing import Any, Final

import duckdb

from governor.calls import CALL_SCHEMA
from governor.store import lake_witness
from governor.store.content import ADDRESS_LENGTH, SEALED
from governor.store.free_memory import give_back
from governor.store.lake_lock import committed
from governor.store.lake_read import count
from governor.store.lake_stage import Stage
from governor.store.lake_tables import BATCH_SCHEMA, CONFLICT_SCHEMA, RECORD_HASH

MAX_URIS: Final = 20
BULK: Final = 5_000  # calls from which reading them has left memory to give back (a part has some 10,000); a push has fewer and should not wait for it
# Calls have wide rows: DuckDB's own bounds (524,288 rows of a month, 1.2 GiB of a row group) would hold a gigabyte before anything is written.
FRUGAL: Final = "SET partitioned_write_flush_threshold = 8192; SET write_buffer_row_group_memory_limit = '64MB'"
# Where a row came from and what was decided about it; everything else is what the source says.
PROVENANCE: Final = frozenset({
    "source_instance", "ingest_batch_id", "ingest_uri", "ingest_row", "ingested_at", "raw_sha256", "raw_ref", "cost_bearing",
    "exclusion_reason", "cost_raw",
})  # fmt: skip
# of a record in quarantine: a sealed one (store/content.py) names it, and comes in other bytes each time
DIGEST: Final = f"""CASE WHEN raw[:{len(SEALED)}] = '{SEALED.decode()}'::BLOB THEN decode(raw[{len(SEALED) + 1}:{len(SEALED) + ADDRESS_LENGTH}])
    ELSE sha256(coalesce(raw, ''::BLOB)) END"""
FACTS: Final = [name for name in CALL_SCHEMA.names if name not in PROVENANCE]


@dataclass(frozen=True)
class Counts:
    """What became of an ingest. `other_spans` counts structure without a model call, apart from `read`."""

    read: int = 0
    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    other_spans: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class BatchInfo:
    """Where a batch came from; kept in the lake so that a crash before the rows commit loses nothing."""

    source: str = ""
    connector: str = ""
    uris: Sequence[str] = ()
    actor: str = ""
    cursor: str = ""
    started_at: datetime | None = None


def commit(
    connection: duckdb.DuckDBPyConnection,
    stage: Stage,
    batch_id: str,
    info: BatchInfo,
    now: datetime,
    resolved: Sequence[str] = (),
    *,
    alone: Callable[[], object],
) -> Counts:
    """One lake transaction over what is staged on the connection. The caller holds the ingest lock and may call again after a busy catalog.

    `resolved`: quarantine ids that this batch answers; they become `retried` with it. `alone` raises where the lock is held no more.
    """
    connection.execute(FRUGAL)

    def store() -> Counts:
        known = _recorded(connection, batch_id)
        return known if known is not None else _store(connection, stage, batch_id, info, now, resolved)

    return committed(connection, store, alone)


def _recorded(connection: duckdb.DuckDBPyConnection, batch_id: str) -> Counts | None:
    """Counts of a batch that is in the lake already: the commit answered with an error but had happened."""
    names = list(Counts.__dataclass_fields__)
    row = connection.execute(f"SELECT {', '.join(names)} FROM lake.batches WHERE batch_id = ?", [batch_id]).fetchone()
    return None if row is None else Counts(*row)


def _store(
    connection: duckdb.DuckDBPyConnection, stage: Stage, batch_id: str, info: BatchInfo, now: datetime, resolved: Sequence[str]
) -> Counts:
    staged, rejected, spans = stage.calls.rows, stage.rejected.rows, stage.spans.rows
    stored, duplicates, conflicts = _store_calls(connection, batch_id, now, staged) if staged else (0, 0, 0)
    if rejected:
        _store_rejected(connection, batch_id, info, now)
    if spans:
        _store_spans(connection)
        if lake_witness.settle(connection):
            _update_stored(connection)
    if resolved:
        connection.execute(
            "UPDATE lake.quarantine SET state = 'retried', decided_at = $now WHERE state = 'open' AND id IN (SELECT unnest($ids))",
            {"now": now, "ids": list(resolved)},
        )
    counts = Counts(staged + rejected, stored, duplicates, conflicts, rejected, spans)
    _record_batch(connection, batch_id, info, now, counts)
    return counts


def _store_calls(connection: duckdb.DuckDBPyConnection, batch_id: str, now: datetime, staged: int) -> tuple[int, int, int]:
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE seen AS
        SELECT record_id, min(seq) AS seq, arg_min(raw_sha256, seq) AS raw_sha256 FROM in_calls GROUP BY record_id
    """)
    _find_stored(connection)
    distinct, known = count(connection, "seen"), count(connection, "stored")
    if known < distinct:
        _insert_new(connection, batch_id, now, all_new=known == 0 and distinct == staged, bulk=staged >= BULK)
    if known == 0 and distinct == staged:
        return staged, 0, 0
    # A row that is not the first of its key is measured against the payload that is kept: the stored one, else the first of this input.
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE found AS
        SELECT c.seq, coalesce(k.raw_sha256, s.raw_sha256) AS kept
        FROM in_calls c JOIN seen s USING (record_id) LEFT JOIN stored k USING (record_id)
        WHERE c.raw_sha256 <> coalesce(k.raw_sha256, s.raw_sha256)
    """)
    if count(connection, "found"):
        _keep_other_facts(connection)
    conflicts = count(connection, "found")
    if conflicts:
        own = {"ingest_batch_id": "$batch", "ingested_at": "$now"}
        columns = ", ".join(f"{own.get(name, f'c.{name}')} AS {name}" for name in CALL_SCHEMA.names)
        connection.execute(
            f"""INSERT INTO lake.conflicts BY NAME
                SELECT {columns}, f.kept AS stored_raw_sha256, $now AS detected_at FROM in_calls c JOIN found f ON c.seq = f.seq
                ANTI JOIN lake.conflicts o ON o.record_id = c.record_id AND o.raw_sha256 = c.raw_sha256
                QUALIFY row_number() OVER (PARTITION BY c.record_id, c.raw_sha256 ORDER BY c.seq) = 1""",
            {"now": now, "batch": batch_id},
        )
    stored = distinct - known
    return stored, staged - stored - conflicts, conflicts


def _find_stored(connection: duckdb.DuckDBPyConnection) -> None:
    """Temp table `stored`: rows of the lake with a key of this input. First by hash over all months, then the keys where a hash was met."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE met AS
        SELECT record_hash, start_time FROM lake.calls WHERE record_hash IN (SELECT {RECORD_HASH} FROM seen)
    """)
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE stored AS
        SELECT record_id, raw_sha256, start_time FROM lake.calls SEMI JOIN seen USING (record_id)
        WHERE record_hash IN (SELECT record_hash FROM met)
            AND start_time BETWEEN (SELECT min(start_time) FROM met) AND (SELECT max(start_time) FROM met)
    """
        if count(connection, "met")
        else """
        CREATE OR REPLACE TEMP TABLE stored AS SELECT record_id, raw_sha256, start_time FROM in_calls LIMIT 0
    """
    )


def _keep_other_facts(connection: duckdb.DuckDBPyConnection) -> None:
    """Narrow `found` to payloads that say something else. A record written anew (other white space, another driver) repeats the facts
    in other bytes: that is a duplicate.
    """
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE kept AS
        WITH wanted AS (SELECT DISTINCT record_id FROM in_calls SEMI JOIN found USING (seq))
        SELECT * EXCLUDE (source_exclusion, filled, record_hash) FROM lake.calls SEMI JOIN wanted USING (record_id)
        WHERE start_time BETWEEN (SELECT min(start_time) FROM stored) AND (SELECT max(start_time) FROM stored)
        UNION ALL BY NAME
        SELECT c.* EXCLUDE seq FROM in_calls c SEMI JOIN seen USING (seq) SEMI JOIN wanted USING (record_id) ANTI JOIN stored USING (record_id)
    """)
    said, held = (", ".join(f"{side}.{name}" for name in FACTS) for side in ("c", "k"))
    connection.execute(f"""
        DELETE FROM found WHERE seq IN (SELECT c.seq FROM in_calls c SEMI JOIN found USING (seq) JOIN kept k USING (record_id)
            WHERE ({said}) IS NOT DISTINCT FROM ({held}))
    """)


def _insert_new(connection: duckdb.DuckDBPyConnection, batch_id: str, now: datetime, *, all_new: bool, bulk: bool) -> None:
    if all_new:
        fresh = "in_calls"
    else:
        connection.execute("CREATE OR REPLACE TEMP TABLE fresh AS SELECT seq FROM seen ANTI JOIN stored USING (record_id)")
        fresh = "(SELECT c.* FROM in_calls c SEMI JOIN fresh ON c.seq = fresh.seq)"
    kept_out = lake_witness.SOURCE_EXCLUSION
    reason, decided, filled = kept_out, "", ""
    if lake_witness.decide(connection, fresh):
        _update_stored(connection)
        decided = "LEFT JOIN (SELECT record_id AS decided_id, exclusion_reason AS decision, filled FROM decisions WHERE is_new) ON record_id = decided_id"
        filled = ", filled"
        reason = f"CASE WHEN decided_id IS NULL THEN {kept_out} ELSE decision END"
    if bulk:
        give_back()
    own = {"ingest_batch_id": "$batch", "ingested_at": "$now", "cost_bearing": f"({reason}) IS NULL", "exclusion_reason": reason}
    columns = ", ".join(f"{own[name]} AS {name}" if name in own else name for name in CALL_SCHEMA.names)
    connection.execute(
        f"INSERT INTO lake.calls BY NAME SELECT {columns}, {kept_out} AS source_exclusion, {RECORD_HASH} AS record_hash {filled} FROM {fresh} {decided}",
        {"batch": batch_id, "now": now},
    )


def _update_stored(connection: duckdb.DuckDBPyConnection) -> None:
    """Rows already stored that a new witness beats, or that win now. The time bounds keep the scan to the months concerned."""
    bounds = connection.execute("SELECT min(start_time)::VARCHAR, max(start_time)::VARCHAR FROM decisions WHERE NOT is_new").fetchone()
    if bounds is None or bounds[0] is None:
        return
    connection.execute(
        """UPDATE lake.calls SET cost_bearing = d.cost_bearing, exclusion_reason = d.exclusion_reason, filled = d.filled
           FROM (SELECT * FROM decisions WHERE NOT is_new) d
           WHERE calls.record_id = d.record_id AND calls.start_time BETWEEN $low::TIMESTAMPTZ AND $high::TIMESTAMPTZ""",
        {"low": bounds[0], "high": bounds[1]},
    )


def _store_rejected(connection: duckdb.DuckDBPyConnection, batch_id: str, info: BatchInfo, now: datetime) -> None:
    """Keep each bad record once, however often its file is read and under whatever name: a log that was rotated, packed or copied holds the same
    bytes at the same place. (Nothing at all, where an archive ends, tells no file from another; and ids were once made of names.)
    """
    connection.execute(
        f"""INSERT INTO lake.quarantine BY NAME
           WITH found AS (
               SELECT sha256(digest || '|' || coalesce(ingest_uri, '') || '|' || coalesce(ingest_row::VARCHAR, '')) AS named,
                   CASE WHEN digest <> sha256('') THEN sha256(concat_ws('|', digest, 'source', $source, ingest_row::VARCHAR)) ELSE named END AS id, *
               FROM (SELECT {DIGEST} AS digest, * FROM in_rejected)
           )
           SELECT id, $batch AS batch_id, $connector AS connector, $source AS source, ingest_uri, ingest_row, reason, raw,
                  'open' AS state, $now AS created_at, NULL::TIMESTAMPTZ AS decided_at
           FROM found ANTI JOIN (SELECT id FROM lake.quarantine) USING (id) ANTI JOIN (SELECT id AS named FROM lake.quarantine) USING (named)
           QUALIFY row_number() OVER (PARTITION BY id) = 1""",
        {"batch": batch_id, "connector": info.connector, "source": info.source, "now": now},
    )


def _store_spans(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("""
        INSERT INTO lake.spans BY NAME
        SELECT i.* FROM in_spans i
        ANTI JOIN lake.spans s ON s.span_id IS NOT DISTINCT FROM i.span_id AND s.trace_id IS NOT DISTINCT FROM i.trace_id AND s.raw_sha256 = i.raw_sha256
        QUALIFY row_number() OVER (PARTITION BY i.trace_id, i.span_id, i.raw_sha256) = 1
    """)


def _record_batch(connection: duckdb.DuckDBPyConnection, batch_id: str, info: BatchInfo, now: datetime, counts: Counts) -> None:
    row: dict[str, Any] = {
        "batch_id": batch_id,
        "source": info.source,
        "connector": info.connector,
        "uris": json.dumps(list(info.uris)[:MAX_URIS]),
        "actor": info.actor,
        "cursor": info.cursor,
        **counts.as_dict(),
        "started_at": info.started_at or now,
        "committed_at": now,
    }
    names = ", ".join(BATCH_SCHEMA.names)
    connection.execute(f"INSERT INTO lake.batches ({names}) VALUES ({', '.join(f'${name}' for name in BATCH_SCHEMA.names)})", row)


assert set(CALL_SCHEMA.names) < set(CONFLICT_SCHEMA.names)  # noqa: S101 - conflicts hold whole calls
