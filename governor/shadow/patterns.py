"""Regular expressions that came from outside, on texts that a model wrote: with a time limit, for either may be made so that matching never ends."""

from __future__ import annotations

from typing import Final

import regex  # type: ignore[import-untyped]

PATTERN_SECONDS: Final = 1.0


def matches(pattern: str, text: str) -> bool:
    """A pattern that takes too long on a text does not match it. Raises regex.error for what is no pattern."""
    try:
        return regex.search(pattern, text, timeout=PATTERN_SECONDS) is not None
    except TimeoutError:
        return False
