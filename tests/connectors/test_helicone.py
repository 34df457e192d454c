"""Helicone: what the rows of its request API say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.helicone import connector

FIXTURE = Path(__file__).parent / "fixtures" / "helicone_requests.jsonl"


@pytest.fixture
def batch(read: Any) -> Any:
    return read(connector, FIXTURE)


@pytest.fixture
def rows(batch: Any) -> list[dict[str, Any]]:
    return batch.calls.sort_by("start_time").to_pylist()


def test_a_request(rows: list[dict[str, Any]]) -> None:
    row = rows[0]
    assert (row["source_kind"], row["gateway_kind"]) == ("helicone.requests", "helicone")
    assert row["start_time"] == datetime(2026, 10, 1, 8, 0, 1, 500_000, UTC)  # written without a zone
    assert (row["end_time"], row["duration_ms"], row["ttft_ms"]) == (datetime(2026, 10, 1, 8, 0, 1, 900_000, UTC), 400.0, None)
    assert (row["requested_model"], row["response_model"], row["provider"], row["operation"]) == (
        "gpt-4.1-mini",
        "gpt-4.1-mini-2025-04-14",
        "openai",
        "chat",
    )
    # prompt_tokens says 176: what was cached is counted apart
    assert (row["input_tokens"], row["cache_read_tokens"], row["input_uncached_tokens"]) == (1200, 1024, 176)
    assert (row["output_tokens"], row["reasoning_tokens"], row["usage_convention"]) == (80, None, "exclusive")
    assert (row["cost_amount"], row["cost_currency"], row["cost_source"]) == (Decimal("0.00030112"), "USD", "gateway_estimate")
    assert (row["app"], row["environment"], row["workflow_id"], row["workflow_step"], row["session_id"]) == (
        "claims",
        "prod",
        "fnol-triage",
        "/sort",
        "claim-7",
    )
    assert (row["end_user_id"], row["prompt_id"], row["prompt_version"], row["gateway_cache"]) == ("user-1", "sort-claim", "3", "none")
    assert row["provider_response_id"] == "chatcmpl-HeliconeFixture0001ab"  # and not Helicone's own response_id
    assert row["dup_group_key"] == "helicone-row:5b0c0000-aaaa-4bbb-8ccc-000000000001"
    assert row["dup_alias_key"] == "response:chatcmpl-HeliconeFixture0001ab"


def test_bodies_that_are_text_are_opened(rows: list[dict[str, Any]], batch: Any) -> None:
    row = rows[1]
    assert (row["provider"], row["stream"], row["ttft_ms"], row["finish_reasons"]) == ("anthropic", True, 180.0, ["end_turn"])
    assert (row["content_state"], row["replayable"]) == ("full", True)
    bodies = {b["kind"]: json.loads(b["body"]) for b in batch.content.to_pylist() if b["record_id"] == row["record_id"]}
    assert bodies["input"]["messages"] == [
        {"role": "system", "content": "You sort claims."},
        {"role": "user", "content": "Sort claim 2."},
    ]
    assert bodies["input"]["params"]["max_tokens"] == 90
    assert bodies["output"]["message"]["content"] == [{"type": "text", "text": "fire"}]


def test_cache_and_reasoning_are_put_back(rows: list[dict[str, Any]]) -> None:
    row = rows[1]
    assert (row["input_tokens"], row["cache_read_tokens"], row["cache_write_tokens"], row["input_uncached_tokens"]) == (1120, 1000, 100, 20)
    assert (row["output_tokens"], row["reasoning_tokens"]) == (39, 30)


def test_a_hit_of_its_cache_has_zeros_that_say_nothing(rows: list[dict[str, Any]]) -> None:
    row = rows[2]
    assert (row["gateway_cache"], row["status"], row["dup_alias_key"]) == ("hit_exact", "ok", None)
    assert (row["usage_source"], row["input_tokens"], row["cache_read_tokens"], row["cost_amount"]) == ("missing", None, None, None)


def test_failed_and_cancelled(rows: list[dict[str, Any]]) -> None:
    assert (rows[3]["status"], rows[3]["http_status"], rows[3]["error_message"]) == ("error", 429, "rate limited")
    assert (rows[4]["status"], rows[4]["http_status"], rows[4]["usage_source"]) == ("cancelled", -3, "missing")
    assert (rows[4]["content_state"], rows[4]["replay_blockers"]) == ("absent", ["no_content"])  # behind signed_body_url


def test_bare_rows_say_the_same(read: Any, rows: list[dict[str, Any]]) -> None:
    bare = b"\n".join(json.dumps(json.loads(line)["data"][0]).encode() for line in FIXTURE.read_text().splitlines())
    assert connector.detect(bare, "rows.jsonl") > 0.8
    found = read(connector, bare).calls.sort_by("start_time").to_pylist()
    different = ("ingest_uri", "ingest_row", "ingested_at", "raw_sha256")  # the digest is of the bytes, and these have more spaces
    assert [{k: v for k, v in row.items() if k not in different} for row in found] == [
        {k: v for k, v in row.items() if k not in different} for row in rows
    ]


def test_a_page_longer_than_the_head_is_recognised(read: Any) -> None:
    row = json.loads(FIXTURE.read_text().splitlines()[0])["data"][0]
    page = json.dumps({"data": [row | {"request_id": f"{row['request_id']}-{n}"} for n in range(500)], "error": None}).encode()
    assert connector.detect(page[: 64 << 10], "page.json") > 0.8
    assert len(set(read(connector, page).calls["source_record_id"].to_pylist())) == 500


def test_a_body_with_a_null_keeps_it(read: Any) -> None:
    page = json.loads(FIXTURE.read_text().splitlines()[0])
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "t1"}]}
    page["data"][0]["response_body"] = json.dumps({"choices": [{"message": call, "finish_reason": "tool_calls"}]})
    content = read(connector, json.dumps(page).encode()).content.to_pylist()
    assert json.loads(next(b["body"] for b in content if b["kind"] == "output"))["message"] == call


def test_pictures_are_no_conversation_and_a_tier_is_told(read: Any) -> None:
    row = json.loads(FIXTURE.read_text().splitlines()[0])
    row = row["data"][0] if "data" in row else row
    picture = row | {
        "request_path": "/v1/images/generations",
        "request_body": {"model": "gpt-image-1", "prompt": "a roof"},
        "response_body": {"service_tier": "flex"},
    }
    [found] = read(connector, json.dumps(picture).encode()).calls.to_pylist()
    assert (found["operation"], found["replayable"], found["service_tier"]) == ("image_generation", False, "flex")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("answer", "tier"),
    [
        ({"usage": {"speed": "fast", "service_tier": "standard"}}, "fast"),
        ({"usage": {"speed": "standard", "service_tier": "batch"}}, "batch"),
        ({"service_tier": "priority", "usage": {}}, "priority"),
    ],
)
def test_the_tier_of_an_answer(read: Any, answer: dict[str, Any], tier: str, packed: bool) -> None:
    row = json.loads(FIXTURE.read_text().splitlines()[0])["data"][0]
    row |= {"response_body": json.dumps(answer) if packed else answer}
    [found] = read(connector, json.dumps(row).encode()).calls.to_pylist()
    assert found["service_tier"] == tier


def test_what_a_request_was_is_read_from_its_target_where_no_path_is_told(read: Any) -> None:
    """The query on ClickHouse, which is the one that is pulled, has no request_path."""
    row = json.loads(FIXTURE.read_text().splitlines()[0])
    row = (row["data"][0] if "data" in row else row) | {"target_url": "https://api.openai.com/v1/embeddings?key=s3cret"}
    row.pop("request_path", None)
    found = read(connector, json.dumps(row).encode()).calls.to_pylist()[0]
    assert (found["operation"], found["api_base"]) == ("embeddings", "https://api.openai.com/v1/embeddings")
