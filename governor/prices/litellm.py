"""LiteLLM's `model_prices_and_context_window.json`: numbers per token or request under names with suffixes for tier and length, as frozen rows.

Owns: its field names, its bands, what its zeros mean. Invariants: numbers are exact, as JSON numbers or as text; a zero beside a price in another unit (a query,
an image) says that tokens are not what is charged, and is no price; a field that cannot be expressed is counted in notes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from governor.prices.litellm_units import SEARCHES, of_size, searches, unit_of
from governor.prices.names import canonical_provider, canonical_tier
from governor.prices.price import Price, plain

MILLION: Final = 1_000_000
METERS: Final = {  # field -> meter, block
    "input_cost_per_token": ("input", MILLION),
    "output_cost_per_token": ("output", MILLION),
    "cache_read_input_token_cost": ("cache_read", MILLION),
    "cache_creation_input_token_cost": ("cache_write", MILLION),
    "cache_creation_input_token_cost_above_1hr": ("cache_write_1h", MILLION),
    "output_cost_per_reasoning_token": ("reasoning", MILLION),
    "input_cost_per_audio_token": ("audio_input", MILLION),
    "output_cost_per_audio_token": ("audio_output", MILLION),
    "input_cost_per_image_token": ("image_input", MILLION),
    "output_cost_per_image_token": ("image_output", MILLION),
    "cache_read_input_audio_token_cost": ("cache_read_audio", MILLION),
    "cache_read_input_image_token_cost": ("cache_read_image", MILLION),
    "input_cost_per_request": ("request", 1),
}
TIERS: Final = {"_batches": "batch", "_priority": "priority", "_flex": "flex", "_ultrafast": "ultrafast", "_balanced": "balanced"}
ABOVE: Final = re.compile(r"_above_(\d+)k_tokens")  # on either side of the service tier's suffix
FROM_THRESHOLD: Final = frozenset({"x_ai"})  # a request of just as many tokens is in the higher band; elsewhere it takes more
TIERED: Final = "tiered_pricing"
UNITS: Final = re.compile(r"(?:\w+_)?cost_per_(?!token|request)")
BY_TOKEN: Final = ("output_cost_per_token", "output_cost_per_image_token")
SIDES: Final = {"input": "input_cost_per_", "output": "output_cost_per_"}
ENDS: Final = 2
Bands = dict[int, tuple[Decimal, int | None]]  # first token -> price of the field's own unit, where the band ends if not at the next


@dataclass
class _Model:
    """What one entry says: prices by field, meter and tier; amounts above zero in other units than tokens, by field, and those that have a meter."""

    bands: dict[tuple[str, str], Bands] = field(default_factory=lambda: defaultdict(dict))
    other: set[str] = field(default_factory=set)
    units: dict[tuple[str, str], tuple[int, Decimal]] = field(default_factory=dict)  # meter, tier -> block, amount for the block


def litellm_rows(document: Mapping[str, Any], notes: Counter[str]) -> list[Price]:
    """Rows of every model. Names keep LiteLLM's `provider/` prefix apart: the provider is `litellm_provider`."""
    found: dict[tuple[str, ...], list[Price]] = {}  # of two names of one model the later one's bands, not some of each
    named = {
        name: entry
        for name, entry in document.items()
        if name != "sample_spec" and isinstance(entry, Mapping) and entry.get("litellm_provider")
    }
    by_token = {_named(name, entry) for name, entry in named.items() if any(_number(entry.get(cost)) for cost in BY_TOKEN)}
    for name, entry in named.items():
        provider, called = _named(name, entry)
        model, size, pixels = of_size(called)
        if size and ((provider, model) in by_token or "-steps/" in called):  # what its tokens come to; steps that no call tells
            notes["names with a size whose model is priced by tokens or steps"] += 1
            continue
        mine: dict[tuple[str, ...], list[Price]] = defaultdict(list)
        for row in _rows(provider, model, (size, pixels), entry, notes):
            mine[row.provider, row.model, row.meter, row.service_tier].append(row)
        found |= mine
    return sorted((row for rows in found.values() for row in rows), key=lambda row: row.order)


def _named(name: str, entry: Mapping[str, Any]) -> tuple[str, str]:
    said = str(entry["litellm_provider"])
    provider = canonical_provider(said.split("-", maxsplit=1)[0] if said.startswith("vertex_ai") else said)
    prefix, slash, rest = name.partition("/")
    return provider, rest if slash and canonical_provider(prefix) == provider else name


def _rows(provider: str, model: str, size: tuple[str, int], entry: Mapping[str, Any], notes: Counter[str]) -> Iterator[Price]:
    found = _Model()
    for one, value in entry.items():
        if not _read_unit(one, value, size, entry, found):
            _read(one, value, found, notes, exact=provider in FROM_THRESHOLD)
    fees = {(meter, ""): (per, amount) for meter, per, amount in searches(provider, model, entry)}
    found.units |= fees
    if entry.get(SEARCHES) and not fees:
        notes[f"field not used: {SEARCHES}"] += 1
    for (meter, tier), (per, amount) in found.units.items():
        yield Price("list", provider, model, meter, plain(amount), per, service_tier=tier)
    _tiered(entry.get(TIERED), found, notes)
    for meter, tier in _meant(found, notes):
        bands, per = found.bands[meter, tier], next(per for named, per in METERS.values() if named == meter)
        for low, following in zip(sorted(bands), [*sorted(bands)[1:], None], strict=True):
            amount, end = bands[low]
            yield Price(
                "list", provider, model, meter, plain(amount * per), per, service_tier=tier, context_min=low, context_max=end or following
            )


def _read_unit(name: str, value: Any, size: tuple[str, int], entry: Mapping[str, Any], found: _Model) -> bool:
    """Whether the field is a price of another unit than tokens that a meter is for; a zero beside other prices is none."""
    plain_name, tier = _tier_of(name)
    amount = _number(value) if UNITS.match(plain_name) and not isinstance(value, bool) else None
    priced = unit_of(plain_name, amount, entry, *size) if amount is not None and amount > 0 else None
    if priced is not None:
        meter, per, whole = priced
        found.units[meter, tier] = per, whole
        found.other.add(name)
    return priced is not None or name == SEARCHES or (amount == 0 and unit_of(plain_name, Decimal(1), entry, *size) is not None)


def _tier_of(name: str) -> tuple[str, str]:
    for suffix, named in TIERS.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix), canonical_tier(named)
    return name, ""


def _read(name: str, value: Any, found: _Model, notes: Counter[str], *, exact: bool) -> None:
    if "cost" not in name or value is None or isinstance(value, bool):
        return
    amount, above = _number(value), ABOVE.search(name)
    plain_name, tier = _tier_of(ABOVE.sub("", name))
    if amount is None or plain_name not in METERS or amount < 0:
        below = plain_name in METERS and amount is not None
        notes[f"field not used: {name}{' (below zero)' if below else ' (no number)' if plain_name in METERS else ''}"] += 1
        if amount is not None and amount > 0 and UNITS.match(name):
            found.other.add(name)
        return
    first = int(above[1]) * 1000 + (0 if exact else 1) if above else 0
    found.bands[METERS[plain_name][0], tier][first] = amount, None


def _number(value: Any) -> Decimal | None:
    """A JSON number, or one written as text, as configurations do."""
    try:
        amount = Decimal(str(value)) if isinstance(value, str | int | Decimal) else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() else None


def _tiered(given: Any, found: _Model, notes: Counter[str]) -> None:
    """Prices by the input of a request, all of it at one: `range` [low, high] holds above low up to high, the last one for any longer request.

    They take the place of the model's own, but for an output that no range names.
    """
    if given is None:
        return
    ranges = _ranges(given)
    if not ranges or any("input_cost_per_token" not in tier for _, tier in ranges):
        notes[f"field not used: {TIERED}"] += 1
        return
    kept = {key: bands for key, bands in found.bands.items() if key[1] or key[0] in {"output", "request"}}
    made = _Model()
    for place, (low, tier) in enumerate(ranges):
        inside = _Model()
        for name, value in tier.items():
            _read(name, value, inside, notes, exact=False)
        following = ranges[place + 1][0] + 1 if place + 1 < len(ranges) else None
        for key, bands in inside.bands.items():
            if 0 in bands:
                made.bands[key][low + 1 if place else 0] = bands[0][0], following
    found.bands = defaultdict(dict, kept | made.bands)


def _ranges(given: Any) -> list[tuple[int, Mapping[str, Any]]]:
    """(tokens that a request must exceed, its prices), ascending; empty where they are not told so."""
    found: list[tuple[int, Mapping[str, Any]]] = []
    for tier in given if isinstance(given, list) else [None]:
        ends = tier.get("range") if isinstance(tier, Mapping) else None
        if (
            not isinstance(tier, Mapping)
            or not isinstance(ends, list)
            or len(ends) != ENDS
            or (low := _number(ends[0])) is None
            or low < 0
            or low != int(low)
        ):
            return []
        found.append((int(low), tier))
    return sorted(found, key=lambda one: one[0]) if len({low for low, _ in found}) == len(found) else []


def _meant(found: _Model, notes: Counter[str]) -> list[tuple[str, str]]:
    """The (meter, tier) whose prices are meant. A zero for tokens of what is charged in another unit would price its calls at nothing."""
    zero = {key for key, bands in found.bands.items() if not any(amount for amount, _ in bands.values())}
    if found.other and found.bands and zero == found.bands.keys():
        notes["models whose tokens cost nothing beside what is charged in other units"] += 1
        return []
    wrong = {
        key for key in zero if key[0] in SIDES and any(name.startswith(SIDES[key[0]]) for name in found.other)
    }  # video in seconds beside input at zero
    if wrong:
        notes["zero for tokens beside what is charged in other units"] += len(wrong)
    return [key for key in found.bands if key not in wrong]
