"""Price files people have: LiteLLM's model map, OpenRouter's models and our own CSV, as frozen rows.

Owns: reading text into rows, exactly (JSON numbers are read as decimals, never as floats). Does not own: opening files, recording.
Invariants: a field that cannot be expressed is counted in notes, not dropped silently; a malformed row is refused by number.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from governor.errors import Invalid
from governor.prices.litellm import litellm_rows
from governor.prices.names import canonical_provider, canonical_tier
from governor.prices.openrouter import openrouter_rows
from governor.prices.overlap import refuse_overlaps
from governor.prices.price import FIELD_NAMES, price_of
from governor.prices.rate import refuse_unknown_meter
from governor.prices.seed import Seed

CURRENCY: Final = re.compile(r"[A-Z]{3}")
BEYOND: Final = "values beyond the header"


def read_prices(text: str, name: str) -> Seed:
    """Rows of a file by its content. Raises Invalid when it is neither format."""
    start = text.lstrip()[:1]
    if start == "{":
        document = _json(text)
        if isinstance(document.get("data"), list):
            return read_openrouter(document["data"], name)
        return read_litellm(document, name)
    if "," in text.partition("\n")[0]:
        return read_csv(text, name)
    raise Invalid(
        f"{name}: neither LiteLLM's model map nor OpenRouter's models (JSON) nor a price CSV", hint="the CSV columns are in docs/prices.md"
    )


def read_csv(text: str, version: str) -> Seed:
    """Columns: provider, model, meter, amount, per and optionally those of a price row; kind is always list (contracts are catalog documents)."""
    rows = []
    try:
        records = list(csv.DictReader(io.StringIO(text), restkey=BEYOND))
    except csv.Error as error:
        raise Invalid(f"not CSV: {error}") from None
    for number, record in enumerate(records, start=2):
        if any(record.get(BEYOND) or ()):
            raise Invalid(f"line {number}: more values than the header names", hint="put a value that holds a comma in quotes")
        values: dict[str, Any] = {key: value for key, value in record.items() if key in FIELD_NAMES and value not in {"", None}}
        if not {"provider", "model", "meter", "amount", "per"} <= values.keys():
            raise Invalid(f"line {number}: provider, model, meter, amount and per are needed")
        for column in ("per", "context_min", "context_max"):
            if column in values and not (values[column].isascii() and values[column].isdecimal()):
                raise Invalid(f"line {number}: {column} is a whole number, not {values[column]!r}")
        tier, processing = values.get("service_tier", ""), str(record.get("processing") or "").strip()
        if processing and tier and canonical_tier(tier) != canonical_tier(processing):
            raise Invalid(
                f"line {number}: processing {processing!r} and service_tier {tier!r} differ", hint="a call is priced by one of them"
            )
        values["currency"] = _usable(values, number)
        values["service_tier"] = canonical_tier(tier or processing)
        whole = {column: int(values[column]) for column in ("per", "context_min", "context_max") if column in values}
        try:
            rows.append(price_of(values | whole | {"kind": "list", "provider": canonical_provider(values["provider"])}))
        except (Invalid, ValueError) as error:
            raise Invalid(f"line {number}: {error}") from None
    refuse_overlaps(rows)
    return Seed("csv", version, tuple(sorted(rows, key=lambda row: row.order)), ())


def _usable(values: Mapping[str, Any], number: int) -> str:
    """The currency of a row that some call can be rated by. Raises Invalid for a slip of the pen in it or in the meter: it would change no call's price."""
    refuse_unknown_meter(values["meter"], f"line {number}")
    currency = str(values.get("currency", "USD")).strip().upper()
    if not CURRENCY.fullmatch(currency):
        raise Invalid(f"line {number}: {currency[:20]!r} is no currency", hint="three letters, such as USD")
    return currency


def _json(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_float=Decimal)
    except RecursionError:
        raise Invalid("not JSON of prices: nested too deeply") from None
    except ValueError as error:
        raise Invalid(f"not JSON: {error}") from None
    return dict(document)


def read_openrouter(models: list[Any], version: str) -> Seed:
    """The answer of OpenRouter's `/api/v1/models`."""
    notes: Counter[str] = Counter()
    rows = openrouter_rows(models, notes)
    return Seed("openrouter", version, tuple(rows), tuple(f"{what} ({count})" for what, count in sorted(notes.items())))


def read_litellm(text: str | Mapping[str, Any], version: str) -> Seed:
    """`model_prices_and_context_window.json`."""
    notes: Counter[str] = Counter()
    rows = litellm_rows(_json(text) if isinstance(text, str) else text, notes)
    return Seed("litellm", version, tuple(rows), tuple(f"{what} ({count})" for what, count in sorted(notes.items())))
