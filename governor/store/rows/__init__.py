"""Operational rows, one module per noun. Import a module to register its tables on `SQLModel.metadata`."""

from governor.store.rows import anchors, catalog, changes, ingest, jobs, ledger, notices, people, periods, prices

__all__ = ["anchors", "catalog", "changes", "ingest", "jobs", "ledger", "notices", "people", "periods", "prices"]
