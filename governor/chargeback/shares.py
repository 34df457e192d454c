"""Splitting exact amounts by weights so that the parts sum to the whole, to the pico-USD.

Owns: ratios and parts by largest remainder. Does not own: who takes part (allocate.py), cents (allocation.py). Invariants: ratios have twelve decimals and sum to
exactly 1; parts sum to the amount exactly and each is less than one unit from ratio x amount; a zero weight gets nothing;
ties go to the smaller id; a credit splits like a charge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

UNITS: Final = 10**12  # one whole, as twelve decimals


def ratios(weights: Mapping[str, int]) -> dict[str, int]:
    """Name -> share in units of 1e-12, of names that weigh something. Raises ValueError where nothing weighs anything or a weight is negative."""
    if any(weight < 0 for weight in weights.values()):
        raise ValueError("a weight is negative")
    if not any(weights.values()):
        raise ValueError("nothing weighs anything")
    return {name: units for name, units in split(UNITS, weights).items() if units}


def split(amount: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Parts of an integer amount in proportion to the weights."""
    if amount < 0:
        return {name: -part for name, part in split(-amount, weights).items()}
    whole = sum(weights.values())
    parts, rests = {}, {}
    for name, weight in weights.items():
        parts[name], rests[name] = divmod(amount * weight, whole)
    missing = amount - sum(parts.values())
    for name in sorted((name for name in rests if rests[name]), key=lambda name: (-rests[name], name))[:missing]:
        parts[name] += 1
    return parts


def ratio_text(units: int) -> str:
    """A share as decimal text: 250000000000 -> 0.25."""
    whole, rest = divmod(units, UNITS)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".") if rest else str(whole)
