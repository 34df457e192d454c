"""Azure API Management: rows of one call joined inside a document, witnesses of one call across documents, and Azure OpenAI's own log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from connector_samples.sample import FIXTURES

from connectors.azure_apim import connector

HUB = FIXTURES / "azure_apim_event_hub.jsonl"
ROWS = FIXTURES / "azure_apim_log_analytics.jsonl"
CALL = "a21e0000-0000-4000-8000-00000000000{}"


def body(record: Any) -> bytes:
    return json.dumps(record).encode()


@pytest.fixture
def documents() -> list[dict[str, Any]]:
    return [json.loads(line) for line in HUB.read_text().splitlines()]


@pytest.fixture
def rows(read: Any) -> list[dict[str, Any]]:
    return sorted(read(connector, HUB).calls.to_pylist(), key=lambda row: row["ingest_row"])


def test_the_rows_of_a_call_are_one_call(rows: list[dict[str, Any]]) -> None:
    row = rows[0]
    assert (row["source_kind"], row["source_record_id"]) == ("azure_apim.llm_log", CALL.format(0))
    assert (row["dup_group_key"], row["dup_alias_key"]) == ("azure_apim-row:" + CALL.format(0), "response:chatcmpl-ApimFixture0001abcdef")
    assert (row["start_time"], row["time_basis"]) == (datetime(2026, 10, 1, 10, 0, 1, 123_456, tzinfo=UTC), "log_time")
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"], row["total_tokens_reported"]) == (1200, 1024, 80, 1280)
    assert (row["usage_convention"], row["cost_source"]) == ("inclusive", "missing")
    assert (row["status"], row["http_status"], row["duration_ms"], row["stream"]) == ("ok", 200, 1201, False)
    assert (row["requested_model"], row["response_model"], row["deployment_id"]) == ("gpt-5-mini", "gpt-5-mini-2025-08-07", "gpt-5-mini")
    assert (row["principal"], row["api_key_id"], row["project_id"], row["route_id"]) == (
        "sub-claims",
        "sub-claims",
        "claims-prod",
        "claims-llm",
    )
    assert (row["workflow_id"], row["environment"], row["region"]) == ("fnol-triage", "prod", "West Europe")
    assert row["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert dict(row["metadata"]) == {"workflow": "fnol-triage", "x-caller-team": "claims", "env": "prod"}


def test_pieces_of_a_body_are_put_together_in_order(read: Any, documents: list[dict[str, Any]]) -> None:
    found = {one["kind"]: json.loads(one["body"]) for one in read(connector, body(documents[0])).content.to_pylist()}
    assert found["input"]["messages"] == [{"role": "user", "content": "Sort claim 1: Wasserschaden im Büro."}]
    assert found["output"]["message"] == {"role": "assistant", "content": "water damage ✓"}


def test_a_body_with_a_piece_missing_is_no_body(read: Any, documents: list[dict[str, Any]]) -> None:
    documents[0]["records"] = [row for row in documents[0]["records"] if row["properties"].get("sequenceNumber") != 3]
    assert [one["kind"] for one in read(connector, body(documents[0])).content.to_pylist()] == ["input"]


def test_anthropic_counts_leave_the_cache_out(rows: list[dict[str, Any]]) -> None:
    row = rows[1]
    assert (row["input_tokens"], row["cache_read_tokens"], row["usage_convention"]) == (48880, 48854, "exclusive")
    assert (row["requested_model"], row["dup_alias_key"]) == ("claude-opus-5", "response:msg_01ApimFixtureabcdefgh")


def test_a_prompt_read_wholly_from_cache_is_usage(read: Any, documents: list[dict[str, Any]]) -> None:
    documents[1]["records"][1]["properties"].update(promptTokens=0, completionTokens=0, promptCachedTokens=4460)
    row = read(connector, body(documents[1])).calls.to_pylist()[0]
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (4460, 4460, 0)


def test_a_failed_call_has_a_prompt_and_no_usage(rows: list[dict[str, Any]]) -> None:
    row = rows[2]
    assert (row["status"], row["http_status"], row["error_type"]) == ("error", 429, "TooManyRequests")
    assert (row["input_tokens"], row["output_tokens"], row["usage_source"], row["content_state"]) == (None, None, "missing", "full")


def test_the_gateways_own_row_with_bodies_is_a_call(rows: list[dict[str, Any]]) -> None:
    row = rows[3]
    assert (row["source_kind"], row["input_tokens"], row["output_tokens"]) == ("azure_apim.gateway_log", 14, 8)
    assert (row["operation"], row["requested_model"], row["finish_reasons"]) == ("chat", "gpt-5-mini", ["stop"])
    assert (row["replayable"], row["duration_ms"]) == (True, 176)
    assert row["api_base"] == "https://claims.openai.azure.com/openai/deployments/gpt-5-mini/chat/completions"


@pytest.mark.parametrize(
    ("usage", "whole", "written", "long"),
    [
        ({"prompt_tokens": 1200, "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 900}}, 1200, 900, None),
        ({"input_tokens": 20, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 900,
          "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 700}}, 1020, 900, 700),
    ],
)  # fmt: skip
def test_writes_to_a_cache_and_the_tier(
    read: Any, documents: list[dict[str, Any]], usage: dict[str, Any], whole: int, written: int, long: int | None
) -> None:
    row = next(one for document in documents for one in document["records"] if "responseBody" in str(one))
    name = next(name for name in row["properties"] if name.lower() == "responsebody" or name.lower() == "backendresponsebody")
    row["properties"][name] = json.dumps({"id": "x", "service_tier": "flex", "usage": usage | {"completion_tokens": 8}})
    [found] = read(connector, body(row)).calls.to_pylist()
    assert (found["input_tokens"], found["cache_read_tokens"], found["cache_write_tokens"], found["cache_write_1h_tokens"]) == (
        whole,
        100,
        written,
        long,
    )
    assert found["service_tier"] == "flex"


def test_ticks_and_a_negative_duration(rows: list[dict[str, Any]]) -> None:
    row = rows[4]
    assert (row["source_kind"], row["gateway_kind"]) == ("azure_apim.openai_log", "azure_openai")
    assert row["start_time"] == datetime(2026, 10, 5, 10, 0, 1, 500_000, tzinfo=UTC)
    assert (row["duration_ms"], row["stream"], row["status"]) == (1021.237, False, "ok")
    assert (row["deployment_id"], row["provider"], row["usage_source"]) == ("gpt-5-mini", "azure.ai.openai", "missing")


def test_properties_may_be_an_object_and_other_operations_are_structure(read: Any, documents: list[dict[str, Any]]) -> None:
    row = documents[4]["records"][0]
    row["properties"] = json.loads(row["properties"])
    assert len(read(connector, body(row)).calls) == 1
    row["operationName"] = "Create_Thread"
    del row["properties"]["modelDeploymentName"], row["properties"]["modelName"]
    batch = read(connector, body(row))
    assert (len(batch.calls), len(batch.spans), len(batch.rejected)) == (0, 1, 0)


def test_no_secret_of_a_url_or_header(read: Any) -> None:
    batch = read(connector, HUB)
    assert "hunter1" not in str(batch.calls.to_pylist()) + str(batch.content.to_pylist())


def test_rows_of_a_query(read: Any) -> None:
    batch = read(connector, ROWS)
    rows = sorted(batch.calls.to_pylist(), key=lambda row: row["ingest_row"])
    assert (len(batch.spans), len(batch.rejected)) == (1, 0)  # the row with the prompt
    assert [row["input_tokens"] for row in rows] == [1200, 300, None, None]
    assert [row["status"] for row in rows] == ["ok", "ok", "error", "ok"]  # a stream without usage is no failure
    assert [row["usage_source"] for row in rows] == ["provider", "provider", "missing", "missing"]
    assert [row["cache_read_tokens"] for row in rows] == [None] * 4


def test_the_answer_of_the_query_api_joins_its_rows(read: Any) -> None:
    given = [json.loads(line) for line in ROWS.read_text().splitlines()]
    given[4]["CorrelationId"] = given[0]["CorrelationId"]
    names = list(given[0])
    answer = {
        "tables": [
            {
                "name": "PrimaryResult",
                "columns": [{"name": name, "type": "string"} for name in names],
                "rows": [[row[name] for name in names] for row in given],
            }
        ]
    }
    assert connector.detect(body(answer), "answer.json") > 0.8
    batch = read(connector, body(answer))
    assert (len(batch.calls), len(batch.spans), len(batch.content)) == (4, 0, 1)
    assert {row["source_record_id"] for row in batch.calls.to_pylist()} == {CALL.format(n) for n in range(4)}


def test_two_documents_are_two_witnesses_of_one_call(read: Any, merged: Any, documents: list[dict[str, Any]]) -> None:
    header, around = documents[0]["records"][0], documents[0]["records"][-1]
    found = merged(read(connector, body({"records": [header]}), body({"records": [around]})).calls).to_pylist()
    assert {row["source_kind"]: row["cost_bearing"] for row in found} == {"azure_apim.llm_log": True, "azure_apim.gateway_log": False}
    assert {row["exclusion_reason"] for row in found} == {None, "duplicate_instrumentation"}


def test_every_other_row_is_structure(read: Any, documents: list[dict[str, Any]]) -> None:
    around = documents[0]["records"][-1]
    other = json.loads(json.dumps(around).replace("/chat/completions", "/orders"))
    probe = {"category": "GatewayLlmLogs", "time": around["time"], "properties": {"correlationId": "p", "requestId": "", "promptTokens": 0}}
    metric = {"time": around["time"], "metricName": "Requests", "count": 1, "total": 3}
    batch = read(connector, body({"records": [other, probe, metric, around | {"category": "WebSocketConnectionLogs"}]}))
    assert (len(batch.calls), len(batch.spans), len(batch.rejected)) == (0, 4, 0)


def test_what_is_no_row_is_refused_beside_the_others(read: Any, documents: list[dict[str, Any]]) -> None:
    batch = read(connector, body({"records": [5, *documents[0]["records"]]}), body({"records": []}))
    assert (len(batch.calls), [reason.split(":")[0] for reason in batch.rejected["reason"].to_pylist()]) == (1, ["missing_id"])


def test_names_of_the_legacy_table(read: Any) -> None:
    row = {"TimeGenerated": "2026-10-01T10:00:01Z", "ResourceProvider": "MICROSOFT.APIMANAGEMENT", "Category": "GatewayLlmLogs"}
    row |= {"CorrelationId": "c-1", "modelName_s": "gpt-5-mini", "deploymentName_s": "gpt-5-mini"}
    counts = {"promptTokens_d": 12, "completionTokens_d": 3, "totalTokens_d": 15, "sequenceNumber_d": 0}
    found = read(connector, body(row | counts)).calls.to_pylist()[0]
    assert (found["requested_model"], found["input_tokens"], found["output_tokens"]) == ("gpt-5-mini", 12, 3)


@pytest.mark.parametrize(
    ("backend", "provider"),
    [
        ("https://x.openai.azure.com/openai/deployments/g/chat/completions?api-version=1", "azure.ai.openai"),
        ("https://x.cognitiveservices.azure.com/openai/deployments/g/chat/completions", "azure.ai.openai"),
        ("https://x.services.ai.azure.com/models/chat/completions", "azure.ai.inference"),
        ("https://x.services.ai.azure.com/openai/v1/chat/completions", "azure.ai.openai"),
        ("https://API.openai.com/v1/chat/completions", "openai"),
        ("https://user:p@api.anthropic.com:443/v1/messages", "anthropic"),
        ("https://bedrock-runtime.eu-central-1.amazonaws.com/model/m/converse", "aws.bedrock"),
        ("https://europe-west4-aiplatform.googleapis.com/v1/x/chat/completions", "gcp.vertex_ai"),
        ("https://api.openai.com.evil.example/v1/chat/completions", None),
        ("https://notapi.openai.com/v1/chat/completions", None),
        ("https://llm.internal.example/v1/chat/completions", None),
        ("https://[broken/v1/chat/completions", None),
    ],
)
def test_the_host_of_the_backend_names_the_provider(read: Any, documents: list[dict[str, Any]], backend: str, provider: str | None) -> None:
    for row in documents[0]["records"] + documents[3]["records"]:
        if row["category"] == "GatewayLogs":
            row["properties"]["backendUrl"] = backend
    found = read(connector, body(documents[0]), body(documents[3])).calls.to_pylist()
    assert {row["source_kind"] for row in found} == {"azure_apim.llm_log", "azure_apim.gateway_log"}
    assert {row["provider"] for row in found} == {provider}
