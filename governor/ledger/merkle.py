"""RFC 6962 Merkle tree hashing and proofs, made from a reader of complete subtrees and checked without one.

Owns: leaf and node hashes; roots; inclusion, consistency and range proofs. Does not own: where nodes are stored.
Invariants: 0x00 before a leaf and 0x01 before a node, so that a leaf can never pass for a node; checking takes only the proof and its claims.
`reader(level, pos)` answers the hash over leaves [pos << level, (pos + 1) << level) and is asked only for complete subtrees.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from governor.errors import IntegrityError

Reader = Callable[[int, int], bytes]
HASH_SIZE: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """Largest power of two below `size` (size > 1)."""
    return 1 << (size - 1).bit_length() - 1


def subtree(reader: Reader, start: int, end: int) -> bytes:
    """Hash over leaves [start, end), a subtree of the RFC 6962 recursion (start is a multiple of its width)."""
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return reader(level, start >> level)
    middle = start + _split(size)
    return node_hash(subtree(reader, start, middle), subtree(reader, middle, end))


def root(reader: Reader, size: int) -> bytes:
    """Root over the first `size` leaves."""
    return EMPTY_ROOT if size == 0 else subtree(reader, 0, size)


def new_nodes(reader: Reader, index: int, leaf: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(level, pos, hash) of every subtree that becomes complete when leaf hash `leaf` is written at `index`."""
    level, pos, current = 0, index, leaf
    yield level, pos, current
    while pos & 1:
        current = node_hash(reader(level, pos - 1), current)
        level, pos = level + 1, pos >> 1
        yield level, pos, current


def inclusion_proof(reader: Reader, index: int, size: int) -> list[bytes]:
    """Audit path of leaf `index` in the tree of `size` leaves, leaf side first."""
    if not 0 <= index < size:
        raise IntegrityError(f"no leaf {index} in a tree of {size}")

    def path(start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if index < middle:
            return [*path(start, middle), subtree(reader, middle, end)]
        return [*path(middle, end), subtree(reader, start, middle)]

    return path(0, size)


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """Root that the proof leads to (RFC 9162 section 2.1.3.2). Raises IntegrityError when the proof has the wrong shape."""
    if not 0 <= index < size or len(leaf) != HASH_SIZE or any(len(step) != HASH_SIZE for step in proof):
        raise IntegrityError("inclusion proof does not fit its index and size")
    node, last, current = index, size - 1, leaf
    for step in proof:
        if last == 0:
            raise IntegrityError("inclusion proof is too long")
        if node & 1 or node == last:
            current = node_hash(step, current)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            current = node_hash(current, step)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise IntegrityError("inclusion proof is too short")
    return current


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], expected: bytes) -> None:
    """Raises IntegrityError unless the proof shows `leaf` at `index` under root `expected`."""
    if root_from_inclusion(index, size, leaf, proof) != expected:
        raise IntegrityError("inclusion proof leads to another root")


def consistency_proof(reader: Reader, old: int, new: int) -> list[bytes]:
    """Proof that the first `old` leaves of the tree of `new` are the tree of `old` (RFC 9162 section 2.1.4.1)."""
    if not 0 <= old <= new:
        raise IntegrityError(f"no consistency from {old} to {new}")
    if old == 0 < new:
        raise IntegrityError("nothing can be proven from an empty tree")
    if old == new:
        return []

    def part(start: int, end: int, *, whole: bool) -> list[bytes]:
        if old == end:
            return [] if whole else [subtree(reader, start, end)]
        middle = start + _split(end - start)
        if old <= middle:
            return [*part(start, middle, whole=whole), subtree(reader, middle, end)]
        return [*part(middle, end, whole=False), subtree(reader, start, middle)]

    return part(0, new, whole=True)


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raises IntegrityError unless the tree of `new` is the tree of `old` with leaves added (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old <= new or any(len(step) != HASH_SIZE for step in proof):
        raise IntegrityError("consistency proof does not fit its sizes")
    if old == 0:
        raise IntegrityError("nothing can be proven from an empty tree")
    if old == new:
        if proof or old_root != new_root:
            raise IntegrityError("consistency proof of equal trees must be empty and roots must agree")
        return
    steps = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not steps:
        raise IntegrityError("consistency proof is too short")
    if _roots_from_consistency(old, new, steps) != (old_root, new_root):
        raise IntegrityError("consistency proof leads to other roots")


def _roots_from_consistency(old: int, new: int, steps: Sequence[bytes]) -> tuple[bytes, bytes]:
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    was = now = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise IntegrityError("consistency proof is too long")
        if node & 1 or node == last:
            was, now = node_hash(step, was), node_hash(step, now)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            now = node_hash(now, step)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise IntegrityError("consistency proof is too short")
    return was, now


def range_proof(reader: Reader, begin: int, end: int, size: int) -> list[bytes]:
    """Hashes of the subtrees outside [begin, end), in order: with the leaves inside they give the root, so nothing was left out."""
    if not 0 <= begin < end <= size:
        raise IntegrityError(f"no range [{begin}, {end}) in a tree of {size}")

    def cover(start: int, stop: int) -> list[bytes]:
        if stop <= begin or start >= end:
            return [subtree(reader, start, stop)]
        if begin <= start and stop <= end:
            return []
        middle = start + _split(stop - start)
        return [*cover(start, middle), *cover(middle, stop)]

    return cover(0, size)


def verify_range(begin: int, size: int, leaves: Sequence[bytes], proof: Sequence[bytes], expected: bytes) -> None:
    """Raises IntegrityError unless `leaves` are all the leaf hashes of [begin, begin + len(leaves)) under root `expected`."""
    end = begin + len(leaves)
    if not 0 <= begin < end <= size or any(len(step) != HASH_SIZE for step in (*leaves, *proof)):
        raise IntegrityError("range proof does not fit its range and size")
    queue = list(reversed(proof))

    def fold(start: int, stop: int) -> bytes:
        if stop <= begin or start >= end:
            if not queue:
                raise IntegrityError("range proof is too short")
            return queue.pop()
        if stop - start == 1:
            return leaves[start - begin]
        middle = start + _split(stop - start)
        return node_hash(fold(start, middle), fold(middle, stop))

    found = fold(0, size)
    if queue:
        raise IntegrityError("range proof is too long")
    if found != expected:
        raise IntegrityError("range proof leads to another root")
