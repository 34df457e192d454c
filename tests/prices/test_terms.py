"""Terms that refer to the list: percent off and multiples, which of them holds, and that nothing is rounded before the call is."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from governor.catalog.documents import ContractPriceDocument
from governor.errors import Invalid
from governor.prices.book import PriceBook, Rates
from governor.prices.contract import close_open_ends, contract_price
from governor.prices.price import price_of
from governor.prices.rate import Usage, rate_usage

START = datetime(2026, 10, 1, tzinfo=UTC)
LATE = datetime(2026, 11, 1, tzinfo=UTC)
MILLION = 1_000_000


def term(**changes: Any) -> ContractPriceDocument:
    fields = {"provider": "openai", "model": "gpt-4o", "meter": "*", "percent_off": "20", "valid_from": "2026-10-01"}
    given = {name: value for name, value in (fields | changes).items() if value is not None}
    return ContractPriceDocument(**given)


def amount(**changes: Any) -> ContractPriceDocument:
    return term(**{"percent_off": None, "meter": "input", "price": {"amount": "2.10"}} | changes)


def with_contract(book: PriceBook, *documents: ContractPriceDocument) -> PriceBook:
    return PriceBook([*book.rows, *close_open_ends(contract_price(one) for one in documents)])


def unit(book: PriceBook, meter: str = "input", *, model: str = "gpt-4o", at: datetime = START, tier: str = "", context: int = 0) -> str:
    rates = book.lookup("openai", model, at, tier)
    assert isinstance(rates, Rates)
    price = rates.price(meter, context, contract=True)
    assert price is not None
    return price.amount


def small(*rows: dict[str, Any]) -> PriceBook:
    base = {"kind": "list", "provider": "openai", "model": "m", "per": MILLION}
    return PriceBook([price_of(base | row) for row in rows])


def test_percent_off_list_and_the_list_price_beside_it(book: PriceBook) -> None:
    rates = with_contract(book, term()).lookup("openai", "gpt-4o", START)
    rated = rate_usage(rates, Usage(MILLION, MILLION, 500_000))
    assert rated.list_pico == 1_250_000_000_000 + 625_000_000_000 + 10_000_000_000_000
    assert rated.contracted_pico == rated.list_pico * 8 // 10
    assert [(part.list_price.amount, part.contract_price.amount, part.contract_price.terms) for part in rated.parts] == [
        ("2.5", "2", "20 % off list"), ("1.25", "1", "20 % off list"), ("10", "8", "20 % off list"),
    ]  # fmt: skip


def test_it_holds_from_its_first_instant_to_before_its_last(book: PriceBook) -> None:
    both = with_contract(book, term(valid_to="2026-11-01"))
    assert [unit(both, at=at) for at in (START - timedelta(microseconds=1), START, LATE - timedelta(microseconds=1), LATE)] == [
        "2.5", "2", "2", "2.5",
    ]  # fmt: skip
    assert LATE in both.boundaries(START, LATE + timedelta(days=1))


def test_a_multiple_may_be_a_surcharge(book: PriceBook) -> None:
    assert unit(with_contract(book, term(percent_off=None, multiplier="1.1"))) == "2.75"


def test_the_unit_price_is_never_rounded_and_the_call_is_once() -> None:
    book = small({"meter": "input", "amount": "0.0123456789"}, {"meter": "output", "amount": "1"})
    both = with_contract(book, term(model="m", percent_off="12.34567891"))
    rates = both.lookup("openai", "m", START)
    assert isinstance(rates, Rates)
    exact = Fraction("0.0123456789") * (1 - Fraction("12.34567891") / 100)
    price = rates.price("input", 0, contract=True)
    assert price is not None
    assert Fraction(price.amount) == exact
    rated = rate_usage(rates, Usage(7, 0))
    assert rated.contracted_pico == round(exact * 7 * 10**12 / MILLION)


@given(
    st.integers(1, 10**9), st.integers(0, 12), st.integers(1, 10_000_000_000), st.integers(1, 10**7), st.integers(0, 10**7), st.booleans()
)
def test_any_term_on_any_price_is_exact(digits: int, places: int, percent: int, read: int, written: int, off: bool) -> None:
    listed = f"{digits:0{places + 1}d}"
    listed = f"{listed[: len(listed) - places]}.{listed[len(listed) - places :]}" if places else listed
    text = f"{percent // 10**8}.{percent % 10**8:08d}"
    book = small({"meter": "input", "amount": listed}, {"meter": "output", "amount": "3.7"})
    change: dict[str, Any] = {"percent_off": text} if off else {"percent_off": None, "multiplier": text}
    rated = rate_usage(with_contract(book, term(model="m", **change)).lookup("openai", "m", START), Usage(read, written))
    factor = 1 - Fraction(text) / 100 if off else Fraction(text)
    assert rated.contracted_pico == round((Fraction(listed) * read + Fraction("3.7") * written) * factor * 10**12 / MILLION)
    assert sum(part.contracted_pico for part in rated.parts) == rated.contracted_pico


# ---- precedence: model, then meter, then tier, then region, then an amount before a term; one holds alone


@pytest.mark.parametrize(
    ("documents", "meter", "wanted"),
    [
        ((term(model="*", percent_off="50"), term(percent_off="20")), "input", "2"),  # the model named before every model
        ((term(model="*", meter="input", percent_off="50"), term(percent_off="20")), "input", "2"),  # even where the other names the meter
        ((term(percent_off="20"), term(meter="input", percent_off="10")), "input", "2.25"),  # the meter named before every meter
        ((term(percent_off="20"), term(meter="input", percent_off="10")), "output", "8"),
        ((term(percent_off="20"), term(service_tier="*", percent_off="10")), "input", "2"),  # the tier named before every tier
        ((term(meter="input", percent_off="20", region="eu"), amount()), "input", "2.1"),  # a region nobody called is not asked
        ((term(percent_off="20"), amount()), "input", "2.1"),  # an amount for the meter before a term for every meter
        ((term(percent_off="20"), amount()), "output", "8"),
        ((term(model="*", percent_off="50"), amount()), "output", "5"),
        ((term(model="*", percent_off="50"), amount(), term(meter="output", percent_off="1")), "output", "9.9"),
    ],
)
def test_the_narrowest_holds_alone(book: PriceBook, documents: tuple[ContractPriceDocument, ...], meter: str, wanted: str) -> None:
    for order in (documents, documents[::-1]):
        assert unit(with_contract(book, *order), meter) == wanted


def test_a_snapshot_named_before_its_model(book: PriceBook) -> None:
    both = with_contract(book, amount(), term(model="gpt-4o-2024-08-06", percent_off="50"))
    assert unit(both, model="gpt-4o-2024-08-06") == "1.25"
    assert unit(both) == "2.1"


def test_terms_follow_the_tier_that_was_served(book: PriceBook) -> None:
    priority = "4.25"
    assert unit(with_contract(book, term()), at=LATE, tier="priority") == priority  # the standard tier's term says nothing
    assert unit(with_contract(book, term(service_tier="priority")), at=LATE, tier="priority") == "3.4"
    assert unit(with_contract(book, term(service_tier="*", percent_off="10")), at=LATE, tier="priority") == "3.825"
    assert unit(with_contract(book, term(service_tier="priority")), at=LATE) == "2.5"


def test_terms_follow_the_bands_of_the_list_and_fill_what_an_amount_leaves() -> None:
    book = small({"meter": "input", "amount": "1", "context_max": 200_001}, {"meter": "input", "amount": "2", "context_min": 200_001},
                 {"meter": "output", "amount": "5"})  # fmt: skip
    both = with_contract(book, term(model="m"))
    assert [unit(both, model="m", context=size) for size in (0, 200_000, 200_001)] == ["0.8", "0.8", "1.6"]
    low = with_contract(book, term(model="m"), amount(model="m", price={"amount": "0.5"}, context_max=200_001))
    assert [unit(low, model="m", context=size) for size in (0, 200_000, 200_001)] == ["0.5", "0.5", "1.6"]


def test_a_term_gives_no_price_to_what_has_none(book: PriceBook) -> None:
    both = with_contract(book, term(model="*"))
    unknown = rate_usage(both.lookup("openai", "never-heard-of", START), Usage(10, 10))
    assert (unknown.status, unknown.reason) == ("unpriced", "unknown_model")


def test_a_term_is_part_of_the_digest_and_its_absence_is_not(book: PriceBook) -> None:
    assert with_contract(book, term()).digest != book.digest
    assert with_contract(book).digest == book.digest
    assert with_contract(book, term()).digest != with_contract(book, term(percent_off="21")).digest


def test_an_amount_and_a_term_for_one_thing_do_not_hold_at_once() -> None:
    with pytest.raises(Invalid, match="hold at the same time"):
        close_open_ends([contract_price(term(meter="input")), contract_price(amount())])
    earlier, later = close_open_ends([contract_price(amount()), contract_price(term(meter="input", valid_from="2026-11-01"))])
    assert (earlier.valid_to, later.valid_to) == (LATE, None)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"percent_off": None}, "found none"),
        ({"multiplier": "0.8"}, "exactly one"),
        ({"percent_off": "0"}, "more than 0"),
        ({"percent_off": "100.5"}, "at most 100"),
        ({"percent_off": "1.123456789"}, "at most 8 decimals"),
        ({"percent_off": 12.5}, "quoted text"),
        ({"percent_off": None, "multiplier": "101"}, "at most 100"),
        ({"context_min": 5}, "bands belong to price"),
        ({"percent_off": None, "price": {"amount": "1"}, "meter": "*"}, "an amount is the price of one thing"),
    ],
)
def test_a_document_says_one_thing(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        term(**changes)
