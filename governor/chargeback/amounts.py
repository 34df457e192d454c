"""Exact amounts as text.

Owns: decimal text of pico-USD and cents, shares as percents. Does not own: rounding to cents (allocation.py).
Invariants: nothing is lost; percents are cut, never rounded up.
"""

from __future__ import annotations

from decimal import Decimal

from governor.prices.price import PICO


def usd(pico: int) -> str:
    """Exact decimal text of pico-USD, at least two decimals."""
    sign, (whole, rest) = "-" if pico < 0 else "", divmod(abs(pico), PICO)
    return f"{sign}{whole}.{f'{rest:012d}'.rstrip('0').ljust(2, '0')}"


def cents_text(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def percent(part: int, whole: int) -> str:
    return f"{Decimal(part * 10_000 // whole) / 100:.2f}" if whole else "0.00"
