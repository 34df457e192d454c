"""The cost table of Google Cloud's console, as "Download CSV" writes it: a few lines about the invoice, the header, one row for each SKU or credit.

Owns: finding the table in the file, its columns by the names the BigQuery export has for the same. Does not own: what a row means (gcp.py).
Invariants: the currency is what the file says, never the sign in its header, which several dollars share; what has no days of its own (rounding, some taxes) is of
the invoice's; the row that sums up the table is no row of it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from connectors.bills.reading import BEYOND, Record, day_of, text_of, whole
from governor.errors import Invalid
from governor.ports import Payload

NEEDED: Final = ("Service description", "SKU description", "Cost type")
AMOUNTS: Final = ("unrounded cost", "cost")  # the exact one first; behind it stands a sign of the currency: `Cost ($)`
SUM: Final = "total"
ABOUT: Final = 40  # lines before the header: there are eight


def is_cost_table(head: str) -> bool:
    return any(all(name in line for name in NEEDED) for line in head.splitlines()[:ABOUT])


def cost_table(payload: Payload) -> tuple[int, Iterator[Record]]:
    """The number of its first row, and its rows as the BigQuery export would say them. Raises Invalid where the file does not name its currency."""
    rows = list(csv.reader(io.StringIO(text_of(whole(payload), payload.uri), newline="")))
    place = next(number for number, row in enumerate(rows) if set(NEEDED) <= set(map(str.strip, row)))
    about = {row[0].strip().lower(): row[1].strip() for row in rows[:place] if len(row) > 1}
    names = [name.strip() for name in rows[place]]
    amount = next((name for wanted in AMOUNTS for name in names if name.split("(")[0].strip().lower() == wanted), "")
    if not about.get("currency") or not amount:
        raise Invalid(
            f"{payload.uri}: a cost table without {'the invoice above it: its currency is not named' if amount else 'a column of costs'}",
            hint="download it under Billing, Cost table, for one invoice, with its costs before savings and credits as rows of their own",
        )
    return place + 2, (_record(names, row, about, amount) for row in rows[place + 1 :] if any(row))


def _record(names: Sequence[str], values: Sequence[str], about: Mapping[str, str], amount: str) -> Record:
    row = {name: value.strip() for name, value in zip(names, values, strict=False)}
    issued = about.get("invoice date") or about.get("statement date") or ""
    kind = row.get("Cost type", "").lower()
    found: dict[str, Any] = {
        BEYOND: "".join(values[len(names) :]),
        "cost_type": "regular" if kind == "usage" else kind.replace(" ", "_"),
        "credit_type": row.get("Credit type", ""),
        "service": {"description": row.get("Service description")},
        "sku": {"description": row.get("SKU description")},
        "project": {"id": row.get("Project ID")},
        "usage_start_time": row.get("Usage start date") or issued,
        "invoice": {"month": about.get("invoice month") or (day_of({"invoice date": issued}, "invoice date")[:7] if issued else "")},
        "currency": about["currency"],
        "currency_conversion_rate": about.get("currency exchange rate"),
        "usage": {"amount": row.get("Usage amount")},
        "cost": row.get(amount),
    }
    return found
