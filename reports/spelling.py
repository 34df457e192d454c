"""Names as a reader of a document sees them: callers choose those of models, tags and users, and a controller has to trust what stands beside them."""

from __future__ import annotations

from typing import Any, Final

# embeddings, overrides and isolates of direction (Unicode TR 9): one in a name turns what stands behind it around. Marks, which letters need, stay
TURNS: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\N{REPLACEMENT CHARACTER}")


def in_one_direction(value: Any) -> Any:
    """A text without signs that turn it around; anything else as it is."""
    return value.translate(TURNS) if isinstance(value, str) else value
