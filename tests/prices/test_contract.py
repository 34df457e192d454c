"""Contract prices win by effective date, meter by meter."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from governor.catalog.documents import ContractPriceDocument
from governor.errors import Invalid
from governor.prices.book import PriceBook, Rates
from governor.prices.contract import close_open_ends, contract_price
from governor.prices.price import Price, price_of
from governor.prices.rate import Usage, rate_usage

START = datetime(2026, 10, 1, tzinfo=UTC)


def document(**changes: Any) -> ContractPriceDocument:
    fields = {"provider": "openai", "model": "gpt-4o", "meter": "input", "price": {"amount": "2.10"}, "valid_from": "2026-10-01"}
    return ContractPriceDocument(**fields | changes)


def with_contract(book: PriceBook, *documents: ContractPriceDocument) -> PriceBook:
    return PriceBook([*book.rows, *close_open_ends(contract_price(one) for one in documents)])


def cost(book: PriceBook, model: str, at: datetime, usage: Usage, tier: str = "") -> tuple[int | None, int | None]:
    rated = rate_usage(book.lookup("openai", model, at, tier), usage)
    return rated.list_pico, rated.contracted_pico


def test_a_contract_holds_from_its_first_instant(book: PriceBook) -> None:
    both = with_contract(book, document())
    million = Usage(1_000_000, 0)
    assert cost(both, "gpt-4o", START, million) == (2_500_000_000_000, 2_100_000_000_000)
    assert cost(both, "gpt-4o", START - timedelta(microseconds=1), million) == (2_500_000_000_000, 2_500_000_000_000)


@pytest.mark.parametrize("terms", [{}, {"price": None, "percent_off": "10"}])
def test_its_plain_dates_are_days_of_the_billing_zone(terms: dict[str, Any]) -> None:
    row = contract_price(document(valid_to="2026-12-01", **terms), "America/New_York")
    assert (row.valid_from, row.valid_to) == (datetime(2026, 10, 1, 4, tzinfo=UTC), datetime(2026, 12, 1, 5, tzinfo=UTC))


def test_a_meter_the_contract_lacks_is_at_list(book: PriceBook) -> None:
    both = with_contract(book, document())
    assert cost(both, "gpt-4o", START, Usage(1_000_000, 1_000_000, 500_000)) == (
        1_250_000_000_000 + 625_000_000_000 + 10_000_000_000_000,
        1_050_000_000_000 + 625_000_000_000 + 10_000_000_000_000,
    )


def test_a_contract_for_the_model_holds_for_its_snapshots_but_not_the_other_way(book: PriceBook) -> None:
    million = Usage(1_000_000, 0)
    assert cost(with_contract(book, document()), "gpt-4o-2024-08-06", START, million)[1] == 2_100_000_000_000
    dated = with_contract(book, document(model="gpt-4o-2024-08-06"))
    assert cost(dated, "gpt-4o-2024-08-06", START, million)[1] == 2_100_000_000_000
    assert cost(dated, "gpt-4o", START, million)[1] == 2_500_000_000_000


def test_a_contract_for_the_standard_tier_says_nothing_about_another(book: PriceBook) -> None:
    late = datetime(2026, 11, 1, tzinfo=UTC)
    assert cost(with_contract(book, document()), "gpt-4o", late, Usage(1_000_000, 0), "priority")[1] == 4_250_000_000_000


def test_a_contract_alone_prices_a_model_no_list_knows(book: PriceBook) -> None:
    own = with_contract(book, document(model="llama-internal"), document(model="llama-internal", meter="output", price={"amount": "4"}))
    rates = own.lookup("openai", "llama-internal", START)
    assert isinstance(rates, Rates)
    rated = rate_usage(rates, Usage(1_000_000, 0))
    assert (rated.list_pico, rated.contracted_pico) == (2_100_000_000_000, 2_100_000_000_000)
    assert "listed at the contract price" in rated.notes[0]


def test_a_later_contract_ends_the_earlier(book: PriceBook) -> None:
    both = with_contract(book, document(), document(price={"amount": "1.9"}, valid_from="2026-11-01"))
    million = Usage(1_000_000, 0)
    assert [cost(both, "gpt-4o", datetime(2026, month, 15, tzinfo=UTC), million)[1] for month in (9, 10, 11)] == [
        2_500_000_000_000, 2_100_000_000_000, 1_900_000_000_000,
    ]  # fmt: skip
    assert (
        both.boundaries(datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)).count(datetime(2026, 11, 1, tzinfo=UTC))
        == 1
    )


def test_two_contracts_that_hold_at_once_are_refused() -> None:
    with pytest.raises(Invalid, match="hold at the same time"):
        close_open_ends(contract_price(one) for one in (document(), document(price={"amount": "1.9"})))
    overlapping = [document(valid_to="2026-12-01"), document(price={"amount": "1.9"}, valid_from="2026-11-01")]
    with pytest.raises(Invalid, match="hold at the same time"):
        close_open_ends(contract_price(one) for one in overlapping)


def test_aliases_of_the_provider_are_one_provider(book: PriceBook) -> None:
    both = PriceBook([*book.rows, contract_price(document(provider="azure"))])
    rated = rate_usage(both.lookup("azure.openai", "gpt-4o", START), Usage(1_000_000, 0))
    assert rated.contracted_pico == 2_100_000_000_000


def test_a_contract_for_the_model_holds_for_a_snapshot_that_the_list_names_on_its_own(book: PriceBook) -> None:
    own = price_of(
        {"kind": "list", "provider": "openai", "model": "gpt-4o-2024-08-06", "meter": "input", "amount": "2.5", "per": 1_000_000}
    )
    both = with_contract(PriceBook([*book.rows, own]), document())
    assert cost(both, "gpt-4o-2024-08-06", START, Usage(1_000_000, None)) == (2_500_000_000_000, 2_100_000_000_000)


def test_a_price_holds_from_its_first_instant_to_just_before_its_last() -> None:
    begins, ends = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    price = Price("contract", "openai", "gpt-4o", "input", "1", 1_000_000, valid_from=begins, valid_to=ends)
    just = timedelta(microseconds=1)
    assert [price.holds_at(at) for at in (begins - just, begins, ends - just, ends)] == [False, True, True, False]
