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
    ("local_debit", "exact"),
    ("local_credit", "exact"),
    ("local_currency", "exact"),
    ("fx_rate", "exact"),
    ("fx_source", "text"),
    ("fx_date", "exact"),
)
ACCOUNTS: Final = {
    "usage": ("5210", "AI model usage"),
    "shadow": ("5220", "AI evaluation and shadow tests"),
    "correction": ("5230", "AI usage, corrections of earlier periods"),
    "unallocated": ("5290", "AI usage, unallocated"),
    "internal": ("5240", "AI platform fees and credits"),
    "commitment": ("5250", "AI commitments and provisioned capacity"),
    "clearing": ("2150", "Accrued AI provider cost"),
}


def render_csv(document: Mapping[str, Any]) -> bytes:
    """document: the month's statement; optional "accounts" overrides {kind: [number, name]}. Raises ValueError if it did not balance."""
    rows = list(lines(document))
    for left, right in (("debit", "credit"), ("local_debit", "local_credit")):
        debit, credit = (sum((Decimal(row[side]) for row in rows if row[side]), Decimal(0)) for side in (left, right))
        if debit != credit:
            raise ValueError(f"journal out of balance: {left} {debit}, {right} {credit}")
    return csv_bytes(COLUMNS, rows)


def lines(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One line per cost center and kind of spend, then the clearing line."""
    accounts = ACCOUNTS | {kind: tuple(pair) for kind, pair in document.get("accounts", {}).items()}
    number = document["statement_number"]
    common = {
        "batch_id": number,
        "period": document["posting_date"][:7],  # an accrued month is booked on the day of its reversal
        "entry_no": f"JE-{document['month']}",
        "posting_date": document["posting_date"],
        "entity": document["organization"]["id"],
        "currency": document["currency"],
        "source_document": f"statement {number}",
    }
    fx = document.get("fx")
    common |= {
        "local_currency": fx and fx["currency"],
        "fx_rate": fx and fx["rate"],
        "fx_source": fx and fx["source"],
        "fx_date": fx and fx["date"],
    }
    place = 0
    total = local_total = Decimal(0)
    for center in document["cost_centers"]:
        for kind, (amount, local) in amounts(center).items():
            place += 1
            total += amount
            local_total += local
            words = f"{center['id']} {accounts[kind][1]} {document['month']}"
            yield common | _line(place, accounts[kind], center["id"], words, amount, local if fx else None, number)
    if place:
        yield common | _line(
            place + 1,
            accounts["clearing"],
            "",
            f"{accounts['clearing'][1]} {document['month']}",
            -total,
            -local_total if fx else None,
            number,
        )


def amounts(center: Mapping[str, Any]) -> dict[str, tuple[Decimal, Decimal]]:
    """Kind of spend -> its amount in US dollars and in the statement's currency, each the sum of lines that foot. Kinds without spend are left out."""
    usual = "unallocated" if center["id"] == "UNALLOCATED" else "usage"
    sums = {kind: [Decimal(0), Decimal(0)] for kind in ("usage", "unallocated", "shadow", "commitment", "internal", "correction")}
    parts = [(usual if line["traffic_class"] == "production" else "shadow", line) for line in center["lines"]]
    for name, kind in (("commitments", "commitment"), ("internal", "internal"), ("corrections", "correction")):
        parts += [(kind, line) for line in center.get(name, [])]
    for kind, line in parts:
        sums[kind][0] += Decimal(line["amount"])
        sums[kind][1] += Decimal(line.get("local_amount", line["amount"]))
    return {kind: (amount, local) for kind, (amount, local) in sums.items() if amount or local}


def _line(
    place: int, account: tuple[str, str], center: str, words: str, amount: Decimal, local: Decimal | None, number: str
) -> dict[str, Any]:
    owed = (amount or local or 0) > 0  # what rounds to nothing in one currency stands on the side that it has in the other
    side = {"debit": "", "credit": "", "local_debit": "", "local_credit": ""}
    for before, value in (("", amount), ("local_", local)):
        if value is not None:
            side[f"{before}{'debit' if value > 0 or (owed and not value) else 'credit'}"] = f"{abs(value):.2f}"
    identity = hashlib.sha256("|".join([number, account[0], center, words, f"{amount:.2f}"]).encode()).hexdigest()[:16]
    return side | {
        "line_no": place,
        "account": account[0],
        "account_name": account[1],
        "cost_center": center,
        "description": words,
        "external_id": f"{number}-{identity}",
    }
