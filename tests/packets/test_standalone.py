"""verify.py shares no code with us and comes to the same verdict: on good packets, on every lie, on flips and truncations."""

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governor.packets import standalone_verifier
from governor.packets.verify import verify_packet

SOURCE = Path(standalone_verifier.__file__)


def verdict(packet: bytes, trust: bytes) -> int:
    return int(standalone_verifier.result_of(standalone_verifier.verify(packet, standalone_verifier.Trust(trust))[1]))


def test_a_good_packet_verifies_without_anything_installed(story: Any, tmp_path: Path) -> None:
    (tmp_path / "p.govpacket").write_bytes(story.packet())
    (tmp_path / "trust").write_bytes(story.trust)
    command = [sys.executable, "-I", "-S", str(SOURCE), str(tmp_path / "p.govpacket"), "--trust", str(tmp_path / "trust"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # -I -S: no site packages, no environment
    found = json.loads(done.stdout)
    assert (done.returncode, found["result"], {check["status"] for check in found["checks"]}) == (0, "VERIFIED", {"ok", "none"})
    assert found == verify_packet(story.packet(), story.trust).as_dict(), "the same words in the same order"
    assert subprocess.run(command[:4], capture_output=True, check=False).returncode == 64


def test_flips_and_truncations_never_verify(story: Any) -> None:
    packet, trust = story.packet(), story.trust
    chance = random.Random(11)
    for _ in range(40):
        damaged = bytearray(packet)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        assert verdict(bytes(damaged), trust) != 0
    for _ in range(10):
        assert verdict(packet[: chance.randrange(len(packet))], trust) != 0


def test_another_trust_file_cannot_decide(story: Any, tmp_path: Path) -> None:
    other = story.trust.replace(b"issuer acme", b"# issuer acme")
    assert verdict(story.packet(), other) == verify_packet(story.packet(), other).exit_code == 2
    with pytest.raises(standalone_verifier.Fail):
        standalone_verifier.Trust(b"log nonsense\n")


def test_its_digest_is_published_apart_from_packets() -> None:
    page = Path(__file__).parents[2] / "docs/verify-a-packet.md"
    assert hashlib.sha256(SOURCE.read_bytes()).hexdigest() in page.read_text()


def test_the_command_writes_the_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "governor.cli", "--json", "packet", "verifier", "-o", str(tmp_path / "verify.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["sha256"] == hashlib.sha256(SOURCE.read_bytes()).hexdigest()
    assert (tmp_path / "verify.py").read_bytes() == SOURCE.read_bytes()


def test_its_signature_check_agrees_with_the_library() -> None:
    chance = random.Random(3)
    for size in (0, 1, 63, 64, 200):
        key = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
        public, message = key.public_key().public_bytes_raw(), chance.randbytes(size)
        signature = key.sign(message)
        assert standalone_verifier.ed25519(public, message, signature)
        assert not standalone_verifier.ed25519(public, message + b"x", signature)
        wrong = bytearray(signature)
        wrong[chance.randrange(64)] ^= 1
        assert not standalone_verifier.ed25519(public, message, bytes(wrong))
        doubled = signature[:32] + (int.from_bytes(signature[32:], "little") + standalone_verifier.ORDER).to_bytes(32, "little")
        assert not standalone_verifier.ed25519(public, message, doubled)
