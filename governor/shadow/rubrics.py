"""What a judge is to weigh: criteria with weights, and what its two replies say about each.

Owns: a rubric as people write it, the words a judge is given, reading an opinion by criterion. Does not own: the judge's prompt (judging.py), asking.
Invariants: the criteria stand in the plan and the prompt's digest covers them; a criterion on which the two orders differ is a tie.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from governor.errors import Invalid
from governor.shadow.parsed import parsed

MOST: Final = 12
LONGEST: Final = 1000
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_ -]{0,59}")
SAID: Final = {"a": 1, "b": -1, "tie": 0}


@dataclass(frozen=True)
class Criterion:
    """weight: a positive decimal; only its size beside the others counts."""

    name: str
    text: str
    weight: str = "1"


def read_rubric(value: Any, where: str = "rubric") -> tuple[Criterion, ...]:
    """One text, or a list of {name, text, weight}. Raises Invalid naming the criterion."""
    if value in (None, "", []):
        return ()
    rows = [{"name": "rubric", "text": value}] if isinstance(value, str) else value
    if not isinstance(rows, Sequence) or len(rows) > MOST or not all(isinstance(row, Mapping) for row in rows):
        raise Invalid(f"{where}: rubric: one text, or at most {MOST} criteria with name, text and weight")
    found = tuple(criterion(row, where) for row in rows)
    if len({one.name.casefold() for one in found}) < len(found):
        raise Invalid(f"{where}: rubric: two criteria have one name")
    return found


def criterion(row: Mapping[str, Any], where: str) -> Criterion:
    name, text, weight = str(row.get("name", "")), str(row.get("text") or row.get("name", "")), str(row.get("weight", "1"))
    if set(row) - {"name", "text", "weight"} or not NAME.fullmatch(name) or not 0 < len(text) <= LONGEST:
        raise Invalid(f"{where}: rubric: a criterion has a short name, a text of at most {LONGEST} characters and a weight")
    try:
        heavy = Decimal(weight)
    except InvalidOperation:
        heavy = Decimal(0)
    if not heavy.is_finite() or not 0 < heavy <= 1000:  # noqa: PLR2004 - beyond that the others do not count
        raise Invalid(f"{where}: rubric: weight of {name}: a number above 0, at most 1000")
    return Criterion(name, text, format(heavy, "f"))


def words(rubric: Sequence[Criterion]) -> str:
    return "\n".join(f"- {one.name} (weight {one.weight}): {one.text}" for one in rubric)


def read_criteria(reply: str, rubric: Sequence[Criterion]) -> dict[str, int]:
    """What one reply says by criterion: 1 the first answer, -1 the second, 0 a tie; criteria it left out are absent."""
    start, end = reply.find("{"), reply.rfind("}")
    try:
        said = parsed(reply[start : end + 1]) if 0 <= start < end else {}
    except ValueError:
        return {}
    given = said.get("criteria") if isinstance(said, Mapping) else None
    if not isinstance(given, Mapping):
        return {}
    named = {str(key).casefold(): str(value).casefold() for key, value in given.items()}
    return {one.name: SAID[named[one.name.casefold()]] for one in rubric if named.get(one.name.casefold()) in SAID}


def weighed(criteria: Mapping[str, int], rubric: Sequence[Criterion]) -> int | None:
    """The answer that the weights favour; None where the reply did not speak of every criterion."""
    if not rubric or any(one.name not in criteria for one in rubric):
        return None
    total = sum((Decimal(one.weight) * criteria[one.name] for one in rubric), Decimal(0))
    return (total > 0) - (total < 0)


def combined(candidate_first: Mapping[str, int], baseline_first: Mapping[str, int]) -> dict[str, int]:
    """For the candidate, by criterion that both orders spoke of; orders that differ are a tie."""
    both = [name for name in candidate_first if name in baseline_first]
    return {name: candidate_first[name] if candidate_first[name] == -baseline_first[name] else 0 for name in both}
