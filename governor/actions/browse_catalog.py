"""The catalog as documents: what is in force at an instant, as `apply` would read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypedDict

from governor.actions.context import Context
from governor.actions.load_catalog import catalog_as_of
from governor.catalog import Catalog, Document


class _Item(TypedDict):
    kind: str
    key: str
    document: dict[str, Any]


class CatalogItem(_Item, total=False):  # OpenAPI is made of this: it does not see NotRequired in annotations that are text
    """document: as `apply` reads it. applied_by: the opaque id of who put a waiver or an allocation in force."""

    applied_by: str


class CatalogItems(TypedDict):
    """digest: of the whole catalog."""

    digest: str
    items: list[CatalogItem]


def browse_catalog(ctx: Context, *, kind: str = "", at: datetime | None = None) -> CatalogItems:
    """What is in force; a waiver and an allocation also say who put them in force, by their opaque id."""
    catalog = catalog_as_of(ctx, at)
    items = [item for item in every(catalog) if kind in {"", item["kind"]}]
    return {"digest": catalog.digest, "items": items}


def every(catalog: Catalog) -> Iterator[CatalogItem]:
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


def item(document: Document) -> CatalogItem:
    return {
        "kind": document.kind,
        "key": document.key,
        "document": document.model_dump(mode="json", exclude_defaults=True) | {"kind": document.kind},
    }
