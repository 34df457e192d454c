"""Budgets of a calendar month: which there are, how far spend has come, which limits it has reached.

Owns: budgets out of a catalog (the documents, and `monthly_budget` of workflows as their short form), the comparison. Does not own: spend, forecasts, telling anybody
(actions/watch_budgets.py). Invariants: reaching a limit is `>=`, compared as integers without division; a forecast crosses nothing, it is a warning of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from governor.catalog import DEFAULT_THRESHOLDS, Catalog


@dataclass(frozen=True)
class Budget:
    """dimension: workflow | owner | cost_center, or empty for the whole organization."""

    key: str
    dimension: str
    value: str
    pico: int
    thresholds: tuple[int, ...]
    warn_by_forecast: bool

    def reached(self, spent: int) -> list[int]:
        """Thresholds at or below what is spent, in percent."""
        return [percent for percent in self.thresholds if spent * 100 >= self.pico * percent]

    def state(self, spent: int, expected: int | None) -> str:
        """over: all of it is spent; heading_over: the forecast reaches it; near: a threshold is reached; within."""
        if spent >= self.pico:
            return "over"
        if expected is not None and expected >= self.pico:
            return "heading_over"
        return "near" if self.reached(spent) else "within"


def budgets_of(catalog: Catalog) -> list[Budget]:
    """Every budget in force, in order of key."""
    found = [
        Budget(one.id, one.scope.dimension, one.scope.value, to_pico(one.monthly), tuple(one.thresholds), one.forecast)
        for one in catalog.budgets.values()
    ]
    found += [
        Budget(f"workflow:{one.id}", "workflow", one.id, to_pico(one.monthly_budget), DEFAULT_THRESHOLDS, True)
        for one in catalog.workflows.values()
        if one.monthly_budget is not None and Decimal(one.monthly_budget) > 0
    ]
    return sorted(found, key=lambda one: one.key)


def to_pico(text: str) -> int:
    """Finer than a pico-USD is cut: the limit is never higher than what was written."""
    return int(Decimal(text).scaleb(12).to_integral_value(ROUND_FLOOR))
