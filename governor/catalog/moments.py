"""Instants and amounts as people write them in YAML, kept as one exact text each.

Owns: the accepted spellings and what a plain date means. Does not own: which field has which meaning (documents.py).
Invariants: a plain date as a beginning is its first instant in UTC; as an end it includes that whole day; money is never a float.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema


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
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError("write a date (2026-10-01) or an instant with its zone (2026-10-01T09:00:00Z)")


def begins(text: str) -> datetime:
    """The first instant of a moment."""
    if len(text) == len("2026-10-01"):
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    return datetime.fromisoformat(text)


def ends(text: str) -> datetime:
    """The first instant after a moment that is an end: a plain date counts in full."""
    return begins(text) + timedelta(days=1) if len(text) == len("2026-10-01") else datetime.fromisoformat(text)


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
