"""What this installation is made of: versions, policy bundle, where its stores are of which kind. For people; `doctor` says what works.

Owns: this document. Invariants: reads only; no address, path or secret of a store is told.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from governor.actions.context import Context
from governor.actions.payloads import installed

PARTS: Final = (
    ("Governor", "workflow-model-governor"),
    ("DuckDB (calls)", "duckdb"),
    ("Rego engine", "gordon-to-regorus"),
    ("Price seed", "genai-prices"),
    ("Web", "litestar"),
)


def installation(ctx: Context) -> dict[str, Any]:
    """{"versions": {name: version}, "bundle", "rules", "own_rules", "engine", "database", "jobs", "connectors", "log"}."""
    return {
        "versions": {"Python": platform.python_version()} | {name: version_of(package) for name, package in PARTS},
        "bundle": ctx.bundle.revision,
        "rules": len(ctx.bundle.data["rulebook"]),
        "own_rules": ctx.settings.own_policies is not None,
        "engine": "OPA server" if ctx.settings.opa_url else "embedded",
        "database": "embedded SQLite" if ctx.settings.embedded else "Postgres",
        "jobs": "Redis" if ctx.settings.broker_url else "threads of this process",
        "connectors": list(installed()),
        "log": ctx.keys.origin(ctx.org),
    }


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
