"""Operational rows, one module per noun. Import a module to register its tables on `SQLModel.metadata`."""

from governor.store.rows import catalog, changes, ingest, jobs, ledger, people, periods, prices

__all__ = ["catalog", "changes", "ingest", "jobs", "ledger", "people", "periods", "prices"]
