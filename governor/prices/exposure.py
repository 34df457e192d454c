"""What an unpriced call could have cost: the same tokens at the rates of models that are known.

Owns: the range and its middle. Does not own: what is done with it (chargeback.coverage). Invariants: the range is over the provider's models where it has
any, else the whole book; the middle is the median model (a midpoint would be ruled by the one dearest model); it is an estimate and never becomes a cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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


def exposure(book: PriceBook, provider: str | None, at: datetime, usage: Usage, *, context_tokens: int | None = None) -> Exposure:
    """Range for these tokens. Unknown usage has no range: pass typical usage instead, where the caller knows one."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return NOTHING
    asked = Usage(usage.input_tokens or 0, usage.output_tokens or 0, requests=0)
    entries = (provider and book.entries(provider)) or book.entries()
    context = context_tokens if context_tokens is not None else asked.input_tokens
    costs = []
    for name, entry in entries:
        rates = book.lookup(name, entry.model, at)
        if isinstance(rates, Rates) and {"input", "output"} <= {*rates.listed, *rates.contracted}:
            rated = rate_usage(rates, asked, context_tokens=context)
            if rated.contracted_pico:
                costs.append(rated.contracted_pico)
    if not costs:
        return NOTHING
    costs.sort()
    half = len(costs) // 2
    middle = costs[half] if len(costs) % 2 else round_half_even(costs[half - 1] + costs[half], 2)
    return Exposure(costs[0], middle, costs[-1], len(costs))


def round_half_even(value: int, by: int) -> int:
    """The quotient as a whole number, ties to even, exact for any size."""
    whole, rest = divmod(value, by)
    return whole + (1 if 2 * rest > by or (2 * rest == by and whole % 2) else 0)
