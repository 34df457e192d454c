"""What PromptLayer's requests say of a call."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.promptlayer import connector

FIXTURE = Path(__file__).parent / "fixtures/promptlayer_requests.jsonl"


@pytest.fixture
def rows(read: Any) -> list[dict[str, Any]]:
    return read(connector, FIXTURE).calls.to_pylist()


def test_a_request(rows: list[dict[str, Any]]) -> None:
    row = rows[0]
    assert (row["source_kind"], row["source_record_id"], row["gateway_kind"]) == ("promptlayer.requests", "1301", None)
    assert (row["dup_group_key"], row["span_id"]) == ("response:chatcmpl-PromptLayerFixture001", "000000000000abc1")
    assert (row["requested_model"], row["response_model"], row["provider"]) == ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", "openai")
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"], row["reasoning_tokens"]) == (1200, 1024, 80, 16)
    assert (row["cost_amount"], row["cost_currency"], row["cost_source"]) == (Decimal("0.000228"), "USD", "tool_estimate")
    assert (row["prompt_id"], row["prompt_version"], row["workspace_id"]) == ("12", "3", "5")
    assert (row["workflow_id"], row["environment"]) == ("claims-triage", "prod")  # from its tags
    assert (row["status"], row["finish_reasons"], row["replayable"]) == ("ok", ["stop"], True)


def test_naive_times_are_utc(rows: list[dict[str, Any]]) -> None:
    assert rows[0]["start_time"] == datetime(2026, 10, 1, 23, 59, 59, 250500, tzinfo=UTC)
    assert (rows[0]["duration_ms"], rows[0]["time_basis"]) == (1500.0, "start")


def test_zero_means_that_nobody_counted(rows: list[dict[str, Any]], read: Any) -> None:
    row = rows[1]
    assert (row["input_tokens"], row["output_tokens"], row["usage_source"]) == (None, None, "missing")
    assert (row["cost_amount"], row["cost_source"], row["cost_raw"]) == (None, "missing", "0.0")
    assert row["dup_group_key"] == "promptlayer-row:1302"
    told = json.loads(FIXTURE.read_text().splitlines()[1]) | {"input_tokens": 900, "output_tokens": 0, "price": 0.01}
    row = read(connector, json.dumps(told).encode()).calls.to_pylist()[0]
    assert (row["input_tokens"], row["output_tokens"], row["cost_amount"]) == (900, 0, Decimal("0.01"))


def test_a_failure(rows: list[dict[str, Any]]) -> None:
    row = rows[2]
    assert (row["status"], row["error_type"], row["error_message"]) == ("error", "PROVIDER_TIMEOUT", "no answer in 60 s")
    assert (row["input_tokens"], row["output_sha256"]) == (None, None)


def test_anthropic_counts_its_cache_apart(rows: list[dict[str, Any]]) -> None:
    row = rows[3]
    assert (row["input_tokens"], row["input_uncached_tokens"], row["usage_convention"]) == (1120, 20, "exclusive")
    assert (row["cache_read_tokens"], row["cache_write_tokens"], row["output_tokens"]) == (1000, 100, 9)


def test_usage_of_openai_s_responses(read: Any) -> None:
    usage = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}
    usage |= {"input_tokens_details": {"cached_tokens": 64}, "output_tokens_details": {"reasoning_tokens": 5}}
    told = json.loads(FIXTURE.read_text().splitlines()[0]) | {"request_response": {"id": "resp_1", "usage": usage}}
    row = read(connector, json.dumps(told).encode()).calls.to_pylist()[0]
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"], row["reasoning_tokens"]) == (100, 64, 20, 5)


def test_what_openai_wrote_to_its_cache(read: Any) -> None:
    usage = {"prompt_tokens": 1200, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 900}}
    told = json.loads(FIXTURE.read_text().splitlines()[0]) | {"request_response": {"id": "x", "usage": usage}}
    row = read(connector, json.dumps(told).encode()).calls.to_pylist()[0]
    assert (row["input_tokens"], row["cache_read_tokens"], row["cache_write_tokens"]) == (1200, 100, 900)


def test_messages_on_another_cloud_count_cached_tokens_apart_too(read: Any) -> None:
    usage = {"input_tokens": 3000, "cache_read_input_tokens": 2000, "output_tokens": 20, "service_tier": "priority"}
    answer = {"type": "message", "usage": usage}
    told = json.loads(FIXTURE.read_text().splitlines()[3]) | {"provider_type": "amazon.bedrock", "request_response": answer}
    row = read(connector, json.dumps(told).encode()).calls.to_pylist()[0]
    assert (row["input_tokens"], row["input_uncached_tokens"], row["service_tier"]) == (5000, 3000, "priority")


def test_a_fast_answer_of_claude_has_a_tier_and_its_thoughts(read: Any) -> None:
    """anthropic.types.Usage: `speed` stands beside `service_tier`, which then is standard."""
    usage = {"input_tokens": 30, "output_tokens": 20, "output_tokens_details": {"thinking_tokens": 12}, "service_tier": "standard"}
    for speed, tier in (("fast", "fast"), ("standard", "standard")):
        answer = {"type": "message", "usage": usage | {"speed": speed}}
        told = json.loads(FIXTURE.read_text().splitlines()[3]) | {"request_response": answer}
        row = read(connector, json.dumps(told).encode()).calls.to_pylist()[0]
        assert (row["service_tier"], row["output_tokens"], row["reasoning_tokens"]) == (tier, 20, 12)


def test_both_shapes_of_a_prompt(read: Any) -> None:
    content = {(body["kind"], n): json.loads(body["body"]) for n, body in enumerate(read(connector, FIXTURE).content.to_pylist())}
    asked = [body for (kind, _), body in content.items() if kind == "input"]
    answered = [body for (kind, _), body in content.items() if kind == "output"]
    assert asked[0]["messages"][1] == {"role": "user", "content": "Sort claim 1."}
    assert asked[1]["messages"][0]["content"] == [{"type": "text", "text": "Sort claim 2."}]
    assert (asked[0]["params"], asked[1]["params"]) == ({"temperature": 0.2}, {"temperature": 0.1})
    assert [body["message"]["content"] for body in answered] == ["water damage", "fire", [{"type": "text", "text": "fire"}]]


def test_a_request_without_a_span_is_its_own_row(read: Any) -> None:
    row = json.loads(FIXTURE.read_text().splitlines()[1]) | {"span_id": None}
    found = read(connector, json.dumps(row).encode()).calls.to_pylist()[0]
    assert (found["span_id"], found["dup_group_key"], found["dup_alias_key"]) == (None, "promptlayer-row:1302", None)
