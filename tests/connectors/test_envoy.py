"""Envoy AI Gateway: what its log says exactly, what "-" means, and the names of its first example."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from connector_samples.sample import FIXTURES

from connectors.envoy import connector

FILE = FIXTURES / "envoy_access_log.jsonl"
FIRST_NAMES = {
    "gen_ai.request.model": "genai_model_name",
    "gen_ai.provider.name": "genai_backend_name",
    "gen_ai.usage.input_tokens": "genai_tokens_input",
    "gen_ai.usage.output_tokens": "genai_tokens_output",
    "gen_ai.usage.total_tokens": "genai_tokens_total",
    "gen_ai.request.model_override": "genai_model_name_override",
}


@pytest.fixture
def records() -> list[dict[str, Any]]:
    return [json.loads(line) for line in FILE.read_text().splitlines()]


@pytest.fixture
def rows(read: Any) -> list[dict[str, Any]]:
    return sorted(read(connector, FILE).calls.to_pylist(), key=lambda row: row["ingest_row"])


def test_a_call_with_everything(rows: list[dict[str, Any]]) -> None:
    row = rows[0]
    assert row["source_record_id"] == "0e0e0e0e-0000-4000-8000-000000000000"
    assert (row["dup_group_key"], row["dup_alias_key"]) == ("envoy-row:" + row["source_record_id"], None)
    assert row["start_time"] == datetime(2026, 10, 1, 10, 0, 1, 894_000, tzinfo=UTC)
    assert (row["duration_ms"], row["time_basis"], row["operation"], row["session_id"]) == (1526, "start", "chat", "sess-1")
    assert (row["input_tokens"], row["cache_read_tokens"], row["input_uncached_tokens"]) == (1200, 1024, 176)
    assert (row["output_tokens"], row["reasoning_tokens"], row["total_tokens_reported"]) == (80, 64, 1280)
    assert (row["requested_model"], row["response_model"]) == ("gpt-5-mini", "gpt-5-mini-2025-08-07")
    assert (row["deployment_id"], row["provider"], row["provider_raw"]) == ("default/claims/route/aigw/rule/0/ref/0", None, None)
    assert (row["trace_id"], row["workflow_id"], row["team_id"]) == ("0af7651916cd43dd8448eb211c80319c", "fnol-triage", "claims")
    assert (row["cost_source"], row["content_state"], row["replayable"]) == ("missing", "absent", False)
    assert (row["status"], row["http_status"], row["error_type"]) == ("ok", 200, None)


def test_a_dash_is_nothing(rows: list[dict[str, Any]]) -> None:
    row = rows[1]
    assert (row["input_tokens"], row["output_tokens"], row["routed_model"]) == (300, 12, "llama-3.3-70b")
    assert [row[name] for name in ("total_tokens_reported", "reasoning_tokens", "cache_read_tokens", "session_id", "trace_id")] == [
        None
    ] * 5


def test_failures(rows: list[dict[str, Any]]) -> None:
    refused, left, broken = rows[2:5]
    assert (refused["status"], refused["http_status"], refused["usage_source"]) == ("error", 429, "missing")
    assert (left["status"], left["http_status"], left["error_type"]) == ("cancelled", 0, "DC")
    assert (broken["status"], broken["error_type"], broken["error_message"]) == ("error", "UF", "TLS_error:certificate_verify_failed")
    assert (broken["input_tokens"], broken["usage_source"]) == (0, "provider")  # it said zero


def test_a_tool_call_is_structure(read: Any) -> None:
    batch = read(connector, FILE)
    assert (len(batch.calls), len(batch.spans), len(batch.rejected)) == (5, 1, 0)


def test_the_names_of_the_first_example(read: Any, records: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    older = [{FIRST_NAMES.get(name, name): value for name, value in record.items()} for record in records[:2]]
    body = "\n".join(map(json.dumps, older)).encode()
    assert connector.detect(body, "log") > 0.8
    found = sorted(read(connector, body).calls.to_pylist(), key=lambda row: row["ingest_row"])
    for name in ("record_id", "requested_model", "routed_model", "deployment_id", "input_tokens", "output_tokens", "total_tokens_reported"):
        assert [row[name] for row in found] == [row[name] for row in rows[:2]]


def test_our_own_replay_is_shadow(read: Any, records: list[dict[str, Any]]) -> None:
    record = records[0] | {"x-governor-traffic": "shadow"}
    row = read(connector, json.dumps(record).encode()).calls.to_pylist()[0]
    assert (row["traffic_class"], row["cost_bearing"]) == ("shadow", False)
