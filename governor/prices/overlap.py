"""Two prices for the same thing at the same time: found, and refused by name.

Owns: what "the same thing" is (SKU, meter, context tokens). Does not own: the database's own refusal (the migration 'price proposals'). Invariants: two rows
clash when one request at one instant would find both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import combinations

from governor.errors import Invalid
from governor.prices.price import EVER, Price

NEVER = datetime(9999, 12, 31, tzinfo=UTC)


def clash(one: Price, other: Price) -> bool:
    """Of rows of one SKU and meter."""
    times = (one.valid_from or EVER) < (other.valid_to or NEVER) and (other.valid_from or EVER) < (one.valid_to or NEVER)
    contexts = (other.context_max is None or one.context_min < other.context_max) and (
        one.context_max is None or other.context_min < one.context_max
    )
    return times and contexts


def same_thing(row: Price) -> tuple[str, ...]:
    return row.kind, row.provider, row.model, row.match, row.meter, row.service_tier, row.region


def refuse_overlaps(rows: Iterable[Price]) -> None:
    """Raise Invalid naming the first two rows that hold at once."""
    found: dict[tuple[str, ...], list[Price]] = defaultdict(list)
    for row in rows:
        found[same_thing(row)].append(row)
    for members in found.values():
        for one, other in combinations(members, 2):
            if clash(one, other):
                tier = f" {one.service_tier}" if one.service_tier else ""
                raise Invalid(
                    f"two prices of {one.provider}/{one.model} {one.meter}{tier} hold at the same time: "
                    f"{one.amount} per {one.per} and {other.amount} per {other.per}",
                    hint="give the earlier one a valid_to, or the context bands bounds that do not meet",
                )


def without_overlaps(rows: Iterable[Price]) -> list[Price]:
    """Rows in order, less those that clash with an earlier one: what a list leaves open must not contradict it."""
    found: dict[tuple[str, ...], list[Price]] = defaultdict(list)
    kept = []
    for row in rows:
        members = found[same_thing(row)]
        if not any(clash(row, known) for known in members):
            members.append(row)
            kept.append(row)
    return kept
