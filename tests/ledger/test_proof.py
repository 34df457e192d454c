"""Proof files and trust text: the published cases, and what they must refuse."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from governor.errors import Invalid
from governor.ledger.note import parse_note, vkey
from governor.ledger.proof import TlogProof, parse_proof
from governor.ledger.trust import parse_trust, trust_text


def test_published_proofs(shared_vectors: Path) -> None:
    vectors = json.loads((shared_vectors / "c2sp/tlog-proof.json").read_text())
    for case in vectors["marshal"]:
        proof = TlogProof(
            case["index"],
            tuple(base64.b64decode(step) for step in case["hashes"]),
            case["checkpoint"],
            None if case["extra"] is None else base64.b64decode(case["extra"]),
        )
        assert proof.text == case["want"]
        assert parse_proof(case["want"]) == proof
    for case in vectors["unmarshal_errors"]:
        with pytest.raises(Invalid):
            parse_proof(case["proof"])


def test_published_policies(shared_vectors: Path) -> None:
    vectors = json.loads((shared_vectors / "c2sp/tlog-policy.json").read_text())
    for case in vectors["good"]:
        trust = parse_trust(case["policy"].encode())
        names = sorted(trust.witnesses)
        assert trust.quorum_met(names)
        assert not trust.quorum_met([])
        assert trust.quorum_met(names[:1]) == (case["n"] == 1)
    for case in vectors["bad"]:
        with pytest.raises(Invalid):
            parse_trust(case["policy"].encode())


def test_our_own_trust_text(signer: Any) -> None:
    text = trust_text(title="acme", logs=[vkey("acme/log", signer.public_key)], issuers=[vkey("acme/issuer", signer.public_key)])
    trust = parse_trust(text.encode())
    assert [key.name for key in trust.logs] == ["acme/log"]
    assert trust.issuers[0].covers(0)
    assert trust.issuers[0].covers(10**9)
    assert trust.quorum == "none"
    plain = "".join(line + "\n" for line in text.split("\n") if not line.startswith("issuer"))
    assert parse_trust(plain.encode()).issuers == ()


@pytest.mark.parametrize(
    "line",
    [
        "quorum none",
        "issuer",
        "issuer x",
        "issuer KEY 5",
        "issuer KEY a..b",
        "log KEY",
        "witness none KEY",
        "group g 1",
        "nonsense here",
        "log K\x01",
    ],
)
def test_a_bad_line_is_named(signer: Any, line: str) -> None:
    key = vkey("acme/log", signer.public_key)
    text = f"log {key}\nquorum none\n{line.replace('KEY', key)}\n"
    with pytest.raises(Invalid):
        parse_trust(text.encode())


def test_issuer_validity_is_a_range_of_tree_sizes(signer: Any) -> None:
    issuer = vkey("acme/issuer", signer.public_key)
    trust = parse_trust(f"quorum none\nissuer {issuer} 10..20\n".encode())
    assert [trust.issuers[0].covers(size) for size in (9, 10, 20, 21)] == [False, True, True, False]


def test_a_nested_quorum(signer_of: Any) -> None:
    keys = {name: vkey(f"{name}.example", signer_of(name.encode() * 32).public_key) for name in "abc"}
    text = "".join(f"witness {name} {key}\n" for name, key in keys.items()) + "group two any a b\ngroup all all two c\nquorum all\n"
    with pytest.raises(Invalid, match="all"):
        parse_trust(text.encode())
    trust = parse_trust(text.replace("group all", "group both").replace("quorum all", "quorum both").encode())
    assert trust.quorum_met({"a", "c"})
    assert not trust.quorum_met({"a", "b"})
    assert trust.cosigned(parse_note("x\n\n\u2014 a.example AAAAAAAA\n")) == set()
