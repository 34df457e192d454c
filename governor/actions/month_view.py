"""A governed month for people who look at it again and again: computed once per state of the records, then remembered (remembered.py).

Owns: the default month, the series over days. Does not own: any number (govern.py, usage.py, findings.py), the spend page (show_spend.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from governor.actions.context import Context
from governor.actions.findings import Finding, findings_of
from governor.actions.govern import GovernedMonth, Group, govern_month
from governor.actions.load_catalog import catalog_as_of
from governor.actions.remembered import remembered
from governor.actions.usage import DIMENSION_READERS, PROMPT_KEYS, PROMPTS, usd
from governor.chargeback.period import month_bounds, month_days, month_of, next_month, previous_month

LARGEST_SERIES: Final = 7  # workflows or providers with a colour of their own; the rest is one
OTHERS: Final = "others"


def month_view(ctx: Context, period: str) -> GovernedMonth:
    """The month by day. Raises Invalid for a malformed period."""
    return cast(GovernedMonth, remembered(ctx, f"month/{period}", lambda: govern_month(ctx, period, by_day=True)))


def prompt_view(ctx: Context, period: str) -> GovernedMonth:
    """The month by day, cut by prompt and its version as well."""
    return cast(GovernedMonth, remembered(ctx, f"prompts/{period}", lambda: govern_month(ctx, period, by_day=True, cut=PROMPT_KEYS)))


def view_for(ctx: Context, period: str, dimensions: Iterable[str]) -> GovernedMonth:
    """The month in which these dimensions are told apart."""
    return (prompt_view if PROMPTS.intersection(dimensions) else month_view)(ctx, period)


def month_whole(ctx: Context, period: str) -> GovernedMonth:
    """The month not cut by days, as it is charged."""
    return cast(GovernedMonth, remembered(ctx, f"whole/{period}", lambda: govern_month(ctx, period)))


def month_findings(ctx: Context, period: str) -> list[Finding]:
    return cast(list[Finding], remembered(ctx, f"findings/{period}", lambda: findings_of(ctx, month_whole(ctx, period), period)))


def this_month(ctx: Context) -> str:
    """The month that runs now, in the billing zone."""
    return month_of(ctx.now(), catalog_as_of(ctx).organization.billing_zone)


def newest_month(ctx: Context) -> str:
    """The month of the newest cost-bearing call, else the current one, in the billing zone."""

    def compute() -> str:
        zone = catalog_as_of(ctx).organization.billing_zone
        ends = ctx.lake.ends()
        return month_of(min(ends[1], ctx.now()) if ends else ctx.now(), zone)

    return cast(str, remembered(ctx, "newest", compute))


def month_frame(ctx: Context, period: str) -> dict[str, Any]:
    """{"period","before","after","start","end","zone","days","running"}. Raises Invalid for a malformed period."""
    zone = catalog_as_of(ctx).organization.billing_zone
    start, end = month_bounds(period, zone)
    return {
        "period": period,
        "before": previous_month(period),
        "after": next_month(period),
        "start": start.isoformat(),
        "end": end.isoformat(),
        "zone": zone,
        "days": month_days(period),
        "running": ctx.now() < end,
    }


def daily(ctx: Context, period: str, by: str, *, only: Mapping[str, str] | None = None, workflow: str = "") -> list[dict[str, Any]]:
    """{"day","name","cost"} for a chart over days; the smaller names are one, `others`. only: dimension -> value, `-` for none."""
    wanted = {**(only or {}), **({"workflow": workflow} if workflow else {})}
    read = DIMENSION_READERS[by]
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for group in view_for(ctx, period, wanted).groups:
        if matches(group, wanted) and group.day is not None:
            sums[(group.day, read(group) or f"no {by}")] += group.contracted_pico
    totals: dict[str, int] = defaultdict(int)
    for (_, name), pico in sums.items():
        totals[name] += pico
    largest = sorted(totals, key=lambda name: (-totals[name], name))[:LARGEST_SERIES]
    place = {name: rank for rank, name in enumerate([*largest, OTHERS])}
    folded: dict[tuple[str, str], int] = defaultdict(int)
    for (day, name), pico in sums.items():
        folded[(day, name if name in place else OTHERS)] += pico
    return [
        {"day": day, "name": name, "cost": usd(pico)}
        for (day, name), pico in sorted(folded.items(), key=lambda one: (place[one[0][1]], one[0][0]))
    ]


def matches(group: Group, only: Mapping[str, str]) -> bool:
    return all((DIMENSION_READERS[name](group) or "-") == value for name, value in only.items())
