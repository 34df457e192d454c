"""RFC 6962 against published probes, exhaustively on small trees, and against proofs that lie."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from governor.errors import IntegrityError
from governor.ledger import merkle


class Tree:
    """Nodes as the store keeps them: written once, as `new_nodes` says."""

    def __init__(self, leaves: int = 0) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        for index in range(leaves):
            self.add(index, bytes([index]))

    def add(self, index: int, leaf: bytes) -> None:
        for level, pos, value in merkle.new_nodes(self.read, index, merkle.leaf_hash(leaf)):
            self.nodes[level, pos] = value

    def read(self, level: int, pos: int) -> bytes:
        return self.nodes[level, pos]


TREE = Tree(70)


def recursive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + recursive_root(leaves[:k]) + recursive_root(leaves[k:])).digest()


def test_roots_follow_the_definition() -> None:
    for size in range(71):
        assert merkle.root(TREE.read, size) == recursive_root([bytes([index]) for index in range(size)])


def test_every_inclusion_proof_up_to_70_leaves() -> None:
    for size in range(1, 71):
        root = merkle.root(TREE.read, size)
        for index in range(size):
            proof = merkle.inclusion_proof(TREE.read, index, size)
            leaf = merkle.leaf_hash(bytes([index]))
            merkle.verify_inclusion(index, size, leaf, proof, root)
            with pytest.raises(IntegrityError):
                merkle.verify_inclusion(index, size, leaf, [*proof, root], root)
            if proof:
                with pytest.raises(IntegrityError):
                    merkle.verify_inclusion(index, size, leaf, proof[:-1], root)


def test_every_consistency_proof_up_to_70_leaves() -> None:
    roots = [merkle.root(TREE.read, size) for size in range(71)]
    for new in range(71):
        for old in range(1, new + 1):
            proof = merkle.consistency_proof(TREE.read, old, new)
            merkle.verify_consistency(old, new, roots[old], roots[new], proof)
            if 0 < old < new:
                with pytest.raises(IntegrityError):
                    merkle.verify_consistency(old, new, roots[old - 1], roots[new], proof)


def test_a_range_proof_shows_that_nothing_was_left_out() -> None:
    size, root = 45, merkle.root(TREE.read, 45)
    leaves = [merkle.leaf_hash(bytes([index])) for index in range(size)]
    for begin in range(size):
        for end in range(begin + 1, size + 1):
            proof = merkle.range_proof(TREE.read, begin, end, size)
            merkle.verify_range(begin, size, leaves[begin:end], proof, root)
            if end - begin > 1:
                with pytest.raises(IntegrityError):
                    merkle.verify_range(begin, size, leaves[begin : end - 1], proof, root)


def test_out_of_range_is_refused() -> None:
    for build in (
        lambda: merkle.inclusion_proof(TREE.read, 5, 5),
        lambda: merkle.inclusion_proof(TREE.read, -1, 5),
        lambda: merkle.consistency_proof(TREE.read, 6, 5),
        lambda: merkle.consistency_proof(TREE.read, 0, 5),
        lambda: merkle.range_proof(TREE.read, 3, 3, 5),
        lambda: merkle.verify_range(3, 5, [], [], merkle.EMPTY_ROOT),
    ):
        with pytest.raises(IntegrityError):
            build()


def test_hashes_of_another_length_prove_nothing() -> None:
    """Bytes moved over the border between two hashes give the same root: such a leaf is none."""
    left, right = (merkle.leaf_hash(bytes([index])) for index in range(2))
    two, three = merkle.root(TREE.read, 2), merkle.root(TREE.read, 3)
    merkle.verify_range(0, 2, [left], [right], two)
    merkle.verify_range(0, 2, [left, right], [], two)
    third = merkle.consistency_proof(TREE.read, 2, 3)
    for forged in (
        lambda: merkle.verify_range(0, 2, [left + right[:1]], [right[1:]], two),
        lambda: merkle.verify_range(0, 2, [left[:31], left[31:] + right], [], two),
        lambda: merkle.verify_inclusion(0, 2, left[:31], [left[31:] + right], two),
        lambda: merkle.verify_inclusion(0, 2, left, [right + b"x"], two),
        lambda: merkle.verify_consistency(2, 3, two, three, [third[0] + b"x"]),
        lambda: merkle.verify_consistency(2, 3, two + third[0][:1], three, [third[0][1:]]),
    ):
        with pytest.raises(IntegrityError):
            forged()
    for misshapen in (
        lambda: merkle.root_from_inclusion(0, 2, left, [right[:31]]),
        lambda: merkle.verify_consistency(2, 3, two, three, [third[0][:31]]),
        lambda: merkle.verify_range(0, 2, [left], [right[:31]], two),
    ):
        with pytest.raises(IntegrityError, match="does not fit"):
            misshapen()


def test_sizes_that_cannot_be_are_refused_before_anything_is_hashed() -> None:
    one, two = merkle.root(TREE.read, 1), merkle.root(TREE.read, 2)
    leaf = merkle.leaf_hash(b"\x00")
    for impossible in (
        lambda: merkle.verify_consistency(2, 1, two, one, []),
        lambda: merkle.verify_consistency(-1, 1, two, one, []),
        lambda: merkle.consistency_proof(TREE.read, -1, 1),
        lambda: merkle.range_proof(TREE.read, -1, 1, 2),
        lambda: merkle.verify_range(-1, 2, [leaf], [leaf], two),
        lambda: merkle.verify_range(1, 1, [leaf], [], one),
        lambda: merkle.root_from_inclusion(-1, 1, leaf, []),
        lambda: merkle.root_from_inclusion(1, 1, leaf, []),
    ):
        with pytest.raises(IntegrityError, match=r"does not fit|no consistency|no range"):
            impossible()
    with pytest.raises(IntegrityError, match="empty tree"):
        merkle.verify_consistency(0, 1, merkle.EMPTY_ROOT, one, [])
    merkle.verify_consistency(1, 1, one, one, [])
    assert merkle.consistency_proof(TREE.read, 0, 0) == []


def probes(shared_vectors: Path, kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [(str(path), json.loads(path.read_text())) for path in sorted((shared_vectors / "rfc6962-merkle" / kind).rglob("*.json"))]


def raw(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def test_published_inclusion_probes(shared_vectors: Path) -> None:
    found = probes(shared_vectors, "inclusion")
    assert len(found) > 90
    for name, probe in found:
        try:
            merkle.verify_inclusion(
                probe["leafIdx"],
                probe["treeSize"],
                raw(probe["leafHash"]),
                [raw(step) for step in probe["proof"] or []],
                raw(probe["root"]),
            )
            failed = False
        except IntegrityError:
            failed = True
        assert failed == probe["wantErr"], name


def test_published_consistency_probes(shared_vectors: Path) -> None:
    found = probes(shared_vectors, "consistency")
    assert len(found) > 90
    for name, probe in found:
        try:
            merkle.verify_consistency(
                probe["size1"], probe["size2"], raw(probe["root1"]), raw(probe["root2"]), [raw(step) for step in probe["proof"] or []]
            )
            failed = False
        except IntegrityError:
            failed = True
        assert failed == probe["wantErr"], name


def test_published_constants(shared_vectors: Path) -> None:
    constants = json.loads((shared_vectors / "rfc6962-merkle/constants.json").read_text())
    tree = Tree()
    for index, leaf in enumerate(constants["leaf_inputs_hex"]):
        tree.add(index, bytes.fromhex(leaf))
    assert [merkle.root(tree.read, size).hex() for size in range(9)] == constants["root_hashes_hex_by_size"]
    for level, row in enumerate(constants["node_hashes_hex_by_level"]):
        assert [tree.read(level, pos).hex() for pos in range(len(row))] == row


def test_accumulated_subtree_hashes(shared_vectors: Path) -> None:
    vectors = json.loads((shared_vectors / "mtc-accumulated/vectors.json").read_text())
    tree = Tree(130)
    whole = hashlib.sha256()
    for end in range(131):
        for start in range(end + 1):
            width = end - start
            ceiling = 1 << (width - 1).bit_length() if width else 1
            if start in {0, end} or start % ceiling == 0:
                value = merkle.EMPTY_ROOT if start == end else merkle.subtree(tree.read, start, end)
                whole.update(f"[{start}, {end}) {value.hex()}\n".encode())
    assert whole.hexdigest() == vectors["subtree_hash"]["sha256"]


def test_a_real_tiled_log(shared_vectors: Path) -> None:
    keys = json.loads((shared_vectors / "tessera-log/keys.json").read_text())
    tree = Tree()
    for index, entry in enumerate(keys["entries"]):
        tree.add(index, entry.encode())
        checkpoint = (shared_vectors / f"tessera-log/checkpoint.{index + 1}").read_text().split("\n")
        assert checkpoint[1:3] == [str(index + 1), base64.b64encode(merkle.root(tree.read, index + 1)).decode()]
