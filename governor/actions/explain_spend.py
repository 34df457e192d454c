"""Why a month's spend differs from the month before: read both into uses, one table of causes.

Owns: which calls are retries and cache hits, comparing equal spans. Does not own: the arithmetic (chargeback/movement). Invariants: the sums are those of the spend page;
a month that runs is compared with as many days of the month before, and says so; calls without a price are counted beside the table, never inside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, cast

from governor.actions.context import Context
from governor.actions.forecast_month import Horizon, horizon_of
from governor.actions.govern import Group
from governor.actions.month_view import matches, month_view
from governor.actions.remembered import remembered
from governor.actions.usage import usd
from governor.chargeback.movement import TERMS, Movement, Use, add_up, movements
from governor.chargeback.period import previous_month


def explain_spend(ctx: Context, period: str, *, against: str = "", only: Mapping[str, str] | None = None) -> dict[str, Any]:
    """{"period","against","days","before","after","delta","terms","rows","unpriced_calls"}; `days`: the span compared where the month runs, else null.

    only: dimension -> value, as usage names them. Raises Invalid for a malformed month.
    """
    against, only = against or previous_month(period), only or {}
    horizon = horizon_of(ctx, period)
    name = f"why/{period}/{against}/{horizon.unknown_from}/{json.dumps(sorted(only.items()))}"
    return cast("dict[str, Any]", remembered(ctx, name, lambda: explained(ctx, period, against, horizon, only)))


def explained(ctx: Context, period: str, against: str, horizon: Horizon, only: Mapping[str, str]) -> dict[str, Any]:
    length = (horizon.unknown_from - horizon.start).days
    running = horizon.unknown_from < horizon.end
    days = length if running else None
    after = chosen(ctx, period, days, only)
    before = chosen(ctx, against, days, only)
    rows = movements(uses(before), uses(after))
    return {
        "period": period,
        "against": against,
        "days": days,
        **document(add_up(rows)),
        "rows": [{"workflow": row.workflow or None, **document(row)} for row in rows],
        "unpriced_calls": {"before": sum(one.unpriced_calls for one in before), "after": sum(one.unpriced_calls for one in after)},
    }


def chosen(ctx: Context, period: str, days: int | None, only: Mapping[str, str]) -> list[Group]:
    """The month's groups, or those of its first days."""
    last = (horizon_of(ctx, period).start + timedelta(days=days)).isoformat() if days is not None else "9999"
    return [group for group in month_view(ctx, period).groups if matches(group, only) and (group.day or "") < last]


def uses(groups: Iterable[Group]) -> list[Use]:
    """Priced and zero-rated calls; failed calls and those a fallback served are retries, whatever the gateway called them."""
    found = []
    for group in groups:
        if group.price_status == "unpriced":
            continue
        retry = group.status == "error" or bool(group.is_fallback)
        kind = "retry" if retry else "hit" if str(group.gateway_cache or "").startswith("hit") else "paid"
        way = (group.provider or "", group.model or "", group.service_tier or "", group.region or "")
        meters = tuple((part.meter, part.quantity, part.contracted_pico) for part in group.rated.parts)
        found.append(Use(group.workflow_id or "", way, kind, group.calls, meters))
    return found


def document(row: Movement) -> dict[str, Any]:
    return {
        "before": usd(row.before),
        "after": usd(row.after),
        "delta": usd(row.delta),
        "terms": {name: usd(row.terms[name]) for name in TERMS},
    }
