"""Shared costs and rate plans as a statement shows them.

Owns: their words and their table. Does not own: any amount (the statement document brings them). Invariants: an older document, which knows neither, shows none.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

METHODS: Final = {
    "direct": "all of it",
    "mapped": "by name",
    "even": "in equal parts",
    "fixed": "by fixed percents",
    "proportional": "by direct cost",
    "driver": "by a driver",
    "residual": "what was left",
}
PLANS: Final = {
    "platform_fee": "Platform fee",
    "fixed_fee": "Fixed fee instead of usage",
    "tiered": "Tiered platform fee",
    "credit_pool": "Drawn from the credit pool",
}


def shared_view(document: Mapping[str, Any], center: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows of them."""
    return {
        "material": center.get("material"),
        "shared": _shared(center, document),
        "shared_total": center.get("shared_total", "0.00"),
        "internal": [dict(line) | {"words": PLANS.get(line["method"], line["method"])} for line in center.get("internal", [])],
        "internal_total": center.get("internal_total", "0.00"),
        "left": document.get("allocation", {}).get("left", []),
    }


def _shared(center: Mapping[str, Any], document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Shared costs of this cost center by rule and origin, with the share that was taken of each."""
    rows: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for line in center["lines"]:
        if line.get("rule"):
            rows.setdefault((line["rule"], line["origin_cost_center"]), []).append(line)
    flows = {
        (flow["rule"], flow["source"]): flow for flow in document.get("allocation", {}).get("flows", []) if flow["target"] == center["id"]
    }
    found = []
    for (rule, source), lines in rows.items():
        flow = flows.get((rule, source), {})
        same = {line["ratio"] for line in lines}
        found.append(
            {
                "rule": rule.split("@")[0],
                "version": rule.partition("@")[2],
                "method": METHODS.get(lines[0]["method"], lines[0]["method"]),
                "source": source,
                "share": f"{Decimal(lines[0]['ratio']) * 100:.4f} %" if len(same) == 1 else f"{flow.get('percent', '')} %",
                "origin": flow.get("origin"),
                "lines": len(lines),
                "amount": sum((Decimal(line["amount"]) for line in lines), Decimal(0)),
                "committed": sum((Decimal(line.get("amortized_cost", "0")) for line in lines), Decimal(0)),
            }
        )
    return found
