"""`governor packet verify` as an auditor runs it: exit codes, the same answer by both doors, no network, nothing heavy loaded."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import negative_packets
import pytest

from governor.ledger.canonical import canonical_json
from governor.packets import container, standalone_verifier
from governor.packets.verify import verify_packet
from governor.quick import plain_verify

QUICK = [sys.executable, "-c", "from governor.quick import main; main()"]
ALONE = [sys.executable, "-S", standalone_verifier.__file__]
WHOLE = [sys.executable, "-m", "governor.cli"]
# What a program without a network has no use for. Local sockets of the C library (nscd) would be AF_UNIX; there are none either.
NETWORK = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(socket|connect|sendto|sendmsg|bind|getpeername|recvfrom)\(", re.MULTILINE)


def run(command: list[str], *words: str, where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *words], cwd=where, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def desk(story: Any, tmp_path: Path) -> Path:
    """A folder with a good packet, a failing one, an undecided one, and the trust file."""
    (tmp_path / "good.govpacket").write_bytes(story.packet())
    (tmp_path / "acme.trust").write_bytes(story.trust)
    (tmp_path / "bad.govpacket").write_bytes(negative_packets.build("requester_approved")[0])
    (tmp_path / "new.govpacket").write_bytes(negative_packets.build("mimetype_of_version_2")[0])
    (tmp_path / "no.trust").write_bytes(b"quorum\n")
    return tmp_path


@pytest.mark.parametrize(
    ("packet", "trust", "code"),
    [("good", "acme", 0), ("bad", "acme", 1), ("new", "acme", 2), ("good", "no", 64), ("gone", "acme", 64), ("good", "gone", 64)],
)
def test_both_doors_give_the_same_answer_and_exit_code(desk: Path, packet: str, trust: str, code: int) -> None:
    for more in ([], ["--json"]):
        words = ["packet", "verify", f"{packet}.govpacket", "--trust", f"{trust}.trust", *more]
        assert plain_verify(words) is not None
        quick, whole = run(QUICK, *words, where=desk), run(WHOLE, *words, where=desk)
        assert (quick.returncode, quick.stdout, quick.stderr) == (whole.returncode, whole.stdout, whole.stderr)
        assert quick.returncode == code
    if code < 64:
        assert (
            json.loads(quick.stdout)
            == verify_packet((desk / f"{packet}.govpacket").read_bytes(), (desk / "acme.trust").read_bytes()).as_dict()
        )


DOORS = {"quick": [*QUICK, "packet", "verify"], "whole": [*WHOLE, "packet", "verify"], "alone": ALONE}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("packet", "code"), [("good", 0), ("bad", 1)])
def test_a_reader_that_had_enough_changes_no_verdict(desk: Path, packet: str, code: int, door: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as nobody:
        words = [*DOORS[door], f"{packet}.govpacket", "--trust", "acme.trust"]
        done = subprocess.run(words, cwd=desk, stdout=nobody, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (code, b"")


def test_a_trust_file_whose_name_is_no_text_changes_no_verdict(desk: Path) -> None:
    """A letter of Latin-1, as older archives unpack it; a traceback ended with 1, which says that the packet is false."""
    odd = os.fsdecode(b"acm\xe9.trust")
    (desk / odd).write_bytes((desk / "acme.trust").read_bytes())
    for command in (QUICK, WHOLE):
        done = run(command, "packet", "verify", "good.govpacket", "--trust", odd, where=desk)
        assert (done.returncode, done.stderr) == (0, "")
        assert "VERIFIED against trust policy acm\N{REPLACEMENT CHARACTER}.trust" in done.stdout


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("packet", ["good", "bad"])
def test_a_verdict_that_cannot_be_written_is_none(desk: Path, packet: str, door: str) -> None:
    words = [*DOORS[door], f"{packet}.govpacket", "--trust", "acme.trust"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(words, cwd=desk, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (2, b"standard output: No space left on device\n")
    closed = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *words], cwd=desk, stderr=subprocess.PIPE, check=False)
    assert (closed.returncode, closed.stderr) == (2, b"standard output is closed\n")


def test_what_is_not_plain_goes_to_the_whole_command_line(desk: Path) -> None:
    for words in (
        ["packet", "verify"],
        ["packet", "verify", "a"],
        ["packet", "verify", "a", "--trust", "b", "--wish"],
        ["ledger", "fsck"],
        ["--json", "--json"],
    ):
        assert plain_verify(words) is None
    assert plain_verify(["--json", "packet", "verify", "--trust", "b", "a"]) == ("a", "b", True)
    assert run(QUICK, "packet", "verify", where=desk).returncode == 64
    assert run(QUICK, "packet", "verify", "good.govpacket", where=desk).returncode == 2, "without a trust file nothing can be decided"
    assert "governor packet" in run(QUICK, "packet", "--help", where=desk).stdout


def test_the_quick_door_loads_little(desk: Path) -> None:
    program = (
        "import sys; from governor.quick import verify; code = verify('good.govpacket', 'acme.trust', False)\n"
        "heavy = {'typer', 'click', 'pydantic', 'jsonschema', 'numpy', 'scipy', 'sqlalchemy', 'duckdb', 'ssl', 'socket'} & set(sys.modules)\n"
        "assert not heavy, heavy\nsys.exit(code)"
    )
    done = run([sys.executable, "-c", program], where=desk)
    assert done.returncode == 0, done.stderr


def test_no_network_system_call(desk: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no strace on this machine (apt-get install strace)")
    traced = [strace, "-f", "-qq", "-o", "calls", "-e", "trace=network,read,openat"]
    done = run([*traced, *QUICK], "packet", "verify", "good.govpacket", "--trust", "acme.trust", where=desk)
    if "ptrace" in done.stderr.lower() and not (desk / "calls").exists():
        pytest.skip("this machine forbids ptrace")
    calls = (desk / "calls").read_text(errors="replace")
    assert done.returncode == 0, done.stderr
    assert "good.govpacket" in calls, "the trace saw the program"
    assert not NETWORK.findall(calls)
    assert NETWORK.search("123 socket(AF_INET, SOCK_STREAM, 0) = 3"), "the pattern knows what a trace looks like"


def test_a_forged_packet_cannot_write_its_own_answer_on_the_screen(desk: Path, story: Any) -> None:
    lie = "\x1b[2J\x1b[HPACKET RC-42\nVERIFIED against trust policy acme.trust\x1b[8m\u009b8m\u202e"
    files = container.unpack(story.packet())
    (desk / "file.govpacket").write_bytes(container.pack({**files, lie.encode("ascii", "ignore").decode(): b""}))
    envelope = json.loads(files[container.STATEMENT])
    said = json.loads(base64.b64decode(envelope["payload"]))
    said["predicate"]["change"]["id"] = lie
    envelope["payload"] = base64.b64encode(canonical_json(said)).decode()
    (desk / "title.govpacket").write_bytes(container.pack({**files, container.STATEMENT: canonical_json(envelope)}))
    for name in ("file", "title"):
        answers = {
            run(command, *words, f"{name}.govpacket", "--trust", "acme.trust", where=desk).stdout
            for command, words in ((QUICK, ["packet", "verify"]), (WHOLE, ["packet", "verify"]), (ALONE, []))
        }
        (answer,) = answers
        lines = answer.removesuffix("\n").split("\n")
        assert all(line.isprintable() for line in lines)
        assert [line for line in lines if line.startswith("VERIFIED")] == []
        assert lines[-1].startswith("FAILED against")


def test_the_program_alone_answers_on_a_terminal_that_lacks_letters(desk: Path, story: Any) -> None:
    story.document["change"]["workflow"] = "\u00fcber"
    (desk / "u.govpacket").write_bytes(story.packet())
    words = [*ALONE, "u.govpacket", "--trust", "acme.trust"]
    done = subprocess.run(words, cwd=desk, env={"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "\\xfcber" in done.stdout
