"""A first mapping file for a log that nobody has written one for, from what its first records hold.

Owns: which field looks like which column, and the file's text. Does not own: what a mapping means (document), reading records (reader).
Invariants: what is written is a mapping that loads; a guess is marked with the value it was made from, and what was used for nothing is listed, so
that a person judges it in the preview. Values of fields that may hold a prompt, an answer or a secret are never written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final

from connectors.keys import HIDDEN_NAME
from connectors.mapping.document import parse
from connectors.mapping.fields import Field, fields_of, fits, moments, plain, texts, unique, words
from connectors.mapping.known_names import COLUMNS, OPTIONS
from governor.catalog.yaml_text import TO_FILL_IN, on_one_line, quoted
from governor.errors import Invalid

LOOKED_AT: Final = 200  # records
_SHOWN: Final = 40
NEEDED: Final = ("source_record_id", "start_time", "requested_model")
_UNITS: Final = {"ms": "ms|milli", "us": "us$|micro", "ns": "ns$|nano", "s": "s$|sec"}


def drafted(lines: Iterable[bytes], *, name: str, kind: str) -> str:
    """The text of a mapping file. name: of the source; kind: json, csv or parquet. Raises Invalid where no record has a field."""
    inside, listed = _listed([record for line in islice(lines, LOOKED_AT) if isinstance(record := _read(line), dict)])
    fields = list(fields_of([record for record in inside if isinstance(record, dict)][:LOOKED_AT]))
    if not fields:
        raise Invalid("there is no record with fields in it", hint="a log is JSON lines, a JSON array, a CSV with a header, or Parquet")
    taken = _chosen(fields)
    known = [taken[column] for column in NEEDED if column in taken]
    if not known:
        raise Invalid("no field looks like an id, a time or a model", hint="a mapping can be written by hand too: docs/mappings.md")
    finds = [field.steps[0] if kind == "csv" else field.path for field in known]
    text = [
        f"name: {name}.calls",
        f"about: {quoted(f'Drafted from {len(inside):,} records; say here what is read and what it cannot tell.')}",
        f"format: {kind}",
        "witness: gateway   # tracer: a tool that looks on; provider: the model host's own log",
        f"gateway: {name}   # leave it out for a tracing tool",
    ]
    if listed:
        text.append(f"records: {quoted(listed)}")
    text += [f"finds: [{', '.join(map(quoted, finds))}]   # what every record has", "columns:"]
    for column in NEEDED:
        if column not in taken:
            text.append(f"  {column}: {TO_FILL_IN}   # needed, and no field looked like it")
    text += [f"  {column}: {_take(column, field)}   # {_example(column, field)}" for column, field in taken.items()]
    usage = _usage_object(fields, taken) if kind != "csv" else None
    if usage or "cache_read_tokens" in taken:
        text.append("usage:")
    if usage:
        text.append(f"  raw: {quoted(usage.path)}   # searches, pictures, seconds and the like are counted there")
    if "cache_read_tokens" in taken:
        text.append(
            "  cache: auto   # inclusive or exclusive, where you know whether the input counts cached tokens; auto asks the numbers"
        )
    if cost := taken.get("cost_amount"):
        text += ["cost:", "  source: gateway_estimate   # gateway_billed or provider_billed only for money that is really charged"]
        text.append(f"  unit: {_money_unit(cost)}")
        currency = next((field for field in fields if _called("currency", field)), None)
        text += [f"  currency: {{from: {quoted(currency.path)}, value: USD}}"] if currency else []
        taken |= {"cost.currency": currency} if currency else {}
    others = [field for field in fields if usage is None or field.steps[: len(usage.steps)] != usage.steps]
    found = "\n".join([*text, *_rest(others, taken)]) + "\n"
    parse(found, "the draft")
    return found


def _read(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None  # the preview says what is wrong with it


def _listed(records: Sequence[Any]) -> tuple[list[Any], str]:
    """The records, and where a document keeps its list of them; empty where the records stand alone."""
    if len(records) == 1 and isinstance(records[0], dict):
        lists = {name: value for name, value in records[0].items() if isinstance(value, list) and value and isinstance(value[0], dict)}
        if len(lists) == 1 and len(lists[name := next(iter(lists))]) > 1:
            return list(lists[name]), Field((name,), [], everywhere=True).path
    return list(records), ""


def _chosen(fields: Sequence[Field]) -> dict[str, Field]:
    """Column -> field. A name that is likelier for the column goes first, then a field nearer to the top."""
    taken: dict[str, Field] = {}
    free = [field for field in fields if not re.search(HIDDEN_NAME, field.steps[-1])]
    for column, names in COLUMNS.items():
        known_as = [plain(name) for name in names]
        ranked = [
            (known_as.index(name), place, len(field.steps), field)
            for field in free
            for place, name in enumerate(field.names)
            if name in known_as and not isinstance(field.values[0], (dict, list)) and fits(column, field)
        ]
        if not ranked and column in ("start_time", "source_record_id"):
            ranked = [(0, 0, len(field.steps), field) for field in free if field.everywhere and _by_value(column, field)]
        if ranked:
            field = min(ranked, key=lambda one: one[:3])[3]
            taken[column] = field
            free.remove(field)
    return taken


def _by_value(column: str, field: Field) -> bool:
    """Where no name tells: a time as text tells itself, an id is a unique text without spaces."""
    if column == "start_time":
        return texts(field) and moments(field)
    return (
        len(field.values) > 1 and words(field) and unique(field) and not moments(field) and not any(" " in value for value in field.values)
    )


def _take(column: str, field: Field) -> str:
    path = quoted(field.path)
    if column == "status":
        fine = sorted(
            {str(value) for value in field.values if str(value).lower() in ("ok", "success", "succeeded", "completed", "done")} - {"ok"}
        )
        return f"{{from: {path}, names: {{{', '.join(f'{quoted(value)}: ok' for value in fine)}}}, otherwise: error}}" if fine else path
    if column in ("duration_ms", "ttft_ms"):
        unit = _unit(field)
        return f"{{from: {path}, unit: {unit}}}" if unit != "ms" else path
    return path


def _unit(field: Field) -> str:
    """What the name says, else what the size says: nobody waits a thousand seconds for half a token."""
    last = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", field.steps[-1]).lower().split("_")[-1]
    said = next((unit for unit, words in _UNITS.items() if re.match(words, last)), None)
    if said:
        return said
    numbers = [float(value) for value in field.values]
    return "s" if max(numbers) < 1000 and any(number % 1 for number in numbers) and min(numbers) < 20 else "ms"  # noqa: PLR2004


def _money_unit(field: Field) -> str:
    name = plain("".join(field.steps[-2:]))
    return next((unit for part, unit in (("micro", "micro_usd"), ("nano", "nano_usd"), ("cent", "usd_cents")) if part in name), "usd")


def _usage_object(fields: Sequence[Field], taken: dict[str, Field]) -> Field | None:
    """The object of the tokens, where its name says that it holds nothing but usage."""
    inside = taken.get("input_tokens")
    return next((field for field in fields if inside and field.steps == inside.steps[:-1] and "usage" in field.steps[-1].lower()), None)


def _rest(fields: Sequence[Field], taken: dict[str, Field]) -> list[str]:
    """Metadata, tags, content, and what nothing was made of."""
    used, lines = {field.path for field in taken.values()}, []
    top = [field for field in fields if len(field.steps) == 1 and field.path not in used]
    objects = [field for field in top if _called("metadata", field) and _is_json(field, dict)]
    tags = [field for field in top if _called("tags", field) and _is_json(field, list)]
    for option, found in (("metadata", objects), ("tags", tags)):
        if found:
            lines.append(f"{option}: [{', '.join(quoted(field.path) for field in found)}]")
            used |= {field.path for field in found}
    content = []
    for option in ("messages", "prompt", "text"):
        place = next((field for field in fields if field.path not in used and _called(option, field) and _holds(option, field)), None)
        if place:
            content.append(f"  {option}: {quoted(place.path)}")
            used.add(place.path)
            if option == "messages":
                used |= {field.path for field in fields if _called("prompt", field)}
    answers = next((field for field in fields if plain(field.steps[-1]) == "choices" and _holds("messages", field)), None)
    if answers and isinstance(answers.values[0][0], dict) and "message" in answers.values[0][0]:
        content.append(f"  message: {quoted(Field((*answers.steps, '0', 'message'), [], everywhere=True).path)}")
        used.add(answers.path)
    lines += ["content:   # how much of it is kept is up to each workflow", *content] if content else []
    left = [
        field.path
        for field in fields
        if not isinstance(field.values[0], dict)
        and not any(field.path == path or field.path.startswith((f"{path}.", f"{path}/")) for path in used)
    ]
    return [*lines, *(["# not used:"] if left else []), *(f"#   {on_one_line(path)[1:-1]}" for path in left[:100])]


def _called(option: str, field: Field) -> bool:
    return plain(field.steps[-1]) in map(plain, OPTIONS[option])


def _holds(option: str, field: Field) -> bool:
    return isinstance(field.values[0], list) if option == "messages" else isinstance(field.values[0], str)


def _is_json(field: Field, kind: type) -> bool:
    """Whether it holds objects or lists, or text of them (a column of a CSV)."""

    def opened(value: Any) -> Any:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except (ValueError, RecursionError):
            return None

    return all(isinstance(opened(value), kind) for value in field.values)


def _example(column: str, field: Field) -> str:
    if column == "error_message":
        return "what went wrong"
    shown = str(field.values[0])
    shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
    share = "" if field.everywhere else ", not in every record"
    return f"such as {on_one_line(shown)}{share}"
