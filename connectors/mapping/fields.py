"""The fields of a log's records: their paths, the values that stand there, and what these could be.

Owns: finding fields, telling times, counts, ids and words apart by their values. Does not own: which column a field is (draft.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from connectors.mapping.document import MAX_PATH, kind_of, pointer_of

DEEPEST: Final = 4
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SINCE, _UNTIL = 1_577_836_800, 4_102_444_800  # 2020 to 2100, in seconds


class Field(NamedTuple):
    """One path of the records and the values that stand there."""

    steps: tuple[str, ...]
    values: list[Any]
    everywhere: bool

    @property
    def path(self) -> str:
        if all(_PLAIN.fullmatch(step) or step.isdigit() for step in self.steps):
            return ".".join(self.steps)
        return pointer_of(self.steps)

    @property
    def names(self) -> tuple[str, ...]:
        """What it may be known by: its own name, and with that of what it stands in; without the unit at its end."""
        own = [plain(step) for step in self.steps if not step.isdigit()]
        said = [own[-1], "".join(own[-2:])] if own else []
        return tuple(dict.fromkeys(form for name in said for form in (name, _UNIT_AT_END.sub("", name)) if form))


_UNIT_AT_END: Final = re.compile(r"(?<=[a-z])(millis(econds)?|micros(econds)?|nanos(econds)?|seconds?|secs?|ms|us|ns|usd|cents?)$")


def plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _numbers(field: Field) -> bool:
    return all(_number(value) is not None for value in field.values)


def texts(field: Field) -> bool:
    return all(isinstance(value, str) for value in field.values)


def words(field: Field) -> bool:
    return texts(field) and not any(value.strip()[:1] in ("{", "[") for value in field.values)


def _names(field: Field) -> bool:
    """Text that is no number: a model, a team."""
    return words(field) and any(_number(value) is None for value in field.values)


def unique(field: Field) -> bool:
    return field.everywhere and all(isinstance(value, (str, int)) for value in field.values) and len(set(field.values)) == len(field.values)


def _moment(value: Any) -> bool:
    number = _number(value)
    if number is not None:
        return any(_SINCE <= number / scale < _UNTIL for scale in (1, 10**3, 10**6, 10**9))
    try:
        return isinstance(value, str) and datetime.fromisoformat(value.strip()).year >= 2015  # noqa: PLR2004 - no log of calls is older
    except ValueError:
        return False


def moments(field: Field) -> bool:
    return all(map(_moment, field.values))


def _codes(field: Field) -> bool:
    return _numbers(field) and all(0 <= float(value) < 1000 for value in field.values)  # noqa: PLR2004 - HTTP


def _switch(field: Field) -> bool:
    return all(isinstance(value, bool) or str(value).lower() in ("true", "false", "0", "1") for value in field.values)


_FITS: Final[dict[str, Callable[[Field], bool]]] = {
    "source_record_id": unique,
    "requested_model": _names,
    "http_status": _codes,
    "error_message": texts,
}
_FITS_KIND: Final = {"time": moments, "money": _numbers, "whole": _numbers, "number": _numbers, "bool": _switch}


def fits(column: str, field: Field) -> bool:
    return _FITS.get(column, _FITS_KIND.get(kind_of(column), words))(field)


def fields_of(records: Sequence[dict[str, Any]]) -> Iterator[Field]:
    """In the order in which they first stand there."""
    found: dict[tuple[str, ...], list[Any]] = {}

    def walk(value: Any, steps: tuple[str, ...]) -> None:
        if isinstance(value, dict) and value and len(steps) < DEEPEST:
            for name, inner in value.items():
                if name and name.isprintable():
                    walk(inner, (*steps, name))
        if steps and value not in (None, "", [], {}):
            found.setdefault(steps, []).append(value)

    for record in records:
        walk(record, ())
    for steps, values in found.items():
        field = Field(steps, values, everywhere=len(values) == len(records))
        if len(field.path) < MAX_PATH:
            yield field
