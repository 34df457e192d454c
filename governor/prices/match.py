"""Match clauses: which model references one price entry speaks for.

Owns: evaluating starts_with, ends_with, contains, equals, regex, or, and, on JSON values frozen at import. Does not own: which clauses exist (the price rows).
Invariants: pure; case-insensitive as the source of the clauses is; an unknown clause is refused, never false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Final

from governor.errors import Invalid

COMPACT_DATE: Final = re.compile(r"(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def matches(clause: Mapping[str, Any], reference: str) -> bool:
    """Whether `reference` (in lower case) is one this clause names. Raises Invalid for a clause of unknown kind."""
    ((kind, operand),) = clause.items()
    if kind in {"or", "and"}:
        answers = (matches(part, reference) for part in operand)
        return any(answers) if kind == "or" else all(answers)
    test = TESTS.get(kind)
    if test is None:
        raise Invalid(f"unknown match clause {kind!r} in a price row")
    return test(reference, str(operand))


TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "equals": lambda reference, text: reference == text.lower(),
    "starts_with": lambda reference, text: reference.startswith(text.lower()),
    "ends_with": lambda reference, text: reference.endswith(text.lower()),
    "contains": lambda reference, text: text.lower() in reference,
    "regex": lambda reference, pattern: compiled(pattern).search(reference) is not None,
}


def dashed_dates(reference: str) -> str:
    """`-20251211` written as `-2025-12-11`: gateways emit compact snapshot dates, price lists the dashed ones."""

    def dashed(found: re.Match[str]) -> str:
        year, month, day = (int(found.group(index)) for index in (2, 3, 4))
        try:
            date(year, month, day)
        except ValueError:
            return found.group(0)
        return f"-{year:04d}-{month:02d}-{day:02d}"

    return COMPACT_DATE.sub(dashed, reference)
