"""Sums of past days, kept beside the lake, so that a question about a month counts only the days in which something changed.

Owns: which days can be taken from an earlier answer, and where answers lie. Does not own: what is counted (the caller's query).
Invariants: a day's answer is named by the data and delete files that hold its rows at that snapshot, which never change, so an answer can be missing
but not stale; where answers add up, a day whose files only became more takes its earlier answer and that of the new files, as long as these are few; where
they add up over keys, it takes the answers of the keys that came, as they are and as they were;
nothing here is a record: the folder may be deleted at any time; lakes that are counted in a moment are asked directly.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final
from uuid import uuid4

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import feather

from governor.store.lake_attach import Place
from governor.store.lake_files import DataFile, files_at, holds
from governor.store.lake_meets import Meets, met

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
NOON: Final = timedelta(hours=12)
ADDS: Final = "adds"
HOURS: Final = "hours"
LEAST: Final = 1_000_000  # rows in the files concerned, below which a question is asked directly
KEPT: Final = 45 * 86_400.0  # seconds after which an answer that was not made anew is swept
SLICE: Final = "slice"  # the column by which an answer is cut: the UTC day of the rows
# whole UTC days by integers: date_trunc asks the calendar of a time zone, for every row
DAY_OF: Final = "make_timestamptz(epoch_us(start_time) // 86400000000 * 86400000000)"
SLICE_OF: Final = f"{DAY_OF} AS {SLICE}"
NIGHT_OF: Final = "make_timestamptz((epoch_us(start_time) - 43200000000) // 86400000000 * 86400000000 + 43200000000)"
GROWN: Final = 4  # a day is counted whole again when more than one row in so many came since
Shape = Callable[[datetime, datetime], str]
Query = Callable[..., str]
Told = Mapping[datetime, Collection[str]]


@dataclass(frozen=True)
class Span:
    """A UTC day (of nights: from noon to noon), or the part of it that is asked for, and the files of its rows."""

    start: datetime
    end: datetime
    files: tuple[DataFile, ...]
    day: datetime

    def name(self, shape: str) -> str:
        """Of its answer."""
        return self._named(shape, "\n".join(file.name for file in self.files)) + ".arrow"

    def base(self, shape: str) -> str:
        """Of what says which of its answers was the newest that was counted whole."""
        return self._named(shape, "base") + ".json"

    def _named(self, shape: str, files: str) -> str:
        text = f"{shape}\n{self.start.isoformat()}\n{self.end.isoformat()}\n{files}"
        return f"{self.start:%Y%m%d}-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def sliced(
    connection: duckdb.DuckDBPyConnection,
    place: Place,
    folder: Path,
    query: Query,
    start: datetime,
    end: datetime,
    snapshot: int,
    shape: Shape,
    *,
    grows: str | Meets = "",
    told: Callable[[], Told] = dict,
    nights: bool = False,
) -> list[tuple[Span, pa.Table]] | None:
    """The answer of `query` (SQL for a span, of the named files or of all; binds $start, $end; yields a column `slice`) for each UTC day; None where asking
    directly is as good.

    `shape` says everything, besides the rows, that a day's answer depends on, together with what is `told` of the day: lines, of which a day to which
    calls came may have more than before, but none may be gone. grows: how such a day is answered, see Lake.by_day.
    """
    spans = spans_of(connection, place, start, end, snapshot, NOON if nights else timedelta())
    if spans is None:
        return None
    lines = told()
    asked = _Asked(
        connection,
        folder,
        query,
        snapshot,
        spans,
        [shape(one.day, one.end) for one in spans],
        [sorted(lines.get(one.day, ())) for one in spans],
        grows,
    )
    found = [_read(asked.path(number)) for number in range(len(spans))]
    for number, table in enumerate(found):
        if table is None:
            found[number] = asked.grown(number)
    for run in _runs([number for number, table in enumerate(found) if table is None]):
        for number, table in zip(run, asked.count(run, spans[run[0]].start, spans[run[-1]].end), strict=True):
            found[number] = table
            _write(asked.path(number), table)
            asked.note(number)
    return [(span, table) for span, table in zip(spans, found, strict=True) if table is not None]


@dataclass(frozen=True)
class _Asked:
    """One question about several days, by their numbers."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    query: Query
    snapshot: int
    spans: Sequence[Span]
    shapes: Sequence[str]
    told: Sequence[Sequence[str]]
    grows: str | Meets

    def path(self, number: int) -> Path:
        return self.folder / self.spans[number].name("\n".join((self.shapes[number], *self.told[number])))

    def base(self, number: int) -> Path:
        return self.folder / self.spans[number].base(self.shapes[number])

    def note(self, number: int) -> None:
        """Remember that the answer was counted whole."""
        if self.grows:
            said = {"answer": self.path(number).name, "files": [file.name for file in self.spans[number].files], "told": self.told[number]}
            _put(self.base(number), json.dumps(said).encode())

    def count(self, run: Sequence[int], first: datetime, last: datetime, only: Sequence[str] = ()) -> list[pa.Table]:
        """Of the days of a run, whose calls are those of [first, last)."""
        answer = self.connection.execute(self.query(first, last, only), {"start": first, "end": last}).to_arrow_table()
        return _cut(answer, [self.spans[number].day for number in run])

    def grown(self, number: int) -> pa.Table | None:
        """The answer that was counted whole, with what new files change of it. None where the day is to be counted whole."""
        span = self.spans[number]
        known = _earlier(self.base(number), span, self.told[number], same=isinstance(self.grows, Meets)) if self.grows else None
        if known is None:
            return None
        table, fresh = known
        if self.grows == HOURS:
            first, last = _hours(span, fresh)
            rest = table.filter((pc.field("hour") < first.timestamp() // 3600) | (pc.field("hour") >= last.timestamp() // 3600))
            found = [rest, *self.count([number], first, last)]
        elif not holds(self.connection, self.snapshot, fresh):
            return None
        elif isinstance(self.grows, Meets):
            came = met(self.connection, self.snapshot, self.grows, self.query, span.start, span.end, [file.path for file in fresh])
            found = [table, *(part for answer in came for part in _cut(answer, [span.day]))]
        else:
            found = [table, *self.count([number], span.start, span.end, [file.path for file in fresh])]
        whole = pa.concat_tables(found)
        if isinstance(self.grows, Meets) and not self.grows.sound(whole):
            return None
        _write(self.path(number), whole)
        return whole


def spans_of(
    connection: duckdb.DuckDBPyConnection, place: Place, start: datetime, end: datetime, snapshot: int, begins: timedelta = timedelta()
) -> list[Span] | None:
    """The days of [start, end) with the files of each; None where they hold few rows. begins: when a day does."""
    near = [file for file in files_at(connection, place, snapshot) if file.may_hold(start, end)]
    if sum(file.rows for file in near) < LEAST:
        return None
    spans, at = [], start.astimezone(UTC)
    while at < end:
        day = (at - begins).replace(hour=0, minute=0, second=0, microsecond=0) + begins
        until = min(day + DAY, end.astimezone(UTC))
        spans.append(Span(at, until, tuple(file for file in near if file.may_hold(at, until)), day))
        at = until
    return spans


def sweep(folder: Path) -> None:
    """Remove answers that nobody can ask for any more, and some that will be made anew."""
    for path in folder.glob("*"):
        if time.time() - path.stat().st_mtime > KEPT:
            path.unlink(missing_ok=True)


def _runs(places: Sequence[int]) -> list[list[int]]:
    """Days in a row are counted in one pass."""
    runs: list[list[int]] = []
    for place in places:
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


def _cut(answer: pa.Table, days: Sequence[datetime]) -> list[pa.Table]:
    """The rows of each of the days, which are in order."""
    ordered = answer.take(pc.sort_indices(answer[SLICE])).combine_chunks()
    at = np.searchsorted(ordered[SLICE].cast(pa.int64()).to_numpy(), pa.array(days, answer[SLICE].type).cast(pa.int64()).to_numpy())
    rest = ordered.drop_columns([SLICE])
    return [rest.slice(first, last - first) for first, last in pairwise([*at.tolist(), rest.num_rows])]


def _earlier(base: Path, span: Span, told: Collection[str], *, same: bool) -> tuple[pa.Table, list[DataFile]] | None:
    """A day's newest whole answer and the files that came since; None where files of it are gone or changed, or too much came. same: what was told, too."""
    try:
        said = json.loads(base.read_bytes())
        known, name, before = set(said["files"]), str(said["answer"]), set(said["told"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    fresh = [file for file in span.files if file.name not in known]
    if len(known) + len(fresh) != len(span.files) or not fresh or not known or not (before == set(told) if same else before.issubset(told)):
        return None
    if sum(file.rows for file in fresh) * GROWN > sum(file.rows for file in span.files):
        return None
    table = _read(base.with_name(name))
    return None if table is None else (table, fresh)


def _hours(span: Span, files: Sequence[DataFile]) -> tuple[datetime, datetime]:
    """The whole hours of the span that the files may hold rows of."""
    first = max(span.start, min(file.first or span.start for file in files))
    last = min(span.end, max(file.last + HOUR if file.last else span.end for file in files))
    if last != span.end:
        last = last.replace(minute=0, second=0, microsecond=0)
    return max(span.start, first.replace(minute=0, second=0, microsecond=0)), last


def _read(path: Path) -> pa.Table | None:
    try:
        return feather.read_table(path, memory_map=False)
    except (OSError, pa.ArrowInvalid):  # never written, swept, or cut off with the machine: counted again
        return None


def _write(path: Path, table: pa.Table) -> None:
    with pa.BufferOutputStream() as sink:
        feather.write_feather(table, sink, compression="zstd")
        _put(path, sink.getvalue())


def _put(path: Path, content: bytes | pa.Buffer) -> None:
    """Whole or not at all; an earlier answer for the same day stays until it is swept, somebody may be reading it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{uuid4().hex}.part")
    part.write_bytes(content)
    part.replace(path)
