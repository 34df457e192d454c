"""What a call uses in other units than tokens: which of the counts a source tells are charged, by which meter, in which whole quantity.

Owns: the unit meters, their names in price lists, what is an alternative to tokens and what a fee on top of them. Does not own: token classes and sums (rate.py),
where counts stand in a source's record (connectors). Invariants: a count that nobody told is no zero; a fee whose count or price is unknown leaves the call unpriced.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final

# A meter without a price of its own takes the first of these that has one: the names of genai-prices.
INSTEAD: Final = {
    "second": ("audio_seconds", "input_audio_seconds"),
    "character": ("input_characters",),
    "page": ("input_document_pages",),
    "annotated_page": ("input_annotated_document_pages",),
    "message": ("input_text_messages",),
    "web_search": ("web_searches",),
    "file_search": ("storage_searches",),
}
# What a model is priced by in place of tokens: of a call whose tokens are known and priced these are another word for the same thing, and are not charged again.
MADE: Final = ("image", "second", "video_second", "character")
# What else a model is priced by; charged beside tokens where it has a price.
GIVEN: Final = ("page", "annotated_page", "input_image", "input_video_second", "search_unit", "message")
# What a tool costs on top of whatever the model is priced by: charged wherever it was used.
FEES: Final = ("web_search", "grounded_prompt", "maps_search", "maps_prompt", "file_search", "session", "source")
PROMPTS: Final = {
    "web_search": "grounded_prompt",
    "maps_search": "maps_prompt",
}  # Google charges older models by the prompt, however often it searched
# What is counted in other units than tokens. A source that counts "units" means the one of these that its model is priced in.
UNIT_METERS: Final = (*MADE, *GIVEN, *FEES, "storage_token_hour", "ptu_hour")
SIZE: Final = "@"  # image@1024x1024-hd, video_second@720p, request@low: a price for one size
UNIT: Final = "unit"
PARTED: Final = 1000  # a second is charged to the millisecond; of nothing else is there a part
CACHED: Final = ("cached_audio_tokens", "cached_image_tokens")  # no meter: how much of the cache reads is not text
Counts = Sequence[tuple[str, int | Decimal | None]]  # None: used, nobody said how often


class Untold(Exception):
    """(reason of a call without a price, in words[, the meter that has none])."""


def base_of(meter: str) -> str:
    return meter.partition(SIZE)[0]


def names_of(meter: str) -> tuple[str, ...]:
    """The meters whose price this one takes, its own first."""
    return meter, *INSTEAD.get(meter, ())


def told(counts: Counts) -> dict[str, int | Decimal | None]:
    """Counts by name, of one name added up."""
    found: dict[str, int | Decimal | None] = {}
    for name, quantity in counts:
        before = found.get(name, 0)
        found[name] = None if quantity is None or before is None else before + quantity
    return found


@lru_cache(maxsize=4096)
def units_of(priced: frozenset[str]) -> tuple[str, ...]:
    """The units that have a price of their own. Remembered, as `lacking` is: a month asks for tens of thousands of rows, of a few dozen models."""
    return tuple(meter for meter in UNIT_METERS if priced & {*names_of(meter)} or any(name.startswith(meter + SIZE) for name in priced))


def charged(counts: Counts, priced: frozenset[str], *, tokens: bool, requests: int) -> dict[str, int | Decimal]:
    """The meters to charge with their quantities. tokens: whether the call's tokens are known and its model has a price for them.

    Raises Untold.
    """
    meters = units_of(priced)
    found: dict[str, int | Decimal] = {}
    for name, quantity in told(counts).items():
        if name in CACHED or quantity == 0:
            continue
        if name == UNIT and len(meters) != 1:
            raise Untold(
                "no_meter_price", "the source counts units; " + (f"priced are {', '.join(meters)}" if meters else "no unit has a price")
            )
        meter = meters[0] if name == UNIT else size_or_base(name, priced)
        base = base_of(meter)
        if tokens and (base in MADE or (base in GIVEN and base not in meters)):
            continue
        if PROMPTS.get(meter) in priced:
            found[PROMPTS[meter]] = requests
            continue
        if quantity is None:
            raise Untold("unknown_usage", f"the source did not say how many: {base.replace('_', ' ')}")
        found[meter] = found.get(meter, 0) + quantity
    return found


def whole(meter: str, quantity: int | Decimal) -> tuple[str, int, int]:
    """(meter, quantity as a whole number, how many of it are one unit): 1.5 seconds are 1,500 milliseconds. Raises Untold for a part of what has none."""
    if quantity == int(quantity):
        return meter, int(quantity), 1
    if not base_of(meter).endswith("second"):
        raise Untold("unknown_usage", f"{quantity:f} is no whole number of units: {base_of(meter).replace('_', ' ')}")
    return meter.replace("second", "millisecond"), int((Decimal(quantity) * PARTED).to_integral_value()), PARTED


@lru_cache(maxsize=4096)
def lacking(priced: frozenset[str]) -> str:
    """The units that a model without a price for tokens is priced by, in words; empty where there are none."""
    meters = [meter for meter in (*MADE, *GIVEN) if any(base_of(name) == meter for name in priced) or priced & {*names_of(meter)}]
    return " or ".join(meter.replace("_", " ") for meter in meters)


def size_or_base(meter: str, prices: Collection[str]) -> str:
    """A size that has no price is at the price without a size, unless sizes are priced apart."""
    base = base_of(meter)
    return meter if meter in prices or any(name.startswith(base + SIZE) for name in prices) else base
