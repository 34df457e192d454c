"""The month as a journal: what each cost center owes, against one clearing account, in cents.

Owns: the generic journal layout and its accounts' defaults. Does not own: amounts (the statement document). Invariants: debits equal credits; every line's external id
is a function of its content, so posting the file twice is recognised; credits are written as credits, never as negative debits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from reports.table import csv_bytes

COLUMNS: Final = (
    ("batch_id", "text"),
    ("period", "text"),
    ("entry_no", "text"),
    ("line_no", "exact"),
    ("posting_date", "exact"),
    ("entity", "text"),
    ("account", "text"),
    ("account_name", "text"),
    ("cost_center", "text"),
    ("description", "text"),
    ("debit", "exact"),
    ("credit", "exact"),
    ("currency", "exact"),
    ("source_document", "text"),
    ("external_id", "text"),
)
ACCOUNTS: Final = {
    "usage": ("5210", "AI model usage"),
    "shadow": ("5220", "AI evaluation and shadow tests"),
    "correction": ("5230", "AI usage, corrections of earlier periods"),
    "unallocated": ("5290", "AI usage, unallocated"),
    "internal": ("5240", "AI platform fees and credits"),
    "clearing": ("2150", "Accrued AI provider cost"),
}


def render_csv(document: Mapping[str, Any]) -> bytes:
    """document: the month's statement; optional "accounts" overrides {kind: [number, name]}. Raises ValueError if it did not balance."""
    rows = list(lines(document))
    debit, credit = (sum((Decimal(row[side]) for row in rows if row[side]), Decimal(0)) for side in ("debit", "credit"))
    if debit != credit:
        raise ValueError(f"journal out of balance: debit {debit}, credit {credit}")
    return csv_bytes(COLUMNS, rows)


def lines(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One line per cost center and kind of spend, then the clearing line."""
    accounts = ACCOUNTS | {kind: tuple(pair) for kind, pair in document.get("accounts", {}).items()}
    number = document["statement_number"]
    common = {
        "batch_id": number,
        "period": document["month"],
        "entry_no": f"JE-{document['month']}",
        "posting_date": document["posting_date"],
        "entity": document["organization"]["id"],
        "currency": document["currency"],
        "source_document": f"statement {number}",
    }
    place = 0
    total = Decimal(0)
    for center in document["cost_centers"]:
        for kind, amount in _amounts(center):
            place += 1
            total += amount
            words = f"{center['id']} {accounts[kind][1]} {document['month']}"
            yield common | _line(place, accounts[kind], center["id"], words, amount, number)
    if place:
        yield common | _line(place + 1, accounts["clearing"], "", f"{accounts['clearing'][1]} {document['month']}", -total, number)


def _amounts(center: Mapping[str, Any]) -> Iterator[tuple[str, Decimal]]:
    sums = {"usage": Decimal(0), "unallocated": Decimal(0), "shadow": Decimal(0), "internal": Decimal(0), "correction": Decimal(0)}
    usual = "unallocated" if center["id"] == "UNALLOCATED" else "usage"
    for line in center["lines"]:
        sums[usual if line["traffic_class"] == "production" else "shadow"] += Decimal(line["amount"])
    for line in center.get("internal", []):
        sums["internal"] += Decimal(line["amount"])
    for line in center["corrections"]:
        sums["correction"] += Decimal(line["amount"])
    yield from ((kind, amount) for kind, amount in sums.items() if amount)


def _line(place: int, account: tuple[str, str], center: str, words: str, amount: Decimal, number: str) -> dict[str, Any]:
    side = {"debit": f"{amount:.2f}" if amount > 0 else "", "credit": f"{-amount:.2f}" if amount <= 0 else ""}
    identity = hashlib.sha256("|".join([number, account[0], center, words, f"{amount:.2f}"]).encode()).hexdigest()[:16]
    return side | {
        "line_no": place,
        "account": account[0],
        "account_name": account[1],
        "cost_center": center,
        "description": words,
        "external_id": f"{number}-{identity}",
    }
