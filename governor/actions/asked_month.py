"""What the lake is asked for a window: by which keys its calls are grouped, at which instants catalog or prices change, from which prices on a context is dearer.

Owns: that question, so that sums and what belongs to them are asked alike. Does not own: the answer (store/lake), what it costs (govern.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from governor.actions.context import Context
from governor.actions.load_catalog import Timeline
from governor.attribution import rule_fields
from governor.prices.book import PriceBook
from governor.store.lake_facts import grouping
from governor.store.lake_month import Made, Window
from governor.store.lake_segments import WAY, segments_query


@dataclass(frozen=True)
class AskedMonth:
    """names: the fields that attribution rules look at, or those that were asked for; cut: what a view wants beside them; zone: of the calendar days, empty for none."""

    start: datetime
    end: datetime
    names: tuple[str, ...]
    cut: tuple[str, ...]
    boundaries: tuple[datetime, ...]
    bands: tuple[int, ...]
    zone: str
    snapshot: int

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.names, *self.cut)))

    @property
    def epochs(self) -> tuple[datetime, ...]:
        return (self.start, *self.boundaries)

    def facts(self, ctx: Context) -> pa.Table:
        return ctx.lake.month_facts(
            self.start,
            self.end,
            keys=self.keys,
            boundaries=self.boundaries,
            snapshot=self.snapshot,
            bands=self.bands,
            day_zone=self.zone,
        )

    def days(self, ctx: Context, known: Mapping[str, Made]) -> dict[str, tuple[Made, pa.Table | None]]:
        """The facts by calendar days, without those of days that are `known`; of a window that is not cut by days all under one name."""
        if not self.zone:
            return {"": ((), self.facts(ctx))}
        window = Window(self.start, self.end, self.keys, self.boundaries, self.bands, self.zone, self.snapshot)
        return ctx.lake.month_days(window, known)

    def segments(self, ctx: Context) -> pa.Table:
        """What the prompts of the same calls are made of (lake_segments.py), by the UTC day; of a month that is cut by WAY."""
        way = grouping(self.keys, self.boundaries, self.bands, self.zone)[WAY]
        return ctx.lake.by_day(segments_query(way), self.start, self.end, self.boundaries, snapshot=self.snapshot, filled=True)


def ask(
    ctx: Context,
    timeline: Timeline,
    book: PriceBook,
    start: datetime,
    end: datetime,
    *,
    zone: str | None = None,
    snapshot: int | None = None,
    names: Sequence[str] = (),
    cut: Sequence[str] = (),
) -> AskedMonth:
    """zone: of the days to tell apart, empty for none; by default the billing zone. Without names: what attribution rules look at."""
    asked = {name for epoch in timeline.epochs for name in rule_fields(epoch.rules)}
    return AskedMonth(
        start=start,
        end=end,
        names=tuple(names or sorted(asked)),
        cut=tuple(cut),
        boundaries=tuple(sorted({instant for instant in (*timeline.boundaries, *book.boundaries(start, end)) if start < instant < end})),
        bands=tuple(book.bands()),
        zone=timeline.at(end).organization.billing_zone if zone is None else zone,
        snapshot=ctx.lake.snapshot_id() if snapshot is None else snapshot,
    )
