"""A quarter exported from a real home: verified with nothing but the trust file, by three programs, the same bytes for the same state."""

import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from governor.actions.decide import approve, reject
from governor.actions.export_packet import export_packet
from governor.actions.export_period import export_period
from governor.actions.export_trust import export_trust
from governor.errors import Invalid, NotFound
from governor.packets import standalone_verifier
from governor.packets.verify import verify_packet
from governor.store.rows.ledger import LedgerDisclosure, LedgerEntry


def unzip(packet: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packet)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def quarter(world: Any) -> str:
    now = world.ctx.now()
    return f"{now.year}-Q{(now.month + 2) // 3}"


def decided(world: Any) -> None:
    first = world.reviewed()
    approve(world.ctx, world.person("dana"), first["id"], digest=first["digest"], reason="evidence read")
    world.later(minutes=5)
    approve(world.ctx, world.person("sol"), first["id"], digest=first["digest"], reason="no new exposure")
    world.later(minutes=5)


def detail(report: Any, name: str) -> str:
    return next(check.detail for check in report.checks if check.name == name)


def test_a_quarter_verifies_and_the_same_state_gives_the_same_bytes(world: Any) -> None:
    decided(world)
    name = quarter(world)
    packet, trust = export_period(world.ctx, world.person("ada"), name), export_trust(world.ctx)
    report = verify_packet(packet, trust)
    assert report.exit_code == 0, report.text()
    assert "none missing, so far, until" in detail(report, "range")
    assert detail(report, "changes").startswith("1 change (1 approved)")
    assert detail(report, "approvals").startswith("1 of 1 change approved")
    believed = standalone_verifier.Trust(trust.encode())
    assert [line[:2] for line in standalone_verifier.verify(packet, believed)[1]] == [(one.name, one.status) for one in report.checks]
    assert export_period(world.ctx, world.person("rae"), name) == packet
    assert len(world.entries("period:issue")) == 1
    assert not [file for file, body in unzip(packet).items() if b"@acme.example" in body]


def test_later_business_makes_another_packet_and_the_first_still_verifies(world: Any) -> None:
    decided(world)
    name, trust = quarter(world), export_trust(world.ctx)
    first = export_period(world.ctx, world.person("ada"), name)
    other = world.reviewed()
    reject(world.ctx, world.person("sol"), other["id"], digest=other["digest"], reason="no")
    second = export_period(world.ctx, world.person("ada"), name)
    assert second != first
    for packet in (first, second):
        assert verify_packet(packet, trust).exit_code == 0
    assert "(1 approved, 1 rejected)" in detail(verify_packet(second, trust), "changes")


def test_a_quarter_that_is_over_is_whole_and_stays_the_same(world: Any) -> None:
    decided(world)
    name, trust = quarter(world), export_trust(world.ctx)
    world.later(days=100)
    whole = export_period(world.ctx, world.person("ada"), name)  # the issue itself is the entry after the period
    assert "none missing, the whole period" in detail(verify_packet(whole, trust), "range")
    world.propose("rae")
    assert export_period(world.ctx, world.person("ada"), name) == whole
    assert verify_packet(whole, trust).exit_code == 0


def test_more_files_than_a_packet_holds_are_refused_before_anything_is_issued(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    decided(world)
    whole = export_period(world.ctx, world.person("ada"), quarter(world), recipient="Auditors LLP")
    monkeypatch.setattr("governor.actions.export_period.MAX_FILES", len(unzip(whole)) - 1)
    with pytest.raises(Invalid, match=r"files; one holds"):
        export_period(world.ctx, world.person("ada"), quarter(world), recipient="Others LLP")
    assert len(world.entries("period:issue")) == 1
    assert export_period(world.ctx, world.person("ada"), quarter(world))  # without names there are fewer


def test_a_period_of_too_many_entries_is_told_of_shorter_ones(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governor.actions.export_period.MAX_ENTRIES", 2)
    for name, hint in (
        (quarter(world), "single months"),
        (f"{world.ctx.now():%Y}", "single months"),
        (f"{world.ctx.now():%Y-%m}", "packets of its days"),
        (f"{world.ctx.now():%Y-%m-%d}", "no period is shorter than a day"),
    ):
        with pytest.raises(Invalid, match="one packet holds 2") as refused:
            export_period(world.ctx, world.person("ada"), name)
        assert hint in refused.value.hint


def test_a_day_verifies_and_days_of_a_month_leave_nothing_out(world: Any) -> None:
    decided(world)
    day = f"{world.ctx.now():%Y-%m-%d}"
    packet = export_period(world.ctx, world.person("ada"), day)
    report = verify_packet(packet, export_trust(world.ctx))
    assert report.exit_code == 0, report.text()
    assert f"entries of {day} (UTC), 0.." in detail(report, "range")
    with pytest.raises(NotFound, match="nothing was recorded"):
        export_period(world.ctx, world.person("ada"), f"{world.ctx.now() - timedelta(days=1):%Y-%m-%d}")


def test_the_first_period_of_a_log_takes_one_entry_from_after_it_however_many_there_are(world: Any) -> None:
    name, trust = quarter(world), export_trust(world.ctx)
    world.later(days=100)
    for _ in range(3):
        world.propose("rae")
    report = verify_packet(export_period(world.ctx, world.person("ada"), name), trust)
    assert report.exit_code == 0, report.text()
    assert "none missing, the whole period" in detail(report, "range")


def test_people_are_named_for_a_recipient_only(world: Any) -> None:
    decided(world)
    named = export_period(world.ctx, world.person("ada"), quarter(world), recipient="Auditors LLP")
    report = verify_packet(named, export_trust(world.ctx))
    assert report.exit_code == 0, report.text()
    assert b"dana@acme.example" in unzip(named)["evidence/people.json"]
    assert "personal fields shown" in detail(report, "redactions") or " shown; commitments intact" in detail(report, "redactions")
    assert export_period(world.ctx, world.person("ada"), quarter(world), recipient="Auditors LLP") == named


def test_periods_that_cannot_be_packed(world: Any) -> None:
    for name, error in (("2026-Q5", Invalid), ("last month", Invalid), ("2999-01", Invalid), ("2001-Q1", NotFound)):
        with pytest.raises(error):
            export_period(world.ctx, world.person("ada"), name)


def test_controls_say_what_supports_evidence_and_claim_nothing(world: Any) -> None:
    decided(world)
    change = export_packet(world.ctx, world.person("ada"), "RC-1")
    for files in (unzip(change), unzip(export_period(world.ctx, world.person("ada"), quarter(world)))):
        found = json.loads(files["evidence/controls.json"])
        assert {row["relation"] for row in found["controls"]} == {"supports evidence for"}
        assert {"FINOS AIR", "NIST AI RMF", "ISO/IEC 42001", "EU AI Act", "SOC 2", "SR 11-7"} <= {
            row["framework"] for row in found["controls"]
        }
        for row in found["controls"]:
            for name in row["files"]:
                assert name in files or any(file.startswith(name) for file in files if name.endswith("/")), name
        assert "compliant" not in files["evidence/controls.json"].decode().lower()


def test_no_personal_byte_is_in_any_leaf_of_a_lived_in_ledger(world: Any) -> None:
    decided(world)
    export_period(world.ctx, world.person("ada"), quarter(world), recipient="Auditors LLP")
    with world.ctx.rows.session() as session:
        leaves = b"\n".join(row.leaf for row in session.exec(select(LedgerEntry)).all())
        held = session.exec(select(LedgerDisclosure)).all()
    assert held
    for secret in (b"@acme.example", b"Auditors LLP", b"evidence read", b"no new exposure"):
        assert secret not in leaves
