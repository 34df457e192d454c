"""Published vectors of the formats the ledger speaks, against our code; the other families are in test_merkle, test_note, test_proof, test_canonical, test_entry."""

import base64
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from governor.errors import GovernorError, IntegrityError, Invalid
from governor.ledger import merkle
from governor.ledger.canonical import canonical_json
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.note import ED25519, MLDSA_COSIGNATURE, VerifierKey, parse_note
from governor.packets import standalone_verifier
from governor.packets.statement import pae
from governor.store.tiles import ENTRIES, Tile, parse_tile

LEAVES = 130


class Tree:
    def __init__(self, leaves: list[bytes]) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        for index, leaf in enumerate(leaves):
            for level, pos, value in merkle.new_nodes(self.read, index, leaf):
                self.nodes[level, pos] = value

    def read(self, level: int, pos: int) -> bytes:
        return self.nodes[level, pos]


def valid(start: int, end: int) -> bool:
    """A subtree of the Merkle Tree Certificates draft."""
    return start in {0, end} or start % (1 << (end - start - 1).bit_length()) == 0


def test_every_subtree_hash_and_proof_up_to_130_leaves(shared_vectors: Path) -> None:
    expected = json.loads((shared_vectors / "mtc-accumulated/vectors.json").read_text())
    leaves = [merkle.leaf_hash(bytes([index])) for index in range(LEAVES)]
    tree, roots, proofs = Tree(leaves), hashlib.sha256(), hashlib.sha256()
    for end in range(LEAVES + 1):
        for start in range(end + 1):
            if not valid(start, end):
                continue
            root = merkle.subtree(tree.read, start, end) if start < end else merkle.EMPTY_ROOT
            roots.update(f"[{start}, {end}) {root.hex()}\n".encode())
            shifted = lambda level, pos, start=start: tree.read(level, pos + (start >> level))  # noqa: E731
            for index in range(start, end):
                path = merkle.inclusion_proof(shifted, index - start, end - start)
                proofs.update(f"{index} [{start}, {end}){''.join(' ' + step.hex() for step in path)}\n".encode())
    assert roots.hexdigest() == expected["subtree_hash"]["sha256"]
    assert proofs.hexdigest() == expected["subtree_inclusion"]["sha256"]


def test_published_subtree_inclusion_probes(shared_vectors: Path) -> None:
    """A proof inside a subtree is an RFC 6962 proof; what makes a subtree is checked beside it. (Our range proofs use another form.)"""
    probes = [json.loads(path.read_text()) for path in sorted((shared_vectors / "rfc6962-merkle/subtreeinclusion").rglob("*.json"))]
    assert len(probes) > 200
    for probe in probes:
        start, end, index = probe["start"], probe["end"], probe["leafIdx"]
        hashes_of = [base64.b64decode(step or "") for step in probe["proof"] or []]
        try:
            if not 0 <= start < end or not valid(start, end):
                raise IntegrityError("not a subtree")
            leaf, root = base64.b64decode(probe["leafHash"] or ""), base64.b64decode(probe["root"] or "")
            merkle.verify_inclusion(index - start, end - start, leaf, hashes_of, root)
            failed = False
        except IntegrityError:
            failed = True
        assert failed == probe["wantErr"], probe["desc"]


def test_a_real_log_of_tiles(shared_vectors: Path) -> None:
    log, seen = shared_vectors / "tessera-log", 0
    for size in range(1, 15):
        held, bundle, leaves = (log / "tile/0/000.p" / str(size)), (log / "tile/entries/000.p" / str(size)), []
        if not held.exists() or not bundle.exists():
            continue
        data = bundle.read_bytes()
        while data:
            (length,) = struct.unpack(">H", data[:2])
            leaves.append(merkle.leaf_hash(data[2 : 2 + length]))
            data = data[2 + length :]
        assert b"".join(leaves) == held.read_bytes()
        assert Tile(0, 0, size).path == f"0/000.p/{size}"
        assert Tile(ENTRIES, 0, size).path == f"entries/000.p/{size}"
        found = parse_checkpoint(parse_note((log / f"checkpoint.{size}").read_text()).text)
        assert (found.size, found.root) == (size, merkle.root(Tree(leaves).read, size))
        seen += 1
    assert seen >= 10


def test_published_tile_paths(shared_vectors: Path) -> None:
    for case in json.loads((shared_vectors / "c2sp/tile-path.json").read_text())["cases"]:
        if "path" in case:
            tile = Tile(case["level"], case["index"], case.get("width", 256))
            assert f"tile/{tile.path}" == case["path"]
            assert parse_tile(tile.path) == tile


def test_published_envelope(shared_vectors: Path) -> None:
    (case,) = json.loads((shared_vectors / "dsse/vectors.json").read_text())
    message = pae(case["payloadType"], case["payload"].encode())
    assert message == case["pae"].encode()
    key = ec.EllipticCurvePublicNumbers(int(case["key"]["x"]), int(case["key"]["y"]), ec.SECP256R1()).public_key()
    raw = base64.b64decode(case["envelope"]["signatures"][0]["sig"])
    signature = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        key.verify(signature, message + b" ", ec.ECDSA(hashes.SHA256()))


def test_documents_with_floats_are_refused_not_rounded(shared_vectors: Path) -> None:
    for name in ("structures", "values"):
        with pytest.raises(Invalid, match="float"):
            canonical_json(json.loads((shared_vectors / f"rfc8785/input/{name}.json").read_text()))


def cases(shared_vectors: Path, name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    groups = json.loads((shared_vectors / "wycheproof" / name).read_text())["testGroups"]
    return [(group, case) for group in groups for case in group["tests"]]


def test_published_ml_dsa_44_signatures(shared_vectors: Path) -> None:
    found = [pair for pair in cases(shared_vectors, "mldsa_44_verify_test.json") if not pair[1].get("ctx")]  # cosignatures have no context
    assert len(found) > 150
    for group, case in found:
        key = VerifierKey("k", MLDSA_COSIGNATURE, bytes.fromhex(group["publicKey"]))
        assert key.verifies(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])) == (case["result"] == "valid"), case["tcId"]


@pytest.mark.parametrize("name", ["ecdsa_secp256r1_sha256_test.json", "ecdsa_secp256r1_sha256_p1363_test.json"])
def test_published_p256_signatures(shared_vectors: Path, name: str) -> None:
    """We sign with Ed25519; this holds the pinned library to what an issuer in a key store would need."""
    found = cases(shared_vectors, name)
    assert len(found) > 200
    for group, case in found:
        key = serialization.load_der_public_key(bytes.fromhex(group["publicKeyDer"]))
        assert isinstance(key, ec.EllipticCurvePublicKey)
        raw = bytes.fromhex(case["sig"])
        try:
            if "p1363" in name:
                if len(raw) != 64:
                    raise InvalidSignature
                raw = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
            key.verify(raw, bytes.fromhex(case["msg"]), ec.ECDSA(hashes.SHA256()))
            good = True
        except InvalidSignature:
            good = False
        assert good == (case["result"] == "valid"), case["tcId"]


def test_published_ed25519_signatures_by_both_programs(shared_vectors: Path, signer_of: Any) -> None:
    lines = (shared_vectors / "ed25519/sign.input").read_text().splitlines()
    assert len(lines) == 1024
    for number, line in enumerate(lines):
        secret, public, message, signed = (bytes.fromhex(part) for part in line.split(":")[:4])
        signature = signed[:64]
        assert signer_of(secret[:32]).sign(message) == signature
        assert VerifierKey("k", ED25519, public).verifies(message, signature)
        assert not VerifierKey("k", ED25519, public).verifies(message + b"x", signature)
        if number % 64 == 0:  # plain Python takes 3 ms for each
            assert standalone_verifier.ed25519(public, message, signature)
    for group, case in cases(shared_vectors, "ed25519_test.json"):
        public, message, signature = (bytes.fromhex(text) for text in (group["publicKey"]["pk"], case["msg"], case["sig"]))
        assert standalone_verifier.ed25519(public, message, signature) == (case["result"] == "valid"), case["tcId"]


def rekor(folder: Path) -> bool:
    """Whether our note, checkpoint and proof code accepts the log entry of a bundle under the logs of its trust root."""
    entry = json.loads((folder / "bundle.sigstore.json").read_text())["verificationMaterial"]["tlogEntries"][0]
    proof = entry["inclusionProof"]
    try:
        note = parse_note(proof["checkpoint"]["envelope"])
        tree = parse_checkpoint(note.text)
        logs = [
            log
            for log in json.loads((folder / "trusted_root.json").read_text())["tlogs"]
            if log["publicKey"]["keyDetails"] == "PKIX_ED25519"
        ]
        raw = [(log["baseUrl"].removeprefix("https://"), base64.b64decode(log["publicKey"]["rawBytes"])[-32:]) for log in logs]
        keys = [VerifierKey(name, ED25519, public) for name, public in raw]
        if not any(key.name == tree.origin and note.signed_by(key) for key in keys):
            return False
        leaf = merkle.leaf_hash(base64.b64decode(entry["canonicalizedBody"]))
        path = [base64.b64decode(step) for step in proof["hashes"]]
        merkle.verify_inclusion(int(proof["logIndex"]), tree.size, leaf, path, tree.root)
    except GovernorError:
        return False
    return True


def test_real_bundles_of_a_public_log(shared_vectors: Path) -> None:
    bundles = shared_vectors / "sigstore-bundles/bundle-verify"
    good = [folder for folder in sorted(bundles.glob("rekor2-*")) if not folder.name.endswith("_fail") and "tsa" not in folder.name]
    bad = sorted(bundles.glob("rekor2-checkpoint-*_fail"))
    assert len(good) >= 8
    assert len(bad) >= 5
    assert {folder.name: rekor(folder) for folder in good} == dict.fromkeys((folder.name for folder in good), True)
    assert {folder.name: rekor(folder) for folder in bad} == dict.fromkeys((folder.name for folder in bad), False)


def rekor1(folder: Path, public: bytes) -> bool:
    """The same for the first Rekor, which signs its checkpoints with ECDSA and whose key id is the hash of the key alone."""
    entry = json.loads((folder / "bundle.sigstore.json").read_text())["verificationMaterial"]["tlogEntries"][0]
    proof, key = entry["inclusionProof"], serialization.load_der_public_key(public)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        note = parse_note(proof["checkpoint"]["envelope"])
        tree = parse_checkpoint(note.text)
        mine = [one for one in note.signatures if one.key_id == hashlib.sha256(public).digest()[:4]]
        for one in mine:
            key.verify(one.signature, note.text.encode(), ec.ECDSA(hashes.SHA256()))
        path = [base64.b64decode(step) for step in proof["hashes"]]
        leaf = merkle.leaf_hash(base64.b64decode(entry["canonicalizedBody"]))
        merkle.verify_inclusion(int(proof["logIndex"]), tree.size, leaf, path, tree.root)
    except (GovernorError, InvalidSignature):
        return False
    return bool(mine)


def test_checkpoint_negatives_of_the_first_public_log(shared_vectors: Path) -> None:
    bundles = shared_vectors / "sigstore-bundles/bundle-verify"
    logs = json.loads((bundles / "invalid-ct-key_fail/trusted_root.json").read_text())["tlogs"]
    (public,) = [base64.b64decode(log["publicKey"]["rawBytes"]) for log in logs if log["baseUrl"] == "https://rekor.sigstore.dev"]
    good = ("happy-path-v0.2", "happy-path-v0.3")
    bad = ("checkpoint-bad-keyhint_fail", "checkpoint-wrong-roothash_fail", "invalid-checkpoint-signature_fail")
    assert {name: rekor1(bundles / name, public) for name in good} == dict.fromkeys(good, True)
    assert {name: rekor1(bundles / name, public) for name in bad} == dict.fromkeys(bad, False)
