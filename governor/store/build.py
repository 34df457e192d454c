"""Which program writes: name, version and one digest over the source of all five packages, so that an entry names the code that made it."""

from __future__ import annotations

import hashlib
import importlib.metadata
from functools import lru_cache
from pathlib import Path
from typing import Final

from governor.ledger.entry import Producer

DISTRIBUTION: Final = "workflow-model-governor"
PACKAGES: Final = ("connectors", "governor", "policies", "reports", "workers")
SOURCE: Final = {".py", ".rego", ".html", ".css", ".sql"}


@lru_cache
def producer() -> Producer:
    """The program that runs. Its digest covers names and bytes of every source file, in a fixed order."""
    root = Path(__file__).parents[2]
    whole = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in SOURCE and path.is_file():
                whole.update(f"{path.relative_to(root).as_posix()}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return Producer("governor", _version(), whole.hexdigest())


def _version() -> str:
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:  # a source tree that was never installed
        return "0+source"
