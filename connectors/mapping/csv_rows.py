"""A CSV file as JSON records: cut row by row, so that a row that cannot be read is that row alone.

Owns: where a row of a CSV begins and ends. Does not own: unpacking (connectors/archives.py), what a row means (the mapping).
Invariants: every row is in the answer once, as a record or with the reason why it is none; rows are numbered as they stand in the file;
memory is bounded by MAX_ROW and a chunk.

A value in quotes may hold line breaks, so a quote that is too many could take all rows after it for one value. A row is bad by its first line
alone, and reading goes on with the next one, where a quote is not closed within MAX_ROW, where something other than a comma or the end of
the line follows a closing quote, where the number of values is not that of the header, and where each further line that the quotes take in
is by itself a row with all values: prose is not, rows that a stray quote swallowed are.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from typing import Final

import duckdb
import pyarrow as pa
from pyarrow import csv

from connectors.archives import BOM, blocks_of
from connectors.engine import engine_for_json
from connectors.payloads import MAX_RECORD, Records
from governor.errors import Invalid
from governor.ports import Payload

MAX_ROW: Final = 16 << 20  # bytes of a row spread over lines
_FEW: Final = 4  # a line of prose may well hold two or three values
_BATCH: Final = 2048
_BLANK: Final = b" \t\r\n\x00"
_BARE: Final = rb'(?:[^",\r\n][^,\r\n]*+)?+'
_QUOTED: Final = rb'"(?:[^"]++|"")*+"'
_QUOTED_IN_LINE: Final = rb'"(?:[^"\n]++|"")*+"'
_END: Final = rb"\r?\n"
_VALUE: Final = re.compile(b"(?:%s|%s)(?:,|%s)" % (_QUOTED_IN_LINE, _BARE, _END))
_UTF8: Final = "invalid_utf8: the record is not UTF-8 text"
Piece = int | tuple[bytes, str]  # so many good rows, or a bad one with its reason


def rows_of(payload: Payload) -> Iterator[Records]:
    """Raises Invalid for a header that names nothing, and for a line of more than MAX_RECORD."""
    cutter, rest, row = None, b"", 0
    with engine_for_json() as engine:
        for block, last, early in _blocks(payload):
            data, torn = rest + block, b""
            if early:
                data, torn = _whole_lines(data)
            elif last and data and not data.endswith(b"\n"):
                data += b"\n"
            if cutter is None and (b"\n" in data or last):
                header, _, data = data.removeprefix(BOM).partition(b"\n")
                cutter = _Cutter(_names(engine, header, payload.uri))
            good, pieces, rest = cutter.cut(data, last=last) if cutter else (b"", [], data)
            if len(rest) > MAX_RECORD:
                raise Invalid(f"{payload.uri}: a record of more than {MAX_RECORD >> 20} MiB")
            if cutter and pieces:
                for records in _placed(payload.uri, row, _as_json(engine, good, cutter.names), pieces):
                    yield records
                    row = records.first_row + len(records.values)
            if early:
                yield Records(payload.uri, row, pa.array([torn], pa.large_binary()), f"truncated: {early}")


def _blocks(payload: Payload) -> Iterator[tuple[bytes, bool, str]]:
    """(a block, whether the file ends here, why it ends where its archive is damaged)."""
    try:
        for block in blocks_of(payload):
            yield block, False, ""
    except EOFError as error:
        yield b"", True, str(error)
    else:
        yield b"", True, ""


def _whole_lines(data: bytes) -> tuple[bytes, bytes]:
    edge = data.rfind(b"\n") + 1
    return data[:edge], data[edge:]


class _Cutter:
    """Where rows of so many columns begin and end."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        others = b"{%d}+" % (len(names) - 1)
        line = b"(?!%s)%s(?:,%s)%s%s" % (_END, *[b"(?:%s|%s)" % (_QUOTED_IN_LINE, _BARE)] * 2, others, _END)
        self._lines = re.compile(b"(?:%s)*+" % line)
        self._row = re.compile(b"(?!%s)%s(?:,%s)%s%s" % (_END, *[b"(?:%s|%s)" % (_QUOTED, _BARE)] * 2, others, _END))
        # the beginning of a row, of any number of values, that goes on past the end of the data
        self._begun = re.compile(rb'(?:(?:%s|%s),)*+(?:"(?:[^"]++|"")*+"?|%s)\r?\Z' % (_QUOTED, _BARE, _BARE))
        self._alone = re.compile(b"(?:%s|%s)(?:,(?:%s|%s))*+%s" % (_QUOTED_IN_LINE, _BARE, _QUOTED_IN_LINE, _BARE, _END))

    def cut(self, data: bytes, *, last: bool) -> tuple[bytes, list[Piece], bytes]:
        """(the bytes of all good rows, good and bad rows in their order, what is left for the next call)."""
        pieces: list[Piece] = []
        good: list[bytes] = []
        sound = _is_utf8(data[: data.rfind(b"\n") + 1])
        at = 0

        def take(end: int, count: int) -> None:
            good.append(data[at:end])
            pieces.append(count)

        while at < len(data):
            run = self._lines.match(data, at) if sound else None
            if run is not None and run.end() > at:  # the fast way: most files have no row that is anything else
                take(run.end(), data.count(b"\n", at, run.end()))
                at = run.end()
                continue
            line = data.find(b"\n", at) + 1
            found = self._row.match(data, at)
            if found is not None and not self._swallowed(data, at, line, found.end()):
                if sound or _is_utf8(found[0]):
                    take(found.end(), 1)
                else:
                    pieces.append((_shown(found[0]), _UTF8))
                at = found.end()
                continue
            if not last and found is None and (not line or (len(data) - at < MAX_ROW and self._begun.match(data, at))):
                break
            if data[at:line].strip(_BLANK):
                pieces.append((_shown(data[at:line]), self._reason(data, at, line)))
            at = line
        return b"".join(good), pieces, data[at:]

    def _swallowed(self, data: bytes, at: int, line: int, end: int) -> bool:
        """Whether a row of several lines is too long for one, or all its further lines are rows by themselves."""
        if line == end:
            return False
        if end - at > MAX_ROW or len(self.names) < _FEW:
            return end - at > MAX_ROW
        while line < end:
            following = data.find(b"\n", line) + 1
            if not (whole := self._lines.match(data, line, following)) or whole.end() != following:
                return False
            line = following
        return True

    def _reason(self, data: bytes, at: int, line: int) -> str:
        if self._alone.match(data, at, line) is None:
            return "bad_row: a quote that is not closed, or that is followed by more of its value"
        values = sum(1 for _ in _VALUE.finditer(data, at, line))
        return f"bad_row: Expected Number of Columns: {len(self.names)} Found: {values}"


def _shown(raw: bytes) -> bytes:
    """A bad row as it is kept: quarantine holds text."""
    return raw.rstrip(b"\r\n").decode("utf-8", "backslashreplace").encode()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _names(engine: duckdb.DuckDBPyConnection, header: bytes, uri: str) -> list[str]:
    """Names of the columns, each once: the engine gives a name to those without, and numbers those that come twice."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(header.rstrip(b"\r") + b"\n")
        file.flush()
        try:
            read = engine.execute(
                "FROM read_csv(?, all_varchar = true, header = true, delim = ',', quote = '\"', escape = '\"')", [file.name]
            )
        except duckdb.Error as error:
            raise Invalid(f"{uri}: the header of the CSV cannot be read", hint="names of columns, separated by commas") from error
        return [column[0] for column in read.description or []]


def _as_json(engine: duckdb.DuckDBPyConnection, good: bytes, names: list[str]) -> pa.Array:
    """Rows that are known to be good, as JSON records; an empty value is null."""
    if not good:
        return pa.array([], pa.large_binary())
    rows = csv.read_csv(
        pa.BufferReader(good),
        csv.ReadOptions(column_names=names, block_size=len(good) + 1, use_threads=False),
        csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
        ),
    )
    engine.register("csv_rows", rows)
    try:
        found = engine.execute("SELECT to_json(t)::VARCHAR AS line FROM csv_rows AS t").to_arrow_table()
    finally:
        engine.unregister("csv_rows")
    return pa.chunked_array(found["line"].chunks, found["line"].type).cast(pa.large_binary()).combine_chunks()


def _placed(uri: str, row: int, values: pa.Array, pieces: list[Piece]) -> Iterator[Records]:
    """Good rows in batches and bad ones each by itself, with their numbers."""
    done = 0
    for piece in pieces:
        if isinstance(piece, tuple):
            raw, reason = piece
            yield Records(uri, row, pa.array([raw], pa.large_binary()), reason, received=None)
            row += 1
            continue
        for start in range(0, piece, _BATCH):
            batch = values.slice(done + start, min(_BATCH, piece - start))
            yield Records(uri, row, batch, received=None)
            row += len(batch)
        done += piece
