"""Options of a replay plan as a person writes them -> values, or what is wrong with them.

Owns: reading whole numbers, shares, amounts and instants. Does not own: which options exist and their defaults (plan_shadow.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from governor.actions.replay_price import PICO
from governor.errors import Invalid


def whole(value: Any, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not str(value).isdecimal() or not least <= int(value) <= most:
        raise Invalid(f"{name} is a whole number from {least} to {most}, not {value!r}")
    return int(value)


def flag(value: Any, name: str) -> bool:
    if value in (True, "true", "yes"):
        return True
    if value in (False, "false", "no"):
        return False
    raise Invalid(f"{name} is true or false, not {value!r}")


def share(value: Any, name: str = "max_excluded_share") -> str:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        found = Decimal(-1)
    if not 0 <= found <= 1:
        raise Invalid(f"{name} is a share from 0 to 1, not {value!r}")
    return format(found, "f")


def budget_pico(value: Any) -> int:
    try:
        found = Decimal(str(value)) * PICO
    except InvalidOperation:
        found = Decimal(0)
    if not found.is_finite() or found < 1:
        raise Invalid(f"budget {value!r} is no amount in USD")
    return int(found)


def instant(value: Any, name: str) -> datetime | None:
    """An ISO date or instant; a day is its first moment in UTC."""
    if value in (None, ""):
        return None
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise Invalid(f"{name} is an ISO date or instant, not {value!r}") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
