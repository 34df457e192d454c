"""What a FOCUS file of ours must satisfy beyond what the public validator sees: it passes half of the corruptions that finance would trip over.

Owns: the checks, each naming row and column. Does not own: writing rows (focus.py). Invariants: pure over the file's bytes; money is compared as exact decimals.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from reports.focus import FOCUS_COLUMNS, NUMBERS

TOLERANCE: Final = Decimal("0.000000001")
MONEY: Final = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")
PLACES: Final = 12  # pico-USD; more digits are binary noise
PERIODS: Final = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MANDATORY: Final = (
    "BilledCost", "BillingAccountId", "BillingCurrency", *PERIODS, "ChargeCategory", "ChargeDescription", "ContractedCost", "EffectiveCost",
    "InvoiceIssuerName", "ListCost", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
)  # fmt: skip
CATEGORIES: Final = frozenset({"Usage", "Purchase", "Tax", "Credit", "Adjustment"})
PRICING: Final = frozenset({"", "Standard", "Dynamic", "Committed", "Other"})
UNITS: Final = frozenset({"", "Tokens", "Requests"})
PRICING_UNITS: Final = frozenset({"", "1000000 Tokens", "Requests", "USD"})
CURRENCIES: Final = frozenset({"USD"})  # the only one that is rated
IDS: Final = ("BillingAccountId", "SubAccountId", "ResourceId", "SkuId", "SkuPriceId")


@dataclass(frozen=True)
class Problem:
    """row: 1-based data row, 0 for the header."""

    row: int
    column: str
    what: str

    def __str__(self) -> str:
        return f"row {self.row}, {self.column}: {self.what}"


def check(body: bytes) -> list[Problem]:
    """Every problem of the file, in file order; empty when it may be handed out."""
    reader = csv.DictReader(io.StringIO(body.decode()))
    names = list(reader.fieldnames or [])
    problems = list(_header(names))
    rows = list(reader)
    for number, row in enumerate(rows, start=1):
        problems += [
            Problem(number, column, what) for column, what in _row({name: row.get(name) or "" for name in (*FOCUS_COLUMNS, *names)})
        ]
    return problems + list(_together(rows))


def _header(names: Sequence[str]) -> Iterator[Problem]:
    yield from (Problem(0, name, "column is missing") for name in FOCUS_COLUMNS if name not in names)
    yield from (
        Problem(0, name, "own columns are named x_PascalCase") for name in names if name not in FOCUS_COLUMNS and not name.startswith("x_")
    )
    own = [place for place, name in enumerate(names) if name.startswith("x_")]
    last = max((place for place, name in enumerate(names) if name in FOCUS_COLUMNS), default=-1)
    yield from (Problem(0, names[place], "own columns come after FOCUS columns") for place in own if place < last)


def _row(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield from ((name, "must have a value") for name in MANDATORY if not row[name])
    yield from ((name, f"{row[name]!r} is padded") for name in IDS if row[name] != row[name].strip())
    for name, allowed in (
        ("ChargeCategory", CATEGORIES),
        ("PricingCategory", PRICING),
        ("ConsumedUnit", UNITS),
        ("PricingUnit", PRICING_UNITS),
        ("BillingCurrency", CURRENCIES),
    ):
        if row[name] and row[name] not in allowed:
            yield name, f"{row[name]!r} is not one of {', '.join(sorted(allowed - {''}))}"
    yield from _periods(row)
    yield from _json_columns(row)
    numbers = {name: _number(row[name]) for name in NUMBERS if row[name]}
    wrong = [name for name, value in numbers.items() if value is None]
    yield from ((name, f"{row[name]!r} is not a decimal") for name in sorted(wrong))
    yield from _amounts(row, {name: value for name, value in numbers.items() if value is not None})


def _periods(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    moments: dict[str, datetime] = {}
    for name in PERIODS:
        if not INSTANT.fullmatch(row[name]):
            yield name, f"{row[name]!r} is not an instant in UTC such as 2026-10-01T00:00:00Z"
            continue
        moments[name] = datetime.fromisoformat(row[name]).astimezone(UTC)
    if len(moments) < len(PERIODS):
        return
    billing, charge = ((moments[f"{kind}PeriodStart"], moments[f"{kind}PeriodEnd"]) for kind in ("Billing", "Charge"))
    yield from (
        (f"{kind}PeriodEnd", "ends before it starts") for kind, span in (("Billing", billing), ("Charge", charge)) if span[1] <= span[0]
    )
    if not 27 <= (billing[1] - billing[0]).days <= 31:  # noqa: PLR2004 - a calendar month in any zone
        yield "BillingPeriodEnd", "a billing period is a calendar month"
    inside = billing[0] <= charge[0] and charge[1] <= billing[1]
    if row["ChargeClass"] == "Correction" and inside and row["ChargeCategory"] == "Usage":
        yield "BillingPeriodStart", "a correction belongs to a later billing period than its charge"
    if row["ChargeClass"] != "Correction" and not inside:
        yield "ChargePeriodStart", "usage outside its billing period is a correction"


def _json_columns(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in ("Tags", "SkuPriceDetails"):
        if not row[name]:
            continue
        try:
            value: Any = json.loads(row[name])
        except ValueError:
            yield name, "is not JSON"
            continue
        if not isinstance(value, dict) or any(isinstance(inner, dict | list) for inner in value.values()):
            yield name, "is not a flat JSON object"
        elif name == "SkuPriceDetails" and not all(key.startswith("x_") for key in value):
            yield name, "own keys start with x_"


def _amounts(row: Mapping[str, str], numbers: Mapping[str, Decimal]) -> Iterator[tuple[str, str]]:
    for name in MONEY:
        exponent = numbers[name].as_tuple().exponent if name in numbers else 0
        if isinstance(exponent, int) and -exponent > PLACES:
            yield name, f"{row[name]} has more than {PLACES} decimals"
    correction, category = row["ChargeClass"] == "Correction", row["ChargeCategory"]
    for name in MONEY:
        if name in numbers and numbers[name] < 0 and category == "Usage" and not correction:
            yield name, "usage costs zero or more unless it is a correction"
        if name in numbers and numbers[name] > 0 and category == "Credit":
            yield name, "a credit is zero or less"
    quantity = numbers.get("PricingQuantity")
    for cost, unit in (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice")):
        if quantity is not None and cost in numbers and unit in numbers and abs(numbers[unit] * quantity - numbers[cost]) > TOLERANCE:
            yield cost, f"{row[cost]} is not {row[unit]} x {row['PricingQuantity']}"
    source = row.get("x_PriceSource", "")
    if not correction and source != "contract" and numbers.get("EffectiveCost", Decimal(0)) > numbers.get("ListCost", Decimal(0)):
        yield "EffectiveCost", "is above ListCost without a contract that says so"
    if category == "Usage" and "ListUnitPrice" not in numbers and source != "unpriced":
        yield "x_PriceSource", "usage without a price is marked unpriced"


def _together(rows: Sequence[Mapping[str, str]]) -> Iterator[Problem]:
    seen: dict[tuple[str, ...], int] = {}
    ratios: dict[str, Decimal] = defaultdict(Decimal)
    for number, row in enumerate(rows, start=1):
        first = seen.setdefault(tuple(str(value) for value in row.values()), number)
        if first != number:
            yield Problem(number, "x_LineId", f"is row {first} again")
        if row.get("x_OriginChargeId") and row.get("x_AllocationRatio"):
            ratios[row["x_OriginChargeId"]] += _number(row["x_AllocationRatio"]) or Decimal(0)
    for origin, total in ratios.items():
        if total != 1:
            yield Problem(0, "x_AllocationRatio", f"parts of {origin} sum to {total}, not 1")


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and "e" not in text.lower() else None
