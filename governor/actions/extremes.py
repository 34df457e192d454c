"""The slowest and the dearest calls of a month, per workflow: its 95th percentile, how many calls cost more than its ceiling.

Owns: both measures, counted by UTC day so that past days are counted once (Lake.by_day). Does not own: the question about a month (windows.py).
Invariants: production traffic only, exact to the millisecond and the pico-USD; a day's kept answer names the workflow, ceiling and prices of every way
of calling that occurs in it; a bound on tokens, which can only let too many through, spares most calls the arithmetic.
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
from governor.prices.book import Rates
from governor.prices.rate import RATED, Usage, rate_usage
from governor.store.lake_costs import RATES_SCHEMA, TOKENS, costs_query, rate_rows
from governor.store.lake_facts import DIMENSIONS, key_expression
from governor.store.lake_slices import ADDS, DAY, DAY_OF, SLICE, SLICE_OF

ROUTE: Final = ("provider", "model", "service_tier", "region")
FEW: Final = 20_000  # rows that Python holds at a time
WHOLE: Final = frozenset({"epoch", "least", "ceiling", "way"})


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
        in_sql: list[tuple[Group, dict[str, Any]]] = []
        one_by_one: list[tuple[Group, dict[str, Any]]] = []
        for name, ceiling in ceilings.items():
            for group in self.of.get(name, ()):
                rates = self._rates(group.provider, group.model, group.epoch_start, group.service_tier, group.region)
                least = least_tokens(rates, ceiling) if rates is not None and group.price_status == "priced" else None
                if rates is None or least is None:
                    continue
                if id(rates) not in ways:
                    rows = rate_rows(rates, len(ways))
                    rated += rows
                    told = json.dumps([row | {"way": 0} for row in rows]) if rows else ""
                    ways[id(rates)] = (len(ways), hashlib.sha256(told.encode()).hexdigest() if rows else "")
                way, prices = ways[id(rates)]
                label = {"label": name, "least": least, "ceiling": ceiling, "way": way, "prices": prices}
                (in_sql if prices else one_by_one).append((group, label))
        over: dict[str, tuple[int, int | None]] = {}
        for workflow, calls, most in (*self._counted(in_sql, rated), *self._rated(one_by_one)):
            known, dearest = over.get(workflow, (0, 0))
            over[workflow] = (known + calls, max(most, dearest or 0))
        return over

    def _counted(self, chosen: Sequence[tuple[Group, dict[str, Any]]], rated: list[dict[str, Any]]) -> Iterator[tuple[str, int, int]]:
        """(workflow, calls above its ceiling, the dearest), by DuckDB."""
        labels = self._relation(chosen, route=True)
        if labels is not None:
            sql = f"""SELECT label, count(*) AS calls, max(pico)::DECIMAL(38, 0) AS most, {SLICE}
                FROM ({costs_query(self._near(labels), "rates")}) WHERE pico > ceiling GROUP BY ALL"""  # noqa: S608 - our own column names
            rates = pa.Table.from_pylist(rated, RATES_SCHEMA)
            for first, last in self._reached(labels):
                for row in self._by_day(sql, labels, first, last, rates=rates).to_pylist():
                    yield row["label"], row["calls"], int(row["most"])

    def _rated(self, chosen: Sequence[tuple[Group, dict[str, Any]]]) -> Iterator[tuple[str, int, int]]:
        """The same one by one, for prices that only prices/rate.py can work out."""
        labels = self._relation(chosen, route=True)
        if labels is None:
            return
        alike = ", ".join(("label", "since AS epoch", "ceiling", *ROUTE, *TOKENS))
        sql = f"SELECT {alike}, count(*) AS calls, {SLICE} FROM {self._near(labels)} GROUP BY ALL"  # noqa: S608 - our own column names
        days = (self._by_day(sql, labels, first, last) for first, last in self._reached(labels))
        for batch in (batch for found in days for batch in found.to_batches(max_chunksize=FEW)):
            for row in batch.to_pylist():
                rates = self._rates(row["provider"], row["model"], self._epochs[row["epoch"]], row["service_tier"], row["region"])
                usage = Usage(**{name: row[name] for name in TOKENS})
                cost = rate_usage(rates, usage).contracted_pico if rates is not None else None
                if cost is not None and cost > row["ceiling"]:
                    yield row["label"], row["calls"], cost

    def _near(self, labels: pa.Table) -> str:
        """Calls that may cost more than the ceiling, with their label."""
        columns = ["{reached} AS epoch", "{epoch} AS since", *(f"{DIMENSIONS[name]} AS {name}" for name in ROUTE), *TOKENS, SLICE_OF]
        calls = self._calls(columns, f"coalesce({DIMENSIONS['gateway_cache']}, '') NOT LIKE 'hit%'")
        said = ", ".join(f"l.{name}" for name in ("label", "ceiling", "way"))
        return f"""(SELECT c.*, {said} FROM ({calls}) c JOIN labels l ON {matching(labels)}
            WHERE coalesce(c.input_tokens, 0) + coalesce(c.output_tokens, 0) >= l.least)"""  # noqa: S608 - our own column names

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

    def _calls(self, columns: Sequence[str], only: str = "true") -> str:
        """Production calls: columns and attribution keys `key_0`, `key_1`, ..."""
        keys = [f"{key_expression(name)} AS key_{number}" for number, name in enumerate(self._keys)]
        return (
            f"SELECT {', '.join([*keys, *columns])} FROM {{calls}} AS calls "  # noqa: S608 - our own column names
            f"WHERE cost_bearing AND start_time >= $start AND start_time < $end AND {DIMENSIONS['traffic_class']} = 'production' AND {only}"
        )

    def _rates(self, provider: str | None, model: str | None, at: datetime, tier: str | None, region: str | None) -> Rates | None:
        rates = self.month.book.lookup(provider, model, at, tier, region)
        return rates if isinstance(rates, Rates) else None

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


def least_tokens(rates: Rates, ceiling: int) -> int | None:
    """Fewer tokens than this cannot cost more than the ceiling, whatever their class; None when nothing can."""
    prices = [price for table in (rates.listed, rates.contracted) for bands in table.values() for price in bands if price.meter in RATED]
    dearest = max((price.pico for price in prices if price.meter != "request"), default=None)
    request = max((price.pico for price in prices if price.meter == "request"), default=0)
    if not dearest:
        return 0 if request > ceiling else None
    return max(0, ceil((ceiling - request) / dearest))
