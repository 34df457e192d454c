"""What the unknown rest of a month will add to each cost center, for its accrual.

Owns: the forecast carried the way of the charges. Does not own: forecasts (forecast_month), shared costs and rate plans (chargeback), booking it (soft_close).
Invariants: what a cost center has used grows as its forecast does, and goes the way of what it has used: what a commitment pays for adds nothing, shared costs go to who
bears them, and a fee that replaces usage takes the difference to whoever recovers it; cents add up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from governor.actions.charge_month import Charged
from governor.actions.context import Context
from governor.actions.forecast_month import Horizon, expect, horizon_of
from governor.chargeback.allocate import allocate
from governor.chargeback.allocation import split_cents
from governor.chargeback.lines import MEASURES, UNALLOCATED, Line, add_up
from governor.chargeback.plans import plan_lines

REPLAY = "replay"  # the meter of our own shadow runs, which no forecast knows


def expected_charges(ctx: Context, charged: Charged) -> dict[tuple[str, str], int]:
    """(cost center, traffic class) -> cents that the days not known yet will add, negative where a counter line gives back."""
    used = [line for line in charged.used if line.meter != REPLAY]
    horizon = horizon_of(ctx, charged.month)
    growth = {center: _growth(ctx, horizon, center) for center in {line.cost_center for line in used}}
    more = [_more(line, growth[line.cost_center]) for line in used if growth[line.cost_center]]
    before, after = (_charges(charged, lines) for lines in (charged.used, add_up([*charged.used, *more])))
    names = sorted({*before, *after})
    cents = split_cents({_name(one): after.get(one, 0) - before.get(one, 0) for one in names})
    return {one: cents[_name(one)] for one in names if cents[_name(one)]}


def _growth(ctx: Context, horizon: Horizon, center: str) -> Fraction:
    """How much of what is spent is still to come; nothing where no forecast can be made. What nobody owns grows as the organization does."""
    made = expect(ctx, horizon, *(() if center == UNALLOCATED else ("cost_center", center))).made
    if made.status != "forecast" or made.total is None or made.spent <= 0:
        return Fraction(0)
    return Fraction(max(0, made.total - made.spent), made.spent)


def _more(line: Line, growth: Fraction) -> Line:
    grown: dict[str, Any] = {name: round(getattr(line, name) * growth) for name in MEASURES}
    return replace(line, **(grown | {"effective_pico": 0}))


def _charges(charged: Charged, lines: Sequence[Line]) -> dict[tuple[str, str], int]:
    """Pico-USD after shared costs and rate plans. A commitment costs the same whatever is used."""
    catalog = charged.governed.timeline.at(charged.governed.end)
    shared = allocate(lines, catalog.allocations, catalog.drivers, charged.month).lines
    found: dict[tuple[str, str], int] = defaultdict(int)
    for line in (*shared, *plan_lines(shared, catalog.rate_plans.values(), charged.month)):
        found[line.cost_center, line.traffic_class] += line.contracted_pico
    return dict(found)


def _name(one: tuple[str, str]) -> str:
    return "/".join(one)
