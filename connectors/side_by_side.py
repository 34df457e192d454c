"""Reads an input of any size with a few workers: works in, batches out, in the order of the works.

Owns: who reads what and when, the flow of many works through one run of a statement. Does not own: one run over given records (engine).
Invariants: batches come out in the order of their works; works are pulled in the caller's thread, and only while few wait;
a worker that fails, or a caller that stops early, ends all of it.

A run of a statement over many columns touches 25 MB of vectors before it has read a record. A statement that makes its rows of one record
each is therefore run once per worker, over all the records that the worker is handed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from threading import Condition
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine import VECTOR, Plan, Planned, Relation, batches_of, convert, relation
from connectors.payloads import Records
from connectors.portions import WORKERS
from governor.ports import Batch, ReadOptions

Work = tuple[Plan, list[Records]]  # consecutive chunks of one form
_WAITING: Final = 2  # works that wait for a worker
_OPEN: Final = WORKERS + 3  # works pulled of which not all batches are out; more only where no worker can go on without
_ROWS: Final = 512  # of the answer at a time; records of so many rows are held at least
_WIDE: Final = 64 << 10  # bytes of a record, on average, above which _ROWS of them would be too much to hold


def convert_all(works: Iterable[Work], options: ReadOptions) -> Iterator[Batch]:
    """One engine with all threads for a small input; for a large one an engine per worker."""
    source = iter(works)
    first = list(islice(source, 2))
    if len(first) > 1:
        yield from _side_by_side(chain(_given(first), source), options)
        return
    with Planned() as planned:
        for plan, chunks in first:
            yield from convert(planned, plan, chunks, options)


def _given(held: list[Work]) -> Iterator[Work]:
    """Each once, and held no longer."""
    while held:
        yield held.pop(0)


def _side_by_side(works: Iterator[Work], options: ReadOptions) -> Iterator[Batch]:
    desk = _Desk()
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="connector-read")
    try:
        for _ in range(WORKERS):
            pool.submit(_read, desk, options)
        yield from desk.serve(works)
    finally:
        desk.close()
        pool.shutdown(wait=True)


class _Desk:
    """Where works wait for a worker, and batches for their turn."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: deque[tuple[int, Work]] = deque()
        self._read: dict[int, list[Batch]] = {}
        self._hungry = 0
        self._closed = False
        self._failure: BaseException | None = None

    def serve(self, works: Iterator[Work]) -> Iterator[Batch]:
        """Hands out all works, and yields what is made of them in their order. Raises what a worker raised."""
        pulled = out = 0
        more = True

        def room() -> bool:
            return more and len(self._waiting) < _WAITING and (pulled - out < _OPEN or (self._hungry == WORKERS and out not in self._read))

        def something() -> bool:
            return room() or out in self._read or self._failure is not None

        while more or out < pulled:
            with self._changed:
                self._changed.wait_for(something)
                if self._failure is not None:
                    raise self._failure
                pull, ready = room(), self._read.pop(out, None)
            if pull:
                work = next(works, None)
                with self._changed:
                    if work is None:
                        more, self._closed = False, True
                    else:
                        self._waiting.append((pulled, work))
                        pulled += 1
                    self._changed.notify_all()
                del work
            if ready is not None:
                out += 1
                yield from ready

    def take(self) -> tuple[int, Work] | None:
        """The next work and its number; None when there will be none."""
        with self._changed:
            self._hungry += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._closed)
            self._hungry -= 1
            return self._waiting.popleft() if self._waiting else None

    def give(self, number: int, batches: list[Batch]) -> None:
        with self._changed:
            self._read[number] = batches
            self._changed.notify_all()

    def fail(self, failure: BaseException) -> None:
        with self._changed:
            self._failure = self._failure or failure
        self.close()

    def close(self) -> None:
        """Nothing more is handed out."""
        with self._changed:
            self._waiting.clear()
            self._closed = True
            self._changed.notify_all()


def _read(desk: _Desk, options: ReadOptions) -> None:
    """What a worker does until there is no work."""
    try:
        with Planned(threads=1) as planned:
            taken = desk.take()
            while taken is not None:
                number, (plan, chunks) = taken
                if _flows(plan, chunks):
                    flow = _Flow(desk, options, taken)
                    del taken, chunks  # it lets go of each work as soon as that is read
                    taken = flow.read(planned)
                else:
                    desk.give(number, list(convert(planned, plan, chunks, options)))
                    taken = desk.take()
    except BaseException as failure:  # noqa: BLE001 - it is raised where the batches are read
        desk.fail(failure)


def _flows(plan: Plan, chunks: list[Records]) -> bool:
    rows = sum(len(chunk.values) for chunk in chunks)
    return plan.rowwise and sum(chunk.values.nbytes for chunk in chunks) <= rows * _WIDE


@dataclass
class _Part:
    """A work in the flow: its records are those from `begins` up to `ends` of the run, and `rows` the answer about them so far."""

    number: int
    begins: int
    ends: int
    relation: Relation
    rows: list[pa.Table]


class _Flow:
    """One run of a statement over the first work and all that are taken after it, for as long as their statement is the same."""

    def __init__(self, desk: _Desk, options: ReadOptions, first: tuple[int, Work]) -> None:
        self._desk, self._options, self._plan = desk, options, first[1][0]
        self._next: tuple[int, Work] | None = first
        self._parts: deque[_Part] = deque()
        self._failure: BaseException | None = None

    def read(self, planned: Planned) -> tuple[int, Work] | None:
        """The work that was taken last and has another statement; None where there is no more work."""
        try:
            for rows in planned.flow(self._plan, self._records(), _ROWS):
                self._sort_in(rows)
        except Exception:
            if self._failure is not None:  # the engine tells it in words of its own
                raise self._failure from None
            raise
        while self._parts:
            self._finish()
        return self._next

    def _records(self) -> Iterator[pa.RecordBatch]:
        position = 0
        try:
            while self._next is not None:
                number, (plan, chunks) = self._next
                if plan != self._plan or not _flows(plan, chunks):
                    return
                found = relation(chunks, hashed=plan.hashed, first=position, morsel=VECTOR)
                begins, position = position, position + len(found.table)
                self._parts.append(_Part(number, begins, position, found, []))
                yield from found.table.to_batches()
                del chunks, found
                self._next = None  # not before: who stops here has not done with it
                self._next = self._desk.take()
        except Exception as failure:
            self._failure = failure
            raise

    def _sort_in(self, rows: pa.Table) -> None:
        """Give each row to the work whose record it is about; a row about a later one says that the earlier ones are done."""
        positions = rows["position"].to_numpy()
        assert (positions[1:] >= positions[:-1]).all()  # noqa: S101 - else rows would be given to the wrong work
        at = 0
        while at < len(positions):
            part = self._parts[0]
            end = int(np.searchsorted(positions, part.ends))
            part.rows.append(rows.slice(at, end - at))
            at = end
            if at < len(positions):
                self._finish()

    def _finish(self) -> None:
        part = self._parts.popleft()
        batches: list[Batch] = []
        if part.rows:
            answer = pa.concat_tables(part.rows).combine_chunks()  # of its own: pieces keep their neighbours
            place = answer.schema.get_field_index("position")
            own = answer.set_column(place, "position", pc.subtract(answer["position"], part.begins))
            batches += batches_of(own, part.relation, self._options)
        self._desk.give(part.number, batches)
