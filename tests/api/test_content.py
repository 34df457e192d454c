"""A raw record over HTTP, on the page of its call and at the command line, for security only; and erasing what calls said."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from governor.calls import CALL_SCHEMA
from governor.cli import main

RECORD = json.loads((Path(__file__).parents[1] / "connectors/fixtures/litellm_generic_api.jsonl").read_text().splitlines()[0])
RECORD["metadata"]["spend_logs_metadata"] = {"workflow": "kept-whole"}
RECORD["model_parameters"] = {"temperature": 0.2, "stop": "the claimant"}
SENT = json.dumps(RECORD, separators=(",", " : ")).encode()
CATALOG = """kind: source
id: litellm
connector: litellm
archive: full
---
kind: workflow
id: kept-whole
owner: dana@acme.example
order: -1
content_capture: full
match: [{metadata.workflow: kept-whole}]
"""
SOL, ADA = "sol@acme.example", "ada@acme.example"


def governor(door: Any, who: str, *words: str) -> Any:
    """The exit code of a command as this person."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOVERNOR_TOKEN", door.token(who))
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(door.ctx.settings.home), *words])
    return ended.value.code


@pytest.fixture(scope="module")
def record_id(door: Any) -> str:
    assert door.post("/api/v1/catalog/apply", content=CATALOG).json()["applied"] is True
    assert door.post("/ingest/litellm", content=SENT, scope="ingest:litellm").json()["stored"] == 1
    [call] = door.ctx.lake.calls(columns=["record_id"]).to_pylist()
    return str(call["record_id"])


def test_only_security_has_the_bytes(door: Any, record_id: str) -> None:
    answer = door.get(f"/api/v1/calls/{record_id}/raw", SOL)
    assert (answer.status_code, answer.content) == (200, SENT)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["cache-control"] == "no-store"
    assert door.get(f"/api/v1/calls/{record_id}/raw", ADA).status_code == 403
    assert door.get(f"/api/v1/calls/{record_id}/raw", SOL, scope="read").status_code == 403
    assert door.get(f"/api/v1/calls/{'0' * 64}/raw", SOL).status_code == 404
    assert door.client.get(f"/api/v1/calls/{record_id}/raw").status_code == 401


def test_what_may_quote_a_prompt_is_for_security(door: Any, record_id: str) -> None:
    [call] = door.ctx.lake.calls([record_id]).to_pylist()
    said = call["request_params"]
    assert said
    month = {"period": f"{call['start_time']:%Y-%m}"}
    for who, scope, found in ((SOL, "api", said), (SOL, "read", None), (ADA, "api", None), ("admin@acme.example", "api", None)):
        assert door.get(f"/api/v1/calls/{record_id}", who, scope=scope).json()["request_params"] == found, (who, scope)
        table = pq.read_table(io.BytesIO(door.get("/api/v1/calls/export", who, scope=scope, params=month).content))
        assert table.schema.names == CALL_SCHEMA.names
        assert table["request_params"].to_pylist() == [found], (who, scope)
        assert table["input_tokens"].to_pylist() == [call["input_tokens"]]


def test_the_command_writes_the_same_bytes(door: Any, record_id: str, tmp_path: Path, capsys: Any) -> None:
    assert governor(door, SOL, "--json", "calls", "raw", record_id, "-o", str(tmp_path / "record")) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == len(SENT)
    assert (tmp_path / "record").read_bytes() == SENT
    assert governor(door, SOL, "--json", "calls", "raw", record_id) == 0
    assert json.loads(capsys.readouterr().out)["record"].encode() == SENT
    assert governor(door, ADA, "calls", "raw", record_id) == 1
    assert "security" in capsys.readouterr().err


def test_erasing_needs_a_role_a_reason_and_a_condition(door: Any, record_id: str, capsys: Any) -> None:
    wish = {"record_ids": [record_id], "reason": "captured by mistake"}
    assert door.post("/api/v1/content/erase", ADA, json=wish).status_code == 403
    assert door.post("/api/v1/content/erase", SOL, json={"reason": "all of it"}).status_code == 422
    assert door.post("/api/v1/content/erase", SOL, json={"before": "2026-01-01T00:00:00", "reason": "x"}).status_code == 422
    assert door.get(f"/api/v1/calls/{record_id}/raw", SOL).status_code == 200
    done = door.post("/api/v1/content/erase", SOL, json=wish).json()
    assert done["calls"] == 1
    assert done["erased"] == done["objects"] > 0
    assert door.get(f"/api/v1/calls/{record_id}/raw", SOL).status_code == 404
    assert governor(door, SOL, "--json", "erase", "content", "--call", record_id, "--before", "2099-01-01", "--reason", "again") == 0
    assert json.loads(capsys.readouterr().out) == {"calls": 1, "objects": done["objects"], "erased": 0}
