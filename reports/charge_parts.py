"""What a cost center's total is made of, as the first sentence of its statement says it and the table below it repeats.

Owns: the parts' order and words. Does not own: any amount (the statement document brings them).
Invariants: the parts sum to the total; a part is named where it has lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

COMMITMENTS: Final = "Commitments and provisioned capacity"
PLANS: Final = "Fees and credits of rate plans"
TITLES: Final = {"commitment": COMMITMENTS, "internal": PLANS}  # traffic class -> what its lines are, where they belong to no workflow


def charge_parts(center: Mapping[str, Any], workflows: Sequence[Mapping[str, Any]]) -> list[tuple[Decimal, str]]:
    """(amount, words) in the order of the table. workflows: the statement's rows, of production and of tests."""
    production = [row for row in workflows if row["traffic_class"] == "production"]
    other = [row for row in workflows if row["traffic_class"] != "production"]
    calls = sum(row["calls"] for row in production)
    parts = (
        (production, sum_of(production), f"{calls:,} model call{'' if calls == 1 else 's'}"),
        (any(line.get("rule") for line in center["lines"]), center.get("shared_total", "0.00"), "shared costs"),
        (center.get("internal"), center.get("internal_total", "0.00"), PLANS.lower()),
        (center.get("commitments"), center.get("commitment_total", "0.00"), COMMITMENTS.lower()),
        (other, sum_of(other), "shadow tests and evaluation"),
        (center["corrections"], center["corrections_total"], "corrections of earlier months"),
    )
    return [(Decimal(amount), words) for there, amount, words in parts if there]


def sum_of(rows: Sequence[Mapping[str, Any]]) -> Decimal:
    """Of the amounts of lines, or of rows of a table."""
    return sum((Decimal(row["amount"]) for row in rows), Decimal(0))
