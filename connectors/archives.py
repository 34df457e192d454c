"""What stands in an archive or a plain file, block by block: gzip and zstd with limits, UTF-16 as UTF-8.

Owns: decompression, the guard against bombs, decoding. Does not own: records (payloads.py). Invariants: memory is bounded by a block whatever the file;
a damaged archive gives what could be read before it says so.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from itertools import chain
from typing import Final

import zstandard

from connectors.portions import CHUNK
from governor.errors import Invalid, TooLarge
from governor.ports import Payload

MAX_RATIO: Final = 1000  # real logs compress 5 to 100 times; a bomb of zeros exceeds 1000
RATIO_FLOOR: Final = 64 << 20  # below this a high ratio harms nobody
MAX_TOTAL: Final = 256 << 30
HEAD: Final = 64 << 10
_GZIP: Final = b"\x1f\x8b"
# a frame, or one to be skipped before it (RFC 8878, 3.1.2; pzstd begins so)
_ZSTD: Final = (b"\x28\xb5\x2f\xfd", *(bytes([number]) + b"\x2a\x4d\x18" for number in range(0x50, 0x60)))
ARCHIVES: Final = (_GZIP, *_ZSTD)
WINDOW: Final = 1 << 27
STEP: Final = 2 << 10
BOM: Final = b"\xef\xbb\xbf"
PARQUET: Final = b"PAR1"
_TAR: Final = slice(257, 262)
_FOREIGN: Final = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"7z\xbc\xaf": "a 7z archive",
}
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_EARLY: Final = "the archive ends early"
_MORE: Final = "what follows in the file is no part of the archive"
_UTF8_LINES: Final = (b"}\n{", b"}\r\n{")


def is_utf16(head: bytes) -> bool:
    """As Windows PowerShell writes it. Not where lines of UTF-8 follow: then it is one bad record, and they are to be read."""
    return head.startswith(_UTF16) and not any(lines in head for lines in _UTF8_LINES)


def foreign(head: bytes) -> str:
    """What a payload that begins so is, where nothing here unpacks it; else empty. Its bytes would be records that nobody can read."""
    if head[_TAR] == b"ustar" and b"\x00" in head[: _TAR.start]:
        return "a tar archive"
    return next((name for sign, name in _FOREIGN.items() if head.startswith(sign)), "")


def head_of(head: bytes) -> bytes:
    """The first bytes as text, looking through compression; never raises."""
    try:
        if head.startswith(_GZIP):
            head = _members(head)
        elif head.startswith(_ZSTD):
            with zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(head, read_across_frames=True) as reader:
                head = reader.read(HEAD)
    except (zlib.error, zstandard.ZstdError):
        return b""
    if is_utf16(head):
        return head.decode("utf-16", "ignore").encode()[:HEAD]
    return head.removeprefix(BOM)[:HEAD]


def _members(packed: bytes) -> bytes:
    """What the first members of a gzip file hold."""
    found = b""
    while packed.startswith(_GZIP) and len(found) < HEAD:
        unpack = zlib.decompressobj(wbits=31)
        found, packed = found + unpack.decompress(packed, HEAD - len(found)), unpack.unused_data
    return found


def begin_of(payload: Payload) -> bytes:
    """What a payload begins with, as text."""
    if payload.body is not None:
        return head_of(payload.body[:HEAD])
    if payload.path is None:
        raise Invalid(f"{payload.uri}: {payload.fault or 'neither a path nor a body'}")
    with payload.path.open("rb") as file:
        return head_of(file.read(HEAD))


def _raw_blocks(payload: Payload) -> Iterator[bytes]:
    if payload.body is not None:
        view = memoryview(payload.body)
        for start in range(0, len(view), CHUNK):
            yield bytes(view[start : start + CHUNK])
        return
    if payload.path is None:
        raise Invalid(f"{payload.uri}: {payload.fault or 'neither a path nor a body'}")
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
                if not data:
                    break
                if not data.startswith(_GZIP[: len(data)]):  # a log behind its archive, say: passed over it would be lost in silence
                    raise EOFError(_MORE)
                unpack = zlib.decompressobj(wbits=31)
            out = unpack.decompress(data, CHUNK)
            guard.grew(len(out))
            yield out
            data = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
    if not unpack.eof:
        raise EOFError(_EARLY)


def _unzstd(blocks: Iterator[bytes], guard: _Guard) -> Iterator[bytes]:
    factory = zstandard.ZstdDecompressor(max_window_size=WINDOW)
    unpack = factory.decompressobj()
    for block in blocks:
        data = block
        while data:
            if unpack.eof:
                if not any(data.startswith(sign[: len(data)]) for sign in _ZSTD):
                    raise EOFError(_MORE)
                unpack = factory.decompressobj()
            # small steps: one call unpacks all it is given, and four bytes can say 128 KiB; so a step gives 64 MiB at most
            step, data = data[:STEP], data[STEP:]
            guard.read += len(step)
            out = unpack.decompress(step)
            guard.grew(len(out))
            yield out
            data = unpack.unused_data + data if unpack.eof else data
    if not unpack.eof:
        raise EOFError(_EARLY)


def _utf8(blocks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    for block in blocks:
        yield decoder.decode(block).encode()
    yield decoder.decode(b"", final=True).encode()


def _begun(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """(the first bytes, all of them)."""
    first = next(filter(None, blocks), b"")
    return first, chain([first], blocks)


def blocks_of(payload: Payload) -> Iterator[bytes]:
    """Unpacked bytes. A damaged archive raises EOFError, which says why, after what could be read, one of another kind Invalid."""
    guard = _Guard(payload.uri)
    try:
        first, blocks = _begun(_raw_blocks(payload))
        if first.startswith(_GZIP):
            first, blocks = _begun(_gunzip(blocks, guard))
        elif first.startswith(_ZSTD):
            first, blocks = _begun(_unzstd(blocks, guard))
        packed = foreign(first) or ("packed twice" if guard.read and first.startswith(ARCHIVES) else "")
        if packed:
            raise Invalid(
                f"{payload.uri} is {packed}; gzip and zstd are unpacked, once", hint="unpack it, and give the files that were in it"
            )
        yield from _utf8(blocks) if is_utf16(first) else blocks
    except (zlib.error, zstandard.ZstdError) as error:
        if not guard.written:
            raise Invalid(f"{payload.uri}: damaged archive: {error}") from error
        raise EOFError(_EARLY) from error


def body_of(payload: Payload, limit: int = 512 << 20) -> bytes:
    """The whole payload, for formats that cannot be cut (protobuf, a bill). Raises Invalid for a damaged archive, TooLarge."""
    parts, size = [], 0
    try:
        for block in blocks_of(payload):
            size += len(block)
            if size > limit:
                raise TooLarge(f"{payload.uri}: larger than {limit >> 20} MiB unpacked")
            parts.append(block)
    except EOFError as error:
        raise Invalid(f"{payload.uri}: {error}") from error
    return b"".join(parts)
