"""`governor focus check`: a FOCUS file, CSV or Parquet, held against its own rules and, where it is at hand, against the sealed statement it was printed from.

Owns: reading the file, the comparison line by line. Does not own: the rules of a file alone (focus_rules.py). Invariants: reads bytes only; every problem names its row
and column; a file that cannot be read is a problem, never a pass. Some corruptions are consistent in themselves (cached tokens counted in input as well): the statement
finds these, because each of its lines has one quantity and one amount.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from reports.focus import NUMBERS, rows
from reports.focus_files import INSTANTS
from reports.focus_rules import MONEY, Problem, check_rows, decimal_of, table_of
from reports.table import decimal_text

MAGIC: Final = b"PAR1"
FROM_STATEMENT: Final = (
    *MONEY,
    "ConsumedQuantity",
    "SubAccountId",
    "ChargeCategory",
    "ChargeClass",
    "CommitmentDiscountStatus",
    "BillingCurrency",
    "x_PriceSource",
    "x_RequestCount",
)


def check_file(body: bytes, statement: Mapping[str, Any] | None = None, total: str | None = None) -> list[Problem]:
    """statement: the month's sealed document; total: a control total that BilledCost must sum to."""
    try:
        names, found = _parquet(body) if body.startswith(MAGIC) else table_of(body)
    except (pa.ArrowException, csv.Error, ValueError) as error:
        return [Problem(0, "file", f"cannot be read: {error}")]
    problems = check_rows(names, found)
    if not found and (statement is None or any(rows(statement))):  # a month without spend has a statement of no line
        problems.append(Problem(0, "file", "holds no row"))
    if total is not None:
        billed = sum((decimal_of(row.get("BilledCost") or "") or Decimal(0) for row in found), Decimal(0))
        if billed != Decimal(total):
            problems.append(Problem(0, "BilledCost", f"sums to {billed}, the control total is {total}"))
    return [*problems, *_against(statement, found)] if statement is not None else problems


def _parquet(body: bytes) -> tuple[list[str], list[dict[str, str]]]:
    table = pq.read_table(io.BytesIO(body))
    wrong = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: money and quantities are DECIMAL, not floating point")
    return table.column_names, [{name: _cell(name, value) for name, value in row.items()} for row in table.to_pylist()]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in INSTANTS and isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return decimal_text(value) if name in NUMBERS else str(value)


def _against(statement: Mapping[str, Any], found: Sequence[Mapping[str, str]]) -> Iterator[Problem]:
    """Each row is a line of the statement with its quantity and amounts, and every line has its row."""
    wanted: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for line in rows(statement):
        wanted[_key(line)].append(line)
    for number, row in enumerate(found, start=1):
        alike = wanted[_key(row)]
        meant = next(
            (line for line in alike if _same("ConsumedQuantity", row.get("ConsumedQuantity") or "", line["ConsumedQuantity"])), None
        )
        meant = meant or next(iter(alike), None)
        if meant is not None:
            alike.remove(meant)
        else:
            yield Problem(number, "x_LineId", "is no line of the statement, or one that stands here already")
            continue
        for name in FROM_STATEMENT:
            if not _same(name, row.get(name) or "", meant.get(name)):
                yield Problem(
                    number, name, f"{row.get(name) or 'null'} here, {'null' if meant.get(name) is None else meant[name]} in the statement"
                )
    for left in (line for alike in wanted.values() for line in alike):
        yield Problem(0, "x_LineId", f"line {left.get('x_LineId') or left['ChargeDescription']} of the statement has no row")


def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A line once, or unpriced use by what it is: several may be alike, such as the tiers of one model."""
    line = row.get("x_LineId")
    if line:
        return (str(line),)
    return tuple(str(row.get(name) or "").lstrip("'") for name in ("SubAccountId", "x_Workflow", "SkuId", "x_UnpricedReason"))


def _same(name: str, cell: str, meant: Any) -> bool:
    if meant is None:
        return cell == ""
    if name in NUMBERS:
        return decimal_of(cell) == Decimal(meant)
    return cell == str(meant)
