"""From a decided change to a packet that verifies with nothing but the trust file."""

import base64
import io
import json
import shutil
import subprocess
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import SQLModel, select

from governor.actions.context import open_context
from governor.actions.cutover import cutover
from governor.actions.decide import approve, reject
from governor.actions.export_packet import export_packet, renderer
from governor.actions.export_period import export_period
from governor.actions.export_trust import export_trust
from governor.actions.show_change import show_change
from governor.actions.verify_ledger import current_checkpoint, prove_entry, verify_ledger
from governor.cli.change_text import print_change
from governor.errors import Forbidden, IntegrityError, MissingEvidence, NotFound, WrongState
from governor.ledger import merkle
from governor.ledger.canonical import canonical_json, sha256_hex
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.entry import Disclosure
from governor.ledger.note import parse_note
from governor.ledger.proof import parse_proof
from governor.packets.verify import verify_packet
from governor.store.rows.changes import EvidenceFile
from tests.actions.conftest import CATALOG


def approved(world: Any) -> str:
    change = world.reviewed()
    approve(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="evidence read")
    world.later(minutes=5)
    approve(world.ctx, world.person("sol"), change["id"], digest=change["digest"], reason="no new exposure")
    world.later(minutes=5)
    return str(change["id"])


@pytest.mark.parametrize("less", [{"roles": frozenset()}, {"scopes": frozenset({"read"})}], ids=["no role", "a token that reads"])
def test_packets_are_issued_by_who_holds_a_role(world: Any, less: dict[str, Any]) -> None:
    change, actor = approved(world), replace(world.person("ada"), **less)
    for attempt in (lambda: export_packet(world.ctx, actor, change), lambda: export_period(world.ctx, actor, f"{world.ctx.now():%Y-%m}")):
        with pytest.raises(Forbidden):
            attempt()
    assert not [one for one in world.entries() if one["type"].startswith("packet:")]


def detail(report: Any, name: str) -> str:
    return next(check.detail for check in report.checks if check.name == name)


def unzip(packet: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packet)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_an_approved_change_becomes_a_packet_that_verifies(world: Any) -> None:
    change = approved(world)
    packet, trust = export_packet(world.ctx, world.person("ada"), change), export_trust(world.ctx)
    report = verify_packet(packet, trust)
    assert report.exit_code == 0, report.text()
    assert detail(report, "approvals") == (
        "2 distinct people (owner, security), neither requester nor evidence author, not cut over yet; "
        "none signed by passkey; weaker (password or token): owner, security"
    )
    assert "re-derived" in detail(report, "binding")
    assert detail(report, "events").startswith(f"6 of 6 in ledger {world.ctx.keys.origin(world.ctx.org)}")
    files = unzip(packet)
    assert files["report.pdf"].startswith(b"%PDF-1.7")
    assert json.loads(files["packet.event.json"])["actor"]["roles"] == ["auditor"]


def test_a_packet_tells_the_workflow_that_was_in_force_when_the_change_was_requested(world: Any) -> None:
    world.apply(CATALOG.replace('"12000"', '"9000"'))
    world.later(minutes=1)
    world.apply(CATALOG.replace("risk_tier: high", "risk_tier: low\nvalid_from: 2027-01-01"))  # planned, and written down last
    world.later(minutes=1)
    change = approved(world)
    world.apply(CATALOG.replace('"12000"', '"1000"'))
    told = json.loads(
        base64.b64decode(json.loads(unzip(export_packet(world.ctx, world.person("ada"), change))["statement.dsse.json"])["payload"])
    )
    assert (told["predicate"]["workflow"]["risk_tier"], told["predicate"]["workflow"]["monthly_budget"]) == ("high", "9000")


def test_the_same_state_gives_the_same_bytes_whoever_asks(world: Any) -> None:
    change = approved(world)
    first = export_packet(world.ctx, world.person("ada"), change)
    world.later(days=1)
    world.propose("rae")  # other business on the ledger
    assert export_packet(world.ctx, world.person("rae"), change) == first
    assert len(world.entries("packet:issue")) == 1


def test_the_same_bytes_are_made_anew_and_not_kept(world: Any) -> None:
    """Another context, without anything the first one holds in memory, assembles and prints the packet again."""
    change = approved(world)
    first = export_packet(world.ctx, world.person("ada"), change)
    actor = world.person("ada")
    other = open_context(world.ctx.settings)
    try:
        other.now = lambda: world.ctx.now() + timedelta(days=40)
        assert export_packet(other, actor, change) == first
    finally:
        other.close()
    with world.ctx.rows.session() as session:
        for table in SQLModel.metadata.sorted_tables:
            for row in session.execute(table.select()).all():
                assert not any(isinstance(value, bytes) and value.startswith((b"PK", b"%PDF")) for value in row), table.name


ANSWERS = (  # a question's heading, and words of its answer that stand before the next heading
    ("What changed?", "gpt-4o"),
    ("Was it allowed?", "Allowed. Policy bundle"),
    ("What did the shadow test show?", "replayed calls"),
    ("Who answered, and when", "2 November 2026"),
    ("What will it cost?", "USD"),
    ("What is not proven", "read what they approved"),
    ("How to verify", "governor packet verify"),
)


def test_the_report_answers_in_the_order_an_auditor_asks(world: Any, tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(unzip(export_packet(world.ctx, world.person("ada"), approved(world)))["report.pdf"])
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed on this machine")
    done = subprocess.run(["pdftotext", "report.pdf", "-"], cwd=tmp_path, capture_output=True, text=True, check=True)
    text = " ".join(done.stdout.split())
    places = [text.index(heading) for heading, _ in ANSWERS]
    assert places == sorted(places)
    for (heading, words), begin, end in zip(ANSWERS, places, [*places[1:], len(text)], strict=True):
        assert words in text[begin:end], (heading, text[begin:end])


def test_a_new_state_is_a_new_packet_and_the_first_still_verifies(world: Any) -> None:
    change = approved(world)
    first = export_packet(world.ctx, world.person("ada"), change)
    cutover(world.ctx, world.person("rae"), change)
    second = export_packet(world.ctx, world.person("ada"), change)
    assert second != first
    trust = export_trust(world.ctx)
    report = verify_packet(second, trust)
    assert report.exit_code == 0, report.text()
    assert detail(report, "events").startswith("8 of 8"), "the earlier issue is part of the story"
    assert "all before cutover" in detail(report, "approvals")
    assert verify_packet(first, trust).exit_code == 0
    assert export_packet(world.ctx, world.person("ada"), change) == second


def test_people_are_named_for_a_recipient_only(world: Any) -> None:
    change = approved(world)
    plain = export_packet(world.ctx, world.person("ada"), change)
    named = export_packet(world.ctx, world.person("ada"), change, recipient="Auditors LLP")
    trust = export_trust(world.ctx)
    for packet in (plain, named):
        assert verify_packet(packet, trust).exit_code == 0, verify_packet(packet, trust).text()
    assert not [name for name, body in unzip(plain).items() if b"@acme.example" in body]
    assert export_packet(world.ctx, world.person("ada"), change, recipient="Auditors LLP") == named, "same state, same bytes"
    assert b"dana@acme.example" in unzip(named)["evidence/people.json"]
    shown = [
        Disclosure("", found).value for name, body in unzip(plain).items() if name.startswith("disclosures/") for found in json.loads(body)
    ]
    assert sorted(shown) == ["evidence read", "no new exposure", "same quality for less"]
    assert export_packet(world.ctx, world.person("ada"), change, recipient="Auditors LLP") == named
    assert export_packet(world.ctx, world.person("ada"), change) == plain


def test_a_rejected_change_has_a_packet_too(world: Any) -> None:
    change = world.reviewed()
    reject(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="not now")
    report = verify_packet(export_packet(world.ctx, world.person("ada"), change["id"]), export_trust(world.ctx))
    assert report.exit_code == 0, report.text()
    assert detail(report, "approvals") == "not approved: rejected by owner"


def test_a_pass_after_other_verdicts_says_so_on_page_terminal_and_report(
    world: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change = str(world.propose()["id"])
    world.shadow(change)
    assert show_change(world.ctx, change)["earlier_runs"] == ""
    world.shadow(change, worse=60)
    world.shadow(change)
    shown = show_change(world.ctx, change)
    assert shown["verdict"]["verdict"] == "pass"
    assert shown["earlier_runs"].startswith("This is run 3 of this change; before it: pass, fail.")
    print_change(shown)
    assert "before it: pass, fail." in capsys.readouterr().out
    printed: list[dict[str, Any]] = []
    press = renderer("packet_pdf")
    monkeypatch.setattr("governor.actions.export_packet.renderer", lambda _name: lambda found: printed.append(found) or press(found))
    reject(world.ctx, world.person("dana"), change, digest=shown["digest"], reason="not now")
    assert verify_packet(export_packet(world.ctx, world.person("ada"), change), export_trust(world.ctx)).exit_code == 0
    assert "before it: pass, fail." in printed[0]["earlier"]


def test_what_is_not_decided_has_no_packet(world: Any) -> None:
    change = world.reviewed()
    with pytest.raises(WrongState):
        export_packet(world.ctx, world.person("ada"), change["id"])
    with pytest.raises(NotFound):
        export_packet(world.ctx, world.person("ada"), "RC-999")


def test_evidence_that_was_touched_or_lost_stops_the_export(world: Any) -> None:
    change = approved(world)
    with world.ctx.rows.session(write=True) as session:
        file = session.exec(select(EvidenceFile).where(EvidenceFile.name == "verdict.json")).one()
        file.body += b" "
        session.add(file)
    with pytest.raises(IntegrityError, match=r"verdict\.json"):
        export_packet(world.ctx, world.person("ada"), change)
    with world.ctx.rows.session(write=True) as session:
        session.execute(text("DELETE FROM evidencefile WHERE name = 'verdict.json'"))
    with pytest.raises(MissingEvidence, match=r"verdict\.json"):
        export_packet(world.ctx, world.person("ada"), change)


@pytest.mark.parametrize(
    ("attack", "name"),
    {
        'UPDATE change SET request = replace(request, \'"model":"gpt-4.1-mini"\', \'"model":"gpt-4o-mini"\')': "request",
        "UPDATE change SET workflow_id = 'claims-payout'": "change.workflow",
        "UPDATE change SET created_at = '2026-01-01 10:00:00.000000'": "change.requested_at",
        "UPDATE change SET decided_at = '2026-01-01 10:00:00.000000'": "change.decided_at",
        "UPDATE change SET plan = '{}'": "plan",
        'UPDATE change SET verification = \'{"share":"100.0"}\'': "verification",
        "UPDATE shadowrun SET spent_pico = 1": "shadow.spent_pico",
        "UPDATE shadowrun SET author = 'x'": "shadow.author",
    }.items(),
)
def test_rows_that_were_rewritten_make_no_packet(world: Any, attack: str, name: str) -> None:
    """An administrator who edits a row cannot make a packet say so: none is issued, and nothing is recorded."""
    change = approved(world)
    with world.ctx.rows.session(write=True) as session:
        session.execute(text(attack))
    with pytest.raises(IntegrityError, match=rf"{change}: .*\b{name}"):
        export_packet(world.ctx, world.person("ada"), change)
    assert not world.entries("packet:issue")


def test_the_note_of_a_cutover_is_the_one_on_record(world: Any) -> None:
    change = approved(world)
    cutover(world.ctx, world.person("rae"), change, note="moved at noon")
    with world.ctx.rows.session(write=True) as session:
        session.execute(text("UPDATE change SET cutover_note = 'the board agreed'"))
    packet = export_packet(world.ctx, world.person("ada"), change)
    report, told = verify_packet(packet, export_trust(world.ctx)), json.loads(unzip(packet)["statement.dsse.json"])
    assert report.exit_code == 0, report.text()
    assert json.loads(base64.b64decode(told["payload"]))["predicate"]["change"]["cutover_note"] == "moved at noon"


def test_the_log_checks_itself_and_proves_an_entry(world: Any) -> None:
    approved(world)
    found = verify_ledger(world.ctx)
    assert found.ok, found.problems
    assert found.checked == found.size > 10
    assert verify_ledger(world.ctx, tail=3).checked == 3
    checkpoint = parse_checkpoint(parse_note(current_checkpoint(world.ctx)).text)
    entry = world.entries("change:propose")[0]["id"]
    leaf, proof_text = prove_entry(world.ctx, entry)
    proof = parse_proof(proof_text)
    merkle.verify_inclusion(proof.index, checkpoint.size, merkle.leaf_hash(leaf), proof.hashes, checkpoint.root)
    assert prove_entry(world.ctx, str(proof.index)) == (leaf, proof_text)
    for stranger in ("999999", "9" * 30):
        with pytest.raises(NotFound):
            prove_entry(world.ctx, stranger)


def test_no_personal_data_in_any_leaf(world: Any) -> None:
    approved(world)
    for entry in world.entries():
        body = canonical_json(entry)
        assert b"@acme.example" not in body, entry["type"]
        assert b"same quality for less" not in body, entry["type"]
    assert sha256_hex(export_trust(world.ctx).encode())


def test_a_change_shows_who_asked_for_the_same_model_before_and_what_came_of_it(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever is refused may propose again until a run passes by chance."""
    first = str(world.propose()["id"])
    world.shadow(first, worse=60)
    refused = show_change(world.ctx, first)
    reject(world.ctx, world.person("dana"), first, digest=refused["digest"], reason="worse")
    other = str(world.propose(candidate="openai/gpt-4.1-nano@us-east-1")["id"])
    again = show_change(world.ctx, str(world.propose()["id"]))
    assert (refused["asked_before"], show_change(world.ctx, other)["asked_before"]) == ([], [])
    [before] = again["asked_before"]
    assert (before["id"], before["state"], before["verdicts"]) == (first, "rejected", ["fail"])
    print_change(again)
    assert f"asked for in {first} of {before['asked_at'][:10]} (rejected; shadow run: fail)" in capsys.readouterr().out
