"""Content: what each capture mode keeps, that objects are sealed to their address, and that erasure erases."""

import base64
import hashlib
import random
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governor.errors import IntegrityError, Invalid, NotFound
from governor.store.capture import capture, redact
from governor.store.content import ContentStore
from governor.store.content_pack import Bodies

KEY = bytes(range(32))
BODY = b'{"messages":[{"role":"user","content":"call +49 151 2345 6789 or ada@acme.example"}]}'


DAY = 86_400


class Clock:
    """Seconds since 1970, turned by hand. Files carry the machine's time, so it begins there."""

    def __init__(self) -> None:
        self.at = time.time()

    def __call__(self) -> float:
        return self.at

    def later(self, seconds: float) -> None:
        self.at += seconds


def address_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def many(count: int, mark: str = "") -> dict[str, bytes]:
    bodies = [f"{mark} body {number} ".encode() * (1 + number % 50) for number in range(count)]
    return {address_of(body): body for body in bodies}


def packs(root: Path) -> list[Path]:
    return sorted((root / "packs").iterdir()) if (root / "packs").exists() else []


def put_old(root: Path, key: bytes, body: bytes) -> str:
    """As versions before the packs kept a body."""
    address, nonce = address_of(body), bytes(range(12))
    path = root / address[:2] / address
    path.parent.mkdir(parents=True)
    path.write_bytes(nonce + AESGCM(key).encrypt(nonce, zstandard.ZstdCompressor(level=3).compress(body), address.encode()))
    return address


def settled(store: ContentStore) -> None:
    """What the nightly look does where a call names every body."""
    ids, pages = store.unsettled()
    for _ in pages:
        pass
    store.settle(ids, [])


def test_a_body_comes_back_and_is_not_readable_on_disk(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, KEY)
    address = address_of(BODY)
    store.put(address, BODY)
    store.put(address, BODY)
    assert store.get(address) == BODY
    assert len(packs(tmp_path)) == 1
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert b"acme" not in file.read_bytes()
            assert file.stat().st_mode & 0o077 == 0


def test_many_bodies_are_one_pack_and_another_process_finds_each(tmp_path: Path) -> None:
    bodies = many(3000) | {address_of(b""): b""}
    ContentStore(tmp_path, KEY).put_many(bodies.items())
    ContentStore(tmp_path, KEY).put_many(list(bodies.items())[:100])
    assert len(packs(tmp_path)) == 1
    store = ContentStore(tmp_path, KEY)
    assert {address: store.get(address) for address in bodies} == bodies


def test_slices_of_one_memory_are_kept_as_they_are(tmp_path: Path) -> None:
    lines = pa.array([b' {"a": 1}\r\n', b'{"b": "x "}\n', b"\n", b"{}"], pa.large_binary())
    bodies = Bodies.of(lines.slice(0, 4)).trimmed()
    addresses = bodies.digests()
    wanted = [b'{"a": 1}', b'{"b": "x "}', b"", b"{}"]
    assert addresses == [address_of(body) for body in wanted]
    store = ContentStore(tmp_path, KEY)
    store.put_bodies(addresses, bodies)
    assert [store.get(address) for address in addresses] == wanted


def test_a_body_of_an_earlier_version_is_read_kept_once_and_erased(tmp_path: Path) -> None:
    address = put_old(tmp_path, KEY, BODY)
    store = ContentStore(tmp_path, KEY)
    assert store.exists(address)
    assert store.get(address) == BODY
    store.put(address, BODY)
    assert not packs(tmp_path)
    assert store.erase(address)
    assert not store.exists(address)


def test_a_swapped_object_does_not_open(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, KEY)
    first, second = address_of(b"first"), address_of(b"second")
    store.put_many([(first, b"first"), (second, b"second")])
    with sqlite3.connect(tmp_path / "index.sqlite") as index:
        rows = {bytes(row[0]): row[1:] for row in index.execute("SELECT address, start, size, salt FROM bodies")}
        index.execute(
            "UPDATE bodies SET start = ?, size = ?, salt = ? WHERE address = ?", (*rows[bytes.fromhex(second)], bytes.fromhex(first))
        )
    with pytest.raises(IntegrityError):
        ContentStore(tmp_path, KEY).get(first)


def test_a_flipped_byte_does_not_open(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, KEY)
    store.put(address_of(BODY), BODY)
    [pack] = packs(tmp_path)
    pack.write_bytes(pack.read_bytes()[:-1] + bytes([pack.read_bytes()[-1] ^ 1]))
    with pytest.raises(IntegrityError):
        store.get(address_of(BODY))


def test_another_organizations_key_opens_nothing(tmp_path: Path) -> None:
    address = address_of(BODY)
    ContentStore(tmp_path, KEY).put(address, BODY)
    with pytest.raises(IntegrityError):
        ContentStore(tmp_path, bytes(32)).get(address)


def test_erased_content_is_gone_and_so_is_the_salt_of_its_key(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, KEY)
    address, other = address_of(BODY), address_of(b"other")
    store.put_many([(address, BODY), (other, b"other")])
    with sqlite3.connect(tmp_path / "index.sqlite") as index:
        salt = index.execute("SELECT salt FROM bodies WHERE address = ?", (bytes.fromhex(address),)).fetchone()[0]
    assert any(salt in file.read_bytes() for file in tmp_path.glob("index.sqlite*"))
    assert store.erase(address)
    assert not store.erase(address)
    assert not any(salt in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    with pytest.raises(NotFound):
        store.get(address)
    assert store.get(other) == b"other"
    store.put(address, BODY)
    assert store.get(address) == BODY


def test_erased_bytes_are_given_back_and_the_rest_stays(tmp_path: Path) -> None:
    clock = Clock()
    store, bodies = ContentStore(tmp_path, KEY, clock), many(400)
    store.put_many(bodies.items())
    addresses = list(bodies)
    [before] = packs(tmp_path)
    sealed = before.read_bytes()
    assert store.erase_many(addresses[:300]) == 300
    clock.later(2 * DAY)
    settled(store)
    assert store.tidy() > 0
    [after] = packs(tmp_path)
    assert after.stat().st_size < len(sealed) / 2
    assert all(store.get(address) == bodies[address] for address in addresses[300:])
    assert store.erase_many(addresses[300:]) == 100
    store.tidy()
    assert not packs(tmp_path)


def test_small_packs_become_one(tmp_path: Path) -> None:
    clock = Clock()
    store, all_bodies = ContentStore(tmp_path, KEY, clock), dict[str, bytes]()
    for number in range(10):
        bodies = many(3, f"push {number}")
        store.put_many(bodies.items())
        all_bodies |= bodies
    store.tidy()
    assert len(packs(tmp_path)) == 10, "an ingest may still be under way"
    clock.later(2 * DAY)
    settled(store)
    store.tidy()
    assert len(packs(tmp_path)) == 1
    assert {address: store.get(address) for address in all_bodies} == all_bodies


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_pack_takes_no_other_body_along(tmp_path: Path, damage: str) -> None:
    """Put together with seven others, a pack that was cut short moved each body behind its own, and the originals went."""
    clock = Clock()
    store = ContentStore(tmp_path, KEY, clock)
    bodies = [f"body {number}".encode() * 50 for number in range(8)]
    store.put(hashlib.sha256(bodies[0]).hexdigest(), bodies[0])
    [hurt] = packs(tmp_path)
    for body in bodies[1:]:
        store.put(hashlib.sha256(body).hexdigest(), body)
    clock.later(2 * DAY)
    settled(store)
    if damage == "cut":
        hurt.write_bytes(hurt.read_bytes()[:-5])
    else:
        hurt.unlink()
    with pytest.raises(IntegrityError, match=hurt.name):
        store.tidy()
    for body in bodies[1:]:
        assert store.get(hashlib.sha256(body).hexdigest()) == body
    assert not list((tmp_path / "packs").glob(".new-*"))


def test_what_no_call_names_goes_unless_it_is_kept_again(tmp_path: Path) -> None:
    clock = Clock()
    store = ContentStore(tmp_path, KEY, clock)
    bodies = many(3)
    store.put_many(bodies.items())
    assert store.unsettled()[0] == [], "an ingest may still be under way"
    clock.later(2 * DAY)
    ids, pages = store.unsettled()
    orphans = [address for page in pages for address in page]
    assert sorted(orphans) == sorted(bodies)
    again = orphans[0]
    store.put(again, bodies[again])  # by an ingest that began after the look
    assert store.settle(ids, orphans) == 2
    assert [store.exists(address) for address in orphans] == [True, False, False]
    assert store.unsettled()[0] == [], "looked at once"


def test_what_a_writer_that_died_has_left_is_swept(tmp_path: Path) -> None:
    clock = Clock()
    store = ContentStore(tmp_path, KEY, clock)
    store.put(address_of(BODY), BODY)
    for name in (".new-abc", "never-indexed.pack"):
        (tmp_path / "packs" / name).write_bytes(b"half")
    store.tidy()
    assert len(packs(tmp_path)) == 3, "its writer may be alive"
    clock.later(2 * DAY)
    store.tidy()
    assert len(packs(tmp_path)) == 1
    assert store.get(address_of(BODY)) == BODY


KILLED = """
import hashlib, os, sys
from pathlib import Path
from governor.store.content import ContentStore
store = ContentStore(Path(sys.argv[1]), bytes(range(32)))
number = 0
while True:
    bodies = [f"{os.getpid()} {number} {n} ".encode() * 400 for n in range(20)]
    store.put_many([(hashlib.sha256(body).hexdigest(), body) for body in bodies])
    print(" ".join(hashlib.sha256(body).hexdigest() for body in bodies), flush=True)
    number += 1
"""


def test_a_killed_writer_leaves_every_body_it_had_kept(tmp_path: Path) -> None:
    for wait in (0.3, 0.5, 0.7):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            kept = process.stdout.readline().split()
            time.sleep(wait)
            process.kill()
            kept += [address for line in process.stdout if line.endswith("\n") for address in line.split()]
        store = ContentStore(tmp_path, KEY)
        assert all(address_of(store.get(address)) == address for address in kept)


def test_writers_side_by_side_keep_everything_once(tmp_path: Path) -> None:
    bodies = many(200)

    def write(number: int) -> None:
        ContentStore(tmp_path, KEY).put_many(list(bodies.items())[number * 10 :])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    store = ContentStore(tmp_path, KEY)
    assert {address: store.get(address) for address in bodies} == bodies
    assert store.erase_many(bodies) == len(bodies)


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
        (b"key rk-abcdefghijklmnopqrstuv", b"key [SECRET]"),
        (b"key AKIA" + b"ABCDEFGHIJKLMNOP", b"key [SECRET]"),
        (b"key ghp_abcdefghijklmnopqrstuv", b"key [SECRET]"),
        (b"key xoxb-abcdefghij", b"key [SECRET]"),
        (b"token eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.abcdEFGH", b"token [TOKEN]"),
        (b"reach me at +49 151 2345 6789", b"reach me at [PHONE]"),
        (b"damage of 12000 EUR in 2026", b"damage of 12000 EUR in 2026"),
    ],
)
def test_redaction(text: bytes, clean: bytes) -> None:
    assert redact(text) == clean
    assert redact(clean) == clean


def test_a_picture_is_not_taken_for_a_number_of_somebody() -> None:
    """In base64 `+` and twelve digits are no telephone number: one changed sign and the model cannot read it."""
    draw = random.Random(1)
    for picture in [base64.b64encode(draw.randbytes(3_000_000)), b"A" * 2000 + b"+4915123456789/DE89370400440532013000/4111111111111111/"]:
        body = b'{"url":"data:image/png;base64,' + picture + b'","from":"ada@acme.example","iban":"DE89 3704 0044 0532 0130 00"}'
        assert redact(body) == b'{"url":"data:image/png;base64,' + picture + b'","from":"[EMAIL]","iban":"[IBAN]"}'
    claims = base64.urlsafe_b64encode(b'{"groups":["' + b"a" * 2000 + b'"]}').rstrip(b"=")
    assert redact(b"Bearer eyJhbGciOiJIUzI1NiJ9." + claims + b".abcdEFGHijkl") == b"Bearer [TOKEN]"


def test_a_full_disk_is_called_one(tmp_path: Path) -> None:
    """SQLite ends the transaction by itself then; a second end would hide the cause."""
    store = ContentStore(tmp_path, KEY)
    store.put(address_of(BODY), BODY)
    index = store._index

    def fill() -> None:
        with index._writing() as connection:
            connection.execute("ROLLBACK")
            raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        fill()
    store.put_many(many(3).items())


def test_the_key_of_another_home_is_noticed_by_what_is_held(tmp_path: Path) -> None:
    right, wrong = ContentStore(tmp_path, b"\1" * 32), ContentStore(tmp_path, b"\2" * 32)
    assert wrong.check_key() == "no body is held"
    right.put(hashlib.sha256(b"first").hexdigest(), b"first")
    assert right.check_key() == "the oldest and the newest body open"
    with pytest.raises(IntegrityError, match="does not open with this organization's key"):
        wrong.check_key()
    wrong.put(hashlib.sha256(b"second").hexdigest(), b"second")
    assert "the oldest does not" in wrong.check_key()
    with pytest.raises(IntegrityError):
        right.check_key()
