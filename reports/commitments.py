"""Commitments and the statement's currency as a statement shows them.

Owns: their words and tables. Does not own: any amount (the statement document brings them). Invariants: an older document, which knows neither, shows none; amounts in
another currency stand beside US dollars, never instead of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from governor.chargeback.currency import in_words


def commitments_view(document: Mapping[str, Any], center: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows of them."""
    months = {one["mark"]: one for one in document.get("commitments", [])}
    rows = []
    for line in center.get("commitments", []):
        found = months.get(line["commitment"], {})
        rows.append(
            {
                "name": found.get("name", line["model"]),
                "unused": line["meter"] == "commitment_unused",
                "words": line["arithmetic"],
                "cost": found.get("cost"),
                "whole": found.get("unused" if line["meter"] == "commitment_unused" else "used"),
                "amount": line["amount"],
            }
        )
    covered = [line for line in center["lines"] if line.get("price_source") == "commitment"]
    return {
        "commitments": rows,
        "commitment_total": center.get("commitment_total", "0.00"),
        "covered_value": sum((Decimal(line["covered_cost"]) for line in covered), Decimal(0)),
        "covered_lines": len(covered),
        "fx": document.get("fx"),
        "local_total": local(document, center["local_total"]) if document.get("fx") else None,
        "local_whole": local(document, document["totals"]["local_total"]) if document.get("fx") else None,
    }


def local(document: Mapping[str, Any], amount: str) -> str:
    """An amount in the statement's currency."""
    return in_words(amount, document["fx"]["currency"])


def csv_currency(document: Mapping[str, Any]) -> dict[str, Any]:
    """The rate on every row of the CSV; empty in US dollars."""
    fx = document.get("fx") or {}
    return {"local_currency": fx.get("currency"), "fx_rate": fx.get("rate"), "fx_source": fx.get("source"), "fx_date": fx.get("date")}


def currency_fact(document: Mapping[str, Any]) -> str:
    """One sentence for the method."""
    fx = document.get("fx")
    if not fx:
        return "There is no currency conversion: all prices are in US dollars."
    return (
        f"Prices are in US dollars. The total was converted once, 1 USD = {fx['rate']} {fx['currency']} ({fx['source']}, {fx['date']}), and split over cost centers and "
        f"lines by largest remainder, so that both currencies foot; the rate was sealed with the month."
    )
