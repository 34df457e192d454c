"""What Braintrust's project logs mean: seconds, failures without an error, streams without a count, rows written again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.braintrust import connector

LOGS = (Path(__file__).parent / "fixtures" / "braintrust_project_logs.jsonl").read_bytes()
ROWS = [json.loads(line) for line in LOGS.splitlines()]


def test_the_facts_of_a_call(calls: Any) -> None:
    expected = {
        "source_kind": "braintrust.project_logs", "trace_id": ROWS[0]["root_span_id"], "span_id": ROWS[0]["span_id"],
        "parent_span_id": ROWS[0]["span_parents"][0], "start_time": datetime(2026, 10, 1, 10, 0, 0, 250000, tzinfo=UTC), "duration_ms": 1500.0,
        "ttft_ms": 62.5, "operation": "chat", "provider": "openai", "requested_model": "gpt-5-mini", "finish_reasons": ["stop"],
        "input_tokens": 1024, "cache_read_tokens": 512, "input_uncached_tokens": 512, "output_tokens": 300, "reasoning_tokens": 192,
        "total_tokens_reported": 1324, "usage_convention": "inclusive", "cost_amount": None, "cost_source": "missing", "status": "ok",
        "org_id": "org-1", "project_id": "proj-1", "end_user_id": "u-1", "workflow_id": "fnol-triage", "workflow_step": "Chat Completion",
        "tags": ["team-claims"], "traffic_class": "production", "gateway_cache": "unknown", "gateway_kind": None,
    }  # fmt: skip
    row = calls(LOGS)[0]
    assert {name: row[name] for name in expected} == expected


def test_cache_writes_have_lifetimes_and_an_estimate_of_the_sdk_is_the_cost(calls: Any) -> None:
    row = calls(LOGS)[1]
    assert (row["input_tokens"], row["cache_read_tokens"], row["cache_write_tokens"], row["input_uncached_tokens"]) == (1120, 1000, 100, 20)
    assert (row["cache_write_5m_tokens"], row["cache_write_1h_tokens"]) == (60, 40)
    assert (row["cost_amount"], row["cost_source"], row["cost_currency"]) == (Decimal("0.0009"), "tool_estimate", "USD")


@pytest.mark.parametrize(
    ("told", "tier"),
    [
        ({"service_tier": "flex"}, "flex"),
        ({"usage_service_tier": "standard", "usage_speed": "fast"}, "fast"),
        ({"usage_service_tier": "priority", "usage_speed": "standard"}, "priority"),
        ({"usage_service_tier": "standard"}, "standard"),
        ({}, None),
    ],
)
def test_the_tier_is_in_the_metadata(calls: Any, told: dict[str, str], tier: str | None) -> None:
    """As braintrust 0.48 writes it: OpenAI's by its own name, Claude's with `usage_` before it."""
    [row] = calls(json.dumps(ROWS[0] | {"metadata": ROWS[0]["metadata"] | told}).encode())
    assert row["service_tier"] == tier


def test_pictures_are_parts_of_the_counts(calls: Any) -> None:
    metrics = ROWS[0]["metrics"] | {"prompt_image_tokens": 100, "completion_image_tokens": 50}
    [row] = calls(json.dumps(ROWS[0] | {"metrics": metrics}).encode())
    assert (row["input_tokens"], row["image_input_tokens"], row["image_output_tokens"]) == (1024, 100, 50)


def test_a_refused_call_names_no_error(calls: Any) -> None:
    refused, stream, named = calls(LOGS)[2:5]
    assert (refused["status"], refused["usage_source"]) == ("error", "missing")
    assert (named["status"], named["error_type"], named["error_message"]) == ("error", "APIConnectionError", "Connection error.")
    assert (stream["status"], stream["input_tokens"], stream["stream"]) == ("ok", None, True)


def test_a_call_that_has_not_ended_has_not_failed(calls: Any) -> None:
    running = ROWS[2] | {"metrics": {"start": ROWS[2]["metrics"]["start"]}}
    assert calls(json.dumps(running).encode())[0]["status"] == "ok"


def test_a_scorer_is_no_production_and_a_cache_hit_is_told(calls: Any) -> None:
    row = calls(LOGS)[5]
    assert (row["traffic_class"], row["gateway_cache"]) == ("eval", "hit_exact")


def test_a_task_is_structure(read: Any) -> None:
    assert [(span["name"], span["span_id"]) for span in read(connector, LOGS).spans.to_pylist()] == [("triage", ROWS[6]["span_id"])]


def test_a_row_written_again_has_a_higher_revision(calls: Any) -> None:
    first = calls(LOGS)[0]
    (later,) = calls(json.dumps(ROWS[0] | {"_xact_id": str(int(ROWS[0]["_xact_id"]) + (90 << 16))}).encode())
    assert (first["revision"], later["revision"] - first["revision"]) == (1790848860 - 1577836800, 90)
    assert later["dup_group_key"] == first["dup_group_key"]


def test_a_parent_gives_way_only_to_a_child_that_counted(read: Any, merged: Any) -> None:
    outer = ROWS[0] | {"id": "outer"}
    for child, bears in ((ROWS[1], False), (ROWS[3], True)):
        inner = child | {"span_parents": [outer["span_id"]]}
        rows = merged(read(connector, json.dumps(outer).encode(), json.dumps(inner).encode()).calls).to_pylist()
        assert {row["source_record_id"]: row["cost_bearing"] for row in rows} == {"outer": bears, child["id"]: True}


def test_a_page_a_query_and_bare_rows_are_the_same_calls(calls: Any) -> None:
    expected = [row["record_id"] for row in calls(LOGS)]
    for page in ({"events": ROWS, "cursor": None}, {"data": ROWS, "schema": {}, "cursor": None}):
        text = json.dumps(page, indent=1).encode()
        assert connector.detect(text[: 64 << 10], "page") >= 0.8
        assert [row["record_id"] for row in calls(text)] == expected


def test_the_parameters_of_the_request_are_no_metadata(calls: Any) -> None:
    given = ROWS[0] | {"metadata": ROWS[0]["metadata"] | {"tools": [{"type": "function"}], "extra_headers": {"authorization": "hunter2"}}}
    assert set(dict(calls(json.dumps(given).encode())[0]["metadata"])) == {"provider", "model", "reasoning_effort", "user_id", "workflow"}


def test_content(read: Any) -> None:
    batch = read(connector, LOGS)
    ids = {row["record_id"]: row["source_record_id"] for row in batch.calls.to_pylist()}
    bodies = {(ids[one["record_id"]], one["kind"]): json.loads(one["body"]) for one in batch.content.to_pylist()}
    asked = bodies[ROWS[0]["id"], "input"]
    assert asked == {"messages": [{"role": "user", "content": "Sort claim 1."}], "params": {"reasoning_effort": "low"}, "tools": []}
    assert bodies[ROWS[0]["id"], "output"] == {"finish_reason": "stop", "message": {"role": "assistant", "content": "water damage"}}
    assert bodies[ROWS[1]["id"], "output"]["message"]["content"] == "fire"
