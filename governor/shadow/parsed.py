"""JSON that a model or an endpoint wrote: read within limits, so that a runaway answer is a wrong answer and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

DEEPEST: Final = 100  # no answer for people or programs nests deeper, and what is done with it afterwards recurses


def parsed(text: str | bytes) -> Any:
    """Raises ValueError for what is no JSON, and for what is nested deeper than DEEPEST."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"nested deeper than {DEEPEST}") from None
    opened = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    if opened > DEEPEST and too_deep(value):
        raise ValueError(f"nested deeper than {DEEPEST}")
    return value


def too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [item for one in level for item in inside(one)]
        if not level:
            return False
    return True


def inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []
