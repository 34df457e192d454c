"""The models of a month that the book prices: what a form proposes as candidates, without governing the month.

Owns: which rows need rating (one priced row of a model is enough). Does not own: what a row costs (price_row.py), the rows (store/lake).
Invariants: the models are those of the governed month's priced groups, whose rows it reads; nobody is attributed and policy is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import pyarrow as pa

from governor.actions.asked_month import ask
from governor.actions.context import Context
from governor.actions.governed_rows import COLUMNS, TOKENS, rows_of
from governor.actions.import_prices import load_book
from governor.actions.load_catalog import catalog_as_of, load_timeline
from governor.actions.price_row import counted, price_row
from governor.actions.remembered import remembered
from governor.chargeback.period import month_bounds
from governor.prices.rate import Usage

Model = tuple[str | None, str | None]  # provider, model
RATED: Final = tuple(name for name in COLUMNS if name != "examples")


def priced_models(ctx: Context, period: str) -> set[Model]:
    """Raises Invalid for a malformed period."""
    return cast(set[Model], remembered(ctx, f"models/{period}", lambda: _priced(ctx, period)))


def _priced(ctx: Context, period: str) -> set[Model]:
    start, end = month_bounds(period, catalog_as_of(ctx).organization.billing_zone)
    timeline = load_timeline(ctx, start, end)
    book = load_book(ctx, timeline.at(end))
    asked = ask(ctx, timeline, book, start, end)
    facts = asked.facts(ctx)

    def is_priced(row: dict[str, Any]) -> bool:
        usage = Usage(requests=row["calls"], counts=counted(row), **{name: row[name] for name in TOKENS})
        return price_row(row, book, asked.epochs[row["epoch"]], usage, bands=asked.bands)[0].status == "priced"

    places: dict[Model, list[int]] = {}
    for place, (provider, model) in enumerate(rows_of(facts, ("provider", "model"))):
        places.setdefault((provider, model), []).append(place)
    return {model for model, rows in places.items() if any(map(is_priced, _read(facts, rows)))}


def _read(facts: pa.Table, places: list[int]) -> Iterator[dict[str, Any]]:
    """The rows at these places, a few at first: of most models the first one has a price, of the others none of very many."""
    first, size = 0, 1
    while first < len(places):
        for values in rows_of(facts.take(places[first : first + size]), RATED):
            yield dict(zip(RATED, values, strict=True))
        first, size = first + size, size * 8
