"""The price book as people read it: which models have a price, and the history of one.

Owns: search over entries, the dated and recorded steps of a SKU. Does not own: rating, proposals. Invariants: reads only; a row that was superseded is shown as
such, with when it was known and which version brought it.
"""

from __future__ import annotations

from typing import Any, Final

from sqlmodel import col, select

from governor.actions.context import Context
from governor.actions.import_prices import load_book
from governor.actions.load_catalog import catalog_as_of
from governor.errors import NotFound
from governor.ledger.canonical import timestamp
from governor.prices.book import Rates
from governor.prices.names import canonical_provider
from governor.store.rows.prices import PriceBookVersion, PriceRow

METERS: Final = ("input", "cache_read", "output")


def search_prices(ctx: Context, text: str = "", *, provider: str = "") -> list[dict[str, Any]]:
    """Entries whose provider/model holds every word of `text`, with the standard prices of today."""
    now = ctx.now()
    book = load_book(ctx, catalog_as_of(ctx, now))
    words = text.lower().split()
    listed = {(name, entry.model): entry.model for name, entry in book.entries()}
    listed |= {pair: pair[1] for pair in book.contracts if pair not in {(name, model.lower()) for name, model in listed}}
    found = []
    for name, model in sorted(listed):
        if (provider and name != provider) or not all(word in f"{name}/{model}".lower() for word in words):
            continue
        found.append({"provider": name, "model": model})
    return found


def with_prices(ctx: Context, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of one page with today's amounts per meter, contract first."""
    now = ctx.now()
    book = load_book(ctx, catalog_as_of(ctx, now))
    return [row | _today(book.lookup(row["provider"], row["model"], now)) for row in rows]


def _today(rates: Any) -> dict[str, Any]:
    if not isinstance(rates, Rates):
        return {"unpriced": rates.detail, "meters": {}, "others": 0, "contract": False}
    prices = {meter: rates.price(meter, 0, contract=True) for meter in METERS}
    others = {*rates.listed, *rates.contracted} - set(METERS)
    meters = {meter: f"{price.amount} per {price.per:,}" for meter, price in prices.items() if price}
    return {"unpriced": "", "meters": meters, "others": len(others), "contract": bool(rates.contracted)}


def providers(ctx: Context) -> list[str]:
    return load_book(ctx, catalog_as_of(ctx)).providers


def price_history(ctx: Context, provider: str, model: str) -> dict[str, Any]:
    """Every list row ever recorded for an entry, newest knowledge first, the contract rows, and what terms make of the list today. Raises NotFound."""
    provider = canonical_provider(provider)
    with ctx.rows.session() as session:
        query = (
            select(PriceRow, PriceBookVersion)
            .join(PriceBookVersion, col(PriceRow.version_id) == col(PriceBookVersion.id))
            .where(PriceRow.org_id == ctx.org, PriceRow.provider == provider, PriceRow.model == model)
        )
        rows = [_row(row, version) for row, version in session.exec(query)]
    book = load_book(ctx, catalog_as_of(ctx))
    today = book.lookup(provider, model, ctx.now())
    termed = [price for bands in today.contracted.values() for price in bands if price.terms] if isinstance(today, Rates) else []
    rows += [
        price.record()
        | {
            "recorded_at": None,
            "superseded_at": None,
            "source": price.terms or "contract",
            "approved_by": None,
            "evidence_sha256": None,
            "proposal": None,
        }
        for price in (*book.rows, *termed)
        if price.terms
        or (price.kind == "contract" and (canonical_provider(price.provider), price.model.lower()) == (provider, model.lower()))
    ]
    if not rows:
        raise NotFound(f"no price of {provider}/{model}"[:200], hint="search the price book for its name")
    order = ("kind", "meter", "service_tier", "region", "context_min")
    rows.sort(key=lambda row: (row["superseded_at"] is not None, *[str(row[name]) for name in order], row["valid_from"] or ""))
    return {"provider": provider, "model": model, "rows": rows, "clauses": sorted({row["match"] for row in rows if row["match"]})}


def _row(row: PriceRow, version: PriceBookVersion) -> dict[str, Any]:
    names = ("kind", "meter", "amount", "per", "currency", "match", "region", "service_tier", "context_min", "context_max", "band_rule")
    return {name: getattr(row, name) for name in names} | {
        "valid_from": timestamp(row.valid_from) if row.valid_from else None,
        "valid_to": timestamp(row.valid_to) if row.valid_to else None,
        "recorded_at": timestamp(row.recorded_at),
        "superseded_at": timestamp(row.superseded_at) if row.superseded_at else None,
        "source": f"{version.source} {version.source_version}",
        "approved_by": version.approved_by or None,
        "evidence_sha256": version.evidence_sha256 or version.digest,
        "proposal": version.proposal_id or None,
    }
