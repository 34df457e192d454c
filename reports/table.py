"""CSV as finance imports it: UTF-8, LF, RFC 4180, the same input the same bytes, and no cell that a spreadsheet would run.

Owns: quoting, decimals with a point, the guard on text cells. Does not own: which columns a document has. Invariants: the guard never touches a number
(negative amounts stay numbers); a decimal is never written with an exponent or as a whole number.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

# What a spreadsheet takes for a formula at the start of a cell or of an embedded line, full-width forms included.
RISKY: Final = re.compile(r"^[\s\u00a0\u200b\ufeff]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")


def safe_text(value: str) -> str:
    """Text that stays text: an apostrophe goes before anything a spreadsheet would run, on every line of the cell."""
    lines = value.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(f"'{line}" if RISKY.match(line) else line for line in lines)


def decimal_text(value: str | int | Decimal) -> str:
    """Plain decimal with at least one place: tools infer integers from whole numbers and then refuse the column."""
    text = f"{Decimal(value):f}"
    whole, _, places = text.partition(".")
    return f"{whole}.{places.rstrip('0') or '0'}"


def csv_bytes(columns: Sequence[tuple[str, str]], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """columns: (name, text | number | exact). `number` is rewritten by decimal_text, `exact` is kept as it is; None is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    for row in rows:
        writer.writerow([_cell(row.get(name), kind) for name, kind in columns])
    return out.getvalue().encode()


def _cell(value: Any, kind: str) -> str:
    if value is None:
        return ""
    if kind == "number":
        return decimal_text(value)
    return str(value) if kind == "exact" else safe_text(str(value))
