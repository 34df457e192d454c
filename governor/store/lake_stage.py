"""What connectors read, held as Arrow until the lake commits it: copied once, into long batches; memory is bounded by spilling to disk.

Owns: the relations in_calls (with `seq`, the place in the input), in_rejected and in_spans of one ingest. Does not own: storing them (lake_ingest.py).
Invariants: filled outside the lock; a spilled file has no name any more, so that a process that dies leaves nothing behind; every call in
in_calls has a key, a payload digest, a believable time and counts that can be summed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from governor.calls import CALL_SCHEMA, MOST_TOKENS, REJECT_SCHEMA, SPAN_SCHEMA
from governor.errors import Invalid
from governor.ports import Batch

EARLIEST: Final = datetime(2022, 1, 1, tzinfo=UTC)
COUNTS: Final = frozenset(name for name in CALL_SCHEMA.names if name.endswith("_tokens") or name == "total_tokens_reported")
MOST_COUNTED: Final = 4 * MOST_TOKENS  # a total may be put together from four counts; more would overflow the sum of a month
SPILL_BYTES: Final = 64 << 20
SPILL_ROWS: Final = 1024  # of a batch in a spilled file: a reader holds dozens of them
SCAN_ROWS: Final = 4096  # of a batch in memory: DuckDB reads a wide one a third faster than eight of what connectors make, and gives a thread one at a time
OPEN_FILES: Final = Path("/proc/self/fd")  # where a file without a name can be opened again
RELATIONS: Final = ("in_calls", "in_rejected", "in_spans")


class Pile:
    """Tables of one schema, in order. Beyond SPILL_BYTES they move to a file without a name, which is read a little at a time.

    numbered: with a column `seq`, the place in the order.
    """

    def __init__(self, what: str, schema: pa.Schema, scratch: Path, *, numbered: bool = False) -> None:
        self._what, self._schema, self._scratch, self._numbered = what, schema, scratch, numbered
        self._fresh: list[pa.Table] = []
        self._held = self.rows = 0
        self._spilled: BinaryIO | None = None
        self._writer: Any = None

    def add(self, table: pa.Table) -> None:
        if table.num_rows == 0:
            return
        if table.schema.names != self._schema.names:
            odd = sorted(set(table.schema.names) ^ set(self._schema.names))
            raise Invalid(f"a connector returned other columns than {self._what} have: {', '.join(odd[:5]) or 'in another order'}")
        self._fresh.append(self._number(table if table.schema.equals(self._schema) else table.cast(self._schema)))
        self.rows += table.num_rows
        self._held += self._fresh[-1].nbytes
        if self._held > SPILL_BYTES:
            self._spill()

    def whole(self) -> Any:
        """Everything as one relation, for the last time: an Arrow table, or a dataset of the file where something was spilled."""
        if self._spilled is None:
            pieces, self._fresh = pa.concat_tables([self._number(self._schema.empty_table()), *self._fresh]), []
            return pa.Table.from_batches(pieces.combine_chunks().to_batches(max_chunksize=SCAN_ROWS), pieces.schema)
        self._spill()
        self._writer.close()
        self._spilled.flush()
        handle = self._spilled.fileno()
        if OPEN_FILES.exists():
            return pyarrow.dataset.dataset(str(OPEN_FILES / str(handle)), format="ipc")
        return pa.ipc.open_file(pa.memory_map(f"/dev/fd/{handle}")).read_all()

    def drop(self) -> None:
        self._fresh = []
        if self._spilled is not None:
            self._spilled.close()

    def _number(self, table: pa.Table) -> pa.Table:
        if not self._numbered:
            return table
        return table.append_column("seq", pa.array(np.arange(self.rows, self.rows + table.num_rows, dtype=np.int64)))

    def _spill(self) -> None:
        if self._spilled is None:
            self._scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=self._scratch, suffix=".arrow")
            Path(name).unlink()  # the open file keeps the bytes
            self._spilled = os.fdopen(handle, "w+b")
            self._writer = pa.ipc.new_file(self._spilled, self._fresh[0].schema)
        for table in self._fresh:
            self._writer.write_table(table, max_chunksize=SPILL_ROWS)
        self._fresh, self._held = [], 0


class Stage:
    """The three relations. Filled, then read on one connection, after which they are gone."""

    def __init__(self, scratch: Path) -> None:
        self.calls = Pile("calls", CALL_SCHEMA, scratch, numbered=True)
        self.rejected = Pile("rejected records", REJECT_SCHEMA, scratch)
        self.spans = Pile("spans", SPAN_SCHEMA, scratch)

    def fill(self, batches: Iterable[Batch], now: datetime) -> None:
        """Raises Invalid when a connector returns tables of another shape."""
        for batch in batches:
            usable, refused = _usable(batch.calls, now)
            self.calls.add(usable)
            self.rejected.add(batch.rejected)
            self.rejected.add(refused)
            self.spans.add(batch.spans)

    @contextmanager
    def on(self, connection: duckdb.DuckDBPyConnection) -> Iterator[Self]:
        """To be read by their names on this connection, once."""
        try:
            for name, pile in zip(RELATIONS, (self.calls, self.rejected, self.spans), strict=True):
                connection.register(name, pile.whole())
            yield self
        finally:
            for name in RELATIONS:
                connection.unregister(name)
            self.drop()

    def drop(self) -> None:
        for pile in (self.calls, self.rejected, self.spans):
            pile.drop()


def _usable(calls: pa.Table, now: datetime) -> tuple[pa.Table, pa.Table]:
    """(calls that can be counted once and put in a month, reject rows of the others)."""
    empty = REJECT_SCHEMA.empty_table()
    if calls.num_rows == 0 or not {"record_id", "raw_sha256", "start_time"} <= set(calls.schema.names):
        return calls, empty  # another shape is refused where it is added
    times = calls["start_time"]
    late = now + timedelta(days=1)
    within = pc.and_(pc.greater_equal(times, pa.scalar(EARLIEST, times.type)), pc.less_equal(times, pa.scalar(late, times.type)))
    for name in COUNTS & set(calls.schema.names):
        within = pc.and_(within, pc.less_equal(pc.fill_null(calls[name], 0), MOST_COUNTED))
    good = pc.and_(pc.fill_null(within, fill_value=False), pc.and_(pc.is_valid(calls["record_id"]), pc.is_valid(calls["raw_sha256"])))
    if pc.all(good).as_py():
        return calls, empty
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.register("refused", calls.filter(pc.invert(good)))
        found = engine.execute(
            """SELECT ingest_uri, ingest_row, CASE WHEN record_id IS NULL THEN 'record_id: missing' WHEN raw_sha256 IS NULL THEN 'raw_sha256: missing'
            WHEN start_time IS NULL THEN 'start_time: missing'
            WHEN start_time BETWEEN $earliest AND $late THEN 'tokens: a count that no call can have'
            ELSE 'start_time: ' || start_time::VARCHAR || ' is not between 2022 and tomorrow' END AS reason,
            encode(to_json(refused)::VARCHAR) AS raw FROM refused""",
            {"earliest": EARLIEST, "late": late},
        ).to_arrow_table()
    return calls.filter(good), found.cast(REJECT_SCHEMA)
