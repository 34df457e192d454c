"""What MLflow's traces say: which spans are calls, what their text attributes hold, and which of several views of one call counts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.archives import HEAD
from connectors.mlflow import connector

FIXTURES = Path(__file__).parent / "fixtures"
TRACE = "9f26f2b804a873ae6a966d6bab0d5c00"


@pytest.fixture
def rows(read: Any) -> list[dict[str, Any]]:
    return read(connector, FIXTURES / "mlflow_calls.jsonl").calls.to_pylist()


def traces(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FIXTURES / name).read_text().splitlines()]


def test_a_call(rows: list[dict[str, Any]]) -> None:
    row = rows[0]
    assert (row["source_kind"], row["source_record_id"]) == ("mlflow.traces", f"{TRACE}:7029d9417ffdc800")
    assert (row["trace_id"], row["span_id"], row["parent_span_id"]) == (TRACE, "7029d9417ffdc800", None)  # base64 in the trace
    assert (row["dup_group_key"], row["gateway_kind"]) == ("response:chatcmpl-MlflowFixture000001abc", None)
    assert row["start_time"] == datetime(2026, 10, 1, 9, 0, 0, 123456, tzinfo=UTC)
    assert (row["duration_ms"], row["time_basis"], row["time_precision"]) == (1201.0, "start", "us")
    assert (row["requested_model"], row["response_model"], row["provider"]) == ("gpt-5-mini", "gpt-5-mini-2025-08-07", "openai")
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"], row["reasoning_tokens"]) == (1200, 1024, 80, 16)
    assert (row["cost_amount"], row["cost_currency"], row["cost_source"]) == (Decimal("0.00026"), "USD", "tool_estimate")
    assert (row["session_id"], row["end_user_id"], row["project_id"], row["workflow_id"]) == ("s-1", "u-1", "467", "claims-triage")
    assert (row["status"], row["finish_reasons"], row["request_params"]) == ("ok", ["stop"], '{"reasoning_effort":"low"}')


def test_what_openai_wrote_to_its_cache_is_in_its_answer(read: Any) -> None:
    """MLflow's own count (3.17) leaves it out."""
    trace = traces("mlflow_calls.jsonl")[0]
    attributes = trace["data"]["spans"][0]["attributes"]
    answer = json.loads(attributes["mlflow.spanOutputs"])
    answer["usage"]["prompt_tokens_details"] = {"cached_tokens": 1024, "cache_write_tokens": 100}
    attributes["mlflow.spanOutputs"] = json.dumps(answer)
    [row] = read(connector, json.dumps(trace).encode()).calls.to_pylist()[:1]
    assert (row["input_tokens"], row["cache_read_tokens"], row["cache_write_tokens"], row["input_uncached_tokens"]) == (1200, 1024, 100, 76)


@pytest.mark.parametrize(
    ("kind", "model", "answer", "used", "row"),
    [
        ("CHAT_MODEL", "gpt-5-mini", {}, {"input_tokens": 10, "output_tokens": 5}, ("openai", 10, 5, None)),
        ("CHAT_MODEL", "our-deployment", {}, {"input_tokens": 10, "output_tokens": 5}, (None, 10, 5, None)),
        ("EMBEDDING", "text-embedding-3-small", {"usage": {"prompt_tokens": 800, "total_tokens": 800}}, None, ("openai", 800, None, None)),
        ("LLM", "gemini-2.5-pro", {"usage_metadata": {"thoughts_token_count": 300}}, {"input_tokens": 5000, "output_tokens": 400, "total_tokens": 5700},
         ("gcp.gemini", 5000, 700, 300)),
    ],
    ids=["openai", "a deployment", "embeddings", "gemini"],
)  # fmt: skip
def test_what_mlflow_leaves_to_the_answer(read: Any, kind: str, model: str, answer: Any, used: Any, row: tuple[Any, ...]) -> None:
    """It names no provider for OpenAI's SDK, counts no embeddings and leaves out what Gemini thought (3.17): such calls had no price or a lower one."""
    trace = traces("mlflow_calls.jsonl")[0]
    attributes = {"mlflow.spanType": kind, "mlflow.spanInputs": {"model": model}, "mlflow.spanOutputs": answer} | (
        {"mlflow.chat.tokenUsage": used} if used else {}
    )
    trace["data"]["spans"][0]["attributes"] = {name: json.dumps(given) for name, given in attributes.items()}
    [found] = read(connector, json.dumps(trace).encode()).calls.to_pylist()
    assert (found["provider"], found["input_tokens"], found["output_tokens"], found["reasoning_tokens"]) == row


def test_a_stream_without_usage_is_unknown_and_has_a_first_chunk(rows: list[dict[str, Any]]) -> None:
    row = rows[1]
    assert (row["stream"], row["ttft_ms"], row["status"]) == (True, 250.0, "ok")
    assert (row["input_tokens"], row["output_tokens"], row["usage_source"]) == (None, None, "missing")


def test_a_failure_has_the_words_of_its_exception(rows: list[dict[str, Any]]) -> None:
    row = rows[2]
    assert (row["status"], row["error_type"], row["error_message"]) == ("error", "RateLimitError", "Error code: 429")
    assert (row["dup_group_key"], row["output_sha256"]) == (f"span:{row['trace_id']}:{row['span_id']}", None)


def test_mlflow_s_anthropic_input_includes_the_cache(rows: list[dict[str, Any]]) -> None:
    row = rows[3]
    assert (row["input_tokens"], row["input_uncached_tokens"], row["usage_convention"]) == (1120, 20, "inclusive")
    assert (row["cache_read_tokens"], row["cache_write_tokens"], row["cache_write_1h_tokens"]) == (1000, 100, 0)
    assert row["traffic_class"] == "eval"  # a scorer made it


def test_prompts_are_in_no_column(read: Any) -> None:
    batch = read(connector, FIXTURES / "mlflow_calls.jsonl", FIXTURES / "mlflow_workflow.jsonl", with_content=False)
    assert "Sort claim" not in str(batch.calls.to_pylist()) + str(batch.spans.to_pylist())


def test_one_call_of_a_workflow_counts_once(read: Any, merged: Any) -> None:
    """A framework's span gives way to the SDK's inside; the gateway's copy is structure; the gateway's own trace is the same call."""
    batch = read(connector, FIXTURES / "mlflow_workflow.jsonl")
    assert [(row["name"], row["span_id"][-2:]) for row in batch.spans.to_pylist()] == [
        ("claims-workflow", "50"),
        ("lookup", "53"),
        ("gateway/chat", "54"),
        ("model/openai/gpt-5-mini", "55"),
        ("gateway/chat", "60"),
    ]
    found = {row["span_id"][-2:]: row for row in merged(batch.calls).to_pylist()}
    assert {span: row["exclusion_reason"] for span, row in found.items() if not row["cost_bearing"]}.keys() >= {"51"}
    assert found["51"]["exclusion_reason"] == "wrapper_span"
    assert sorted([found["52"]["exclusion_reason"], found["61"]["exclusion_reason"]], key=str) == [None, "duplicate_instrumentation"]
    assert (found["52"]["prompt_id"], found["52"]["prompt_version"]) == ("triage", "3")
    assert (found["61"]["route_id"], found["61"]["principal"]) == ("e-1", "svc-claims")


def test_a_call_has_the_usage_of_the_only_span_around_it(read: Any, merged: Any) -> None:
    tree = traces("mlflow_workflow.jsonl")[0]
    attributes = tree["data"]["spans"][2]["attributes"]
    del attributes["mlflow.chat.tokenUsage"]
    answer = json.loads(attributes["mlflow.spanOutputs"])
    attributes["mlflow.spanOutputs"] = json.dumps({name: told for name, told in answer.items() if name != "usage"})
    row = next(row for row in merged(read(connector, json.dumps(tree).encode()).calls).to_pylist() if row["cost_bearing"])
    assert (row["span_id"][-2:], row["input_tokens"], row["output_tokens"]) == ("52", 1200, 80)
    tree["data"]["spans"].append(tree["data"]["spans"][2] | {"span_id": "cCnZQX/9yFk="})  # of two calls nobody knows whose it is
    rows = read(connector, json.dumps(tree).encode()).calls.to_pylist()
    assert [row["input_tokens"] for row in rows] == [1200, None, None]


def test_a_trace_longer_than_the_head_is_recognised() -> None:
    trace = traces("mlflow_calls.jsonl")[0]
    trace["data"]["spans"][0]["events"] = [{"name": "mlflow.chunk.item.0", "attributes": {"mlflow.chunk.value": "x" * HEAD}}]
    trace["data"]["spans"][0] = {"attributes": trace["data"]["spans"][0].pop("attributes"), **trace["data"]["spans"][0]}
    assert connector.detect(json.dumps(trace).encode()[:HEAD], "trace") == 0.9


def test_odd_values_harm_only_themselves(read: Any) -> None:
    """NaN, half a surrogate pair, text that is no JSON, events that are no list, ids in hex, a loop of parents."""
    trace = traces("mlflow_calls.jsonl")[0]
    span = trace["data"]["spans"][0]
    span["trace_id"], span["span_id"], span["parent_span_id"] = TRACE, "0x7029d9417ffdc800", "7029d9417ffdc800"
    span["events"] = 5
    span["attributes"] |= {"logprob": "NaN", "half": '"\\ud83d"', "own": "{no json", "mlflow.llm.cost": '{"total_cost": NaN}'}
    batch = read(connector, json.dumps(trace).encode())
    assert len(batch.rejected) == 0
    row = batch.calls.to_pylist()[0]
    assert (row["source_record_id"], row["input_tokens"], row["cost_amount"]) == (f"{TRACE}:7029d9417ffdc800", 1200, None)


def test_a_trace_without_spans_is_no_call(read: Any) -> None:
    batch = read(connector, json.dumps(traces("mlflow_calls.jsonl")[0] | {"data": {"spans": []}}).encode())
    assert (len(batch.calls), len(batch.rejected)) == (0, 0)
