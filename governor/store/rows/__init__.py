"""Operational rows, one module per noun. Import a module to register its tables on `SQLModel.metadata`."""

from governor.store.rows import (
    anchors,
    bills,
    catalog,
    changes,
    golden,
    ingest,
    jobs,
    ledger,
    notices,
    passkeys,
    people,
    periods,
    prices,
    rechecks,
    reviews,
)

__all__ = [
    "anchors",
    "bills",
    "catalog",
    "changes",
    "golden",
    "ingest",
    "jobs",
    "ledger",
    "notices",
    "passkeys",
    "people",
    "periods",
    "prices",
    "rechecks",
    "reviews",
]
