"""What a new set of list prices would change, entry by entry, before anybody accepts it.

Owns: added, changed, kept, jumps beyond 20%. Does not own: what becomes of an entry (merge.py), recording (actions/import_prices). Invariants: an entry is
(provider, model); what is compared is what the book would hold; a model that gets an entry of its own is compared with the entry that spoke for it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from governor.prices.book import PriceBook
from governor.prices.merge import EntryKey, Place, by_entry, merged, place_of
from governor.prices.price import EVER, RATED_IN, Price

JUMP: Final = Fraction(1, 5)


@dataclass(frozen=True)
class Change:
    """One price that changes; None where one side has none."""

    provider: str
    model: str
    meter: str
    service_tier: str
    context_min: int
    before: str | None
    after: str | None
    jump: bool
    region: str = ""
    valid_from: str | None = None


@dataclass
class Difference:
    """kept: prices of named entries that the new set has none for. entries: what the book is to hold of the entries it names.

    unmatched: (provider, model) names that have a price now and would have none, because the new set narrows what an entry speaks for, or prices the entry in a
    currency that calls are not rated in.
    """

    added: list[EntryKey] = field(default_factory=list)
    changed: list[EntryKey] = field(default_factory=list)
    missing: list[EntryKey] = field(default_factory=list)
    unchanged: int = 0
    kept: int = 0
    withdrawn: int = 0
    changes: list[Change] = field(default_factory=list)
    entries: dict[EntryKey, list[Price]] = field(default_factory=dict)
    unmatched: list[EntryKey] = field(default_factory=list)

    def document(self, limit: int = 200) -> dict[str, Any]:
        """Counts, and the first changes, jumps first."""
        first = sorted(self.changes, key=lambda change: (not change.jump, change.provider, change.model, change.meter))[:limit]
        return {
            "added": len(self.added),
            "changed": len(self.changed),
            "missing_kept": len(self.missing),
            "unchanged": self.unchanged,
            "prices_kept": self.kept,
            "prices_withdrawn": self.withdrawn,
            "jumps_over_20_percent": sum(change.jump for change in self.changes),
            "unmatched": [f"{provider}/{model}" for provider, model in self.unmatched[:limit]],
            "unmatched_count": len(self.unmatched),
            "missing": [f"{provider}/{model}" for provider, model in self.missing[:limit]],
            "changes": [change.__dict__ for change in first],
        }


def difference(
    before: Iterable[Price],
    after: Iterable[Price],
    called: Iterable[EntryKey] = (),
    withdraw: datetime | None = None,
    own: Collection[Place] | None = None,
) -> Difference:
    """Compare list rows; contracts are not the importer's business and are ignored. `called`: models that calls were made to; withdraw: as a Seed says it,
    of the places in `own` alone.
    """
    held, named = [row for row in before if row.kind == "list"], [row for row in after if row.kind == "list"]
    old, book = by_entry(held), PriceBook(held)
    new = by_entry(merged(held, named, withdraw, own))
    result = Difference(missing=sorted(old.keys() - new.keys()), entries=new, kept=_kept(new, by_entry(named)))
    if withdraw is not None:
        stay = by_entry(merged(held, named))
        result.withdrawn = sum(len({row.digest for row in stay[key]} - {row.digest for row in new[key]}) for key in new)
        result.kept -= sum(len({row.digest for row in new[key]} - {row.digest for row in stay[key]}) for key in new)
    for key in sorted(new):
        if key not in old:
            result.added.append(key)
            spoke = book.find(*key)
            result.changes.extend(_changes(key, spoke.rows, new[key]) if spoke else [])
        elif {row.digest for row in old[key]} == {row.digest for row in new[key]}:
            result.unchanged += 1
        else:
            result.changed.append(key)
            result.changes.extend(_changes(key, old[key], new[key]))
    result.unmatched = sorted(
        {*_unmatched(book, old, new, called), *(key for key in new if _rated(old.get(key, ())) and not _rated(new[key]))}
    )
    return result


def _rated(rows: Sequence[Price]) -> bool:
    return bool(rows) and all(row.currency == RATED_IN for row in rows)


def _unmatched(
    book: PriceBook, old: Mapping[EntryKey, Sequence[Price]], new: Mapping[EntryKey, Sequence[Price]], called: Iterable[EntryKey]
) -> list[EntryKey]:
    """Of the names that old clauses spell out, of the models of the book and of those called: which lose their price."""
    narrowed = {key for key in new if key in old and {row.match for row in old[key]} != {row.match for row in new[key]}}
    if not narrowed:
        return []
    providers = {provider for provider, _ in narrowed}
    after = PriceBook(
        [*(row for key, rows in old.items() if key not in new for row in rows), *(row for rows in new.values() for row in rows)]
    )
    asked = {key for key in (*called, *old) if key[0] in providers}
    asked |= {(key[0], name) for key in narrowed for row in old[key] if row.match for name in spelled(json.loads(row.match)["clause"])}
    return sorted(key for key in asked if book.find(*key) is not None and after.find(*key) is None)


def spelled(clause: Mapping[str, Any]) -> set[str]:
    """Names that a clause spells out; a pattern spells none."""
    ((kind, operand),) = clause.items()
    if kind in {"or", "and"}:
        return {name for part in operand for name in spelled(part)}
    return set() if kind == "regex" else {str(operand)}


def _kept(new: Mapping[EntryKey, Sequence[Price]], named: Mapping[EntryKey, Sequence[Price]]) -> int:
    """Prices of the entries that their source has none for."""
    return sum(len({_point(row) for row in rows} - {_point(row) for row in named[key]}) for key, rows in new.items())


def _point(row: Price) -> tuple[str, str, str, int, datetime | None]:
    return row.meter, row.service_tier, row.region, row.context_min, row.valid_from


def _holding(rows: Sequence[Price], at: Price) -> Price | None:
    """The price of the same meter, tier and region for the first request that another one is for."""
    return next(
        (row for row in rows if place_of(row) == place_of(at) and row.holds_at(at.valid_from or EVER) and row.covers(at.context_min)), None
    )


def _ended(row: Price, rows: Sequence[Price]) -> bool:
    """Whether nothing of its place follows it."""
    return row.valid_to is not None and not any(
        place_of(one) == place_of(row) and one.holds_at(row.valid_to) and one.covers(row.context_min) for one in rows
    )


def _changes(key: EntryKey, old: Sequence[Price], new: Sequence[Price]) -> list[Change]:
    """Amounts that differ, place by place (meter, tier, band, start)."""
    left, right = ({_point(row): row for row in rows} for rows in (old, new))
    found = []
    for place in sorted(left.keys() | right.keys(), key=str):
        before, after = left.get(place), right.get(place)
        if before is None and after is not None:  # a price that begins on a new day is compared with the one it follows
            before = _holding(old, after)
        elif after is None and before is not None:  # and one that began later than the new one, with what holds then
            after = _holding(new, before)
        ends = before is not None and after is not None and after.valid_to != before.valid_to and _ended(after, new)
        if before is None or after is None or ends or (before.pico, before.currency) != (after.pico, after.currency):
            jump = before is not None and after is not None and abs(after.pico - before.pico) > before.pico * JUMP
            was, will = (f"{row.amount} {row.currency} per {row.per}" if row else None for row in (before, after))
            if ends and after is not None and after.valid_to is not None:
                will = f"{will} until {after.valid_to:%Y-%m-%d}, then none"
            begins = None if place[4] is None else place[4].isoformat()
            found.append(Change(*key, place[0], place[1], place[3], was, will, jump, place[2], begins))
    return found
