"""The 95% gate as tiles: mapped spend and its three parts, as the spend page and month end show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from markupsafe import Markup

from governor.chargeback.coverage import NEEDED_PERCENT
from governor.web.plots import share_bar

NEEDED: Final = Decimal(NEEDED_PERCENT) / 100
PARTS: Final = (("workflow", "belongs to a workflow"), ("owner", "has an owner"), ("approved_policy", "took an approved route"))


@dataclass(frozen=True)
class Part:
    label: str
    percent: str
    bar: Markup


@dataclass(frozen=True)
class Gate:
    """facts: the coverage document. bar: mapped spend with the limit marked."""

    facts: Mapping[str, Any]
    bar: Markup
    parts: list[Part]
    needed: int = NEEDED_PERCENT


def gate_of(coverage: Mapping[str, Any]) -> Gate:
    parts = [Part(label, coverage["parts"][name], bar_of(coverage["parts"][name], label)) for name, label in PARTS]
    return Gate(coverage, bar_of(coverage["percent"], "mapped spend"), parts)


def bar_of(percent: str, label: str) -> Markup:
    share = Decimal(percent) / 100
    return share_bar(share, "good" if share >= NEEDED else "warn", f"{label}: {percent}%", mark=NEEDED)
