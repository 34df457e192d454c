"""What a pull asks for and finds in an answer: JSON, a list of records, a count.

Owns: refusing an answer of another shape. Does not own: HTTP (ports.SourceDoor), windows and pages (paging).
Invariants: what is no such answer is never taken for an empty one.
"""

from __future__ import annotations

import json
from typing import Any, Final

from governor.errors import Invalid, Unavailable
from governor.ports import ReadOptions, SourceDoor, SourceRequest

MOST_ROWS: Final = 1_000_000_000_000  # a count above is none


def asked(options: ReadOptions, request: SourceRequest) -> Any:
    """The answer as JSON. Raises Unavailable where it is none (a proxy's page in place of the API's answer)."""
    body = door_of(options).ask(request).body
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Unavailable(f"{request.url.partition('?')[0]}: the answer is no JSON", hint="is `url` the address of the API?") from None


def door_of(options: ReadOptions) -> SourceDoor:
    if options.door is None:
        raise Invalid("a pull over HTTP needs a door", hint="use `governor sync`")
    return options.door


def listed(found: Any, *path: str) -> list[Any]:
    """The list of records in an answer. Raises Unavailable where there is none: an answer of another shape must not look like an empty window."""
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    if not isinstance(found, list):
        raise Unavailable(
            f"the answer holds no list at `{'.'.join(path)}`", hint="is `url` the address of the API, and its version the one in the docs?"
        )
    return found


def ids_of(rows: list[Any], name: str) -> tuple[str, ...]:
    """The ids of records, of those that have one."""
    return tuple(str(row[name]) for row in rows if isinstance(row, dict) and row.get(name))


def counted(found: Any, *path: str) -> int | None:
    """A count that an answer tells, else null."""
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= MOST_ROWS else None
