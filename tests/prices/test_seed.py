"""The frozen book prices what genai-prices itself prices: the package is the outside reference, asked only here."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices.data_snapshot import get_snapshot

from governor.prices.book import PriceBook, Rates, Unpriced
from governor.prices.names import canonical_provider
from governor.prices.rate import Usage, rate_usage
from governor.prices.seed import DOORS, Seed, genai_seed

INSTANTS = [datetime(2025, 3, 1, 12, tzinfo=UTC), datetime(2026, 9, 1, 12, tzinfo=UTC), datetime(2026, 11, 3, 12, tzinfo=UTC)]
TOKENS = {"input_tokens": 1000, "output_tokens": 333}
LONG = {"input_tokens": 300_000, "output_tokens": 333}
CACHED = {"input_tokens": 5000, "output_tokens": 77, "cache_read_tokens": 2048, "cache_write_tokens": 1024}


@pytest.mark.parametrize("instant", INSTANTS, ids=lambda at: f"{at:%Y-%m}")
@pytest.mark.parametrize("tokens", [TOKENS, LONG, CACHED], ids=["short", "long", "cached"])
def test_every_token_priced_model_costs_what_the_package_says(book: PriceBook, instant: datetime, tokens: dict[str, int]) -> None:
    compared = 0
    for provider in get_snapshot().providers:
        name = DOORS.get(provider.id, (canonical_provider(provider.id),))[0]
        for model in provider.models:
            if provider.find_model(model.id) is not model:
                continue  # an earlier entry of the package takes this name
            rates = book.lookup(name, model.id, instant)
            if isinstance(rates, Unpriced):
                assert rates.reason == "no_meter_price" or not model.get_prices(instant).__dict__, (name, model.id)
            if isinstance(rates, Unpriced) or rates.notes or {"input", "output"} - {*rates.listed}:
                continue
            theirs = model.calc_price(TheirUsage(**tokens), provider, genai_request_timestamp=instant).total_price
            ours = rate_usage(rates, Usage(**tokens))
            assert ours.list_pico == round(Fraction(theirs) * 10**12), (name, model.id, ours)
            compared += 1
    assert compared > 1800


@pytest.mark.parametrize(
    ("provider", "model", "entry"),
    [
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("openai", "openai/gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai", "GPT-4o", "gpt-4o"),
        ("azure.openai", "gpt-4o", "gpt-4o"),
        ("azure", "gpt-4.1-2025-04-14", "gpt-4.1"),
        ("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("gemini", "gemini-2.5-pro", "gemini-2.5-pro"),
        ("xai", "grok-4-fast-reasoning", None),
    ],
)
def test_names_that_gateways_write_find_their_entry(book: PriceBook, provider: str, model: str, entry: str | None) -> None:
    found = book.find(provider, model)
    assert found is not None
    assert entry is None or found.model == entry


def test_vertex_calls_the_tiers_by_other_names(book: PriceBook) -> None:
    late = datetime(2026, 11, 1, tzinfo=UTC)
    for said, meant in (("ON_DEMAND_PRIORITY", "priority"), ("on_demand_flex", "flex"), ("ON_DEMAND", "")):
        assert book.lookup("openai", "gpt-4o", late, tier=said) == book.lookup("openai", "gpt-4o", late, tier=meant)
    assert isinstance(book.lookup("openai", "gpt-4o", late, tier="PROVISIONED_THROUGHPUT"), Unpriced)


def test_service_tiers_have_their_own_dated_prices(book: PriceBook) -> None:
    late, early = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
    priority = book.lookup("openai", "gpt-4o", late, tier="priority")
    assert isinstance(priority, Rates)
    assert rate_usage(priority, Usage(1_000_000, 0)).list_pico == round(Decimal("4.25") * 10**12)
    standard = book.lookup("openai", "gpt-4o", late, tier="default")
    assert rate_usage(standard, Usage(1_000_000, 0)).list_pico == round(Decimal("2.5") * 10**12)
    before = book.lookup("openai", "gpt-4o", early, tier="priority")
    assert isinstance(before, Unpriced)  # the package has no history there; standard would be a guess
    assert before.reason == "no_meter_price"


@pytest.mark.parametrize(("model", "fees"), [("gemini-2.5-flash", 2), ("gemini-3-pro-preview", 10)], ids=["by-prompt", "by-search"])
def test_older_gemini_models_charge_for_the_prompt_that_searched(book: PriceBook, model: str, fees: int) -> None:
    """ai.google.dev/pricing: 35 USD per 1,000 grounded prompts up to Gemini 2.5, 14 USD per 1,000 searches from Gemini 3 on."""
    rates = book.lookup("gcp.gemini", model, datetime(2026, 10, 1, tzinfo=UTC))
    plain, searched = (rate_usage(rates, Usage(1000, 10, requests=2, counts=counts)) for counts in ((), (("web_search", 10),)))
    assert plain.contracted_pico is not None
    assert searched.contracted_pico is not None
    per_thousand = 35 if fees == 2 else 14
    assert searched.contracted_pico - plain.contracted_pico == fees * per_thousand * 10**9


def test_prices_that_the_book_cannot_express_are_named(seed: Seed) -> None:
    assert any("time-of-day price" in note and "deepseek" in note for note in seed.notes)
    book = PriceBook(seed.rows)
    rates = book.lookup("deepseek", "deepseek-chat", INSTANTS[-1])
    assert isinstance(rates, Rates)
    assert rates.notes == ("time-of-day price not modelled",)


def test_the_same_package_gives_the_same_rows(seed: Seed) -> None:
    assert genai_seed().digest == seed.digest
    assert [row.digest for row in genai_seed().rows] == [row.digest for row in seed.rows]


def test_a_book_is_a_function_of_its_rows_in_any_order_and_through_json(seed: Seed, book: PriceBook) -> None:
    again = PriceBook([json.loads(json.dumps(row.record())) for row in reversed(seed.rows)])
    assert again.digest == book.digest
    for provider, model in [
        ("openai", "gpt-4o-2024-08-06"),
        ("azure", "gpt-4o"),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ]:
        assert again.lookup(provider, model, INSTANTS[-1]) == book.lookup(provider, model, INSTANTS[-1])


def test_no_two_rows_of_the_list_hold_at_once(seed: Seed) -> None:
    seen: dict[tuple[object, ...], list[tuple[datetime, datetime]]] = {}
    ever, never = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
    for row in seed.rows:
        key = (row.provider, row.model, row.match, row.meter, row.service_tier, row.region, row.context_min)
        span = (row.valid_from or ever, row.valid_to or never)
        assert span[0] < span[1], row
        for other in seen.setdefault(key, []):
            assert span[1] <= other[0] or other[1] <= span[0], row
        seen[key].append(span)
