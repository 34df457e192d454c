"""OpenRouter: what its generation records and its activity CSV say, to the last token and cent."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.openrouter import connector

FIXTURES = Path(__file__).parent / "fixtures"
CSV = FIXTURES / "openrouter_activity.csv"


@pytest.fixture
def rows(read: Any) -> list[dict[str, Any]]:
    return read(connector, FIXTURES / "openrouter_generation.jsonl").calls.sort_by("start_time").to_pylist()


@pytest.fixture
def table(read: Any) -> list[dict[str, Any]]:
    return read(connector, CSV).calls.sort_by("start_time").to_pylist()


def test_a_generation(rows: list[dict[str, Any]]) -> None:
    row = rows[0]
    assert (row["source_kind"], row["gateway_kind"], row["source_record_id"]) == (
        "openrouter.generation",
        "openrouter",
        "gen-1791012601-FixtureGeneration0001",
    )
    assert row["start_time"] == datetime(2026, 10, 1, 9, 30, 1, 250_000, UTC)
    assert (row["duration_ms"], row["ttft_ms"], row["stream"]) == (2100.0, 410.0, True)
    assert (row["requested_model"], row["routed_model"], row["provider"], row["provider_raw"]) == (
        "openai/gpt-4.1-mini",
        "openai/gpt-4.1-mini",
        "openai",
        "OpenAI",
    )
    # the counts of the provider, which are billed, and not the normalised ones (1290 and 88)
    assert (row["input_tokens"], row["cache_read_tokens"], row["input_uncached_tokens"]) == (1300, 1024, 276)
    assert (row["output_tokens"], row["reasoning_tokens"], row["cache_write_tokens"]) == (90, 64, None)
    assert (row["usage_source"], row["usage_convention"]) == ("provider", "inclusive")
    assert json.loads(row["usage_raw"])["tokens_prompt"] == 1290
    assert (row["cost_amount"], row["cost_currency"], row["cost_source"]) == (Decimal("0.00041275"), "USD", "gateway_billed")
    assert (row["app"], row["end_user_id"], row["session_id"]) == ("40100", "user-1", "claim-7")
    assert (row["provider_request_id"], row["client_request_id"]) == ("chatcmpl-Fixture1", "req-1791012601-Fixture")
    assert (row["status"], row["http_status"], row["finish_reasons"], row["operation"]) == ("ok", 200, ["stop"], "chat")
    assert (row["content_state"], row["replayable"]) == ("absent", False)
    assert row["dup_group_key"] == "openrouter-row:gen-1791012601-FixtureGeneration0001"
    assert row["dup_alias_key"] == "response:gen-1791012601-FixtureGeneration0001"


def test_a_cancelled_call_costs(rows: list[dict[str, Any]]) -> None:
    row = rows[1]
    assert (row["status"], row["output_tokens"], row["cost_amount"]) == ("cancelled", 12, Decimal("0.00003452"))


def test_the_customers_own_key_pays_two_bills(rows: list[dict[str, Any]]) -> None:
    row = rows[2]
    assert (row["byok"], row["cost_amount"], row["upstream_cost_amount"]) == (True, Decimal("0.0002"), Decimal("0.004"))
    assert rows[0]["upstream_cost_amount"] is None


def test_a_router_and_a_fallback(rows: list[dict[str, Any]]) -> None:
    row = rows[2]
    assert (row["requested_model"], row["routed_model"]) == ("openrouter/auto", "anthropic/claude-sonnet-4.5")
    assert (row["provider"], row["is_fallback"], row["attempt_count"], row["service_tier"]) == ("aws.bedrock", True, 2, "priority")
    assert [attempt["status"] for attempt in json.loads(row["routing_detail"])] == [529, 200]
    assert row["ttft_ms"] is None  # no stream


def test_a_failed_call_has_no_usage(rows: list[dict[str, Any]]) -> None:
    row = rows[3]
    assert (row["status"], row["http_status"], row["usage_source"], row["input_tokens"]) == ("error", 502, "missing", None)
    assert (row["cost_amount"], row["dup_alias_key"]) == (Decimal(0), None)


def test_embeddings(rows: list[dict[str, Any]]) -> None:
    row = rows[4]
    assert (row["operation"], row["input_tokens"], row["output_tokens"], row["cost_amount"]) == ("embeddings", 40, 0, Decimal("0.0000008"))


def test_a_row_of_the_csv(table: list[dict[str, Any]]) -> None:
    row = table[0]
    assert len(table) == 4
    assert (row["source_kind"], row["source_record_id"]) == ("openrouter.activity_csv", "gen-1791012601-FixtureGeneration0001")
    assert row["start_time"] == datetime(2026, 10, 1, 9, 30, 1, 250_000, UTC)  # written without a zone
    assert (row["input_tokens"], row["output_tokens"], row["cache_read_tokens"], row["reasoning_tokens"]) == (1290, 88, 1024, 64)
    assert (row["cost_amount"], row["cost_tools"], row["cost_source"]) == (Decimal("0.00041275"), Decimal("0.004"), "gateway_billed")
    assert json.loads(row["usage_raw"])["cost_cache"] == "-0.0002"  # a discount that cost_total holds already
    assert (row["usage_source"], row["requested_model"], row["api_key_alias"]) == (
        "gateway_count",
        "openai/gpt-4.1-mini",
        "claims, production",
    )
    assert (row["app"], row["end_user_id"], row["ttft_ms"], row["finish_reasons"]) == ("Claims", "user-1", 410.0, ["stop"])


def test_the_other_rows_of_the_csv(table: list[dict[str, Any]]) -> None:
    assert [row["status"] for row in table] == ["ok", "cancelled", "ok", "error"]
    assert (table[2]["requested_model"], table[2]["routed_model"]) == (
        "anthropic/claude-sonnet-4.5:thinking",
        "anthropic/claude-sonnet-4.5",
    )
    assert (table[2]["upstream_cost_amount"], table[2]["provider"]) == (Decimal("0.004"), "aws.bedrock")
    assert (table[3]["usage_source"], table[3]["input_tokens"]) == ("missing", None)


def test_a_short_csv_without_a_provider_guesses_none(read: Any) -> None:
    text = b"generation_id,created_at,cost_total,tokens_prompt,model_permaslug,variant\ngen-1,2026-06-28 03:46:57.713,0.0123,7,openai/gpt-oss-120b,free\n"
    assert connector.detect(text, "a.csv") > 0.8
    row = read(connector, text).calls.to_pylist()[0]
    assert (row["provider"], row["requested_model"], row["input_tokens"]) == ("openrouter", "openai/gpt-oss-120b:free", 7)


def test_the_csv_compressed_and_a_damaged_row(read: Any, tmp_path: Path) -> None:
    path = tmp_path / "activity.csv.gz"
    path.write_bytes(gzip.compress(CSV.read_bytes() + b"gen-x,soon,0.1\n"))
    batch = read(connector, path)
    assert (len(batch.calls), len(batch.rejected)) == (4, 1)


def test_both_exports_of_a_call_are_one_call(read: Any, merged: Any) -> None:
    both = [read(connector, FIXTURES / "openrouter_generation.jsonl").calls, read(connector, CSV).calls]
    calls = merged(*both).to_pylist()
    assert sum(row["cost_bearing"] for row in calls) == 5
    assert sum(row["cost_amount"] for row in calls if row["cost_bearing"]) == Decimal("0.00064807")


@pytest.mark.parametrize(
    "sums",
    [
        {"data": [{"date": "2026-06-12 00:00:00", "model": "openai/gpt-4o", "usage": 1.5, "prompt_tokens": 3000, "requests": 5}]},
        {"data": [{"date": "2026-06-12", "model": "a/b", "model_permaslug": "a/b", "endpoint_id": "e", "usage": 1.5, "requests": 5}]},
        {"data": {"total_credits": 100.5, "total_usage": 25.75}},
    ],
)
def test_sums_are_not_taken_for_calls(read: Any, sums: dict[str, Any]) -> None:
    body = json.dumps(sums).encode()
    assert connector.detect(body, "activity.json") == 0.0
    assert len(read(connector, body).calls) == 0
    assert connector.detect(b"date,model_permaslug,requests,cost_total\n2026-06-12,openai/gpt-4o,5,1.5\n", "sums.csv") == 0.0


def test_of_the_page_that_asked_no_query_is_kept(read: Any) -> None:
    """It may hold a key; `http_referer` is the address that the client sent."""
    record = json.loads((FIXTURES / "openrouter_generation.jsonl").read_text().splitlines()[0])
    record["data"] |= {"http_referer": "https://claims.acme.example/ask?key=s3cret#top", "user_agent": 'agent "2"', "origin": None}
    row = read(connector, json.dumps(record).encode()).calls.to_pylist()[0]
    said = dict(row["metadata"])
    assert (said["http_referer"], said["user_agent"]) == ("https://claims.acme.example/ask", 'agent "2"')
    assert "s3cret" not in json.dumps(row, default=str)
