"""Prompts, outputs and raw records, apart from the calls: encrypted, addressed by the hash of what was captured, erasable without breaking a proof.

Owns: keeping, finding and erasing bodies; what of packs is given back to the disk; sealing records that quarantine keeps. Does not own: whether
content may be captured (capture.py decides by mode), who may read it (actions), which bodies a call still names (actions/erase.py).
Invariants: a body is durable when `put` returns, before any call refers to it; keeping it again changes nothing; one key and one directory per
organization; erasing a body deletes the salt of its key, without which nobody opens it, and its bytes go with the next `tidy`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governor.errors import IntegrityError, Invalid, NotFound
from governor.store.content_index import ContentIndex, Pack
from governor.store.content_pack import LEVEL, RESTORE, SUFFIX, UNFINISHED, Bodies, Packer
from governor.store.rows.base import uuid7

NONCE_BYTES: Final = 12
OTHER_KEY: Final = "bring the content key in keys/ back from the backup of this home"
SEALED: Final = b"governor sealed record 1:"
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
HEX_DIGITS: Final = frozenset("0123456789abcdef")
ADDRESS_LENGTH: Final = 64  # hex digits of SHA-256
SMALL_BYTES: Final = 8 << 20  # packs below it are put together
MANY: Final = 8  # of them
PACK_BYTES: Final = 64 << 20
SETTLED_S: Final = 86_400  # an ingest that is under way for longer has died


class ContentStore:
    """`root/index.sqlite` and `root/packs`; bodies of earlier versions are `root/<first two hex digits>/<sha256>`. `key` is 32 bytes."""

    def __init__(self, root: Path, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self.root = root
        self._cipher = AESGCM(key)
        self._records = AESGCM(hmac.digest(key, SEALED, "sha256"))
        self._index = ContentIndex(root / "index.sqlite")
        self._packer = Packer(root / "packs", key)
        self._clock = clock

    def put(self, sha256: str, body: bytes) -> None:
        """Keep `body` under `sha256` (of the body as captured). Keeping it again changes nothing."""
        self.put_many([(sha256, body)])

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        """All of them in one pack."""
        found = list(items)
        self.put_bodies([sha256 for sha256, _ in found], Bodies.of(pa.array([body for _, body in found], pa.large_binary())))

    def put_bodies(self, addresses: Sequence[str], bodies: Bodies) -> None:
        """Keep the bodies under their addresses, in the same order, in one pack."""
        rows = {_binary(address): number for number, address in enumerate(addresses)}
        now = int(self._clock())
        held = self._index.touch(rows, now)
        old = self._old_folders()
        fresh = [one for one in rows if one not in held and not (one[:1].hex() in old and self._alone(one.hex()).exists())]
        if fresh:
            name = f"{uuid7()}{SUFFIX}"
            size, places = self._packer.write(name, fresh, bodies, [rows[address] for address in fresh])
            self._index.add(name, size, places, now)

    def get(self, sha256: str) -> bytes:
        """The body. Raises NotFound when it was never captured or was erased, IntegrityError when it does not open."""
        address = _binary(sha256)
        try:
            for _ in range(2):  # a tidy that runs beside may have moved it
                found = self._index.find(address)
                if found is None:
                    return self._old(sha256)
                try:
                    return self._packer.read(found.pack, found.start, found.size, found.salt, address)
                except FileNotFoundError:
                    continue
        except (InvalidTag, zstandard.ZstdError) as error:
            raise IntegrityError(f"content object {sha256[:12]} does not open with this organization's key", hint=OTHER_KEY) from error
        raise IntegrityError(f"content object {sha256[:12]} is in the index and its pack is not there", hint=RESTORE)

    def check_key(self) -> str:
        """What the oldest and the newest body say of this key. Raises IntegrityError where the newest does not open."""
        held = [one.hex() for one in self._index.ends()]
        if not held:
            return "no body is held"
        self.get(held[-1])
        try:
            self.get(held[0])
        except IntegrityError:
            return "the newest body opens, and the oldest does not: it was kept with another key"
        return "the oldest and the newest body open"

    def exists(self, sha256: str) -> bool:
        return self._index.holds(_binary(sha256)) or self._alone(sha256).exists()

    def erase(self, sha256: str) -> bool:
        """Remove the body; the hash in the call and every proof over it stay valid. True when there was one."""
        return self.erase_many([sha256]) == 1

    def erase_many(self, addresses: Iterable[str]) -> int:
        """Remove the bodies. Returns how many there were."""
        wanted = {_binary(one) for one in addresses}
        gone, old = self._index.forget(wanted), self._old_folders()
        for address in (one for one in wanted if one[:1].hex() in old):
            try:
                self._alone(address.hex()).unlink()
            except FileNotFoundError:
                continue
            gone += 1
        return gone

    def seal(self, record: bytes) -> bytes:
        """A record that is kept elsewhere, in quarantine, for this organization's key alone. The digest of the record stands in front."""
        name, nonce = hashlib.sha256(record).hexdigest().encode(), os.urandom(NONCE_BYTES)
        return SEALED + name + nonce + self._records.encrypt(nonce, zstandard.ZstdCompressor(LEVEL).compress(record), name)

    def unseal(self, kept: bytes) -> bytes:
        """The record; what an earlier version kept as it came, as it is. Raises IntegrityError when it does not open."""
        if not kept.startswith(SEALED):
            return kept
        start = len(SEALED) + ADDRESS_LENGTH
        name, nonce, sealed = kept[len(SEALED) : start], kept[start : start + NONCE_BYTES], kept[start + NONCE_BYTES :]
        try:
            return zstandard.ZstdDecompressor().decompress(self._records.decrypt(nonce, sealed, name))
        except (InvalidTag, zstandard.ZstdError) as error:
            raise IntegrityError(f"record {name[:12].decode()} does not open with this organization's key", hint=OTHER_KEY) from error

    def unsettled(self) -> tuple[list[int], Iterator[list[str]]]:
        """(packs of ingests that ended, well or not, since the last look; the addresses in them, some at a time)."""
        packs = [one.id for one in self._index.packs() if not one.checked and one.kept_at < self._clock() - SETTLED_S]
        return packs, ([row[0].hex() for row in rows] for rows in self._index.bodies_of(packs))

    def settle(self, packs: Sequence[int], orphans: Iterable[str]) -> int:
        """`orphans` of these packs belong to no call: erased, unless an ingest that is under way keeps them again. Returns how many went."""
        gone = self._index.forget({_binary(one) for one in orphans}, before=int(self._clock()) - SETTLED_S)
        self._index.mark_checked(packs)
        return gone

    def tidy(self) -> int:
        """Give erased bytes back: packs of which less than half is held, and many small ones, are written anew. Returns the bytes that went."""
        settled = [one for one in self._index.packs() if one.checked]
        self._index.drop_empty(one.id for one in settled if not one.live)
        alive = [one for one in settled if one.live]
        small = [one for one in alive if one.bytes < SMALL_BYTES]
        chosen = {one.id: one for one in alive if 2 * one.live_bytes < one.bytes} | {one.id: one for one in small if len(small) >= MANY}
        freed, group = 0, list[Pack]()
        for one in chosen.values():
            group.append(one)
            if sum(each.live_bytes for each in group) >= PACK_BYTES:
                freed += self._rewrite(group)
                group = []
        return freed + (self._rewrite(group) if group else 0) + self._sweep({one.name for one in settled if not one.live})

    def _rewrite(self, group: Sequence[Pack]) -> int:
        """One pack of what several still hold. Returns how much smaller it is."""
        names = {one.id: one.name for one in group}
        rows = sorted((row for some in self._index.bodies_of(names) for row in some), key=lambda row: row[1:3])
        name = f"{uuid7()}{SUFFIX}"
        size, starts = self._packer.copy(name, ((names[pack], start, length) for _, pack, start, length in rows))
        places = [(address, pack, start, new) for (address, pack, start, _), new in zip(rows, starts, strict=True)]
        self._index.moved(name, size, min(one.kept_at for one in group), places, list(names))
        for left in names.values():  # who reads it now has it open, or looks again
            (self._packer.folder / left).unlink(missing_ok=True)
        return sum(one.bytes for one in group) - size

    def _sweep(self, empty: Collection[str]) -> int:
        """Files that are in no index: packs without a body, and what writers that died have left."""
        known, freed = self._index.names(), 0
        for path in self._packer.folder.glob("*"):
            if path.name in known or not (path.name.startswith(UNFINISHED) or path.name.endswith(SUFFIX)):
                continue
            found = path.stat()
            if path.name in empty or found.st_mtime < self._clock() - SETTLED_S:
                path.unlink(missing_ok=True)
                freed += found.st_size
        return freed

    def _old(self, sha256: str) -> bytes:
        """A body that an earlier version kept in a file of its own."""
        try:
            sealed = self._alone(sha256).read_bytes()
        except FileNotFoundError:
            raise NotFound("this content is not held: it was not captured, or it was erased") from None
        packed = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], sha256.encode())
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_BODY_BYTES)

    def _old_folders(self) -> set[str]:
        """Where earlier versions kept bodies; empty in a home that has never had one."""
        return {path.name for path in self.root.iterdir() if len(path.name) == len("ff")} if self.root.exists() else set()

    def _alone(self, sha256: str) -> Path:
        return self.root / sha256[:2] / sha256


def _binary(sha256: str) -> bytes:
    if len(sha256) != ADDRESS_LENGTH or not HEX_DIGITS.issuperset(sha256):  # also keeps paths inside root
        raise Invalid(f"not a content address: {sha256[:80]!r}")
    return bytes.fromhex(sha256)
