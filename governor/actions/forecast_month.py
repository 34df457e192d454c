"""A month's spend day by day for one scope, and what the month will come to.

Owns: reading days into series, what counts as known, the calibration on other owners and earlier months. Does not own: the method (chargeback/forecast), budgets
(show_budgets.py). Invariants: days are those of the billing zone; after the newest call of the organization nothing is known, which is not zero; a day that runs is not a
complete day; `as_of` looks at nothing of that day or later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from governor.actions.context import Context
from governor.actions.load_catalog import catalog_as_of
from governor.actions.month_view import month_view
from governor.actions.remembered import remembered
from governor.actions.usage import DIMENSION_READERS, usd
from governor.chargeback.forecast import INTERVAL_METHOD, LEVEL, METHOD, Forecast, Past, Series, calibrate, forecast
from governor.chargeback.period import month_bounds, previous_month
from governor.errors import Invalid, NotFound
from governor.store.rows.periods import Period

HISTORY_MONTHS: Final = 4  # before the month in question
SCOPES: Final = ("workflow", "owner", "cost_center")


@dataclass(frozen=True)
class Horizon:
    """What is known of a month; found once for all that is forecast of it, because it reads the catalog.

    end: the day after it; unknown_from: the first day that is not complete; today: that day runs and `now` is in it.
    """

    start: date
    end: date
    unknown_from: date
    today: bool


@dataclass(frozen=True)
class Expectation:
    """A forecast and what it was made from. shorter: past errors come from spans so many times shorter than the month."""

    made: Forecast
    series: Series
    horizon: Horizon
    shorter: int


def expect(ctx: Context, horizon: Horizon, dimension: str = "", value: str = "") -> Expectation:
    """The forecast of one scope; without dimension the whole organization's. Raises Invalid for an unknown dimension."""
    if dimension and dimension not in SCOPES:
        raise Invalid(f"no forecast by {dimension!r}", hint=f"choose from {', '.join(SCOPES)}")
    period = f"{horizon.start:%Y-%m}"
    days = daily_by(ctx, period, dimension).get(value if dimension else "", {})
    series = series_of(days, horizon)
    past, shorter = earned(ctx, period, dimension or "workflow", horizon)
    today = days.get(horizon.unknown_from, 0) if horizon.today else 0
    return Expectation(forecast(series, horizon.start, horizon.end, today_pico=today, past=past), series, horizon, shorter)


def earned(ctx: Context, period: str, dimension: str, horizon: Horizon) -> tuple[Past, int]:
    """Errors of forecasts that could have been made before, over every value of the dimension."""

    def compute() -> tuple[Past, int]:
        others = [series_of(found, horizon) for found in daily_by(ctx, period, dimension).values()]
        elapsed = max(0, (horizon.unknown_from - horizon.start).days)
        return calibrate(others, elapsed, (horizon.end - horizon.start).days - elapsed)

    return cast("tuple[Past, int]", remembered(ctx, f"errors/{period}/{dimension}/{horizon.unknown_from}", compute))


def horizon_of(ctx: Context, period: str, as_of: date | None = None) -> Horizon:
    """Days of the month in the billing zone, and how much of it is known."""
    zone = ZoneInfo(catalog_as_of(ctx).organization.billing_zone)
    begin, over = (instant.astimezone(zone).date() for instant in month_bounds(period, str(zone)))
    today = ctx.now().astimezone(zone).date()
    if as_of is not None:
        if as_of > today:
            raise Invalid(f"as-of {as_of} lies in the future")
        return Horizon(begin, over, min(as_of, over), today=False)
    if over <= today and is_closed(ctx, period):
        return Horizon(begin, over, over, today=False)  # its last days had no calls: what comes now is charged elsewhere
    newest = newest_call(ctx)
    last = newest.astimezone(zone).date() if newest else begin - timedelta(days=1)
    if last >= today:
        return Horizon(begin, over, min(today, over), today=begin <= today < over)
    return Horizon(begin, over, min(over, last + timedelta(days=1)), today=False)


def is_closed(ctx: Context, period: str) -> bool:
    with ctx.rows.session() as session:
        row = session.get(Period, (ctx.org, period))
        return row is not None and row.state == "closed"


def newest_call(ctx: Context) -> datetime | None:
    def compute() -> datetime | None:
        ends = ctx.lake.ends()
        return ends[1] if ends else None

    return cast("datetime | None", remembered(ctx, "newest call", compute))


def daily_by(ctx: Context, period: str, dimension: str) -> dict[str, dict[date, int]]:
    """Value -> day -> pico-USD, from HISTORY_MONTHS before the month on; without dimension the whole under the empty name."""

    def compute() -> dict[str, dict[date, int]]:
        found: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
        month = period
        for _ in range(HISTORY_MONTHS + 1):
            for group in month_view(ctx, month).groups:
                name = "" if not dimension else (DIMENSION_READERS[dimension](group) or "")
                if group.day is not None and (name or not dimension):
                    found[name][date.fromisoformat(group.day)] += group.contracted_pico
            month = previous_month(month)
        return {name: dict(days) for name, days in found.items()}

    return cast("dict[str, dict[date, int]]", remembered(ctx, f"days/{period}/{dimension}", compute))


def series_of(days: Mapping[date, int], horizon: Horizon) -> Series:
    """From the first day on which this scope had calls until what is unknown."""
    first = min((day for day in days if day < horizon.unknown_from), default=horizon.unknown_from)
    length = (horizon.unknown_from - first).days
    return Series(first, tuple(days.get(first + timedelta(days=place), 0) for place in range(length)))


def forecast_document(ctx: Context, period: str, dimension: str = "", value: str = "", *, as_of: date | None = None) -> dict[str, Any]:
    """The forecast as JSON: money as decimal text, null where nothing is said."""
    return document_of(period, dimension, value, expect(ctx, horizon_of(ctx, period, as_of), dimension, value))


def refuse_unknown(ctx: Context, period: str, dimension: str, value: str) -> None:
    """Raises NotFound for a scope that neither the catalog nor a call knows: a mistyped name would come to nothing, as if nothing had been spent."""
    field = "id" if dimension == "workflow" else dimension
    declared = {getattr(one, field) for one in catalog_as_of(ctx).workflows.values()} if dimension in SCOPES else {value}
    if value not in declared and value not in daily_by(ctx, period, dimension):
        near = get_close_matches(value, sorted(filter(None, declared)), n=1)
        raise NotFound(
            f"no {dimension.replace('_', ' ')} {value}",
            hint=f"did you mean {near[0]}?" if near else "`governor spend --by workflow` names those with calls",
        )


def document_of(period: str, dimension: str, value: str, found: Expectation) -> dict[str, Any]:
    made, horizon = found.made, found.horizon
    return {
        "period": period,
        "scope": {dimension: value} if dimension else {"organization": True},
        "status": made.status,
        "unknown_from": horizon.unknown_from.isoformat(),
        "known_days": made.known_days,
        "spent": usd(made.spent),
        "forecast": money(made.total),
        "low": money(made.low),
        "high": money(made.high),
        "level": f"{float(LEVEL):.2f}",
        "method": METHOD,
        "methods": {name: usd(pico) for name, pico in (made.methods or {}).items()},
        "interval_method": INTERVAL_METHOD,
        "calibrated_on": made.calibrated_on,
        "calibration_span": "period" if found.shorter == 1 else f"1/{found.shorter} of the period",
        "days": [
            {"day": (horizon.start + timedelta(days=place)).isoformat(), "spent": usd(pico)}
            for place, pico in enumerate(
                found.series.between(horizon.start, horizon.end), start=max(0, (found.series.first - horizon.start).days)
            )
        ],
        "expected": [{"day": day.isoformat(), "cost": usd(pico)} for day, pico in made.days],
    }


def money(pico: int | None) -> str | None:
    return None if pico is None else usd(pico)
