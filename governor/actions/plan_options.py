"""Options of a replay plan as a person writes them -> values, or what is wrong with them.

Owns: reading whole numbers, shares, amounts and instants. Does not own: which options exist and their defaults (plan_shadow.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from governor.errors import Invalid
from governor.prices.price import PICO
from governor.shadow.parameters import translate
from governor.shadow.plan import plain, unplain

LONGEST_QUOTE: Final = 60
LARGEST_BUDGET: Final = Decimal(100_000)
FINEST_SHARE: Final = -18  # places of a share
KINDS_OF_ROUTE: Final = (("openai", "gpt-4o"), ("openai", "o3"), ("anthropic", "claude-sonnet-4"))


def whole(value: Any, name: str, least: int, most: int) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal() or len(text) > len(str(most)) or not least <= int(text) <= most:
        raise Invalid(f"{name} is a whole number from {least} to {most}, not {shown(value)}")
    return int(text)


def shown(value: Any) -> str:
    """As an error quotes it."""
    text = repr(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."


def flag(value: Any, name: str) -> bool:
    if value in (True, "true", "yes"):
        return True
    if value in (False, "false", "no"):
        return False
    raise Invalid(f"{name} is true or false, not {shown(value)}")


def share(value: Any, name: str = "max_excluded_share") -> str:
    found = number(value)
    if found is None or not 0 <= found <= 1 or int(found.as_tuple().exponent) < FINEST_SHARE:
        raise Invalid(f"{name} is a share from 0 to 1, not {shown(value)}")
    return format(found, "f")


def budget(value: Any, name: str = "budget") -> Decimal:
    """In USD."""
    found = number(value)
    if found is None or not Decimal(1) / PICO <= found <= LARGEST_BUDGET:
        raise Invalid(f"{name} {shown(value)} is no amount between 0 and {LARGEST_BUDGET} USD")
    return found


def budget_pico(value: Any, name: str = "budget") -> int:
    return int(budget(value, name) * PICO)


def number(value: Any) -> Decimal | None:
    """None for what is no finite number."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def parameters(value: Any) -> dict[str, Any]:
    """options.params: of a request, by name, as a plan keeps them."""
    try:
        found = plain(value or {})
        for wire, model in KINDS_OF_ROUTE:
            translate(wire, model, unplain(found), 1)  # a value that no route could be sent is found now and not in the run
    except (AttributeError, TypeError, ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    raise Invalid(f'params is fields of a request, such as {{"temperature": 0}}, not {shown(value)}')


def instant(value: Any, name: str) -> datetime | None:
    """An ISO date or instant; a day is its first moment in UTC."""
    if value in (None, ""):
        return None
    try:
        found = datetime.fromisoformat(str(value))
        found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        found.astimezone(UTC)  # an offset can lead out of the calendar
    except (ValueError, OverflowError):
        raise Invalid(f"{name} is an ISO date or instant, not {shown(value)}") from None
    return found
