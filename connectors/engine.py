"""Runs a connector's SQL over given records and makes batches of its answer.

Owns: the DuckDB engines, hashing, the shape of a batch. Does not own: the SQL (each connector), cutting files (payloads), inputs of any
size (side_by_side). Invariant: the engines are in memory and can neither fetch nor load an extension.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.batches import empty_batch, rejects, schema_table
from connectors.payloads import Records
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, SPAN_SCHEMA
from governor.ports import Batch, ReadOptions

_SPACE: Final = frozenset(b" \t\r\n")
_MORSEL: Final = 512  # rows per Arrow batch: DuckDB gives a thread one at a time, and a row can be 13 kB
VECTOR: Final = 2048  # rows that DuckDB looks at together


@dataclass(frozen=True)
class Plan:
    """One statement over `records(uri, row, position, fault, payload_sha256, line)` and its values, which it reads by `getvariable('name')`.

    It answers canonical columns, `uri`, `row`, `position`, `reason` (null for a call) and, where content is wanted, `input_body` and
    `output_body`. It may answer `raw` (what a refused record is, when it is only a part of the line) and `kind` (`span` for structure
    without a model call, else null). hashed: whether it reads `payload_sha256`, the digest of the record as received. rowwise: each row
    of the answer is made of one record alone, and the rows come in the order of the records.
    """

    sql: str
    values: Mapping[str, Any]
    hashed: bool = True
    rowwise: bool = False


SHAPE: Final = pa.schema(
    {
        "uri": pa.string(),
        "row": pa.int64(),
        "position": pa.int64(),
        "fault": pa.string(),
        "payload_sha256": pa.string(),
        "line": pa.large_string(),
    }
)


def latest(options: ReadOptions) -> int:
    """Microseconds since 1970 after which no start time is believed."""
    now = options.config.get("now")
    bound = datetime(2100, 1, 1, tzinfo=UTC) if now is None else now + timedelta(days=1)
    return int(bound.timestamp()) * 1_000_000


class _Feed:
    """A relation whose rows change from run to run of a statement that was planned once."""

    def __init__(self) -> None:
        self.rows = SHAPE.empty_table()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.rows.__arrow_c_stream__(requested_schema)


class Planned:
    """One DuckDB in memory that plans each statement once: planning takes as long as reading 5 MB, and a chunk should be small."""

    def __init__(self, threads: int | None = None) -> None:
        self._engine, self._feed = engine_for_json(threads), _Feed()
        self._engine.register("records", self._feed)
        self._names: dict[tuple[object, ...], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()

    def run(self, plan: Plan, records: pa.Table) -> pa.Table:
        _tell(self._engine, plan)
        key = (plan.sql, *sorted(plan.values.items()))
        if key not in self._names:
            self._names[key] = f"plan_{len(self._names)}"
            self._engine.execute(f"PREPARE {self._names[key]} AS {plan.sql}")
        self._feed.rows = records
        try:
            return self._engine.execute(f"EXECUTE {self._names[key]}").to_arrow_table()
        finally:
            self._feed.rows = SHAPE.empty_table()

    def flow(self, plan: Plan, records: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
        """One run over all records, in the caller's thread: the answer as it comes, so many rows at a time."""
        with self._engine.cursor() as own:
            _settle(own)
            _tell(own, plan)
            # a bare capsule is read as the statement goes; from anything else threads of Arrow would read ahead
            own.register("records", pa.RecordBatchReader.from_batches(SHAPE, records).__arrow_c_stream__())
            for batch in own.execute(plan.sql).to_arrow_reader(rows):
                yield pa.Table.from_batches([batch])


def engine_for_json(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    engine = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    _settle(engine)
    if threads:
        engine.execute(f"SET threads = {threads}")
    return engine


def _settle(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")


def _tell(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    for name, value in plan.values.items():  # a variable is folded into the statement when it is planned
        connection.execute(f"SET VARIABLE {name} = $value", {"value": value})


def digests(records: Any) -> Any:
    """sha256 of each record of a large_binary array as it was received, without the white space around it. Hashing leaves the GIL alone."""
    _, offsets, data = records.buffers()
    edges = np.frombuffer(offsets, dtype=np.int64)[records.offset : records.offset + len(records) + 1].tolist()
    view = memoryview(data) if data is not None else memoryview(b"")
    found = []
    for first, last in pairwise(edges):
        start, end = first, last
        while end > start and view[end - 1] in _SPACE:
            end -= 1
        while start < end and view[start] in _SPACE:
            start += 1
        found.append(hashlib.sha256(view[start:end]).hexdigest())
    return pa.array(found, pa.string())


def convert(planned: Planned, plan: Plan, chunks: list[Records], options: ReadOptions) -> Iterator[Batch]:
    """Records of one form -> batches of at most batch_rows."""
    records = relation(chunks, hashed=plan.hashed)
    yield from batches_of(planned.run(plan, records.table), records, options)


def batches_of(found: pa.Table, records: Relation, options: ReadOptions) -> Iterator[Batch]:
    """The answer about records -> batches of at most batch_rows."""
    received = records.received
    if len(found) > options.batch_rows:
        received = _whole(received, found["position"].to_numpy(), options.batch_rows)
    for start in range(0, len(found), options.batch_rows):
        yield _batch(found.slice(start, options.batch_rows), records.raw, received)


@dataclass(frozen=True)
class Relation:
    """Records as a statement reads them; by their place from 0, whatever its `position` begins with, themselves and as they came."""

    table: pa.Table
    raw: Any
    received: Any


def relation(chunks: list[Records], *, hashed: bool, first: int = 0, morsel: int = _MORSEL) -> Relation:
    """first: what `position` begins with in the table; morsel: rows of its batches at most."""
    batches, raws, came, position = [], [], [], first
    for chunk in chunks:
        lines, faults = _text(chunk.values)
        size = len(lines)
        if chunk.cut:
            faults = pa.concat_arrays([faults[: size - 1], pa.array([chunk.cut], pa.string())])
        whole = pa.table(
            {
                "uri": pa.repeat(chunk.uri, size),
                "row": np.arange(chunk.first_row, chunk.first_row + size),
                "position": np.arange(position, position + size),
                "fault": faults,
                "payload_sha256": digests(chunk.values) if hashed else pa.nulls(size, pa.string()),
                "line": lines,
            },
            schema=SHAPE,
        )
        batches += whole.to_batches(max_chunksize=morsel)
        raws.append(chunk.values)
        came.append(_received(chunk))
        position += size
    return Relation(pa.Table.from_batches(batches), pa.chunked_array(raws), pa.chunked_array(came))


def _received(chunk: Records) -> Any:
    if isinstance(chunk.received, str):
        return chunk.values
    return pa.nulls(len(chunk.values), pa.large_binary()) if chunk.received is None else chunk.received


def _whole(came: Any, positions: Any, batch_rows: int) -> Any:
    """Without the documents whose records are in several batches: whether such a one may be archived, no batch can tell."""
    batches = np.arange(len(positions)) // batch_rows
    first, last = np.full(len(came), len(positions)), np.full(len(came), -1)
    np.minimum.at(first, positions, batches)
    np.maximum.at(last, positions, batches)
    torn = last > first
    if not torn.any():
        return came
    return pc.if_else(pa.array(torn), pa.scalar(None, came.type), came)


def _text(values: Any) -> tuple[Any, Any]:
    """Binary to UTF-8; a record that is not UTF-8 becomes empty text with a fault."""
    try:
        return values.cast(pa.large_string()), pa.nulls(len(values), pa.string())
    except pa.ArrowInvalid:
        texts: list[str] = []
        faults: list[str | None] = []
        for value in values:
            try:
                texts.append(value.as_py().decode("utf-8"))
                faults.append(None)
            except UnicodeDecodeError:
                texts.append("")
                faults.append("invalid_utf8: the record is not UTF-8 text")
        return pa.array(texts, pa.large_string()), pa.array(faults, pa.string())


def _batch(found: pa.Table, raw: Any, came: Any) -> Batch:
    nothing = empty_batch()
    spans = nothing.spans
    if "kind" in found.column_names:
        found, others = _parted(found, "kind")
        spans = schema_table(others, SPAN_SCHEMA)
    kept, bad = _parted(found, "reason")
    refused = nothing.rejected
    if len(bad):
        raw_of = bad["raw"].cast(pa.binary()) if "raw" in bad.column_names else raw.take(bad["position"])
        refused = rejects(bad["uri"], bad["row"], bad["reason"], raw_of)
    bodies = [_bodies(kept, kind) for kind in ("input", "output")]
    content = schema_table(pa.concat_tables(bodies), CONTENT_SCHEMA) if "input_sha256" in kept.column_names else nothing.content
    places = kept["position"].to_numpy()

    def received(rows: Any) -> tuple[Any, Any]:
        wanted, codes = np.unique(places[rows], return_inverse=True)
        return (came if len(wanted) == len(came) else came.take(wanted)), codes

    return Batch(
        calls=schema_table(kept, CALL_SCHEMA),
        rejected=refused,
        spans=spans,
        content=content,
        received=received,
    )


def _parted(rows: pa.Table, column: str) -> tuple[pa.Table, pa.Table]:
    """(rows where it is null, the others). A filter copies every column, and mostly there is nothing to filter."""
    if rows[column].null_count == len(rows):
        return rows, rows.slice(0, 0)
    null = pc.is_null(rows[column])
    return rows.filter(null), rows.filter(pc.invert(null))


def _bodies(kept: pa.Table, kind: str) -> pa.Table:
    if f"{kind}_sha256" not in kept.column_names:
        return CONTENT_SCHEMA.empty_table()
    there = kept.filter(pc.is_valid(kept[f"{kind}_body"]))
    columns = [there["record_id"], pa.repeat(kind, len(there)), there[f"{kind}_sha256"], there[f"{kind}_body"].cast(pa.large_binary())]
    return pa.table(columns, names=CONTENT_SCHEMA.names)
