"""What LiteLLM's map asks for images, seconds, pages and searches: kinds of call beside its calculator's sum, and where the vendor's page differs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from governor.prices.book import PriceBook
from governor.prices.formats import read_prices
from governor.prices.litellm_units import shortest
from governor.prices.rate import Usage, rate_usage

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SIZES = {"search_context_size_low": 0.006, "search_context_size_medium": 0.01, "search_context_size_high": 0.014}
FREE = {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
TOKENS = {"input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06}
SPENT = Fraction(1000 * 2 + 100 * 8, 10**6)


def usage(counts: Mapping[str, Any], *, tokens: bool = False, calls: int = 1) -> Usage:
    return Usage(1000 if tokens else None, 100 if tokens else None, requests=calls, counts=tuple(counts.items()))


@pytest.mark.parametrize(
    ("provider", "mode", "fields", "used", "usd"),
    [
        pytest.param("azure", "image_generation", {"output_cost_per_image": 0.04}, usage({"image": 3}), Fraction("0.12"), id="images"),
        pytest.param("xai", "image_generation", {"input_cost_per_image": 0.07}, usage({"image": 2}), Fraction("0.14"), id="images-as-input"),
        pytest.param(
            "openai", "image_generation", TOKENS | {"output_cost_per_image": 0.04}, usage({"image": 3}, tokens=True), SPENT, id="image-tokens"
        ),
        pytest.param("openai", "audio_transcription", {"input_cost_per_second": 0.0001, "output_cost_per_second": 0.0001},
                     usage({"second": 27}), Fraction("0.0027"), id="transcription"),
        pytest.param("groq", "audio_transcription", {"input_cost_per_second": 3.083e-05, "output_cost_per_second": 0.0},
                     usage({"second": 60}), Fraction("0.111") / 60, id="vendors-hour-behind-a-rounded-second"),
        pytest.param("openai", "audio_speech", {"input_cost_per_character": 1.5e-05}, usage({"character": 1234}), Fraction("0.01851"), id="speech"),
        pytest.param("cohere", "rerank", FREE | {"input_cost_per_query": 0.002}, usage({"search_unit": 2}, tokens=True), Fraction("0.004"), id="rerank"),
        pytest.param("mistral", "ocr", {"ocr_cost_per_page": 0.004, "annotation_cost_per_page": 0.005},
                     usage({"page": 7, "annotated_page": 2}), Fraction("0.038"), id="pages"),
        pytest.param("openai", "video_generation", {"output_cost_per_video_per_second": 0.3}, usage({"video_second": 8}), Fraction("2.4"), id="video"),
        pytest.param("gemini", "video_generation", {"output_cost_per_second": 0.1, "output_cost_per_second_4k": 0.3},
                     usage({"video_second@4k": 8}), Fraction("2.4"), id="video-by-resolution"),
        pytest.param("bedrock", "embedding", {"input_cost_per_token": 8e-07, "input_cost_per_image": 6e-05, "output_cost_per_token": 0.0},
                     Usage(500, 0, counts=(("input_image", 2),)), Fraction("0.0004") + Fraction("0.00012"), id="embedded-images"),
        pytest.param("anthropic", "chat", TOKENS | {"search_context_cost_per_query": dict.fromkeys(SIZES, 0.01)},
                     usage({"web_search": 3}, tokens=True), SPENT + Fraction("0.03"), id="searches"),
        pytest.param("perplexity", "chat", TOKENS | {"search_context_cost_per_query": SIZES},
                     usage({"request@high": 1}, tokens=True), SPENT + Fraction("0.014"), id="vendors-fee-of-a-request-by-size"),
        pytest.param("openai", "chat", TOKENS | {"search_context_cost_per_query": SIZES},
                     usage({"web_search@low": 2}, tokens=True), SPENT + Fraction("0.012"), id="searches-by-size"),
        pytest.param("gemini", "chat", TOKENS | {"search_context_cost_per_query": dict.fromkeys(SIZES, 0.035), "web_search_billing_unit": "per_query"},
                     usage({"web_search": 4}, tokens=True), SPENT + Fraction("0.14"), id="grounding-by-the-query"),
        pytest.param("xai", "realtime", {"input_cost_per_second": 0.001333333333333, "input_cost_per_text_message": 0.004},
                     usage({"second": 90, "message": 2}), Fraction("4.8") / 40 + Fraction("0.008"), id="voice"),
    ],
)  # fmt: skip
def test_a_call_costs_what_litellms_calculator_says_or_the_vendors_page(
    provider: str, mode: str, fields: dict[str, Any], used: Usage, usd: Fraction
) -> None:
    named = {"gemini-9": {"litellm_provider": provider, "mode": mode} | fields}
    seed = read_prices(json.dumps(named), "map.json")
    found = rate_usage(PriceBook(seed.rows).lookup(provider, "gemini-9", NOW), used)
    assert (found.status, found.list_pico) == ("priced", round(usd * 10**12)), (found.detail, [row.meter for row in seed.rows])


def test_a_size_in_the_name_of_a_model_is_a_price_of_the_model() -> None:
    """DALL-E's pixels are a quotient too; gpt-image is charged by its tokens, which the prices of its sizes only estimate."""
    named = {
        "azure/hd/1024-x-1024/dall-e-3": {"litellm_provider": "azure", "mode": "image_generation", "input_cost_per_pixel": 8.39233e-08},
        "256-x-256/dall-e-2": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 2.4414e-07},
        "gpt-image-1": {"litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image_token": 4e-05},
        "high/1024-x-1024/gpt-image-1": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_image": 0.167},
    }
    seed = read_prices(json.dumps(named), "map.json")
    assert {(row.model, row.meter, row.amount) for row in seed.rows} == {
        ("dall-e-3", "image@1024x1024-hd", "0.088"),
        ("dall-e-2", "image@256x256", "0.016"),
        ("gpt-image-1", "image_output", "40"),
    }
    assert "names with a size whose model is priced by tokens or steps (1)" in seed.notes


def test_older_gemini_grounding_is_charged_by_the_prompt() -> None:
    entry = {"litellm_provider": "gemini", **TOKENS, "search_context_cost_per_query": dict.fromkeys(SIZES, 0.035)}
    seed = read_prices(json.dumps({"gemini-2.5-flash": entry}), "map.json")
    rates = PriceBook(seed.rows).lookup("gcp.gemini", "gemini-2.5-flash", NOW)
    found = rate_usage(rates, Usage(1000, 100, requests=2, counts=(("web_search", 9),)))
    assert found.list_pico == round((SPENT + Fraction("0.07")) * 10**12)


@pytest.mark.parametrize(
    ("amount", "block", "price"),
    [
        ("0.00003083", 3600, "0.111"),
        ("0.0000611", 3600, "0.22"),
        ("0.0001", 3600, "0.36"),
        ("0.000042", 3600, "0.1512"),
        ("0.0000000763", 1024 * 1024, "0.08"),
    ],
)
def test_a_block_is_priced_by_the_amount_behind_a_rounded_quotient(amount: str, block: int, price: str) -> None:
    assert shortest(Decimal(amount), block) == Decimal(price)
