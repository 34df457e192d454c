"""What a connector gives the conformance suite: bodies of real records, how to break one, and where its facts sit.

One module per connector stands beside this one; each has SAMPLES. A connector joins the suite by adding its module.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parents[1] / "fixtures"


@dataclass(frozen=True)
class Sample:
    connector: str
    units: Callable[[], list[bytes]]  # bodies that can each be read alone, and joined by newlines
    count: int  # model calls in all of them
    negative: Callable[[dict[str, Any]], None]  # makes a token count negative
    timeless: Callable[[dict[str, Any]], None]
    nameless: Callable[[dict[str, Any]], None]
    extra: Callable[[dict[str, Any]], None]  # adds an unknown usage name and a user metadata name
    secret: Callable[[dict[str, Any]], None]
    make: Callable[[Any], Any] = lambda connector: connector  # what the entry point gives -> the connector under test


def lines(name: str) -> Callable[[], list[bytes]]:
    return lambda: [line for line in (FIXTURES / name).read_bytes().splitlines() if line.strip()]


def both(*changes: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        for one in changes:
            one(record)

    return change


def all_samples() -> dict[str, Sample]:
    found: dict[str, Sample] = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.name != Path(__file__).name:
            found |= importlib.import_module(f"connector_samples.{path.stem}").SAMPLES
    return found
