"""The offline root signs trust files, once and for its own name, from a folder that is not the home."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from governor.adapters.keys import FileKeys
from governor.adapters.root_key import make_root, open_root
from governor.errors import IntegrityError, Invalid, NotFound, Refused
from governor.ledger.trust import parse_trust


def trust_of(home: Path) -> str:
    keys = FileKeys(home)
    keys.create("acme")
    return keys.trust_text("acme")


def test_a_root_signs_a_trust_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOT_WORDS", "eleven offline words")
    root = make_root(tmp_path / "stick", "acme.example/root", "env:ROOT_WORDS", home=tmp_path / "home")
    assert (tmp_path / "stick/root.pem").stat().st_mode & 0o077 == 0
    signed = open_root(tmp_path / "stick", "env:ROOT_WORDS").sign(trust_of(tmp_path / "home"))
    assert parse_trust(signed.encode()).root_text == f"acme.example/root {root.key_id}"
    with pytest.raises(IntegrityError):
        open_root(tmp_path / "stick")
    with pytest.raises(Invalid, match="by reference"):
        open_root(tmp_path / "stick", "eleven offline words")


def test_what_a_root_refuses(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(Refused, match="home"):
        make_root(home / "keys", "acme.example/root", "", home=home)
    with pytest.raises(Invalid):
        make_root(tmp_path / "x", "two words", "", home=home)
    with pytest.raises(NotFound):
        open_root(tmp_path / "nowhere")
    root = make_root(tmp_path / "stick", "acme.example/root", "", home=home)
    with pytest.raises(Refused, match="already"):
        make_root(tmp_path / "stick", "acme.example/root", "", home=home)
    other = make_root(tmp_path / "other", "acme.example/other", "", home=home)
    with pytest.raises(Invalid, match="another root"):
        root.sign(f"root {other.vkey}\n{trust_of(home)}")
    with pytest.raises(Invalid):
        root.sign("log nonsense\n")


def test_the_commands(tmp_path: Path) -> None:
    def governor(*words: str) -> dict[str, str]:
        command = [sys.executable, "-m", "governor.cli", "--json", "--home", str(tmp_path / "home"), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        found: dict[str, str] = json.loads(done.stdout)
        return found

    governor("init", "--admin", "admin@acme.example")
    made = governor("trust", "root", "init", "stick", "--name", "acme.example/root")
    told = governor("trust", "export", "-o", "signed.trust", "--signed", "stick")
    assert told["root_sha256"] == made["root_sha256"]
    governor("trust", "export", "-o", "plain.trust")
    governor("trust", "root", "sign", "stick", "plain.trust", "-o", "elsewhere.trust")
    for name in ("signed.trust", "elsewhere.trust"):
        assert parse_trust((tmp_path / name).read_bytes()).root_text == f"acme.example/root {made['root_sha256']}"
    before = governor("keys", "list")["keys"]
    assert [(one["role"], one["state"]) for one in before] == [(role, "active") for role in ("log", "log-mldsa", "issuer", "producer")]  # type: ignore[index]
    done = governor("keys", "rotate", "issuer")
    revoked = governor("keys", "revoke", done["previous"]["key_id"], "--reason", "superseded")  # type: ignore[index]
    assert revoked["state"] == "revoked"
