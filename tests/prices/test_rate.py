"""Exact rating: the published cases with known answers, and the rules that are easy to get wrong."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governor.prices.book import PriceBook, Rates, Unpriced
from governor.prices.exposure import exposure
from governor.prices.price import price_of
from governor.prices.rate import Usage, _total, linear, rate_group, rate_usage, round_half_even

GAUNTLET = Path(__file__).parents[2] / "../shared/data/prices/price_gauntlet_cases.json"
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def row(meter: str, amount: str, **changes: Any) -> dict[str, Any]:
    return {"kind": "list", "provider": "openai", "model": "m", "meter": meter, "amount": amount, "per": 1_000_000} | changes


def rates_of(*rows: dict[str, Any], tier: str = "") -> Rates:
    found = PriceBook(rows).lookup("openai", "m", NOW, tier)
    assert isinstance(found, Rates), found
    return found


def gauntlet() -> list[Any]:
    if not GAUNTLET.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason="../shared/data/prices is not here"))]
    cases = json.loads(GAUNTLET.read_text())["cases"]
    return [pytest.param(case, id=case["id"]) for case in cases if "prices" in case]


@pytest.mark.parametrize("case", gauntlet())
def test_published_cases_are_reproduced_exactly(case: dict[str, Any]) -> None:
    rows = []
    bands = sorted(int(key.removeprefix("above_")) for key in case["prices"] if key.startswith("above_"))
    names = {"cache_write_5m": "cache_write"}
    for meter, amount in case["prices"].items():
        if isinstance(amount, str) and meter != "rule":
            rows.append(row(names.get(meter, meter), amount, context_max=bands[0] + 1 if bands else None))
    for threshold in bands:
        rows += [
            row(names.get(meter, meter), amount, context_min=threshold + 1)
            for meter, amount in case["prices"][f"above_{threshold}"].items()
        ]
    used = case["usage"]
    written, long = used.get("cache_write_5m", 0) + used.get("cache_write_1h", 0), used.get("cache_write_1h", 0)
    total = used["input"] if "input" in used else used["input_uncached"] + written + used.get("cache_read", 0)
    usage = Usage(total, used["output"], used.get("cache_read"), written, long, used.get("reasoning"))
    rated = rate_usage(rates_of(*rows), usage)
    assert Fraction(rated.list_pico or 0, 10**12) == Fraction(Decimal(case["expect_usd"]))


def test_cached_and_image_tokens_that_overlap_are_unpriced_not_guessed() -> None:
    """The xAI incident: cached and image counts overlap by an unknown amount; adding them up was 72% over the bill."""
    rates = rates_of(row("input", "2"), row("output", "10"), row("cache_read", "0.5"), row("image_input", "5"))
    rated = rate_usage(rates, Usage(1000, 10, cache_read_tokens=600, image_input_tokens=700))
    assert (rated.status, rated.reason) == ("unpriced", "unknown_usage")


def test_cache_writes_without_their_own_price_cost_the_input_rate_and_say_so() -> None:
    """The dropped cache_write_tokens incident: the tokens are part of the input and must not vanish from the cost."""
    rated = rate_usage(rates_of(row("input", "2"), row("output", "8"), row("cache_read", "0.5")), Usage(1000, 0, 200, 300))
    assert rated.list_pico == 500 * 2_000_000 + 200 * 500_000 + 300 * 2_000_000
    assert rated.notes == ("cache_write at the input rate",)
    assert [(part.meter, part.quantity) for part in rated.parts] == [("input", 500), ("cache_read", 200), ("cache_write", 300)]


def test_reconciling_per_token_class_finds_what_totals_hide() -> None:
    """73,550 in and 20,480 out agree on both sides; 49,563 cached at the gateway against 65,304 billed is 8.5% of the cost."""
    rates = rates_of(row("input", "5"), row("cache_read", "0.5"), row("output", "30"))
    gateway, bill = (rate_usage(rates, Usage(73_550, 20_480, cached)) for cached in (49_563, 65_304))
    assert (gateway.list_pico or 0) - (bill.list_pico or 0) == (65_304 - 49_563) * 4_500_000


@pytest.mark.parametrize(
    ("usage", "reason"),
    [
        (Usage(None, 5), "unknown_usage"),
        (Usage(5, None), "unknown_usage"),
        (Usage(10, 5, cache_read_tokens=11), "unknown_usage"),
        (Usage(10, 5, audio_output_tokens=6), "unknown_usage"),
    ],
)
def test_usage_that_is_unknown_or_impossible_is_unpriced(usage: Usage, reason: str) -> None:
    rated = rate_usage(rates_of(row("input", "1"), row("output", "1")), usage)
    assert (rated.status, rated.reason, rated.list_pico) == ("unpriced", reason, None)


def test_an_embedding_needs_no_output_count() -> None:
    assert rate_usage(rates_of(row("input", "0.02")), Usage(1000, None)).list_pico == 1000 * 20_000


def test_a_meter_without_any_price_is_unpriced() -> None:
    rated = rate_usage(rates_of(row("output", "1")), Usage(10, 5))
    assert (rated.reason, rated.detail) == ("no_meter_price", "no input price for openai/m")


def test_requests_are_charged_beside_tokens() -> None:
    rates = rates_of(row("input", "1"), row("output", "1"), row("request", "12", per=1000))
    assert rate_usage(rates, Usage(10, 10, requests=1)).list_pico == 20 * 1_000_000 + 12 * 10**9


def test_the_reason_says_what_is_unknown() -> None:
    book = PriceBook([row("input", "1"), row("input", "1", provider="anthropic", currency="EUR")])
    reasons = [
        book.lookup(provider, model, NOW)
        for provider, model in [("openai", "x"), ("who", "m"), (None, "m"), ("openai", None), ("anthropic", "m")]
    ]
    assert [found.reason if isinstance(found, Unpriced) else "" for found in reasons] == [
        "unknown_model", "unknown_provider", "unknown_provider", "unknown_model", "currency",
    ]  # fmt: skip


def test_the_reason_is_the_same_on_every_day() -> None:
    """Days apart, calls of a tier without a price are one row of a statement."""
    book = PriceBook([row("input", "1")])
    found = {str(book.lookup("openai", "m", NOW + timedelta(days=days), "batch")) for days in (0, 1, 9)}
    assert len(found) == 1
    assert "'batch' of openai/m" in found.pop()


def test_one_call_is_rounded_once_half_to_even_and_parts_add_up() -> None:
    rates = rates_of(row("input", "0.0000005"), row("output", "0.0000005"))  # half a pico-USD a token
    assert not linear(rates)
    for tokens, total in [((1, 0), 0), ((3, 0), 2), ((1, 1), 1), ((1, 2), 2), ((5, 0), 2)]:
        rated = rate_usage(rates, Usage(*tokens))
        assert rated.list_pico == total
        assert sum(part.list_pico for part in rated.parts) == total


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**5), st.floats(0, 1)), min_size=1, max_size=30))
def test_a_linear_sum_costs_what_its_calls_cost(calls: list[tuple[int, int, float]]) -> None:
    book = PriceBook([row("input", "0.15"), row("output", "0.6"), row("cache_read", "0.075")])
    rates = book.lookup("openai", "m", NOW)
    assert isinstance(rates, Rates)
    assert linear(rates)
    usages = [Usage(given_in, out, int(given_in * share)) for given_in, out, share in calls]
    together = Usage(
        sum(u.input_tokens or 0 for u in usages), sum(u.output_tokens or 0 for u in usages), sum(u.cache_read_tokens or 0 for u in usages)
    )
    assert rate_usage(rates, together, context_tokens=0).list_pico == sum(rate_usage(rates, usage).list_pico or 0 for usage in usages)


def test_a_group_at_a_finer_rate_says_it_was_rounded_once() -> None:
    book = PriceBook([row("input", "0.0000005"), row("output", "1")])
    assert rate_group(book, "openai", "m", NOW, Usage(10, 0, requests=5)).notes == (
        "rate finer than a pico-USD per token: rounded once for the group",
    )


def test_bands_are_whole_request_and_inclusive_below() -> None:
    book = PriceBook([row("input", "3", context_max=200_001), row("input", "6", context_min=200_001)])
    assert book.bands() == [200_001]
    rates = book.lookup("openai", "m", NOW)
    assert [rate_usage(rates, Usage(n, None)).list_pico for n in (200_000, 200_001)] == [200_000 * 3_000_000, 200_001 * 6_000_000]


def test_exposure_is_the_range_over_known_models_of_the_provider() -> None:
    models = {"a": "1", "b": "2", "c": "90"}
    book = PriceBook(
        [row(meter, amount, model=model) for model, amount in models.items() for meter in ("input", "output")]
        + [row(meter, "1000", provider="other", model="z") for meter in ("input", "output")]
    )
    found = exposure(book, "openai", NOW, Usage(100, 0))
    assert (found.low_pico, found.middle_pico, found.high_pico, found.models) == (100 * 10**6, 200 * 10**6, 9000 * 10**6, 3)
    assert exposure(book, "nobody", NOW, Usage(100, 0)).models == 4
    assert exposure(book, "openai", NOW, Usage(None, None)).models == 0


def test_halves_round_to_even() -> None:
    assert [round_half_even(value, 2) for value in (1, 3, 5, -1, -3)] == [0, 2, 2, 0, -2]


def test_a_float_amount_is_refused() -> None:
    with pytest.raises(Exception, match="decimal text"):
        price_of(row("input", 0.1))  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(0, 10**12), st.decimals("0", "99", places=9), st.sampled_from([1, 1000, 1_000_000, 7])), max_size=5))
def test_a_total_in_whole_numbers_is_that_of_fractions(drawn: list[tuple[int, Decimal, int]]) -> None:
    pieces = [(quantity, price_of(row("input", str(amount), per=per))) for quantity, amount, per in drawn]
    exact = [price.pico * quantity for quantity, price in pieces]
    floors = [part.numerator // part.denominator for part in exact]
    total = round(sum(exact, Fraction(0)))
    for index in sorted(range(len(exact)), key=lambda index: (floors[index] - exact[index], index))[: total - sum(floors)]:
        floors[index] += 1
    assert _total(pieces) == (total, floors)
