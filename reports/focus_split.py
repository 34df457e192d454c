"""What FOCUS 1.3 asks of a charge that was shared out: how, which part and for whom are told together, and everything else stays as it was at the origin.

Owns: the columns of allocated charges, row by row and beside the other parts of their origin. Does not own: sums and shares (focus_rules). Invariants: a file without
these columns (1.2) has nothing to check here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

TOGETHER: Final = ("AllocatedMethodId", "AllocatedMethodDetails", "AllocatedResourceId", "AllocatedResourceName", "AllocatedTags")
OF_THE_ORIGIN: Final = (
    "ChargePeriodStart", "ChargePeriodEnd", "ChargeCategory", "BillingCurrency", "ProviderName", "SkuId", "SkuPriceId", "ListUnitPrice", "ContractedUnitPrice",
    "PricingUnit", "ConsumedUnit", "Tags",
)  # fmt: skip
Found = tuple[int, str, str]


def split_problems(origin: str, parts: Sequence[tuple[int, Mapping[str, str]]]) -> Iterator[Found]:
    """(row, column, what is wrong) of the parts of one origin charge."""
    if not parts or TOGETHER[0] not in parts[0][1]:
        return
    for number, row in parts:
        for name in TOGETHER:
            if not row.get(name):
                yield number, name, f"is empty on a part of {origin}"
        own, given = _tags(row.get("Tags") or "{}"), _tags(row.get("AllocatedTags") or "{}")
        lost = sorted(own.items() - given.items()) if own is not None and given is not None else []
        if given is None:
            yield number, "AllocatedTags", "is not a JSON object of texts"
        elif lost:
            yield number, "AllocatedTags", f"lacks {lost[0][0]!r} of the origin's tags"
    first = parts[0][1]
    for number, row in parts[1:]:
        for name in OF_THE_ORIGIN:
            if row.get(name) != first.get(name):
                yield number, name, f"{row.get(name)!r} is not that of the other parts of {origin}"


def _tags(text: str) -> dict[str, str] | None:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else None
