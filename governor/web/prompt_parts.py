"""The part of the spend page about parts of prompts: per workflow, what each part of its assembled prompts cost, as bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from markupsafe import Markup

from governor.actions.context import Context
from governor.actions.show_segments import APART, OUTPUT, SEGMENT, SMALLER, UNSAID, show_segments
from governor.actions.usage import usd
from governor.web.plots import share_bar

SHOWN: Final = 10  # workflows
LARGEST: Final = 12  # lines of one workflow; the command and the API have all
WORDS: Final = {SMALLER: "smaller parts", UNSAID: "not said", OUTPUT: "the answer", APART: "charged apart from tokens"}


@dataclass(frozen=True)
class PartRow:
    """One part of a workflow's prompts. tone of the bar: parts that have a name stand out."""

    label: str
    named: bool
    tokens: int | None
    cost: str
    share: Decimal
    bar: Markup


@dataclass(frozen=True)
class PayingWorkflow:
    name: str | None
    cost: str
    rows: list[PartRow]
    left_out: int


@dataclass(frozen=True)
class PromptParts:
    facts: dict[str, Any]
    workflows: list[PayingWorkflow]
    more: int


def prompt_parts(ctx: Context, period: str, only: Mapping[str, str]) -> PromptParts:
    found = show_segments(ctx, period, only=only)
    paying = [paying_workflow(name, list(rows)) for name, rows in groupby(found["rows"], lambda row: row["workflow"])]
    return PromptParts(found, paying[:SHOWN], max(len(paying) - SHOWN, 0))


def paying_workflow(name: str | None, rows: list[dict[str, Any]]) -> PayingWorkflow:
    """Its dearest parts; costs of parts that are left out stay in the sum."""
    total = sum((Decimal(row["cost"]) for row in rows), Decimal(0))
    return PayingWorkflow(name, usd(int(total.scaleb(12))), [part_row(row) for row in rows[:LARGEST]], max(len(rows) - LARGEST, 0))


def part_row(row: dict[str, Any]) -> PartRow:
    named = row["part"] == SEGMENT
    label = row["segment"] if named else WORDS[row["part"]]
    share = Decimal(row["share"])
    bar = share_bar(
        share, "plain" if named else "warn" if row["part"] == UNSAID else "good", f"{label}: {share * 100:.1f}% of the workflow's cost"
    )
    return PartRow(label, named, row["tokens"], row["cost"], share, bar)
