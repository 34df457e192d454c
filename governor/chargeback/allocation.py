"""Splitting exact amounts into cents so that the cents add up.

Owns: largest remainder. Invariants: the parts sum to the whole rounded once (half to even); each part is less than a cent from its exact value; ties go to the
smaller id; credits split like charges with the sign turned; what is exactly zero gets no cent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from governor.prices.rate import round_half_even

CENT: Final = 10**10  # pico-USD


def to_cents(pico: int, cent: int = CENT) -> int:
    """An amount on its own, rounded half to even. cent: how many of the amount's units one cent is."""
    return round_half_even(pico, cent)


def split_cents(parts: Mapping[str, int], *, total_cents: int | None = None, cent: int = CENT) -> dict[str, int]:
    """Cents per id. `total_cents` is what they must sum to (for a split inside a split); by default the rounded sum of the parts.

    Raises ValueError when that total is not reachable by moving each part less than a cent.
    """
    total = to_cents(sum(parts.values()), cent) if total_cents is None else total_cents
    if sum(parts.values()) < 0:
        return {
            name: -cents
            for name, cents in split_cents({name: -pico for name, pico in parts.items()}, total_cents=-total, cent=cent).items()
        }
    cents = {name: pico // cent for name, pico in parts.items()}
    missing = total - sum(cents.values())
    movable = sorted((name for name, pico in parts.items() if pico % cent), key=lambda name: (-(parts[name] % cent), name))
    if not 0 <= missing <= len(movable):
        raise ValueError(f"{total} cents cannot be split over parts of {sum(parts.values())} pico-USD")
    for name in movable[:missing]:
        cents[name] += 1
    return cents
