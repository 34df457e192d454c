"""Budgets of a month as people and programs read them: limit, spent, what the month will come to, when it is used up, what was told.

Owns: rows of the budgets page, CLI and API. Does not own: the comparison (chargeback/budget), the forecast (forecast_month.py), telling (watch.py).
Invariants: spend is that of the spend page, at contracted prices; calls without a price are not in it, so a row says what they could add; reads only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, TypedDict

from sqlmodel import col, select

from governor.actions.context import Context
from governor.actions.forecast_month import Expectation, expect, horizon_of, money
from governor.actions.govern import Group
from governor.actions.load_catalog import catalog_as_of
from governor.actions.month_view import month_view
from governor.actions.remembered import one_state
from governor.actions.usage import DIMENSION_READERS, usd
from governor.catalog import Catalog
from governor.chargeback.budget import Budget, budgets_of
from governor.chargeback.forecast import used_up
from governor.chargeback.period import month_bounds
from governor.store.rows.notices import NoticeRow

ORDER = ("over", "heading_over", "near", "within")


class BudgetThreshold(TypedDict):
    percent: int
    reached: bool
    told_at: str | None


class BudgetRow(TypedDict):
    """scope: {"workflow": ID}, {"owner": ...}, {"cost_center": ...} or {"organization": true}. Money is null where no forecast can be said."""

    budget: str
    scope: dict[str, Any]
    limit: str
    spent: str
    left: str
    percent: str
    state: str
    forecast_status: str
    forecast: str | None
    low: str | None
    high: str | None
    used_up_on: str | None
    used_up_earliest: str | None
    unpriced_calls: int
    unpriced_at_most: str
    thresholds: list[BudgetThreshold]
    forecast_told_at: str | None


class MonthBudgets(TypedDict):
    period: str
    rows: list[BudgetRow]


def show_budgets(ctx: Context, period: str, *, dimension: str = "", value: str = "", as_of: date | None = None) -> MonthBudgets:
    """Most urgent first. dimension and value: only budgets of that scope. Raises Invalid for a malformed period."""
    catalog = catalog_of(ctx, period)
    told = told_at(ctx, period)
    chosen = [one for one in budgets_of(catalog) if not dimension or (one.dimension, one.value) == (dimension, value)]
    with one_state(ctx):
        without_price = [group for group in month_view(ctx, period).groups if group.unpriced_calls] if chosen else []
        unpriced = {name: unpriced_by(without_price, name) for name in {one.dimension for one in chosen}}
        horizon = horizon_of(ctx, period, as_of)
        rows = []
        for one in chosen:
            found = expect(ctx, horizon, one.dimension, one.value)
            without = unpriced[one.dimension].get(one.value if one.dimension else "", (0, 0))
            rows.append(budget_row(period, one, found, told, without))
    return {"period": period, "rows": sorted(rows, key=lambda row: (ORDER.index(row["state"]), row["budget"]))}


def catalog_of(ctx: Context, period: str) -> Catalog:
    """Budgets in force now, or at the end of a month that is over."""
    zone = catalog_as_of(ctx).organization.billing_zone
    return catalog_as_of(ctx, min(ctx.now(), month_bounds(period, zone)[1] - timedelta(microseconds=1)))


def budget_row(period: str, one: Budget, found: Expectation, told: dict[str, str], unpriced: tuple[int, int]) -> BudgetRow:
    """unpriced: calls without a price, and what they cost at most."""
    made, start = found.made, found.horizon.start
    day = used_up(made, one.pico, found.series, start)
    early = None if made.high is None else used_up(made, one.pico, found.series, start, end_pico=made.high)
    return {
        "budget": one.key,
        "scope": {one.dimension: one.value} if one.dimension else {"organization": True},
        "limit": usd(one.pico),
        "spent": usd(made.spent),
        "left": usd(one.pico - made.spent),
        "percent": tenths(made.spent * 1000 // one.pico),
        "state": one.state(made.spent, made.total),
        "forecast_status": made.status,
        "forecast": money(made.total),
        "low": money(made.low),
        "high": money(made.high),
        "used_up_on": None if day is None else day.isoformat(),
        "used_up_earliest": None if early is None else early.isoformat(),
        "unpriced_calls": unpriced[0],
        "unpriced_at_most": usd(unpriced[1]),
        "thresholds": [
            {"percent": percent, "reached": percent in one.reached(made.spent), "told_at": told.get(crossing(period, one, percent))}
            for percent in one.thresholds
        ],
        "forecast_told_at": told.get(crossing(period, one, None)),
    }


def unpriced_by(groups: Iterable[Group], dimension: str) -> dict[str, tuple[int, int]]:
    """Value -> (calls without a price, what they cost at most in pico-USD); without dimension all under the empty name."""
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for group in groups:
        value = (DIMENSION_READERS[dimension](group) or "-") if dimension else ""
        calls, most = found[value]
        found[value] = (calls + group.unpriced_calls, most + group.exposure.high_pico)
    return found


def tenths(permille: int) -> str:
    """Percent with one decimal, cut: 99.99% of a budget is not all of it."""
    return f"{permille // 10}.{permille % 10}"


def crossing(period: str, one: Budget, percent: int | None) -> str:
    """What is told once: a threshold, or (None) the forecast, of this budget at this amount in this month."""
    return f"budget/{period}/{one.key}/{one.pico}/{'forecast' if percent is None else percent}"


def told_at(ctx: Context, period: str) -> dict[str, str]:
    """Crossing -> when it was told."""
    with ctx.rows.session() as session:
        query = select(NoticeRow).where(NoticeRow.org_id == ctx.org, col(NoticeRow.dedupe).startswith(f"budget/{period}/", autoescape=True))
        return {row.dedupe: row.created_at.isoformat() for row in session.exec(query)}
