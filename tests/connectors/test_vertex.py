"""What rows of Vertex AI's request-response logging mean, rule by rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.vertex import connector

FIXTURES = Path(__file__).parent / "fixtures"
ROWS = [json.loads(line) for line in (FIXTURES / "vertex_rows.jsonl").read_text().splitlines()]
Row = Callable[..., dict[str, Any]]


def test_thoughts_are_counted_apart_and_added_cached_tokens_are_inside(row: Row) -> None:
    found = row(ROWS[0])
    assert (found["input_tokens"], found["input_uncached_tokens"], found["cache_read_tokens"]) == (1200, 176, 1024)
    assert (found["output_tokens"], found["reasoning_tokens"]) == (930, 901)
    assert found["input_tokens"] + found["output_tokens"] == found["total_tokens_reported"] == 2130
    assert (found["usage_convention"], found["cost_amount"], found["cost_source"]) == ("exclusive", None, "missing")


def test_what_tools_sent_back_is_input_and_modalities_are_parts(row: Row) -> None:
    record = json.loads(json.dumps(ROWS[0]))
    record["full_response"]["usageMetadata"] |= {
        "toolUsePromptTokenCount": "50",
        "totalTokenCount": 2180,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}, {"modality": "AUDIO", "tokenCount": 200}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 20}],
    }
    found = row(record)
    assert found["input_tokens"] + found["output_tokens"] == found["total_tokens_reported"] == 2180
    assert (found["audio_input_tokens"], found["audio_output_tokens"], found["image_output_tokens"]) == (200, None, 20)


def test_claude_counts_its_cache_apart(row: Row) -> None:
    found = row(ROWS[2])
    assert (found["input_tokens"], found["input_uncached_tokens"], found["output_tokens"]) == (1120, 20, 9)
    assert (found["cache_read_tokens"], found["cache_write_tokens"], found["cache_write_5m_tokens"]) == (1000, 100, 100)
    assert (found["api_method"], found["operation"], found["response_model"]) == ("rawPredict", "chat", "claude-sonnet-4-5-20250929")
    assert found["bodies"]["input"]["messages"][0] == {"role": "system", "content": "You sort claims."}


def test_claudes_tier_is_in_its_usage(row: Row) -> None:
    record = json.loads(json.dumps(ROWS[2]))
    record["full_response"]["usage"]["service_tier"] = "priority"
    assert row(record)["service_tier"] == "priority"


def test_a_stream_of_gemini_as_the_list_of_its_chunks(row: Row) -> None:
    record = json.loads(json.dumps(ROWS[0]))
    whole = record["full_response"]
    piece = {"content": {"role": "model", "parts": [{"text": "wat"}]}}
    chunks = [
        {"candidates": [piece], "usageMetadata": {"promptTokenCount": 1200, "trafficType": "ON_DEMAND"}, "responseId": whole["responseId"]},
        {"candidates": [piece | {"finishReason": "STOP"}], "usageMetadata": whole["usageMetadata"], "modelVersion": whole["modelVersion"]},
    ]
    for given in (chunks, json.dumps(chunks)):
        found = row(record | {"api_method": "StreamGenerateContent", "full_response": given})
        assert (found["input_tokens"], found["cache_read_tokens"]) == (1200, 1024)
        assert (found["output_tokens"], found["reasoning_tokens"], found["total_tokens_reported"]) == (930, 901, 2130)
        assert (found["stream"], found["finish_reasons"], found["response_model"]) == (True, ["STOP"], whole["modelVersion"])
        assert (found["provider_response_id"], list(found["bodies"])) == (whole["responseId"], ["input"])


def test_a_stream_of_claude_as_the_list_of_its_events(row: Row) -> None:
    record = json.loads(json.dumps(ROWS[2]))
    whole = record["full_response"]
    begun = {name: value for name, value in whole.items() if name not in ("content", "stop_reason")} | {"content": [], "stop_reason": None}
    events = [
        {"type": "message_start", "message": begun | {"usage": whole["usage"] | {"output_tokens": 1}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "wat"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]
    found = row(record | {"api_method": "streamRawPredict", "full_response": events})
    assert (found["input_tokens"], found["input_uncached_tokens"], found["output_tokens"]) == (1120, 20, 9)
    assert (found["cache_read_tokens"], found["cache_write_tokens"], found["usage_convention"]) == (1000, 100, "exclusive")
    assert (found["response_model"], found["finish_reasons"], list(found["bodies"])) == (whole["model"], ["end_turn"], ["input"])


@pytest.mark.parametrize("chunks", [[], [1], ["x", None], [{"usageMetadata": 5}], [{}, {"candidates": []}]])
def test_a_list_that_tells_nothing_is_of_unknown_usage(row: Row, chunks: list[Any]) -> None:
    found = row(ROWS[0] | {"full_response": chunks})
    assert (found["input_tokens"], found["usage_source"], found["status"]) == (None, "missing", "ok")


def test_the_start_is_the_log_time_less_the_latency(row: Row) -> None:
    found = row(ROWS[0])
    assert found["start_time"] == datetime(2026, 10, 1, 10, 0, 3, 999750, tzinfo=UTC)
    assert found["end_time"] == datetime(2026, 10, 1, 10, 0, 5, 500000, tzinfo=UTC)
    assert (found["duration_ms"], found["time_basis"]) == (1500.25, "start")
    without = row(ROWS[0] | {"metadata": None})
    assert without["start_time"] == datetime(2026, 10, 1, 10, 0, 4, 12345, tzinfo=UTC)


@pytest.mark.parametrize("written", ["2026-10-01 10:00:05.500000 UTC", "2026-10-01 10:00:05.5", "1.7908488055E9"])
def test_bigquery_writes_times_in_several_ways(row: Row, written: str) -> None:
    assert row(ROWS[0] | {"logging_time": written})["end_time"] == datetime(2026, 10, 1, 10, 0, 5, 500000, tzinfo=UTC)


def test_columns_of_json_come_as_objects_or_as_text(row: Row, read: Any) -> None:
    packed = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in ROWS[0].items()}
    one, other = row(ROWS[0]), row(packed)
    differing = {name for name in one if one[name] != other[name]}
    assert differing == {"raw_sha256"}
    assert row(ROWS[1])["input_tokens"] == 300


def test_a_request_id_keeps_all_its_digits(row: Row, read: Any) -> None:
    assert row(ROWS[0])["source_record_id"] == "5374205265901353981"
    digits = "53742052659013539812345678"
    body = json.dumps(ROWS[0]).encode().replace(b'"5374205265901353981"', digits.encode())
    assert read(connector, body).calls["source_record_id"].to_pylist() == [digits]


def test_keys(row: Row) -> None:
    found = row(ROWS[0])
    assert (found["dup_group_key"], found["dup_alias_key"]) == (
        "response:FixtureVertexResponse01",
        f"vertex-row:{found['source_record_id']}",
    )
    assert (found["trace_id"], found["span_id"]) == ("4bf92f3577b34da6a3ce929d0e0e4736", None)
    assert row(ROWS[4])["dup_group_key"] == "vertex-row:5374205265901353985"


def test_the_model_and_the_place(row: Row) -> None:
    found = row(ROWS[0])
    assert (found["requested_model"], found["routed_model"]) == ("publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro")
    assert (found["response_model"], found["provider"], found["gateway_kind"]) == ("gemini-2.5-pro", "gcp.vertex_ai", "gcp.vertex_ai")
    assert (found["org_id"], found["region"], found["service_tier"]) == ("claims-prod", "europe-west4", "on_demand")
    assert (found["stream"], row(ROWS[1])["stream"], row(ROWS[2])["region"]) == (False, True, None)


def test_labels_are_the_callers_claims(row: Row) -> None:
    found = row(ROWS[0])
    assert (found["workflow_id"], found["environment"]) == ("fnol-triage", "prod")


def test_gemini_becomes_chat_without_its_thoughts(row: Row) -> None:
    found = row(ROWS[0])
    said = found["bodies"]["input"]
    assert [(m["role"], m["content"] if isinstance(m["content"], str) else m["content"][0]["text"]) for m in said["messages"]] == [
        ("system", "You sort claims."),
        ("user", "Sort claim 1."),
        ("assistant", "Which one?"),
        ("user", "The first."),
    ]
    assert said["params"] == {"temperature": 0, "max_tokens": 800, "stop": ["END"]}
    assert said["tools"] == [{"type": "function", "function": ROWS[0]["full_request"]["tools"][0]["functionDeclarations"][0]}]
    assert found["bodies"]["output"] == {
        "message": {"role": "assistant", "content": [{"type": "text", "text": "water damage"}]},
        "finish_reason": "STOP",
    }
    assert (found["replayable"], found["replay_blockers"]) == (True, [])


def test_a_file_elsewhere_is_not_replayable(row: Row) -> None:
    found = row(ROWS[1])
    assert (found["replayable"], found["replay_blockers"], found["content_state"]) == (False, ["media_missing"], "full")


def test_a_blocked_prompt_has_input_and_no_answer(row: Row) -> None:
    found = row(ROWS[3])
    assert (found["status"], found["input_tokens"], found["output_tokens"]) == ("blocked", 6, None)
    assert found["finish_reasons"] == ["PROHIBITED_CONTENT"]
    assert "output" not in found["bodies"]


def test_a_row_without_its_answer_is_a_call_of_unknown_usage(row: Row) -> None:
    found = row(ROWS[4])
    assert (found["status"], found["usage_source"], found["input_tokens"], found["output_tokens"]) == ("ok", "missing", None, None)


def test_an_error_in_the_answer_is_an_error(row: Row) -> None:
    said = {"error": {"code": 429, "message": "Resource exhausted", "status": "RESOURCE_EXHAUSTED"}}
    found = row(ROWS[0] | {"full_response": said})
    assert (found["status"], found["http_status"], found["error_code"]) == ("error", 429, "RESOURCE_EXHAUSTED")
    assert (found["error_message"], found["usage_source"]) == ("Resource exhausted", "missing")


def test_a_row_inside_a_document_of_elastic_is_the_same_call(row: Row, read: Any) -> None:
    inside = {"gcp": {"vertexai": {"prompt_response_logs": snake(ROWS[0])}}}
    assert connector.detect(json.dumps(inside).encode(), "x") >= 0.8
    one, other = row(ROWS[0]), row(inside)
    same = (
        "record_id",
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "reasoning_tokens",
        "start_time",
        "finish_reasons",
        "input_sha256",
    )
    assert [one[name] for name in same] == [other[name] for name in same]


def snake(value: Any) -> Any:
    """As Elastic writes names."""
    if isinstance(value, list):
        return [snake(one) for one in value]
    if isinstance(value, dict):
        return {"".join(f"_{c.lower()}" if c.isupper() else c for c in name): snake(one) for name, one in value.items()}
    return value


def test_a_refused_row_is_kept_as_it_came(read: Any) -> None:
    body = json.dumps(ROWS[0] | {"request_id": None}).encode()
    assert [r["raw"] for r in read(connector, body).rejected.to_pylist()] == [body]
