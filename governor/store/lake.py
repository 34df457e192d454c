"""The lake of calls of one organization: DuckDB over Parquet with a transactional catalog (DuckLake).

Owns: opening on first use, one door to everything the other lake_* modules do. Does not own: what a call is (governor.calls), who asks (actions).
Invariants: every method is one transaction; ingest holds the lake's lock from its first look to its commit; a snapshot id can be re-read for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from governor.ports import Batch
from governor.store import lake_ends, lake_facts, lake_ingest, lake_month, lake_read, lake_slices, lake_tables
from governor.store.lake_attach import Place, attach, check_found, reaching
from governor.store.lake_files import stored_at
from governor.store.lake_ingest import BatchInfo, Counts
from governor.store.lake_lock import committed, ingest_lock, patiently, refuse_lent_sessions
from governor.store.lake_meets import Meets
from governor.store.lake_month import Window
from governor.store.lake_pause import Pause
from governor.store.lake_stage import Stage

__all__ = ["BatchInfo", "Counts", "Lake"]
Result = TypeVar("Result")
_NO_INFO: Final = BatchInfo()


class Lake:
    """catalog: a path (SQLite) or postgres:// URL; data: a directory or s3:// prefix; lock_dir: where the lock file and spill files live."""

    def __init__(
        self, catalog: str, data: str, org: str, *, lock_dir: Path | None = None, threads: int | None = None, memory: str | None = None
    ) -> None:
        folder = lock_dir or (Path.cwd() if "://" in catalog else Path(catalog).parent)
        self.place = Place(catalog, data, org, scratch=folder / "scratch")
        self._lock_folder = folder
        self._kept = folder / "days" / self.place.schema
        self._threads, self._memory = threads, memory
        self._opening = threading.Lock()
        self._pause = Pause(self.place)
        self._root: duckdb.DuckDBPyConnection | None = None

    def ingest(
        self,
        batch_id: str,
        batches: Iterable[Batch],
        now: datetime,
        *,
        info: BatchInfo = _NO_INFO,
        resolved: Sequence[str] = (),
        patience: float = 600.0,
    ) -> Counts:
        """Store each call once. All of `batches` commits, or nothing. The same batch_id again answers what the first time did.

        `batches` is drained before the lock is taken. Raises Unavailable when another writer keeps the lake for longer than `patience` seconds.
        """
        return self.store(batch_id, self.staged(batches, now), now, info=info, resolved=resolved, patience=patience)

    def staged(self, batches: Iterable[Batch], now: datetime) -> Stage:
        """All of `batches`, read outside the lock and ready for `store`. Raises Invalid for tables of another shape."""
        stage = Stage(self.place.scratch or self._lock_folder)
        try:
            stage.fill(batches, now)
        except BaseException:
            stage.drop()
            raise
        return stage

    def store(
        self,
        batch_id: str,
        stage: Stage,
        now: datetime,
        *,
        info: BatchInfo = _NO_INFO,
        resolved: Sequence[str] = (),
        patience: float = 600.0,
    ) -> Counts:
        """The second half of `ingest`; the stage is used up."""
        with self._cursor() as connection, stage.on(connection), self._writing(patience) as alone:
            return patiently(lambda: lake_ingest.commit(connection, stage, batch_id, info, now, resolved, alone=alone))

    def snapshot_id(self) -> int:
        """The newest committed snapshot."""
        return self._read(lake_read.snapshot_id)

    def month_facts(
        self,
        start: datetime,
        end: datetime,
        keys: Sequence[str] = (),
        boundaries: Sequence[datetime] = (),
        snapshot: int | None = None,
        *,
        bands: Sequence[int] = (),
        day_zone: str = "",
    ) -> pa.Table:
        """Sums of the cost-bearing calls in [start, end), one row per distinct way of using a model (lake_facts.py names the columns).

        `day_zone`: also by the calendar days of this zone.
        """
        return self._read(
            lambda connection: lake_month.facts(
                connection,
                self.place,
                self._kept,
                Window(start, end, keys, boundaries, bands, day_zone, lake_read.snapshot_id(connection) if snapshot is None else snapshot),
            )
        )

    def month_days(self, window: Window, known: Mapping[str, lake_month.Made]) -> dict[str, tuple[lake_month.Made, pa.Table | None]]:
        """month_facts by calendar days: what each was made of, and its sums where that is not what is `known`."""
        return self._read(lambda connection: lake_month.days(connection, self.place, self._kept, window, known))

    def by_day(
        self,
        sql: str,
        start: datetime,
        end: datetime,
        boundaries: Sequence[datetime] = (),
        *,
        snapshot: int | None = None,
        filled: bool = False,
        grows: str | Meets = "",
        told: Callable[[], lake_slices.Told] = dict,
        nights: bool = False,
        **relations: pa.Table,
    ) -> pa.Table:
        """A SELECT over `{calls}`, binding $start and $end, whose every row is of one UTC day (column `slice`); in no order.

        The calls are as they were stored, or `filled` with what their other witnesses say.

        grows: a day to which a few calls came is not counted again, but `adds`, the answer of the new calls alone is put beside its earlier one, for the
        caller to add up; or `hours`, only the hours that they came in are, by the answer's column `hour` (hours since 1970); or Meets, only the keys that
        came are, and their earlier answer is put beside it too, with sign -1.

        A column `epoch` that is `{epoch}` counts the `boundaries` at or before the call; a day's kept answer depends only on those within the day.

        nights: by nights, from noon to noon UTC, instead of days.

        `relations`: Arrow tables by name, with all boundaries counted where they are to meet `{reached}`. What a day's answer takes from them, `told`
        says (UTC day -> lines), which is asked only where days are kept.
        """

        def of(marks: Sequence[datetime], *, relative: bool) -> str:
            epoch = lake_facts.epoch_of(marks)
            return sql.replace("{epoch}", f"{epoch} - {epoch.replace('start_time', lake_slices.DAY_OF)}" if relative else epoch)

        def shape(first: datetime, last: datetime) -> str:
            return of([mark for mark in boundaries if first < mark < last], relative=True) + "filled" * filled

        def read(connection: duckdb.DuckDBPyConnection) -> pa.Table:
            at = lake_read.snapshot_id(connection) if snapshot is None else snapshot
            for name, relation in relations.items():
                connection.register(name, relation)
            reached = lake_facts.epoch_of(boundaries)

            def query(
                first: datetime, last: datetime, only: Sequence[str], *, relative: bool = True, calls: str = "", sign: int = 1
            ) -> str:
                source = calls or (lake_read.calls_between(connection, at, first, last, only) if filled else stored_at(at, only))
                asked = of(boundaries, relative=relative).replace("{reached}", reached).replace("{sign}", f"{sign}::BIGINT")
                return asked.replace("{calls}", source)

            found = lake_slices.sliced(
                connection, self.place, self._kept, query, start, end, at, shape, grows=grows, told=told, nights=nights
            )
            if found is None:
                direct = query(start, end, (), relative=False)
                return lake_read.table(connection, direct, {"start": start, "end": end}).drop_columns([lake_slices.SLICE])
            return pa.concat_tables([_later(table, sum(mark <= span.day for mark in boundaries)) for span, table in found])

        return self._read(read)

    def ends(self, *, bearing: bool = True, snapshot: int | None = None) -> tuple[datetime, datetime] | None:
        """(first, last) start_time of the cost-bearing calls, or of all; None where there is none."""

        def read(connection: duckdb.DuckDBPyConnection) -> tuple[datetime, datetime] | None:
            at = lake_read.snapshot_id(connection) if snapshot is None else snapshot
            return lake_ends.ends(connection, self.place, at, bearing=bearing)

        return self._read(read)

    def calls(self, record_ids: Sequence[str] | None = None, **filters: Any) -> pa.Table:
        """Calls by id or filter, oldest first; see lake_read.CallFilter for the filters."""
        found = lake_read.CallFilter(record_ids=None if record_ids is None else tuple(record_ids), **filters)
        return self._read(lambda connection: lake_read.calls(connection, found))

    def export_calls(self, path: Path, start: datetime, end: datetime, *, snapshot: int | None = None, blank: Collection[str] = ()) -> int:
        """Write the calls of [start, end), cost bearing or not, as one Parquet file with every canonical column. Returns how many."""
        return self._read(lambda connection: lake_read.export_calls(connection, path, start, end, snapshot, blank))

    def batches(self, *, newest: int | None = None) -> list[dict[str, Any]]:
        """Committed batches, oldest first; only the `newest` so many where given."""
        return self._read(lambda connection: lake_read.batches(connection, newest))

    def quarantine(
        self,
        *,
        state: str | None = "open",
        source: str | None = None,
        code: str | None = None,
        ids: Sequence[str] = (),
        limit: int | None = 1000,
        offset: int = 0,
        raw: bool = True,
    ) -> list[dict[str, Any]]:
        """Rejected records with their reason, newest first; limit None: all of them. code: the reason's, before its colon; raw: with their bytes."""
        return self._read(lambda connection: lake_read.quarantine(connection, state, source, code, ids, limit, offset, raw=raw))

    def decide_quarantine(self, ids: Sequence[str], state: str, now: datetime) -> int:
        """Mark open records `retried` or `discarded`. Returns how many were open."""
        return self._write(lambda connection: lake_read.decide_quarantine(connection, ids, state, now))

    def conflicts(self, *, limit: int | None = 1000, offset: int = 0) -> list[dict[str, Any]]:
        """Payloads that arrived for a key that was stored with another payload, newest first; limit None: all of them."""
        return self._read(lambda connection: lake_read.conflicts(connection, limit, offset))

    def totals(self) -> dict[str, int]:
        """Rows per table."""
        return self._read(lambda connection: {name: lake_read.count(connection, f"lake.{name}") for name in lake_tables.TABLES})

    def compact(self) -> None:
        """Merge small files, and remove what merges and killed ingests left behind a day ago. Every snapshot stays readable."""
        for call in (
            "ducklake_merge_adjacent_files('lake')",
            *(f"{name}('lake', older_than => now() - INTERVAL 1 DAY)" for name in lake_tables.sweeps(self.place)),
        ):
            self._write(lambda connection, call=call: connection.execute(f"CALL {call}").fetchall())  # type: ignore[misc]
        lake_slices.sweep(self._kept)

    def query(self, sql: str, parameters: dict[str, Any] | None = None, *, snapshot: int | None = None, **relations: pa.Table) -> pa.Table:
        """A read-only SELECT in which `{calls}` stands for the calls at `snapshot` and `relations` are Arrow tables by name. For store and actions."""

        def run(connection: duckdb.DuckDBPyConnection) -> pa.Table:
            for name, relation in relations.items():
                connection.register(name, relation)
            return lake_read.table(connection, sql.replace("{calls}", lake_read.calls_at(snapshot)), parameters or {})

        return self._read(run)

    def close(self) -> None:
        self._leave(self._root)

    def _writing(self, patience: float = 600.0) -> AbstractContextManager[Callable[[], object]]:
        return ingest_lock(self.place, self._lock_folder, patience=patience)

    def _read(self, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        with self._cursor() as connection:
            return patiently(lambda: work(connection))

    def _write(self, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        with self._cursor() as connection, self._writing() as alone:
            return patiently(lambda: committed(connection, lambda: work(connection), alone))

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own: threads do not share one, and temporary tables stay apart."""
        with self._pause.heeded(self._open), reaching(self.place), closing((root := self._open()).cursor()) as connection:
            try:
                connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
                yield connection
            except duckdb.FatalException:  # a lost catalog may break DuckDB as a whole: nothing it has open answers ever again
                self._leave(root)
                raise

    def _open(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._root is None:
                refuse_lent_sessions(self.place)
                with self._writing():  # rivals that open a new lake at once must not both create it
                    root = patiently(lambda: attach(self.place, threads=self._threads, memory=self._memory))
                    if lake_tables.missing(root):
                        lake_tables.build(root, self.place)
                    check_found(root, self.place, lake_tables.TABLES)
                self._root = root
            return self._root

    def _leave(self, root: duckdb.DuckDBPyConnection | None) -> None:
        """The next call opens the lake anew, unless another thread did so already."""
        with self._opening:
            if root is not None and root is self._root:
                self._root = None
                root.close()


def _later(table: pa.Table, before: int) -> pa.Table:
    """A day's answer whose epochs go on from the boundaries before that day."""
    place = table.schema.get_field_index("epoch")
    return table if place < 0 or not before else table.set_column(place, "epoch", pc.cast(pc.add(table["epoch"], before), pa.int32()))
