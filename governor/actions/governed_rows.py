"""Rows of sums that were governed before, by their whole content: new calls change a few of a month's rows, and only those are governed again; days that are made
of the same answers as before are not even read row by row.

Owns: the rows as tuples, the memory. Does not own: any answer (govern.py). Invariants: a group is told again only for an equal row under an equal basis,
which names all else it was made of (organization, epochs, catalogs, prices, policy with its data); undecided for want of an answer is not remembered.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock
from typing import Any, Final

import pyarrow as pa

from governor.store.lake_units import UNIT_SUMS

TOKENS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
)
# of a row of sums, what a Group is made of; the fields of attribution rules come to it
COLUMNS: Final = (
    *("provider", "model", "requested_model", "region", "service_tier", "environment", "data_class", "is_fallback", "fallback_from_model"),
    *("traffic_class", "status", "gateway_cache", "source_kind", "epoch", "context_band", "day", "calls", "usage_unknown_calls", *TOKENS),
    *("cost_source", "cost_currency", "cost_amount", "cost_unknown_calls", "units", *UNIT_SUMS, "examples"),
)
Row = tuple[Any, ...]
KEPT: Final = 8  # bases (a month cut by prompt is one of its own); of each the rows of its newest answer
ALWAYS: Final = 6  # of them, however large: five months by days, which a budget is forecast from, and the one that is charged
MOST_ROWS: Final = 100_000  # of all bases where there are more: 3 kB each, and every change of the catalog or of prices makes a basis


@dataclass(frozen=True)
class Part:
    """A day of a month, or all of it. made: of which answers; empty where it has to be made again."""

    made: tuple[str, ...]
    rows: Mapping[Row, Any]  # those that may be told again
    groups: Sequence[Any]


Parts = Mapping[str, Part]
_kept: OrderedDict[Hashable, Parts] = OrderedDict()
_decided: OrderedDict[Hashable, Mapping[Any, Any]] = OrderedDict()  # by basis: question -> decision; the same objects that the groups hold
_lock = Lock()


def rows_of(facts: pa.Table, columns: Sequence[str]) -> list[Row]:
    """The table's rows, of these columns. Equal texts of a column are one object, which a month of rows is small by."""
    return list(zip(*(_values(facts[name].combine_chunks()) for name in columns), strict=True))


def _values(column: Any) -> list[Any]:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        coded = column.dictionary_encode()
        words = [*coded.dictionary.to_pylist(), None]
        return [words[place] for place in coded.indices.fill_null(len(words) - 1).to_pylist()]
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        members, ends = column.values.to_pylist(), column.offsets.to_pylist()
        return [tuple(members[first:last]) for first, last in pairwise(ends)]
    return list(column.to_pylist())


def known_parts(basis: Hashable) -> Parts:
    """What the days of a month were governed to under this basis, the last time."""
    with _lock:
        if basis in _kept:
            _kept.move_to_end(basis)
        return _kept.get(basis, {})


def remember_parts(basis: Hashable, parts: Parts) -> None:
    if not any(
        part.groups for part in parts.values()
    ):  # a month without calls takes no place: a few would drive out the one that is looked at
        return
    with _lock:
        _kept[basis] = parts
        _kept.move_to_end(basis)
        while len(_kept) > KEPT or (len(_kept) > ALWAYS and sum(_rows_in(one) for one in _kept.values()) > MOST_ROWS):
            _kept.popitem(last=False)


def _rows_in(parts: Parts) -> int:
    return sum(len(part.groups) for part in parts.values())


def part_of(made: tuple[str, ...], rows: Sequence[Row], before: Mapping[Row, Any], judged: Mapping[Row, Any]) -> Part:
    """Its groups in the order of the rows; one that is undecided for want of an answer is not told again."""
    groups = [before[row] if row in before else judged[row] for row in rows]
    decided = {row: group for row, group in zip(rows, groups, strict=True) if group.decision.rules}
    return Part(made if len(decided) == len(groups) else (), decided, groups)


def decided_once(basis: Hashable, questions: Sequence[Any], ask: Callable[[Sequence[Any]], Sequence[Any]]) -> list[Any]:
    """The decisions, in order; `ask` is asked what was not decided under this basis (engine, policy, catalog). A month by days, the same month as it is charged
    and new calls ask of the same few ways of calling.
    """
    with _lock:
        known = dict(_decided.get(basis, {}))
    if new := [one for one in dict.fromkeys(questions) if one not in known]:
        known |= zip(new, ask(new), strict=True)
        with _lock:
            _decided[basis] = {one: decision for one, decision in known.items() if decision.rules}
            while len(_decided) > KEPT or (len(_decided) > 1 and sum(map(len, _decided.values())) > MOST_ROWS):
                _decided.popitem(last=False)
    return [known[one] for one in questions]


@contextmanager
def many_at_once() -> Iterator[None]:
    """The collector of cycles rests while tens of thousands of rows are made: none of them is garbage, and looking at them over and over is a third of the time."""
    resting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if resting:
            gc.enable()
