"""The roll-up of a window, put together from the kept answers of its days, as a whole or as the calendar days that changed.

Owns: which kept answers a window or a calendar day of it is made of. Does not own: the sums (lake_facts.py), keeping (lake_slices.py).
Invariants: a calendar day is known by the answers it was made of, which are named by the files of their rows; it is made again where one of them is another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from governor.store import lake_facts, lake_read, lake_slices
from governor.store.lake_attach import Place

SHORT: Final = timedelta(hours=1)  # a window of which no answer is worth keeping
Made = tuple[str, ...]  # the names of the answers that a calendar day was made of; empty where it was counted directly


@dataclass(frozen=True)
class Window:
    """[start, end) at a snapshot, cut by keys, epochs, bands and the calendar days of a zone."""

    start: datetime
    end: datetime
    keys: Sequence[str]
    boundaries: Sequence[datetime]
    bands: Sequence[int]
    zone: str
    snapshot: int

    def shape(self, first: datetime, last: datetime) -> str:
        """Everything but its rows that the answer about a UTC day depends on."""
        plain = lake_facts.days_query(self.keys, (), self.bands, day=self.zone, source="calls")
        return plain + "".join(mark.isoformat() for mark in self.boundaries if first < mark < last)

    def sliced(self, connection: duckdb.DuckDBPyConnection, place: Place, kept: Path) -> list[tuple[lake_slices.Span, pa.Table]] | None:
        def days(first: datetime, last: datetime, only: Sequence[str]) -> str:
            source = lake_read.calls_between(connection, self.snapshot, first, last, only)
            return lake_facts.days_query(self.keys, self.boundaries, self.bands, day=self.zone, source=source)

        if self.end - self.start < SHORT:
            return None
        return lake_slices.sliced(connection, place, kept, days, self.start, self.end, self.snapshot, self.shape, grows=lake_slices.ADDS)


def facts(connection: duckdb.DuckDBPyConnection, place: Place, kept: Path, window: Window) -> pa.Table:
    """All of it (lake_facts.py names the columns)."""
    found = window.sliced(connection, place, kept)
    return directly(connection, window) if found is None else lake_facts.by_day(connection, found, window.keys, window.boundaries)


def days(
    connection: duckdb.DuckDBPyConnection, place: Place, kept: Path, window: Window, known: Mapping[str, Made]
) -> dict[str, tuple[Made, pa.Table | None]]:
    """The same by the calendar days of its zone; without the sums of days that are known, made of the same answers. All of it under "" where no days are kept."""
    found = window.sliced(connection, place, kept)
    if found is None:
        return {"": ((), directly(connection, window))}
    zone = ZoneInfo(window.zone)
    made: dict[str, list[str]] = defaultdict(list)
    wanted: list[tuple[lake_slices.Span, pa.Table, set[str]]] = []
    for span, table in found:
        touched = {moment.astimezone(zone).date().isoformat() for moment in (span.start, span.end - timedelta(microseconds=1))}
        for day in touched:
            made[day].append(span.name(window.shape(span.day, span.end)))
        wanted.append((span, table, touched))
    fresh = {day for day, names in made.items() if known.get(day) != tuple(names)}
    parts = [
        (span, table if touched <= fresh else table.filter(pc.is_in(table["day"], pa.array(sorted(fresh), pa.string()))))
        for span, table, touched in wanted
        if touched & fresh
    ]
    tables: dict[str, pa.Table] = {}
    if parts:
        merged = lake_facts.by_day(connection, parts, window.keys, window.boundaries)
        tables = {day: merged.filter(pc.equal(merged["day"], day)) for day in fresh}
    return {day: (tuple(names), tables.get(day)) for day, names in sorted(made.items())}


def directly(connection: duckdb.DuckDBPyConnection, window: Window) -> pa.Table:
    source = lake_read.calls_between(connection, window.snapshot, window.start, window.end)
    query = lake_facts.facts_query(window.keys, window.boundaries, window.bands, day=window.zone, source=source)
    return lake_read.table(connection, query, {"start": window.start, "end": window.end})
