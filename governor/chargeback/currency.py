"""A statement in another currency than the prices: its total converted once, and split so that every column foots in both.

Owns: the conversion of a statement document. Does not own: the rate (catalog/commitment), the amounts in US dollars (statement.py). Invariants: the total is the printed
total times the printed rate, rounded once, half to even; cost centers split it and lines split their cost center by largest remainder; amounts in US dollars stay as
they were; without a rate the document is the same object.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from governor.catalog.commitment import FxRateDocument
from governor.chargeback.allocation import split_cents
from governor.chargeback.amounts import cents_text

NO_PLACES: Final = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"}
)
LINES: Final = ("lines", "internal", "commitments", "corrections")


def stated_in(document: dict[str, Any], rate: FxRateDocument | None) -> dict[str, Any]:
    """The document with `fx`, and a local amount beside each amount."""
    if rate is None:
        return document
    numerator, denominator = Decimal(rate.rate).as_integer_ratio()
    step = 100 if rate.currency in NO_PLACES else 1  # hundredths in the smallest coin

    def shares(cents: Mapping[str, int], total: int | None = None) -> dict[str, int]:
        coins = split_cents(
            {name: one * numerator for name, one in cents.items()},
            total_cents=None if total is None else total // step,
            cent=denominator * step,
        )
        return {name: one * step for name, one in coins.items()}

    totals = shares({center["id"]: _cents(center["total"]) for center in document["cost_centers"]})
    return document | {
        "fx": {
            "currency": rate.currency,
            "rate": rate.rate,
            "source": rate.source,
            "date": rate.date,
            "period": rate.period,
            "from": document["currency"],
        },
        "totals": document["totals"] | {"local_total": cents_text(sum(totals.values())), "local_currency": rate.currency},
        "cost_centers": [_center(center, totals[center["id"]], shares) for center in document["cost_centers"]],
    }


def in_words(amount: str, currency: str) -> str:
    """For people: digits grouped, the currency behind, decimals where the currency has some, a negative one in parentheses."""
    value = Decimal(amount)
    words = f"{abs(value):,.{0 if currency in NO_PLACES else 2}f} {currency}"
    return f"({words})" if value < 0 else words


def _center(center: dict[str, Any], total: int, shares: Any) -> dict[str, Any]:
    own = {line["line_id"]: _cents(line["amount"]) for name in LINES for line in center[name]}
    local = shares(own, total) if own else {}
    return (
        center
        | {"local_total": cents_text(total)}
        | {name: [line | {"local_amount": cents_text(local[line["line_id"]])} for line in center[name]] for name in LINES}
    )


def _cents(text: str) -> int:
    return int(Decimal(text) * 100)
