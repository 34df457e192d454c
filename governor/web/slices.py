"""One page of a long list, with links to its neighbours that keep the filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

Item = TypeVar("Item")
SIZE: Final = 50


@dataclass(frozen=True)
class Slice(Generic[Item]):
    """previous and next are links, or empty."""

    items: Sequence[Item]
    caption: str
    previous: str = ""
    next: str = ""
    total: int = 0


def slice_of(rows: Sequence[Item], page: int, path: str, filters: Mapping[str, str], size: int = SIZE, named: str = "page") -> Slice[Item]:
    return slice_read(len(rows), lambda offset, limit: rows[offset : offset + limit], page, path, filters, size, named)


def slice_read(
    total: int,
    read: Callable[[int, int], Sequence[Item]],
    page: int,
    path: str,
    filters: Mapping[str, str],
    size: int = SIZE,
    named: str = "page",
) -> Slice[Item]:
    """read: (offset, limit) -> rows, for lists too long to hold. named: what the address calls this list's page.

    A page past the end is the last one: an old link must not say that nothing is there.
    """
    page = min(page, max(1, -(-total // size)))
    start = (page - 1) * size
    items = read(start, size)
    kept = {name: value for name, value in filters.items() if value}

    def link(number: int) -> str:
        return f"{path}?{urlencode({**kept, named: str(number)})}"

    return Slice(
        items=items,
        caption=f"{start + 1:,}–{start + len(items):,} of {total:,}" if items else "",
        previous=link(page - 1) if page > 1 else "",
        next=link(page + 1) if start + size < total else "",
        total=total,
    )
