"""List prices frozen out of the genai-prices package: its data becomes our dated rows once, at import.

Owns: reading the package's snapshot, its provider names and meters, dated entries, whole-request tiers, service tiers. Does not own: rating
(rate.py never sees the package). Invariants: same package version, same rows, same digest; what the book cannot express is named in `notes`, not dropped silently.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from decimal import Decimal
from importlib.metadata import version
from typing import Any, Final

from governor.prices.names import canonical_provider, canonical_tier
from governor.prices.price import EVER, Price, instant_text, plain
from governor.prices.units import PROMPTS

# One list for a vendor's two doors: the package has no separate prices for them.
DOORS: Final = {"google": ("gcp.gemini", "gcp.vertex_ai"), "azure": ("azure.ai.openai", "azure.ai.inference")}
METERS: Final = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
    "cache_write_5m_tokens": "cache_write_5m",
    "cache_write_1h_tokens": "cache_write_1h",
    "output_reasoning_tokens": "reasoning",
    "input_audio_tokens": "audio_input",
    "output_audio_tokens": "audio_output",
    "input_image_tokens": "image_input",
    "output_image_tokens": "image_output",
    "requests": "request",
}
BY_PROMPT: Final = "gemini-2"  # whose search is charged by the prompt, which the package has no unit for
TIER_KEYS: Final = frozenset({"processing", "service_tier", "speed"})
FALLBACK_RANK: Final = 100_000


@dataclass(frozen=True)
class Seed:
    """rows in book order; digest over them; notes: what the package knows and the book does not.

    withdraw: from when prices of the entries it names that it lacks no longer hold; EVER: they never held; None: they stay.
    """

    source: str
    source_version: str
    rows: tuple[Price, ...]
    notes: tuple[str, ...]
    withdraw: datetime | None = None

    @property
    def digest(self) -> str:
        plain = rows_digest(self.rows)
        return plain if self.withdraw is None else hashlib.sha256(f"{plain} withdraw {self.withdrawn_from}".encode()).hexdigest()

    @property
    def withdrawn_from(self) -> str:
        """An instant, or `ever`."""
        return "ever" if self.withdraw is None or self.withdraw <= EVER else instant_text(self.withdraw) or ""

    @property
    def undated(self) -> int:
        """Prices that name no first instant: they hold for all of the past."""
        return sum(row.valid_from is None for row in self.rows)

    def beginning(self, at: datetime) -> Seed:
        """The same prices, where they name no first instant from `at` on; one that ended before it stays as it is."""
        rows = (
            replace(row, valid_from=at) if row.valid_from is None and (row.valid_to is None or at < row.valid_to) else row
            for row in self.rows
        )
        return replace(self, rows=tuple(sorted(rows, key=lambda row: row.order)))


def rows_digest(rows: Any) -> str:
    """Hex SHA-256 over the sorted digests of rows: equal sets of prices, equal digest."""
    return hashlib.sha256("\n".join(sorted(row.digest for row in rows)).encode()).hexdigest()


def genai_seed() -> Seed:
    """Every list price of the installed genai-prices, frozen."""
    from genai_prices.data import providers

    by_id = {provider.id: provider for provider in providers}
    rows: list[Price] = []
    left_out: Counter[str] = Counter()
    for provider in providers:
        entries = [(rank, model, True) for rank, model in enumerate(provider.models)]
        for step, other in enumerate(provider.fallback_model_providers or (), start=1):
            # a reseller's fallback has no service tiers of its own: the package prices them at standard, so only standard is frozen
            entries += [(step * FALLBACK_RANK + rank, model, False) for rank, model in enumerate(by_id[other].models)]
        for name in DOORS.get(provider.id, (canonical_provider(provider.id),)):
            for rank, model, own in entries:
                rows.extend(_entry(name, rank, model, own, left_out))
    notes = tuple(f"{what}: {count}" for what, count in sorted(left_out.items()))
    return Seed("genai-prices", version("genai-prices"), tuple(sorted(rows, key=lambda row: row.order)), notes)


def _entry(provider: str, rank: int, model: Any, own: bool, left_out: Counter[str]) -> Iterator[Price]:
    """All rows of one model: dated standard prices, then service tiers."""
    stages = [(None, model.prices)] if not isinstance(model.prices, list) else [(stage.constraint, stage.prices) for stage in model.prices]
    dated: list[tuple[datetime | None, Any]] = []
    daily = False
    for constraint, prices in stages:
        if hasattr(constraint, "start_time"):
            daily = True
            left_out[f"time-of-day price, standard price used ({provider}/{model.id})"] += 1
            continue
        dated.append((_start(constraint), prices))
    note = {"note": "time-of-day price not modelled"} if daily else {}
    match = json.dumps({"rank": rank, "clause": _clause(model.match), **note}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for position, (start, prices) in enumerate(dated):
        end = dated[position + 1][0] if position + 1 < len(dated) else None
        yield from _rows(Price("list", provider, model.id, "", "0", 1, match=match, valid_from=start, valid_to=end), prices)
    if own:
        yield from _variants(provider, model, match, left_out)


def _variants(provider: str, model: Any, match: str, left_out: Counter[str]) -> Iterator[Price]:
    """Service tiers. The package lets the first active variant win per meter, so a later one ends where an earlier one begins."""
    taken: dict[tuple[str, str], datetime] = {}
    for variant in model.price_variants or ():
        ((key, value),) = variant.when.items() if len(variant.when) == 1 else (("", ""),)
        if key not in TIER_KEYS:
            left_out[f"price by {', '.join(f'{k}={v}' for k, v in variant.when.items())} ({provider}/{model.id})"] += 1
        if key not in TIER_KEYS or not canonical_tier(value):
            continue
        start = _start(variant.constraint)
        for row in _rows(Price("list", provider, model.id, "", "0", 1, match=match, service_tier=value, valid_from=start), variant.prices):
            end = taken.get((value, row.meter))
            if end is None or (start is not None and start < end) or (start is None and end > EVER):
                yield row if end is None else replace(row, valid_to=end)
        for row in _rows(Price("list", provider, model.id, "", "0", 1), variant.prices):
            known = taken.get((value, row.meter))
            taken[(value, row.meter)] = min(start or EVER, known) if known else start or EVER


def _rows(like: Price, prices: Any) -> Iterator[Price]:
    """One row per meter and context band of a ModelPrice."""
    from genai_prices.units import _get_registry

    registry = _get_registry()
    for key, value in sorted(prices.__dict__.items()):
        if value is None or key.startswith("_"):
            continue
        unit = registry.unit_for_price_key(key)
        meter = METERS.get(unit.usage_key, unit.usage_key)
        if meter == "web_searches" and like.provider in DOORS["google"] and like.model.startswith(BY_PROMPT):
            meter = PROMPTS["web_search"]
        bands: list[tuple[int, Decimal]] = (
            [(0, value)] if isinstance(value, Decimal) else [(0, value.base), *((t.start + 1, t.price) for t in value.tiers)]
        )
        for position, (low, amount) in enumerate(bands):
            high = bands[position + 1][0] if position + 1 < len(bands) else None
            yield replace(like, meter=meter, amount=plain(amount), per=unit.per, context_min=low, context_max=high)


def _start(constraint: Any) -> datetime | None:
    return None if constraint is None else datetime.combine(constraint.start_date, time(), UTC)


def _clause(clause: Any) -> dict[str, Any]:
    """A match clause as plain JSON."""
    ((name, value),) = clause.__dict__.items()
    if name in {"or_", "and_"}:
        return {name.rstrip("_"): [_clause(part) for part in value]}
    return {name: value}
