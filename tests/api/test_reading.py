"""Catalog, prices, ledger, policy and people over HTTP."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from governor.ledger.canonical import sha256_hex

WORKFLOW = """
kind: workflow
id: claims-letters
owner: dana@acme.example
cost_center: CC-4100
environment: production
risk_tier: low
data_class: internal
match: [{metadata.workflow: claims-letters}]
routes: [{id: current, provider: openai, model: gpt-4o, approved_until: 2099-12-31}]
"""


def test_apply_plan_dry_run_and_again(door: Any) -> None:
    plan = door.post("/api/v1/catalog/plan", scope="read", content=WORKFLOW)
    assert plan.status_code == 200, plan.text
    assert [one["key"] for one in plan.json()["create"]] == ["claims-letters"]
    dry = door.post("/api/v1/catalog/apply", params={"dry_run": "true"}, content=WORKFLOW).json()
    assert (dry["applied"], dry["dry_run"], dry["counts"]["create"]) == (False, True, 1)
    assert door.post("/api/v1/catalog/apply", "ada@acme.example", content=WORKFLOW).json()["code"] == "forbidden"
    assert door.post("/api/v1/catalog/apply", content=WORKFLOW).json()["applied"] is True
    assert door.post("/api/v1/catalog/apply", content=WORKFLOW).json()["applied"] is False
    found = door.get("/api/v1/catalog", scope="read", params={"kind": "workflow", "limit": 500}).json()["items"]
    mine = next(one for one in found if one["key"] == "claims-letters")
    assert mine["document"]["cost_center"] == "CC-4100"
    as_json = json.dumps(mine["document"])
    assert door.post("/api/v1/catalog/apply", content=as_json).json()["applied"] is False, "what is read can be applied again"


@pytest.mark.parametrize("text", ["kind: workflow\nid: [", "kind: nothing\n", "kind: workflow\nid: x\nid: y\n", "a: &a [1]\nb: *c\n"])
def test_a_bad_document_is_422_and_changes_nothing(door: Any, text: str) -> None:
    before = door.get("/api/v1/catalog").json()["digest"]
    answer = door.post("/api/v1/catalog/apply", content=text)
    assert answer.status_code == 422, answer.text
    assert door.get("/api/v1/catalog").json()["digest"] == before


def test_schemas_of_documents(door: Any) -> None:
    assert "owner" in door.get("/api/v1/catalog/schemas/workflow").json()["properties"]
    assert door.get("/api/v1/catalog/schemas/nothing").status_code == 404


def test_prices_show_diff_and_import(door: Any) -> None:
    found = door.get("/api/v1/prices", params={"model": "openai/gpt-4o"}).json()
    meters = {row["meter"]: row for row in found["prices"][0]["rates"] if row["kind"] == "contract"}
    assert meters["input"]["amount"] == "2.10" or meters["input"]["amount"] == "2.1"
    assert door.get("/api/v1/prices", params={"model": "nobody/knows"}).status_code == 404

    table = "provider,model,meter,amount,per\nopenai,gpt-house-1,input,1.25,1000000\n"
    seen = door.post("/api/v1/prices/diff", "ada@acme.example", scope="read", content=table).json()
    assert (seen["added"], seen["changed"]) == (1, 0)
    assert door.post("/api/v1/prices/import", "ada@acme.example", content=table).json()["code"] == "forbidden"
    made = door.post("/api/v1/prices/import", "finn@acme.example", params={"source": "house.csv"}, content=table).json()
    assert (made["added"], made["state"], made["version"]) == (1, "proposed", None)
    assert door.get("/api/v1/prices", params={"model": "openai/gpt-house-1"}).json()["prices"][0]["unpriced"]
    path = f"/api/v1/prices/proposals/{made['proposal']}"
    shown = door.get(path).json()
    assert shown["difference"]["changes"] == [] or shown["difference"]["added"] == 1
    assert door.get("/api/v1/prices/proposals", params={"state": "proposed"}).json()["items"][0]["proposal"] == made["proposal"]
    stale = door.post(f"{path}/decision", "finn@acme.example", json={"decision": "approve", "difference_digest": "0" * 64})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_approval")
    assert door.post(f"{path}/decision", "ada@acme.example", json={"decision": "approve"}).json()["code"] == "forbidden"
    decision = {"decision": "approve", "difference_digest": shown["difference_digest"]}
    assert door.post(f"{path}/decision", "finn@acme.example", json=decision).json()["state"] == "approved"
    assert door.get("/api/v1/prices", params={"model": "openai/gpt-house-1"}).json()["prices"][0]["rates"][0]["amount"] == "1.25"
    assert door.post("/api/v1/prices/import", content=b"\xff\xfe").status_code == 422
    changed = "provider,model,meter,amount,per\nopenai,gpt-house-1,input,0.75,1000000\n"
    query = {"source": "house.csv", "valid_from": "2026-11-15T00:00:00Z", "approve": "true"}
    assert door.post("/api/v1/prices/diff", params={"valid_from": "2026-11-15T00:00:00"}, content=changed).status_code == 422
    assert door.post("/api/v1/prices/diff", params=query, content=changed).json()["changes"][0]["valid_from"] == "2026-11-15T00:00:00+00:00"
    assert door.post("/api/v1/prices/import", "finn@acme.example", params=query, content=changed).json()["state"] == "approved"
    for at, amount in (("2026-11-14T23:59:59Z", "1.25"), ("2026-11-15T00:00:00Z", "0.75")):
        shown = door.get("/api/v1/prices", params={"model": "openai/gpt-house-1", "at": at}).json()
        assert shown["prices"][0]["rates"][0]["amount"] == amount
    again = door.post("/api/v1/prices/import", params={"source": "genai-prices"}).json()
    assert (again["added"], again["changed"]) == (0, 0)


def test_proposals_of_prices_are_walked_one_by_one(door: Any) -> None:
    for model in ("gpt-house-2", "gpt-house-3"):
        table = f"provider,model,meter,amount,per\nopenai,{model},input,1.25,1000000\n"
        assert door.post("/api/v1/prices/import", "finn@acme.example", content=table).status_code == 200
    whole = door.get("/api/v1/prices/proposals", params={"limit": 500}).json()["items"]
    seen, cursor = [], ""
    while cursor is not None:
        page = door.get("/api/v1/prices/proposals", params={"limit": 1, "cursor": cursor})
        assert page.status_code == 200, page.text
        seen += [one["proposal"] for one in page.json()["items"]]
        cursor = page.json()["next"]
    assert seen == [one["proposal"] for one in whole]
    assert len(seen) >= 2


def test_ledger_entries_proofs_and_checkpoints(door: Any) -> None:
    walked: list[int] = []
    cursor = ""
    while cursor is not None:
        page = door.get("/api/v1/ledger/entries", scope="read", params={"limit": 3, "cursor": cursor}).json()
        walked += [one["idx"] for one in page["items"]]
        cursor = page["next"]
    assert walked == list(range(walked[0], -1, -1))
    for path, key in (("checkpoints", "size"), ("streams", "stream")):
        whole = door.get(f"/api/v1/ledger/{path}", params={"limit": 500}).json()
        page = door.get(f"/api/v1/ledger/{path}", params={"limit": 1}).json()
        parts = list(page["items"])
        while page["next"]:
            page = door.get(f"/api/v1/ledger/{path}", params={"limit": 1, "cursor": page["next"]}).json()
            parts += page["items"]
        assert (len(parts) > 1, whole["next"]) == (True, None)
        assert [one[key] for one in parts] == [one[key] for one in whole["items"]]
        assert door.get(f"/api/v1/ledger/{path}", params={"cursor": "zzz"}).status_code == 422
    leaf = door.get("/api/v1/ledger/entries/0/leaf").content
    entry = door.get("/api/v1/ledger/entries/0").json()
    assert entry["leaf_sha256"] == sha256_hex(leaf)
    assert json.loads(leaf)["type"] == "home:init"
    assert door.get("/api/v1/ledger/entries/0/proof").text.startswith("c2sp.org/tlog-proof@v1")
    checkpoint = door.get("/api/v1/ledger/checkpoint").json()
    assert checkpoint["size"] == walked[0] + 1
    assert checkpoint["note"] == door.get("/api/v1/ledger/checkpoints").json()["items"][0]["note"]
    assert door.get("/api/v1/ledger/verify", params={"tail": 5}).json()["ok"] is True
    assert door.get("/api/v1/ledger/streams").json()["items"]


def test_the_bundle_is_what_an_opa_server_polls(door: Any) -> None:
    first = door.get("/api/v1/policy/bundle", scope="read")
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(first.content))) as tar:
        names = tar.getnames()
        data = json.load(tar.extractfile("data.json"))  # type: ignore[arg-type]
    assert ".manifest" in names
    assert "fnol-triage" in data["catalog"]["workflows"]
    again = door.get("/api/v1/policy/bundle", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_decisions_for_gateways(door: Any) -> None:
    ask = {"provider": "openai", "model": "gpt-4o", "keys": {"metadata.workflow": "fnol-triage"}}
    yes = door.post("/api/v1/policy/decision", json=ask).json()
    assert yes["route_status"] == "approved", yes
    assert yes["attribution"]["rule"] == "fnol-triage#1"
    no = door.post("/api/v1/policy/decision", json=ask | {"model": "gpt-3.5-turbo"}).json()
    assert (no["allow"], no["status"]) == (False, "violation")
    nobody = door.post("/api/v1/policy/decision", json={"provider": "openai", "model": "gpt-4o"}).json()
    assert (nobody["allow"], nobody["workflow"]) == (False, None)
    unknown = door.post("/api/v1/policy/decision", json={"provider": "openai", "model": "gpt-4o", "workflow": "nobody-knows"}).json()
    assert unknown["allow"] is False
    nothing = door.post("/api/v1/policy/decision", json={}).json()
    assert nothing["allow"] is False


def test_a_decision_follows_the_catalog_at_once(door: Any) -> None:
    text = WORKFLOW.replace("claims-letters", "quick-notes")
    ask = {"provider": "openai", "model": "gpt-4o", "workflow": "quick-notes"}
    assert door.post("/api/v1/policy/decision", json=ask).json()["allow"] is False
    assert door.post("/api/v1/catalog/apply", content=text).json()["applied"] is True
    assert door.post("/api/v1/policy/decision", json=ask).json()["route_status"] == "approved"
    assert door.post("/api/v1/catalog/apply", content=text.replace("gpt-4o", "gpt-4.1")).json()["applied"] is True
    assert door.post("/api/v1/policy/decision", json=ask).json()["route_status"] == "unapproved"


def test_people_and_tokens(door: Any) -> None:
    made = door.post("/api/v1/people", json={"email": "new@acme.example", "roles": ["auditor"]})
    assert made.status_code == 201, made.text
    assert door.post("/api/v1/people", json={"email": "new@acme.example"}).json()["code"] == "refused"
    assert door.post("/api/v1/people", "ada@acme.example", json={"email": "x@acme.example"}).json()["code"] == "forbidden"
    me = door.get("/api/v1/me", "ada@acme.example").json()
    assert (me["email"], me["roles"], me["scopes"]) == ("ada@acme.example", ["auditor"], ["api"])

    assert door.post("/api/v1/tokens", "ada@acme.example", json={"email": "dana@acme.example"}).status_code == 403
    made = door.post("/api/v1/tokens", "ada@acme.example", json={"scopes": ["read"], "days": 1}).json()
    assert made["email"] == "ada@acme.example"
    listed = door.get("/api/v1/tokens", "ada@acme.example")
    assert {one["email"] for one in listed.json()["items"]} == {"ada@acme.example"}
    assert made["token"] not in listed.text
    assert door.get("/api/v1/tokens", "ada@acme.example", params={"email": "dana@acme.example"}).status_code == 403
    assert door.post(f"/api/v1/tokens/{made['id']}/revoke", "dana@acme.example").status_code == 403
    assert door.post("/api/v1/tokens", json={"scopes": ["root"]}).status_code == 422


def test_sources_connectors_and_empty_lists(door: Any, tmp_path: Path) -> None:
    assert {"litellm", "otlp"} <= set(door.get("/api/v1/connectors").json()["items"])
    for path in ("/api/v1/quarantine", "/api/v1/conflicts", "/api/v1/batches", "/api/v1/changes"):
        assert door.get(path, scope="read").json() == {"items": [], "next": None}
    assert door.post("/api/v1/sources/sync", json={"source": "nobody"}).status_code == 404
    assert door.post("/api/v1/sources/sync", json={}).json() == {"sources": {}}
    assert door.post("/api/v1/quarantine/retry", json={}).status_code == 422


def test_completeness_and_scorecard_of_sources(door: Any) -> None:
    """The same documents as the command line gives; a span that is none is refused."""
    found = door.get("/api/v1/sources/completeness", params={"days": 92}).json()["items"]
    assert all(len(one["hours"]) > 24 and set(one) >= {"source", "states", "windows", "gaps", "lost", "lag_s"} for one in found)
    assert door.get("/api/v1/sources/completeness", params={"days": 93}).status_code == 422
    assert door.get("/api/v1/sources/scorecard", params={"period": "2026-10"}).json()["period"] == "2026-10"
    assert door.get("/api/v1/sources/scorecard", params={"period": "October"}).status_code == 422
