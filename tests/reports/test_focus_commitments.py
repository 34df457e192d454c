"""What a commitment's lines become in FOCUS, column by column: bought once, used, and what nobody used."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from reports.focus_commitments import charges, covered, covers

CAPACITY: dict[str, Any] = {"mark": "capacity/ptu-east", "name": "PTU east", "unit": "PTU-hours", "rate": "0.5"}
SPEND: dict[str, Any] = {"mark": "spend/openai-2026", "name": "OpenAI 2026", "unit": "USD", "rate": ""}
OCTOBER: dict[str, Any] = {"month": "2026-10", "commitments": [CAPACITY, SPEND]}
ROW = {
    "ProviderName": "Azure",
    "BilledCost": "100.00",
    "ConsumedQuantity": 5,
    "ConsumedUnit": "Tokens",
    "ResourceId": "workflow/x",
    "ResourceName": "x",
    "ResourceType": "AI Workflow",
    "SkuPriceDetails": "{}",
    "x_LineId": "line-1",
    "x_RequestCount": 3,
}


def line(**changes: Any) -> dict[str, Any]:
    return {
        "charge_month": "2026-10",
        "commitment": "capacity/ptu-east",
        "contracted_cost": "100",
        "amortized_cost": "30",
        "covered_cost": "42",
        "meter": "commitment_used",
        "provider": "azure.openai",
        "model": "gpt-4o",
        "arithmetic": "200 PTU-hours",
        "corrects": "",
        "line_id": "line-1",
        "price_source": "list",
        "traffic_class": "commitment",
        **changes,
    }


@pytest.mark.parametrize(
    ("price_source", "traffic_class", "covering"),
    [
        ("commitment", "production", True),
        ("commitment", "commitment", False),
        ("contract", "production", False),
        ("list", "commitment", False),
    ],
)
def test_use_is_covered_where_a_commitment_paid_for_it(price_source: str, traffic_class: str, covering: bool) -> None:
    assert covers(line(price_source=price_source, traffic_class=traffic_class)) is covering


@pytest.mark.parametrize(
    ("commitment", "category", "kind", "name", "quantity", "unit"),
    [
        ("capacity/ptu-east", "Usage", "Provisioned Throughput", "PTU east", 60, "PTU-hours"),
        ("spend/openai-2026", "Spend", "Monthly Commitment", "OpenAI 2026", 30, "USD"),
    ],
)
def test_covered_use_costs_its_share_and_is_not_billed_again(
    commitment: str, category: str, kind: str, name: str, quantity: int, unit: str
) -> None:
    assert covered(OCTOBER, line(commitment=commitment)) == {
        "CommitmentDiscountCategory": category,
        "CommitmentDiscountId": commitment,
        "CommitmentDiscountName": name,
        "CommitmentDiscountType": kind,
        "CommitmentDiscountQuantity": quantity,
        "CommitmentDiscountUnit": unit,
        "CommitmentDiscountStatus": "Used",
        "ContractedCost": "42",
        "EffectiveCost": "30",
        "PricingCurrencyEffectiveCost": "30",
        "PricingCategory": "Committed",
    }


def test_what_was_bought_is_billed_once_at_its_rate_and_has_no_effective_cost() -> None:
    [bought] = charges(OCTOBER, line(), ROW)
    assert bought == {
        "ProviderName": "Azure",
        "BilledCost": "100.00",
        "x_LineId": "line-1",
        "x_RequestCount": 3,
        **dict.fromkeys(("ConsumedQuantity", "ConsumedUnit", "ResourceId", "ResourceName", "ResourceType", "SkuPriceDetails")),
        "CommitmentDiscountCategory": "Usage",
        "CommitmentDiscountId": "capacity/ptu-east",
        "CommitmentDiscountName": "PTU east",
        "CommitmentDiscountType": "Provisioned Throughput",
        "CommitmentDiscountQuantity": 200,
        "CommitmentDiscountUnit": "PTU-hours",
        "ChargeCategory": "Purchase",
        "ChargeFrequency": "Recurring",
        "ChargeDescription": "PTU east, used: 200 PTU-hours",
        "ListCost": "100",
        "ContractedCost": "100",
        "EffectiveCost": "0",
        "PricingCurrencyEffectiveCost": "0",
        **dict.fromkeys(
            ("ListUnitPrice", "ContractedUnitPrice", "PricingCurrencyListUnitPrice", "PricingCurrencyContractedUnitPrice"), Decimal("0.5")
        ),
        "PricingQuantity": 200,
        "PricingUnit": "PTU-hours",
        "PricingCategory": "Standard",
        "ServiceName": "Azure models",
        "SkuId": "azure.openai:commitment:gpt-4o",
        "SkuMeter": "PTU-hours",
        "SkuPriceId": "azure.openai:commitment:gpt-4o@0.5",
        "x_Arithmetic": "200 PTU-hours",
    }


def test_what_nobody_used_is_also_a_use_that_costs_it_and_is_not_billed() -> None:
    bought, unused = charges(OCTOBER, line(meter="commitment_unused"), ROW)
    assert bought["ChargeDescription"] == "PTU east, unused: 200 PTU-hours"
    assert {name: value for name, value in unused.items() if bought.get(name) != value} == {
        "BilledCost": "0.00",
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ChargeDescription": "PTU east, unused: 200 PTU-hours (not used)",
        "CommitmentDiscountStatus": "Unused",
        "ContractedCost": "0",
        "ListCost": "0",
        "EffectiveCost": "100",
        "PricingCurrencyEffectiveCost": "100",
        "ListUnitPrice": 0,
        "ContractedUnitPrice": 0,
        "PricingCurrencyListUnitPrice": 0,
        "PricingCurrencyContractedUnitPrice": 0,
        "PricingCategory": "Committed",
        "SkuPriceId": "azure.openai:commitment:gpt-4o@0",
        "x_LineId": "line-1-unused",
    }
    assert [Decimal(bought[cost]) + Decimal(unused[cost]) for cost in ("BilledCost", "ContractedCost", "EffectiveCost")] == [100, 100, 100]


def test_a_correction_of_an_earlier_month_says_so_and_claims_no_rate_that_it_cannot_know() -> None:
    [capacity] = charges(OCTOBER, line(charge_month="2026-09", corrects="line-0"), ROW)
    assert capacity["ChargeDescription"] == "Correction of 2026-09: ptu-east, used: 200 PTU-hours"
    assert (capacity["CommitmentDiscountName"], capacity["CommitmentDiscountQuantity"], capacity["CommitmentDiscountUnit"]) == (
        "ptu-east",
        None,
        None,
    )
    assert (capacity["PricingQuantity"], capacity["PricingUnit"], capacity["ListUnitPrice"]) == (100, "USD", 1)
    [spend] = charges(OCTOBER, line(charge_month="2026-09", corrects="line-0", commitment="spend/openai-2026", arithmetic=""), ROW)
    assert (spend["CommitmentDiscountName"], spend["CommitmentDiscountQuantity"], spend["CommitmentDiscountUnit"]) == (
        "openai-2026",
        100,
        "USD",
    )
    assert spend["x_Arithmetic"] is None
