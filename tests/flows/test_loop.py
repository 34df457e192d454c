"""The governed loop through the public doors: traffic in, usage, a change with evidence and two decisions, a packet, the month closed."""

import json
import os
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from governor.demo.catalog import catalog_yaml
from governor.demo.guide import Guide
from governor.demo.run import CANDIDATE, FINANCE, OWNER, REQUESTER, SECURITY, WORKFLOW, last_month
from governor.demo.traffic import Month, make_month
from governor.errors import GovernorError
from governor.packets.verify import verify_packet

ADMIN = "admin@acme.example"
MONTH = last_month(datetime.now(UTC))
PEOPLE = {"owner": OWNER, "security": SECURITY, "finance": FINANCE, "admin": ADMIN}


@pytest.fixture(scope="module")
def loaded(installation: Guide, tmp_path_factory: pytest.TempPathFactory) -> tuple[Guide, Month]:
    """Catalog applied, people with tokens, a small month ingested."""
    folder = tmp_path_factory.mktemp("traffic")
    catalog = folder / "catalog.yaml"
    until = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
    catalog.write_text(catalog_yaml(os.environ["TEST_ENDPOINT"], until).replace("GOVERNOR_DEMO_SHADOW_KEY", "SHADOW_KEY"))
    installation.do("apply", "-f", str(catalog), person=ADMIN)
    for email in (REQUESTER, OWNER, SECURITY, FINANCE):
        installation.tokens[email] = installation.do("token", "create", email, person=ADMIN)["token"]
    month = make_month(folder / "month", MONTH, calls=4000)
    counts = installation.do("ingest", "litellm", *[str(path) for path in month.files], person=ADMIN)
    assert counts["read"] == month.counts["records"] + month.counts["duplicates"]
    assert counts["duplicates"] == month.counts["duplicates"]
    assert counts["stored"] == month.counts["records"]
    return installation, month


def test_applying_the_same_catalog_again_changes_nothing(loaded: tuple[Guide, Month], tmp_path: Path) -> None:
    guide, _ = loaded
    catalog = tmp_path / "catalog.yaml"
    until = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
    catalog.write_text(catalog_yaml(os.environ["TEST_ENDPOINT"], until).replace("GOVERNOR_DEMO_SHADOW_KEY", "SHADOW_KEY"))
    assert not guide.do("apply", "-f", str(catalog), person=ADMIN)["changes"]


def test_ingesting_the_same_file_three_times_gives_identical_totals(loaded: tuple[Guide, Month]) -> None:
    guide, month = loaded
    before = guide.do("usage", "--period", MONTH, person=ADMIN)["rows"]
    for _ in range(2):
        counts = guide.do("ingest", "auto", str(month.files[0]), person=ADMIN)
        assert counts["stored"] == counts["conflicts"] == counts["quarantined"] == 0
        assert counts["read"] == counts["duplicates"]
    assert guide.do("usage", "--period", MONTH, person=ADMIN)["rows"] == before


def test_usage_adds_up_whichever_way_it_is_cut(loaded: tuple[Guide, Month]) -> None:
    guide, month = loaded
    totals = set()
    for by in ("workflow", "provider,model", "status", "owner,cost_center", "day"):
        rows = guide.do("usage", "--period", MONTH, "--by", by, person=ADMIN)["rows"]
        totals.add((sum(row["calls"] for row in rows), sum(Decimal(row["contracted_cost"]) for row in rows)))
    assert len(totals) == 1
    assert totals.pop()[0] == month.counts["records"]


def test_contract_prices_are_below_list_for_gpt_4o_only(loaded: tuple[Guide, Month]) -> None:
    guide, _ = loaded
    rows = guide.do("usage", "--period", MONTH, "--by", "model", person=ADMIN)["rows"]
    assert len(rows) > 1
    for row in rows:
        cheaper = Decimal(row["contracted_cost"]) < Decimal(row["list_cost"])
        assert cheaper == row["model"].startswith("gpt-4o-2024"), row


def test_findings_name_the_planted_warts(loaded: tuple[Guide, Month]) -> None:
    guide, _ = loaded
    findings = guide.do("findings", "--period", MONTH, person=ADMIN)["findings"]
    found = {(finding["rule"], finding["workflow"]) for finding in findings}
    assert ("model.approved", "seo-brief") in found
    assert any(workflow in {"reply-draft", "ad-copy"} for rule, workflow in found if rule.startswith("fallback"))
    assert all(finding["calls"] > 0 for finding in findings)


def test_a_change_from_proposal_to_verified_packet(loaded: tuple[Guide, Month], tmp_path: Path) -> None:
    guide, _ = loaded
    words = ("--workflow", WORKFLOW, "--candidate", CANDIDATE, "--endpoint", "gateway-shadow", "--sample", "120")
    change = guide.do(
        "change", "propose", *words, "--margin", "quality=0.1", "--budget-usd", "5", "--reason", "same quality for less", person=REQUESTER
    )
    number = change["id"]
    with pytest.raises(GovernorError) as early:
        guide.do("change", "approve", number, "--digest", change["digest"], "--reason", "too early", person=OWNER)
    assert early.value.code == "missing_evidence"

    guide.do("change", "shadow", number, "--wait", person=REQUESTER)
    shown = guide.do("change", "show", number, person=OWNER)
    assert shown["state"] == "in_review"
    assert shown["verdict"]["verdict"] in {"pass", "fail", "inconclusive"}

    with pytest.raises(GovernorError) as own:
        guide.do("change", "approve", number, "--digest", shown["digest"], "--reason", "my own", person=REQUESTER)
    assert own.value.code == "separation_of_duties"
    with pytest.raises(GovernorError) as stale:
        guide.do("change", "approve", number, "--digest", "0" * 64, "--reason", "old page", person=OWNER)
    assert stale.value.code == "stale_approval"

    assert {need["role"] for need in shown["needs"]} >= {"owner"}
    assert len(shown["needs"]) >= 2
    for need in shown["needs"]:
        guide.do("change", "approve", number, "--digest", shown["digest"], "--reason", "read", person=PEOPLE[need["role"]])
    assert guide.do("change", "show", number, person=OWNER)["state"] == "approved"

    packet, trust = tmp_path / "change.govpacket", tmp_path / "governor.trust"
    guide.do("packet", "export", number, "-o", str(packet), person=OWNER)
    guide.do("trust", "export", "-o", str(trust), person=OWNER)
    body, believed = packet.read_bytes(), trust.read_text()
    assert verify_packet(body, believed).exit_code == 0
    guide.do("packet", "export", number, "-o", str(packet), person=OWNER)
    assert packet.read_bytes() == body, "the same state exports to the same bytes"

    rng = random.Random(1)
    for _ in range(200):
        place = rng.randrange(len(body))
        maimed = body[:place] + bytes([body[place] ^ (1 << rng.randrange(8))]) + body[place + 1 :]
        assert verify_packet(maimed, believed).exit_code != 0, f"a flip at byte {place} went unnoticed"
    for _ in range(50):
        assert verify_packet(body[: rng.randrange(len(body))], believed).exit_code != 0


def test_the_ledger_verifies_and_is_signed(loaded: tuple[Guide, Month]) -> None:
    guide, _ = loaded
    assert guide.do("ledger", "verify", person=ADMIN)["ok"] is True


def test_z_the_month_closes_and_late_rows_become_corrections(loaded: tuple[Guide, Month], tmp_path: Path) -> None:
    guide, month = loaded
    with pytest.raises(GovernorError) as role:
        guide.do("period", "close", MONTH, "--out", str(tmp_path / "no"), person=REQUESTER)
    assert role.value.code == "forbidden"
    closed = guide.do("period", "close", MONTH, "--out", str(tmp_path / "close"), person=FINANCE)
    assert closed["state"] == "closed"
    for file in closed["files"]:
        assert (tmp_path / "close" / file["name"]).exists()
    again = guide.do("period", "close", MONTH, "--out", str(tmp_path / "again"), person=FINANCE)
    assert [(file["name"], file["sha256"]) for file in again["files"]] == [(file["name"], file["sha256"]) for file in closed["files"]]

    late = guide.do("ingest", "litellm", str(month.late), person=ADMIN)
    assert late["stored"] > 0
    status = guide.do("period", "status", MONTH, person=FINANCE)
    assert status["state"] == "closed"
    assert status["totals"] == closed["totals"], "a closed month never changes"
    running = guide.do("period", "status", datetime.now(UTC).strftime("%Y-%m"), person=FINANCE)
    assert json.dumps(running).count(MONTH), "the late rows are corrections of the closed month"
