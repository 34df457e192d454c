"""Key files: made once, private to their owner, and refused when they are not."""

import re
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from governor.adapters.keys import FileKeys
from governor.errors import IntegrityError, Invalid, NotFound, Refused
from governor.ledger.canonical import sha256_hex
from governor.ledger.checkpoint import Checkpoint
from governor.ledger.note import VerifierKey, parse_note, sign_note
from governor.ledger.trust import parse_trust


def test_keys_are_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    keys.create("default")
    files = sorted(path.name for path in keys.folder.iterdir())
    assert files == ["content-default.key", "domain", "issuer.pem", "log-mldsa.pem", "log.pem", "producer.pem"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys.folder.iterdir()} == {0o600}
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700
    before = {path.name: path.read_bytes() for path in keys.folder.iterdir()}
    FileKeys(tmp_path).create("default")
    assert {path.name: path.read_bytes() for path in keys.folder.iterdir()} == before


def test_roles_have_different_keys_that_sign(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    keys.create()
    signers = [keys.log_signer(), keys.issuer_signer(), keys.producer_signer()]
    assert len({signer.public_key for signer in signers}) == 3
    for signer in signers:
        assert signer.key_id == sha256_hex(signer.public_key)
        assert VerifierKey("any", 1, signer.public_key).verifies(b"message", signer.sign(b"message"))
        assert "PRIVATE" not in repr(signer)


def test_rivals_agree_on_one_key(tmp_path: Path) -> None:
    threads = [threading.Thread(target=lambda: FileKeys(tmp_path).create()) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {FileKeys(tmp_path).log_signer().public_key for _ in range(3)} == {FileKeys(tmp_path).log_signer().public_key}
    assert len(list((tmp_path / "keys").iterdir())) == 6, "no temporary file is left"


def test_a_key_others_can_read_is_refused(tmp_path: Path) -> None:
    FileKeys(tmp_path).create()
    (tmp_path / "keys/log.pem").chmod(0o640)
    with pytest.raises(Refused, match="may be read by others"):
        FileKeys(tmp_path).log_signer()
    (tmp_path / "keys/content-default.key").chmod(0o604)
    with pytest.raises(Refused):
        FileKeys(tmp_path).content_key("default")


def test_a_home_without_keys_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        FileKeys(tmp_path).log_signer()
    assert "governor init" in caught.value.hint


def test_each_organization_has_its_own_content_key(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    keys.create("acme")
    keys.create("globex")
    assert len(keys.content_key("acme")) == 32
    assert keys.content_key("acme") != keys.content_key("globex")
    with pytest.raises(NotFound):
        keys.content_key("initech")
    for name in ("../log", "", ".hidden"):
        with pytest.raises(Invalid):
            keys.content_key(name)


def test_a_passphrase_by_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_WORDS", "correct horse")
    (tmp_path / "words").write_text("correct horse\n")
    made = FileKeys(tmp_path, passphrase="env:KEY_WORDS")
    made.create()
    assert b"ENCRYPTED" in (tmp_path / "keys/log.pem").read_bytes()
    again = FileKeys(tmp_path, passphrase=f"file:{tmp_path / 'words'}")
    assert again.log_signer().public_key == made.log_signer().public_key
    assert again.content_key("default") == made.content_key("default")
    for wrong in (FileKeys(tmp_path), FileKeys(tmp_path, passphrase=f"file:{tmp_path / 'keys/log.pem'}")):
        with pytest.raises(IntegrityError):
            wrong.log_signer()
        with pytest.raises(IntegrityError):
            wrong.content_key("default")
    with pytest.raises(Invalid, match="env:NOT_SET"):
        FileKeys(tmp_path, passphrase="env:NOT_SET").log_signer()


def test_every_new_home_gets_a_name_of_its_own_and_an_old_one_keeps_its(tmp_path: Path) -> None:
    """Two logs called governor.local/default looked like one that lies to the witness or anchor that they shared."""
    homes = [FileKeys(tmp_path / name) for name in ("one", "two")]
    for keys in homes:
        keys.create()
        keys.create()  # again, as `governor init` in a home that is there
    names = [keys.origin("default") for keys in homes]
    assert len(set(names)) == 2
    assert all(re.fullmatch(r"[0-9a-f]{12}\.governor\.local/default", name) for name in names)
    assert [FileKeys(tmp_path / name).origin("default") for name in ("one", "two")] == names
    assert FileKeys(tmp_path / "one", domain="acme.example").origin("default") == "acme.example/default"
    (tmp_path / "one/keys/domain").unlink()  # made by an earlier version
    old = FileKeys(tmp_path / "one")
    old.create()
    assert (old.origin("default"), old.issuer_name("default")) == ("governor.local/default", "governor.local/default/issuer")
    named = FileKeys(tmp_path / "three", domain="acme.example")
    named.create()
    assert not (tmp_path / "three/keys/domain").exists()


def test_trust_text_holds_public_keys_only(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    keys.create("acme")
    trust = parse_trust(keys.trust_text("acme").encode())
    assert [(key.name, key.public_key) for key in trust.logs] == [
        (keys.origin("acme"), signer.public_key) for signer in (keys.log_signer(), keys.mldsa_signer())
    ]
    assert [(found.key.name, found.key_id) for found in trust.issuers] == [(f"{keys.origin('acme')}/issuer", keys.issuer_signer().key_id)]


def test_the_second_key_cosigns_checkpoints_and_is_named_in_the_trust_file(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    keys.create()
    origin = keys.origin("default")
    text = Checkpoint(origin, 3, bytes(32)).text
    note = parse_note(sign_note(text, [(origin, keys.log_signer())]) + keys.cosign("default", datetime(2026, 11, 20, tzinfo=UTC))(text))
    first, second = parse_trust(keys.trust_text("default").encode()).logs
    assert note.cosigned_at(second) == int(datetime(2026, 11, 20, tzinfo=UTC).timestamp())
    assert note.signed_by(first) is note.signed_by(second) is True
    (tmp_path / "keys/log-mldsa.pem").unlink()
    assert FileKeys(tmp_path).cosign("default", datetime(2026, 11, 20, tzinfo=UTC))(text) == ""


@pytest.mark.parametrize("said", ["", "two", "0", "-1", "²"])
def test_a_damaged_number_of_the_log_is_named(tmp_path: Path, said: str) -> None:
    keys = FileKeys(tmp_path)
    keys.create()
    keys.begin_incarnation("default", 3)
    file = tmp_path / "keys" / "incarnation-default"
    assert keys.origin("default").endswith("/incarnation-3")
    file.write_text(said)
    with pytest.raises(IntegrityError, match="incarnation-default is damaged"):
        keys.origin("default")
