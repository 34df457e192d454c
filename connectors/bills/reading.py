"""Bytes of one bill -> records, and the checks every reader makes of a field.

Owns: JSON with exact numbers, CSV, Parquet, days, amounts, the list of what was not understood. Does not own: unpacking (archives.py), any provider's columns.
Invariants: no number passes through a float; a limit holds after unpacking; a row is either a line, skipped with its product's name, or rejected with its field.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.archives import PARQUET, begin_of, body_of, head_of
from governor.chargeback.reconciliation.bill import Bill, BillLine, RejectedRow, add_up
from governor.errors import Invalid
from governor.ports import Payload

LIMIT: Final = 1 << 30
SENT_LIMIT: Final = 1 << 28  # of what came over the network, after unpacking
AMOUNT: Final = re.compile(r"[-+]?(?:[1-9]\d{0,2}(?:,\d{3})+|\d*)(?:\.\d*)?(?:[eE][-+]?\d{1,3})?")
COMMA: Final = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+")  # of what is no AMOUNT: 2,51 and 0,123 and 1.234,50
BEYOND: Final = "values beyond the header"
MAGNITUDE: Final = 30  # digits before the point; no bill needs more
AMERICAN: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
Record = Mapping[str, Any]


class Wrong(Exception):
    """A field of one row that cannot be understood."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name
        self.reason = reason


class DecimalComma(Wrong):
    """A number that has its decimals behind a comma: the same file's 1,234 and 1.234 are then not what they look like."""


class Skip(Exception):
    """A row of another product."""


def whole(payload: Payload) -> bytes:
    return body_of(payload, LIMIT if payload.path is not None else SENT_LIMIT)


def begins_as_json(payload: Payload) -> bool:
    """Whether it is JSON and no table, looking through compression."""
    return begin_of(payload).lstrip()[:1] in (b"{", b"[")


def text_of(body: bytes, uri: str) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(f"{uri} is not UTF-8 text (byte {error.start})") from None


def documents(payload: Payload) -> list[Any]:
    """The JSON documents of a file: one, several after another, or one a line. Numbers with a point are exact decimals."""
    text = text_of(whole(payload), payload.uri)
    decoder = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)
    found, place = [], 0
    try:
        while place < len(text):
            if text[place].isspace() or text[place] in ",\x1e":
                place += 1
                continue
            document, place = decoder.raw_decode(text, place)
            found.append(document)
    except (ValueError, RecursionError) as error:
        line = text.count("\n", 0, place) + 1
        raise Invalid(f"{payload.uri}: not JSON from line {line}: {error}") from None
    if not found:
        raise Invalid(f"{payload.uri} is empty")
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def buckets(payload: Payload, *, names: Iterable[str] = ("data", "results", "buckets", "value")) -> Iterator[Record]:
    """Members of every page of a paginated answer: an envelope, a list of envelopes, a list of members, or members alone."""
    for document in documents(payload):
        yield from _members(document, tuple(names))


def _members(document: Any, names: tuple[str, ...]) -> Iterator[Record]:
    if isinstance(document, list):
        for one in document:
            yield from _members(one, names)
        return
    if not isinstance(document, dict):
        return
    envelope = next((document[name] for name in names if isinstance(document.get(name), list)), None)
    timed = any(name in document for name in ("start_time", "starting_at", "TimePeriod"))
    if envelope is None or timed:
        yield document
    else:
        for one in envelope:
            yield from _members(one, names)


def table(payload: Payload) -> Iterator[dict[str, str]]:
    """Rows of a CSV or Parquet file as text; missing cells are empty. Column names lose surrounding blanks and keep their case."""
    body = whole(payload)
    if body.startswith(PARQUET):
        yield from _parquet(body, payload.uri)
        return
    text = text_of(body, payload.uri)
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=header.count)
    try:
        for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey=BEYOND):
            yield {name.strip(): ("".join(value) if isinstance(value, list) else value or "").strip() for name, value in row.items()}
    except csv.Error as error:
        raise Invalid(f"{payload.uri}: not CSV: {error}") from None


def _parquet(body: bytes, uri: str) -> Iterator[dict[str, str]]:
    try:
        reader = pq.ParquetFile(io.BytesIO(body))
        for batch in reader.iter_batches():
            for row in batch.to_pylist():
                yield {name: _cell(value) for name, value in row.items()}
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise Invalid(f"{uri}: not Parquet: {error}") from None


def _cell(value: Any) -> str:
    """Text of a typed cell. A double is written the shortest way that reads back the same, which is what the exporter meant."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, list | dict):
        return json.dumps(dict(value) if isinstance(value, list) and all(isinstance(one, tuple) for one in value) else value, default=str)
    return str(value)


def lines_of(uri: str, rows: Iterable[Record], read: Callable[[Record], Iterable[BillLine]], *, first: int = 1) -> Bill:
    """Every row through `read`; what it raises is kept with the row's number. Raises Invalid for a file that writes decimals behind a comma."""
    lines: list[BillLine] = []
    rejected: list[RejectedRow] = []
    skipped: Counter[str] = Counter()
    for number, row in enumerate(_shaped(uri, rows), start=first):
        try:
            if row.get(BEYOND):  # the values behind it would stand in other columns than their own
                raise Wrong("row", "has more values than the header names; put a value that holds the separator in quotes")
            found = list(read(row))
        except Skip as other:
            skipped[str(other)] += 1
        except DecimalComma as comma:
            raise Invalid(
                f"{uri}: row {number}, {comma.name}: {comma.reason}",
                hint="nothing of this file was taken, because its 1,234 may be 1.234 too; write numbers with a decimal point",
            ) from None
        except Wrong as wrong:
            rejected.append(RejectedRow(number, wrong.name, wrong.reason))
        except (AttributeError, TypeError):  # a text where the row has an object, or the other way round
            rejected.append(RejectedRow(number, "row", "has another shape than the rows of this bill"))
        else:
            lines += [one if one.row else _numbered(one, number) for one in found]
    return Bill(add_up(lines), rejected, dict(skipped))


def _shaped(uri: str, rows: Iterable[Record]) -> Iterator[Record]:
    """Raises Invalid where the pages around the rows are not those of the provider."""
    try:
        yield from rows
    except (AttributeError, TypeError):
        raise Invalid(f"{uri}: not shaped as a bill of this provider", hint="export it again, or name another reader") from None


def _numbered(line: BillLine, number: int) -> BillLine:
    from dataclasses import replace

    return replace(line, row=number)


def first_of(row: Record, *names: str) -> Any:
    """The first of these columns that holds something; empty text otherwise."""
    return next((row[name] for name in names if row.get(name) not in (None, "")), "")


def money(row: Record, *names: str) -> Decimal:
    """An exact amount. Raises Wrong when it is absent or no number."""
    found = maybe(row, *names)
    if found is None:
        raise Wrong(names[0], "is missing")
    return found


def maybe(row: Record, *names: str) -> Decimal | None:
    """An exact number, or None when none of these columns holds anything."""
    name = next((name for name in names if row.get(name) not in (None, "")), None)
    return None if name is None else number(row[name], name)


def number(value: Any, name: str) -> Decimal:
    if isinstance(value, bool | list | dict | float):
        raise Wrong(name, f"{str(value)[:40]!r} is not a number")
    text = str(value).strip().removeprefix("$")
    sound = AMOUNT.fullmatch(text) is not None
    if not sound and COMMA.fullmatch(text):
        raise DecimalComma(name, f"{text[:40]!r} has a decimal comma")
    try:
        if not text or not sound:
            raise InvalidOperation
        found = Decimal(text.replace(",", ""))
    except InvalidOperation:
        raise Wrong(name, f"{str(value)[:40]!r} is not a number") from None
    if found.adjusted() > MAGNITUDE or (found and found.adjusted() < -MAGNITUDE):
        raise Wrong(name, f"{text[:40]!r} is out of any bill's range")
    return found


def day_of(row: Record, *names: str) -> str:
    """The UTC day of an instant: ISO 8601, Unix seconds, or MM/DD/YYYY as Azure writes it."""
    name = next((name for name in names if row.get(name) not in (None, "")), None)
    if name is None:
        raise Wrong(names[0], "is missing")
    value = row[name]
    try:
        if isinstance(value, int | Decimal) or (str(value).isdigit() and len(str(value)) > 8):  # noqa: PLR2004 - YYYYMMDD is no instant
            return datetime.fromtimestamp(int(value), UTC).date().isoformat()
        american = AMERICAN.match(str(value))
        if american:
            return date(int(american[3]), int(american[1]), int(american[2])).isoformat()
        moment = datetime.fromisoformat(str(value).replace(" UTC", "+00:00"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        raise Wrong(name, f"{str(value)[:40]!r} is not a day") from None


def currency_of(value: Any, name: str) -> str:
    text = str(value or "USD").strip().upper()
    if not re.fullmatch(r"[A-Z]{3}", text):
        raise Wrong(name, f"{text[:20]!r} is not a currency")
    return text


def header_of(head: bytes) -> set[str]:
    """Column names of a CSV from its first bytes; empty for anything else."""
    first = head_of(head).decode("utf-8", "replace").split("\n", 1)[0]
    return {name.strip().strip('"') for name in re.split(r"[,;\t|]", first)}


def columns_of(head: bytes) -> set[str]:
    """Column names of a table in lower case."""
    return {name.lower() for name in header_of(head)}
