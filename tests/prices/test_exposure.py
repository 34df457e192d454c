"""The range of what unpriced calls could cost: the quick sum over models equals rating each model by itself, for every provider and size."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from governor.prices.book import PriceBook, Rates
from governor.prices.exposure import exposure
from governor.prices.rate import Usage, rate_usage
from governor.prices.seed import genai_seed

AT = datetime(2026, 10, 5, tzinfo=UTC)


def test_the_range_is_that_of_rating_every_model() -> None:
    book, draw = PriceBook(genai_seed().rows), random.Random(7)
    providers = [None, "nobody", *draw.sample(book.providers, 6), "openai", "google"]
    for provider in providers:
        for context in (None, 0, 128_000, 200_000):
            usage = Usage(draw.randrange(0, 10**9), draw.choice([0, None, draw.randrange(0, 10**8)]), requests=draw.randrange(1, 10**5))
            asked = Usage(usage.input_tokens or 0, usage.output_tokens or 0, requests=0)
            costs = []
            for name, entry in (provider and book.entries(provider)) or book.entries():
                rates = book.lookup(name, entry.model, AT)
                if isinstance(rates, Rates) and {"input", "output"} <= {*rates.listed, *rates.contracted}:
                    cost = rate_usage(rates, asked, context_tokens=asked.input_tokens if context is None else context).contracted_pico
                    costs += [cost] if cost else []
            found = exposure(book, provider, AT, usage, context_tokens=context)
            assert (found.low_pico, found.high_pico, found.models) == (min(costs), max(costs), len(costs))
            assert exposure(book, provider, AT, usage, context_tokens=context) == found
