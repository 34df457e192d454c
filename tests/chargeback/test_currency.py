"""A statement's own currency: how it is written, and the conversion beside the same worked out with fractions."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest

from governor.catalog.commitment import FxRateDocument
from governor.chargeback.amounts import cents_text
from governor.chargeback.currency import LINES, in_words, stated_in


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [("6602.00", "JPY", "6,602 JPY"), ("-1448.00", "JPY", "(1,448 JPY)"), ("2149.50", "EUR", "2,149.50 EUR"), ("0.00", "KRW", "0 KRW")],
)
def test_a_currency_without_decimals_shows_none(amount: str, currency: str, words: str) -> None:
    assert in_words(amount, currency) == words


def cents(text: str) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, rest = digits.split(".")
    return sign * (int(whole) * 100 + int(rest))


def drawn(draw: random.Random) -> dict[str, Any]:
    """A month of lines of any size, credits among them; one cost center has no line at all."""
    centers = []
    for name in range(draw.randint(1, 6)):
        own: dict[str, Any] = {kind: [] for kind in LINES}
        for number in range(draw.randint(0, 9) if name else 0):
            amount = draw.choice((0, 1, -1, draw.randrange(-(10**4), 10**7)))
            own[draw.choice(LINES)].append({"line_id": f"{number}", "amount": cents_text(amount), "meter": "input"})
        total = sum(cents(line["amount"]) for kind in LINES for line in own[kind])
        centers.append({"id": f"C{name}", "total": cents_text(total), **own})
    whole = sum(cents(center["total"]) for center in centers)
    return {"currency": "USD", "totals": {"statement_total": cents_text(whole), "calls": 3}, "cost_centers": centers}


@pytest.mark.parametrize("seed", range(60))
def test_each_amount_is_its_dollars_at_the_rate_and_every_column_foots(seed: int) -> None:
    draw = random.Random(seed)
    currency, smallest = draw.choice((("EUR", 1), ("JPY", 100), ("KRW", 100)))
    text = draw.choice(("0.9234", "151.37", "0.0001", "1", "1383.5", f"{draw.randrange(1, 10**6)}.{draw.randrange(1, 10**6):06d}"))
    given = drawn(draw)
    before = repr(given)
    rate = FxRateDocument(currency=currency, period="2026-10", rate=text, source="ECB", date="2026-10-30")
    made = stated_in(given, rate)
    assert repr(given) == before, "the document in dollars stays as it was"
    assert made["fx"] == {
        "currency": currency,
        "rate": rate.rate,
        "source": "ECB",
        "date": "2026-10-30",
        "period": "2026-10",
        "from": "USD",
    }
    exact = Fraction(text) * cents(given["totals"]["statement_total"])
    assert made["totals"] == given["totals"] | {"local_total": cents_text(round(exact / smallest) * smallest), "local_currency": currency}
    assert sum(cents(center["local_total"]) for center in made["cost_centers"]) == cents(made["totals"]["local_total"])
    for old, new in zip(given["cost_centers"], made["cost_centers"], strict=True):
        lines = [(line, after) for kind in LINES for line, after in zip(old[kind], new[kind], strict=True)]
        assert new["total"] == old["total"]
        for part, stated in [(old["total"], new["local_total"]), *((line["amount"], after["local_amount"]) for line, after in lines)]:
            assert abs(cents(stated) - Fraction(text) * cents(part)) < smallest, "less than its smallest coin from the exact amount"
            assert cents(stated) % smallest == 0
        assert not lines or sum(cents(after["local_amount"]) for _, after in lines) == cents(new["local_total"])
        assert all(after == line | {"local_amount": after["local_amount"]} for line, after in lines)


def test_without_a_rate_a_statement_is_the_same_one() -> None:
    given = drawn(random.Random(1))
    assert stated_in(given, None) is given
