"""Records through a mapping into bytes: CSV, JSON, JSON lines.

Owns: columns, templates, formats of days, lengths, what is refused. Does not own: the records (facts.py), the mapping's shape (document.py). Invariants: same records
and mapping, same bytes; an id is written as it is or the file is refused with row and column; words may be cut and defused; amounts are never touched.
"""

from __future__ import annotations

import calendar
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from governor.errors import Invalid
from reports.outputs.document import Column, OutputMapping
from reports.table import runs_as_formula, safe_text

DIGITS = 40  # of a whole number; none that is counted has more
AMOUNTS = frozenset({"debit", "credit", "local_debit", "local_credit", "amount", "amount_cents", "exact_cost", "fx_rate", "usd_rate"})


def render(mapping: OutputMapping, records: Sequence[Mapping[str, Any]]) -> bytes:
    """Raises Invalid naming record and column, and of cost centers whose id is too long every one."""
    for column in mapping.columns:
        _short_enough(mapping, column, records)
    rows = [[_cell(mapping, column, record, place) for column in mapping.columns] for place, record in enumerate(records, start=1)]
    if mapping.layout == "csv":
        return _csv([[column.name for column in mapping.columns], *rows] if mapping.header else rows)
    objects = [_object(mapping.columns, row) for row in rows]
    if mapping.layout == "json":
        return _json({mapping.under: objects} if mapping.under else objects, indent=1)
    bodies: Iterator[Any] = iter(objects)
    if mapping.batch:
        parts = [objects[start : start + mapping.batch] for start in range(0, len(objects), mapping.batch)]
        bodies = iter([{mapping.under: part} if mapping.under else part for part in parts])
    return b"".join(_json(body, indent=None) for body in bodies)


def _short_enough(mapping: OutputMapping, column: Column, records: Sequence[Mapping[str, Any]]) -> None:
    most = column.most
    if column.fact != "cost_center" or column.kind != "id" or most is None:
        return
    named = {str(record["cost_center"]): column.names.get(record["cost_center"], record["cost_center"]) for record in records}
    long = sorted(name for name, told in named.items() if len(told) > most)
    if long:
        shown = ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {{code: ...}}" for name in long)
        raise Invalid(
            f"{mapping.output}: {column.name}: longer than {most} characters: {', '.join(long)}",
            hint=f"say in a mapping file what each is called there: extends: {mapping.output}, cost_centers: {{{shown}}}",
        )


def _cell(mapping: OutputMapping, column: Column, record: Mapping[str, Any], place: int) -> Any:
    facts = {**mapping.values, **record}
    if column.text is not None:
        _apart(mapping, column, facts, place)
        value: Any = column.text.format_map({name: "" if inner is None else str(inner) for name, inner in facts.items()})
    elif column.value is not None:
        value = column.value
    else:
        value = facts.get(column.fact or "")
        if value in (None, "") and column.otherwise:
            value = facts.get(column.otherwise)
    value = _moment(value, column.format)
    if isinstance(value, str):
        value = column.names.get(value, value)
    if value in (None, ""):
        if column.required:
            raise Invalid(_where(mapping, column, place) + f"is empty for cost center {record.get('cost_center')}", hint=_missing(column))
        return None
    if column.kind == "integer":
        return _whole(mapping, column, str(value), place)
    return _guarded(mapping, column, str(value), place)


def _apart(mapping: OutputMapping, column: Column, facts: Mapping[str, Any], place: int) -> None:
    """Raises Invalid where a part holds the sign that stands between the parts: `5210-CC-4100` is another account than was meant, and may exist."""
    sign, told = mapping.values.get("delimiter"), column.facts()
    if not sign or "delimiter" not in told:
        return
    for name in sorted(told - {"delimiter"}):
        if sign in str(facts.get(name) or ""):
            raise Invalid(
                _where(mapping, column, place) + f"{name} {str(facts[name])[:60]!r} holds the delimiter {sign!r}",
                hint="say what each is called there: `cost_centers: {CC-1: {code: ...}}`, or take the delimiter of your chart under `values`",
            )


def _whole(mapping: OutputMapping, column: Column, text: str, place: int) -> int:
    try:
        found = Decimal(text)
        if found.adjusted() < DIGITS and found == found.to_integral_value():
            return int(found)
    except InvalidOperation:
        pass
    raise Invalid(_where(mapping, column, place) + f"{text[:60]!r} is no whole number", hint="leave `kind` out, or take amount_micro")


def _guarded(mapping: OutputMapping, column: Column, text: str, place: int) -> str:
    """Amounts as they are; words cut and, where a spreadsheet may open the file, defused; an id refused rather than changed."""
    if column.fact in AMOUNTS:
        return text
    if column.most is not None and len(text) > column.most:
        if column.kind == "id":
            raise Invalid(
                _where(mapping, column, place) + f"{text[:60]!r} is longer than {column.most}", hint="give it a shorter name under `names`"
            )
        text = text[: column.most]
    if mapping.layout != "csv" or not runs_as_formula(text):
        return text
    if column.kind == "text":
        return safe_text(text)
    raise Invalid(
        _where(mapping, column, place) + f"{text[:80]!r} would run as a formula, and an id is not altered",
        hint="give it another name under `names` of this column, or rename it at its source",
    )


def _where(mapping: OutputMapping, column: Column, place: int) -> str:
    return f"{mapping.output}: record {place}, {column.name}: "


def _missing(column: Column) -> str:
    if column.fact == "customer":
        return "add it to a mapping file: `cost_centers: {CC-1: {customer: ...}}`"
    return f"the column takes {column.fact or 'a constant'}; see docs/outputs.md"


def _moment(value: Any, form: str | None) -> Any:
    if not isinstance(value, date):
        return value
    if form == "unix":
        return str(calendar.timegm(value.timetuple()))
    if form:
        return value.strftime(form)
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value.isoformat()


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return out.getvalue().encode()


def _object(columns: Sequence[Column], row: Sequence[Any]) -> dict[str, Any]:
    """Dots nest; what is missing is left out."""
    found: dict[str, Any] = {}
    for column, value in zip(columns, row, strict=True):
        if value is None:
            continue
        *path, last = column.name.split(".")
        inner = found
        for step in path:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return found


def _json(value: Any, *, indent: int | None) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=indent) + "\n").encode()
