"""What LiteLLM's map says of images, seconds, characters, pages and searches, as meters and exact prices.

Owns: its fields of other units than tokens, sizes in the names of models (`hd/1024-x-1024/dall-e-3`), quotients that it rounded. Does not own: prices of tokens
(litellm.py), which counts are charged (units.py). Invariants: a zero is no price of a unit; a size is priced by itself; what has no meter is left to the notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from governor.prices.units import SIZE

# field -> meter, block
FIELDS: Final = {
    "input_cost_per_audio_per_second": ("second", 3600),
    "input_cost_per_video_per_second": ("input_video_second", 3600),
    "output_cost_per_video_per_second": ("video_second", 60),
    "ocr_cost_per_page": ("page", 1000),
    "annotation_cost_per_page": ("annotated_page", 1000),
    "code_interpreter_cost_per_session": ("session", 1),
    "input_cost_per_text_message": ("message", 1000),
    "output_cost_per_image": ("image", 1),
}
OF_MODE: Final = {  # (mode, field) -> meter, block
    ("rerank", "input_cost_per_query"): ("search_unit", 1000),
    ("search", "input_cost_per_query"): ("search_unit", 1000),
    ("video_generation", "output_cost_per_second"): ("video_second", 60),
    **{
        (mode, f"{side}_cost_per_second"): ("second", 3600)
        for mode in ("audio_transcription", "audio_speech", "realtime")
        for side in ("input", "output")
    },
}
SIZED_FIELD: Final = re.compile(r"(output_cost_per_(?:image|second))_(\d+(?:\.\d+)?[kp]?)", re.IGNORECASE)
SIZED_NAME: Final = re.compile(r"(?:(.+/)?(low|medium|high|hd|standard|premium|auto)/)?(\d+)-x-(\d+)/(.+)")
SEARCHES, SEARCH_SIZES, BILLED_BY = "search_context_cost_per_query", ("low", "medium", "high"), "web_search_billing_unit"
DEFAULT_SIZE: Final = "medium"
MAPS: Final = "google_maps_grounding_cost_per_query"
Found = tuple[str, int, Decimal]  # meter, block, amount for the block


def of_size(model: str) -> tuple[str, str, int]:
    """(the model, its size as a suffix of a meter, pixels) of a name that holds a size; the name itself otherwise."""
    found = SIZED_NAME.fullmatch(model)
    if found is None:
        return model, "", 0
    before, quality, width, height, name = found.groups()
    suffix = "" if quality in {None, "standard", "auto"} else f"-{quality}"
    return f"{before or ''}{name}", f"{SIZE}{width}x{height}{suffix}", int(width) * int(height)


def unit_of(field: str, amount: Decimal, entry: Mapping[str, Any], size: str, pixels: int) -> Found | None:
    """The price that a field says; None for one that no meter is for."""
    sized = SIZED_FIELD.fullmatch(field)
    if sized is not None:
        found = unit_of(sized[1], amount, entry, "", 0)
        return found and (f"{found[0]}{SIZE}{sized[2].lower()}", *found[1:])
    if field == "input_cost_per_pixel" and pixels:
        return "image" + size, 1, shortest(amount, pixels)
    meter = _meter(field, entry)
    if meter is None:
        return None
    name, per = meter
    return name + (size if name == "image" else ""), per, shortest(amount, per) if "second" in name else amount * per


def _meter(field: str, entry: Mapping[str, Any]) -> tuple[str, int] | None:
    """(meter, block) where it depends on what else the model's entry says."""
    mode = str(entry.get("mode") or "")
    if field == "input_cost_per_image":
        return "image" if mode == "image_generation" and not entry.get("output_cost_per_image") else "input_image", 1
    if field == "input_cost_per_character":
        return None if entry.get("output_cost_per_character") else ("character", 1_000_000)
    if field == MAPS:
        return "maps_search" if entry.get(BILLED_BY) == "per_query" else "maps_prompt", 1000
    return OF_MODE.get((mode, field)) or FIELDS.get(field)


def searches(provider: str, model: str, entry: Mapping[str, Any]) -> Iterator[Found]:
    """The fee of a search; by the size of what it brings where sizes differ. Perplexity's sizes are of a request, Gemini 2's price is that of a prompt."""
    given = entry.get(SEARCHES)
    sizes = given if isinstance(given, Mapping) else dict.fromkeys((f"search_context_size_{size}" for size in SEARCH_SIZES), given)
    said = {size: Decimal(str(sizes.get(f"search_context_size_{size}") or 0)) * 1000 for size in SEARCH_SIZES}
    meter = "web_search"
    if provider.startswith("gcp.") and "gemini" in model.lower() and entry.get(BILLED_BY) != "per_query":
        meter = "grounded_prompt"
    if len({*said.values()}) > 1:
        meter = "request" if provider == "perplexity" else meter
        yield from ((f"{meter}{SIZE}{size}", 1000, amount) for size, amount in said.items() if amount > 0)
    if said[DEFAULT_SIZE] > 0 and meter != "request":
        yield meter, 1000, said[DEFAULT_SIZE]


def shortest(amount: Decimal, block: int) -> Decimal:
    """The price of a block of which `amount` is the rounded quotient: 0.111 an hour is written 0.00003083 a second. The product, where nothing shorter rounds to it."""
    _, digits, exponent = amount.normalize().as_tuple()
    half = Decimal((0, (5,), int(exponent) - 1))
    low, high = (amount - half) * block, (amount + half) * block
    for places in range(1, len(digits)):
        rounded = round_to(amount * block, places)
        if low <= rounded <= high:
            return rounded
    return amount * block


def round_to(value: Decimal, digits: int) -> Decimal:
    return value.quantize(Decimal((0, (1,), value.adjusted() - digits + 1)))
