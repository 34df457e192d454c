"""What a row of sums costs: by the book, by the provider's own charge, nothing, or not known.

Owns: the order of the four. Does not own: rates and their arithmetic (prices/rate), what the gateway's estimate is shown beside (usage.py).
Invariants: the book goes first because it knows the contract; an estimate of a gateway or a tool is never charged; what has no price is never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from governor.prices.book import PriceBook
from governor.prices.exposure import NOTHING, Exposure, exposure
from governor.prices.rate import Rated, Usage, rate_group, reported
from governor.prices.units import CACHED, base_of
from governor.store.lake_units import UNIT_SUMS

CHARGED: Final = frozenset({"provider_billed", "gateway_billed"})  # money that was really taken, no estimate


def price_row(
    row: dict[str, Any], book: PriceBook, at: datetime, usage: Usage, *, bands: Sequence[int] | None = None
) -> tuple[Rated, Exposure]:
    """Priced by the book, else priced_by_provider (its own charge), zero_rated (a gateway cache hit; a failure without usage, docs/decisions/0004) or unpriced.

    `bands`: those of the book, where many rows are priced one after another.
    """
    if str(row["gateway_cache"] or "").startswith("hit"):
        return Rated("zero_rated", 0, 0, reason="gateway_cache_hit"), NOTHING
    if row["status"] == "error" and usage.input_tokens is None and usage.output_tokens is None:
        return Rated("zero_rated", 0, 0, reason="failed_without_usage"), NOTHING
    place = row["context_band"]
    band = (
        None if place is None else [0, *(book.bands() if bands is None else bands)][place]
    )  # any request of the band costs what its smallest does
    rated = rate_group(book, row["provider"], row["model"], at, usage, tier=row["service_tier"], region=row["region"], context_tokens=band)
    if rated.status != "unpriced":
        return rated, NOTHING
    charged = reported_pico(row) if row["cost_source"] in CHARGED else None
    if charged is not None and charged >= 0:
        return reported(row["provider"], row["model"], charged, rated), NOTHING
    known = _in_part(row, book, at, usage, rated, band) if usage.counts else None
    return rated, known or exposure(book, row["provider"], at, usage, context_tokens=band)


def _in_part(row: dict[str, Any], book: PriceBook, at: datetime, usage: Usage, rated: Rated, band: int | None) -> Exposure | None:
    """What is known of it, and what lacks a price at what others ask for the same unit; None where tokens are what is missing."""
    low = middle = high = 0
    while rated.contracted_pico is None:
        lacking = [
            (name, count)
            for name, count in usage.counts
            if name not in CACHED and (count is None or base_of(name) == base_of(rated.missing))
        ]
        if not lacking:
            return None
        name, count = lacking[0]
        usage = replace(usage, counts=tuple(one for one in usage.counts if one[0] != name))
        asked = book.rates_of(base_of(name), at, row["provider"]) if count else []
        if asked:
            low, middle, high = (
                before + round(rate * Fraction(count or 0))
                for before, rate in zip((low, middle, high), (asked[0], asked[len(asked) // 2], asked[-1]), strict=True)
            )
        rated = rate_group(
            book, row["provider"], row["model"], at, usage, tier=row["service_tier"], region=row["region"], context_tokens=band
        )
    known = rated.contracted_pico
    return Exposure(known + low, known + middle, known + high, 1)


def reported_pico(row: dict[str, Any]) -> int | None:
    """The source's own cost of the row's calls; None where one of them has none, or in another currency."""
    if row["cost_amount"] is None or row["cost_unknown_calls"] or (row["cost_currency"] or "USD") != "USD":
        return None
    return int(row["cost_amount"].scaleb(12))


def counted(row: dict[str, Any]) -> tuple[tuple[str, int | Decimal | None], ...]:
    """Units other than tokens by name; None where they were used and nobody said how many."""
    names = [name.rstrip("?~") for name in row["units"].split(",")] if row["units"] else []
    return tuple((name, row[place]) for name, place in zip(names, UNIT_SUMS, strict=False))
