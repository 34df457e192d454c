"""Commitments in FOCUS rows: use that is covered, what was bought, and what nobody used.

Owns: the CommitmentDiscount columns and which rows a charge line becomes. Does not own: amounts (the statement document), the other columns (focus.py). Invariants:
what is bought is billed and has no effective cost; covered use and the unused part have effective cost and are not billed, so each column sums to the commitment once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext
from typing import Any, Final

PLACES: Final = 40
EMPTY: Final = (
    "ConsumedQuantity", "ConsumedUnit", "ResourceId", "ResourceName", "ResourceType", "SkuPriceDetails",
)  # fmt: skip


def covers(line: Mapping[str, Any]) -> bool:
    """Whether a commitment paid for the use of this line."""
    return bool(line["price_source"] == "commitment" and line["traffic_class"] != "commitment")


def covered(document: Mapping[str, Any], line: Mapping[str, Any]) -> dict[str, Any]:
    """What changes in the row of covered use."""
    share = Decimal(line["amortized_cost"])
    return _discount(document, line, share) | {
        "CommitmentDiscountStatus": "Used",
        "ContractedCost": line["covered_cost"],
        "EffectiveCost": line["amortized_cost"],
        "PricingCurrencyEffectiveCost": line["amortized_cost"],
        "PricingCategory": "Committed",
    }


def charges(document: Mapping[str, Any], line: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """row: what focus.py knows of the line. The purchase that is billed; for the unused part also the use that did not happen."""
    cost, found = Decimal(line["contracted_cost"]), _facts(document, line)
    unit, rate = (found["unit"], Decimal(found["rate"])) if found and found["rate"] else ("USD", Decimal(1))
    what = "unused" if line["meter"] == "commitment_unused" else "used"
    name, provider = _name(document, line), row["ProviderName"]
    quantity = _over(cost, rate)
    sku = f"{line['provider']}:commitment:{line['model']}"
    words = f"{name}, {what}: {line['arithmetic']}"
    bought = (
        dict(row)
        | dict.fromkeys(EMPTY)
        | _discount(document, line, cost)
        | {
            "ChargeCategory": "Purchase",
            "ChargeFrequency": "Recurring",
            "ChargeDescription": f"Correction of {line['charge_month']}: {words}" if line["corrects"] else words,
            "ListCost": line["contracted_cost"],
            "ContractedCost": line["contracted_cost"],
            "EffectiveCost": "0",
            "PricingCurrencyEffectiveCost": "0",
            "ListUnitPrice": rate,
            "ContractedUnitPrice": rate,
            "PricingCurrencyListUnitPrice": rate,
            "PricingCurrencyContractedUnitPrice": rate,
            "PricingQuantity": quantity,
            "PricingUnit": unit,
            "PricingCategory": "Standard",
            "ServiceName": f"{provider} models",
            "SkuId": sku,
            "SkuMeter": unit,
            "SkuPriceId": f"{sku}@{rate}",
            "x_Arithmetic": line["arithmetic"] or None,
        }
    )
    yield bought
    if what == "unused":
        yield bought | {
            "BilledCost": "0.00",
            "ChargeCategory": "Usage",
            "ChargeFrequency": "Usage-Based",
            "ChargeDescription": f"{bought['ChargeDescription']} (not used)",
            "CommitmentDiscountStatus": "Unused",
            "ContractedCost": "0",
            "ListCost": "0",
            "EffectiveCost": line["contracted_cost"],
            "PricingCurrencyEffectiveCost": line["contracted_cost"],
            "ListUnitPrice": Decimal(0),
            "ContractedUnitPrice": Decimal(0),
            "PricingCurrencyListUnitPrice": Decimal(0),
            "PricingCurrencyContractedUnitPrice": Decimal(0),
            "PricingCategory": "Committed",
            "SkuPriceId": f"{sku}@0",
            "x_LineId": f"{line['line_id']}-unused",
        }


def _discount(document: Mapping[str, Any], line: Mapping[str, Any], cost: Decimal) -> dict[str, Any]:
    """quantity: hours of capacity, or dollars, that this amount is."""
    found = _facts(document, line)
    capacity = line["commitment"].startswith("capacity/")
    rate = Decimal(found["rate"]) if found and found["rate"] else Decimal(1)
    known = bool(found) or not capacity  # of an earlier month's capacity the rate is not in this document
    return {
        "CommitmentDiscountCategory": "Usage" if capacity else "Spend",
        "CommitmentDiscountId": line["commitment"],
        "CommitmentDiscountName": _name(document, line),
        "CommitmentDiscountType": "Provisioned Throughput" if capacity else "Monthly Commitment",
        "CommitmentDiscountQuantity": _over(cost, rate) if known else None,
        "CommitmentDiscountUnit": (found["unit"] if found else "USD") if known else None,
    }


def _facts(document: Mapping[str, Any], line: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if line["charge_month"] != document["month"]:
        return None
    return next((one for one in document.get("commitments", []) if one["mark"] == line["commitment"]), None)


def _name(document: Mapping[str, Any], line: Mapping[str, Any]) -> str:
    found = _facts(document, line)
    return str(found["name"]) if found else str(line["commitment"].partition("/")[2])


def _over(cost: Decimal, rate: Decimal) -> Decimal:
    with localcontext() as context:
        context.prec = PLACES
        return cost / rate if rate else Decimal(0)
