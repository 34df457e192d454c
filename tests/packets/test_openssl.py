"""docs/verify-with-openssl.md, run as it stands: programs that we did not write verify a packet, and refuse the flaws they look for."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import negative_packets
import pytest
from period_story import PeriodStory

GUIDE = Path(__file__).parents[2] / "docs/verify-with-openssl.md"
TOOLS = ("bash", "unzip", "openssl", "jq", "sha256sum", "xxd", "awk")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not on this machine: {', '.join(missing)}")
    (text,) = re.findall(r"```bash\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "verify.sh").write_text(text, encoding="utf-8")
    return tmp_path


def run(folder: Path, packet: bytes, trust: bytes) -> tuple[int, str]:
    (folder / "p.govpacket").write_bytes(packet)
    (folder / "t.trust").write_bytes(trust)
    done = subprocess.run(["bash", "verify.sh", "p.govpacket", "t.trust"], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_good_packet_verifies(script: Path, story: Any) -> None:
    code, said = run(script, story.packet(), story.trust)
    assert code == 0, said
    assert said == "RC-42, claims-triage: cutover\nVERIFIED: 6 entries in acme.example/ledger, tree of 15\n"


def ranged(trust: bytes, *, log: str = "", issuer: str = "") -> bytes:
    """The trust file with ranges of tree sizes behind its keys."""
    text = re.sub(r"(?m)^(log \S+).*$", rf"\1 {log}", trust.decode())
    return re.sub(r"(?m)^(issuer \S+).*$", rf"\1 {issuer}", text).replace(" \n", "\n").encode()


@pytest.mark.parametrize("sizes", ["", "0..", "15..15", "3..20"])
def test_keys_within_their_ranges_are_believed(script: Path, story: Any, sizes: str) -> None:
    code, said = run(script, story.packet(), ranged(story.trust, log=sizes, issuer=sizes))
    assert code == 0, said


@pytest.mark.parametrize("sizes", ["0..14", "16..", "0..3", "16..14"])
@pytest.mark.parametrize("role", ["log", "issuer"])
def test_a_key_outside_its_range_is_not_believed(script: Path, story: Any, role: str, sizes: str) -> None:
    """So a revoked key shows: its range ends in the trust file."""
    code, said = run(script, story.packet(), ranged(story.trust, **{role: sizes}))
    assert (code, f"is valid for tree sizes {sizes}, not for 15" in said) == (1, True), said
    assert "VERIFIED:" not in said


def test_a_byte_behind_the_zip_is_refused(script: Path, story: Any) -> None:
    code, said = run(script, story.packet() + b"\n", story.trust)
    assert (code, "something follows the end of the zip" in said) == (1, True), said


def test_a_period_packet_is_undecided_and_not_called_forged(script: Path) -> None:
    story = PeriodStory()
    code, said = run(script, story.packet(), story.trust)
    assert (code, "this is a period packet" in said) == (2, True), said


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("file_edited_under_the_seal", 1, "a file is not what the seal says"),
        ("seal_names_a_file_that_is_not_there", 1, "a file is not what the seal says"),
        ("seal_signature_of_another_text", 1, "files/seal.note: the signature by acme.example/issuer does not verify"),
        ("seal_by_a_stranger", 2, "sealed by a key the trust file does not name"),
        ("envelope_wrong_signature", 1, "the statement's signature does not verify"),
        ("envelope_by_a_stranger", 2, "the statement is signed by a key"),
        ("evidence_file_edited", 1, "evidence/pairs.csv does not match its SHA-256"),
        ("report_edited", 1, "report.pdf does not match its SHA-256"),
        ("forged_checkpoint", 1, "checkpoint: the signature by acme.example/ledger does not verify"),
        ("checkpoint_by_a_stranger", 2, "not signed by a log of the trust file"),
        ("event_swapped", 1, "the path leads to another root"),
        ("proof_another_hash", 1, "the path leads to another root"),
        ("proof_one_hash_more", 1, "a path is too long"),
        ("proof_under_another_checkpoint", 1, "is under another checkpoint"),
        ("missing_event", 1, "number 4 of the change's entries is missing"),
        ("missing_last_event", 1, "the entry that issued this packet does not follow the others"),
        ("entry_of_another_predecessor", 1, "events/9.json does not follow the one before it"),
        ("issue_of_another_statement", 1, "records another statement"),
    ],
)
def test_what_it_looks_for_it_finds(script: Path, name: str, code: int, reason: str) -> None:
    found, said = run(script, *negative_packets.build(name))
    assert (found, reason in said) == (code, True), said
    assert "VERIFIED:" not in said
