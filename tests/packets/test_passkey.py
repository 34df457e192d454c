"""Approvals signed by a passkey: three programs accept the good ones and name what is wrong with each of the others."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from packet_story import Story, make_story
from verifiers import by_program, in_node, ours

from governor.packets.passkey import base64url, challenge, decision_record
from governor.packets.standalone_verifier import p256

ORIGIN, RP = "https://governor.acme.example", "governor.acme.example"


def es256(seed: str = "phone") -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big") % 2**255 + 1, ec.SECP256R1())


def by_passkey(
    story: Story, number: int, *, eddsa: bool = False, flags: int = 5, rp: str = RP, said: dict[str, Any] | None = None, **other: str
) -> dict[str, Any]:
    """Turn the approval of chapter `number` into one by passkey; `other` maims the record, `said` the client data."""
    chapter = story.chapters[number]
    chapter.actor["auth"] = {"amr": "passkey"}
    payload = chapter.payload
    named = {
        "change": payload["change"],
        "digest": payload["digest"],
        "decision": "approve",
        "role": payload["role"],
        "person": chapter.actor["ref"],
    }
    record = decision_record(**{**named, "origin": ORIGIN, "rp": RP, "nonce": "00" * 16, **other})
    client = json.dumps(
        {"type": "webauthn.get", "challenge": base64url(challenge(record)), "origin": ORIGIN, "crossOrigin": False, **(said or {})}
    )
    data = hashlib.sha256(rp.encode()).digest() + bytes([flags]) + (7).to_bytes(4, "big")
    signed = data + hashlib.sha256(client.encode()).digest()
    if eddsa:
        key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"token").digest())
        algorithm, public, signature = "EdDSA", key.public_key().public_bytes_raw(), key.sign(signed)
    else:
        algorithm, public = "ES256", es256().public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        signature = es256().sign(signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    payload["passkey"] = {
        "record": record, "algorithm": algorithm, "public_key": public.hex(), "authenticator_data": base64url(data),
        "client_data": base64url(client.encode()), "signature": base64url(signature),
    }  # fmt: skip
    held: dict[str, Any] = payload["passkey"]
    return held


def said(story: Story) -> tuple[str, str]:
    packet, trust = story.packet(), story.trust
    found = ours(packet, trust)
    assert found == by_program(packet, trust) == in_node([(packet, trust)])[0]
    return found["result"], next(check["detail"] for check in found["checks"] if check["name"] == "approvals")


def test_password_approvals_are_allowed_and_called_weaker(story: Story) -> None:
    result, detail = said(story)
    assert result == "VERIFIED"
    assert detail.endswith("none signed by passkey; weaker (password or token): owner, security")


def test_both_algorithms_verify_in_three_programs(story: Story) -> None:
    by_passkey(story, 3)
    assert said(story) == (
        "VERIFIED",
        (
            "2 distinct people (owner, security), neither requester nor evidence author, all before cutover; "
            "signed by passkey: owner; weaker (password or token): security"
        ),
    )
    by_passkey(story, 4, eddsa=True)
    assert said(story)[1].endswith("signed by passkey: owner, security")


def demand(story: Story, *roles: str) -> None:
    """Policy wants a passkey of these roles."""
    for need in story.chapters[2].payload["needs"]:
        if need["role"] in roles:
            need["strength"] = "passkey"


def test_a_demanded_passkey_is_there_or_the_packet_fails(story: Story) -> None:
    demand(story, "owner")
    by_passkey(story, 3)
    assert said(story)[0] == "VERIFIED"
    demand(story, "security")
    assert said(story) == ("FAILED", "role security: policy asked for a passkey, and the approval is weaker")
    by_passkey(story, 4, eddsa=True)
    assert said(story)[0] == "VERIFIED"


def _flip(held: dict[str, Any], name: str) -> None:
    raw = bytearray(base64.urlsafe_b64decode(held[name] + "=="))
    raw[-1] ^= 1
    held[name] = base64url(bytes(raw))


def _signature_flipped(story: Story) -> None:
    _flip(by_passkey(story, 3), "signature")


def _eddsa_flipped(story: Story) -> None:
    _flip(by_passkey(story, 3, eddsa=True), "signature")


def _counter_flipped(story: Story) -> None:
    _flip(by_passkey(story, 3), "authenticator_data")


def _other_key(story: Story) -> None:
    by_passkey(story, 3)["public_key"] = es256("stranger").public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()


def _record_changed(story: Story) -> None:
    by_passkey(story, 3)["record"]["nonce"] = "11" * 16


def _no_assertion(story: Story) -> None:
    story.chapters[3].actor["auth"] = {"amr": "passkey"}


def _called_password(story: Story) -> None:
    by_passkey(story, 3)
    story.chapters[3].actor["auth"] = {"amr": "password"}


def _off_curve(story: Story) -> None:
    held = by_passkey(story, 3)
    held["public_key"] = held["public_key"][:-2] + ("00" if held["public_key"][-2:] != "00" else "01")


def _more_fields(story: Story) -> None:
    by_passkey(story, 3)["note"] = "trust me"


def _weaker_than_demanded(story: Story) -> None:
    demand(story, "owner", "security")


OTHER = "the owner approval: the passkey signed another decision"
LIES: dict[str, tuple[Callable[[Story], Any], str]] = {
    "signature flipped": (_signature_flipped, "the owner approval: the passkey signature does not verify"),
    "EdDSA signature flipped": (_eddsa_flipped, "the owner approval: the passkey signature does not verify"),
    "authenticator data flipped": (_counter_flipped, "the owner approval: the passkey signature does not verify"),
    "another key": (_other_key, "the owner approval: the passkey signature does not verify"),
    "record changed": (_record_changed, OTHER),
    "another digest": (lambda story: by_passkey(story, 3, digest="00" * 32), OTHER),
    "another person": (lambda story: by_passkey(story, 3, person="p-9"), OTHER),
    "another role": (lambda story: by_passkey(story, 3, role="finance"), OTHER),
    "a rejection": (lambda story: by_passkey(story, 3, decision="reject"), OTHER),
    "another change": (lambda story: by_passkey(story, 3, change="RC-41"), OTHER),
    "a registration": (lambda story: by_passkey(story, 3, said={"type": "webauthn.create"}), OTHER),
    "another page": (lambda story: by_passkey(story, 3, said={"origin": "https://evil.example"}), OTHER),
    "another site": (lambda story: by_passkey(story, 3, rp="evil.example"), "the owner approval: the passkey belongs to another site"),
    "user not verified": (lambda story: by_passkey(story, 3, flags=1), "the owner approval: the device did not verify its user"),
    "nobody present": (lambda story: by_passkey(story, 3, flags=4), "the owner approval: the device did not verify its user"),
    "claims without proof": (_no_assertion, "the owner approval: claims a passkey, but holds no assertion"),
    "weaker than policy demanded": (_weaker_than_demanded, "role owner, security: policy asked for a passkey, and the approval is weaker"),
    "proof without claim": (_called_password, "the owner approval: holds an assertion, but claims another way of signing in"),
    "no point of the curve": (_off_curve, "the owner approval: the passkey assertion is malformed"),
    "more fields": (_more_fields, "the owner approval: the passkey assertion is malformed"),
}


@pytest.mark.parametrize("lie", LIES)
def test_each_lie_has_its_reason(lie: str) -> None:
    story = make_story()
    LIES[lie][0](story)
    assert said(story) == ("FAILED", LIES[lie][1])


def test_pure_python_p256_agrees_with_the_library_on_published_vectors(shared_vectors: Any) -> None:
    found = [path for path in (shared_vectors / "wycheproof").rglob("*secp256r1_sha256_test.json") if "p1363" not in path.name]
    if not found:
        pytest.skip("../shared/data/vectors has no P-256 cases")
    for group in json.loads(found[0].read_text())["testGroups"]:
        public = bytes.fromhex(group["publicKey"]["uncompressed"])
        for case in group["tests"]:
            good = p256(public, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert good == (case["result"] == "valid"), (case["tcId"], case["comment"])
