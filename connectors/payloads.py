"""From a payload to its records as Arrow columns: lines, JSON arrays. Shared by every connector.

Owns: cutting on line boundaries, splitting arrays, the offset-based Arrow arrays of records.
Does not own: decompression (archives.py), what a record means (each connector), fetching from object stores (the ingest action).
Invariants: memory is bounded by one chunk whatever the file; every record is yielded once, good or bad; blank lines are no records;
only a payload that is no text at all, a Parquet table or a decompression bomb raises Invalid.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from mmap import MAP_PRIVATE, mmap
from typing import Any, Final, TypeVar
from weakref import finalize

import numpy as np
import pyarrow as pa

from connectors.archives import ARCHIVES, BOM, HEAD, PARQUET, blocks_of, foreign, is_utf16
from connectors.portions import CHUNK, FLUSH_BYTES
from governor.errors import Invalid
from governor.ports import Payload, ReadOptions

MAX_RECORD: Final = 64 << 20
AS_RECEIVED: Final = "as received"
# a text, also one that is cut by the end of the data (what stands in it is no structure, and is looked at once), and brackets
TEXT: Final = rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
_STRUCTURE: Final = re.compile(TEXT + rb"|[\[\]{}]", re.DOTALL)
_SEVERAL: Final = re.compile(rb"\}\s*\{")
_BLANK: Final = b" \t\r\n\x00"
_SHORT: Final = 64
_BETWEEN: Final = _BLANK + b",[]"
T = TypeVar("T")


@dataclass(frozen=True)
class Records:
    """Consecutive records of one payload; `cut` says why the last one ends early (damaged archive), else empty.

    received: the records as they came, where `values` were made from them; None where they came as no text of records (rows of a table).
    """

    uri: str
    first_row: int
    values: Any  # pa.LargeBinaryArray
    cut: str = ""
    received: Any = AS_RECEIVED


class _Blocks:
    """Memory for chunks, used again as soon as nothing refers to a chunk: to give fresh memory costs the kernel more than to read into it."""

    def __init__(self) -> None:
        self._free: list[mmap] = []

    def read(self, file: int, size: int, offset: int) -> tuple[mmap, int, Any]:
        """(a block, how much was read into it, what keeps it from being used again)."""
        block = self._free.pop() if self._free and size == CHUNK else mmap(-1, size, flags=MAP_PRIVATE)
        lease = np.frombuffer(block, np.uint8)
        if size == CHUNK:
            finalize(lease, self._free.append, block).atexit = False
        return block, os.preadv(file, [memoryview(block)], offset), lease


def rewritten(document: Any) -> bytes:
    """A document that was opened, as JSON again. Half a surrogate pair, where text was cut, is no text: it must not end the read of all others."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def binary_array(data: bytes | mmap, starts: Any, ends: Any, lease: Any = None) -> Any:
    """Arrow binary over slices of `data`. One buffer and offsets when slices touch, else a copy. lease: what to refer to in its place."""
    if len(starts) == 0:
        return pa.array([], pa.large_binary())
    if np.array_equal(starts[1:], ends[:-1]):
        offsets = np.append(starts, ends[-1]).astype(np.int64)
        buffer = pa.py_buffer(data if lease is None else lease)
        return pa.Array.from_buffers(pa.large_binary(), len(starts), [None, pa.py_buffer(offsets), buffer])
    return pa.array([data[s:e] for s, e in zip(starts.tolist(), ends.tolist(), strict=True)], pa.large_binary())


def split_lines(data: bytes | mmap, stop: int | None = None, lease: Any = None) -> Any:
    """Lines of data[:stop] that are not blank. The newline stays with its line: JSON readers ignore it, and nothing is copied."""
    end = len(data) if stop is None else stop
    marks = []  # `find` is faster than an array of comparisons, and touches no new memory
    at = data.find(b"\n", 0, end) + 1
    while at:
        marks.append(at)
        at = data.find(b"\n", at, end) + 1
    if end and (not marks or marks[-1] != end):
        marks.append(end)
    ends = np.array(marks, np.int64)
    starts = np.concatenate((np.zeros(min(1, len(ends)), np.int64), ends[:-1]))
    holes = np.flatnonzero(np.frombuffer(data, np.uint8)[starts] == 0).tolist()  # a log that was truncated under its writer begins with one
    for i in holes:
        line = data[starts[i] : ends[i]]
        starts[i] += len(line) - len(line.lstrip(b"\x00"))
    small = np.flatnonzero(ends - starts <= _SHORT)  # looking at long lines would cost time, and they are hardly blank
    blank = [i for i in small.tolist() if not data[starts[i] : ends[i]].strip(_BLANK)]
    if blank:
        # a blank line is given to the line before it, so that slices still touch
        keep = np.ones(len(starts), dtype=bool)
        keep[blank] = False
        if not keep.any():
            return pa.array([], pa.large_binary())
        starts = starts[keep]
        ends = ends[keep] if holes else np.append(starts[1:], ends[-1])
    return binary_array(data, starts, ends, lease)


def split_values(data: bytes) -> tuple[Any, int]:
    """Top-level objects of JSON text, inside an array or one after the other; and where the last complete one ended."""
    depth, start, done = 0, 0, 0
    starts, ends = [], []
    for token in _STRUCTURE.finditer(data):
        sign = data[token.start()]
        if sign == ord("{"):
            if depth == 0:
                start = token.start()
                if stray := data[done:start].strip(_BETWEEN):  # a scalar where a record should be: counted, then refused
                    starts.append(start - len(data[done:start].lstrip(_BETWEEN)))
                    ends.append(starts[-1] + len(stray))
            depth += 1
        elif sign == ord("}") and depth:
            depth -= 1
            if depth == 0:
                done = token.end()
                starts.append(start)
                ends.append(done)
        elif sign == ord("[") and depth:
            depth += 1
        elif sign == ord("]") and depth:
            depth -= 1
    return binary_array(data, np.array(starts, np.int64), np.array(ends, np.int64)), done


def _is_lines(data: bytes) -> bool:
    """One record per line, or values spread over several lines (an array, one pretty-printed object) or several on the only line?"""
    text = data.lstrip(_BLANK)
    if text.startswith(b"["):
        return False
    first, newline, rest = text.partition(b"\n")
    if not newline or not rest.strip(_BLANK):  # Firehose puts nothing between its records, others a carriage return
        return _SEVERAL.search(text) is None or len(split_values(text[:CHUNK])[0]) <= 1
    if first.strip(_BLANK) == b"{":
        return False
    return bool(split_values(first)[1]) or len(split_values(text[:CHUNK])[0]) != 1


def records_of(payload: Payload) -> Iterator[Records]:
    """The payload's records, a bounded chunk at a time."""
    if _plain_lines(payload):
        yield from _lines_of_file(payload)
        return
    row, rest, lines, cut = 0, b"", None, ""
    blocks = blocks_of(payload)
    while True:
        try:
            block = next(blocks, None)
        except EOFError as error:
            block, cut = None, f"truncated: {error}"
        data = rest + block if block is not None else rest
        if block is not None and len(data) < CHUNK:
            rest = data
            continue
        if lines is None:
            data = _text_of(data, payload.uri)
            lines = _is_lines(data)
        values, rest = _take(data, lines=lines, last=block is None and not cut)
        if cut:  # what is missing is said even where no part of it could be unpacked
            values = pa.concat_arrays([values, pa.array([rest], pa.large_binary())])
        if len(rest) > MAX_RECORD:
            raise Invalid(f"{payload.uri}: a record of more than {MAX_RECORD >> 20} MiB")
        if len(values):
            yield Records(payload.uri, row, values, cut)
            row += len(values)
        if block is None:
            return


def _text_of(data: bytes, uri: str) -> bytes:
    """The beginning of a payload that is text."""
    if data.startswith(PARQUET):
        raise Invalid(f"{uri} is a Parquet table, and this connector reads JSON", hint="export it as JSON lines")
    return data.removeprefix(BOM)


def head_text(values: Any) -> bytes:
    """The first records again as text, no more than HEAD bytes."""
    parts: list[bytes] = []
    for value in values[:64]:
        parts.append(value.as_py()[:HEAD])
        if sum(map(len, parts)) >= HEAD:
            break
    return b"\n".join(parts)[:HEAD]


def each(payloads: Iterable[Payload], read: Callable[[Payload], Iterator[T]], options: ReadOptions) -> Iterator[tuple[Payload, T]]:
    """What is in one payload after the other. One that is refused, or that is gone by now, costs the others nothing where somebody wants to hear of it."""
    for payload in payloads:
        try:
            for found in read(payload):
                yield payload, found
        except (Invalid, FileNotFoundError, PermissionError) as error:
            if options.refused is None:
                raise
            options.refused(error if isinstance(error, Invalid) else Invalid(f"{payload.uri}: {error.strerror}"))


def gather(
    payloads: Iterable[Payload],
    form_of: Callable[[Records], str],
    options: ReadOptions,
    records: Callable[[Payload], Iterator[Records]] | None = None,
) -> Iterator[tuple[str, list[Records]]]:
    """Chunks gathered per form, so that thousands of small objects are not thousands of queries. The first chunk of a payload names its form."""

    def runs() -> Iterator[tuple[str, Records]]:
        last, form = None, ""
        for payload, chunk in each(payloads, records or records_of, options):
            if payload is not last:
                last, form = payload, form_of(chunk)
            yield form, chunk

    return gathered(runs(), options.batch_rows)


def gathered(runs: Iterable[tuple[str, Records]], batch_rows: int) -> Iterator[tuple[str, list[Records]]]:
    """What is of one form, together until it is worth a query."""
    waiting: dict[str, list[Records]] = {}
    sizes: dict[str, tuple[int, int]] = {}  # bytes and records of what waits
    for form, run in runs:
        waiting.setdefault(form, []).append(run)
        held, rows = sizes.get(form, (0, 0))
        sizes[form] = held, rows = held + run.values.nbytes, rows + len(run.values)
        if held >= FLUSH_BYTES or rows >= batch_rows:
            yield form, waiting.pop(form)
            del sizes[form]
    yield from waiting.items()


def _plain_lines(payload: Payload) -> bool:
    """A local file of lines, not packed: the bulk path."""
    if payload.path is None or not payload.path.is_file():  # a pipe can be read once only
        return False
    with payload.path.open("rb") as file:
        head = file.read(CHUNK)
    return not head.startswith((*ARCHIVES, BOM, PARQUET)) and not foreign(head) and not is_utf16(head) and _is_lines(head)


def _lines_of_file(payload: Payload) -> Iterator[Records]:
    """Each chunk is read to where its last line ends, and the next read begins there, so that no chunk is put together."""
    row, offset, size = 0, 0, CHUNK
    blocks = _Blocks()
    assert payload.path is not None  # noqa: S101 - asked by _plain_lines
    with payload.path.open("rb", buffering=0) as file:
        while True:
            data, count, lease = blocks.read(file.fileno(), size, offset)
            if not count:
                return
            ended = count < size and not os.pread(file.fileno(), 1, offset + count)
            edge = count if ended else data.rfind(b"\n", 0, count) + 1
            if not edge and not data[:count].strip(b"\x00"):
                offset, size = offset + count, CHUNK
                continue
            if not edge:
                size *= 2
                if size > 2 * MAX_RECORD:
                    raise Invalid(f"{payload.uri}: a record of more than {MAX_RECORD >> 20} MiB")
                continue
            values = split_lines(data, edge, lease)
            if len(values):
                yield Records(payload.uri, row, values)
                row += len(values)
            offset, size = offset + edge, CHUNK


def _take(data: bytes, *, lines: bool, last: bool) -> tuple[Any, bytes]:
    if lines:
        edge = len(data) if last else data.rfind(b"\n") + 1
        return split_lines(data[:edge]), data[edge:]
    values, done = split_values(data)
    left = data[done:]
    if last:
        if junk := left.strip(_BETWEEN):  # whatever did not close is one bad record, not lost
            values = pa.concat_arrays([values, pa.array([junk], pa.large_binary())])
        return values, b""
    return values, left
