"""What an unpriced call could have cost: the same tokens at the rates of models that are known.

Owns: the range and its middle. Does not own: what is done with it (chargeback.coverage). Invariants: the range is over the provider's models where it has
any, else the whole book; the middle is the median model (a midpoint would be ruled by the one dearest model); it is an estimate and never becomes a cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Final
from weakref import WeakKeyDictionary

from governor.prices.book import PriceBook, Rates
from governor.prices.rate import Usage, rate_usage


@dataclass(frozen=True)
class Exposure:
    """Pico-USD; models: how many known models the range is over. All zero when the usage itself is unknown."""

    low_pico: int
    middle_pico: int
    high_pico: int
    models: int


NOTHING = Exposure(0, 0, 0, 0)
WAYS: Final = 256  # (provider, instant, band) remembered per book
Ranged = list[tuple[Rates, tuple[Fraction, Fraction] | None]]
_ranged: WeakKeyDictionary[PriceBook, dict[tuple[str | None, datetime, int], Ranged]] = WeakKeyDictionary()


def exposure(book: PriceBook, provider: str | None, at: datetime, usage: Usage, *, context_tokens: int | None = None) -> Exposure:
    """Range for these tokens. Unknown usage has no range: pass typical usage instead, where the caller knows one."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return NOTHING
    asked = Usage(usage.input_tokens or 0, usage.output_tokens or 0, requests=0)
    context = context_tokens if context_tokens is not None else (asked.input_tokens or 0)
    costs = []
    for rates, per_token in _known(book, provider, at, context):
        if per_token is None:
            cost = rate_usage(rates, asked, context_tokens=context).contracted_pico
        else:
            cost = round(per_token[0] * (asked.input_tokens or 0) + per_token[1] * (asked.output_tokens or 0))
        if cost:
            costs.append(cost)
    if not costs:
        return NOTHING
    costs.sort()
    half = len(costs) // 2
    middle = costs[half] if len(costs) % 2 else round_half_even(costs[half - 1] + costs[half], 2)
    return Exposure(costs[0], middle, costs[-1], len(costs))


def _known(book: PriceBook, provider: str | None, at: datetime, context: int) -> Ranged:
    """Models with an input and an output price, and exact pico-USD per token of both where the price of a sum is that plain; looked up once per way."""
    kept = _ranged.setdefault(book, {})
    key = (provider, at, context)
    if key not in kept:
        if len(kept) > WAYS:
            kept.clear()
        found = []
        for name, entry in (provider and book.entries(provider)) or book.entries():
            rates = book.lookup(name, entry.model, at)
            if isinstance(rates, Rates) and {"input", "output"} <= {*rates.listed, *rates.contracted}:
                found.append((rates, _per_token(rates, context)))
        kept[key] = found
    return kept[key]


def _per_token(rates: Rates, context: int) -> tuple[Fraction, Fraction] | None:
    prices = [rates.price(meter, context, contract=contract) for contract in (True, False) for meter in ("input", "output")]
    if any(price is None or price.band_rule == "marginal" for price in prices):
        return None
    charged, made = prices[:2]
    return (charged.pico, made.pico) if charged is not None and made is not None else None


def round_half_even(value: int, by: int) -> int:
    """The quotient as a whole number, ties to even, exact for any size."""
    whole, rest = divmod(value, by)
    return whole + (1 if 2 * rest > by or (2 * rest == by and whole % 2) else 0)
