"""A line's unit price as a statement shows it: what was paid for a block, and the list price beside it where they differ.

Owns: the words. Does not own: any price (the statement document brings them). Invariants: amounts are printed as they are, with at least two places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def unit_price(line: Mapping[str, Any]) -> dict[str, str | None]:
    """What was paid per block, or which commitment covers it, and the list price beside it where they differ."""
    paid, listed = line["contract_price"], line["list_price"]
    if line["price_source"] == "commitment" and line["traffic_class"] != "commitment":
        return {"paid": "covered", "listed": f"by {line['commitment'].partition('/')[2]}"}
    if line["traffic_class"] == "commitment":
        return {"paid": "part of its cost", "listed": None}
    if line["traffic_class"] == "internal":
        return {"paid": "by the plan", "listed": None}
    if paid is None:
        return {"paid": "as measured", "listed": None}
    per = "1M" if paid["per"] == 1_000_000 else f"{paid['per']:,}"  # noqa: PLR2004 - tokens are priced by the million
    differs = listed is not None and (listed["amount"], listed["per"]) != (paid["amount"], paid["per"])
    words = line.get("contract_terms")  # "20 % off list" already says what the amount is compared with
    return {
        "paid": f"{_places(paid['amount'])} / {per}",
        "listed": (words.replace("list", f"list {_places(listed['amount'])}") if words else f"list {_places(listed['amount'])}")
        if listed is not None and differs
        else None,
    }


def _places(amount: str) -> str:
    whole, _, places = amount.partition(".")
    return f"{whole}.{places.ljust(2, '0')}"
