"""What a call of a shadow run costs: at the price of its instant, which may change within a day of UTC."""

from datetime import UTC, datetime, timedelta
from typing import Any

from governor.actions.replay_price import TOKENS, Pricer
from governor.prices.book import PriceBook
from governor.prices.price import Price

CHANGE = datetime(2026, 10, 15, 4, tzinfo=UTC)  # the beginning of a day in New York


def price(meter: str, amount: str, **dates: datetime) -> Price:
    return Price(kind="list", provider="openai", model="gpt-4o", meter=meter, amount=amount, per=1_000_000, currency="USD", **dates)


def test_calls_alike_cost_what_holds_when_each_was_made() -> None:
    book = PriceBook([price("input", "2", valid_to=CHANGE), price("input", "1", valid_from=CHANGE), price("output", "8")])
    alike: dict[str, Any] = dict.fromkeys(TOKENS) | {
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
