"""Instants and amounts as people write them in YAML, kept as one exact text each.

Owns: the accepted spellings and what a plain date means. Does not own: which field has which meaning, and which is a day of which zone (documents.py).
Invariants: a plain date as a beginning is its first instant; as an end it includes that whole day; money is never a float.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, WithJsonSchema

# What lies outside means "ever": people write 9999-12-31 for "no end", and rules count nanoseconds in 64 bits.
FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST: Final = datetime(2262, 1, 1, tzinfo=UTC)


def moment_text(value: Any) -> str:
    """`YYYY-MM-DD`, or `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`. Raises ValueError for an instant without a zone."""
    if isinstance(value, str):
        text = value.strip()
        try:
            value = date.fromisoformat(text) if len(text) == len("2026-10-01") else datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("write a date (2026-10-01) or an instant with its zone (2026-10-01T09:00:00Z)") from None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("an instant needs its zone, such as 2026-10-01T09:00:00Z")
        return _within(value).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError("write a date (2026-10-01) or an instant with its zone (2026-10-01T09:00:00Z)")


def begins(text: str, zone: str = "UTC") -> datetime:
    """The first instant of a moment, in UTC; a plain date is a day of `zone`."""
    return _within(_midnight(date.fromisoformat(text), zone) if _is_day(text) else datetime.fromisoformat(text))


def ends(text: str, zone: str = "UTC") -> datetime:
    """The first instant after a moment that is an end: a plain date counts in full."""
    day = date.fromisoformat(text) if _is_day(text) else None
    return begins(text) if day is None else LAST if day >= LAST.date() else _within(_midnight(day + timedelta(days=1), zone))


def _is_day(text: str) -> bool:
    return len(text) == len("2026-10-01")


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, datetime.min.time(), ZoneInfo(zone))


def _within(moment: datetime) -> datetime:
    """In UTC, and no further off than anything can be; a moment without a zone is left for the caller to refuse."""
    return moment if moment.tzinfo is None else FIRST if moment <= FIRST else LAST if moment >= LAST else moment.astimezone(UTC)


def money_text(value: Any) -> str:
    """Plain decimal text. Raises ValueError for floats: 0.1 in YAML is already not 0.1."""
    if isinstance(value, bool | float) or not isinstance(value, str | int | Decimal):
        raise ValueError('write money as quoted text, such as "0.08"')  # noqa: TRY004 - pydantic collects ValueError
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError("not an amount; write decimal text such as 12000 or 0.08") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError("an amount is zero or more")
    text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.lstrip("0") or "0" if "." not in text else text


Moment = Annotated[
    str,
    BeforeValidator(moment_text),
    WithJsonSchema({"type": "string", "description": "a date (2026-10-01) or an instant with its zone"}),
]
Money = Annotated[
    str,
    BeforeValidator(money_text),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?$", "description": "exact decimal text"}),
]
