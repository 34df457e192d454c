"""What a call of a shadow run costs: at the price of its instant, which may change within a day of UTC."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from governor.actions.replay_inputs import Input
from governor.actions.replay_price import RECORDED, Pricer, most_tokens
from governor.ports import ModelReply
from governor.prices.book import PriceBook
from governor.prices.price import Price
from governor.prices.seed import genai_seed
from governor.shadow.plan import Arm

CHANGE = datetime(2026, 10, 15, 4, tzinfo=UTC)  # the beginning of a day in New York


def price(meter: str, amount: str, **dates: datetime) -> Price:
    return Price(kind="list", provider="openai", model="gpt-4o", meter=meter, amount=amount, per=1_000_000, currency="USD", **dates)


def test_calls_alike_cost_what_holds_when_each_was_made() -> None:
    book = PriceBook([price("input", "2", valid_to=CHANGE), price("input", "1", valid_from=CHANGE), price("output", "8")])
    alike: dict[str, Any] = dict.fromkeys(RECORDED) | {
        "status": "ok",
        "provider": "openai",
        "model": "gpt-4o",
        "region": None,
        "service_tier": None,
    }
    alike |= {"input_tokens": 1000, "output_tokens": 0}
    pricer = Pricer(book)
    for at, pico in (
        (CHANGE - timedelta(hours=1), 2_000_000_000),
        (CHANGE, 1_000_000_000),
        (CHANGE - timedelta(microseconds=1), 2_000_000_000),
    ):
        assert pricer.recorded(alike | {"start_time": at}) == pico


@pytest.mark.parametrize(
    ("said", "pico"),
    [
        ({"units": "web_search", "unit_1": 3}, 1_000_000_000 + 30_000_000_000),
        ({"units": "file_search", "unit_1": 3}, None),
        ({"units": "file_search", "unit_1": 3, "cost_source": "provider_billed", "cost_amount": Decimal("0.07")}, 70_000_000_000),
        ({"units": "web_search", "unit_1": 3, "gateway_cache": "hit_exact"}, 0),
        ({"model": "unknown", "cost_source": "gateway_estimate", "cost_amount": Decimal("0.07")}, None),
    ],
    ids=["searches", "no price of a file search", "the provider's charge", "answered by the gateway", "an estimate is no charge"],
)
def test_a_recorded_call_costs_what_its_month_has(said: dict[str, Any], pico: int | None) -> None:
    """Its tokens alone made the baseline cheaper than it was, and a candidate that only lacked the searches dearer."""
    search = Price(kind="list", provider="openai", model="gpt-4o", meter="web_search", amount="10", per=1000)
    pricer = Pricer(PriceBook([price("input", "1"), price("output", "8"), search]))
    row = dict.fromkeys(RECORDED) | {"status": "ok", "provider": "openai", "model": "gpt-4o", "input_tokens": 1000, "output_tokens": 0}
    assert pricer.recorded(row | {"start_time": CHANGE} | said) == pico


@pytest.fixture(scope="module")
def listed() -> Pricer:
    return Pricer(PriceBook(genai_seed().rows))


@pytest.mark.parametrize(
    ("provider", "model", "named", "other"),
    [
        ("anthropic", "claude-3-5-haiku-latest", "claude-3-5-haiku-20241022", False),
        ("anthropic", "claude-haiku-4-5", "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", False),
        ("aws.bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5-20251001", False),
        ("azure.openai", "gpt-35-turbo", "gpt-3.5-turbo-0125", False),
        ("google", "gemini-2.5-flash", "gemini-2.5-flash-preview-05-20", False),
        ("google", "gemini-flash-latest", "gemini-2.5-flash", False),
        ("openai", "gpt-4o", "", False),
        ("openai", "our-deployment", "gpt-4o-2024-11-20", False),
        ("openai", "gpt-4o-mini", "prod-pool-7", False),
        ("groq", "meta-llama/llama-3.3-70b-instruct", "llama-3.3-70b-versatile", False),
        ("openai", "gpt-4o-mini", "gpt-4o-2024-08-06", True),
        ("azure.openai", "gpt-5", "gpt-5-mini-2025-08-07", True),
        ("anthropic", "claude-haiku-4-5", "claude-sonnet-4-5-20250929", True),
        ("anthropic", "claude-3-5-haiku-latest", "gpt-4o-2024-08-06", True),
        ("google", "gemini-2.5-flash", "gemini-2.5-flash-lite", True),
        ("aws.bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0", "us.amazon.nova-pro-v1:0", True),
    ],
)
def test_an_answer_under_the_name_of_another_model_is_told_from_one_under_another_name(
    listed: Pricer, provider: str, model: str, named: str, other: bool
) -> None:
    assert listed.other(Arm(provider, model), named) is other


def test_a_model_of_nobodys_route_costs_the_most_that_anybody_asks(listed: Pricer) -> None:
    reply = ModelReply("ok", input_tokens=1000, output_tokens=100)
    dearest, there = listed.dearest("openai/gpt-4o", CHANGE, reply), listed.reply(Arm("openai", "gpt-4o"), CHANGE, reply)
    assert dearest is not None
    assert there is not None
    assert dearest >= there == 3_500_000_000
    assert listed.dearest("nobody-knows-it", CHANGE, reply) is None


@pytest.mark.parametrize(
    ("model", "counted"),
    # what the makers' pages say of one picture at its largest: gpt-4o-mini 2,833 and 5,667 a tile, gpt-4o 85 and 170 a tile, Claude's newest 4,784
    [
        ("gpt-4o-mini", 2833 + 8 * 5667),
        ("openai/gpt-4o-mini-2024-07-18", 2833 + 8 * 5667),
        ("gpt-4o", 85 + 8 * 170),
        ("claude-opus-4-7", 4784),
    ],
)
def test_a_picture_takes_no_more_tokens_than_are_reserved_for_it(model: str, counted: int) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 40}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is damaged?"}, picture, picture]}]
    assert most_tokens(messages, {}, model) >= 2 * counted
    assert Input(messages, {}, None).bound(model) == most_tokens(messages, {}, model)
    assert most_tokens(messages, {}, "gpt-4o") < 20_000


def test_a_schema_of_the_answer_is_part_of_what_a_call_may_cost() -> None:
    messages = [{"role": "user", "content": "Hail."}]
    schema = {"type": "json_schema", "json_schema": {"name": "notice", "schema": {"enum": [f"cause {number}" for number in range(200)]}}}
    assert most_tokens(messages, {"response_format": schema}, "gpt-4o") > len(str(schema)) * 0.8
