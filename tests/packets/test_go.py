"""The packet's proofs and a mirror of the log, checked by code of the Go project: golang.org/x/mod/sumdb, as Debian packs it.

Runs where `go` and Debian's golang-golang-x-mod-dev are installed (`apt-get install golang-go golang-golang-x-mod-dev`); no module is downloaded.
"""

import io
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import negative_cosignatures
import pytest
from packet_story import LOG

from governor.actions.context import OPERATOR, open_context
from governor.actions.mirror import mirror
from governor.ledger.entry import EntryDraft
from governor.ledger.note import vkey
from governor.settings import load_settings
from governor.store import ledger

SOURCE = Path(__file__).with_name("check_with_go.go")
GOPATH = Path("/usr/share/gocode")
Check = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    go = shutil.which("go")
    if go is None or not (GOPATH / "src/golang.org/x/mod/sumdb/note").is_dir():
        pytest.skip("Go and Debian's golang-golang-x-mod-dev are not installed")
    folder = tmp_path_factory.mktemp("go")
    told = {"GO111MODULE": "off", "GOPATH": str(GOPATH), "GOCACHE": str(folder / "cache"), "GOPROXY": "off", "GOFLAGS": ""}
    command = [go, "build", "-o", str(folder / "check"), str(SOURCE)]
    subprocess.run(command, env={**os.environ, **told}, check=True, capture_output=True, text=True)
    return lambda *words: subprocess.run([folder / "check", *words], check=False, capture_output=True, text=True)


def unzipped(packet: bytes, folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(packet)) as archive:
        archive.extractall(folder)
    return folder


def test_every_proof_of_a_packet(check: Check, story: Any, tmp_path: Path) -> None:
    key = vkey(LOG, story.log.public_key)
    folder = unzipped(story.packet(), tmp_path / "packet")
    assert check(key, "packet", str(folder)).stdout == "7\n"
    cosigned, _ = negative_cosignatures.build(LOG, negative_cosignatures.raw_of)  # a signature that Go does not know is left alone
    assert check(key, "packet", str(unzipped(cosigned, tmp_path / "cosigned"))).stdout == "7\n"

    event = folder / "events/5.json"
    good = event.read_bytes()
    event.write_bytes(good.replace(b"owner", b"Owner", 1))
    assert "invalid transparency proof" in check(key, "packet", str(folder)).stderr
    event.write_bytes(good)
    other = vkey(LOG, story.issuer.public_key)
    assert "note has no verifiable signatures" in check(other, "packet", str(folder)).stderr
    proof = folder / "packet.tlog-proof"
    proof.write_bytes(proof.read_bytes().replace(b"\n15\n", b"\n16\n"))
    assert "invalid signature" in check(key, "packet", str(folder)).stderr


def test_every_tile_of_a_mirror(check: Check, tmp_path: Path) -> None:
    ctx = open_context(load_settings(home=tmp_path / "home"), create=True)
    with ctx.rows.session(write=True) as session:
        for number in range(300):
            draft = EntryDraft("source:ingest", "source/s", {"batch": f"b{number}"}, OPERATOR.ledger_ref(), f"i{number}", ctx.now())
            ledger.append(session, ctx.org, draft, ctx.now(), ctx.keys.producer_signer())
    ctx.seal()
    folder = tmp_path / "mirror"
    mirror(ctx, folder)
    key = vkey(ctx.keys.origin(ctx.org), ctx.keys.log_signer().public_key)
    ctx.close()
    assert check(key, "tiles", str(folder)).stdout == "300\n"

    for name, said in (("0/000", "invalid transparency proof"), ("entries/000", "invalid transparency proof")):
        path = folder / "tile" / name
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        assert said in check(key, "tiles", str(folder)).stderr
        path.write_bytes(good)
    assert check(key, "tiles", str(folder)).returncode == 0
