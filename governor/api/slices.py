"""Lists answer `items`; those that grow are paged: `?limit=&cursor=`, the answer is {"items": [...], "next": cursor or null}.

Invariants: a cursor is opaque and names the last item seen, so that new items neither repeat nor hide others.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Generic, TypedDict, TypeVar

from litestar.params import Body, Parameter

from governor.errors import Invalid

LARGEST: Final = 500
LARGEST_WHOLE: Final = 2**31 - 1  # a larger one is no number of anything here, and no database takes it
Whole = Annotated[int, Parameter(ge=0, le=LARGEST_WHOLE)]
Limit = Annotated[int, Parameter(query="limit", ge=1, le=LARGEST, default=100, description="Most items in the answer.")]
Cursor = Annotated[str, Parameter(query="cursor", default="", description="`next` of the answer before.")]


Item = TypeVar("Item")


class Items(TypedDict, Generic[Item]):
    """A list that is always short, whole."""

    items: list[Item]


class Slice(TypedDict, Generic[Item]):
    """A part of a list; `next` is the cursor of the part that follows, null at the end."""

    items: list[Item]
    next: str | None


class PeriodItems(Items[Item], Generic[Item]):
    period: str


class PeriodSlice(Slice[Item], Generic[Item]):
    period: str


def named(name: str) -> Any:
    """What OpenAPI calls an annotated list; of itself its name would hold the module of its rows."""
    return Body(schema_component_key=name)


def encode(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def decode(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error) as error:
        raise Invalid("unknown cursor", hint="give the `next` of an earlier answer") from error


def slice_of(items: Sequence[Item], key: Callable[[Item], str], *, limit: int, cursor: str) -> Slice[Item]:
    """The items after the one the cursor names."""
    start = 0
    if cursor:
        wanted = decode(cursor)
        places = [place for place, item in enumerate(items) if key(item) == wanted]
        if not places:
            raise Invalid("unknown cursor", hint="start again without a cursor")
        start = places[0] + 1
    taken = items[start : start + limit]
    more = start + limit < len(items)
    return {"items": list(taken), "next": encode(key(taken[-1])) if more and taken else None}
