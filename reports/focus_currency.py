"""FOCUS rows of a statement in another currency: billed there, priced in US dollars.

Owns: which columns are in which currency. Does not own: the billed amounts (the statement's own, which foot), the rate. Invariants: PricingCurrency columns
stay as they were; unit prices are exact products, costs are rounded to twelve places; the rate, its source and its day stand on every row.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any, Final

COSTS: Final = ("ContractedCost", "EffectiveCost", "ListCost")
PRICES: Final = ("ContractedUnitPrice", "ListUnitPrice")
TWELVE: Final = Decimal(1).scaleb(-12)
DIGITS: Final = 60


def in_billing_currency(document: Mapping[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """The row as it is where the statement is in US dollars."""
    fx = document.get("fx")
    if not fx:
        return row
    with localcontext() as context:
        context.prec = DIGITS
        rate = Decimal(fx["rate"])
        costs = {name: (Decimal(row[name]) * rate).quantize(TWELVE, rounding=ROUND_HALF_EVEN) for name in COSTS}
        prices = {name: Decimal(row[name]) * rate for name in PRICES if row.get(name) is not None}
    return (
        row
        | costs
        | prices
        | {
            "BillingCurrency": fx["currency"],
            "x_ExchangeRate": fx["rate"],
            "x_ExchangeRateSource": fx["source"],
            "x_ExchangeRateDate": fx["date"],
        }
    )
