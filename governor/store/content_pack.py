"""Many bodies in one file: compressed together in columns, each sealed with a key of its own, one after the other.

Owns: the bytes of a pack, the key of a body, durable writing. Does not own: where a body is in which pack (content_index.py).
Invariants: a pack is written under another name, synced, renamed, and its folder synced, and is never changed; a body is AES-256-GCM over zstd with its
address as associated data, under a key made from the organization's key and the body's salt (docs/decisions/0006): without the salt it is noise.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governor.errors import IntegrityError
from governor.store.content_index import Row

MAGIC: Final = b"governor content pack 1\n"
SUFFIX: Final = ".pack"
RESTORE: Final = "restore the content folder whole"
UNFINISHED: Final = ".new-"
SALT_BYTES: Final = 16
NONCE: Final = bytes(12)  # a key seals one body only, so that it needs no other
LEVEL: Final = 1  # 3 makes prompts 4% smaller and takes half as long again
THREADS: Final = min(2, os.cpu_count() or 1)
BUFFER: Final = 1 << 20
_SPACES: Final = np.isin(np.arange(256), list(b" \t\r\n"))


class Packer:
    """Seals and opens with one organization's key; `folder` holds its packs."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self.folder = folder
        self._key = hmac.digest(key, MAGIC, "sha256")

    def write(self, name: str, addresses: Sequence[bytes], bodies: Bodies, rows: Sequence[int]) -> tuple[int, list[Row]]:
        """Pack `bodies` at `rows` under `addresses`. Durable when it returns (bytes of the pack, places)."""
        salts = os.urandom(SALT_BYTES * len(addresses))
        at, found = len(MAGIC), []
        with self._new(name) as out:
            out.write(MAGIC)
            for number, (address, frame) in enumerate(zip(addresses, bodies.compressed(rows), strict=True)):
                salt = salts[number * SALT_BYTES : (number + 1) * SALT_BYTES]
                sealed = self._cipher(salt, address).encrypt(NONCE, frame, address)
                out.write(sealed)
                found.append((address, at, len(sealed), salt))
                at += len(sealed)
        return at, found

    def copy(self, name: str, pieces: Iterable[tuple[str, int, int]]) -> tuple[int, list[int]]:
        """A new pack of sealed bodies (pack, start, size) of others, as they are. (bytes of the pack, where each begins).

        Raises IntegrityError where one of them is not all there: what is written behind it would not be where it is said to be.
        """
        at, starts = len(MAGIC), []
        opened: dict[str, int] = {}
        try:
            with self._new(name) as out:
                out.write(MAGIC)
                for pack, start, size in pieces:
                    if pack not in opened:
                        opened[pack] = self._open(pack)
                    if out.write(os.pread(opened[pack], size, start)) != size:
                        raise IntegrityError(f"content pack {pack} is shorter than it was", hint=RESTORE)
                    starts.append(at)
                    at += size
        finally:
            for handle in opened.values():
                os.close(handle)
        return at, starts

    def read(self, name: str, start: int, size: int, salt: bytes, address: bytes) -> bytes:
        """Raises FileNotFoundError, cryptography's InvalidTag and ZstdError."""
        with (self.folder / name).open("rb", buffering=0) as file:
            sealed = os.pread(file.fileno(), size, start)
        return zstandard.ZstdDecompressor().decompress(self._cipher(salt, address).decrypt(NONCE, sealed, address))

    def _open(self, pack: str) -> int:
        try:
            return os.open(self.folder / pack, os.O_RDONLY)
        except FileNotFoundError:
            raise IntegrityError(f"content pack {pack} is in the index and not there", hint=RESTORE) from None

    def _cipher(self, salt: bytes, address: bytes) -> AESGCM:
        return AESGCM(hmac.digest(self._key, salt + address, "sha256"))

    def _new(self, name: str) -> _Durable:
        return _Durable(self.folder / name)


class _Durable:
    """A file that is whole and on disk under its name, or not there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Any:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, self._temporary = tempfile.mkstemp(dir=self._path.parent, prefix=UNFINISHED)
        self._out = os.fdopen(handle, "wb", buffering=BUFFER)
        return self._out

    def __exit__(self, kind: object, *_: object) -> None:
        temporary = Path(self._temporary)
        try:
            if kind is None:
                self._out.flush()
                os.fsync(self._out.fileno())
        finally:
            self._out.close()
            if kind is not None:
                temporary.unlink(missing_ok=True)
        if kind is None:
            temporary.rename(self._path)
            synced(self._path.parent)


def synced(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Bodies:
    """Byte strings as slices of one memory: nothing is copied, and none is an object of its own."""

    starts: Any  # numpy int64
    ends: Any
    data: Any  # a buffer

    @classmethod
    def of(cls, values: Any) -> Bodies:
        """Of an Arrow large_binary array; a null is empty."""
        _, offsets, data = values.buffers()
        marks = np.frombuffer(offsets, dtype=np.int64)[values.offset : values.offset + len(values) + 1]
        return cls(marks[:-1], marks[1:], data if data is not None else pa.py_buffer(b""))

    def __len__(self) -> int:
        return len(self.starts)

    def at(self, rows: Any) -> Bodies:
        return Bodies(self.starts[rows], self.ends[rows], self.data)

    def trimmed(self) -> Bodies:
        """Without white space around them, as digests of records are made."""
        text = np.frombuffer(self.data, dtype=np.uint8)
        if not len(text):
            return self
        starts, ends = self.starts.copy(), self.ends.copy()
        while (loose := (ends > starts) & _SPACES[text[ends - 1]]).any():
            ends -= loose
        while (loose := (ends > starts) & _SPACES[text[np.minimum(starts, len(text) - 1)]]).any():
            starts += loose
        return Bodies(starts, ends, self.data)

    def digests(self) -> list[str]:
        """Hex sha256 of each."""
        view = memoryview(self.data)
        return [hashlib.sha256(view[start:end]).hexdigest() for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]

    def compressed(self, rows: Any) -> Iterable[Any]:
        """A zstd frame for each of these rows, in their order, made side by side."""
        segments = np.stack((self.starts[rows], (self.ends - self.starts)[rows]), axis=1).astype(np.uint64)
        if not segments[:, 1].all():  # the library takes no empty segment
            alone, view = zstandard.ZstdCompressor(level=LEVEL), memoryview(self.data)
            return [alone.compress(view[start : start + size]) for start, size in segments.astype(np.int64).tolist()]
        whole = zstandard.BufferWithSegments(self.data, segments.tobytes())
        frames: Iterable[Any] = iter(zstandard.ZstdCompressor(level=LEVEL).multi_compress_to_buffer(whole, threads=THREADS))
        return frames
