"""Searches, pictures and spoken text that only answers and requests tell of, through each connector that has them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from connectors import bedrock, cloudflare, helicone, langfuse, otlp, portkey, vertex
from connectors.answered import used, used_sql
from connectors.mapping import MappedConnector
from connectors.mapping.document import parse

SEARCH = {"type": "web_search_call", "action": {"type": "search"}}
PAGE = {"type": "web_search_call", "action": {"type": "open_page"}}
RAN = {"type": "code_interpreter_call", "container_id": "a"}
GROUNDED = {"candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b"]}}]}
ANSWERS: list[tuple[Any, dict[str, int]]] = [
    ({"output": [SEARCH, SEARCH, PAGE, {"type": "message"}]}, {"web_search": 2}),
    (
        [SEARCH, {"type": "file_search_call"}, RAN, RAN, {"type": "code_interpreter_call"}],
        {"web_search": 1, "file_search": 1, "session": 1},
    ),
    (GROUNDED, {"web_search": 2}),
    ({"candidates": [{"grounding_metadata": {"web_search_queries": ["a"]}}]}, {"web_search": 1}),
    ({"candidates": "x", "output": {"type": "web_search_call"}}, {}),
    ("web_search_call", {}),
    (None, {}),
]


@pytest.mark.parametrize(("answer", "counts"), ANSWERS, ids=[f"answer-{place}" for place in range(len(ANSWERS))])
def test_an_answer_is_counted_alike_in_sql_and_in_python(answer: Any, counts: dict[str, int]) -> None:
    assert used(answer) == {name: Decimal(count) for name, count in counts.items()}
    names, forms = zip(*used_sql("a").items(), strict=True)
    row = duckdb.connect().execute(f"SELECT {', '.join(forms)} FROM (SELECT ?::JSON AS a)", [json.dumps(answer)]).fetchone()
    assert row is not None
    assert {name: count for name, count in zip(names, row, strict=True) if count} == counts


RESPONSE = {"id": "resp_0123456789abcdef", "output": [SEARCH, PAGE], "usage": {"input_tokens": 10, "output_tokens": 5}}
PORTKEY = {"id": "p1", "ai_model": "gpt-4.1", "ai_org": "openai", "created_at": "2026-10-01T10:00:00Z", "is_success": True}
HELICONE = {"request_id": "h1", "request_created_at": "2026-10-01T10:00:00Z", "request_model": "gpt-4.1", "prompt_tokens": 10, "completion_tokens": 5,
            "provider": "OPENAI", "response_status": 200}  # fmt: skip
LANGFUSE = {
    "id": "l1",
    "trace_id": "t",
    "type": "GENERATION",
    "start_time": "2026-10-01T10:00:00Z",
    "usage_details": {"input": 10, "output": 5},
}
CLOUDFLARE = {"id": "c1", "cached": False, "created_at": "2026-10-01T10:00:00Z", "duration": 5, "model": "gpt-4.1", "path": "responses", "provider": "openai",
              "success": True}  # fmt: skip
BEDROCK = {"schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "accountId": "1", "requestId": "b1", "operation": "InvokeModel",
           "modelId": "amazon.nova-canvas-v1:0", "timestamp": "2026-10-01T10:00:00Z"}  # fmt: skip
VERTEX = {
    "request_id": 1,
    "logging_time": "2026-10-01T10:00:00Z",
    "api_method": "GenerateContent",
    "model": "publishers/google/models/gemini-2.5-pro",
}
CANVAS = {"taskType": "TEXT_IMAGE", "imageGenerationConfig": {"numberOfImages": 3, "width": 1024, "height": 1024, "quality": "premium"}}
IMAGES = "https://api.openai.com/v1/images/generations"
SPEECH = "https://api.openai.com/v1/audio/speech"


@pytest.mark.parametrize(
    ("connector", "record", "counts"),
    [
        pytest.param(portkey.connector, PORTKEY | {"response": {"body": RESPONSE}}, {"web_search": 1}, id="portkey-searches"),
        pytest.param(portkey.connector, PORTKEY | {"response": {"body": GROUNDED}}, {"web_search": 2}, id="portkey-gemini"),
        pytest.param(portkey.connector, PORTKEY | {"request_url": IMAGES, "request": {"body": {"size": "1024x1024", "quality": "hd"}},
                                                   "response": {"body": {"data": [{"url": "x"}, {"url": "y"}]}}}, {"image@1024x1024-hd": 2}, id="portkey-pictures"),
        pytest.param(portkey.connector, PORTKEY | {"request_url": SPEECH, "request": {"body": {"input": "Grüße"}}}, {"character": 5}, id="portkey-speech"),
        pytest.param(portkey.connector, PORTKEY | {"response": {"body": {"usage": {"server_tool_use": {"web_search_requests": 4}}, "output": [SEARCH]}}},
                     {"web_search": 4}, id="usage-first"),
        pytest.param(helicone.connector, HELICONE | {"response_body": RESPONSE}, {"web_search": 1}, id="helicone"),
        pytest.param(helicone.connector, HELICONE | {"response_body": json.dumps(RESPONSE)}, {"web_search": 1}, id="helicone-text"),
        pytest.param(langfuse.connector, LANGFUSE | {"output": json.dumps([SEARCH, PAGE])}, {"web_search": 1}, id="langfuse-items"),
        pytest.param(langfuse.connector, LANGFUSE | {"metadata": {"attributes": {"ai.response.providerMetadata": json.dumps(
            {"google": GROUNDED["candidates"][0]})}}}, {"web_search": 2}, id="langfuse-ai-sdk"),
        pytest.param(cloudflare.connector, {"result": CLOUDFLARE | {"response_head_complete": True, "response_head": json.dumps(RESPONSE)}},
                     {"web_search": 1}, id="cloudflare"),
        pytest.param(bedrock.connector, BEDROCK | {"input": {"inputBodyJson": CANVAS}}, {"image@1024x1024-premium": 3}, id="bedrock-asked"),
        pytest.param(bedrock.connector, BEDROCK | {"input": {"inputBodyJson": CANVAS}, "output": {"outputBodyJson": {"images": ["x"]}}},
                     {"image@1024x1024-premium": 1}, id="bedrock-made"),
        pytest.param(bedrock.connector, BEDROCK | {"errorCode": "ThrottlingException", "input": {"inputBodyJson": CANVAS}}, None, id="bedrock-failed"),
        pytest.param(vertex.connector, VERTEX | {"full_response": GROUNDED}, {"web_search": 2}, id="vertex"),
        pytest.param(vertex.connector, VERTEX | {"full_response": [{"candidates": [{"content": {}}]}, GROUNDED]}, {"web_search": 2}, id="vertex-stream"),
        pytest.param(portkey.connector, PORTKEY | {"response": {"body": {"choices": [{"message": {"content": "a web_search_call"}}]}}}, None, id="nothing"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("content", [False, True], ids=["bare", "content"])
def test_what_an_answer_used_is_counted(
    read: Any, connector: Any, record: dict[str, Any], counts: dict[str, int] | None, content: bool
) -> None:
    batch = read(connector, json.dumps(record).encode(), with_content=content)
    assert batch.rejected.to_pylist() == []
    [row] = batch.calls.to_pylist()
    assert json.loads(row["usage_raw"] or "{}").get("governor_units") == counts


def test_a_mapping_names_where_the_answer_stands(read: Any) -> None:
    document = parse(
        "name: own.log\nabout: x\nwitness: gateway\nfinds: [id]\ncolumns: {source_record_id: id, start_time: at, requested_model: model}\n"
        "usage: {answer: said, request: asked}\n",
        "own.yaml",
    )
    record = {"id": "1", "at": "2026-10-01T10:00:00Z", "model": "gpt-4.1", "said": RESPONSE}
    [row] = read(MappedConnector("own", [document]), json.dumps(record).encode()).calls.to_pylist()
    assert json.loads(row["usage_raw"]) == {"governor_units": {"web_search": 1}}


def test_claudes_thoughts_at_vertex_are_inside_its_output(read: Any) -> None:
    used = {"input_tokens": 10, "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 30}}
    record = VERTEX | {"model": "publishers/anthropic/models/claude-sonnet-4-5", "full_response": {"type": "message", "usage": used}}
    [row] = read(vertex.connector, json.dumps(record).encode()).calls.to_pylist()
    assert (row["input_tokens"], row["output_tokens"], row["reasoning_tokens"]) == (10, 50, 30)


def _span(**attributes: str) -> bytes:
    said = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4.1"} | attributes
    span = {
        "traceId": "1" * 32, "spanId": "2" * 16, "name": "chat", "startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000001000000000",
        "attributes": [{"key": name, "value": {"stringValue": value}} for name, value in said.items()],
    }  # fmt: skip
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"scope": {"name": "app"}, "spans": [span]}]}]}).encode()


def _tools(*called: str) -> dict[str, str]:
    offered = [
        {"type": "provider", "name": "web_search", "id": "openai.web_search"},
        {"type": "provider", "name": "files", "id": "openai.file_search"},
    ]
    return {
        "ai.prompt.tools": json.dumps([json.dumps(one) for one in [*offered, {"type": "function", "name": "own"}]]),
        "ai.response.toolCalls": json.dumps([{"toolCallId": "x", "toolName": name, "input": "{}"} for name in called]),
    }


LANGCHAIN = {"generations": [[{"message": {"kwargs": {"content": [SEARCH, {"type": "text", "text": "x"}]}}}]]}


@pytest.mark.parametrize(
    ("attributes", "counts"),
    [
        pytest.param({"output.value": json.dumps(RESPONSE)}, {"web_search": 1}, id="openinference"),
        pytest.param({"output.value": json.dumps(LANGCHAIN)}, {"web_search": 1}, id="langchain"),
        pytest.param({"output.value": json.dumps(GROUNDED)}, {"web_search": 2}, id="gemini"),
        pytest.param({"ai.response.providerMetadata": json.dumps({"google": GROUNDED["candidates"][0]})}, {"web_search": 2}, id="ai-sdk"),
        pytest.param({"gcp.vertex.agent.llm_response": json.dumps({"grounding_metadata": {"web_search_queries": ["a"]}})}, {"web_search": 1}, id="adk"),
        pytest.param({"braintrust.metadata": '{"provider":"openai"}', "braintrust.output_json": json.dumps([SEARCH])}, {"web_search": 1}, id="braintrust"),
        pytest.param({"mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanOutputs": json.dumps(RESPONSE)}, {"web_search": 1}, id="mlflow"),
        pytest.param({"gen_ai.operation.name": "speech", "input.value": '{"input":"Gr\u00fc\u00dfe"}'}, {"character": 5}, id="speech"),
        pytest.param({"output.value": json.dumps({"usage": {"server_tool_use": {"web_search_requests": 3}}})}, {"web_search": 3}, id="claude"),
        pytest.param({"gen_ai.usage.details.web_search_requests": "3"}, {"web_search": 3}, id="pydantic-ai"),
        pytest.param(_tools("web_search"), {"web_search": 1}, id="ai-sdk-one-search"),
        pytest.param(_tools("web_search", "web_search", "files", "files", "own"), {"web_search": None, "file_search": 2}, id="ai-sdk-some-may-be-pages"),
        pytest.param({"output.value": "web_search_call"}, None, id="text"),
    ],
)  # fmt: skip
def test_what_an_answer_in_a_span_used_is_counted(read: Any, attributes: dict[str, str], counts: dict[str, int | None] | None) -> None:
    [row] = read(otlp.connector, _span(**attributes)).calls.to_pylist()
    assert json.loads(row["usage_raw"] or "{}").get("governor_units") == counts


@pytest.mark.parametrize(
    ("traffic", "tier"), [("ON_DEMAND", "ON_DEMAND"), ("PROVISIONED_THROUGHPUT", "PROVISIONED_THROUGHPUT"), (None, None)]
)
def test_vertex_traffic_is_the_tier_of_a_span_of_googles_adk(read: Any, traffic: str | None, tier: str | None) -> None:
    """A call that used throughput which was paid for was charged by the token."""
    answer = {"usage_metadata": {"prompt_token_count": 5, "traffic_type": traffic}}
    [row] = read(otlp.connector, _span(**{"gcp.vertex.agent.llm_response": json.dumps(answer)})).calls.to_pylist()
    assert row["service_tier"] == tier
    told = {"vertex": {"usageMetadata": {"trafficType": traffic}}}
    [row] = read(otlp.connector, _span(**{"ai.response.providerMetadata": json.dumps(told)})).calls.to_pylist()
    assert row["service_tier"] == tier
