"""The packet checked by programs that share nothing with ours: `cryptography` and hashlib alone, then the openssl command."""

import base64
import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def key_of(trust: str, word: str) -> tuple[str, bytes]:
    """(name, public key) of the first `log` or `issuer` line."""
    line = next(line for line in trust.splitlines() if line.startswith(word + " "))
    name, _, encoded = line.split()[1].split("+", 2)
    return name, base64.b64decode(encoded)[1:]


def unzip(packet: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packet)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pae(envelope: dict[str, Any]) -> bytes:
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    return b"DSSEv1 " + str(len(kind)).encode() + b" " + kind + b" " + str(len(payload)).encode() + b" " + payload


def check_note(note: str, name: str, public_key: bytes) -> str:
    text, signatures = note.split("\n\n")
    line = next(line for line in signatures.splitlines() if line.startswith(f"\u2014 {name} "))
    raw = base64.b64decode(line.rsplit(" ", 1)[1])
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x01" + public_key).digest()[:4]
    Ed25519PublicKey.from_public_bytes(public_key).verify(raw[4:], (text + "\n").encode())
    return text


def climb(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """RFC 6962 section 2.1.1, written from the definition: where the leaf sits decides the side."""
    if size == 1:
        assert not path
        return leaf
    k = 1
    while k * 2 < size:
        k *= 2
    if index < k:
        return hashlib.sha256(b"\x01" + climb(index, k, leaf, path[:-1]) + path[-1]).digest()
    return hashlib.sha256(b"\x01" + path[-1] + climb(index - k, size - k, leaf, path[:-1])).digest()


def test_statement_seal_and_inclusion_with_cryptography_alone(story: Any) -> None:
    files, trust = unzip(story.packet()), story.trust.decode()
    issuer, issuer_key = key_of(trust, "issuer")
    log, log_key = key_of(trust, "log")

    envelope = json.loads(files["statement.dsse.json"])
    Ed25519PublicKey.from_public_bytes(issuer_key).verify(base64.b64decode(envelope["signatures"][0]["sig"]), pae(envelope))
    assert envelope["signatures"][0]["keyid"] == hashlib.sha256(issuer_key).hexdigest()
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]} == {
        name: hashlib.sha256(body).hexdigest() for name, body in files.items() if name.startswith("evidence/") or name == "report.pdf"
    }

    sealed = check_note(files["seal.note"].decode(), issuer, issuer_key).splitlines()[1:]
    assert sealed == [f"{hashlib.sha256(body).hexdigest()}  {name}" for name, body in files.items() if name != "seal.note"]

    for name in [name for name in files if name.endswith(".tlog-proof")]:
        head, checkpoint = files[name].decode().split("\n\n", 1)
        _, index, *path = head.splitlines()
        origin, size, root = check_note(checkpoint, log, log_key).splitlines()
        leaf = hashlib.sha256(
            b"\x00" + files[name.replace(".tlog-proof", ".event.json" if name.startswith("packet") else ".json")]
        ).digest()
        assert origin == log
        assert climb(int(index.split()[1]), int(size), leaf, [base64.b64decode(step) for step in path]) == base64.b64decode(root)

    forged = files["statement.dsse.json"].replace(b"statement", b"statement")
    broken = json.loads(forged)
    broken["payload"] = base64.b64encode(base64.b64decode(broken["payload"]).replace(b"haiku", b"opus!")).decode()
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(issuer_key).verify(base64.b64decode(broken["signatures"][0]["sig"]), pae(broken))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
def test_statement_with_the_openssl_command(story: Any, tmp_path: Path) -> None:
    files = unzip(story.packet())
    _, issuer_key = key_of(story.trust.decode(), "issuer")
    envelope = json.loads(files["statement.dsse.json"])
    (tmp_path / "key.pem").write_bytes(
        Ed25519PublicKey.from_public_bytes(issuer_key).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))

    def openssl(message: bytes) -> int:
        (tmp_path / "message").write_bytes(message)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "message", "-sigfile", "sig"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    assert openssl(pae(envelope)) == 0
    assert openssl(pae(envelope)[:-1] + b" ") != 0


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_the_seal_reads_with_sha256sum_as_the_guide_says(story: Any, tmp_path: Path) -> None:
    files = unzip(story.packet())
    for name, body in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)
    command = next(line.strip() for line in files["VERIFY.txt"].decode().splitlines() if "sha256sum -c" in line)
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": OK") == len(files) - 1
    (tmp_path / "evidence/pairs.csv").write_bytes(b"swapped")
    assert subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=tmp_path, capture_output=True, check=False).returncode != 0
