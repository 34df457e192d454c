"""Vercel AI Gateway: what its generation records say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.vercel import connector

FIXTURE = Path(__file__).parent / "fixtures" / "vercel_generation.jsonl"


@pytest.fixture
def rows(read: Any) -> list[dict[str, Any]]:
    return read(connector, FIXTURE).calls.sort_by("start_time").to_pylist()


def test_a_generation(rows: list[dict[str, Any]]) -> None:
    row = rows[0]
    assert (row["source_kind"], row["gateway_kind"], row["source_record_id"]) == (
        "vercel.generation",
        "vercel",
        "gen_01KFIXTURE000000000000001A",
    )
    assert row["start_time"] == datetime(2026, 10, 1, 11, 0, 0, 100_000, UTC)
    assert (row["duration_ms"], row["ttft_ms"], row["stream"]) == (1500.0, 200.0, True)
    assert (row["requested_model"], row["provider"]) == ("anthropic/claude-sonnet-4.5", "anthropic")
    assert (row["input_tokens"], row["cache_read_tokens"], row["cache_write_tokens"], row["input_uncached_tokens"]) == (
        1200,
        1000,
        100,
        100,
    )
    assert (row["output_tokens"], row["reasoning_tokens"], row["usage_convention"]) == (50, 20, "inclusive")
    assert (row["cost_amount"], row["cost_currency"], row["cost_source"]) == (Decimal("0.00123"), "USD", "gateway_billed")
    assert json.loads(row["usage_raw"])["billable_web_search_calls"] == 1
    assert (row["dup_group_key"], row["dup_alias_key"]) == (
        "vercel-row:gen_01KFIXTURE000000000000001A",
        "response:gen_01KFIXTURE000000000000001A",
    )
    assert (row["status"], row["finish_reasons"], row["upstream_cost_amount"], row["content_state"]) == ("ok", ["stop"], None, "absent")


def test_the_customers_own_key(rows: list[dict[str, Any]]) -> None:
    row = rows[1]
    assert (row["byok"], row["cost_amount"], row["upstream_cost_amount"]) == (True, Decimal(0), Decimal("0.0031"))
    assert (row["provider"], row["provider_raw"], row["ttft_ms"]) == ("gcp.vertex_ai", "vertex", None)


def test_cache_that_does_not_fit_into_the_input_was_counted_apart(rows: list[dict[str, Any]]) -> None:
    row = rows[2]
    assert (row["input_tokens"], row["cache_read_tokens"], row["usage_convention"]) == (1100, 1000, "exclusive")


def test_a_failed_call_has_no_usage(rows: list[dict[str, Any]]) -> None:
    row = rows[3]
    assert (row["status"], row["usage_source"], row["input_tokens"], row["cost_amount"]) == ("error", "missing", None, Decimal(0))


def test_reports_are_not_taken_for_calls(read: Any) -> None:
    body = b'{"results":[{"day":"2026-03-01","total_cost":12.5,"input_tokens":50000,"request_count":42}]}'
    assert connector.detect(body, "report.json") == 0.0
    assert len(read(connector, body).calls) == 0
