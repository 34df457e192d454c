"""A trust file signed by an offline root, and log keys that hold for a range of tree sizes: three programs, one answer."""

from typing import Any

import pytest
from packet_story import ISSUER, LOG, SeedSigner, Story
from verifiers import by_program, in_node, ours

from governor.errors import Invalid
from governor.ledger.note import sign_note, vkey
from governor.ledger.trust import parse_trust, trust_text
from governor.packets import standalone_verifier
from governor.packets.verify import verify_packet

ROOT = SeedSigner("root")
NAME = "acme.example/root"


def text_of(story: Story, *, log: str = "", issuer: str = "", root: str = "") -> str:
    return trust_text(
        title="acme audit trust",
        logs=[f"{vkey(LOG, SeedSigner('new log').public_key)} 900..", f"{vkey(LOG, story.log.public_key)} {log}".strip()],
        issuers=[f"{vkey(ISSUER, story.issuer.public_key)} {issuer}".strip()],
        root=root,
    )


def signed(text: str) -> bytes:
    return sign_note(text, [(NAME, ROOT)]).encode()


def test_three_programs_name_the_root(story: Story) -> None:
    trust, packet = signed(text_of(story, root=vkey(NAME, ROOT.public_key))), story.packet()
    found = ours(packet, trust)
    assert (found["result"], found["trust_root"]) == ("VERIFIED", f"{NAME} {ROOT.key_id}")
    assert found == by_program(packet, trust) == in_node([(packet, trust)])[0]
    assert f"signed by root {NAME} (key {ROOT.key_id[:16]}..)" in verify_packet(packet, trust).text("acme.trust")


def test_the_root_that_was_asked_for(story: Story) -> None:
    trust, packet = signed(text_of(story, root=vkey(NAME, ROOT.public_key))), story.packet()
    program = standalone_verifier.Trust(trust)
    for wanted in (ROOT.key_id, vkey(NAME, ROOT.public_key)):
        assert verify_packet(packet, trust, root=wanted).exit_code == 0
        program.check_root(wanted)
    other = SeedSigner("another root").key_id
    for held, wanted in ((trust, other), (story.trust, ROOT.key_id)):
        with pytest.raises(Invalid, match="root that was asked for"):
            verify_packet(packet, held, root=wanted)
        with pytest.raises(standalone_verifier.Fail, match="root that was asked for"):
            standalone_verifier.Trust(held).check_root(wanted)


def test_a_signature_that_does_not_hold_is_no_trust_file(story: Story) -> None:
    text = text_of(story, root=vkey(NAME, ROOT.public_key))
    good = signed(text)
    maimed = {
        "changed after signing": good.replace(b"quorum none", b"# quorum\nquorum none"),
        "signed by somebody else": sign_note(text, [(NAME, SeedSigner("x"))]).encode(),
        "signed twice": sign_note(text, [(NAME, ROOT), ("acme.example/second", SeedSigner("x"))]).encode(),
        "signature cut off": text.encode(),
        "root line cut out": good.replace(f"root {vkey(NAME, ROOT.public_key)}\n".encode(), b""),
        "a line after the signature": good + b"log " + vkey(LOG, SeedSigner("x").public_key).encode() + b"\n",
    }
    packet = story.packet()
    said = in_node([(packet, trust) for trust in maimed.values()])
    for (why, trust), page in zip(maimed.items(), said, strict=True):
        with pytest.raises(Invalid):
            parse_trust(trust)
        with pytest.raises(standalone_verifier.Fail):
            standalone_verifier.Trust(trust)
        assert "usage" in page, why


def ranges() -> list[Any]:
    """(log range, issuer range, result, check that says so); the story's tree has 15 entries."""
    return [
        ("0..15", "0..15", "VERIFIED", ""),
        ("15..", "15..", "VERIFIED", ""),
        ("0..14", "", "FAILED", "the log key is not valid for tree size 15"),
        ("16..", "", "FAILED", "the log key is not valid for tree size 15"),
        ("", "0..14", "FAILED", "the issuer key is not valid for tree size 15"),
        ("", "16..20", "FAILED", "the issuer key is not valid for tree size 15"),
    ]


def test_a_retired_key_holds_within_its_range_and_not_outside(story: Story) -> None:
    packet = story.packet()
    trusts = [text_of(story, log=log, issuer=issuer).encode() for log, issuer, _, _ in ranges()]
    for trust, page, (log, issuer, result, said) in zip(trusts, in_node([(packet, one) for one in trusts]), ranges(), strict=True):
        found = ours(packet, trust)
        assert found == by_program(packet, trust) == page, (log, issuer)
        assert found["result"] == result
        assert not said or said in {check["detail"] for check in found["checks"]}


def test_a_successor_that_did_not_sign_stands_in_for_no_key_past_its_range(story: Story) -> None:
    successor = f"log {vkey(LOG, SeedSigner('successor').public_key)} 15..\nquorum none"
    trust = text_of(story, log="0..14").replace("quorum none", successor).encode()
    (page,) = in_node([(story.packet(), trust)])
    found = ours(story.packet(), trust)
    assert found == by_program(story.packet(), trust) == page
    assert "the log key is not valid for tree size 15" in {check["detail"] for check in found["checks"]}


def test_an_address_behind_a_log_is_no_range(story: Story) -> None:
    trust = text_of(story, log="https://log.acme.example/").encode()
    assert ours(story.packet(), trust)["result"] == by_program(story.packet(), trust)["result"] == "VERIFIED"
    with pytest.raises(Invalid, match="range of tree sizes"):
        parse_trust(text_of(story).replace("900..", "9..x").encode())
