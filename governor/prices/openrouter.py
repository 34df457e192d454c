"""OpenRouter's `/api/v1/models`: prices of one unit as decimal text, as frozen rows of provider `openrouter`.

Owns: its field names and what its zeros mean. Invariants: a zero is a price only where prompt and completion are both zero (a free model); elsewhere it says
"not priced apart". A negative price (a router that picks the model) is no price, and the notes say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from governor.errors import Invalid
from governor.prices.price import Price, price_of

PROVIDER: Final = "openrouter"
MILLION: Final = 1_000_000
METERS: Final = {  # field -> meter, block
    "prompt": ("input", MILLION),
    "completion": ("output", MILLION),
    "internal_reasoning": ("reasoning", MILLION),
    "input_cache_read": ("cache_read", MILLION),
    "input_cache_write": ("cache_write", MILLION),
    "audio": ("audio_input", MILLION),
    "request": ("request", 1),
    "image": ("image", 1),
    "web_search": ("web_search", 1),
}


def openrouter_rows(models: Sequence[Any], notes: Counter[str]) -> list[Price]:
    """Rows of every model, under its id and under the dated name that answers carry. Raises Invalid naming the model whose price is no number."""
    rows: dict[tuple[str, str], Price] = {}
    for position, model in enumerate(models):
        if not isinstance(model, Mapping) or not isinstance(model.get("id"), str) or not isinstance(model.get("pricing"), Mapping):
            raise Invalid(f"data[{position}]: id and pricing are needed", hint="give the answer of OpenRouter's /api/v1/models as it came")
        for name in dict.fromkeys((model["id"], str(model.get("canonical_slug") or model["id"]))):
            for row in _model(name, model["pricing"], notes):
                rows.setdefault((row.model, row.meter), row)  # an id of its own wins over another model's dated name
    return sorted(rows.values(), key=lambda row: row.order)


def _model(name: str, pricing: Mapping[str, Any], notes: Counter[str]) -> Iterator[Price]:
    amounts = {field: _amount(name, field, value) for field, value in pricing.items() if value is not None}
    if any(amount < 0 for amount in amounts.values()):
        notes["models without a price of their own (a router picks the model)"] += 1
        return
    free = not amounts.get("prompt") and not amounts.get("completion") and {"prompt", "completion"} <= amounts.keys()
    for field, amount in amounts.items():
        if field not in METERS:
            if amount:
                notes[f"field not used: {field}"] += 1
        elif amount or (free and field in {"prompt", "completion"}):
            meter, per = METERS[field]
            yield price_of({"kind": "list", "provider": PROVIDER, "model": name, "meter": meter, "amount": amount * per, "per": per})


def _amount(name: str, field: str, value: Any) -> Decimal:
    try:
        amount = Decimal(str(value)) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else Decimal("nan")
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite():
        raise Invalid(f"{name}: pricing.{field} is {value!r}, not a decimal number")
    return amount
