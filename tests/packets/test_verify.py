"""A good packet verifies; no flipped byte and no truncation does; what cannot be decided is not called wrong."""

import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from governor.errors import Invalid
from governor.ledger.note import COSIGNATURE, VerifierKey, vkey
from governor.packets.report import Report
from governor.packets.verify import verify_packet

VECTORS = Path(__file__).parents[1] / "vectors/packets"


def states(report: Report) -> dict[str, str]:
    return {check.name: check.status for check in report.checks}


def test_a_good_packet_verifies(story: Any) -> None:
    report = verify_packet(story.packet(), story.trust)
    assert report.exit_code == 0, report.text()
    assert states(report) == {
        "container": "ok", "statement": "ok", "events": "ok", "evidence": "ok", "binding": "ok", "approvals": "ok", "policy": "ok", "checkpoint": "ok",
        "redactions": "ok", "timestamp": "none",
    }  # fmt: skip
    assert report.title == "RC-42 route change, claims-triage: gpt-5@azure.openai -> haiku@bedrock"
    assert report.text("acme.trust").endswith("checked offline, no network used")


def test_the_same_story_gives_the_same_bytes(story: Any) -> None:
    assert story.packet() == story.packet()


def test_the_frozen_packet_still_verifies(story: Any) -> None:
    """Made by an earlier state of this program: if this fails, packets in auditors' hands stopped verifying."""
    packet, trust = (VECTORS / "good.govpacket").read_bytes(), (VECTORS / "good.trust").read_bytes()
    assert verify_packet(packet, trust).exit_code == 0
    assert (story.packet(), story.trust) == (packet, trust)


def test_no_flipped_bit_verifies(story: Any) -> None:
    packet, trust, rng = story.packet(), story.trust, random.Random(2026)
    for place in [*rng.sample(range(len(packet)), 800), 0, len(packet) - 1]:
        maimed = bytearray(packet)
        maimed[place] ^= 1 << rng.randrange(8)
        assert verify_packet(bytes(maimed), trust).exit_code == 1, f"byte {place}"


def test_no_replaced_byte_verifies(story: Any) -> None:
    packet, trust, rng = story.packet(), story.trust, random.Random(7)
    for _ in range(200):
        place, value = rng.randrange(len(packet)), rng.randrange(256)
        maimed = packet[:place] + bytes([value]) + packet[place + 1 :]
        if maimed != packet:
            assert verify_packet(maimed, trust).exit_code == 1, f"byte {place}"


def test_no_truncation_and_no_addition_verifies(story: Any) -> None:
    packet, trust, rng = story.packet(), story.trust, random.Random(3)
    for length in [0, 1, len(packet) - 1, *rng.sample(range(len(packet)), 60)]:
        assert verify_packet(packet[:length], trust).exit_code == 1, f"cut at {length}"
    for maimed in (packet + b"\0", b"\0" + packet, packet + packet):
        assert verify_packet(maimed, trust).exit_code == 1


def test_without_a_trust_file_nothing_is_decided(story: Any) -> None:
    assert verify_packet(story.packet(), None).exit_code == 2


def test_an_unknown_issuer_is_undecided_not_wrong(story: Any) -> None:
    other = type(story.issuer)("another issuer")
    trust = story.trust.decode().replace(
        vkey("acme.example/issuer", story.issuer.public_key), vkey("acme.example/issuer", other.public_key)
    )
    report = verify_packet(story.packet(), trust)
    assert states(report)["container"] == "undecided"
    assert "trust file does not name" in report.checks[0].detail


def test_a_packet_of_another_house_is_undecided_and_a_maimed_one_is_not(story: Any) -> None:
    """A trust file that names none of its keys can say nothing; one that names them sees the change."""
    strangers = {name: type(story.issuer)(f"other {name}") for name in ("issuer", "ledger")}
    trust = story.trust.decode()
    for name, own in (("issuer", story.issuer), ("ledger", story.log)):
        trust = trust.replace(vkey(f"acme.example/{name}", own.public_key), vkey(f"acme.example/{name}", strangers[name].public_key))
    report = verify_packet(story.packet(), trust)
    assert "fail" not in states(report).values()
    assert (report.exit_code, report.verdict) == (2, "UNDECIDED")
    packet = story.packet()
    middle = len(packet) // 2
    assert verify_packet(packet[:middle] + bytes([packet[middle] ^ 1]) + packet[middle + 1 :], trust).exit_code == 1


def test_an_unknown_log_is_undecided(story: Any) -> None:
    other = type(story.log)("another log")
    trust = story.trust.decode().replace(vkey("acme.example/ledger", story.log.public_key), vkey("acme.example/ledger", other.public_key))
    report = verify_packet(story.packet(), trust)
    assert (states(report)["checkpoint"], report.exit_code) == ("undecided", 2)


def test_a_key_outside_its_tree_sizes_fails(story: Any) -> None:
    trust = story.trust.decode().replace(" 0..\n", " 1000..\n")
    report = verify_packet(story.packet(), trust)
    assert (states(report)["checkpoint"], report.exit_code) == ("fail", 1)


def test_a_missing_witness_is_undecided_and_a_present_one_dates_the_packet(story: Any) -> None:
    witness = type(story.log)("witness")
    trust = story.trust.decode().replace("quorum none", f"witness w {vkey('witness.example', witness.public_key)}\nquorum w")
    report = verify_packet(story.packet(), trust)
    assert (states(report)["checkpoint"], report.exit_code) == ("undecided", 2)

    plain = story.checkpoint
    when = 1_795_000_000

    def cosigned() -> str:
        note: str = plain()
        text = note.split("\n\n", maxsplit=1)[0] + "\n"
        key = VerifierKey("witness.example", COSIGNATURE, witness.public_key)
        raw = key.key_id + when.to_bytes(8, "big") + witness.sign(f"cosignature/v1\ntime {when}\n{text}".encode())
        return note + f"\u2014 witness.example {base64.b64encode(raw).decode()}\n"

    story.checkpoint = cosigned
    report = verify_packet(story.packet(), trust)
    assert report.exit_code == 0, report.text()
    assert "seen no later than 2026-11-18T" in next(check.detail for check in report.checks if check.name == "checkpoint")


def test_withheld_personal_fields_are_named(story: Any) -> None:
    story.show_personal = False
    report = verify_packet(story.packet(), story.trust)
    assert report.exit_code == 0
    assert "2 personal fields withheld" in next(check.detail for check in report.checks if check.name == "redactions")
    assert b"rita@acme.example" not in story.packet()


def test_a_rejected_change_verifies_as_rejected(story: Any, chapter: Callable[..., Any]) -> None:
    digest = story.document["change"]["digest"]
    story.chapters[3:] = [chapter("change:reject", story.chapters[3].actor, {"change": "RC-42", "digest": digest, "role": "owner"})]
    story.document["change"]["state"] = "rejected"
    report = verify_packet(story.packet(), story.trust)
    assert report.exit_code == 0, report.text()
    assert "not approved: rejected by owner" in next(check.detail for check in report.checks if check.name == "approvals")


def test_a_malformed_trust_file_is_the_callers_error(story: Any) -> None:
    with pytest.raises(Invalid, match="quorum"):
        verify_packet(story.packet(), b"# a comment alone\n")


def test_the_command_needs_no_home_and_opens_no_connection(story: Any, tmp_path: Path) -> None:
    """Runs `packet verify` alone, with sockets and heavy libraries forbidden."""
    (tmp_path / "a.govpacket").write_bytes(story.packet())
    (tmp_path / "a.trust").write_bytes(story.trust)
    program = """
import sys, socket
def refuse(*_, **__): raise AssertionError("network")
socket.socket = socket.create_connection = socket.getaddrinfo = refuse
from typer.testing import CliRunner
from governor.cli_packet import app
"""
    program = program.replace(
        "from governor.cli_packet import app",
        "import importlib.util, pathlib, governor\n"
        "path = pathlib.Path(governor.__file__).parent / 'cli' / 'packet.py'\n"
        "spec = importlib.util.spec_from_file_location('packet_door', path); door = importlib.util.module_from_spec(spec); spec.loader.exec_module(door)\n"
        "heavy = {'duckdb', 'sqlmodel', 'sqlalchemy', 'litestar', 'pyarrow', 'numpy', 'jsonschema', 'weasyprint', 'httpx'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "result = CliRunner().invoke(door.app, ['verify', *sys.argv[1:]])\n"
        "print(result.output); sys.exit(result.exit_code)",
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=tmp_path,
            env={"HOME": "/nonexistent"},
            capture_output=True,
            text=True,
            check=False,
        )

    done = run("a.govpacket", "--trust", "a.trust")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "VERIFIED against trust policy a.trust" in done.stdout
    assert run("a.govpacket").returncode == 2
    assert run().returncode == 64
    assert run("nowhere.govpacket", "--trust", "a.trust").returncode == 64
    assert run("a.govpacket", "--trust", "a.trust", "--wish").returncode == 64
    (tmp_path / "b.govpacket").write_bytes(story.packet()[:-9])
    assert run("b.govpacket", "--trust", "a.trust").returncode == 1


def test_the_report_as_data(story: Any) -> None:
    document = json.loads(json.dumps(verify_packet(story.packet(), story.trust).as_dict()))
    assert (document["result"], document["exit_code"]) == ("VERIFIED", 0)
    assert [check["name"] for check in document["checks"]][:2] == ["container", "statement"]


def test_no_checks_is_not_a_pass() -> None:
    assert Report("t", "s", "").exit_code == 1
    assert replace(Report("t", "s", ""), checks=[]).verdict == "FAILED"
