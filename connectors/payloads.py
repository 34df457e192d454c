"""From a payload to its records as Arrow columns: decompression, lines, JSON arrays. Shared by every connector.

Owns: gzip and zstd with limits, cutting on line boundaries, splitting arrays, the offset-based Arrow arrays of records.
Does not own: what a record means (each connector), fetching from object stores (the ingest action).
Invariants: memory is bounded by one chunk whatever the file; every record is yielded once, good or bad; blank lines are no records;
only a payload that is no text at all, or a decompression bomb, raises Invalid.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import zstandard

from governor.errors import Invalid
from governor.ports import Payload

CHUNK: Final = 4 << 20
MAX_RECORD: Final = 64 << 20
MAX_RATIO: Final = 1000  # real logs compress 5 to 100 times; a bomb of zeros exceeds 1000
RATIO_FLOOR: Final = 64 << 20  # below this a high ratio harms nobody
MAX_TOTAL: Final = 256 << 30
HEAD: Final = 64 << 10
FLUSH_BYTES: Final = 96 << 20  # planning a query costs as much as reading 5 MB
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
ARCHIVES: Final = (_GZIP, _ZSTD)
_BOM: Final = b"\xef\xbb\xbf"
_STRUCTURE: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_BLANK: Final = b" \t\r\n\x00"
_SHORT: Final = 64
_BETWEEN: Final = _BLANK + b",[]"


@dataclass(frozen=True)
class Records:
    """Consecutive records of one payload; `cut` says why the last one ends early (damaged archive), else empty."""

    uri: str
    first_row: int
    values: Any  # pa.LargeBinaryArray
    cut: str = ""


def head_of(head: bytes) -> bytes:
    """The first bytes as text, looking through compression; never raises."""
    if head.startswith(_GZIP):
        try:
            return zlib.decompressobj(wbits=31).decompress(head, HEAD)
        except zlib.error:
            return b""
    if head.startswith(_ZSTD):
        try:
            return zstandard.ZstdDecompressor().decompressobj().decompress(head)[:HEAD]
        except zstandard.ZstdError:
            return b""
    return head.removeprefix(_BOM)[:HEAD]


def _raw_blocks(payload: Payload) -> Iterator[bytes]:
    if payload.body is not None:
        view = memoryview(payload.body)
        for start in range(0, len(view), CHUNK):
            yield bytes(view[start : start + CHUNK])
        return
    if payload.path is None:
        raise Invalid(f"{payload.uri}: neither a path nor a body")
    with payload.path.open("rb") as file:
        while block := file.read(CHUNK):
            yield block


class _Guard:
    """Stops an archive that unpacks to far more than it holds."""

    def __init__(self, uri: str) -> None:
        self.uri, self.read, self.written = uri, 0, 0

    def grew(self, size: int) -> None:
        self.written += size
        if self.written > MAX_TOTAL or (self.written > RATIO_FLOOR and self.written > MAX_RATIO * max(1, self.read)):
            raise Invalid(f"{self.uri}: unpacks to more than {MAX_RATIO} times its size", hint="unpack it by hand if it is genuine")


def _gunzip(blocks: Iterator[bytes], guard: _Guard) -> Iterator[bytes]:
    unpack = zlib.decompressobj(wbits=31)
    for block in blocks:
        guard.read += len(block)
        data = block
        while data:
            if unpack.eof:  # members may follow one another, and padding may follow the last
                data = data.lstrip(b"\x00")
                if not data.startswith(_GZIP[: len(data)]):
                    return
                unpack = zlib.decompressobj(wbits=31)
            out = unpack.decompress(data, CHUNK)
            guard.grew(len(out))
            yield out
            data = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
    if not unpack.eof:
        raise EOFError


def _unzstd(blocks: Iterator[bytes], guard: _Guard) -> Iterator[bytes]:
    factory = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    unpack = factory.decompressobj()
    for block in blocks:
        data = block
        while data:
            if unpack.eof:
                unpack = factory.decompressobj()
            # small steps: one call unpacks all it is given, so its output is bounded by its input
            step, data = data[: 64 << 10], data[64 << 10 :]
            guard.read += len(step)
            out = unpack.decompress(step)
            guard.grew(len(out))
            yield out
            data = unpack.unused_data + data if unpack.eof else data
    if not unpack.eof:
        raise EOFError


def blocks_of(payload: Payload) -> Iterator[bytes]:
    """Unpacked bytes. A damaged archive raises EOFError after what could be read."""
    raw = _raw_blocks(payload)
    first = next(raw, b"")

    def chain() -> Iterator[bytes]:
        yield first
        yield from raw

    guard = _Guard(payload.uri)
    try:
        if first.startswith(_GZIP):
            yield from _gunzip(chain(), guard)
        elif first.startswith(_ZSTD):
            yield from _unzstd(chain(), guard)
        else:
            yield from chain()
    except (zlib.error, zstandard.ZstdError) as error:
        if not guard.written:
            raise Invalid(f"{payload.uri}: damaged archive: {error}") from error
        raise EOFError from error


def body_of(payload: Payload, limit: int = 512 << 20) -> bytes:
    """The whole payload, for formats that cannot be cut (protobuf)."""
    parts, size = [], 0
    try:
        for block in blocks_of(payload):
            size += len(block)
            if size > limit:
                raise Invalid(f"{payload.uri}: larger than {limit >> 20} MiB unpacked")
            parts.append(block)
    except EOFError as error:
        raise Invalid(f"{payload.uri}: archive ends early") from error
    return b"".join(parts)


def binary_array(data: bytes, starts: Any, ends: Any) -> Any:
    """Arrow binary over slices of `data`. One buffer and offsets when slices touch, else a copy."""
    if len(starts) == 0:
        return pa.array([], pa.large_binary())
    if np.array_equal(starts[1:], ends[:-1]):
        offsets = np.append(starts, ends[-1]).astype(np.int64)
        return pa.Array.from_buffers(pa.large_binary(), len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    return pa.array([data[s:e] for s, e in zip(starts.tolist(), ends.tolist(), strict=True)], pa.large_binary())


def split_lines(data: bytes) -> Any:
    """Lines that are not blank. The newline stays with its line: JSON readers ignore it, and nothing is copied."""
    marks = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n")) + 1
    ends = marks if len(marks) and marks[-1] == len(data) else np.append(marks, len(data))
    starts = np.concatenate(([0], ends[:-1]))
    small = np.flatnonzero(ends - starts <= _SHORT)  # looking at long lines would cost time, and they are hardly blank
    blank = [i for i in small.tolist() if not data[starts[i] : ends[i]].strip(_BLANK)]
    if blank:
        # a blank line is given to the line before it, so that slices still touch
        keep = np.ones(len(starts), dtype=bool)
        keep[blank] = False
        if not keep.any():
            return pa.array([], pa.large_binary())
        starts = starts[keep]
        ends = np.append(starts[1:], ends[-1])
    return binary_array(data, starts, ends)


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
    """One record per line, or values spread over several lines (an array, one pretty-printed object)?"""
    text = data.lstrip(_BLANK)
    if text.startswith(b"["):
        return False
    first, newline, rest = text.partition(b"\n")
    if not newline or not rest.strip(_BLANK):
        return True
    if first.strip(_BLANK) == b"{":
        return False
    return bool(split_values(first)[1]) or len(split_values(text[:CHUNK])[0]) != 1


def records_of(payload: Payload) -> Iterator[Records]:
    """The payload's records, a bounded chunk at a time."""
    row, rest, lines, cut = 0, b"", None, ""
    blocks = blocks_of(payload)
    while True:
        try:
            block = next(blocks, None)
        except EOFError:
            block, cut = None, "truncated: the archive ends early"
        data = rest + block if block is not None else rest
        if block is not None and len(data) < CHUNK:
            rest = data
            continue
        if lines is None:
            data = data.removeprefix(_BOM)
            lines = _is_lines(data)
        values, rest = _take(data, lines=lines, last=block is None)
        if len(rest) > MAX_RECORD:
            raise Invalid(f"{payload.uri}: a record of more than {MAX_RECORD >> 20} MiB")
        if len(values):
            yield Records(payload.uri, row, values, cut)
            row += len(values)
        if block is None:
            return


def head_text(values: Any) -> bytes:
    """The first records again as text, no more than HEAD bytes."""
    parts: list[bytes] = []
    for value in values[:64]:
        parts.append(value.as_py()[:HEAD])
        if sum(map(len, parts)) >= HEAD:
            break
    return b"\n".join(parts)[:HEAD]


def gather(
    payloads: Iterable[Payload],
    form_of: Callable[[Records], str],
    batch_rows: int,
    records: Callable[[Payload], Iterator[Records]] | None = None,
) -> Iterator[tuple[str, list[Records]]]:
    """Chunks gathered per form, so that thousands of small objects are not thousands of queries. The first chunk of a payload names its form."""
    waiting: dict[str, list[Records]] = {}
    sizes: dict[str, int] = {}
    for payload in payloads:
        form = None
        for chunk in (records or records_of)(payload):
            form = form or form_of(chunk)
            waiting.setdefault(form, []).append(chunk)
            sizes[form] = sizes.get(form, 0) + chunk.values.nbytes
            if sizes[form] >= FLUSH_BYTES or sum(len(c.values) for c in waiting[form]) >= batch_rows:
                yield form, waiting.pop(form)
                del sizes[form]
    yield from waiting.items()


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
