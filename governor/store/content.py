"""Prompts and outputs, apart from the calls: encrypted, addressed by the hash of what was captured, erasable without breaking a proof.

Owns: the objects and their encryption. Does not own: whether content may be captured (capture.py decides by mode), who may read it (actions).
Invariants: an object is AES-256-GCM over zstd with its address as associated data, so a swapped object does not open; writing is atomic and
idempotent; one key and one directory per organization.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governor.errors import IntegrityError, Invalid, NotFound

NONCE_BYTES = 12
MAX_BODY_BYTES = 64 * 1024 * 1024
HEX_DIGITS = frozenset("0123456789abcdef")


class ContentStore:
    """`root/<first two hex digits>/<sha256>`; `key` is 32 bytes."""

    def __init__(self, root: Path, key: bytes) -> None:
        self.root = root
        self._cipher = AESGCM(key)

    def put(self, sha256: str, body: bytes) -> None:
        """Keep `body` under `sha256` (of the body as captured). Keeping it again changes nothing."""
        path = self._path(sha256)
        if path.exists():
            return
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, zstandard.ZstdCompressor(level=3).compress(body), sha256.encode())
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(sealed)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        for sha256, body in items:
            self.put(sha256, body)

    def get(self, sha256: str) -> bytes:
        """The body. Raises NotFound when it was never captured or was erased, IntegrityError when it does not open."""
        try:
            sealed = self._path(sha256).read_bytes()
        except FileNotFoundError:
            raise NotFound("this content is not held: it was not captured, or it was erased") from None
        try:
            packed = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], sha256.encode())
            return zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_BODY_BYTES)
        except (InvalidTag, zstandard.ZstdError) as error:
            raise IntegrityError(f"content object {sha256[:12]} does not open with this organization's key") from error

    def exists(self, sha256: str) -> bool:
        return self._path(sha256).exists()

    def erase(self, sha256: str) -> bool:
        """Remove the body; the hash in the call and every proof over it stay valid. True when there was one."""
        try:
            self._path(sha256).unlink()
        except FileNotFoundError:
            return False
        return True

    def older_than(self, instant: datetime) -> Iterator[str]:
        """Addresses of objects captured before `instant`, for retention."""
        for path in self.root.glob("??/*"):
            if not path.name.startswith(".") and path.stat().st_mtime < instant.timestamp():
                yield path.name

    def _path(self, sha256: str) -> Path:
        if len(sha256) != 64 or not HEX_DIGITS.issuperset(sha256):  # noqa: PLR2004 - hex digits of SHA-256; also keeps paths inside root
            raise Invalid(f"not a content address: {sha256[:80]!r}")
        return self.root / sha256[:2] / sha256
