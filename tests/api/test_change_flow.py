"""The governed loop over HTTP alone: traffic pushed, a change proposed, tried in shadow, decided, cut over, packed; the month closed."""

from __future__ import annotations

import hashlib
import io
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest

from governor.demo.run import CANDIDATE, WORKFLOW, last_month
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.traffic import make_month
from governor.packets.verify import verify_packet

MONTH = last_month(datetime.now(UTC))
RAE, DANA, SOL, FINN, ADA = (f"{name}@acme.example" for name in ("rae", "dana", "sol", "finn", "ada"))
PERSON = {"owner": DANA, "security": SOL, "finance": FINN, "admin": "admin@acme.example"}
PROPOSAL = {
    "workflow": WORKFLOW,
    "candidate": CANDIDATE,
    "endpoint": "gateway-shadow",
    "sample": 60,
    "margins": {"quality": "0.1"},
    "budget_usd": "5",
    "reason": "same quality for less",
}


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, plain_environment: pytest.MonkeyPatch, open_door: Any) -> Iterator[Any]:
    """A month of traffic that came through the push receiver, a worker, and a simulated endpoint for the shadow run."""
    folder = tmp_path_factory.mktemp("busy")
    plain_environment.setenv("GOVERNOR_ALLOW_PRIVATE_ENDPOINTS", "true")
    with SimulatedEndpoint(seed=7) as endpoint, open_door(folder / "home", endpoint=endpoint.base_url, with_worker=True) as door:
        month = make_month(folder / "month", MONTH, calls=4000)
        stored = 0
        for path in month.files:
            answer = door.post("/ingest/litellm", scope="ingest:litellm", content=path.read_bytes())
            assert answer.status_code == 200, answer.text
            stored += answer.json()["stored"]
        assert stored == month.counts["records"]
        yield door


@pytest.fixture(scope="module")
def change(busy: Any) -> dict[str, Any]:
    """A change with evidence, in review."""
    made = busy.post("/api/v1/changes", RAE, json=PROPOSAL, headers={"Idempotency-Key": "propose-1"})
    assert made.status_code == 201, made.text
    again = busy.post("/api/v1/changes", RAE, json=PROPOSAL, headers={"Idempotency-Key": "propose-1"})
    assert again.json() == made.json()
    number = made.json()["id"]
    assert len(busy.get("/api/v1/changes").json()["items"]) == 1

    early = busy.post(f"/api/v1/changes/{number}/approve", DANA, json={"digest": made.json()["digest"], "reason": "too early"})
    assert (early.status_code, early.json()["code"]) == (409, "missing_evidence")

    assert busy.post(f"/api/v1/changes/{number}/shadow", RAE).status_code == 202
    for _ in range(600):
        shown = busy.get(f"/api/v1/changes/{number}", DANA).json()
        reviewed = busy.get("/api/v1/ledger/entries", params={"type": "change:review"}).json()["items"]
        if shown["state"] == "in_review" and reviewed:  # the worker records the review right after the run's own transaction
            return dict(shown)
        time.sleep(0.2)
    pytest.fail(f"the shadow run did not end: {shown['state']}, {shown['runs']}")


def refused(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_each_refusal_has_its_own_code(busy: Any, change: dict[str, Any]) -> None:
    path = f"/api/v1/changes/{change['id']}/approve"
    good = {"digest": change["digest"], "reason": "read"}
    size = busy.get("/api/v1/ledger/entries", params={"stream": f"change/{change['id']}"}).json()["items"]
    assert refused(busy.post(path, RAE, json=good)) == (409, "separation_of_duties")
    assert refused(busy.post(path, DANA, json=good | {"digest": "0" * 64})) == (409, "stale_approval")
    assert busy.post(path, ADA, json=good).status_code in {403, 409}
    assert refused(busy.post("/api/v1/changes/RC-99/approve", DANA, json=good)) == (404, "not_found")
    assert refused(busy.post(f"/api/v1/changes/{change['id']}/cutover", RAE, json={}))[0] == 409
    assert refused(busy.post(f"/api/v1/changes/{change['id']}/packet", ADA, json={}))[0] == 409
    assert busy.get("/api/v1/ledger/entries", params={"stream": f"change/{change['id']}"}).json()["items"] == size, (
        "a refusal leaves no entry"
    )


def test_a_change_is_withdrawn_and_then_nothing_is_left_to_do(busy: Any, change: dict[str, Any]) -> None:
    number = busy.post("/api/v1/changes", RAE, json=PROPOSAL).json()["id"]
    path = f"/api/v1/changes/{number}/withdraw"
    assert refused(busy.post(path, DANA, json={"reason": "mine"})) == (403, "forbidden")
    assert busy.post(path, RAE, json={}).status_code in {400, 422}
    done = busy.post(path, RAE, json={"reason": "not now"})
    assert done.status_code == 200, done.text
    assert done.json() == {"id": number, "state": "withdrawn", "before": "draft", "reason": "not now", "stopped": None}
    shown = busy.get(f"/api/v1/changes/{number}", RAE).json()
    assert (shown["withdrawal"]["by"], shown["withdrawal"]["reason"], shown["you"]["may_withdraw"]) == (RAE, "not now", False)
    assert refused(busy.post(path, RAE, json={"reason": "again"})) == (409, "wrong_state")
    assert [one["id"] for one in busy.get("/api/v1/changes", params={"state": "withdrawn"}).json()["items"]] == [number]


def test_approved_packed_verified_and_cut_over(busy: Any, change: dict[str, Any]) -> None:
    number = change["id"]
    assert busy.get(f"/api/v1/changes/{number}", RAE).json()["you"]["may_approve"] is False
    for need in change["needs"]:
        answer = busy.post(
            f"/api/v1/changes/{number}/approve",
            PERSON[need["role"]],
            json={"digest": change["digest"], "reason": "read", "role": need["role"]},
        )
        assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "approved"

    packed = busy.post(f"/api/v1/changes/{number}/packet", ADA, json={}, headers={"Idempotency-Key": "packet-1"})
    assert packed.status_code == 200, packed.text
    again = busy.post(f"/api/v1/changes/{number}/packet", ADA, json={}, headers={"Idempotency-Key": "packet-1"})
    assert again.content == packed.content, "the same state packs to the same bytes"
    trust = busy.get("/api/v1/trust", ADA).text
    assert verify_packet(packed.content, trust).exit_code == 0

    year = datetime.now(UTC).year
    whole = busy.post("/api/v1/packets/period", ADA, json={"period": str(year)})
    assert whole.status_code == 200, whole.text
    report = verify_packet(whole.content, trust)
    assert report.exit_code == 0, report.text()
    assert f"{year}.govpacket" in whole.headers["content-disposition"]
    assert busy.post("/api/v1/packets/period", ADA, json={"period": "2026-Q9"}).status_code == 422

    files = {"packet": ("x.govpacket", packed.content), "trust": ("x.trust", trust.encode())}
    report = busy.post("/api/v1/packets/verify", ADA, scope="read", files=files).json()
    assert (report["result"], report["exit_code"]) == ("VERIFIED", 0), report
    maimed = bytearray(packed.content)
    maimed[len(maimed) // 2] ^= 1
    report = busy.post("/api/v1/packets/verify", ADA, files=files | {"packet": ("x.govpacket", bytes(maimed))}).json()
    assert report["exit_code"] != 0
    report = busy.post("/api/v1/packets/verify", ADA, files={"packet": files["packet"]}).json()
    assert report["result"] == "UNDECIDED"
    assert busy.post("/api/v1/packets/verify", ADA, files=files | {"trust": ("x", b"no trust")}).status_code == 422

    moved = busy.post(f"/api/v1/changes/{number}/cutover", RAE, json={"export": "litellm", "note": "moved"})
    assert moved.status_code == 200, moved.text
    assert moved.json()["export"]["text"]
    seen = busy.post(f"/api/v1/changes/{number}/verify", RAE, json={})
    assert seen.status_code == 200, seen.text
    assert busy.get("/api/v1/changes", params={"state": "in_review"}).json()["items"] == []


def test_usage_findings_and_the_export_agree(busy: Any) -> None:
    rows = busy.get("/api/v1/usage", params={"period": MONTH, "by": "workflow,owner"}).json()["rows"]
    assert all(isinstance(row["contracted_cost"], str) for row in rows)
    total = sum(Decimal(row["contracted_cost"]) for row in rows)
    by_model = busy.get("/api/v1/usage", params={"period": MONTH, "by": "model"}).json()["rows"]
    assert sum(Decimal(row["contracted_cost"]) for row in by_model) == total > 0

    file = busy.get("/api/v1/calls/export", params={"period": MONTH})
    table = pq.read_table(io.BytesIO(file.content))
    assert int(file.headers["governor-rows"]) == table.num_rows
    assert sum(table["cost_bearing"].to_pylist()) == sum(row["calls"] for row in rows)
    assert not list((busy.ctx.settings.home / "scratch").glob("*.parquet")), "the export leaves no file behind"

    page = busy.get("/api/v1/findings", params={"period": MONTH, "limit": 2}).json()
    every = busy.get("/api/v1/findings", params={"period": MONTH}).json()
    assert page["items"] == every["items"][:2]
    following = busy.get("/api/v1/findings", params={"period": MONTH, "limit": 500, "cursor": page["next"]}).json()
    assert [*page["items"], *following["items"]] == every["items"]
    example = next(one["example_record_ids"][0] for one in every["items"] if one["example_record_ids"])
    call = busy.get(f"/api/v1/calls/{example}").json()
    assert call["record_id"] == example
    assert call["start_time"].startswith(MONTH)


def test_a_decision_asked_before_agrees_with_the_finding_afterwards(busy: Any) -> None:
    """What findings say about calls of the month, the decision API says when the same call is asked about."""
    finding = next(
        one
        for one in busy.get("/api/v1/findings", params={"period": MONTH, "rule": "model.approved"}).json()["items"]
        if one["workflow"] and one["status"] == "violation"
    )
    call = busy.get(f"/api/v1/calls/{finding['example_record_ids'][0]}").json()
    asked = {"provider": call["provider"], "model": call["response_model"], "keys": {"metadata.workflow": finding["workflow"]}}
    said = busy.post("/api/v1/policy/decision", scope="read", json=asked).json()
    assert said["allow"] is False
    assert said["status"] == "violation"
    assert said["workflow"] == finding["workflow"]
    assert "model.approved" in {one["rule"] for one in said["violations"]}


def test_z_the_month_closes_over_http(busy: Any) -> None:
    assert refused(busy.post(f"/api/v1/periods/{MONTH}/close", RAE)) == (403, "forbidden")
    assert [one["month"] for one in busy.get("/api/v1/periods").json()["items"] if one["calls"]] == [MONTH]
    open_month = busy.get(f"/api/v1/periods/{MONTH}").json()
    assert open_month["state"] == "open"
    if not open_month["can_close"]:
        body = {"reason": "first month", "compensating_control": "manual review"}
        assert busy.post(f"/api/v1/periods/{MONTH}/exceptions", FINN, json=body).status_code == 201
    closed = busy.post(f"/api/v1/periods/{MONTH}/close", FINN)
    assert closed.status_code == 200, closed.text
    assert str(busy.ctx.settings.home) not in closed.text
    listed = busy.get(f"/api/v1/periods/{MONTH}/files", ADA, scope="read").json()["items"]
    assert {one["name"] for one in closed.json()["files"]} == {one["name"] for one in listed}
    for one in listed:
        file = busy.get(f"/api/v1/periods/{MONTH}/files/{one['name']}", ADA, scope="read")
        assert len(file.content) == one["bytes"]
        assert file.headers["governor-sha256"] == one["sha256"]
    exported_over_http(busy, closed.json()["totals"]["statement_total"])
    late = busy.post(f"/api/v1/periods/{MONTH}/exceptions", FINN, json={"reason": "r", "compensating_control": "c"})
    assert refused(late) == (409, "period_closed")
    assert busy.post(f"/api/v1/periods/{MONTH}/close", FINN).json() == closed.json()
    assert busy.get("/api/v1/ledger/verify").json()["ok"] is True


def own_mapping_over_http(busy: Any, base: str, total: str) -> None:
    """Your own mapping file is the body of a POST; its refusal names what to fill in."""
    empty = busy.post(base, ADA, scope="read", content=b"extends: stripe\n")
    assert refused(empty) == (422, "invalid")
    centers = re.findall(r'"([^"]+)": \{customer', empty.json()["hint"])
    assert centers
    filled = "extends: stripe\ncost_centers: {%s}\n" % ", ".join(f'"{name}": {{customer: cus_1}}' for name in centers)  # noqa: UP031
    made = busy.post(base, ADA, scope="read", content=filled.encode())
    assert made.status_code == 200, made.text
    control = busy.post(f"{base}/control", ADA, scope="read", content=filled.encode()).json()
    assert (control["sha256"], control["statement_total"]) == (hashlib.sha256(made.content).hexdigest(), total)
    assert made.headers["governor-sha256"] == control["sha256"]
    assert refused(busy.post(base, ADA, scope="read", content=b"#" * ((1 << 20) + 1))) == (413, "too_large")
    assert refused(busy.post(base, ADA, scope="read", content=b"")) == (422, "invalid")
    assert refused(busy.post(base, ADA, scope="read", content=b"\xff\xfe")) == (422, "invalid")


def exported_over_http(busy: Any, total: str) -> None:
    """Every format of the closed month: bytes, digest and control totals say the same; an accrual needs its role and an open month."""
    named = busy.get("/api/v1/export-formats", ADA, scope="read").json()["items"]
    assert {"focus-1.2", "focus-1.3", "netsuite", "lago"} <= {one["name"] for one in named}
    base = f"/api/v1/periods/{MONTH}/exports"
    for one in named:
        file = busy.get(f"{base}/{one['name']}", ADA, scope="read")
        if one["name"] == "stripe":
            assert refused(file) == (422, "invalid"), "no cost center has a customer"
            continue
        assert file.status_code == 200, file.text
        digest = hashlib.sha256(file.content).hexdigest()
        assert file.headers["governor-sha256"] == digest
        control = busy.get(f"{base}/{one['name']}/control", ADA, scope="read").json()
        assert (control["sha256"], control["statement_total"]) == (digest, total)
        assert busy.get(f"{base}/{one['name']}/sha256", ADA, scope="read").text == f"{digest}  {control['file']}\n"
    own_mapping_over_http(busy, base, total)
    parquet = busy.get(f"{base}/focus-1.3", ADA, scope="read", params={"parquet": "true"})
    assert parquet.content.startswith(b"PAR1")
    assert refused(busy.get(f"{base}/netsuite", RAE, params={"accrual": "true"})) == (403, "forbidden")
    assert busy.get(f"{base}/netsuite", FINN, params={"accrual": "true"}).status_code == 409
    assert busy.get("/api/v1/periods/2026-01/exports/netsuite").status_code == 404
