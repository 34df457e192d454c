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
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from governor.chargeback.lines import UNITS as LINE_UNITS
from reports.focus import FOCUS_COLUMNS, NUMBERS, TOKENS
from reports.focus_files import SPLIT_COLUMNS
from reports.focus_split import split_problems

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
COMMITTED: Final = frozenset({"contract", "commitment"})
UNITS: Final = frozenset({"", "Tokens", *LINE_UNITS.values()})
PRICING_UNITS: Final = frozenset({"", f"{TOKENS} Tokens", "USD", *LINE_UNITS.values()})
CURRENCIES: Final = frozenset({"USD"})  # the only one that is rated; another is what a statement was converted to
KNOWN: Final = frozenset({*FOCUS_COLUMNS, *SPLIT_COLUMNS})
CURRENCY: Final = re.compile("[A-Z]{3}")
PART_SLACK: Final = Decimal(
    "0.00000000001"
)  # a share has twelve decimals and a part whole pico-USD, which weigh more in a smaller currency
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
    """Every problem of a CSV, in file order; empty when it may be handed out."""
    return check_rows(*table_of(body))


def table_of(body: bytes) -> tuple[list[str], list[dict[str, str]]]:
    """(header, rows). Raises ValueError or csv.Error for what is no CSV in UTF-8."""
    reader = csv.DictReader(io.StringIO(body.decode()))
    return list(reader.fieldnames or []), list(reader)


def check_rows(names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[Problem]:
    """names: the header; rows: cells as a CSV would hold them, empty for null."""
    problems = list(_header(names))
    for number, row in enumerate(rows, start=1):
        problems += [
            Problem(number, column, what) for column, what in _row({name: row.get(name) or "" for name in (*FOCUS_COLUMNS, *names)})
        ]
    return problems + list(_together(rows))


def _header(names: Sequence[str]) -> Iterator[Problem]:
    yield from (Problem(0, name, "column is missing") for name in FOCUS_COLUMNS if name not in names)
    yield from (Problem(0, name, "own columns are named x_PascalCase") for name in names if name not in KNOWN and not name.startswith("x_"))
    own = [place for place, name in enumerate(names) if name.startswith("x_")]
    last = max((place for place, name in enumerate(names) if name in KNOWN), default=-1)
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
        converted = name == "BillingCurrency" and bool(row.get("x_ExchangeRate")) and CURRENCY.fullmatch(row[name])
        bought = name == "PricingUnit" and row[name] == row["CommitmentDiscountUnit"]
        if row[name] and row[name] not in allowed and not converted and not bought:
            yield name, f"{row[name]!r} is not one of {', '.join(sorted(allowed - {''}))}"
    yield from _periods(row)
    yield from _json_columns(row)
    numbers = {name: decimal_of(row[name]) for name in NUMBERS if row[name]}
    wrong = [name for name, value in numbers.items() if value is None]
    yield from ((name, f"{row[name]!r} is not a decimal") for name in sorted(wrong))
    yield from _amounts(row, {name: value for name, value in numbers.items() if value is not None})


def _periods(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    moments: dict[str, datetime] = {}
    for name in PERIODS:
        try:
            if INSTANT.fullmatch(row[name]):
                moments[name] = datetime.fromisoformat(row[name])
        except ValueError:  # the thirtieth of February
            continue
    absent = [name for name in PERIODS if name not in moments]
    yield from ((name, f"{row[name]!r} is not an instant in UTC such as 2026-10-01T00:00:00Z") for name in absent)
    if absent:
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
        except (ValueError, RecursionError):
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
        if (
            quantity is not None
            and cost in numbers
            and unit in numbers
            and abs(numbers[unit] * quantity - numbers[cost]) > TOLERANCE * _rate(row)
        ):
            yield cost, f"{row[cost]} is not {row[unit]} x {row['PricingQuantity']}"
    source = row.get("x_PriceSource", "")
    if (
        not correction
        and source not in COMMITTED
        and category != "Purchase"
        and numbers.get("EffectiveCost", Decimal(0)) > numbers.get("ListCost", Decimal(0))
    ):
        yield "EffectiveCost", "is above ListCost without a contract that says so"
    yield from _commitment(row, numbers)
    if category == "Usage" and "ListUnitPrice" not in numbers and source != "unpriced":
        yield "x_PriceSource", "usage without a price is marked unpriced"


def _commitment(row: Mapping[str, str], numbers: Mapping[str, Decimal]) -> Iterator[tuple[str, str]]:
    """What a commitment pays for is not billed again, what is bought has no effect of its own, and both currencies say the same."""
    status, category = row["CommitmentDiscountStatus"], row["ChargeCategory"]
    if status and numbers.get("BilledCost"):
        yield "BilledCost", "use that a commitment covers, or that it did not see, is not billed again"
    if row["CommitmentDiscountId"] and category == "Purchase" and numbers.get("EffectiveCost"):
        yield "EffectiveCost", "a commitment's cost takes effect where it is used, not where it is bought"
    if row["CommitmentDiscountId"] and category == "Usage" and status not in {"Used", "Unused"}:
        yield "CommitmentDiscountStatus", "is Used or Unused on the usage of a commitment"
    rate = decimal_of(row.get("x_ExchangeRate") or "")
    if row.get("x_ExchangeRate") and (rate is None or rate <= 0):
        yield "x_ExchangeRate", f"{row['x_ExchangeRate']!r} is not a rate"
    elif rate is not None and "PricingCurrencyEffectiveCost" in numbers and "EffectiveCost" in numbers:
        meant = numbers["PricingCurrencyEffectiveCost"] * rate
        if abs(meant - numbers["EffectiveCost"]) > TOLERANCE:
            yield "EffectiveCost", f"{row['EffectiveCost']} is not {row['PricingCurrencyEffectiveCost']} x {row['x_ExchangeRate']}"


def _together(rows: Sequence[Mapping[str, str]]) -> Iterator[Problem]:
    seen: dict[tuple[str, ...], int] = {}
    origins: dict[str, list[tuple[int, Mapping[str, str]]]] = defaultdict(list)
    for number, row in enumerate(rows, start=1):
        first = seen.setdefault(tuple(str(value) for value in row.values()), number)
        if first != number:
            yield Problem(number, "x_LineId", f"is row {first} again")
        if row.get("x_OriginChargeId") and row.get("x_AllocationRatio"):
            origins[row["x_OriginChargeId"]].append((number, row))
    for origin, parts in origins.items():
        yield from _parts(origin, parts)
        yield from (Problem(*found) for found in split_problems(origin, parts))


def _parts(origin: str, parts: Sequence[tuple[int, Mapping[str, str]]]) -> Iterator[Problem]:
    """Parts of one origin charge: their shares are the whole, and each costs its share of what all cost."""
    shares = {number: decimal_of(row["x_AllocationRatio"]) or Decimal(0) for number, row in parts}
    whole = sum(shares.values(), Decimal(0))
    if whole != 1:
        yield Problem(0, "x_AllocationRatio", f"parts of {origin} sum to {whole}, not 1")
        return
    for name in ("ListCost", "EffectiveCost", "ContractedCost"):
        costs = {number: decimal_of(row.get(name) or "") or Decimal(0) for number, row in parts}
        total = sum(costs.values(), Decimal(0))
        for number, cost in costs.items():
            if abs(cost - shares[number] * total) > PART_SLACK * max(_rate(parts[0][1]), abs(total)):
                yield Problem(number, name, f"{cost} is not {shares[number]} of the {total} that the parts of {origin} sum to")
    for number, row in parts:
        told = _ratio_told(row.get("AllocatedMethodDetails") or "")
        if told is not None and told != shares[number]:
            yield Problem(number, "AllocatedMethodDetails", f"says a ratio of {told}, x_AllocationRatio {shares[number]}")


def _rate(row: Mapping[str, str]) -> Decimal:
    """What a difference of one US dollar is in the row's currency, at least one: costs were rounded in dollars before they were converted."""
    return max(Decimal(1), decimal_of(row.get("x_ExchangeRate") or "") or Decimal(1))


def _ratio_told(text: str) -> Decimal | None:
    """The ratio FOCUS 1.3 carries; 0 where the column holds something else, null where it is empty."""
    if not text:
        return None
    try:
        return sum(
            (Decimal(one["AllocatedRatio"]) for one in json.loads(text, parse_float=Decimal, parse_int=Decimal)["Elements"]), Decimal(0)
        )
    except (ValueError, KeyError, TypeError, InvalidOperation, RecursionError):
        return Decimal(0)


def decimal_of(text: str) -> Decimal | None:
    """A decimal as a file of ours writes it."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and "e" not in text.lower() else None
