"""The catalog as documents: what is in force at an instant, as `apply` would read it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from governor.actions.context import Context
from governor.actions.load_catalog import catalog_as_of
from governor.catalog import Catalog, Document


def browse_catalog(ctx: Context, *, kind: str = "", at: datetime | None = None) -> dict[str, Any]:
    """{"digest", "items": [{"kind", "key", "document"}]}; a waiver also says who put it in force, by their opaque id."""
    catalog = catalog_as_of(ctx, at)
    items = [item for item in every(catalog) if kind in {"", item["kind"]}]
    return {"digest": catalog.digest, "items": items}


def every(catalog: Catalog) -> Iterator[dict[str, Any]]:
    yield item(catalog.organization)
    for part in (catalog.people, catalog.workflows, catalog.attributions, catalog.endpoints, catalog.sources):
        yield from (item(document) for document in part.values())
    yield from (item(document) for document in catalog.contract_prices)
    for terms in (catalog.commitments, catalog.fx_rates):
        yield from (item(document) for document in terms.values())
    for waiver in catalog.waivers:
        yield {**item(waiver.document), "applied_by": waiver.approver}


def item(document: Document) -> dict[str, Any]:
    return {
        "kind": document.kind,
        "key": document.key,
        "document": document.model_dump(mode="json", exclude_defaults=True) | {"kind": document.kind},
    }
