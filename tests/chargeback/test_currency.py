"""How a statement's own currency is written."""

import pytest

from governor.chargeback.currency import in_words


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [("6602.00", "JPY", "6,602 JPY"), ("-1448.00", "JPY", "(1,448 JPY)"), ("2149.50", "EUR", "2,149.50 EUR"), ("0.00", "KRW", "0 KRW")],
)
def test_a_currency_without_decimals_shows_none(amount: str, currency: str, words: str) -> None:
    assert in_words(amount, currency) == words
