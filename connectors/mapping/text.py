"""Text of a mapping as SQL: literals, and the one list of paths that is read.

Owns: quoting, the place of each path. Does not own: what is read at a path. Invariants: nothing of a mapping reaches SQL but as a quoted literal.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.mapping.document import pointer


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Paths:
    """The paths of a mapping and the place of each in the one list that is read."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def text(self, path: str) -> str:
        """The value at a path as text; an empty string is nothing."""
        place = self.places.setdefault(pointer(path), len(self.places) + 1)
        return f"nullif(v[{place}], '')"

    def first(self, paths: Sequence[str]) -> str:
        found = [self.text(path) for path in paths]
        return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})" if found else "NULL::VARCHAR"

    def listed(self) -> str:
        return "[" + ", ".join(quoted(path) for path in self.places) + "]"
