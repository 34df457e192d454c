"""What LangSmith's runs mean: roll-ups are structure, zero is unknown, and the facts sit in `extra` and in the answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors.archives import HEAD
from connectors.langfuse import connector as langfuse
from connectors.langsmith import connector

RUNS = (Path(__file__).parent / "fixtures" / "langsmith_runs.jsonl").read_bytes()
ROWS = [json.loads(line) for line in RUNS.splitlines()]


def body(**facts: Any) -> bytes:
    return json.dumps(ROWS[0] | facts).encode()


def test_the_facts_of_a_call(calls: Any) -> None:
    expected = {
        "source_kind": "langsmith.runs", "trace_id_raw": ROWS[0]["trace_id"], "span_id": ROWS[0]["id"], "parent_span_id": ROWS[0]["parent_run_id"],
        "start_time": datetime(2026, 10, 1, 10, 0, 0, 250000, tzinfo=UTC), "duration_ms": 1500.0, "ttft_ms": 250.0, "operation": "chat",
        "provider": "openai", "requested_model": "gpt-4o-mini", "response_model": "gpt-4o-mini-2024-07-18", "finish_reasons": ["stop"],
        "provider_response_id": "chatcmpl-LangsmithFixture001x", "dup_group_key": "response:chatcmpl-LangsmithFixture001x",
        "input_tokens": 651, "cache_read_tokens": 512, "input_uncached_tokens": 139, "output_tokens": 105, "reasoning_tokens": 64,
        "total_tokens_reported": 756, "usage_convention": "inclusive", "cost_amount": Decimal("0.00016065"), "cost_raw": "0.00016065",
        "cost_input": Decimal("0.00009765"), "cost_cache_read": Decimal("0.0000384"), "cost_source": "tool_estimate", "status": "ok",
        "project_id": ROWS[0]["session_id"], "session_id": "th-1", "end_user_id": "u-1", "workflow_id": "fnol-triage", "environment": "prod",
        "workflow_step": "ChatOpenAI", "tags": ["team-claims"], "gateway_kind": None,
    }  # fmt: skip
    row = calls(RUNS)[0]
    assert {name: row[name] for name in expected} == expected


def test_cache_writes_have_lifetimes(calls: Any) -> None:
    row = calls(RUNS)[1]
    assert (row["input_tokens"], row["cache_read_tokens"], row["cache_write_tokens"]) == (1120, 1000, 100)
    assert (row["cache_write_5m_tokens"], row["cache_write_1h_tokens"], row["input_uncached_tokens"]) == (60, 40, 20)
    assert (row["response_model"], row["session_id"], row["finish_reasons"]) == ("claude-sonnet-4-5-20250929", "th-2", ["end_turn"])


def test_langchain_writes_no_whole_beside_lifetimes(calls: Any) -> None:
    details = {"cache_read": 1000, "cache_creation": 0, "ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 0}
    [row] = calls(body(prompt_tokens=1120, completion_tokens=9, total_tokens=1129, prompt_token_details=details))
    assert (row["cache_write_tokens"], row["cache_write_5m_tokens"], row["input_uncached_tokens"]) == (60, 60, 60)


@pytest.mark.parametrize("tier", ["priority", "flex"])
def test_a_tier_before_the_names_of_what_was_cached_and_thought(calls: Any, tier: str) -> None:
    """As langchain-openai 1.7 and langsmith 0.15 write what OpenAI served at another tier."""
    details = {f"{tier}_cache_read": 512, f"{tier}_cache_creation": 100, tier: 139}
    [row] = calls(body(prompt_token_details=details, completion_token_details={f"{tier}_reasoning": 64, tier: 41}))
    assert (row["cache_read_tokens"], row["cache_write_tokens"], row["reasoning_tokens"], row["service_tier"]) == (512, 100, 64, tier)
    assert (row["input_tokens"], row["input_uncached_tokens"]) == (651, 39)


def test_the_tier_that_the_answer_names(calls: Any) -> None:
    outputs = json.loads(json.dumps(ROWS[0]["outputs"]))
    outputs["generations"][0][0]["message"]["kwargs"]["response_metadata"]["service_tier"] = "flex"
    assert calls(body(outputs=outputs))[0]["service_tier"] == "flex"
    told = outputs["generations"][0][0]["message"]["kwargs"]["response_metadata"]
    told |= {"service_tier": None, "usage": {"service_tier": "standard", "speed": "fast"}}  # langchain-anthropic
    assert calls(body(outputs=outputs))[0]["service_tier"] == "fast"
    assert calls(body(outputs={"choices": [], "service_tier": "default"}))[0]["service_tier"] == "default"


def test_a_long_cache_of_gemini_is_put_together(calls: Any) -> None:
    details = {"cache_read": 200_000, "cache_read_over_200k": 50_000, "over_200k": 0}
    [row] = calls(body(prompt_tokens=260_000, completion_tokens=5, total_tokens=260_005, prompt_token_details=details))
    assert (row["input_tokens"], row["cache_read_tokens"]) == (260_000, 250_000)


def test_runs_of_the_second_version_of_the_query_are_the_same_calls(calls: Any, read: Any) -> None:
    """POST /api/v2/runs/query of langsmith 0.15: kinds in capitals, metadata beside `extra`, details under `raw`."""
    old = ROWS[0]
    new = {name: value for name, value in old.items() if name not in ("session_id", "parent_run_id")} | {
        "run_type": "LLM", "status": "SUCCESS", "project_id": old["session_id"], "parent_run_ids": ["root", old["parent_run_id"]],
        "extra": {"invocation_params": old["extra"]["invocation_params"]}, "metadata": old["extra"]["metadata"],
        "prompt_token_details": {"raw": old["prompt_token_details"]}, "completion_token_details": {"raw": old["completion_token_details"]},
        "prompt_cost_details": {"raw": old["prompt_cost_details"]},
    }  # fmt: skip
    same, other = calls(json.dumps(old).encode())[0], calls(json.dumps({"items": [new], "next_cursor": "c"}).encode())[0]
    different = {name for name in same if same[name] != other[name]}
    assert different <= {"raw_sha256", "ingest_uri", "usage_raw"}
    assert len(read(connector, json.dumps(new | {"run_type": "CHAIN"}).encode()).spans) == 1


def test_zero_counts_are_unknown(calls: Any) -> None:
    failed, silent = calls(RUNS)[2:4]
    for row in (failed, silent):
        assert (row["input_tokens"], row["output_tokens"], row["usage_source"], row["cost_amount"]) == (None, None, "missing", None)
    assert (failed["status"], failed["error_message"]) == ("error", "RateLimitError('429 rate limited')")
    assert silent["status"] == "ok"


def test_an_embedding_is_a_call_and_counts_in_its_metadata(calls: Any) -> None:
    row = calls(RUNS)[4]
    assert (row["operation"], row["input_tokens"], row["requested_model"]) == ("embeddings", 12, "text-embedding-3-small")


def test_a_roll_up_is_structure(read: Any) -> None:
    batch = read(connector, RUNS)
    assert [span["name"] for span in batch.spans.to_pylist()] == ["LangGraph"]
    assert ROWS[6]["id"] not in batch.calls["source_record_id"].to_pylist()


def test_a_run_is_exported_again_when_it_ends(calls: Any) -> None:
    pending = calls(RUNS)[5]
    (ended,) = calls(json.dumps(ROWS[5] | {"status": "success", "prompt_tokens": 10, "total_tokens": 10}).encode())
    assert (pending["status"], pending["revision"], ended["status"], ended["revision"]) == ("cancelled", 0, "ok", 1)
    assert pending["record_id"] != ended["record_id"]


def test_a_run_around_a_run_gives_way_only_to_one_that_counted(read: Any, merged: Any) -> None:
    outer = ROWS[0] | {"id": "outer", "outputs": {}, "parent_run_id": None}
    for inner, bears in (
        (ROWS[0] | {"id": "inner", "parent_run_id": "outer"}, False),
        (ROWS[3] | {"id": "inner", "parent_run_id": "outer"}, True),
    ):
        rows = merged(read(connector, json.dumps(outer).encode(), json.dumps(inner).encode()).calls).to_pylist()
        assert {row["source_record_id"]: row["cost_bearing"] for row in rows} == {"outer": bears, "inner": True}


def test_the_runs_query_and_bare_rows_are_the_same_calls(calls: Any) -> None:
    page = json.dumps({"runs": ROWS, "cursors": {"next": None}}, indent=1).encode()
    assert connector.detect(page[: 64 << 10], "page") >= 0.8
    assert [row["record_id"] for row in calls(page)] == [row["record_id"] for row in calls(RUNS)]


def test_content_in_langchain_form_becomes_a_conversation(read: Any) -> None:
    batch = read(connector, RUNS)
    ids = {row["record_id"]: row["source_record_id"] for row in batch.calls.to_pylist()}
    bodies = {(ids[one["record_id"]], one["kind"]): json.loads(one["body"]) for one in batch.content.to_pylist()}
    asked = bodies[ROWS[0]["id"], "input"]
    assert asked == {"messages": [{"role": "user", "content": "Sort claim 1."}], "params": {"temperature": 0.2}, "tools": []}
    assert bodies[ROWS[0]["id"], "output"] == {"finish_reason": "stop", "message": {"role": "assistant", "content": "water damage"}}
    assert bodies[ROWS[1]["id"], "input"]["messages"] == [{"role": "user", "content": "Sort claim 2."}]
    assert bodies[ROWS[1]["id"], "output"]["message"]["content"] == "fire"


def test_a_key_in_the_parameters_is_not_kept(read: Any) -> None:
    batch = read(connector, RUNS)
    assert "not-kept" not in str(batch.calls.to_pylist()) + str(batch.content.to_pylist())


def test_the_bulk_export_has_objects_as_text(calls: Any, tmp_path: Path) -> None:
    texts = [
        row | {name: json.dumps(row[name]) for name in ("extra", "inputs", "outputs", "prompt_token_details", "completion_token_details")}
        for row in ROWS
    ]
    said = (
        "record_id",
        "input_tokens",
        "cache_read_tokens",
        "reasoning_tokens",
        "provider",
        "requested_model",
        "session_id",
        "status",
        "cost_amount",
    )
    expected = [[row[name] for name in said] for row in calls(RUNS)]
    lines = "\n".join(json.dumps(row) for row in texts)
    assert [[row[name] for name in said] for row in calls(lines.encode())] == expected
    source, path = tmp_path / "rows.jsonl", tmp_path / "runs.parquet"
    source.write_text(lines)
    with duckdb.connect() as engine:
        engine.execute(
            f"COPY (SELECT * FROM read_json('{source}', format = 'newline_delimited', maximum_depth = 1)) TO '{path}' (FORMAT parquet)"
        )
    assert [[row[name] for name in said] for row in calls(path.read_bytes())] == expected
    head = path.read_bytes()[:HEAD]
    assert (connector.detect(head, str(path)), langfuse.detect(head, str(path)), connector.detect(head, "gone.parquet")) == (0.9, 0, 0)


def test_a_naive_time_is_utc(calls: Any) -> None:
    (row,) = calls(body(start_time="2026-10-31 23:59:59.999999"))
    assert row["start_time"] == datetime(2026, 10, 31, 23, 59, 59, 999999, tzinfo=UTC)
