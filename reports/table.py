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
# Leading white space, no-break and invisible characters hide nothing; quotes and separators may end the cell in a careless reader and begin the next.
RISKY: Final = re.compile(
    r"^[\s\x00-\x1f\u00a0\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\"'`,;|]*"
    r"(?:[=+\-@\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b\u2212\u2795\u2796]|\t|\r)"
)
# What text readers and spreadsheets take for a new line inside a cell.
BREAKS: Final = re.compile(r"(\r\n|[\r\n\v\f\x1c-\x1e\x85\u2028\u2029])")


def safe_text(value: str) -> str:
    """Text that stays text: an apostrophe goes before anything a spreadsheet would run, on every line of the cell."""
    pieces = BREAKS.split(value.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(f"'{piece}" if not BREAKS.fullmatch(piece) and _starts_risky(piece) else piece for piece in pieces)


def runs_as_formula(value: str) -> bool:
    """Whether a spreadsheet could take the text, or a line of it, for a formula. Machine formats refuse such an id instead of changing it."""
    return any(_starts_risky(piece) for piece in BREAKS.split(value) if not BREAKS.fullmatch(piece))


def _starts_risky(line: str) -> bool:
    """An apostrophe in front already makes text of the line."""
    return not line.startswith("'") and RISKY.match(line) is not None


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
