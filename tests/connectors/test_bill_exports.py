"""Bills as consoles and exports write them: Marketplace models in a cost and usage report, CSVs of dashboards, rows of other products."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "chargeback"))

import bills_of_usage as made

from connectors.bills import anthropic, aws, azure, focus, gcp, openai, openrouter
from governor.chargeback.reconciliation.bridge import CAUSES, Reconciled, reconcile
from governor.chargeback.reconciliation.cells import UsageLine
from governor.chargeback.reconciliation.names import matched_names, words_of
from governor.errors import Invalid
from governor.ports import BillReader, Payload

CLAUDE = "us.anthropic.claude-sonnet-4-6-v1:0"
SOLD_METERS = {"input": "InputTokenCount", "cache_read": "CacheReadInputTokenCount", "output": "OutputTokenCount"}
NEWER_METERS = {"input": "input_tokens", "cache_read": "cache_read_tokens", "output": "output_tokens"}
READERS: tuple[BillReader, ...] = (openai.reader, anthropic.reader, aws.reader, azure.reader, gcp.reader, openrouter.reader, focus.reader)


def compared(reader: BillReader, body: bytes, ours: list[UsageLine]) -> Reconciled:
    assert [one.name for one in READERS if one.detect(body[:65536], "x")] == [reader.name]
    bill = reader.read(Payload("bill.csv", body=body))
    assert not bill.rejected
    return reconcile(made.MONTH, ours, bill.lines, now=made.SETTLED)


def claude() -> list[UsageLine]:
    return [replace(line, model=CLAUDE) for line in made.usage("aws") if line.model == made.MODELS["aws"][0]]


def sold(line: UsageLine, usage_type: str, **columns: Any) -> dict[str, Any]:
    """A row of a model that AWS Marketplace sells: the product code says nothing, the unit is a million tokens, there is no public price."""
    return {
        "bill_billing_entity": "AWS Marketplace",
        "line_item_usage_account_id": "444455556666",
        "line_item_line_item_type": "Usage",
        "line_item_usage_start_date": f"{line.day}T00:00:00Z",
        "line_item_product_code": "4a524th30q694o538qndh9ucht",
        "line_item_usage_type": usage_type,
        "line_item_usage_amount": f"{Decimal(line.quantity).scaleb(-6):f}",
        "line_item_currency_code": "USD",
        "line_item_unblended_cost": f"{made.dollars(line.cost_pico):f}",
        "line_item_line_item_description": "AWS Marketplace software usage|us-east-1|Million Tokens Global",
        "pricing_unit": "Units",
        "pricing_public_on_demand_cost": "0.0",
        **columns,
    }


@pytest.mark.parametrize(
    "columns",
    [
        {"product": json.dumps({"product_name": "Claude Sonnet 4.6 (Amazon Bedrock Edition)"})},
        {"product_product_name": "Claude Sonnet 4.6 (Amazon Bedrock Edition)"},
        {"line_item_resource_id": f"arn:aws:bedrock:us-east-1:444455556666:inference-profile/{CLAUDE}"},
    ],
)
def test_models_that_aws_marketplace_sells_are_part_of_the_bill(columns: dict[str, str]) -> None:
    older = [sold(line, f"USE1-MP:USE1_{SOLD_METERS[line.meter]}_Global-Units", **columns) for line in claude()]
    newer = [sold(line, f"USE1-MP:USE1_{NEWER_METERS[line.meter]}_global_standard-Units", **columns) for line in claude()]
    for rows in (older, newer):
        found = compared(aws.reader, made._csv(rows), claude())
        assert (found.gross_pico, found.terms) == (0, dict.fromkeys(CAUSES, 0))
        assert {cell.key.model for cell in found.cells} == {CLAUDE}
        assert all(cell.bill_quantity == cell.ours_quantity for cell in found.cells)


def test_cost_explorer_names_the_model_of_marketplace_as_the_service() -> None:
    days = [
        {
            "TimePeriod": {"Start": day, "End": made.day_after(day)},
            "Groups": [
                {
                    "Keys": ["Claude Sonnet 4.6 (Amazon Bedrock Edition)", f"USE1-MP:USE1_{SOLD_METERS[line.meter]}-Units"],
                    "Metrics": {
                        "UnblendedCost": {"Amount": f"{made.dollars(line.cost_pico):f}", "Unit": "USD"},
                        "UsageQuantity": {"Amount": f"{Decimal(line.quantity).scaleb(-6):f}", "Unit": "N/A"},
                    },
                }
                for line in lines
            ],
        }
        for day, lines in made.by_day(claude()).items()
    ]
    page = {"GroupDefinitions": [{"Type": "DIMENSION", "Key": name} for name in ("SERVICE", "USAGE_TYPE")], "ResultsByTime": days}
    found = compared(aws.reader, json.dumps(page).encode(), claude())
    assert (found.gross_pico, found.terms) == (0, dict.fromkeys(CAUSES, 0))
    assert all(cell.bill_quantity == cell.ours_quantity for cell in found.cells)


def test_reserved_capacity_of_marketplace_is_a_commitment_and_batch_a_tier() -> None:
    line, name = claude()[0], {"product_product_name": "Claude Sonnet 4.6 (Amazon Bedrock Edition)"}
    rows = [
        sold(line, "USE1-MP:USE1_Reserved_1Month_InputTPM_Geo-Units", **name),
        sold(line, "USE1-MP:USE1_OutputTokenCount_Batch-Units", **name),
        sold(line, "USE1-MP:USE1_CacheWrite1hInputTokenCount-Units", **name),
    ]
    found = aws.reader.read(Payload("cur.csv", body=made._csv(rows))).lines
    assert {(one.kind, one.meter, one.tier) for one in found} == {
        ("commitment", "provisioned", None),
        ("usage", "output", "batch"),
        ("usage", "cache_write_1h", None),
    }


def test_names_of_bedrock_say_how_a_call_was_routed() -> None:
    true = made.usage("aws")
    rows = [
        row | {"line_item_usage_type": row["line_item_usage_type"].replace("-tokens", "-tokens-cross-region-global")}
        for row in made.aws_rows(true)
    ]
    assert compared(aws.reader, made._csv(rows), true).terms == dict.fromkeys(CAUSES, 0)
    open_weights = [replace(line, model="openai.gpt-oss-120b-1:0") for line in claude()]
    rows = [sold(line, f"USE1-gpt-oss-120b-mantle-{made.AWS_METERS[line.meter]}-standard") for line in open_weights]
    rows = [row | {"line_item_product_code": "AmazonBedrock", "pricing_unit": "1M tokens"} for row in rows]
    assert compared(aws.reader, made._csv(rows), open_weights).terms == dict.fromkeys(CAUSES, 0)


def test_rows_of_other_products_are_no_part_of_any_bill() -> None:
    """A savings plan for machines, a credit on storage, a discount of a kind that is new: skipped by the product's name."""
    true = made.usage("aws")
    other = {"line_item_product_code": "AmazonEC2", "line_item_unblended_cost": "-7", "line_item_line_item_type": "SppDiscount"}
    found = aws.reader.read(Payload("cur.csv", body=made._csv([*made.aws_rows(true), made.aws_rows(true)[0] | other])))
    assert (found.rejected, found.skipped) == ([], {"AmazonEC2": 1})
    discounted = made.aws_rows(true)[0] | other | {"line_item_product_code": "AmazonBedrock"}
    assert [one.kind for one in aws.reader.read(Payload("cur.csv", body=made._csv([discounted]))).lines] == ["discount"]

    rows = made.azure(made.usage("azure")).decode().splitlines()
    names = rows[0].split(",")
    machines = dict.fromkeys(names, "") | {
        "SubscriptionId": "sub-1", "Date": "10/01/2026", "MeterCategory": "Virtual Machines", "MeterName": "D4s v5",
        "Quantity": "1", "Cost": "100000", "BillingCurrency": "USD", "ChargeType": "Purchase",
    }  # fmt: skip
    body = "\n".join([*rows, ",".join(machines[name] for name in names)]).encode()
    assert compared(azure.reader, body, made.usage("azure")).terms == dict.fromkeys(CAUSES, 0)

    plan = {
        "BilledCost": "100000", "BillingCurrency": "USD", "ChargeCategory": "Purchase", "ChargePeriodStart": "2026-10-01T00:00:00Z",
        "ProviderName": "AWS", "ServiceName": "Savings Plans for AWS Compute usage", "ServiceCategory": "Compute",
    }  # fmt: skip
    skipped = focus.reader.read(Payload("focus.csv", body=made._csv([plan])))
    assert (skipped.lines, skipped.skipped) == ([], {"Savings Plans for AWS Compute usage": 1})
    taxed = plan | {"ChargeCategory": "Tax", "ServiceName": "Tax", "ServiceCategory": "Other"}
    assert [one.kind for one in focus.reader.read(Payload("focus.csv", body=made._csv([taxed]))).lines] == ["tax"]

    storage = made.gcp_rows(made.usage("gcp"))[0] | {"cost_type": "adjustment", "service": {"description": "Cloud Storage"}}
    assert gcp.reader.read(Payload("gcp.jsonl", body=made._json(storage | {"sku": {"description": "Standard"}}))).skipped == {
        "Cloud Storage": 1
    }


def test_what_azure_says_of_reserved_capacity_and_of_the_whole_invoice() -> None:
    """The purchase of a reservation was a fee, the invoice's rounding a row of another service."""
    row = {
        "Date": "10/05/2026", "MeterCategory": "Foundry Models", "MeterName": "Managed Global Unit", "ProductName": "Foundry Throughput Reservation",
        "CostInBillingCurrency": "22000", "BillingCurrency": "USD", "ChargeType": "Purchase", "PricingModel": "Reservation", "ReservationId": "",
    }  # fmt: skip
    rounding = dict.fromkeys(row, "") | {"Date": "10/31/2026", "ProductName": "Rounding Adjustment", "ChargeType": "RoundingAdjustment"}
    rounding |= {"CostInBillingCurrency": "0.01", "BillingCurrency": "USD"}
    rows = [
        row,
        row | {"PricingModel": "", "ReservationId": "r-1", "CostInBillingCurrency": "1"},
        row | {"PricingModel": "", "CostInBillingCurrency": "2"},
    ]
    found = azure.reader.read(Payload("azure.csv", body=made._csv([*rows, rounding, rounding | {"MeterCategory": "Virtual Machines"}])))
    assert sorted((line.kind, line.amount) for line in found.lines) == [
        ("commitment", Decimal(22001)), ("fee", Decimal(2)), ("rounding", Decimal("0.01")),
    ]  # fmt: skip
    assert found.skipped == {"Virtual Machines": 1}


@pytest.mark.parametrize("tier", ["batch", "flex", "priority"])
def test_openai_writes_the_tier_behind_the_model(tier: str) -> None:
    """Of `gpt-5-2025-08-07 flex, input` the tier was part of the model's name, and the line met nothing."""
    for item in (f"gpt-5-2025-08-07 {tier}, cached input", f"gpt-5-2025-08-07, cached input ({tier})"):
        assert openai.words_of(item) == ("gpt-5-2025-08-07", "cache_read", tier)


@pytest.mark.parametrize(
    "table",
    [
        b"billing_account_id,service.description,sku.description,usage_start_time,cost,currency\nA,Vertex AI,Gemini,2026-10-01,1.00,USD\n",
        b"Invoice number,1,\nCurrency,USD,\nBilling account name,Service description,SKU description,Cost type,Usage start date,Cost ($)\nA,V,G,Usage,2026-10-01,1.00\n",
    ],
    ids=["export", "cost_table"],
)
def test_a_table_of_google_is_refused_with_what_to_export(table: bytes) -> None:
    """It was refused as "not JSON from line 1", which says neither why nor what to do."""
    with pytest.raises(Invalid, match=r"no place for the credits.*sums of a month where calls are compared by day") as refused:
        gcp.reader.read(Payload("costs.csv", body=table))
    assert "--format=json" in refused.value.hint


def test_the_csv_of_openais_dashboard() -> None:
    true = made.usage("openai")
    words = {"input": "input", "cache_read": "cached input", "output": "output"}
    empty = {
        "start_time": "1793404800", "end_time": "1793491200", "start_time_iso": "2026-10-31T00:00:00+00:00", "end_time_iso": "",
        "amount_value": "", "amount_currency": "", "quantity": "", "quantity_unit": "", "line_item": "", "project_id": "", "api_source": "",
    }  # fmt: skip
    rows = [
        empty
        | {
            "start_time": made._start(line.day),
            "start_time_iso": f"{line.day}T00:00:00+00:00",
            "amount_value": f"{made.dollars(line.cost_pico):.30f}",
            "amount_currency": "usd",
            "quantity": line.quantity,
            "quantity_unit": "tokens",
            "line_item": f"{line.model}, {words[line.meter]}",
            "project_id": "proj_claims",
        }
        for line in true
    ]
    found = compared(openai.reader, made._csv([*rows, empty]), true)
    assert (found.gross_pico, found.terms) == (0, dict.fromkeys(CAUSES, 0))
    assert len(found.cells) == len(true)


def test_the_csv_of_anthropics_console() -> None:
    """Dollars, rounded to the cent; the model by the name that people read."""
    true = made.usage("anthropic")
    words = {"input": "input_no_cache", "cache_read": "input_cache_read", "output": "output"}
    names = {"claude-sonnet-4-5": "Claude Sonnet 4.5", "claude-haiku-4-5": "Claude Haiku 4.5"}
    rows = [
        {
            "usage_date_utc": line.day, "model": names[line.model], "workspace": "Default", "api_key": "prod", "usage_type": "message",
            "context_window": "≤ 200k", "token_type": words[line.meter], "cost_usd": f"{made.dollars(line.cost_pico):.2f}",
            "list_price_usd": f"{made.dollars(line.cost_pico):.2f}", "cost_type": "token", "inference_geo": "global", "speed": "",
        }
        for line in true
    ]  # fmt: skip
    search = rows[0] | {"model": "", "token_type": "", "cost_usd": "0.75", "list_price_usd": "0.75", "cost_type": "web_search"}
    found = compared(anthropic.reader, made._csv([*rows, search]), true)
    terms = {cause: amount for cause, amount in found.terms.items() if amount}
    assert terms.keys() == {"rounding", "not_captured"}
    assert terms["not_captured"] == 75 * 10**10
    assert abs(terms["rounding"]) < len(true) * 5 * 10**9


def test_claudes_fast_answers_are_a_tier_of_their_own_on_the_bill() -> None:
    """The bill's service tier says standard beside `speed: fast`; ours are at tier fast, with its prices."""
    true = [replace(line, tier="fast") for line in made.usage("anthropic")]
    words = {"input": "uncached_input_tokens", "cache_read": "cache_read_input_tokens", "output": "output_tokens"}
    common = {
        "service_tier": "standard",
        "speed": "fast",
        "workspace_id": None,
        "description": "x",
        "cost_type": "tokens",
        "currency": "USD",
    }
    costs = [
        {
            "starting_at": f"{line.day}T00:00:00Z",
            "results": [
                common | {"model": line.model, "token_type": words[line.meter], "amount": f"{made.dollars(line.cost_pico) * 100:f}"}
            ],
        }
        for line in true
    ]
    found = compared(anthropic.reader, made._json({"data": costs, "has_more": False}), true)
    assert (found.gross_pico, found.terms) == (0, dict.fromkeys(CAUSES, 0))
    names = {"claude-sonnet-4-5": "Claude Sonnet 4.5", "claude-haiku-4-5": "Claude Haiku 4.5"}
    kinds = {"input": "input_no_cache", "cache_read": "input_cache_read", "output": "output"}
    [line] = anthropic.reader.read(
        Payload(
            "c.csv",
            body=made._csv([{
                "usage_date_utc": true[0].day, "model": names[true[0].model], "workspace": "Default", "usage_type": "message",
                "token_type": kinds[true[0].meter], "cost_usd": "1.00", "list_price_usd": "1.00", "cost_type": "token", "speed": "fast",
            }]),
        )
    ).lines  # fmt: skip
    assert line.tier == "fast"


def test_the_csv_of_openrouters_activity_page() -> None:
    rows = [
        {
            "Date": f"{one['date']} 00:00:00", "Slug": one["model_permaslug"], "Usage": f"{one['usage']:f}", "BYOK Usage": "0", "Requests": "3",
            "Prompt Tokens": one["prompt_tokens"], "Completion Tokens": one["completion_tokens"], "Reasoning Tokens": "0",
        }
        for one in json.loads(made.openrouter(made.usage("openrouter")), parse_float=Decimal)["data"]
    ]  # fmt: skip
    found = compared(openrouter.reader, made._csv(rows), made.usage("openrouter"))
    assert (found.gross_pico, found.terms) == (0, dict.fromkeys(CAUSES, 0))


@pytest.mark.parametrize(
    ("name", "model", "meter", "tier"),
    [
        ("gpt 4o mini0718 BatchOutp DataZone Tokens", "gpt 4o mini0718", "output", "batch"),
        ("gpt 4o 0806 cached Inp Data Zone Tokens", "gpt 4o 0806", "cache_read", None),
        ("GPT 5 Nano Batch Inpt cchd Dzone 1M Tokens", "GPT 5 Nano", "cache_read", "batch"),
        ("gpt 5 mini cchd inpt glbl 1M Tokens", "gpt 5 mini", "cache_read", None),
    ],
)
def test_meters_as_azure_abbreviates_them(name: str, model: str, meter: str, tier: str | None) -> None:
    row = {
        "Date": "10/01/2026",
        "MeterCategory": "Foundry Models",
        "MeterName": name,
        "Quantity": "1",
        "Cost": "1",
        "BillingCurrency": "USD",
    }
    [line] = azure.reader.read(Payload("azure.csv", body=made._csv([row | {"UnitOfMeasure": "1M", "ChargeType": "Usage"}]))).lines
    assert (line.model, line.meter, line.tier, line.quantity) == (model, meter, tier, 10**6)


@pytest.mark.parametrize(
    ("product", "name", "ours", "meter", "tier"),
    [
        ("Azure OpenAI GPT5", "GPT 5.1 opt Gl 1M Tokens", "gpt-5.1-2025-11-13", "output", None),
        ("Azure OpenAI GPT5", "GPT 5.1 Batch inp Rg 1M Tokens", "gpt-5.1-2025-11-13", "input", "batch"),
        ("Azure OpenAI GPT5", "5.2 chat 0210 cd inp Gl 1M Tokens", "gpt-5.2-chat-2026-02-10", "cache_read", None),
        ("Azure OpenAI GPT5", "5 mini pp cd Inp Dz 1M Tokens", "gpt-5-mini-2025-08-07", "cache_read", "priority"),
        ("Azure OpenAI GPT5", "5.4 longco inp Dz 1M Tokens", "gpt-5.4", "input", None),
        ("Azure OpenAI GPT5", "5.6 sol ShortCo Cd Wr Std Gl 1M Tokens", "gpt-5.6-sol", "cache_write", None),
        ("Azure OpenAI GPT6", "6-luna ShortCo Opt Std DZ 1M Tokens", "gpt-6-luna", "output", None),
        ("Azure OpenAI GPT5", "gpt-5-codex-ccchd-inp-glbl Tokens", "gpt-5-codex", "cache_read", None),
        ("Azure OpenAI Reasoning", "o4-mini 0416 Outp glbl Tokens", "o4-mini-2025-04-16", "output", None),
        ("Azure OpenAI Embedding", "text embedding 3 large DZ Tokens", "text-embedding-3-large", "input", None),
        ("Azure Deepseek Models", "V4 Pro cached glbl Tokens", "DeepSeek-V4-Pro", "cache_read", None),
        ("Azure Grok Models", "4.3 Inp Glbl L Tokens", "grok-4.3", "input", None),
        ("Azure Kimi", "K2.7 Code Outp glbl Tokens", "Kimi-K2.7-Code", "output", None),
    ],
)
def test_meters_that_leave_the_family_to_their_product(product: str, name: str, ours: str, meter: str, tier: str | None) -> None:
    """The newest meters of Foundry: `opt` is output, `cd` cached, and GPT is named by the product alone."""
    actual = {
        "Date": "10/01/2026",
        "MeterCategory": "Foundry Models",
        "MeterSubCategory": product,
        "MeterName": name,
        "Quantity": "1",
        "Cost": "1",
    }
    actual |= {"BillingCurrency": "USD", "UnitOfMeasure": "1M", "ChargeType": "Usage"}
    exported = {
        "BilledCost": "1", "BillingCurrency": "USD", "ChargeCategory": "Usage", "ChargePeriodStart": "2026-10-01T00:00:00Z", "ProviderName": "Microsoft",
        "ServiceName": "Foundry Models", "ServiceCategory": "AI and Machine Learning", "x_SkuMeterSubcategory": product, "x_SkuMeterName": name,
        "ConsumedQuantity": "1", "ConsumedUnit": "1M",
    }  # fmt: skip
    for reader, row in ((azure.reader, actual), (focus.reader, exported)):
        [line] = reader.read(Payload("bill.csv", body=made._csv([row]))).lines
        assert (words_of(line.model), line.meter, line.tier, line.quantity) == (words_of(ours), meter, tier, 10**6)


@pytest.mark.parametrize(
    ("usage_type", "ours", "meter", "tier"),
    [
        (
            "USE1-Claude4.6Opus-cache-write-1h-input-token-count-cross-region-global",
            "global.anthropic.claude-opus-4-6-v1",
            "cache_write_1h",
            None,
        ),
        ("USW2-Nova2.0Lite-input-tokens-priority-cross-region-global", "amazon.nova-2-lite-v1:0", "input", "priority"),
        ("USE1-Llama4-Maverick-17B-input-tokens-batch", "meta.llama4-maverick-17b-instruct-v1:0", "input", "batch"),
        ("USE1-Claude3-5Haiku-output-tokens-latency-optimized", "us.anthropic.claude-3-5-haiku-20241022-v1:0", "output", None),
        ("UGW1-openai.gpt-5.6-terra-mantle-cache-write-tokens-30m-long-ctx-standard", "openai.gpt-5.6-terra", "cache_write", None),
        ("UGW1-openai.gpt-5.6-terra-mantle-output-tokens-long-ctx-standard", "openai.gpt-5.6-terra", "output", None),
    ],
)
def test_usage_types_of_bedrock(usage_type: str, ours: str, meter: str, tier: str | None) -> None:
    row = made.aws_rows(made.usage("aws"))[0] | {"line_item_usage_type": usage_type}
    [line] = aws.reader.read(Payload("cur.csv", body=made._csv([row]))).lines
    own, billed = matched_names([ours, "anthropic.claude-haiku-4-5"], [line.model])
    assert (billed[line.model], line.meter, line.tier) == (own[ours], meter, tier)


def test_a_word_that_bills_leave_out_counts_where_both_are_billed() -> None:
    assert matched_names(["gemini-3-pro-preview"], ["Gemini 3 Pro"])[1] == {"Gemini 3 Pro": "gemini-3-pro-preview"}
    assert matched_names(["o1-preview"], ["o1", "o1 preview"])[1] == {"o1": "o1", "o1 preview": "o1-preview"}
    assert matched_names(["o1-preview", "o1"], ["o1", "o1 preview"])[1] == {"o1": "o1", "o1 preview": "o1-preview"}


@pytest.mark.parametrize(
    ("sku", "model", "meter"),
    [
        ("Gemini 2.5 Flash GA Text Input - Predictions", "Gemini 2.5 Flash", "input"),
        ("Gemini 2.5 Flash GA Thinking Text Output - Predictions", "Gemini 2.5 Flash", "output"),
        ("Gemini 2.5 Flash Text Output (Thinking On) - Predictions", "Gemini 2.5 Flash", "output"),
        ("Gemini 2.5 Pro Text Input (Long) - Predictions", "Gemini 2.5 Pro", "input"),
        ("Gemini 2.5 Pro Text Input Caching", "Gemini 2.5 Pro", "cache_read"),
        ("Generate content input token count gemini 3.1 flash lite preview text", "gemini 3.1 flash lite preview", "input"),
        ("Generate content output token count gemini 2.5 flash short input text", "gemini 2.5 flash", "output"),
        ("Generate content input token count gemini 2.5 flash input audio", "gemini 2.5 flash", "audio_input"),
        ("Generate content input token count gemini 3.7 flash image flex caching", "gemini 3.7 flash", "cache_read"),
        ("Generate content cached input token count gemini 3.6 flash text", "gemini 3.6 flash", "cache_read"),
        ("Generate_content_cached_input_token_count_gemini_3_pro_short_image", "gemini 3 pro", "cache_read"),
        ("Generate_content image output token count for Gemini 3 Pro Image", "Gemini 3 Pro Image", "image_output"),
        ("Generate_content text output token count for gemini 3 flash batch", "gemini 3 flash", "output"),
    ],
)
def test_skus_of_google(sku: str, model: str, meter: str) -> None:
    row = made.gcp_rows(made.usage("gcp"))[0] | {"sku": {"description": sku}}
    [line] = gcp.reader.read(Payload("gcp.jsonl", body=made._json(row))).lines
    assert (line.model, line.meter) == (model, meter)
