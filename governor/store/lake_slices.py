"""Sums of past days, kept beside the lake, so that a question about a month counts only the days in which something changed.

Owns: which days can be taken from an earlier answer, and where answers lie. Does not own: what is counted (the caller's query).
Invariants: a day's answer is named by the data and delete files that hold its rows at that snapshot, which never change, so an answer can be missing
but not stale; nothing here is a record: the folder may be deleted at any time; lakes that are counted in a moment are asked directly.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
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
from governor.store.lake_files import files_at

DAY: Final = timedelta(days=1)
LEAST: Final = 1_000_000  # rows in the files concerned, below which a question is asked directly
KEPT: Final = 45 * 86_400.0  # seconds after which an answer that was not made anew is swept
SLICE: Final = "slice"  # the column by which an answer is cut: the UTC day of the rows
# whole UTC days by integers: date_trunc asks the calendar of a time zone, for every row
DAY_OF: Final = "make_timestamptz(epoch_us(start_time) // 86400000000 * 86400000000)"
SLICE_OF: Final = f"{DAY_OF} AS {SLICE}"
Shape = Callable[[datetime, datetime], str]


@dataclass(frozen=True)
class Span:
    """A UTC day, or the part of it that is asked for, and the name of its rows' files."""

    start: datetime
    end: datetime
    files: str

    @property
    def day(self) -> datetime:
        return self.start.replace(hour=0, minute=0, second=0, microsecond=0)

    def name(self, shape: str) -> str:
        text = f"{shape}\n{self.start.isoformat()}\n{self.end.isoformat()}\n{self.files}"
        return f"{self.start:%Y%m%d}-{hashlib.sha256(text.encode()).hexdigest()[:40]}.arrow"


def sliced(
    connection: duckdb.DuckDBPyConnection,
    place: Place,
    folder: Path,
    query: Callable[[datetime, datetime], str],
    start: datetime,
    end: datetime,
    snapshot: int,
    shape: Shape,
) -> list[tuple[Span, pa.Table]] | None:
    """The answer of `query` (SQL for a span; binds $start, $end; yields a column `slice`) for each UTC day; None where asking directly is as good.

    `shape` says everything, besides the rows, that a day's answer depends on.
    """
    spans = spans_of(connection, place, start, end, snapshot)
    if spans is None:
        return None
    paths = [folder / one.name(shape(one.day, one.end)) for one in spans]
    found = [_read(path) for path in paths]
    for run in _runs([place for place, table in enumerate(found) if table is None]):
        first, last = spans[run[0]].start, spans[run[-1]].end
        answer = connection.execute(query(first, last), {"start": first, "end": last}).to_arrow_table()
        for number, part in zip(run, _cut(answer, [spans[number].day for number in run]), strict=True):
            found[number] = part
            _write(paths[number], part)
    return [(span, table) for span, table in zip(spans, found, strict=True) if table is not None]


def spans_of(connection: duckdb.DuckDBPyConnection, place: Place, start: datetime, end: datetime, snapshot: int) -> list[Span] | None:
    """The days of [start, end) with the files of each; None where they hold few rows."""
    near = [file for file in files_at(connection, place, snapshot) if file.may_hold(start, end)]
    if sum(file.rows for file in near) < LEAST:
        return None
    spans, at = [], start.astimezone(UTC)
    while at < end:
        until = min(at.replace(hour=0, minute=0, second=0, microsecond=0) + DAY, end.astimezone(UTC))
        spans.append(Span(at, until, "\n".join(file.name for file in near if file.may_hold(at, until))))
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


def _read(path: Path) -> pa.Table | None:
    try:
        return feather.read_table(path, memory_map=False)
    except (OSError, pa.ArrowInvalid):  # never written, swept, or cut off with the machine: counted again
        return None


def _write(path: Path, table: pa.Table) -> None:
    """Whole or not at all; an earlier answer for the same day stays until it is swept, somebody may be reading it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{uuid4().hex}.part")
    feather.write_feather(table, part, compression="zstd")
    part.replace(path)
