"""Charges that were got wrong in public, reproduced to the last digit; and the shape of each incident by itself."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.bills.anthropic import reader as anthropic_bill
from governor.chargeback.reconciliation.bill import BillLine
from governor.chargeback.reconciliation.bridge import reconcile
from governor.chargeback.reconciliation.cells import UsageLine
from governor.ports import Payload
from governor.prices.book import PriceBook
from governor.prices.price import PICO, Price, price_of
from governor.prices.rate import Rated, Usage, rate_group, reported

AT = datetime(2026, 11, 1, tzinfo=UTC)
SHARED = Path(os.environ.get("GOVERNOR_SHARED", Path(__file__).parents[3] / "shared")) / "data/prices/price_gauntlet_cases.json"
BAND = 200_001


def rows(prices: Mapping[str, str], low: int = 0, high: int | None = None) -> list[Price]:
    common = {"kind": "list", "provider": "p", "model": "m", "per": 1_000_000, "context_min": low, "context_max": high}
    return [price_of(common | {"meter": meter, "amount": amount}) for meter, amount in prices.items()]


def cost(prices: list[Price], usage: Usage) -> Rated:
    return rate_group(PriceBook(prices), "p", "m", AT, usage)


def usd(rated: Rated) -> Decimal:
    assert rated.list_pico is not None, rated
    return Decimal(rated.list_pico) / PICO


def book_of(prices: Mapping[str, Any]) -> list[Price]:
    above = next((name for name in prices if name.startswith("above_")), None)
    plain = {name: amount for name, amount in prices.items() if isinstance(amount, str) and name != "rule"}
    if above is None:
        return rows(plain)
    threshold = int(above.removeprefix("above_")) + 1
    return [*rows(plain, 0, threshold), *rows(prices[above], threshold)]


def usage_of(told: Mapping[str, int]) -> Usage:
    written = told.get("cache_write_5m", 0) + told.get("cache_write_1h", 0)
    total = told["input"] if "input" in told else told["input_uncached"] + written + told.get("cache_read", 0)
    return Usage(
        total, told["output"], cache_read_tokens=told.get("cache_read"), cache_write_tokens=written or None,
        cache_write_1h_tokens=told.get("cache_write_1h"), reasoning_tokens=told.get("reasoning"),
    )  # fmt: skip


def cases() -> list[Any]:
    if not SHARED.is_file():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"../shared/data/prices/{SHARED.name} is not here"))]
    found = json.loads(SHARED.read_text(), parse_float=Decimal)["cases"]
    return [pytest.param(case, id=case["id"]) for case in found if "expect_usd" in case]


@pytest.mark.parametrize("case", cases())
def test_every_case_with_an_amount(case: dict[str, Any]) -> None:
    if "payload" in case:
        body = json.dumps(
            {"data": [{"starting_at": "2026-10-01T00:00:00Z", "ending_at": "2026-10-02T00:00:00Z",
             "results": [case["payload"] | {"description": "Claude Sonnet 4 Usage - Input Tokens", "cost_type": "tokens", "model": "claude-sonnet-4",
             "token_type": "uncached_input_tokens", "service_tier": "standard", "context_window": "0-200k", "workspace_id": None}]}], "has_more": False}
        )  # fmt: skip
        (line,) = anthropic_bill.read(Payload(uri="cost.json", body=body.encode())).lines
        assert (line.amount, line.currency) == (Decimal(case["expect_usd"]), "USD")
        return
    assert usd(cost(book_of(case["prices"]), usage_of(case["usage"]))) == Decimal(case["expect_usd"])


def test_reasoning_is_inside_output() -> None:
    prices = rows({"input": "0.05", "output": "0.40"})
    assert usd(cost(prices, Usage(17, 482, reasoning_tokens=448))) == Decimal("0.00019365")
    assert cost(prices, Usage(17, 482, reasoning_tokens=448)) == cost(prices, Usage(17, 482))


def test_reasoning_with_a_price_of_its_own_is_output_no_more() -> None:
    prices = rows({"input": "1", "output": "4", "reasoning": "7"})
    assert usd(cost(prices, Usage(10, 100, reasoning_tokens=30))) == Decimal("0.0005")  # (10 + 70 * 4 + 30 * 7) / 10^6


def test_spoken_and_drawn_output_are_taken_off_the_text() -> None:
    prices = rows({"input": "1", "output": "4", "audio_output": "20", "image_output": "30"})
    found = cost(prices, Usage(0, 100, audio_output_tokens=10, image_output_tokens=20))
    assert {part.meter: part.quantity for part in found.parts} == {"output": 70, "audio_output": 10, "image_output": 20}
    assert usd(found) == Decimal("0.00108")


def test_cached_and_heard_tokens_overlap_also_where_only_the_contract_prices_sound() -> None:
    prices = [*rows({"input": "3", "cache_read": "0.3", "output": "15"})]
    sound = price_of({"kind": "contract", "provider": "p", "model": "m", "per": 1_000_000, "meter": "audio_input", "amount": "9"})
    assert cost([*prices, sound], Usage(100, 0, cache_read_tokens=50, audio_input_tokens=60)).reason == "unknown_usage"
    assert cost(prices, Usage(100, 0, cache_read_tokens=50, audio_input_tokens=60)).status == "priced"


def test_marginal_bands_of_the_list_and_of_the_contract_are_each_cut_at_their_own_price() -> None:
    low, high = {"band_rule": "marginal", "context_max": BAND}, {"band_rule": "marginal", "context_min": BAND}
    prices = [
        price_of({"kind": kind, "provider": "p", "model": "m", "per": 1_000_000, "meter": "input", **band, "amount": amount})
        for kind, band, amount in (("list", low, "3"), ("list", high, "6"), ("contract", low, "2"), ("contract", high, "5"))
    ]
    found = cost([*prices, *rows({"output": "15"})], Usage(300_000, 0))
    assert (found.list_pico, found.contracted_pico) == (1_200_000_000_000, 900_000_000_000)


def test_the_whole_request_changes_price_one_token_above_the_threshold() -> None:
    prices = book_of({"input": "3", "output": "15", "above_200000": {"input": "6", "output": "22.5"}})
    assert [usd(cost(prices, Usage(tokens, 1000))) for tokens in (200_000, 200_001)] == [Decimal("0.615"), Decimal("1.222506")]


def test_a_marginal_band_takes_only_what_is_beyond_it() -> None:
    low, high = {"band_rule": "marginal", "context_max": BAND}, {"band_rule": "marginal", "context_min": BAND}
    common = {"kind": "list", "provider": "p", "model": "m", "per": 1_000_000, "meter": "input"}
    prices = [price_of(common | low | {"amount": "3"}), price_of(common | high | {"amount": "6"}), *rows({"output": "15"})]
    assert [usd(cost(prices, Usage(tokens, 0))) for tokens in (200_000, 200_001, 300_000)] == [
        Decimal("0.6"),
        Decimal("0.600006"),
        Decimal("1.2"),
    ]
    book = PriceBook(prices)
    several = rate_group(book, "p", "m", AT, Usage(500_001, 0, requests=2), context_tokens=BAND)
    assert several.list_pico == sum(cost(prices, Usage(tokens, 0)).list_pico or 0 for tokens in (200_001, 300_000))
    cached = rate_group(
        PriceBook([*prices, *rows({"cache_read": "1"})]), "p", "m", AT, Usage(500_001, 0, 10, requests=2), context_tokens=BAND
    )
    assert (cached.status, cached.reason) == ("unpriced", "unknown_usage"), "not guessed"


def test_lesson_the_two_bands_are_never_mixed_in_one_request() -> None:
    prices = book_of(
        {"input": "1.25", "cache_read": "0.31", "output": "10", "above_200000": {"input": "2.50", "cache_read": "0.625", "output": "15"}}
    )
    found = cost(prices, Usage(262_960, 1744, cache_read_tokens=257_955))
    assert usd(found) == Decimal("0.199894375")
    assert {part.list_price.context_min for part in found.parts} == {BAND}
    counted_twice = 262_960 * Decimal("2.50") + 257_955 * Decimal("0.625") + 1744 * 15
    assert usd(found) < counted_twice / 10**6, "cached tokens are inside the input, not beside it"


def test_lesson_overlapping_cached_and_image_tokens_take_the_providers_own_charge() -> None:
    prices = rows({"input": "3", "cache_read": "0.75", "image_input": "3", "output": "15"})
    book = cost(prices, Usage(1000, 100, cache_read_tokens=700, image_input_tokens=600))
    assert (book.status, book.reason) == ("unpriced", "unknown_usage")
    taken = reported("x_ai", "grok-4", 3_092_000_000, book)
    assert (taken.status, usd(taken)) == ("priced_by_provider", Decimal("0.003092"))
    (part,) = taken.parts
    assert part.contract_price.pico * part.quantity == taken.contracted_pico, "the line multiplies out"


def test_lesson_a_shortfall_of_cache_reads_shows_in_its_own_token_class() -> None:
    prices = rows({"input": "2.50", "cache_read": "1.25", "output": "10"})
    gateway, provider = (cost(prices, Usage(73_550, 20_480, cache_read_tokens=cached)) for cached in (49_563, 65_304))
    parts = [{part.meter: part.quantity for part in found.parts} for found in (gateway, provider)]
    assert parts[0]["output"] == parts[1]["output"]
    assert parts[1]["cache_read"] - parts[0]["cache_read"] == parts[0]["input"] - parts[1]["input"] == 65_304 - 49_563
    assert usd(gateway) - usd(provider) == Decimal(65_304 - 49_563) * Decimal("1.25") / 10**6


def test_lesson_cache_writes_that_are_dropped_understate_the_cost() -> None:
    prices = rows({"input": "2", "cache_write": "2.5", "output": "8"})
    with_writes, without = (cost(prices, Usage(10_000, 0, cache_write_tokens=written)) for written in (4_000, None))
    assert usd(with_writes) - usd(without) == Decimal("0.5") * 4_000 / 10**6


def test_lesson_traffic_beside_the_gateway_is_no_price_gap() -> None:
    ours = UsageLine("2026-10-01", "openai", (), "gpt-4o", "input", "", 1_000_000, 26_740_000_000_000, 26_740_000_000_000)
    billed = [
        BillLine("2026-10-01", "openai", "", "gpt-4o", "input", "", "usage", "USD", Decimal("26.74"), Decimal(1_000_000)),
        BillLine("2026-10-01", "openai", "", "gpt-4.1", "input", "", "usage", "USD", Decimal("743.26"), Decimal(371_630_000)),
    ]
    found = reconcile("2026-10", [ours], billed, now=datetime(2026, 11, 20, tzinfo=UTC))
    assert {cause: pico for cause, pico in found.terms.items() if pico} == {"not_captured": 743_260_000_000_000}


def test_units_other_than_tokens_are_priced_where_a_price_exists() -> None:
    image = price_of({"kind": "list", "provider": "p", "model": "m", "meter": "image", "amount": "0.025", "per": 1})
    assert usd(cost([image], Usage(None, None, counts=(("unit", 4),)))) == Decimal("0.1")
    assert usd(cost([image], Usage(None, None, counts=(("image", 3),)))) == Decimal("0.075")
    assert cost([image], Usage(None, None, counts=(("second", 3),))).reason == "no_meter_price"
    minute = price_of({"kind": "list", "provider": "p", "model": "m", "meter": "second", "amount": "0.017", "per": 60})
    assert usd(cost([minute], Usage(None, None, counts=(("unit", 60),)))) == Decimal("0.017"), "an amount for a block, never a quotient"
    assert cost([image, minute], Usage(None, None, counts=(("unit", 60),))).reason == "no_meter_price", "which unit is not guessed"
