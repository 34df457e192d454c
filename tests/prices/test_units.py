"""What is charged in other units than tokens: alternatives to tokens, fees on top of them, sizes, parts of a second, and what nobody counted."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from governor.errors import Invalid
from governor.prices import units
from governor.prices.book import PriceBook
from governor.prices.price import Price, price_of
from governor.prices.rate import Rated, Usage, rate_usage, refuse_unknown_meter
from governor.prices.units import UNIT_METERS

NOW = datetime(2026, 11, 1, tzinfo=UTC)
TOKENS = {"input": ("2", 10**6), "output": ("8", 10**6)}


def rated(prices: dict[str, tuple[str, int]], usage: Usage) -> Rated:
    rows: list[Price] = [
        price_of({"kind": "list", "provider": "p", "model": "m", "meter": meter, "amount": amount, "per": per})
        for meter, (amount, per) in prices.items()
    ]
    return rate_usage(PriceBook(rows).lookup("p", "m", NOW), usage)


def usd(*parts: tuple[int | str, str, int]) -> int:
    """Pico-USD of (quantity, amount, per), by hand."""
    return round(sum((Fraction(Decimal(many)) * Fraction(Decimal(amount)) / per for many, amount, per in parts), Fraction(0)) * 10**12)


@pytest.mark.parametrize(
    ("prices", "usage", "cost"),
    [
        pytest.param(
            TOKENS | {"web_search": ("10", 1000)},
            Usage(1000, 100, counts=(("web_search", 3),)),
            usd((1000, "2", 10**6), (100, "8", 10**6), (3, "10", 1000)),
            id="tokens-and-searches",
        ),
        pytest.param(
            TOKENS | {"web_searches": ("10", 1000), "storage_searches": ("2.5", 1000)},
            Usage(10, 1, counts=(("web_search", 1), ("file_search", 2))),
            usd((10, "2", 10**6), (1, "8", 10**6), (1, "10", 1000), (2, "2.5", 1000)),
            id="names-of-genai-prices",
        ),
        pytest.param(
            TOKENS | {"web_search": ("14", 1000), "grounded_prompt": ("35", 1000)},
            Usage(30, 3, requests=3, counts=(("web_search", 11),)),
            usd((30, "2", 10**6), (3, "8", 10**6), (3, "35", 1000)),
            id="grounding-is-charged-by-the-prompt",
        ),
        pytest.param(
            TOKENS | {"image": ("0.04", 1)},
            Usage(1000, 100, counts=(("image", 2),)),
            usd((1000, "2", 10**6), (100, "8", 10**6)),
            id="an-image-whose-tokens-are-charged-is-not-charged-again",
        ),
        pytest.param({"image": ("0.04", 1)}, Usage(40, 100, counts=(("image", 2),)), usd((2, "0.04", 1)), id="images-alone-have-a-price"),
        pytest.param(
            {"input": ("0.1", 10**6), "input_image": ("0.00006", 1)},
            Usage(70, None, counts=(("input_image", 2),)),
            usd((70, "0.1", 10**6), (2, "0.00006", 1)),
            id="images-that-are-embedded-come-to-the-text",
        ),
        pytest.param({"search_unit": ("2", 1000)}, Usage(900, 0, counts=(("search_unit", 2),)), usd((2, "2", 1000)), id="a-reranker"),
        pytest.param({"second": ("0.36", 3600)}, Usage(None, None, counts=(("second", 27),)), usd((27, "0.36", 3600)), id="seconds"),
        pytest.param(
            {"audio_seconds": ("0.36", 3600)},
            Usage(None, None, counts=(("second", Decimal("12.345")),)),
            usd(("12.345", "0.36", 3600)),
            id="parts-of-a-second",
        ),
        pytest.param(
            {"image@1024x1024-hd": ("0.08", 1), "image@1024x1024": ("0.04", 1)},
            Usage(None, None, counts=(("image@1024x1024-hd", 3),)),
            usd((3, "0.08", 1)),
            id="a-size-with-a-price-of-its-own",
        ),
        pytest.param(
            {"video_second": ("0.1", 1)},
            Usage(None, None, counts=(("video_second@720p", 8),)),
            usd((8, "0.1", 1)),
            id="sizes-that-cost-alike",
        ),
        pytest.param(
            TOKENS | {"request": ("12", 1000), "request@low": ("5", 1000)},
            Usage(100, 10, counts=(("request@low", 1),)),
            usd((100, "2", 10**6), (10, "8", 10**6), (1, "5", 1000)),
            id="a-request-of-a-size-in-place-of-a-request",
        ),
        pytest.param(
            TOKENS | {"audio_input": ("32", 10**6), "cache_read": ("0.4", 10**6), "cache_audio_read_tokens": ("0.3", 10**6)},
            Usage(
                1000, 10, cache_read_tokens=600, audio_input_tokens=700, counts=(("cached_audio_tokens", 500), ("cached_image_tokens", 0))
            ),
            usd((200, "2", 10**6), (100, "0.4", 10**6), (500, "0.3", 10**6), (200, "32", 10**6), (10, "8", 10**6)),
            id="cached-audio",
        ),
    ],
)
def test_units_are_charged_as_written_out(prices: dict[str, tuple[str, int]], usage: Usage, cost: int) -> None:
    found = rated(prices, usage)
    assert (found.status, found.list_pico, found.contracted_pico) == ("priced", cost, cost), found.detail
    for part in found.parts:
        assert part.list_pico == round(part.quantity * part.list_price.pico), "each line multiplies out"


@pytest.mark.parametrize(
    ("prices", "usage", "reason", "words"),
    [
        pytest.param({"image": ("1", 1)}, Usage(None, None), "unknown_usage", "how many: image", id="images-nobody-counted"),
        pytest.param({"second": ("1", 1)}, Usage(50, 5), "unknown_usage", "how many: second", id="tokens-of-what-is-priced-by-the-second"),
        pytest.param(
            TOKENS | {"web_search": ("10", 1000)},
            Usage(1, 1, counts=(("web_search", None),)),
            "unknown_usage",
            "how many: web search",
            id="searches-nobody-counted",
        ),
        pytest.param(TOKENS, Usage(1, 1, counts=(("web_search", 1),)), "no_meter_price", "no web_search price", id="a-fee-without-a-price"),
        pytest.param(
            {"image@1024x1024-hd": ("1", 1)},
            Usage(None, None, counts=(("image@256x256", 1),)),
            "no_meter_price",
            "image@256x256",
            id="a-size-that-is-not-listed",
        ),
        pytest.param(
            {"image": ("1", 1)}, Usage(None, None, counts=(("image", Decimal("1.5")),)), "unknown_usage", "1.5", id="half-an-image"
        ),
    ],
)
def test_what_is_not_known_is_no_zero(prices: dict[str, tuple[str, int]], usage: Usage, reason: str, words: str) -> None:
    found = rated(prices, usage)
    assert (found.status, found.reason, found.list_pico) == ("unpriced", reason, None)
    assert words in found.detail


def test_a_price_for_a_size_is_a_meter_and_one_for_no_size_is_none() -> None:
    for meter in (*UNIT_METERS, "image@1024x1024-hd", "request@low"):
        refuse_unknown_meter(meter, "here")
    for meter in ("image@", "input@low", "picture@big"):
        with pytest.raises(Invalid):
            refuse_unknown_meter(meter, "here")


def test_a_container_is_priced_by_its_own_entry_whichever_model_asked_for_it() -> None:
    """OpenAI's list says once what a session costs, under a model called container; a model's own price stands before it."""
    prices = {"m": TOKENS, "own": TOKENS | {"session": ("1", 1)}, "container": {"session": ("0.03", 1)}}
    book = PriceBook(
        price_of({"kind": "list", "provider": "openai", "model": model, "meter": meter, "amount": amount, "per": per})
        for model, meters in prices.items()
        for meter, (amount, per) in meters.items()
    )
    usage = Usage(1000, 100, counts=(("session", 2),))
    tokens = [(1000, "2", 10**6), (100, "8", 10**6)]
    for model, amount in (("m", "0.03"), ("own", "1")):
        assert rate_usage(book.lookup("openai", model, NOW), usage).contracted_pico == usd(*tokens, (2, amount, 1))
    assert rate_usage(book.lookup("openai", "unknown", NOW), usage).status == "unpriced"


def test_what_a_model_is_priced_by_is_found_once_for_all_rows_of_a_month(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(units, "names_of", lambda meter, real=units.names_of: looked.append(meter) or real(meter))
    rows = [
        price_of({"kind": "list", "provider": "p", "model": "m", "meter": meter, "amount": "1", "per": 7 * 10**6})
        for meter in ("input", "output", "cache_write_1h", "image@9x9")
    ]
    rates = PriceBook(rows).lookup("p", "m", NOW)
    costs = {rate_usage(rates, Usage(number, 1)).list_pico for number in range(1, 200)}
    assert len(costs) == 199
    assert len(looked) <= 2 * len(UNIT_METERS)
