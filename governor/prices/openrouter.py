"""OpenRouter's `/api/v1/models`: prices of one unit as decimal text, as frozen rows of provider `openrouter`.

Owns: its field names and what its zeros mean. Invariants: a zero is a price only where prompt and completion are both zero and nothing made is charged (a free model);
elsewhere it says "not priced apart". A negative price (a router that picks the model) is no price, and the notes say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from governor.errors import Invalid
from governor.prices.price import Price, price_of

PROVIDER: Final = "openrouter"
MILLION: Final = 1_000_000
OVERRIDES, LONGER, TIMED = "overrides", "min_prompt_tokens", frozenset({"utc_start", "utc_end"})
FREE: Final = frozenset({"prompt", "completion"})
METERS: Final = {  # field -> meter, block
    "prompt": ("input", MILLION),
    "completion": ("output", MILLION),
    "internal_reasoning": ("reasoning", MILLION),
    "input_cache_read": ("cache_read", MILLION),
    "input_cache_write": ("cache_write", MILLION),
    "input_cache_write_1h": ("cache_write_1h", MILLION),
    "input_audio_cache": ("cache_read_audio", MILLION),
    "audio": ("audio_input", MILLION),
    "audio_output": ("audio_output", MILLION),
    "image_token": ("image_input", MILLION),
    "image_output": ("image_output", MILLION),
    "request": ("request", 1),
    "image": ("input_image", 1),  # one that is shown to the model; one that it makes is charged by its tokens
    "web_search": ("web_search", 1),
}
SHOWN: Final = ("image", "image_token")  # of some models the price of any token of the prompt again, which is no price of a picture
MADE: Final = ("image", "image_output", "audio_output")


def openrouter_rows(models: Sequence[Any], notes: Counter[str]) -> list[Price]:
    """Rows of every model, under its id and under the dated name that answers carry. Raises Invalid naming the model whose price is no number."""
    rows: dict[str, list[Price]] = {}
    for position, model in enumerate(models):
        if not isinstance(model, Mapping) or not isinstance(model.get("id"), str) or not isinstance(model.get("pricing"), Mapping):
            raise Invalid(f"data[{position}]: id and pricing are needed", hint="give the answer of OpenRouter's /api/v1/models as it came")
        rows[model["id"]] = list(_model(model["id"], model["pricing"], notes))
    for model in models:  # an id of its own wins over another model's dated name
        dated = str(model.get("canonical_slug") or model["id"])
        rows.setdefault(dated, [replace(row, model=dated) for row in rows[model["id"]]])
    return sorted((row for found in rows.values() for row in found), key=lambda row: row.order)


def _model(name: str, pricing: Mapping[str, Any], notes: Counter[str]) -> Iterator[Price]:
    """A price in the base and what overrides make of it for longer requests."""
    base = {field: _amount(name, field, value) for field, value in pricing.items() if value is not None and field != OVERRIDES}
    if any(amount < 0 for amount in base.values()):
        notes["models without a price of their own (a router picks the model)"] += 1
        return
    free = base.keys() >= FREE and not any(base.get(field) for field in (*FREE, *MADE))
    base = {field: amount for field, amount in base.items() if field not in SHOWN or amount != base.get("prompt")}
    for field, amount in base.items():
        if field not in METERS and amount:
            notes[f"field not used: {field}"] += 1
    longer = _overrides(name, pricing.get(OVERRIDES), notes)
    for field, (meter, per) in METERS.items():
        bands: dict[int, Decimal] = {0: base[field]} if base.get(field) or (free and field in FREE & base.keys()) else {}
        for above, _ in sorted(longer, key=lambda one: one[0]):  # of several that hold the last one wins
            held = [amounts[field] for threshold, amounts in longer if threshold <= above and field in amounts]
            if held and held[-1] != next(reversed(bands.values()), None):
                bands[above + 1] = held[-1]
        for low, high in zip(bands, [*[*bands][1:], None], strict=False):
            values = {"amount": bands[low] * per, "per": per, "context_min": low, "context_max": high}
            yield price_of({"kind": "list", "provider": PROVIDER, "model": name, "meter": meter, **values})


def _overrides(name: str, given: Any, notes: Counter[str]) -> list[tuple[int, dict[str, Decimal]]]:
    """(prompt tokens that a request must exceed, prices by field) in the order given; what depends on the hour of the day is noted and left out."""
    found = []
    for one in given or []:
        if not isinstance(one, Mapping) or not isinstance(one.get(LONGER, 0), int):
            raise Invalid(f"{name}: pricing.{OVERRIDES} is not a list of conditions and prices")
        if one.keys() & TIMED or LONGER not in one:
            notes["prices by the hour of the day"] += 1
            continue
        found.append((int(one[LONGER]), {field: _amount(name, field, one[field]) for field in METERS if one.get(field) is not None}))
    return found


def _amount(name: str, field: str, value: Any) -> Decimal:
    try:
        amount = Decimal(str(value)) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else Decimal("nan")
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite():
        raise Invalid(f"{name}: pricing.{field} is {value!r}, not a decimal number")
    return amount
