"""How amounts, counts and dates are shown to people: thousands separators, negatives in parentheses, months in words.

Owns: the form only. Does not own: any amount. Invariants: nothing is rounded here that was not in cents already, except what `usd` shows of exact costs.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

MONTHS: Final = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def usd(value: str | Decimal) -> str:
    """$1,234.56; a negative amount in parentheses."""
    amount = Decimal(value).quantize(Decimal("0.01"))
    text = f"${abs(amount):,.2f}"  # what rounds to zero has no sign
    return f"({text})" if amount < 0 else text


def exact(value: str | Decimal) -> str:
    """Every digit there is, at least two."""
    amount = Decimal(value)
    whole, _, places = f"{abs(amount):f}".partition(".")
    text = f"${int(whole):,}.{places.rstrip('0').ljust(2, '0')}"
    return f"({text})" if amount < 0 else text


def count(value: int | str) -> str:
    """A quantity beyond 2^53 is text in the statement."""
    whole = int(value)
    return f"({-whole:,})" if whole < 0 else f"{whole:,}"


def month_name(month: str) -> str:
    """`2026-10` as October 2026."""
    return f"{MONTHS[int(month[5:7]) - 1]} {month[:4]}"


def day(moment: str) -> str:
    """`2026-11-03...` as 3 November 2026."""
    return f"{int(moment[8:10])} {month_name(moment)}"
