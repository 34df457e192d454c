"""Rows of sums that were governed before, by their whole content: new calls change a few of a month's rows, and only those are governed again.

Owns: the rows as tuples, the memory. Does not own: any answer (govern.py). Invariants: a group is told again only for an equal row under an equal basis,
which names all else it was made of (organization, epochs, catalogs, prices, policy with its data); undecided for want of an answer is not remembered.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from threading import Lock
from typing import Any, Final

import pyarrow as pa

TOKENS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
)
# of a row of sums, what a Group is made of; the fields of attribution rules come to it
COLUMNS: Final = (
    *("provider", "model", "requested_model", "region", "service_tier", "environment", "data_class", "is_fallback", "fallback_from_model"),
    *("traffic_class", "status", "gateway_cache", "source_kind", "epoch", "context_band", "day", "calls", "usage_unknown_calls", *TOKENS),
    *("cost_source", "cost_currency", "cost_amount", "cost_unknown_calls", "unit_count", "examples"),
)
Row = tuple[Any, ...]
KEPT: Final = 8  # bases (a month cut by prompt is one of its own); of each the rows of its newest answer
_kept: OrderedDict[Hashable, Mapping[Row, Any]] = OrderedDict()
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


def known_rows(basis: Hashable) -> Mapping[Row, Any]:
    """What rows were governed to under this basis, the last time."""
    with _lock:
        if basis in _kept:
            _kept.move_to_end(basis)
        return _kept.get(basis, {})


def remember_rows(basis: Hashable, groups: Mapping[Row, Any]) -> None:
    with _lock:
        _kept[basis] = groups
        _kept.move_to_end(basis)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)


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


def forget_rows() -> None:
    """Everything; the next answers are made from nothing."""
    with _lock:
        _kept.clear()
