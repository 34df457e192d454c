"""A workflow over a whole month: latency, cost ceiling and budget, judged as one question per workflow.

Owns: the measured facts of a window and its question. Does not own: the groups (govern.py), the rules (policies/).
Invariants: production traffic only; calls above the ceiling are rated one by one with the price book of the month, after a bound that can only
let too many through; targets and waivers are those in force at the end of the window (or now, while it still runs).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

import pyarrow as pa

from governor.actions.context import Context
from governor.actions.govern import GovernedMonth, Group
from governor.actions.judge import judge, prepare
from governor.policy.catalog_data import micro_usd, rfc3339
from governor.policy.decision import Decision
from governor.policy.question import WindowQuestion
from governor.prices.book import Rates
from governor.prices.rate import RATED, Usage, rate_usage
from governor.store.lake_facts import DIMENSIONS, epoch_of, key_expression

PICO_PER_MICRO: Final = 1_000_000
TOKENS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
)
ROUTE: Final = ("provider", "model", "service_tier", "region")


@dataclass(frozen=True)
class Window:
    """What a workflow did. name: `2026-10`."""

    workflow_id: str
    name: str
    calls: int
    errors: int
    contracted_pico: int
    unpriced_calls: int
    p95_ms: int | None
    calls_over_ceiling: int | None
    max_call_pico: int | None


def month_windows(ctx: Context, month: GovernedMonth, period: str) -> list[tuple[Window, Decision]]:
    """Every workflow of the catalog with its month and the decision about it."""
    at = min(month.end, max(ctx.now(), month.start + timedelta(seconds=1))) - timedelta(seconds=1)
    catalog = month.timeline.at(at)
    limits = {name: micro_usd(found.max_cost_per_call, name) for name, found in catalog.workflows.items()}
    windows = measured(
        ctx, month, period, {name: limit * PICO_PER_MICRO for name, limit in limits.items() if limit is not None}, sorted(limits)
    )
    engine = ctx.engine()
    prepare(engine, ctx.bundle, catalog)
    return list(zip(windows, judge(engine, [question(one, at) for one in windows]), strict=True))


def question(window: Window, at: datetime) -> WindowQuestion:
    """Money is rounded up to the micro-USD, so that rounding never hides an excess."""
    return WindowQuestion(
        workflow_id=window.workflow_id,
        window=window.name,
        calls=window.calls,
        errors=window.errors,
        p95_ms=window.p95_ms,
        spend_micro_usd=-(-window.contracted_pico // PICO_PER_MICRO),
        calls_over_ceiling=window.calls_over_ceiling,
        max_call_micro_usd=None if window.max_call_pico is None else -(-window.max_call_pico // PICO_PER_MICRO),
        at=rfc3339(at.replace(microsecond=0)),
        unpriced_calls=window.unpriced_calls,
    )


def measured(ctx: Context, month: GovernedMonth, period: str, ceilings: dict[str, int], workflows: Sequence[str]) -> list[Window]:
    """ceilings: workflow -> pico-USD per call."""
    of: dict[str, list[Group]] = defaultdict(list)
    for group in month.groups:
        if group.workflow_id is not None and group.traffic_class == "production":
            of[group.workflow_id].append(group)
    slow = percentiles(ctx, month, of)
    dear = above_ceiling(ctx, month, of, ceilings)
    windows = []
    for name in workflows:
        groups = of.get(name, [])
        calls, unpriced = sum(group.calls for group in groups), sum(group.unpriced_calls for group in groups)
        over, most = dear.get(name, (0, None))
        windows.append(
            Window(
                workflow_id=name,
                name=period,
                calls=calls,
                errors=sum(group.calls for group in groups if group.status == "error"),
                contracted_pico=sum(group.contracted_pico for group in groups),
                unpriced_calls=unpriced,
                p95_ms=slow.get(name),
                calls_over_ceiling=None if calls and unpriced == calls else over,
                max_call_pico=most,
            )
        )
    return windows


def percentiles(ctx: Context, month: GovernedMonth, of: dict[str, list[Group]]) -> dict[str, int]:
    """Exact 95th percentile of the duration of successful calls, in whole milliseconds rounded up."""
    labels = relation(month, [(group, {"label": name}) for name, groups in of.items() for group in groups], route=False)
    if labels is None:
        return {}
    found = ctx.lake.query(
        f"""SELECT l.label, quantile_disc(c.duration_ms, 0.95) AS p95 FROM ({calls_query(month)}) c JOIN labels l ON {matching(labels)}
        WHERE c.status = 'ok' AND c.duration_ms IS NOT NULL GROUP BY ALL""",  # noqa: S608 - our own column names
        {"start": month.start, "end": month.end},
        snapshot=month.snapshot,
        labels=labels,
    )
    return {row["label"]: ceil(row["p95"]) for row in found.to_pylist()}


def above_ceiling(
    ctx: Context, month: GovernedMonth, of: dict[str, list[Group]], ceilings: dict[str, int]
) -> dict[str, tuple[int, int | None]]:
    """Workflow -> how many calls cost more than its ceiling, and the dearest of them."""
    priced = [
        (group, least_tokens(month, group, ceilings[name]))
        for name in ceilings
        for group in of.get(name, [])
        if group.price_status == "priced"
    ]
    labels = relation(
        month, [(group, {"label": group.workflow_id, "least": least}) for group, least in priced if least is not None], route=True
    )
    if labels is None:
        return {}
    tokens = ", ".join(f"c.{name}" for name in TOKENS)
    found = ctx.lake.query(
        f"""SELECT l.label, l.epoch, {", ".join(f"c.{name}" for name in ROUTE)}, {tokens}, count(*) AS calls
        FROM ({calls_query(month)}) c JOIN labels l ON {matching(labels)}
        WHERE coalesce(c.gateway_cache, '') NOT LIKE 'hit%' AND coalesce(c.input_tokens, 0) + coalesce(c.output_tokens, 0) >= l.least GROUP BY ALL""",  # noqa: S608 - our own column names
        {"start": month.start, "end": month.end},
        snapshot=month.snapshot,
        labels=labels,
    )
    epochs = [month.start, *boundaries(month)]
    over: dict[str, tuple[int, int | None]] = {}
    for row in found.to_pylist():
        rates = month.book.lookup(row["provider"], row["model"], epochs[row["epoch"]], row["service_tier"], row["region"])
        cost = rate_usage(rates, Usage(**{name: row[name] for name in TOKENS})).contracted_pico
        if cost is not None and cost > ceilings[row["label"]]:
            calls, most = over.get(row["label"], (0, None))
            over[row["label"]] = (calls + row["calls"], max(cost, most or 0))
    return over


def least_tokens(month: GovernedMonth, group: Group, ceiling: int) -> int | None:
    """Fewer tokens than this cannot cost more than the ceiling, whatever their class; None when nothing can."""
    rates = month.book.lookup(group.provider, group.model, group.epoch_start, group.service_tier, group.region)
    if not isinstance(rates, Rates):
        return None
    prices = [price for table in (rates.listed, rates.contracted) for bands in table.values() for price in bands if price.meter in RATED]
    dearest = max((price.pico for price in prices if price.meter != "request"), default=None)
    request = max((price.pico for price in prices if price.meter == "request"), default=0)
    if not dearest:
        return 0 if request > ceiling else None
    return max(0, ceil((ceiling - request) / dearest))


def boundaries(month: GovernedMonth) -> list[datetime]:
    """Those the groups were cut at."""
    found = {*month.timeline.boundaries, *month.book.boundaries(month.start, month.end)}
    return sorted(instant for instant in found if month.start < instant < month.end)


def calls_query(month: GovernedMonth) -> str:
    """Production calls with their epoch, attribution keys `key_0`, `key_1`, ... and route."""
    keys = [f"{key_expression(name)} AS key_{number}" for number, name in enumerate(key_names(month))]
    columns = [f"{epoch_of(boundaries(month))} AS epoch", *keys, *(f"{DIMENSIONS[name]} AS {name}" for name in ROUTE)]
    columns += [f"{DIMENSIONS['status']} AS status", f"{DIMENSIONS['gateway_cache']} AS gateway_cache", "duration_ms", *TOKENS]
    return (
        f"SELECT {', '.join(columns)} FROM {{calls}} AS calls "  # noqa: S608 - our own column names
        f"WHERE cost_bearing AND start_time >= $start AND start_time < $end AND {DIMENSIONS['traffic_class']} = 'production'"
    )


def key_names(month: GovernedMonth) -> list[str]:
    return sorted(month.groups[0].keys) if month.groups else []


def relation(month: GovernedMonth, rows: Sequence[tuple[Group, dict[str, Any]]], *, route: bool) -> pa.Table | None:
    """Distinct (epoch, keys[, route]) with their labels, to join the calls with."""
    if not rows:
        return None
    places = {instant: number for number, instant in enumerate([month.start, *boundaries(month)])}
    names = key_names(month)
    distinct: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group, label in rows:
        one: dict[str, Any] = {"epoch": places[group.epoch_start]}
        one |= {f"key_{number}": group.keys[name] for number, name in enumerate(names)}
        if route:
            one |= {name: getattr(group, name) for name in ROUTE}
        distinct[tuple(one.values())] = one | label
    found = list(distinct.values())
    return pa.table(
        {name: pa.array([one[name] for one in found], pa.int64() if name in {"epoch", "least"} else pa.string()) for name in found[0]}
    )


def matching(labels: pa.Table) -> str:
    return " AND ".join(f"l.{name} IS NOT DISTINCT FROM c.{name}" for name in labels.schema.names if name not in {"label", "least"})
