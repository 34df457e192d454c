"""Content: what each capture mode keeps, that objects are sealed to their address, and that erasure erases."""

import hashlib
from pathlib import Path

import pytest

from governor.errors import IntegrityError, Invalid, NotFound
from governor.store.capture import capture, redact
from governor.store.content import ContentStore

KEY = bytes(range(32))
BODY = b'{"messages":[{"role":"user","content":"call +49 151 2345 6789 or ada@acme.example"}]}'


def test_a_body_comes_back_and_is_not_readable_on_disk(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, KEY)
    address = hashlib.sha256(BODY).hexdigest()
    store.put(address, BODY)
    store.put(address, BODY)
    assert store.get(address) == BODY
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 1
    assert b"acme" not in files[0].read_bytes()


def test_a_swapped_object_does_not_open(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, KEY)
    first, second = hashlib.sha256(b"first").hexdigest(), hashlib.sha256(b"second").hexdigest()
    store.put(first, b"first")
    store.put(second, b"second")
    (tmp_path / first[:2] / first).write_bytes((tmp_path / second[:2] / second).read_bytes())
    with pytest.raises(IntegrityError):
        store.get(first)


def test_another_organizations_key_opens_nothing(tmp_path: Path) -> None:
    address = hashlib.sha256(BODY).hexdigest()
    ContentStore(tmp_path, KEY).put(address, BODY)
    with pytest.raises(IntegrityError):
        ContentStore(tmp_path, bytes(32)).get(address)


def test_erased_content_is_gone(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, KEY)
    address = hashlib.sha256(BODY).hexdigest()
    store.put(address, BODY)
    assert store.erase(address)
    assert not store.erase(address)
    with pytest.raises(NotFound):
        store.get(address)


def test_an_address_cannot_leave_the_store(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        ContentStore(tmp_path, KEY).get("../" * 21 + "x")


@pytest.mark.parametrize(
    ("mode", "state", "stored"),
    [("full", "full", True), ("redacted", "redacted", True), ("hashed", "hashed", False), ("off", "absent", False)],
)
def test_modes(mode: str, state: str, stored: bool) -> None:
    kept = capture(mode, BODY)
    assert (kept.state, kept.body is not None) == (state, stored)
    assert (kept.sha256 is None) == (mode == "off")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (b"mail ada@acme.example now", b"mail [EMAIL] now"),
        (b"card 4111 1111 1111 1111.", b"card [CARD]."),
        (b"order 4111 1111 1111 1112.", b"order 4111 1111 1111 1112."),
        (b"iban DE89 3704 0044 0532 0130 00", b"iban [IBAN]"),
        (b"ssn 078-05-1120", b"ssn [SSN]"),
        (b"key sk-abcdefghijklmnopqrstuv", b"key [SECRET]"),
        (b"token eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.abcdEFGH", b"token [TOKEN]"),
        (b"reach me at +49 151 2345 6789", b"reach me at [PHONE]"),
        (b"damage of 12000 EUR in 2026", b"damage of 12000 EUR in 2026"),
    ],
)
def test_redaction(text: bytes, clean: bytes) -> None:
    assert redact(text) == clean
    assert redact(clean) == clean
