"""What Bedrock's invocation logs mean, rule by rule."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.bedrock import connector
from connectors.otlp import connector as otlp
from governor.ports import Payload, ReadOptions

FIXTURES = Path(__file__).parent / "fixtures"
RECORDS = [json.loads(line) for line in (FIXTURES / "bedrock_invocations.jsonl").read_text().splitlines()]
ENVELOPES = [json.loads(line) for line in (FIXTURES / "bedrock_cloudwatch.jsonl").read_text().splitlines()]
Row = Callable[..., dict[str, Any]]


def envelope(*messages: str, **more: Any) -> dict[str, Any]:
    events = [{"id": str(n), "timestamp": 1790848801000, "message": message} for n, message in enumerate(messages)]
    return {"messageType": "DATA_MESSAGE", "logGroup": "g", "logStream": "s", "logEvents": events, **more}


def test_cached_tokens_are_counted_apart_and_added(row: Row) -> None:
    found = row(RECORDS[0])
    assert (found["input_tokens"], found["input_uncached_tokens"], found["output_tokens"]) == (1540, 40, 12)
    assert (found["cache_read_tokens"], found["cache_write_tokens"], found["total_tokens_reported"]) == (1200, 300, 1552)
    assert (found["usage_convention"], found["usage_source"]) == ("exclusive", "provider")
    assert (found["cost_amount"], found["cost_source"]) == (None, "missing")


def test_the_caller_and_the_place(row: Row) -> None:
    found = row(RECORDS[0])
    assert (found["gateway_kind"], found["provider"], found["source_kind"]) == ("aws.bedrock", "aws.bedrock", "bedrock.invocation")
    assert (found["org_id"], found["region"], found["inference_region"]) == ("111122223333", "eu-central-1", "eu-west-1")
    assert found["principal"] == "arn:aws:sts::111122223333:assumed-role/claims-app/i-01"
    assert (found["workflow_id"], found["environment"], dict(found["metadata"])["cost_centre"]) == ("fnol-triage", "prod", "4711")


def test_the_time_is_that_of_the_log_to_the_second(row: Row) -> None:
    found = row(RECORDS[0])
    assert found["start_time"] == datetime(2026, 10, 1, 10, 0, 1, tzinfo=UTC)
    assert (found["time_basis"], found["time_precision"]) == ("log_time", "s")
    assert (found["duration_ms"], found["duration_basis"]) == (1302, "provider_only")
    assert row(RECORDS[4])["duration_basis"] == "missing"


@pytest.mark.parametrize(
    ("place", "requested", "routed", "response"),
    [
        (0, "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", None, None),
        (1, "inference-profile/eu.anthropic.claude-haiku-4-5-20251001-v1:0", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", None),
        (2, "application-inference-profile/a1b2c3d4e5f6", "a1b2c3d4e5f6", "claude-sonnet-4-5-20250929"),
    ],
)
def test_a_model_is_an_id_or_what_an_arn_points_at(row: Row, place: int, requested: str, routed: str | None, response: str | None) -> None:
    found = row(RECORDS[place])
    assert found["requested_model"].endswith(requested)
    assert (found["routed_model"], found["deployment_id"], found["response_model"]) == (routed, routed, response)


def test_the_chunks_of_a_stream_are_one_answer(row: Row) -> None:
    found = row(RECORDS[2])
    assert (found["stream"], found["finish_reasons"], found["status"]) == (True, ["end_turn"], "ok")
    assert (found["input_tokens"], found["cache_read_tokens"], found["output_tokens"]) == (1020, 1000, 7)
    assert (found["duration_ms"], found["ttft_ms"]) == (1500, 420)
    assert found["bodies"]["output"]["message"] == {"role": "assistant", "content": "fire damage"}


def test_converse_says_how_long_its_writes_last(row: Row) -> None:
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html"""
    record = json.loads(json.dumps(RECORDS[0]))
    details = [{"ttl": "1h", "inputTokens": 200}, {"ttl": "5m", "inputTokens": 100}]
    record["output"]["outputBodyJson"]["usage"]["cacheDetails"] = details
    found = row(record)
    assert (found["cache_write_tokens"], found["cache_write_5m_tokens"], found["cache_write_1h_tokens"]) == (300, 100, 200)
    assert (found["input_tokens"], found["input_uncached_tokens"]) == (1540, 40)
    record["output"]["outputBodyJson"]["usage"]["cacheDetails"] = []
    assert (row(record)["cache_write_tokens"], row(record)["cache_write_1h_tokens"]) == (300, None)


@pytest.mark.parametrize(
    ("details", "written"), [([{"ttl": "1h", "inputTokens": 200}], 200), ([], None), ("x", None), ({"ttl": "1h"}, None), (None, None)]
)
def test_the_last_chunk_of_a_stream_has_the_tier_and_how_long_was_written(row: Row, details: Any, written: int | None) -> None:
    """Flex and priority had the standard prices in streams, and an hour's writes those of five minutes."""
    record = json.loads(json.dumps(RECORDS[0])) | {"operation": "ConverseStream"}
    record["output"]["outputBodyJson"] = [
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"serviceTier": {"type": "flex"}, "usage": {"inputTokens": 40, "cacheDetails": details}}},
    ]
    found = row(record)
    assert (found["service_tier"], found["cache_write_1h_tokens"], found["cache_write_tokens"]) == ("flex", written, 300)


def test_the_first_chunk_of_claudes_stream_has_the_tier(row: Row) -> None:
    record = json.loads(json.dumps(RECORDS[2]))
    record["output"]["outputBodyJson"].insert(0, {"type": "message_start", "message": {"usage": {"service_tier": "priority"}}})
    assert row(record)["service_tier"] == "priority"


def test_a_stream_whose_record_counts_nothing_counts_in_its_last_chunk(row: Row) -> None:
    record = json.loads(json.dumps(RECORDS[2]))
    del record["input"]["inputTokenCount"], record["output"]["outputTokenCount"]
    counted = {"inputTokenCount": 20, "outputTokenCount": 7}
    record["output"]["outputBodyJson"][-1]["amazon-bedrock-invocationMetrics"] |= counted
    found = row(record)
    assert (found["input_tokens"], found["cache_read_tokens"], found["output_tokens"]) == (1020, 1000, 7)


@pytest.mark.parametrize(
    ("said", "read_", "thought"),
    [
        ({"usage": {"inputTokens": 20, "outputTokens": 7, "cacheReadInputTokenCount": 1000}}, 1000, None),
        ({"usage": {"input_tokens": 20, "output_tokens": 7, "output_tokens_details": {"thinking_tokens": 5}}}, None, 5),
        ({"usage": {"prompt_tokens": 20, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 5}}}, None, 5),
        ({"prompt_token_count": 20, "generation_token_count": 7, "generation": "yes"}, None, None),
    ],
)
def test_what_the_models_own_answer_counts(row: Row, said: dict[str, Any], read_: int | None, thought: int | None) -> None:
    record = json.loads(json.dumps(RECORDS[2])) | {"operation": "InvokeModel"}
    record["input"] = {"inputBodyJson": {"prompt": "Sort claim 1."}, "inputContentType": "application/json"}
    record["output"] = {"outputBodyJson": said, "outputContentType": "application/json"}
    found = row(record)
    assert (found["input_tokens"], found["output_tokens"]) == (20 + (read_ or 0), 7)
    assert (found["cache_read_tokens"], found["reasoning_tokens"]) == (read_, thought)


def test_a_stream_that_calls_a_tool_keeps_its_chunks(row: Row) -> None:
    record = json.loads(json.dumps(RECORDS[2]))
    record["output"]["outputBodyJson"].insert(
        3, {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{"}}
    )
    assert row(record)["bodies"]["output"]["message"]["content"] == record["output"]["outputBodyJson"]


def test_keys(row: Row) -> None:
    converse, stream = row(RECORDS[0]), row(RECORDS[2])
    assert converse["source_record_id"] == converse["provider_request_id"] == RECORDS[0]["requestId"]
    assert converse["dup_group_key"] == f"bedrock-row:{RECORDS[0]['requestId']}"
    assert stream["dup_group_key"] == "response:msg_bdrk_01FixtureAbcdefghij0003"
    assert converse["dup_alias_key"] is converse["trace_id"] is None
    assert stream["dup_alias_key"] == f"bedrock-row:{RECORDS[2]['requestId']}"


@pytest.mark.parametrize("place", [0, 2])
def test_a_call_in_the_log_and_in_a_span_of_amazons_sdk_counts_once(read: Any, merged: Any, place: int) -> None:
    """Converse has no response id and a stream of InvokeModel has one: the span knows AWS's request id of both."""
    log = read(connector, json.dumps(RECORDS[place]).encode()).calls
    facts = {
        "gen_ai.operation.name": "chat", "gen_ai.system": "aws.bedrock", "gen_ai.request.model": "m", "aws.request_id": RECORDS[place]["requestId"],
        "cloud.region": "us-east-1",
    }  # fmt: skip
    named = [{"key": name, "value": {"stringValue": fact}} for name, fact in facts.items()]
    used = [{"key": f"gen_ai.usage.{name}_tokens", "value": {"intValue": "9"}} for name in ("input", "output")]
    span = {"traceId": "a" * 32, "spanId": "b" * 16, "startTimeUnixNano": "1790848801000000000", "attributes": named + used}
    seen = read(otlp, json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()).calls
    assert (seen["region"][0].as_py(), seen["provider_request_id"][0].as_py()) == ("us-east-1", RECORDS[place]["requestId"])
    for tables in ((log, seen), (seen, log)):
        verdicts = {row["source_kind"]: row["exclusion_reason"] for row in merged(*tables).to_pylist()}
        assert verdicts == {"bedrock.invocation": None, "otlp.gen_ai": "superseded"}


def test_a_failed_call_has_a_code_and_no_tokens(row: Row) -> None:
    found = row(RECORDS[3])
    assert (found["status"], found["error_code"], found["usage_source"]) == ("error", "ThrottlingException", "missing")
    assert found["input_tokens"] is found["output_tokens"] is None


def test_a_blocked_call_is_zero_tokens_as_the_source_said(row: Row) -> None:
    found = row(RECORDS[5])
    assert (found["status"], found["input_tokens"], found["output_tokens"]) == ("blocked", 0, 0)
    assert json.loads(found["guardrail_results"])["input"]["gr1"]


@pytest.mark.parametrize("trace", ["", "no JSON", None, 7])
def test_an_odd_trace_of_a_guardrail_stops_nothing(row: Row, trace: Any) -> None:
    record = json.loads(json.dumps(RECORDS[5]))
    record["output"]["outputBodyJson"][-1]["amazon-bedrock-trace"]["guardrail"] = trace
    assert row(record)["status"] == "blocked"


def test_converse_and_invoke_say_blocked_in_their_own_ways(row: Row) -> None:
    converse, invoked = json.loads(json.dumps(RECORDS[0])), json.loads(json.dumps(RECORDS[4]))
    converse["output"]["outputBodyJson"]["stopReason"] = "guardrail_intervened"
    invoked["output"]["outputBodyJson"]["amazon-bedrock-guardrailAction"] = "INTERVENED"
    assert (row(converse)["status"], row(invoked)["status"]) == ("blocked", "blocked")
    invoked["output"]["outputBodyJson"]["amazon-bedrock-guardrailAction"] = "NONE"
    assert row(invoked)["status"] == "ok"


@pytest.mark.parametrize(
    ("place", "operation", "api_method", "stream"),
    [
        (0, "chat", "Converse", False),
        (1, "chat", "ConverseStream", True),
        (4, "text_completion", "InvokeModel", False),
        (7, "embeddings", "InvokeModel", False),
    ],
)
def test_what_was_asked_for(row: Row, place: int, operation: str, api_method: str, stream: bool) -> None:
    found = row(RECORDS[place])
    assert (found["operation"], found["api_method"], found["stream"]) == (operation, api_method, stream)


def test_converse_becomes_chat(row: Row) -> None:
    found = row(RECORDS[0])
    said = found["bodies"]["input"]
    assert said["messages"] == [
        {"role": "system", "content": "You sort claims."},
        {"role": "user", "content": [{"type": "text", "text": "Sort claim 1."}]},
    ]
    assert said["params"] == {"temperature": 0.2, "max_tokens": 400}
    assert said["tools"][0]["function"]["parameters"]["properties"] == {"id": {"type": "string"}}
    assert found["bodies"]["output"]["message"]["content"] == [{"type": "text", "text": "water damage"}]
    assert (found["replayable"], found["replay_blockers"]) == (True, [])


@pytest.mark.parametrize(
    ("block", "blocker"),
    [
        ({"toolUse": {"toolUseId": "t1", "name": "lookup", "input": {}}}, "not_chat"),
        ({"video": {"source": {"s3Location": {"uri": "s3://x"}}}}, "media_missing"),
    ],
)
def test_blocks_in_bedrocks_own_form_are_not_replayable(row: Row, block: dict[str, Any], blocker: str) -> None:
    record = json.loads(json.dumps(RECORDS[0]))
    record["input"]["inputBodyJson"]["messages"].append({"role": "assistant", "content": [block]})
    found = row(record)
    assert (found["replayable"], found["replay_blockers"], found["content_state"]) == (False, [blocker], "full")
    assert found["bodies"]["input"]["messages"][-1]["content"] == [block]


def test_bodies_moved_to_s3_are_absent_and_counted_all_the_same(row: Row) -> None:
    found = row(RECORDS[6])
    assert (found["content_state"], found["replayable"], found["bodies"]) == ("absent", False, {})
    assert (found["input_tokens"], found["output_tokens"]) == (52000, 800)


def test_without_a_body_an_invocation_does_not_say_what_it_was(row: Row) -> None:
    record = json.loads(json.dumps(RECORDS[4]))
    del record["input"]["inputBodyJson"], record["output"]["outputBodyJson"]
    found = row(record)
    assert (found["operation"], found["api_method"], found["input_tokens"], found["output_tokens"]) == (None, "InvokeModel", 15, 2)


def test_older_logs_have_the_cache_in_the_body_alone(row: Row) -> None:
    record = json.loads(json.dumps(RECORDS[2]))
    del record["input"]["cacheReadInputTokenCount"], record["input"]["cacheWriteInputTokenCount"]
    found = row(record)
    assert (found["input_tokens"], found["cache_read_tokens"], found["cache_write_tokens"]) == (1020, 1000, 0)


def test_other_records_are_structure(read: Any) -> None:
    batch = read(connector, json.dumps(RECORDS[0] | {"schemaType": "SomethingElse"}).encode())
    assert (len(batch.calls), len(batch.rejected), len(batch.spans)) == (0, 0, 1)


def test_the_same_call_by_s3_and_by_cloudwatch_is_one_record(read: Any) -> None:
    message = json.dumps(RECORDS[0])
    ways = [message, json.dumps(envelope(message)), json.dumps({"events": [{"message": message, "eventId": "1"}]})]
    seen = [read(connector, way.encode()).calls.select(["record_id", "raw_sha256"]).to_pylist() for way in ways]
    assert seen[0] == seen[1] == seen[2]


def test_an_envelope_of_several_events_is_as_many_records(read: Any) -> None:
    bad = json.dumps(RECORDS[1] | {"requestId": None})
    body = json.dumps(envelope(json.dumps(RECORDS[0]), bad, "START of something", json.dumps(RECORDS[2]))).encode()
    batch = read(connector, body)
    assert len(batch.calls) == 2
    assert batch.calls["ingest_row"].to_pylist() == [0, 3]
    rejected = batch.rejected.to_pylist()
    assert [(r["ingest_row"], r["reason"].split(":")[0]) for r in rejected] == [(1, "missing_id"), (2, "invalid_json")]
    assert [r["raw"] for r in rejected] == [bad.encode(), b"START of something"]


def test_firehose_writes_envelopes_without_newlines(read: Any) -> None:
    members = b"".join(gzip.compress(json.dumps(one).encode()) for one in ENVELOPES)
    assert len(read(connector, members).calls) == len(ENVELOPES)
    assert connector.detect(members, "x.gz") >= 0.8


def test_a_control_message_is_no_record(read: Any) -> None:
    control = envelope("CWL CONTROL MESSAGE: Checking health of destination", messageType="CONTROL_MESSAGE")
    batch = read(connector, json.dumps(control).encode() + b"\n" + json.dumps(ENVELOPES[0]).encode())
    assert (len(batch.calls), len(batch.rejected)) == (1, 0)
    assert connector.detect(json.dumps(control).encode() + b"\n" + json.dumps(ENVELOPES[0]).encode(), "x") >= 0.8


@pytest.mark.parametrize("name", ["2026/10/01/10/data/0b6f_input.json.gz", "amazon-bedrock-logs-permission-check"])
def test_objects_that_are_no_log_are_passed_over(name: str) -> None:
    uri = f"s3://logs/AWSLogs/111122223333/BedrockModelInvocationLogs/eu-central-1/{name}"
    assert list(connector.read([Payload(uri, body=b'{"messages": []}')], ReadOptions("x"))) == []


def test_a_record_longer_than_the_head_is_recognised() -> None:
    record = json.loads(json.dumps(RECORDS[0]))
    record["input"]["inputBodyJson"]["messages"][0]["content"][0]["text"] = "water " * 20000
    for body in (json.dumps(record), json.dumps(envelope(json.dumps(record)))):
        assert connector.detect(body.encode()[: 64 << 10], "x") >= 0.8
    assert connector.detect(json.dumps({"requestId": "x", "pad": "y" * 90000}).encode()[: 64 << 10], "x") == 0.0
