"""Tables in and out as CSV and XLSX, for people who work in a spreadsheet.

Owns: the two formats, limits on what is opened, text that stays text. Does not own: what the columns mean.
Invariants: no cell we write is a formula, whatever a model or a person wrote into it; no formula is computed when reading; a file that unpacks to more
than the limit is refused before it is read.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.datavalidation import DataValidation

from governor.errors import Invalid, TooLarge

FORMS: Final = ("xlsx", "csv")
LARGEST_FILE: Final = 32 * 1024 * 1024
LARGEST_UNPACKED: Final = 256 * 1024 * 1024
MOST_ROWS: Final = 50_000
MOST_COLUMNS: Final = 100
LONGEST_CELL: Final = 32_767
RISKY: Final = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "|",
    "%",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)  # what a spreadsheet may take for a formula
UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
ZIP: Final = b"PK\x03\x04"
WIDE: Final = 60
# A broken workbook fails in many ways inside the reader; a broken XML part is a SyntaxError.
BROKEN: Final = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OSError,
    EOFError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
    InvalidFileException,
)


def safe_cell(text: str) -> str:
    """Text that no spreadsheet computes: an apostrophe before what could begin a formula."""
    cleaned = UNPRINTABLE.sub("\ufffd", text)
    cleaned = f"'{cleaned}" if cleaned.lstrip(" \u00a0").startswith(RISKY) else cleaned
    return cleaned if len(cleaned) <= LONGEST_CELL else f"{cleaned[: LONGEST_CELL - 20]} [cut]"


def plain_cell(text: str) -> str:
    """A cell as it was before safe_cell."""
    return text[1:] if text.startswith("'") and text[1:].lstrip(" \u00a0").startswith(RISKY) else text


def write_sheet(
    form: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", choices: Mapping[str, Sequence[str]]
) -> bytes:
    """title: a line for people, in XLSX the note of the first cell; choices: allowed values of a column, as a drop-down."""
    if form not in FORMS:
        raise Invalid(f"a sheet is {' or '.join(FORMS)}, not {form[:20]!r}")
    safe = [[safe_cell(cell) for cell in row] for row in rows]
    return csv_bytes(columns, safe) if form == "csv" else xlsx_bytes(columns, safe, title, choices)


def csv_bytes(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """UTF-8 with a mark, so that spreadsheets read it as such."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8-sig")


def xlsx_bytes(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str, choices: Mapping[str, Sequence[str]]) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("review")
    sheet.freeze_panes = "A2"
    for at, name in enumerate(columns, 1):
        sheet.column_dimensions[get_column_letter(at)].width = WIDE if any(len(row[at - 1]) > WIDE for row in rows[:50]) else 14
        if name in choices:
            allowed = DataValidation(type="list", formula1=f'"{",".join(choices[name])}"', allow_blank=True)
            allowed.add(f"{get_column_letter(at)}2:{get_column_letter(at)}{len(rows) + 1}")
            sheet.data_validations.append(allowed)
    sheet.append([text_cell(sheet, name, bold=True) for name in columns])
    for row in rows:
        sheet.append([text_cell(sheet, cell) for cell in row])
    if title:
        told = book.create_sheet("how")
        told.append([text_cell(told, title)])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def text_cell(sheet: Any, text: str, *, bold: bool = False) -> Any:
    cell = WriteOnlyCell(sheet, value=text)
    cell.data_type = "s"  # openpyxl takes a leading = for a formula
    cell.number_format = "@"
    cell.alignment = Alignment(wrap_text=True, vertical="top")
    cell.font = Font(bold=bold)
    return cell


def read_sheet(body: bytes, needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """(row number as the spreadsheet shows it, cells by lower-case column name) of every row that is not blank. Raises Invalid, TooLarge."""
    if len(body) > LARGEST_FILE:
        raise TooLarge(f"the sheet is larger than {LARGEST_FILE // 1024**2} MiB")
    lines = xlsx_lines(body) if body.startswith(ZIP) else csv_lines(body)
    head = next(lines, None)
    names = [name.strip().lower() for name in head[1]] if head else []
    missing = [name for name in needed if name not in names]
    if missing:
        raise Invalid(f"the sheet has no column {missing[0]!r}", hint=f"its first row names the columns: {', '.join(needed)}")
    found = []
    for number, cells in lines:
        if any(cell.strip() for cell in cells):
            found.append(
                (number, {name: plain_cell(cell) for name, cell in zip(names, [*cells, *[""] * len(names)], strict=False) if name})
            )
        if len(found) > MOST_ROWS:
            raise TooLarge(f"the sheet has more than {MOST_ROWS:,} rows")
    return found


def csv_lines(body: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("the sheet is neither XLSX nor CSV in UTF-8", hint="save it as 'CSV UTF-8'") from None
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
    number = 0
    try:
        for number, row in enumerate(reader, 1):
            yield number, row
    except csv.Error as error:
        raise Invalid(f"row {number + 1} of the CSV cannot be read: {error}") from None


def xlsx_lines(body: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            if sum(item.file_size for item in packed.infolist()) > LARGEST_UNPACKED:
                raise TooLarge("the spreadsheet unpacks to more than it may")
        book = openpyxl.load_workbook(io.BytesIO(body), read_only=True, data_only=True)
    except TooLarge:
        raise
    except BROKEN:
        raise Invalid("the XLSX file cannot be read", hint="save it again as XLSX, or as 'CSV UTF-8'") from None
    try:
        sheet = book[book.sheetnames[0]]
        for number, row in enumerate(sheet.iter_rows(max_col=MOST_COLUMNS, values_only=True), 1):
            yield number, ["" if cell is None else str(cell) for cell in row]
    except BROKEN:
        raise Invalid("the XLSX file cannot be read to its end", hint="save it again as XLSX, or as 'CSV UTF-8'") from None
    finally:
        book.close()
