"""A workflow over a whole month: latency, cost ceiling and budget, judged as one question per workflow.

Owns: the measured facts of a window and its question. Does not own: the groups (govern.py), the slowest and dearest calls (extremes.py), the
rules (policies/). Invariants: production traffic only; targets and waivers are those in force at the end of the window (or now, while it still runs).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from governor.actions.context import Context
from governor.actions.extremes import Extremes
from governor.actions.govern import GovernedMonth, Group
from governor.actions.judge import judge, prepare
from governor.policy.catalog_data import micro_usd, rfc3339
from governor.policy.decision import Decision
from governor.policy.question import WindowQuestion

PICO_PER_MICRO: Final = 1_000_000


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
    extremes = Extremes(ctx, month, of)
    slow, dear = extremes.percentiles(), extremes.above(ceilings)
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
