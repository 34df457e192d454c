"""One dated price: an amount of money for a block of units of one meter.

Owns: the frozen row, its digest, its exact pico-USD rate. Invariants: amount is decimal text's exact value; valid on [valid_from, valid_to);
context_min is inclusive and context_max exclusive, in input tokens of the whole request, which is re-rated as a whole unless band_rule is marginal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

from governor.errors import Invalid

PICO: Final = 10**12
EVER: Final = datetime(1, 1, 1, tzinfo=UTC)  # what has no beginning holds since then
RATED_IN: Final = "USD"  # a price in another currency leaves its calls unpriced
BAND_RULES: Final = ("", "whole_request", "marginal")


@dataclass(frozen=True)
class Price:
    """The columns of a stored price row, `match` being JSON {rank, clause, note} or empty for an exact model name."""

    kind: str  # list | contract
    provider: str
    model: str
    meter: str
    amount: str
    per: int
    currency: str = "USD"
    match: str = ""
    region: str = ""
    service_tier: str = ""
    context_min: int = 0
    context_max: int | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    band_rule: str = (
        ""  # empty: the whole request is rated at the price of its band; marginal: each price takes the units inside its own band
    )
    terms: str = ""  # of a contract price that follows from the list: how, such as "20 % off list"

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 over the row's canonical JSON."""
        return hashlib.sha256(json.dumps(self.record(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()

    @cached_property
    def pico(self) -> Fraction:
        """Exact pico-USD for one unit."""
        return Fraction(Decimal(self.amount)) * PICO / self.per

    def record(self) -> dict[str, Any]:
        """The row as JSON values. A rule or term that is not set is left out, so that rows of older books keep their digest."""
        values = {name: getattr(self, name) for name in (*FIELD_NAMES, "terms")} | {
            "valid_from": instant_text(self.valid_from),
            "valid_to": instant_text(self.valid_to),
        }
        return {name: value for name, value in values.items() if value or name not in {"band_rule", "terms"}}

    def holds_at(self, instant: datetime) -> bool:
        return (self.valid_from is None or self.valid_from <= instant) and (self.valid_to is None or instant < self.valid_to)

    def covers(self, context_tokens: int) -> bool:
        return self.context_min <= context_tokens and (self.context_max is None or context_tokens < self.context_max)

    @property
    def order(self) -> tuple[str, ...]:
        """A total order of rows that does not depend on when or where they were stored."""
        return (
            self.kind,
            self.provider,
            self.model,
            self.meter,
            self.service_tier,
            self.region,
            f"{self.context_min:012d}",
            instant_text(self.valid_from) or "",
            self.digest,
        )


FIELD_NAMES: Final = tuple(field.name for field in fields(Price) if field.name != "terms")  # a stored row follows from nothing


def price_of(row: Mapping[str, Any]) -> Price:
    """A Price from a stored row or an import record; extra keys are ignored. Raises Invalid naming the row for an impossible price."""
    values = {name: row[name] for name in FIELD_NAMES if name in row}
    where = f"{values.get('provider')}/{values.get('model')}/{values.get('meter')}"
    try:
        amount = Decimal(str(values["amount"]))
        if isinstance(values["amount"], float) or not amount.is_finite() or amount < 0 or int(values["per"]) <= 0:
            raise Invalid(f"price of {where}: amount must be decimal text, zero or more, and per a positive whole number")
    except (InvalidOperation, KeyError, TypeError, ValueError):
        raise Invalid(f"price of {where}: amount and per are needed as decimal text and a whole number") from None
    if values.get("band_rule", "") not in BAND_RULES:
        raise Invalid(f"price of {where}: band_rule is {values['band_rule']!r}", hint="leave it empty (whole request), or write marginal")
    if values.get("band_rule") == "whole_request":
        values["band_rule"] = ""
    for name in ("valid_from", "valid_to"):
        if isinstance(values.get(name), str):
            values[name] = datetime.fromisoformat(values[name])
        if isinstance(values.get(name), datetime):
            values[name] = values[name].replace(tzinfo=values[name].tzinfo or UTC).astimezone(UTC)  # a day without a zone is a day of UTC
    low, high = values.get("context_min") or 0, values.get("context_max")
    if high is not None and high <= low:
        raise Invalid(f"price of {where}: context_max {high} is not above context_min {low}")
    if values.get("valid_from") and values.get("valid_to") and values["valid_to"] <= values["valid_from"]:
        raise Invalid(f"price of {where}: valid_to is not after valid_from")
    return Price(**values | {"amount": plain(amount), "per": int(values["per"])})


def plain(amount: Decimal) -> str:
    """Decimal text without exponent or trailing zeros, so that equal amounts are equal rows."""
    text = f"{amount:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def instant_text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
