"""A usage month, and the bill each provider would send for it, in that provider's own form."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from governor.chargeback.reconciliation.cells import UsageLine

MONTH = "2026-10"
DAYS = [f"2026-10-{day:02d}" for day in range(1, 32)]
SETTLED = datetime(2026, 11, 20, tzinfo=UTC)
PRICES = {"input": 1_250_000, "cache_read": 125_000, "output": 10_000_000}  # pico-USD a token
MODELS = {
    "openai": ("gpt-5-2025-08-07", "gpt-5-mini-2025-08-07"),
    "anthropic": ("claude-sonnet-4-5", "claude-haiku-4-5"),
    "aws": ("anthropic.claude-sonnet-4-6-v1:0", "amazon.nova-pro-v1:0"),
    "azure": ("gpt-5", "gpt-4o-mini"),
    "gcp": ("gemini-2.5-pro", "gemini-2.5-flash"),
    "openrouter": ("openai/gpt-4.1-2025-04-14", "mistralai/mistral-large"),
}
AWS_NAMES = {"anthropic.claude-sonnet-4-6-v1:0": "Claude4.6Sonnet", "amazon.nova-pro-v1:0": "NovaPro"}
AZURE_NAMES = {"gpt-5": "gpt 5", "gpt-4o-mini": "gpt 4o mini"}
GCP_NAMES = {"gemini-2.5-pro": "Gemini 2.5 Pro", "gemini-2.5-flash": "Gemini 2.5 Flash"}
AWS_METERS = {"input": "input-tokens", "cache_read": "cache-read-input-token-count", "output": "output-tokens"}
AZURE_METERS = {"input": "Inp", "cache_read": "cached Inp", "output": "Outp"}
GCP_METERS = {"input": "Text Input", "cache_read": "Text Input Cache Hit", "output": "Text Output"}
ANTHROPIC_METERS = {"input": "uncached_input_tokens", "cache_read": "cache_read_input_tokens", "output": "output_tokens"}


def usage(issuer: str) -> list[UsageLine]:
    """Two models, three meters, every day; no two amounts alike."""
    found = []
    for place, day in enumerate(DAYS):
        for number, model in enumerate(MODELS[issuer]):
            tokens = {
                "input": 840_001 + 137 * place + 40_013 * number,
                "cache_read": 3_012_345 + 911 * place,
                "output": 210_007 + 53 * place + 9_001 * number,
            }
            for meter, quantity in tokens.items():
                cost = quantity * PRICES[meter] // (1 + 3 * number)
                found.append(UsageLine(day, issuer, ("proj_claims",), model, meter, "", quantity, cost, cost, 10))
    return found


def dollars(pico: int) -> Decimal:
    return Decimal(pico).scaleb(-12)


def _json(document: Any) -> bytes:
    """JSON whose decimals are written as numbers, digit by digit, as a provider's serializer would."""
    text = json.dumps(document, default=lambda value: f"@@{value:f}@@")
    return text.replace('"@@', "").replace('@@"', "").encode()


def by_day(lines: Iterable[UsageLine]) -> dict[str, list[UsageLine]]:
    found: dict[str, list[UsageLine]] = defaultdict(list)
    for line in lines:
        found[line.day].append(line)
    return dict(sorted(found.items()))


def _start(day: str) -> int:
    return int(datetime.fromisoformat(day + "T00:00:00+00:00").timestamp())


def openai(lines: Iterable[UsageLine]) -> bytes:
    words = {"input": "input", "cache_read": "cached input", "output": "output"}
    data = [
        {
            "object": "bucket",
            "start_time": _start(day),
            "end_time": _start(day) + 86_400,
            "results": [
                {
                    "object": "organization.costs.result",
                    "amount": {"value": dollars(line.cost_pico), "currency": "usd"},
                    "line_item": f"{line.model}, {words[line.meter]}",
                    "project_id": "proj_claims",
                    "quantity": line.quantity,
                    "quantity_unit": "tokens",
                }
                for line in members
            ],
        }
        for day, members in by_day(lines).items()
    ]
    half = len(data) // 2  # two pages one after another
    pages = [
        {"object": "page", "data": data[:half], "has_more": True, "next_page": "p2"},
        {"object": "page", "data": data[half:], "has_more": False},
    ]
    return b"\n".join(_json(page) for page in pages)


def anthropic(lines: Iterable[UsageLine]) -> bytes:
    return _json(
        {
            "data": [
                {
                    "starting_at": f"{day}T00:00:00Z",
                    "results": [
                        {
                            "currency": "USD",
                            "amount": f"{dollars(line.cost_pico) * 100:f}",
                            "workspace_id": "wrkspc_01",
                            "description": f"{line.model} Usage",
                            "cost_type": "tokens",
                            "model": line.model,
                            "service_tier": "standard",
                            "token_type": ANTHROPIC_METERS[line.meter],
                        }
                        for line in members
                    ],
                }
                for day, members in by_day(lines).items()
            ],
            "has_more": False,
        }
    )


def _csv(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(out, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def aws_rows(lines: Iterable[UsageLine]) -> list[dict[str, Any]]:
    return [
        {
            "line_item_usage_account_id": "444455556666",
            "line_item_line_item_type": "Usage",
            "line_item_usage_start_date": f"{line.day}T00:00:00Z",
            "line_item_product_code": "AmazonBedrock",
            "line_item_usage_type": f"USE1-{AWS_NAMES[line.model]}-{AWS_METERS[line.meter]}",
            "line_item_usage_amount": f"{Decimal(line.quantity) / 1000:f}",
            "line_item_currency_code": "USD",
            "line_item_unblended_cost": f"{dollars(line.cost_pico):f}",
            "pricing_unit": "1K tokens",
        }
        for line in lines
    ]


def aws(lines: Iterable[UsageLine]) -> bytes:
    return _csv(aws_rows(lines))


def azure(lines: Iterable[UsageLine], currency: str = "USD") -> bytes:
    return _csv(
        [
            {
                "SubscriptionId": "sub-1",
                "Date": f"{line.day[5:7]}/{line.day[8:]}/{line.day[:4]}",
                "MeterCategory": "Cognitive Services",
                "MeterSubCategory": "Azure OpenAI",
                "MeterName": f"{AZURE_NAMES[line.model]} {AZURE_METERS[line.meter]} glbl Tokens",
                "Quantity": f"{Decimal(line.quantity) / 1000:f}",
                "Cost": f"{dollars(line.cost_pico):f}",
                "BillingCurrency": currency,
                "UnitOfMeasure": "1K",
                "ChargeType": "Usage",
            }
            for line in lines
        ]
    )


def gcp_rows(lines: Iterable[UsageLine]) -> list[dict[str, Any]]:
    return [
        {
            "billing_account_id": "01AB",
            "service": {"description": "Vertex AI"},
            "sku": {"description": f"{GCP_NAMES[line.model]} {GCP_METERS[line.meter]} - Predictions"},
            "usage_start_time": f"{line.day}T07:00:00Z",
            "project": {"id": "ai-prod"},
            "cost": dollars(line.cost_pico),
            "currency": "USD",
            "usage": {"amount": line.quantity, "unit": "count"},
            "credits": [],
            "invoice": {"month": "202610"},
            "cost_type": "regular",
        }
        for line in lines
    ]


def gcp(lines: Iterable[UsageLine]) -> bytes:
    return b"\n".join(_json(row) for row in gcp_rows(lines))


def openrouter(lines: Iterable[UsageLine]) -> bytes:
    sums: dict[tuple[str, str], list[UsageLine]] = defaultdict(list)
    for line in lines:
        sums[line.day, line.model].append(line)
    data = [
        {
            "date": day,
            "model": model.split("-20")[0],
            "model_permaslug": model,
            "usage": dollars(sum(line.cost_pico for line in members)),
            "byok_usage_inference": 0,
            "prompt_tokens": sum(line.quantity for line in members if line.meter != "output"),
            "completion_tokens": sum(line.quantity for line in members if line.meter == "output"),
        }
        for (day, model), members in sums.items()
    ]
    return _json({"data": data})


BILLS: dict[str, Callable[[Iterable[UsageLine]], bytes]] = {
    "openai": openai, "anthropic": anthropic, "aws": aws, "azure": azure, "gcp": gcp, "openrouter": openrouter,
}  # fmt: skip


def changed(lines: Iterable[UsageLine], change: Callable[[UsageLine], UsageLine]) -> list[UsageLine]:
    return [change(line) for line in lines]


def more(line: UsageLine, tokens: int) -> UsageLine:
    """The same line with so many tokens more, at its own price."""
    return replace(line, quantity=line.quantity + tokens, cost_pico=line.cost_pico + tokens * line.cost_pico // line.quantity)


def day_after(day: str) -> str:
    return (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
