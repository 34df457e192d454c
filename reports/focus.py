"""The month as FOCUS 1.2 Cost and Usage rows: one per statement line, so that every total agrees.

Owns: column order and meaning, units, SKU names. Does not own: amounts (the statement document), the rules that a file must pass (focus_rules.py).
Invariants: BilledCost is the cents of the statement, so it sums to the statement; ListCost, ContractedCost and EffectiveCost are exact and equal unit price x
quantity; an unpriced use is a row marked `unpriced`, because a missing row and a zero both lie; own columns are x_ and come last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any, Final

from governor.chargeback.period import month_bounds
from reports.focus_commitments import charges, covered, covers
from reports.focus_currency import in_billing_currency
from reports.table import csv_bytes

TOKENS: Final = 1_000_000
PLACES: Final = 40
FOCUS_COLUMNS: Final = (
    "AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "CapacityReservationId", "CapacityReservationStatus", "ChargeCategory", "ChargeClass", "ChargeDescription",
    "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName",
    "CommitmentDiscountQuantity", "CommitmentDiscountStatus", "CommitmentDiscountType", "CommitmentDiscountUnit", "ConsumedQuantity", "ConsumedUnit",
    "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory",
    "PricingCurrency", "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice", "PricingQuantity",
    "PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory",
    "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
)  # fmt: skip
OWN_COLUMNS: Final = (
    "x_StatementNumber", "x_LineId", "x_Workflow", "x_Owner", "x_CostCenter", "x_TrafficClass", "x_PolicyStatus", "x_RequestCount", "x_PriceSource", "x_PriceBookVersion",
    "x_ContractTerms",
    "x_AllocationRuleId", "x_AllocationMethod", "x_AllocationRatio", "x_OriginChargeId", "x_OriginCostCenter", "x_Arithmetic",
    "x_UnpricedReason", "x_CorrectsLineId", "x_CorrectsPeriod", "x_LakeSnapshot",
    "x_ExchangeRate", "x_ExchangeRateSource", "x_ExchangeRateDate",
)  # fmt: skip
NUMBERS: Final = frozenset({
    "BilledCost", "CommitmentDiscountQuantity", "ConsumedQuantity", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "ListCost", "ListUnitPrice",
    "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice", "PricingQuantity",
})  # fmt: skip
EXACT: Final = frozenset({"x_RequestCount", "x_LakeSnapshot", "Tags", "SkuPriceDetails"})
COLUMNS: Final = tuple(
    (name, "number" if name in NUMBERS else "exact" if name in EXACT else "text") for name in (*FOCUS_COLUMNS, *OWN_COLUMNS)
)
METERS: Final = {
    "input": "Input Tokens",
    "cache_read": "Cached Input Tokens",
    "cache_write": "Cache Write Tokens",
    "cache_write_1h": "Cache Write 1h Tokens",
    "output": "Output Tokens",
    "reasoning": "Reasoning Tokens",
    "audio_input": "Audio Input Tokens",
    "audio_output": "Audio Output Tokens",
    "image_input": "Image Input Tokens",
    "image_output": "Image Output Tokens",
    "request": "Requests",
    "replay": "Shadow Replays",
}
PROVIDERS: Final = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "azure.ai.openai": "Microsoft Azure",
    "azure.ai.inference": "Microsoft Azure",
    "aws.bedrock": "Amazon Web Services",
    "gcp.vertex_ai": "Google Cloud",
    "gcp.gemini": "Google",
    "mistral_ai": "Mistral AI",
    "cohere": "Cohere",
    "deepseek": "DeepSeek",
    "groq": "Groq",
    "x_ai": "xAI",
    "perplexity": "Perplexity",
}


def render_csv(document: Mapping[str, Any]) -> bytes:
    """document: the month's statement."""
    return csv_bytes(COLUMNS, rows(document))


def rows(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """FOCUS rows in statement order: usage, unpriced use, commitments, rate plans, corrections, by cost center."""
    for row in _rows(document):
        yield in_billing_currency(document, row)


def _rows(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for center in document["cost_centers"]:
        for line in center["lines"]:
            yield _row(document, center, line)
        for use in center["unpriced"]:
            yield from _unpriced(document, center, use)
        for line in (*center.get("commitments", []), *center.get("internal", []), *center["corrections"]):
            row = _row(document, center, line)
            yield from charges(document, line, row) if line["traffic_class"] == "commitment" else (row,)


def _common(
    document: Mapping[str, Any], center: Mapping[str, Any], provider: str, workflow: str | None, owner: str | None
) -> dict[str, Any]:
    organization = document["organization"]
    tags = {"cost_center": center["id"], "workflow": workflow, "owner": owner}
    return {
        "BillingAccountId": organization["id"],
        "BillingAccountName": organization["name"],
        "BillingAccountType": "Organization",
        "BillingCurrency": document["currency"],
        "BillingPeriodStart": document["start"],
        "BillingPeriodEnd": document["end"],
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "InvoiceIssuerName": PROVIDERS.get(provider, provider),  # who bills the company; this file is no invoice, so InvoiceId stays null
        "PricingCurrency": document["currency"],
        "ProviderName": PROVIDERS.get(provider, provider),
        "PublisherName": PROVIDERS.get(provider, provider),
        "ResourceId": f"workflow/{workflow}" if workflow else None,
        "ResourceName": workflow,
        "ResourceType": "AI Workflow" if workflow else None,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "ServiceName": f"{PROVIDERS.get(provider, provider)} models",
        "SubAccountId": center["id"],
        "SubAccountName": center["id"],
        "SubAccountType": "Cost Center",
        "Tags": _json({name: value for name, value in tags.items() if value}),
        "x_StatementNumber": document["statement_number"],
        "x_Workflow": workflow,
        "x_Owner": owner,
        "x_CostCenter": center["id"],
        "x_PriceBookVersion": document["provenance"]["price_book"],
        "x_LakeSnapshot": document["provenance"]["snapshot"],
    }


def _row(document: Mapping[str, Any], center: Mapping[str, Any], line: Mapping[str, Any]) -> dict[str, Any]:
    start, end = (_instant(moment) for moment in month_bounds(line["charge_month"], document["zone"]))
    quantity, unit = _pricing(line)
    listed, contracted = _unit_price(line["list_price"], line), _unit_price(line["contract_price"], line)
    meter = METERS.get(line["meter"], line["meter"].replace("_", " ").title())
    sku = ":".join(filter(None, (line["provider"], line["model"], line["meter"].replace("_", "-"), line["service_tier"])))
    details = {"x_ModelId": line["model"], "x_Meter": line["meter"], "x_ServiceTier": line["service_tier"] or "standard"}
    words = f"{line['model']} {meter}" + (f" for {line['workflow']}" if line["workflow"] else "")
    row = _common(document, center, line["provider"], line["workflow"], line["owner"]) | {
        "BilledCost": line.get("local_amount", line["amount"]),
        "ChargeClass": "Correction" if line["corrects"] else None,
        "ChargeDescription": f"Correction of {line['charge_month']}: {words}" if line["corrects"] else words,
        "ChargePeriodStart": start,
        "ChargePeriodEnd": end,
        "ConsumedQuantity": line["quantity"],
        "ConsumedUnit": line["unit"],
        "ContractedCost": line["contracted_cost"],
        "ContractedUnitPrice": contracted,
        "EffectiveCost": line["contracted_cost"],
        "ListCost": line["list_cost"],
        "ListUnitPrice": listed,
        "PricingCategory": "Standard",
        "PricingCurrencyContractedUnitPrice": contracted,
        "PricingCurrencyEffectiveCost": line["contracted_cost"],
        "PricingCurrencyListUnitPrice": listed,
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "SkuId": sku,
        "SkuMeter": meter,
        "SkuPriceDetails": _json(details),
        "SkuPriceId": f"{sku}@{listed}",
        "x_LineId": line["line_id"],
        "x_TrafficClass": line["traffic_class"],
        "x_PolicyStatus": line["route_status"],
        "x_RequestCount": line["calls"],
        "x_PriceSource": line["price_source"],
        "x_ContractTerms": line.get("contract_terms") or None,
        "x_CorrectsLineId": line["corrects"] or None,
        "x_CorrectsPeriod": line["charge_month"] if line["corrects"] else None,
    }
    if line.get("rule"):
        row |= {
            "x_AllocationRuleId": line["rule"],
            "x_AllocationMethod": line["method"],
            "x_OriginCostCenter": line["origin_cost_center"],
            "x_Arithmetic": line["arithmetic"] or None,
        }
        if line["ratio"] and not line["corrects"]:  # a difference of two shares has no ratio of its own
            row |= {"x_AllocationRatio": line["ratio"], "x_OriginChargeId": line["origin"]}
    if covers(line):
        row |= covered(document, line)
    return row | _adjustment(document, line) if line["traffic_class"] == "internal" else row


def _adjustment(document: Mapping[str, Any], line: Mapping[str, Any]) -> dict[str, Any]:
    """A fee or credit of a rate plan: between cost centers of the organization, of no quantity and no unit price."""
    name = document["organization"]["name"]
    words = f"Rate plan {line['model']}: {line['arithmetic']}"
    empty = ("ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit",
             "PricingCurrencyContractedUnitPrice", "PricingCurrencyListUnitPrice", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId")  # fmt: skip
    return dict.fromkeys(empty) | {
        "ChargeCategory": "Adjustment",
        "ChargeDescription": f"Correction of {line['charge_month']}: {words}" if line["corrects"] else words,
        "ChargeFrequency": "One-Time",
        "InvoiceIssuerName": name,
        "ProviderName": name,
        "PublisherName": name,
        "ServiceName": "AI platform",
        "x_OriginCostCenter": line["origin_cost_center"],
    }


def _unpriced(document: Mapping[str, Any], center: Mapping[str, Any], use: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Usage nobody has a price for: no cost, no unit price, and the reason. Calls whose usage is unknown are one row counted in requests."""
    known = [(meter, use[f"{meter}_tokens"]) for meter in ("input", "output") if use[f"{meter}_tokens"] is not None]
    parts = [(meter, quantity, "Tokens") for meter, quantity in known] or [("request", use["calls"], "Requests")]
    for position, (meter, quantity, unit) in enumerate(parts):
        scale = TOKENS if unit == "Tokens" else 1
        yield _common(document, center, use["provider"], use["workflow"], None) | {
            "BilledCost": 0,
            "ChargeDescription": f"{use['model']} {METERS[meter]}: unpriced, {use['detail'] or use['reason']}",
            "ChargePeriodStart": document["start"],
            "ChargePeriodEnd": document["end"],
            "ConsumedQuantity": quantity,
            "ConsumedUnit": unit,
            "ContractedCost": 0,
            "EffectiveCost": 0,
            "ListCost": 0,
            "PricingCategory": "Other",
            "PricingCurrencyEffectiveCost": 0,
            "PricingQuantity": Decimal(quantity) / scale,
            "PricingUnit": f"{TOKENS} Tokens" if unit == "Tokens" else "Requests",
            "SkuId": f"{use['provider']}:{use['model']}:{meter}",
            "SkuMeter": METERS[meter],
            "x_TrafficClass": "production",
            "x_RequestCount": use["calls"] if position == 0 else 0,
            "x_PriceSource": "unpriced",
            "x_UnpricedReason": use["reason"],
        }


def _pricing(line: Mapping[str, Any]) -> tuple[Decimal, str]:
    """Quantity in pricing units. Spend measured without a rate is priced through: one US dollar per dollar."""
    if line["list_price"] is None or line["unit"] == "Pico-USD":
        return Decimal(line["contracted_cost"]), "USD"
    if line.get("ratio") or line.get(
        "commitment"
    ):  # a share of a quantity is no whole number of tokens; it follows from its cost, so that cost = quantity x price
        found = _shared_quantity(line)
        if found is not None:
            return found, f"{TOKENS} Tokens" if line["unit"] == "Tokens" else line["unit"]
    if line["unit"] == "Tokens":
        return Decimal(line["quantity"]) / TOKENS, f"{TOKENS} Tokens"
    return Decimal(line["quantity"]), line["unit"]


def _shared_quantity(line: Mapping[str, Any]) -> Decimal | None:
    """In pricing units; None where the price is zero, so that any quantity costs the same."""
    contracted = line["covered_cost"] if line.get("price_source") == "commitment" else line["contracted_cost"]
    for cost, price in ((contracted, line["contract_price"]), (line["list_cost"], line["list_price"])):
        unit = _unit_price(price, line)
        if unit:
            with localcontext() as context:
                context.prec = PLACES
                return Decimal(cost) / unit
    return None


def _unit_price(price: Mapping[str, Any] | None, line: Mapping[str, Any]) -> Decimal:
    if price is None or line["unit"] == "Pico-USD":
        return Decimal(1)
    with localcontext() as context:
        context.prec = PLACES
        return Decimal(price["amount"]) * (TOKENS if line["unit"] == "Tokens" else 1) / Decimal(price["per"])


def _instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
