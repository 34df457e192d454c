"""Reads files with mappings: tells which mapping a file is for, and brings Parquet rows into the one form that is mapped.

Owns: detection, rows of Parquet as JSON records. Does not own: the mapping (document.py, compile.py), rows of CSV (csv_rows.py), cutting JSON
(connectors/payloads.py).
Invariants: every record is in exactly one of calls, rejected and spans; memory is bounded by a chunk; a file is only read.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.archives import ARCHIVES, BOM, PARQUET, begin_of, blocks_of, head_of
from connectors.engine import engine_for_json
from connectors.mapping.compile import plan_of
from connectors.mapping.csv_rows import rows_of
from connectors.mapping.document import Mapping, completed, load, parse, pointer
from connectors.mapping.draft import drafted
from connectors.payloads import TEXT, Records, gather, head_text, records_of, split_values
from connectors.side_by_side import Work, convert_all
from governor.errors import Invalid
from governor.ports import Batch, Payload, ReadOptions

_SURE: Final = 0.9
_TOKENS: Final = re.compile(TEXT + rb"|[\[\]{},]", re.DOTALL)
_ROWS: Final = 2048
SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}


class MappedConnector:
    """A connector that is one or several mappings. The first whose marks a record carries reads it."""

    def __init__(self, name: str, mappings: Sequence[Mapping]) -> None:
        self.name = name
        self.mappings = tuple(mappings)

    def with_file(self, path: Path) -> MappedConnector:
        """The connector for a person's own mapping file, or for a shipped one by its bare name. Raises Invalid naming the field that is wrong.

        Its name finds the file again: a retry from quarantine knows nothing else.
        """
        if path.suffix or path.exists():
            return MappedConnector(f"{self.name}:{path.resolve()}", [load(path)])
        names = sorted(one.name.removesuffix(".yaml") for one in (files("connectors") / "mappings").iterdir() if one.name.endswith(".yaml"))
        if str(path) not in names:
            raise Invalid(f"{path}: no such mapping file", hint=f"shipped: {', '.join(names)}")
        return MappedConnector(f"{self.name}:{path}", [shipped(str(path))])

    def with_text(self, text: str) -> MappedConnector:
        """The connector for the text of a mapping file that lies nowhere yet. Raises Invalid naming the field that is wrong."""
        return MappedConnector(self.name, [completed(text, "the mapping")])

    def draft(self, payload: Payload, name: str) -> str:
        """The text of a first mapping file for a log that no mapping is for. Raises Invalid for what is no log."""
        kind, lines = self._lines(payload)
        return drafted(lines, name=name, kind=kind)

    def sample(self, payload: Payload, *, records: int, size: int) -> bytes:
        """The first records of a log as JSON lines, as a mapping of any format reads them; those that fit into `size` bytes."""
        kept: list[bytes] = []
        for line in islice(self._lines(payload)[1], records):
            size -= len(line) + 1
            if size < 0:
                break
            kept.append(line.replace(b"\n", b" "))
        return b"\n".join(kept)

    def _lines(self, payload: Payload) -> tuple[str, Iterator[bytes]]:
        """(json, csv or parquet; its records as JSON). Raises Invalid for what is no log."""
        head = begin_of(payload)
        if head.startswith(PARQUET):
            kind, chunks = "parquet", _parquet_rows(payload)
        elif head.removeprefix(BOM).lstrip()[:1] in (b"{", b"["):
            kind, chunks = "json", records_of(payload)
        else:
            separator, said = next(
                ((sign, word) for sign, word in SEPARATORS.items() if len(header_of(head, sign)) > len(header_of(head))), ("", "")
            )
            if separator:
                raise _separated(payload.uri, separator, said)
            kind, chunks = "csv", rows_of(payload)
        return kind, (value.as_py() for chunk in chunks if not chunk.cut for value in chunk.values)

    def detect(self, head: bytes, uri: str) -> float:
        if head.startswith(PARQUET):
            columns = _columns(uri)
            return _SURE if any(one.format == "parquet" and _has(columns, one) for one in self.mappings) else 0.0
        return _SURE if self._mapping_of(head_of(head)) is not None else 0.0

    def read(self, payloads: Iterable[Payload], options: ReadOptions) -> Iterator[Batch]:
        """Raises Invalid where no mapping was given."""
        if not self.mappings:
            raise Invalid("name the mapping file", hint="`governor ingest mapping:FILE.yaml DATA`")
        return convert_all(self._works(payloads, options), options)

    def fetch(self, cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:  # noqa: ARG002 - there is no pull
        raise Invalid(f"{self.name} has no pull", hint="ingest its files, or push them")

    def _works(self, payloads: Iterable[Payload], options: ReadOptions) -> Iterator[Work]:
        by_name = {mapping.name: mapping for mapping in self.mappings}
        for form, chunks in gather(payloads, self._form_of, options, self._records):
            yield plan_of(by_name[form], options), chunks

    def _form_of(self, chunk: Records) -> str:
        found = self._mapping_of(head_text(chunk.values)) if len(self.mappings) > 1 else None
        return (found or self.mappings[0]).name

    def _records(self, payload: Payload) -> Iterator[Records]:
        """JSON records as they are, rows of a table as JSON records."""
        formats = {mapping.format for mapping in self.mappings}
        head = begin_of(payload)
        if "parquet" in formats and head.startswith(PARQUET):
            return _parquet_rows(payload)
        if "csv" in formats and head.lstrip()[:1] not in (b"{", b"[") and self._mapping_of(head) is not None:
            return rows_of(payload)
        if formats == {"csv"} and head.strip() and not any(line.lstrip().startswith((b"{", b"[")) for line in head.splitlines()):
            raise self._no_header(payload.uri, head)
        return records_of(payload)

    def _no_header(self, uri: str, head: bytes) -> Invalid:
        """Says nothing of the line that stands there: without a header it is a record."""
        if b"\r" in head and b"\n" not in head:
            return Invalid(
                f"{uri}: its lines end with a carriage return alone", hint="write it anew with line feeds: `tr '\\r' '\\n' < OLD > NEW`"
            )
        for separator, name in SEPARATORS.items():
            if any(header_of(head, separator) >= set(one.finds) for one in self.mappings):
                return _separated(uri, separator, name)
        there = header_of(head)
        missing = [", ".join(name for name in one.finds if name not in there) for one in self.mappings]
        return Invalid(
            f"{uri}: the first line of the CSV names no column {' or '.join(filter(None, missing)) or 'by which it is known'}",
            hint="the file is UTF-8 with a header and commas; `finds` of the mapping says what the header must have, and `not_with` what not",
        )

    def _mapping_of(self, text: bytes) -> Mapping | None:
        record = _first(text)
        header = header_of(text) if record is None else frozenset()
        for mapping in self.mappings:
            if record is not None:
                if any(_has(one, mapping) for one in _inside(record, mapping)):
                    return mapping
            elif mapping.format == "csv" and header >= set(mapping.finds) and not header & set(mapping.not_with):
                return mapping
        return None


def _separated(uri: str, separator: str, name: str) -> Invalid:
    rewrite = f"import csv, sys; csv.writer(sys.stdout).writerows(csv.reader(sys.stdin, delimiter=chr({ord(separator)})))"
    return Invalid(
        f"{uri}: its columns are separated by {name}, not by commas",
        hint=f"write it anew: `python3 -c '{rewrite}' < OLD > NEW`; numbers have a decimal point",
    )


@cache
def shipped(name: str) -> Mapping:
    """A mapping of connectors/mappings/."""
    return parse((files("connectors") / "mappings" / f"{name}.yaml").read_text(encoding="utf-8"), name)


def _first(text: bytes) -> Any:
    """The first JSON record of the head; of one that is longer than the head, what can be told from its beginning. None when this is no JSON."""
    if text.lstrip()[:1] not in (b"{", b"["):
        return None
    values, _ = split_values(text)
    try:
        return json.loads(values[0].as_py()) if len(values) else _begun(text)
    except ValueError:
        return None


def _begun(text: bytes) -> Any:
    """A JSON document that was cut: everything up to the last member that is whole, its open brackets closed."""
    open_brackets: list[str] = []
    safe, closing = 0, ""
    for token in _TOKENS.finditer(text):
        sign = chr(text[token.start()])
        if sign in "{[":
            open_brackets.append("}" if sign == "{" else "]")
        elif sign in "}]" and open_brackets:
            open_brackets.pop()
        elif sign == ",":
            safe, closing = token.start(), "".join(reversed(open_brackets))
    found = json.loads(text[:safe] + closing.encode()) if safe else None
    return found[0] if isinstance(found, list) and found else found


def header_of(text: bytes, separator: str = ",") -> frozenset[str]:
    """The names in the first line of a CSV."""
    try:
        line = text.split(b"\n", 1)[0].decode("utf-8").removeprefix("\ufeff")
        return frozenset(next(csv.reader(io.StringIO(line), delimiter=separator), []))
    except (UnicodeDecodeError, csv.Error):
        return frozenset()


def _columns(uri: str) -> dict[str, Any]:
    """The columns of a local table, which names them at its end; none where it cannot be read."""
    try:
        return dict.fromkeys(pq.read_schema(uri).names)
    except (pa.ArrowInvalid, OSError):
        return {}


def _inside(record: Any, mapping: Mapping) -> list[Any]:
    """The record, or the first of the records that a document lists."""
    for path in mapping.records:
        found = _at(record, path)
        if isinstance(found, list):
            return [json.loads(one) if isinstance(one, str) and one.startswith("{") else one for one in found[:5]]
    return [record]


def _has(record: Any, mapping: Mapping) -> bool:
    return all(_at(record, path) is not _NOTHING for path in mapping.finds) and all(
        _at(record, path) is _NOTHING for path in mapping.not_with
    )


_NOTHING: Final = object()


def _at(record: Any, path: str) -> Any:
    found = record
    for step in pointer(path)[1:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, dict) and name in found:
            found = found[name]
        else:
            return _NOTHING
    return found


def _parquet_rows(payload: Payload) -> Iterator[Records]:
    """Rows of a Parquet file as JSON records."""
    with tempfile.TemporaryDirectory() as scratch, engine_for_json() as engine:
        path, row = _unpacked(payload, Path(scratch) / "table"), 0
        try:
            # the engine reads another number from them, without a word
            if wide := engine.execute("SELECT name FROM parquet_schema(?) WHERE precision > 38", [str(path)]).fetchall():
                names = ", ".join(name for (name,) in wide)
                raise Invalid(
                    f"{payload.uri}: decimals of more than 38 digits in {names}",
                    hint="cast them to DECIMAL(38, 12) in the export, or to text",
                )
            for batch in engine.execute("SELECT to_json(t)::VARCHAR FROM read_parquet(?) AS t", [str(path)]).to_arrow_reader(_ROWS):
                values = batch.column(0).cast(pa.large_binary())
                if len(values):
                    yield Records(payload.uri, row, values, received=None)
                    row += len(values)
        except duckdb.Error as error:
            raise Invalid(f"{payload.uri}: {str(error).splitlines()[0]}") from error


def _unpacked(payload: Payload, target: Path) -> Path:
    """The table as a plain file."""
    if payload.path is not None:
        with payload.path.open("rb") as file:
            if not file.read(4).startswith(ARCHIVES):
                return payload.path
    try:
        with target.open("wb") as out:
            out.writelines(blocks_of(payload))
    except EOFError as error:
        raise Invalid(f"{payload.uri}: {error}") from error
    return target
