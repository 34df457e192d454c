"""What one line of the statement says in FOCUS: words, ids, prices and quantities of each kind of line."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from reports.focus_files import focus_rows

MILLION = 1_000_000


def row_of(month: dict[str, Any], place: str = "lines", **changes: Any) -> dict[str, Any]:
    """The row of the first line of the sample month, changed, in this place of its cost center."""
    center = month["cost_centers"][0]
    line = center["lines"][0] | changes
    empty = {"lines": [], "unpriced": [], "commitments": [], "internal": [], "corrections": []}
    [row] = focus_rows(month | {"cost_centers": [center | empty | {place: [line]}]}, "1.2")
    return row


def said(row: dict[str, Any], *names: str) -> list[Any]:
    return [row[name] for name in names]


def test_a_use_names_its_workflow_its_owner_its_sku_and_its_price(month: dict[str, Any]) -> None:
    row = row_of(month)
    expected = {
        "BilledCost": "42.28",
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": "claude-sonnet-4-5 Input Tokens for claims-letter",
        "ChargePeriodStart": "2026-10-01T00:00:00Z",
        "ChargePeriodEnd": "2026-11-01T00:00:00Z",
        "ConsumedQuantity": 14093001,
        "ConsumedUnit": "Tokens",
        "ContractedCost": "42.279003",
        "ContractedUnitPrice": 3,
        "EffectiveCost": "42.279003",
        "InvoiceIssuerName": "Anthropic",
        "ListCost": "42.279003",
        "ListUnitPrice": 3,
        "PricingCategory": "Standard",
        "PricingQuantity": Decimal("14.093001"),
        "PricingUnit": "1000000 Tokens",
        "ProviderName": "Anthropic",
        "ResourceId": "workflow/claims-letter",
        "ResourceName": "claims-letter",
        "ResourceType": "AI Workflow",
        "ServiceName": "Anthropic models",
        "SkuId": "anthropic:claude-sonnet-4-5:input",
        "SkuMeter": "Input Tokens",
        "SkuPriceDetails": '{"x_Meter": "input", "x_ModelId": "claude-sonnet-4-5", "x_ServiceTier": "standard"}',
        "SkuPriceId": "anthropic:claude-sonnet-4-5:input@3",
        "SubAccountId": "CC-4100",
        "x_LineId": "e7b454de6e60f80e445455e0",
        "x_Owner": "claims.owner@acme.example",
        "x_PolicyStatus": "approved",
        "x_PriceSource": "list",
        "x_RequestCount": 9031,
        "x_TrafficClass": "production",
        "x_Workflow": "claims-letter",
        **dict.fromkeys(("x_ContractTerms", "x_CorrectsLineId", "x_CorrectsPeriod")),
    }
    assert {name: row[name] for name in expected} == expected
    assert json.loads(row["Tags"]) == {"cost_center": "CC-4100", "owner": "claims.owner@acme.example", "workflow": "claims-letter"}


def test_a_use_of_no_workflow_names_none(month: dict[str, Any]) -> None:
    row = row_of(month, workflow=None, owner=None)
    assert said(row, "ResourceId", "ResourceName", "ResourceType", "x_Workflow", "x_Owner") == [None] * 5
    assert row["ChargeDescription"] == "claude-sonnet-4-5 Input Tokens"
    assert json.loads(row["Tags"]) == {"cost_center": "CC-4100"}


def test_a_tier_and_the_terms_of_a_contract_are_told(month: dict[str, Any]) -> None:
    row = row_of(
        month, service_tier="batch", contract_terms="half of list", contract_price={"amount": "1.5", "per": MILLION, "currency": "USD"}
    )
    assert said(row, "SkuId", "SkuPriceId", "x_ContractTerms") == [
        "anthropic:claude-sonnet-4-5:input:batch",
        "anthropic:claude-sonnet-4-5:input:batch@3",
        "half of list",
    ]
    assert said(row, "ListUnitPrice", "ContractedUnitPrice") == [3, Decimal("1.5")]
    assert json.loads(row["SkuPriceDetails"])["x_ServiceTier"] == "batch"


def test_a_unit_that_is_no_token_is_priced_by_itself(month: dict[str, Any]) -> None:
    price = {"amount": "40", "per": 1000, "currency": "USD"}
    row = row_of(
        month, meter="request", unit="Requests", quantity=5, list_price=price, contract_price=price, list_cost="0.2", contracted_cost="0.2"
    )
    assert said(row, "PricingQuantity", "PricingUnit", "ListUnitPrice", "ConsumedUnit") == [5, "Requests", Decimal("0.04"), "Requests"]


@pytest.mark.parametrize("change", [{"list_price": None, "contract_price": None}, {"unit": "Pico-USD"}])
def test_a_charge_without_a_rate_is_priced_through(month: dict[str, Any], change: dict[str, Any]) -> None:
    assert said(row_of(month, **change), "PricingQuantity", "PricingUnit", "ListUnitPrice", "ContractedUnitPrice") == [
        Decimal("42.279003"),
        "USD",
        1,
        1,
    ]


def test_a_correction_keeps_its_month_and_names_what_it_corrects(month: dict[str, Any]) -> None:
    row = row_of(month, "corrections", corrects="line-0", charge_month="2026-09")
    assert row["ChargeDescription"] == "Correction of 2026-09: claude-sonnet-4-5 Input Tokens for claims-letter"
    assert said(row, "ChargeClass", "x_CorrectsLineId", "x_CorrectsPeriod", "ChargePeriodStart", "ChargePeriodEnd") == [
        "Correction",
        "line-0",
        "2026-09",
        "2026-09-01T00:00:00Z",
        "2026-10-01T00:00:00Z",
    ]


SHARED = {
    "rule": "platform",
    "method": "proportional",
    "ratio": "0.25",
    "origin": "line-0",
    "origin_cost_center": "CC-1000",
    "arithmetic": "a quarter",
    "list_cost": "6",
    "contracted_cost": "3",
    "contract_price": {"amount": "1.5", "per": MILLION, "currency": "USD"},
}


def test_a_share_says_of_what_it_is_one_and_costs_its_quantity(month: dict[str, Any]) -> None:
    columns = ("x_AllocationRuleId", "x_AllocationMethod", "x_OriginCostCenter", "x_Arithmetic", "x_AllocationRatio", "x_OriginChargeId")
    assert said(row_of(month, **SHARED), *columns) == ["platform", "proportional", "CC-1000", "a quarter", "0.25", "line-0"]
    assert said(row_of(month, **SHARED), "PricingQuantity", "PricingUnit") == [2, "1000000 Tokens"]
    free = SHARED | {"contract_price": {"amount": "0", "per": MILLION, "currency": "USD"}, "contracted_cost": "0"}
    assert row_of(month, **free)["PricingQuantity"] == 2, "by its list price, where it costs nothing"
    assert row_of(month, **SHARED | {"arithmetic": ""})["x_Arithmetic"] is None
    corrected = row_of(month, "corrections", **SHARED, corrects="line-9", charge_month="2026-09")
    assert {*columns[-2:]}.isdisjoint(name for name, value in corrected.items() if value), (
        "a difference of two shares has no ratio of its own"
    )
    whole = row_of(month, **SHARED | {"ratio": ""})
    assert {*columns[-2:]}.isdisjoint(name for name, value in whole.items() if value)
    assert whole["PricingQuantity"] == Decimal("14.093001"), "and not a share is as many as were used"


def test_use_that_a_commitment_covers_is_as_much_as_it_would_have_cost(month: dict[str, Any]) -> None:
    row = row_of(month, price_source="commitment", commitment="capacity/ptu", covered_cost="6", amortized_cost="1", contracted_cost="0")
    assert said(row, "PricingQuantity", "ContractedCost", "EffectiveCost", "CommitmentDiscountStatus") == [2, "6", "1", "Used"]


def test_a_fee_of_a_rate_plan_is_between_cost_centers_of_the_organization(month: dict[str, Any]) -> None:
    changes = {"traffic_class": "internal", "model": "Standard", "arithmetic": "5 % of 42.28", "origin_cost_center": "CC-1000"}
    row = row_of(month, "internal", **changes)
    assert said(row, "ChargeCategory", "ChargeFrequency", "ChargeDescription", "x_OriginCostCenter", "ServiceName") == [
        "Adjustment",
        "One-Time",
        "Rate plan Standard: 5 % of 42.28",
        "CC-1000",
        "AI platform",
    ]
    assert said(row, "ProviderName", "PublisherName", "InvoiceIssuerName") == ["Acme Insurance"] * 3
    assert said(row, "SkuId", "PricingQuantity", "ListUnitPrice", "ConsumedQuantity", "PricingCategory") == [None] * 5
    corrected = row_of(month, "corrections", **changes, corrects="line-0", charge_month="2026-09")
    assert corrected["ChargeDescription"] == "Correction of 2026-09: Rate plan Standard: 5 % of 42.28"


def test_what_has_no_price_counts_each_call_once(month: dict[str, Any]) -> None:
    [center] = [one for one in month["cost_centers"] if one["unpriced"]]
    [use] = center["unpriced"]

    def rows(**changes: Any) -> list[dict[str, Any]]:
        alone = center | {"lines": [], "commitments": [], "internal": [], "corrections": [], "unpriced": [use | changes]}
        return list(focus_rows(month | {"cost_centers": [alone]}, "1.2"))

    sent, answered = rows()
    assert said(sent, "ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit", "x_RequestCount", "SkuMeter") == [
        120000,
        "Tokens",
        Decimal("0.12"),
        "1000000 Tokens",
        41,
        "Input Tokens",
    ]
    assert said(answered, "ConsumedQuantity", "PricingQuantity", "x_RequestCount") == [31000, Decimal("0.031"), 0]
    assert sent["ChargeDescription"] == "mystery-x1 Input Tokens: unpriced, no price for model 'mystery-x1' of openai"
    costs = ("BilledCost", "ListCost", "ContractedCost", "EffectiveCost", "PricingCurrencyEffectiveCost")
    assert [Decimal(cost) for row in (sent, answered) for cost in said(row, *costs)] == [0] * 10
    [half] = rows(output_tokens=None, detail="")
    assert said(half, "ConsumedQuantity", "x_RequestCount", "ChargeDescription") == [
        120000,
        41,
        "mystery-x1 Input Tokens: unpriced, unknown_model",
    ]
    [unknown] = rows(input_tokens=None, output_tokens=None)
    assert said(unknown, "ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit", "SkuMeter") == [
        41,
        "Requests",
        41,
        "Requests",
        "Requests",
    ]
