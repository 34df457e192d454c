"""What an unpriced call could have cost: the same tokens at the rates of models that are known.

Owns: the range and its middle. Does not own: what is done with it (chargeback.coverage). Invariants: the range is over the provider's models where it has
any, else the whole book; the middle is the median model (a midpoint would be ruled by the one dearest model); it is an estimate and never becomes a cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Final
from weakref import WeakKeyDictionary

from governor.prices.book import PriceBook, Rates
from governor.prices.rate import Usage, rate_usage, round_half_even


@dataclass(frozen=True)
class Exposure:
    """Pico-USD; models: how many known models the range is over. All zero when the usage itself is unknown."""

    low_pico: int
    middle_pico: int
    high_pico: int
    models: int


NOTHING = Exposure(0, 0, 0, 0)
WAYS: Final = 256  # (provider, instant, band) remembered per book


@dataclass(frozen=True)
class Known:
    """The models of a way: pico-USD per token of input and of output where both are whole, as (exact fractions) where not, else what they are rated by."""

    whole: list[tuple[int, int]] = field(default_factory=list)
    finer: list[tuple[Fraction, Fraction]] = field(default_factory=list)
    other: list[Rates] = field(default_factory=list)


_known_ways: WeakKeyDictionary[PriceBook, dict[tuple[str | None, datetime, int], Known]] = WeakKeyDictionary()


def exposure(book: PriceBook, provider: str | None, at: datetime, usage: Usage, *, context_tokens: int | None = None) -> Exposure:
    """Range for these tokens. Unknown usage has no range: pass typical usage instead, where the caller knows one."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return NOTHING
    read, written = usage.input_tokens or 0, usage.output_tokens or 0
    context = context_tokens if context_tokens is not None else read
    known = _known(book, provider, at, context)
    costs = [cost for taken, made in known.whole if (cost := taken * read + made * written)]
    costs += [cost for taken, made in known.finer if (cost := round(taken * read + made * written))]
    if known.other:
        asked = Usage(read, written, requests=0)
        costs += [pico for rates in known.other if (pico := rate_usage(rates, asked, context_tokens=context).contracted_pico)]
    if not costs:
        return NOTHING
    costs.sort()
    half = len(costs) // 2
    middle = costs[half] if len(costs) % 2 else round_half_even(costs[half - 1] + costs[half], 2)
    return Exposure(costs[0], middle, costs[-1], len(costs))


def _known(book: PriceBook, provider: str | None, at: datetime, context: int) -> Known:
    """Models with an input and an output price, and exact pico-USD per token of both where the price of a sum is that plain; looked up once per way."""
    kept = _known_ways.setdefault(book, {})
    key = (provider, at, context)
    if key not in kept:
        if len(kept) > WAYS:
            kept.clear()
        found = Known()
        for name, entry in (provider and book.entries(provider)) or book.entries():
            rates = book.lookup(name, entry.model, at)
            if isinstance(rates, Rates) and {"input", "output"} <= {*rates.listed, *rates.contracted}:
                plain = _per_token(rates, context)
                if plain is None:
                    found.other.append(rates)
                elif plain[0].denominator == plain[1].denominator == 1:
                    found.whole.append((plain[0].numerator, plain[1].numerator))
                else:
                    found.finer.append(plain)
        kept[key] = found
    return kept[key]


def _per_token(rates: Rates, context: int) -> tuple[Fraction, Fraction] | None:
    prices = [rates.price(meter, context, contract=contract) for contract in (True, False) for meter in ("input", "output")]
    if any(price is None or price.band_rule == "marginal" for price in prices):
        return None
    charged, made = prices[:2]
    return (charged.pico, made.pico) if charged is not None and made is not None else None
