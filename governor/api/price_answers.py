"""What the routes of prices answer, field by field.

Owns: names, types and presence of the fields, for the OpenAPI document and the clients generated from it. Does not own: what is in them (actions).
Invariants: amounts are decimal strings; null says that there is none; what not every answer holds is NotRequired.
Annotations are no text in this module (no __future__ import): TypedDict does not see NotRequired in text.
"""

from typing import NotRequired, TypedDict

from governor.actions.propose_prices import ProposalRow


class PriceRate(TypedDict):
    """amount for `per` units of the meter. kind: list or contract; terms: how a contract's amount follows from the list."""

    kind: str
    meter: str
    amount: str
    per: int
    currency: str
    service_tier: str
    region: str
    context_min: int
    context_max: int | None
    valid_from: str | None
    valid_to: str | None
    terms: NotRequired[str]


class NoPrice(TypedDict):
    """alike: names that have a price."""

    reason: str
    detail: str
    alike: list[str]


class ModelPrices(TypedDict):
    """entry: of the price book; null, and `unpriced` says why, where nothing has a price."""

    provider: str
    model: str
    entry: str | None
    unpriced: NoPrice | None
    rates: list[PriceRate]
    notes: list[str]


class PricesAt(TypedDict):
    at: str
    price_book: str
    prices: list[ModelPrices]


class PriceChange(TypedDict):
    """before, after: null where one side has none. jump: by more than 20 %."""

    provider: str
    model: str
    meter: str
    service_tier: str
    context_min: int
    before: str | None
    after: str | None
    jump: bool
    region: NotRequired[str]
    valid_from: NotRequired[str | None]


class PriceDifference(TypedDict):
    """Counts, and the first changes, jumps first. unmatched: names that would lose their price; missing_kept: entries that only the book has, which stay."""

    added: int
    changed: int
    missing_kept: int
    unchanged: int
    prices_kept: int
    prices_withdrawn: int
    jumps_over_20_percent: int
    unmatched: list[str]
    unmatched_count: int
    missing: list[str]
    changes: list[PriceChange]


class ImportedPrices(PriceDifference):
    """proposal: null where the set changes nothing. version: of the price book, once it is approved; stored: prices that it brought."""

    source: str
    source_version: str
    digest: str
    rows: int
    notes: list[str]
    proposal: str | None
    state: str | None
    version: str | None
    stored: int
    difference_digest: NotRequired[str]


class PriceProposal(ProposalRow):
    """difference_digest: what an approval names; null once it is decided. withdrawn_from: when prices that it lacks end: an instant, `ever`, or null: they stay."""

    notes: list[str]
    withdrawn_from: str | None
    difference: PriceDifference
    difference_digest: str | None


class DecidedPrices(TypedDict):
    proposal: str
    state: str
    version: str | None
    stored: int
    difference_digest: str | None
