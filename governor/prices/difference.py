"""What a new set of list prices would change, entry by entry, before anybody accepts it.

Owns: added, changed, removed, jumps beyond 20%. Does not own: recording (actions/import_prices). Invariants: an entry is (provider, model); an entry missing from
the new set is reported and kept: absence in an import never deletes a price.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from governor.prices.price import Price

JUMP: Final = Fraction(1, 5)
EntryKey = tuple[str, str]


@dataclass(frozen=True)
class Change:
    """One price of an entry that exists on both sides; None where one side has none."""

    provider: str
    model: str
    meter: str
    service_tier: str
    context_min: int
    before: str | None
    after: str | None
    jump: bool


@dataclass
class Difference:
    added: list[EntryKey] = field(default_factory=list)
    changed: list[EntryKey] = field(default_factory=list)
    missing: list[EntryKey] = field(default_factory=list)
    unchanged: int = 0
    changes: list[Change] = field(default_factory=list)

    def document(self, limit: int = 200) -> dict[str, Any]:
        """Counts, and the first changes, jumps first."""
        first = sorted(self.changes, key=lambda change: (not change.jump, change.provider, change.model, change.meter))[:limit]
        return {
            "added": len(self.added),
            "changed": len(self.changed),
            "missing_kept": len(self.missing),
            "unchanged": self.unchanged,
            "jumps_over_20_percent": sum(change.jump for change in self.changes),
            "changes": [change.__dict__ for change in first],
        }


def by_entry(rows: Iterable[Price]) -> dict[EntryKey, list[Price]]:
    found: dict[EntryKey, list[Price]] = defaultdict(list)
    for row in rows:
        found[(row.provider, row.model)].append(row)
    return found


def difference(before: Iterable[Price], after: Iterable[Price]) -> Difference:
    """Compare list rows; contracts are not the importer's business and are ignored."""
    old = by_entry(row for row in before if row.kind == "list")
    new = by_entry(row for row in after if row.kind == "list")
    result = Difference(missing=sorted(old.keys() - new.keys()))
    for key in sorted(new):
        if key not in old:
            result.added.append(key)
        elif {row.digest for row in old[key]} == {row.digest for row in new[key]}:
            result.unchanged += 1
        else:
            result.changed.append(key)
            result.changes.extend(_changes(key, old[key], new[key]))
    return result


def _changes(key: EntryKey, old: list[Price], new: list[Price]) -> list[Change]:
    """Amounts that differ, place by place (meter, tier, band, start)."""
    left, right = ({(row.meter, row.service_tier, row.region, row.context_min, row.valid_from): row for row in rows} for rows in (old, new))
    found = []
    for place in sorted(left.keys() | right.keys(), key=str):
        before, after = left.get(place), right.get(place)
        if before is None or after is None or before.pico != after.pico:
            jump = before is not None and after is not None and abs(after.pico - before.pico) > before.pico * JUMP
            was, will = (f"{row.amount} per {row.per}" if row else None for row in (before, after))
            found.append(Change(*key, place[0], place[1], place[3], was, will, jump))
    return found
