"""Our side of a reconciliation: what each meter of each way of using a model came to, by UTC day.

Owns: the roll-up and its pricing by day. Does not own: comparing (chargeback/reconciliation), attribution and policy, which a provider's bill does not know.
Invariants: cost-bearing production and shadow calls of the gateways alike, as a provider bills both; a call without a price is no amount, and is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from governor.actions.asked_month import ask
from governor.actions.context import Context
from governor.actions.governed_rows import TOKENS
from governor.actions.import_prices import load_book
from governor.actions.load_catalog import load_timeline
from governor.actions.price_row import counted, price_row
from governor.chargeback.period import month_bounds
from governor.chargeback.reconciliation.bill import issuer_of
from governor.chargeback.reconciliation.cells import UsageLine
from governor.prices.names import canonical_provider, canonical_tier
from governor.prices.rate import Usage
from governor.prices.units import PARTED, base_of

ACCOUNTS: Final = ("project_id", "workspace_id", "org_id")
BILLED_AS: Final = {
    "grounded_prompt": "web_search",
    "session": "code_execution",
}  # our meters in the words of bills (connectors/bills/words.py)
KEYS: Final = (*ACCOUNTS, "gateway_kind")


@dataclass(frozen=True)
class OurUsage:
    """The lines, and what they were computed from. `unpriced_calls` by provider and model: used, but not in any amount."""

    lines: list[UsageLine]
    snapshot: int
    price_book: str
    unpriced_calls: dict[str, int]


def our_usage(ctx: Context, month: str) -> OurUsage:
    """The calendar month in UTC, which is how providers bill. Raises Invalid for a malformed month."""
    start, end = month_bounds(month, "UTC")
    timeline = load_timeline(ctx, start, end)
    book = load_book(ctx, timeline.at(end))
    asked = ask(ctx, timeline, book, start, end, zone="UTC", names=KEYS)
    lines: list[UsageLine] = []
    unpriced: dict[str, int] = {}
    for row in asked.facts(ctx).to_pylist():
        usage = Usage(requests=row["calls"], counts=counted(row), **{name: row[name] for name in TOKENS})
        rated, _ = price_row(row, book, asked.epochs[row["epoch"]], usage, bands=asked.bands)
        if rated.status == "unpriced":
            name = f"{row['provider']}/{row['model']}"
            unpriced[name] = unpriced.get(name, 0) + row["calls"]
        lines += [_line(row, part, row["calls"] if place == 0 else 0) for place, part in enumerate(rated.parts)]
    return OurUsage(lines, asked.snapshot, book.digest, dict(sorted(unpriced.items())))


def _line(row: dict[str, Any], part: Any, calls: int) -> UsageLine:
    provider = canonical_provider(row["provider"])
    meter = base_of(part.meter).replace("millisecond", "second")
    return UsageLine(
        day=row["day"],
        issuer=issuer_of(provider, str(row["gateway_kind"] or "")),
        accounts=tuple(str(row[name]) for name in ACCOUNTS if row[name]),
        model=str(row["model"] or "unknown"),
        meter=BILLED_AS.get(meter, meter),
        tier=canonical_tier(row["service_tier"]),
        quantity=part.quantity if meter in part.meter else round(Fraction(part.quantity, PARTED)),
        list_pico=part.list_pico,
        cost_pico=part.contracted_pico,
        calls=calls,
    )
