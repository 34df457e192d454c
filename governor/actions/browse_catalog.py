"""The catalog as documents: what is in force at an instant, as `apply` would read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from governor.actions.context import Context
from governor.actions.load_catalog import catalog_as_of
from governor.catalog import Catalog, Document


def browse_catalog(ctx: Context, *, kind: str = "", at: datetime | None = None) -> dict[str, Any]:
    """{"digest", "items": [{"kind", "key", "document"}]}; a waiver and an allocation also say who put them in force, by their opaque id."""
    catalog = catalog_as_of(ctx, at)
    items = [item for item in every(catalog) if kind in {"", item["kind"]}]
    return {"digest": catalog.digest, "items": items}


def every(catalog: Catalog) -> Iterator[dict[str, Any]]:
    yield item(catalog.organization)
    named: tuple[Mapping[str, Document], ...] = (
        catalog.people,
        catalog.workflows,
        catalog.attributions,
        catalog.endpoints,
        catalog.sources,
        catalog.budgets,
        catalog.notifications,
        catalog.drivers,
        catalog.rate_plans,
        catalog.commitments,
        catalog.fx_rates,
    )
    for part in named:
        yield from (item(document) for document in part.values())
    yield from (item(document) for document in catalog.contract_prices)
    for rule in catalog.allocations:
        yield {**item(rule.document), "applied_by": rule.approver}
    for waiver in catalog.waivers:
        yield {**item(waiver.document), "applied_by": waiver.approver}


def item(document: Document) -> dict[str, Any]:
    return {
        "kind": document.kind,
        "key": document.key,
        "document": document.model_dump(mode="json", exclude_defaults=True) | {"kind": document.kind},
    }
