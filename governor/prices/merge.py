"""What the book holds of an entry once a source has named it: the source's prices, and what the source left open.

Owns: which references the entry speaks for then, and the prices of places (meter, tier, region) that the source has none for. Does not own: who may import.
Invariants: absence deletes no match, and no price unless who imports says so; a source that says which references it means is believed; merging it again changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from governor.prices.book import PriceBook, rank_of
from governor.prices.overlap import NEVER, clash, without_overlaps
from governor.prices.price import EVER, Price

EntryKey = tuple[str, str]
Place = tuple[str, str, str, str, str]  # provider, model, meter, tier, region


def by_entry(rows: Iterable[Price]) -> dict[EntryKey, list[Price]]:
    found: dict[EntryKey, list[Price]] = defaultdict(list)
    for row in rows:
        found[(row.provider, row.model)].append(row)
    return found


def merged(
    before: Iterable[Price], after: Iterable[Price], withdraw: datetime | None = None, own: Collection[Place] | None = None
) -> list[Price]:
    """The rows of every entry that `after` names, as they are to be stored; both are list rows. withdraw: as a Seed says it, of the places in `own` alone."""
    held = list(before)
    old, book = by_entry(held), PriceBook(held)
    return [
        row
        for key, rows in by_entry(after).items()
        for row in _entry(rows, _still(old.get(key) or _spoke_for(book, key, rows), rows, withdraw, own))
    ]


def _still(held: Sequence[Price], rows: Sequence[Price], withdraw: datetime | None, own: Collection[Place] | None) -> list[Price]:
    """Older prices of an entry less what is withdrawn: places that `rows` have no price of, and that its source brought."""
    if withdraw is None:
        return list(held)
    named = {place_of(row) for row in rows}
    if own is not None:
        named |= {place_of(row) for row in held if (row.provider, row.model, *place_of(row)) not in own}
    ended = (
        row if row.valid_to and row.valid_to <= withdraw else replace(row, valid_to=withdraw)
        for row in held
        if (row.valid_from or EVER) < withdraw
    )
    return [*(row for row in held if place_of(row) in named), *(row for row in ended if place_of(row) not in named)]


def _spoke_for(book: PriceBook, key: EntryKey, rows: Sequence[Price]) -> list[Price]:
    """The prices of a model that is new by its own name only: those of the older entry that spoke for it, such as a snapshot's model."""
    entry = book.find(*key) if not any(row.match for row in rows) else None
    return [replace(row, model=key[1], match="") for row in entry.rows] if entry else []


def _entry(rows: Sequence[Price], held: Sequence[Price]) -> list[Price]:
    """Two entries of one name are told apart by their clauses (a reseller's own and its fallback), so each is merged by itself."""
    older = _by_match(held)
    newer = _by_match(rows)
    if set(newer) == {""}:
        return [row for match, group in (older or newer).items() for row in _overlaid(rows, group if older else (), match)]
    groups: dict[str, list[Price]] = {match: [] for match in newer}
    for place, group in enumerate(older.values()):  # ranks, and with them clauses, differ between versions of a list
        groups[list(newer)[min(place, len(newer) - 1)]] += group
    return [row for match, group in groups.items() for row in _overlaid(newer[match], group, match)]


def _by_match(rows: Iterable[Price]) -> dict[str, list[Price]]:
    found: dict[str, list[Price]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: rank_of(row.match)):
        found[row.match].append(row)
    return found


def _overlaid(rows: Sequence[Price], held: Sequence[Price], match: str) -> list[Price]:
    """`rows` with what they leave open: places they do not name, and the times and context bands for which they have no price of a place."""
    newer: dict[tuple[str, str, str], list[Price]] = defaultdict(list)
    for row in rows:
        newer[place_of(row)].append(row)
    currencies = {row.currency for row in rows}
    kept: list[Price] = []
    for row in held:
        # two currencies in one entry at one time would leave it without any price, so the older one gives way in every place and band
        other = [replace(one, context_min=0, context_max=None) for one in rows] if row.currency not in currencies else newer[place_of(row)]
        parts = [row]
        for one in other:
            parts = [rest for part in parts for rest in _outside(part, one)]
        kept += parts
    return without_overlaps(row if row.match == match else replace(row, match=match) for row in (*rows, *kept))


def _outside(row: Price, newer: Price) -> Iterator[Price]:
    """The times and bands of a price that a newer one of the same place leaves to it."""
    if not clash(row, newer):
        yield row
        return
    start, end = newer.valid_from, newer.valid_to
    if start is not None and (row.valid_from or EVER) < start:
        yield replace(row, valid_to=start)
        row = replace(row, valid_from=start)
    if end is not None and end < (row.valid_to or NEVER):
        yield replace(row, valid_from=end)
        row = replace(row, valid_to=end)
    if row.context_min < newer.context_min:
        yield replace(row, context_max=newer.context_min)
    if newer.context_max is not None and (row.context_max is None or newer.context_max < row.context_max):
        yield replace(row, context_min=newer.context_max)


def places_of(rows: Iterable[Price]) -> set[Place]:
    return {(row.provider, row.model, *place_of(row)) for row in rows}


def place_of(row: Price) -> tuple[str, str, str]:
    return row.meter, row.service_tier, row.region
