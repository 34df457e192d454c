"""Keys that are no file in the home: a file elsewhere, and Vault, played by a small server that speaks the two requests of its transit engine."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from governor.actions.context import OPERATOR
from governor.actions.decide import approve
from governor.actions.export_packet import export_packet
from governor.actions.export_trust import export_trust
from governor.actions.rotate_keys import rotate_key
from governor.adapters.key_files import make_key
from governor.adapters.keys import FileKeys
from governor.errors import Invalid, Unavailable
from governor.packets.verify import verify_packet

TOKEN = "a vault token"


class Transit(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.keys = {str(version): Ed25519PrivateKey.generate() for version in (1, 2, 3)}
        self.signed = 0


class _Door(BaseHTTPRequestHandler):
    server: Transit

    def do_GET(self) -> None:
        if self._known("/v1/transit/keys/governor"):
            listed = {
                number: {"public_key": base64.b64encode(key.public_key().public_bytes_raw()).decode()}
                for number, key in self.server.keys.items()
            }
            self._answer(200, {"data": {"type": "ed25519", "keys": listed}})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self._known("/v1/transit/sign/governor"):
            version = str(asked["key_version"])
            signature = self.server.keys[version].sign(base64.b64decode(asked["input"]))
            self.server.signed += 1
            self._answer(200, {"data": {"signature": f"vault:v{version}:{base64.b64encode(signature).decode()}"}})

    do_PUT = do_POST  # noqa: N815 - the name http.server looks for

    def _known(self, path: str) -> bool:
        if self.headers["x-vault-token"] != TOKEN:
            self._answer(403, {"errors": ["permission denied"]})
        elif self.path.split("?")[0] != path:
            self._answer(404, {"errors": []})
        else:
            return True
        return False

    def _answer(self, status: int, body: Any) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def transit() -> Iterator[Transit]:
    server = Transit()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def packet_of(world: Any) -> bytes:
    change = world.reviewed()
    for name in ("dana", "sol"):
        approve(world.ctx, world.person(name), change["id"], digest=change["digest"], reason="evidence read")
        world.later(minutes=5)
    packet: bytes = export_packet(world.ctx, world.person("ada"), change["id"])
    return packet


def test_a_key_in_a_file_elsewhere(world: Any, tmp_path: Path) -> None:
    make_key(tmp_path / "credential.pem", Ed25519PrivateKey.generate())
    for address in ("http://kms", "awskms:1", "hv:name", "file:"):
        with pytest.raises(Invalid):
            rotate_key(world.ctx, OPERATOR, "issuer", address=address)
    rotate_key(world.ctx, OPERATOR, "issuer", address=f"file:{tmp_path}/credential.pem")
    assert world.ctx.keys.where("issuer") == f"file:{tmp_path}/credential.pem"
    assert verify_packet(packet_of(world), export_trust(world.ctx)).exit_code == 0
    rotate_key(world.ctx, OPERATOR, "issuer")
    assert world.ctx.keys.where("issuer") == "file"


def test_a_file_that_cannot_sign_is_refused_before_anything_is_written(world: Any, tmp_path: Path) -> None:
    """An ML-DSA-44 key took the place of the issuer's, whose file was gone then; as the log's it left a replacement that nothing could end."""
    make_key(tmp_path / "second.pem", MLDSA44PrivateKey.generate())
    before = sorted(path.name for path in world.ctx.keys.folder.iterdir())
    for role in ("log", "issuer", "producer"):
        with pytest.raises(Invalid, match="not an Ed25519 key"):
            rotate_key(world.ctx, OPERATOR, role, address=f"file:{tmp_path}/second.pem")
    with pytest.raises(Invalid, match="no key can be read"):
        rotate_key(world.ctx, OPERATOR, "issuer", address=f"file:{tmp_path}")
    with pytest.raises(Invalid, match=r"nowhere\.pem holds no public key"):
        rotate_key(world.ctx, OPERATOR, "issuer", address="awskms:1#nowhere.pem")
    assert sorted(path.name for path in world.ctx.keys.folder.iterdir()) == before


def test_a_key_that_signs_or_signed_is_no_new_key(world: Any, tmp_path: Path) -> None:
    """The same address again left a replacement that never ended: no packet was issued any more."""
    for name in ("one", "two"):
        make_key(tmp_path / name, Ed25519PrivateKey.generate())
        rotate_key(world.ctx, OPERATOR, "issuer", address=f"file:{tmp_path / name}")
    for name in ("two", "one"):
        with pytest.raises(Invalid, match="signs or signed here already"):
            rotate_key(world.ctx, OPERATOR, "issuer", address=f"file:{tmp_path / name}")
    assert verify_packet(packet_of(world), export_trust(world.ctx)).exit_code == 0
    rotate_key(world.ctx, OPERATOR, "issuer")


def test_a_file_is_found_from_every_folder(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_key(tmp_path / "credential.pem", Ed25519PrivateKey.generate())
    monkeypatch.chdir(tmp_path)
    rotate_key(world.ctx, OPERATOR, "issuer", address="file:credential.pem")
    assert world.ctx.keys.where("issuer") == f"file:{tmp_path}/credential.pem"


def test_a_file_elsewhere_is_encrypted_as_the_home_is_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_WORDS", "correct horse")
    keys = FileKeys(tmp_path / "home", passphrase="env:KEY_WORDS")
    keys.create()
    make_key(tmp_path / "sealed.pem", Ed25519PrivateKey.generate(), b"correct horse")
    make_key(tmp_path / "clear.pem", Ed25519PrivateKey.generate())
    for name in ("sealed", "clear"):
        signer = keys.make_successor("issuer", f"file:{tmp_path}/{name}.pem")
        keys.adopt("issuer")
        assert FileKeys(tmp_path / "home", passphrase="env:KEY_WORDS").issuer_signer().public_key == signer.public_key


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Transit]:
    with transit() as server:
        monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
        yield server


def test_keys_in_vault(world: Any, vault: Transit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log and issuer sign in a server that speaks the transit API; the home holds their addresses only."""
    server = vault
    for role, version in (("log", 1), ("issuer", 2)):
        rotate_key(world.ctx, OPERATOR, role, address=f"hv:governor/{version}")
        assert not (world.ctx.settings.home / "keys" / f"{role}.pem").exists()
    signed = server.signed
    assert verify_packet(packet_of(world), export_trust(world.ctx)).exit_code == 0
    assert server.signed > signed, "the store signed"
    with pytest.raises(Invalid, match="version 9"):
        rotate_key(world.ctx, OPERATOR, "producer", address="hv:governor/9")
    monkeypatch.setenv("VAULT_TOKEN", "another token")
    with pytest.raises(Unavailable, match="key store"):
        rotate_key(world.ctx, OPERATOR, "producer", address="hv:governor/3")
