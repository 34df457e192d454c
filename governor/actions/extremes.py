"""The slowest and the dearest calls of a month, per workflow: its 95th percentile, how many calls cost more than its ceiling.

Owns: both measures, counted by UTC day so that past days are counted once (Lake.by_day). Does not own: the question about a month (windows.py).
Invariants: production traffic only, exact to the millisecond and the pico-USD; a day's kept answer names the workflow, ceiling and prices of every way
of calling that occurs in it; a bound on what is used, which can only let too many through, spares most calls the arithmetic; what DuckDB's arithmetic leaves out
(other units than tokens, pictures' tokens, the provider's own charge) is priced call by call, as a month is.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from math import ceil
from typing import Any, Final

import numpy as np
import pyarrow as pa

from governor.actions.context import Context
from governor.actions.govern import GovernedMonth, Group
from governor.actions.governed_rows import TOKENS as COUNTS
from governor.actions.price_row import CHARGED, counted, price_row
from governor.prices.book import Rates
from governor.prices.price import Price
from governor.prices.rate import RATED, Usage
from governor.prices.units import INSTEAD, UNIT_METERS, base_of
from governor.store.lake_costs import METERS, RATES_SCHEMA, TOKENS, costs_query, rate_rows
from governor.store.lake_facts import DIMENSIONS, key_expression
from governor.store.lake_slices import ADDS, DAY, DAY_OF, SLICE, SLICE_OF
from governor.store.lake_units import UNIT_SUMS, with_units

ROUTE: Final = ("provider", "model", "service_tier", "region")
FEW: Final = 20_000  # rows that Python holds at a time
WHOLE: Final = frozenset({"epoch", "least", "ceiling", "way", "token", "unit"})
NEVER: Final = 2**62
PAID: Final = ("cost_source", "cost_currency", "cost_amount")
UNITS: Final = frozenset({*UNIT_METERS, *(name for names in INSTEAD.values() for name in names)})
USED: Final = "coalesce(c.input_tokens, 0) + coalesce(c.output_tokens, 0)"
_CHARGED: Final = f"coalesce(c.cost_source IN ({', '.join(repr(source) for source in sorted(CHARGED))}), false)"
# calls of which DuckDB's arithmetic would leave something out; and those of them that may cost more than the ceiling
APART: Final = f"(c.units IS NOT NULL OR coalesce(c.image_input_tokens, 0) > 0 OR coalesce(c.image_output_tokens, 0) > 0 OR {_CHARGED})"
NEAR: Final = f"""{APART} AND (({_CHARGED} AND c.cost_amount >= (l.ceiling // 1000000)::DECIMAL(20, 0) * 0.000001)
    OR ({USED})::HUGEINT * l.token + (1 + ceil(coalesce(list_sum(list_transform(c.unit_sums, lambda one: coalesce(one, 1))), 0)))::HUGEINT * l.unit >= l.ceiling)"""


@dataclass(frozen=True)
class Extremes:
    """One month's questions to the lake. of: workflow -> its groups of production traffic."""

    ctx: Context
    month: GovernedMonth
    of: Mapping[str, Sequence[Group]]

    def percentiles(self) -> dict[str, int]:
        """Workflow -> exact 95th percentile of the duration of successful calls, in whole milliseconds rounded up."""
        labels = self._relation([(group, {"label": name}) for name, groups in self.of.items() for group in groups], route=False)
        if labels is None:
            return {}
        only = f"{DIMENSIONS['status']} = 'ok' AND duration_ms IS NOT NULL AND isfinite(duration_ms)"
        sql = f"""SELECT label, list(ms ORDER BY ms) AS ms, list(calls ORDER BY ms) AS calls, {SLICE} FROM (
                SELECT l.label, ceil(c.duration_ms)::BIGINT AS ms, count(*) AS calls, c.{SLICE}
                FROM ({self._calls(["{reached} AS epoch", "duration_ms", SLICE_OF], only)}) c JOIN labels l ON {matching(labels)} GROUP BY ALL)
            GROUP BY ALL"""  # noqa: S608 - our own column names
        days = self._by_day(sql, labels)
        names, parts = days["label"].to_pylist(), [days[name].combine_chunks() for name in ("ms", "calls")]
        places: dict[str, list[int]] = defaultdict(list)
        for place, name in enumerate(names):
            places[name].append(place)
        return {
            name: p95_of(*(np.concatenate([part[place].values.to_numpy() for place in of]) for part in parts))
            for name, of in places.items()
        }

    def above(self, ceilings: Mapping[str, int]) -> dict[str, tuple[int, int | None]]:
        """Workflow -> how many calls cost more than its ceiling (pico-USD), and the dearest of them."""
        rated: list[dict[str, Any]] = []
        ways: dict[int, tuple[int, str]] = {}  # by the identity of rates, which the book keeps
        plain: list[tuple[Group, dict[str, Any]]] = []
        mixed: list[tuple[Group, dict[str, Any]]] = []
        one_by_one: list[tuple[Group, dict[str, Any]]] = []
        for name, ceiling in ceilings.items():
            groups = [(group, self._rates(group)) for group in self.of.get(name, ())]
            apart = {self._way(group) for group, rates in groups if is_apart(group, rates)}
            for group, rates in groups:
                label: dict[str, Any] = {"label": name, "ceiling": ceiling}
                least = None if rates is None else least_tokens(rates, ceiling)
                prices = ""
                if rates is not None and least is not None:
                    if id(rates) not in ways:
                        rows = rate_rows(rates, len(ways))
                        rated += rows
                        told = json.dumps([row | {"way": 0} for row in rows]) if rows else ""
                        ways[id(rates)] = (len(ways), hashlib.sha256(told.encode()).hexdigest() if rows else "")
                    way, prices = ways[id(rates)]
                    if prices:
                        place = mixed if self._way(group) in apart else plain
                        place.append((group, label | {"least": least, "way": way, "prices": prices}))
                if self._way(group) in apart or (least is not None and not prices):
                    token, unit = dearest(rates)
                    mark = NEVER if least is None or prices else least
                    one_by_one.append((group, label | {"least": mark, "token": token, "unit": unit}))
        over: dict[str, tuple[int, int | None]] = {}
        counted_in_sql = (*self._counted(plain, rated), *self._counted(mixed, rated, but=True))
        for workflow, calls, most in (*counted_in_sql, *self._rated(one_by_one)):
            known, before = over.get(workflow, (0, 0))
            over[workflow] = (known + calls, max(most, before or 0))
        return over

    def _counted(
        self, chosen: Sequence[tuple[Group, dict[str, Any]]], rated: list[dict[str, Any]], *, but: bool = False
    ) -> Iterator[tuple[str, int, int]]:
        """(workflow, calls above its ceiling, the dearest), by DuckDB. but: without those that are priced one by one."""
        labels = self._relation(chosen, route=True)
        if labels is not None:
            near = self._near(labels, f"{USED} >= l.least" + f" AND NOT {APART}" * but, COUNTS if but else TOKENS, ("way",), units=but)
            sql = f"""SELECT label, count(*) AS calls, max(pico)::DECIMAL(38, 0) AS most, {SLICE}
                FROM ({costs_query(near, "rates")}) WHERE pico > ceiling GROUP BY ALL"""  # noqa: S608 - our own column names
            rates = pa.Table.from_pylist(rated, RATES_SCHEMA)
            for first, last in self._reached(labels):
                for row in self._by_day(sql, labels, first, last, rates=rates).to_pylist():
                    yield row["label"], row["calls"], int(row["most"])

    def _rated(self, chosen: Sequence[tuple[Group, dict[str, Any]]]) -> Iterator[tuple[str, int, int]]:
        """The same one by one, for what only prices/ can work out."""
        labels = self._relation(chosen, route=True)
        if labels is None:
            return
        near = self._near(labels, f"({USED} >= l.least OR ({NEAR}))", COUNTS, units=True)
        sums = ", ".join(f"unit_sums[{place}] AS {name}" for place, name in enumerate(UNIT_SUMS, start=1))
        alike = ", ".join(("label", "since AS epoch", "ceiling", *ROUTE, *COUNTS, "status", "gateway_cache", *PAID, "units", sums))
        sql = f"SELECT {alike}, count(*) AS calls, {SLICE} FROM {near} GROUP BY ALL"  # noqa: S608 - our own column names
        for batch in self._by_day(sql, labels).to_batches(max_chunksize=FEW):
            for row in batch.to_pylist():
                usage = Usage(counts=counted(row), **{name: row[name] for name in COUNTS})
                one = row | {"context_band": None, "cost_unknown_calls": 0}  # one call says its own band
                cost = price_row(one, self.month.book, self._epochs[row["epoch"]], usage)[0].contracted_pico
                if cost is not None and cost > row["ceiling"]:
                    yield row["label"], row["calls"], cost

    def _near(self, labels: pa.Table, only: str, tokens: Sequence[str], more: Sequence[str] = (), *, units: bool) -> str:
        """Calls that may cost more than the ceiling, with their label. units: with what they used besides tokens, which takes reading all of what they used."""
        columns = [
            "{reached} AS epoch",
            "{epoch} AS since",
            *(f"{DIMENSIONS[name]} AS {name}" for name in (*ROUTE, "status", "gateway_cache")),
        ]
        columns += [*tokens, SLICE_OF, *((*PAID, "units", "unit_sums") if units else ())]
        calls = self._calls(columns, f"coalesce({DIMENSIONS['gateway_cache']}, '') NOT LIKE 'hit%'", units=units)
        said = ", ".join(f"l.{name}" for name in ("label", "ceiling", *more))
        return f"(SELECT c.*, {said} FROM ({calls}) c JOIN labels l ON {matching(labels)} WHERE {only})"  # noqa: S608 - our own column names

    def _reached(self, labels: pa.Table) -> list[tuple[datetime, datetime]]:
        """Runs of UTC days in which some call has as many tokens as it takes: the others are not looked at."""
        sql = f"""SELECT DISTINCT w.day FROM ways w JOIN labels l ON {matching(labels).replace("c.", "w.")} WHERE w.most >= l.least ORDER BY 1"""  # noqa: S608 - our own column names
        runs: list[tuple[datetime, datetime]] = []
        for row in self.ctx.lake.query(sql, ways=self._ways, labels=labels).to_pylist():
            first, last = max(row["day"], self.month.start), min(row["day"] + DAY, self.month.end)
            if runs and runs[-1][1] == first:
                first = runs.pop()[0]
            runs.append((first, last))
        return runs

    def _by_day(
        self, sql: str, labels: pa.Table, start: datetime | None = None, end: datetime | None = None, **relations: pa.Table
    ) -> pa.Table:
        month = self.month

        def told() -> Mapping[datetime, list[str]]:
            """Of each day, the ways of calling that occur in it, with their labels or without one."""
            met = [name for name in met_by(labels) if name != "epoch"]
            said = [name for name in labels.schema.names if name not in {*met_by(labels), "way"}]
            parts = ["epoch := w.within", *(f"{name} := w.{name}" for name in met), *(f"{name} := l.{name}" for name in said)]
            line = f"struct_pack({', '.join(parts)})"
            found = self.ctx.lake.query(
                f"""SELECT w.day, list(DISTINCT sha256(to_json({line}))[:32]) AS lines
                FROM ways w LEFT JOIN labels l ON {matching(labels).replace("c.", "w.")} GROUP BY w.day""",  # noqa: S608 - our own column names
                ways=self._ways,
                labels=labels,
            )
            return {row["day"].astimezone(UTC): row["lines"] for row in found.to_pylist()}

        first, last = start or month.start, end or month.end
        return self.ctx.lake.by_day(
            sql, first, last, self._epochs[1:], snapshot=month.snapshot, filled=True, grows=ADDS, told=told, labels=labels, **relations
        )

    @cached_property
    def _ways(self) -> pa.Table:
        """Which ways of calling occur in each UTC day. within: the epoch counted from the day's beginning."""
        columns = [
            "{epoch} AS epoch",
            "{epoch} AS within",
            "max(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) AS most",
            *(f"{DIMENSIONS[name]} AS {name}" for name in ROUTE),
            f"{DAY_OF} AS day",
            SLICE_OF,
        ]
        sql = f"{self._calls(columns)} GROUP BY ALL"
        return self.ctx.lake.by_day(
            sql, self.month.start, self.month.end, self._epochs[1:], snapshot=self.month.snapshot, filled=True, grows=ADDS
        )

    @cached_property
    def _epochs(self) -> list[datetime]:
        """The beginnings of those the groups were cut at."""
        month = self.month
        found = {*month.timeline.boundaries, *month.book.boundaries(month.start, month.end)}
        return [month.start, *sorted(instant for instant in found if month.start < instant < month.end)]

    @cached_property
    def _keys(self) -> list[str]:
        return sorted(self.month.groups[0].keys) if self.month.groups else []

    def _calls(self, columns: Sequence[str], only: str = "true", *, units: bool = False) -> str:
        """Production calls: columns and attribution keys `key_0`, `key_1`, ..."""
        keys = [f"{key_expression(name)} AS key_{number}" for number, name in enumerate(self._keys)]
        return (
            f"SELECT {', '.join([*keys, *columns])} FROM {with_units('{calls}') if units else '{calls} AS calls'} "  # noqa: S608 - our own column names
            f"WHERE cost_bearing AND start_time >= $start AND start_time < $end AND {DIMENSIONS['traffic_class']} = 'production' AND {only}"
        )

    def _rates(self, group: Group) -> Rates | None:
        rates = self.month.book.lookup(group.provider, group.model, group.epoch_start, group.service_tier, group.region)
        return rates if isinstance(rates, Rates) else None

    def _way(self, group: Group) -> tuple[Any, ...]:
        """How calls find the group's label."""
        return (group.epoch_start, *(group.keys[name] for name in self._keys), *(getattr(group, name) for name in ROUTE))

    def _relation(self, rows: Sequence[tuple[Group, dict[str, Any]]], *, route: bool) -> pa.Table | None:
        """Distinct (epoch, keys[, route]) with their labels, to join the calls with."""
        if not rows:
            return None
        places = {instant: number for number, instant in enumerate(self._epochs)}
        distinct: dict[tuple[Any, ...], dict[str, Any]] = {}
        for group, label in rows:
            one: dict[str, Any] = {"epoch": places[group.epoch_start]}
            one |= {f"key_{number}": group.keys[name] for number, name in enumerate(self._keys)}
            if route:
                one |= {name: getattr(group, name) for name in ROUTE}
            distinct[tuple(one.values())] = one | label
        found = list(distinct.values())
        return pa.table({name: pa.array([one[name] for one in found], pa.int64() if name in WHOLE else pa.string()) for name in found[0]})


def matching(labels: pa.Table) -> str:
    return " AND ".join(f"l.{name} IS NOT DISTINCT FROM c.{name}" for name in met_by(labels))


def met_by(labels: pa.Table) -> list[str]:
    """The columns by which calls find their label."""
    return [name for name in labels.schema.names if name == "epoch" or name in ROUTE or name.startswith("key_")]


def p95_of(ms: np.ndarray[Any, np.dtype[np.int64]], calls: np.ndarray[Any, np.dtype[np.int64]]) -> int:
    """The smallest value that at least 95 % of the calls do not exceed."""
    order = np.argsort(ms, kind="stable")
    reached = np.cumsum(calls[order])
    whole = int(reached[-1])
    return int(ms[order][np.searchsorted(reached, max(1, whole - whole * 5 // 100))])


def is_apart(group: Group, rates: Rates | None) -> bool:
    """Whether DuckDB's arithmetic would leave something of the group's calls out."""
    if group.price_status == "priced_by_provider":
        return True
    return rates is not None and (
        (group.price_status == "unpriced" and group.input_tokens is not None) or any(part.meter not in METERS for part in group.rated.parts)
    )


def least_tokens(rates: Rates, ceiling: int) -> int | None:
    """Fewer tokens than this cannot cost more than the ceiling, whatever their class; None when nothing can."""
    prices = [price for price in _prices(rates) if price.meter in RATED and price.meter not in UNITS]
    dearest = max((price.pico for price in prices if price.meter != "request"), default=None)
    request = max((price.pico for price in prices if price.meter == "request"), default=0)
    if not dearest:
        return 0 if request > ceiling else None
    return max(0, ceil((ceiling - request) / dearest))


def dearest(rates: Rates | None) -> tuple[int, int]:
    """The most that a token and that a unit of anything else costs, in pico-USD rounded up."""
    prices = _prices(rates) if rates is not None else []
    others = {"request", *UNITS}
    most = [[price.pico for price in prices if (base_of(price.meter) in others) is other] for other in (False, True)]
    token, unit = (ceil(max(found, default=0)) for found in most)
    return token, unit


def _prices(rates: Rates) -> list[Price]:
    return [price for table in (rates.listed, rates.contracted) for bands in table.values() for price in bands]
