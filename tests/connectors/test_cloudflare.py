"""What Cloudflare's logs say of a call, with and without the bodies."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.archives import HEAD
from connectors.cloudflare import connector

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def rows(read: Any) -> list[dict[str, Any]]:
    return read(connector, FIXTURES / "cloudflare_logs.jsonl").calls.to_pylist()


@pytest.fixture
def entries(read: Any) -> list[dict[str, Any]]:
    return read(connector, FIXTURES / "cloudflare_log.jsonl").calls.to_pylist()


def test_a_row(rows: list[dict[str, Any]]) -> None:
    row = rows[0]
    assert (row["source_kind"], row["source_record_id"], row["gateway_kind"]) == (
        "cloudflare.logs",
        "01K9CLOUDFLAREFIXTURE00001",
        "cloudflare",
    )
    assert (row["dup_group_key"], row["dup_alias_key"]) == ("cloudflare-row:01K9CLOUDFLAREFIXTURE00001", None)
    assert (row["start_time"], row["time_basis"], row["duration_ms"]) == (datetime(2026, 10, 1, 9, 0, 1, tzinfo=UTC), "log_time", 841.0)
    assert (row["requested_model"], row["provider"], row["operation"], row["attempt_index"]) == ("gpt-4o-mini", "openai", "chat", 0)
    assert (row["input_tokens"], row["output_tokens"], row["cache_read_tokens"], row["reasoning_tokens"]) == (1200, 80, None, None)
    assert (row["cost_amount"], row["cost_currency"], row["cost_source"]) == (Decimal("0.00042"), "USD", "gateway_estimate")
    assert (row["status"], row["http_status"], row["gateway_cache"], row["stream"]) == ("ok", 200, "none", False)


def test_metadata_is_an_object_written_as_text(rows: list[dict[str, Any]], read: Any) -> None:
    assert (rows[0]["workflow_id"], rows[0]["environment"], rows[0]["data_class"]) == ("claims-triage", "prod", "internal")
    assert dict(rows[0]["metadata"])["team"] == "claims"
    assert rows[4]["metadata"] == []
    plain = json.loads((FIXTURES / "cloudflare_logs.jsonl").read_text().splitlines()[0])  # Workers give an object
    plain["metadata"] = {"workflow": "claims-triage", "approved": True}
    row = read(connector, json.dumps(plain).encode()).calls.to_pylist()[0]
    assert (row["workflow_id"], dict(row["metadata"])["approved"]) == ("claims-triage", "true")


def test_hits_failures_and_what_is_unknown(rows: list[dict[str, Any]]) -> None:
    hit, refused, fallback, unknown, blocked = rows[1:]
    assert (hit["gateway_cache"], hit["cost_amount"], hit["input_tokens"]) == ("hit_exact", 0, 1200)
    assert (refused["status"], refused["input_tokens"], refused["cost_amount"], refused["usage_source"]) == ("error", None, None, "missing")
    assert (fallback["attempt_index"], fallback["stream"], fallback["price_book_source"]) == (1, True, "cloudflare custom cost")
    assert (unknown["provider"], unknown["provider_raw"], unknown["status"]) == ("gcp.vertex_ai", "google-vertex-ai", "ok")
    assert (unknown["input_tokens"], unknown["output_tokens"], unknown["usage_source"]) == (
        None,
        None,
        "missing",
    )  # served, and counted 0 and 0
    assert (blocked["status"], blocked["http_status"]) == ("error", 424)  # the row does not say whether a policy stopped it


def test_pages_are_their_rows(read: Any, rows: list[dict[str, Any]]) -> None:
    batch = read(connector, FIXTURES / "cloudflare_pages.jsonl")
    paged = batch.calls.to_pylist()
    own = ("ingest_row", "ingest_uri", "raw_sha256")
    assert [{k: v for k, v in row.items() if k not in own} for row in paged] == [
        {k: v for k, v in row.items() if k not in own} for row in rows
    ]
    assert [row["ingest_row"] for row in paged] == [0, 0, 0, 1, 1, 1]
    assert len(batch.rejected) == 0


def test_a_page_longer_than_the_head_is_recognised(read: Any) -> None:
    page = json.loads((FIXTURES / "cloudflare_pages.jsonl").read_text().splitlines()[0])
    page["result"] = [row | {"id": f"{row['id']}-{n}"} for n in range(60) for row in page["result"]]
    for text in (json.dumps(page).encode(), json.dumps(page, indent=2).encode()):
        assert len(text) > HEAD
        assert connector.detect(text[:HEAD], "page") == 0.9
        assert len(read(connector, text).calls) == 180
    assert connector.detect(b'{"result": [{"id": "1"}, {"id": "2"}, {"id', "other") == 0.0


def test_an_entry_has_the_provider_s_own_counts_and_content(entries: list[dict[str, Any]], read: Any) -> None:
    openai, anthropic = entries[:2]
    assert (openai["source_kind"], openai["dup_group_key"]) == ("cloudflare.log", "cloudflare-row:01K9CLOUDFLAREFIXTURE00001")
    assert openai["dup_alias_key"] == "response:chatcmpl-CloudflareFixture001abc"
    assert (openai["response_model"], openai["finish_reasons"]) == ("gpt-4o-mini-2024-07-18", ["stop"])
    assert (openai["input_tokens"], openai["cache_read_tokens"], openai["output_tokens"], openai["reasoning_tokens"]) == (
        1200,
        1024,
        80,
        16,
    )
    assert (openai["request_params"], openai["replayable"]) == ('{"temperature":0.2}', True)
    assert (anthropic["input_tokens"], anthropic["input_uncached_tokens"]) == (1120, 20)
    assert (anthropic["cache_read_tokens"], anthropic["cache_write_tokens"], anthropic["usage_convention"]) == (1000, 100, "exclusive")
    bodies = [json.loads(body["body"]) for body in read(connector, FIXTURES / "cloudflare_log.jsonl").content.to_pylist()]
    assert bodies[1]["messages"] == [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Sort claim 1."}]


def test_messages_on_another_cloud_count_cached_tokens_apart_too(read: Any) -> None:
    entry = json.loads((FIXTURES / "cloudflare_log.jsonl").read_text().splitlines()[1])
    usage = {"input_tokens": 3000, "cache_read_input_tokens": 2000, "output_tokens": 100}
    usage |= {"service_tier": "standard", "speed": "fast", "output_tokens_details": {"thinking_tokens": 60}}
    entry["result"] |= {"provider": "aws-bedrock", "response_head": json.dumps({"type": "message", "usage": usage})}
    [row] = read(connector, json.dumps(entry).encode()).calls.to_pylist()
    assert (row["provider"], row["input_tokens"], row["input_uncached_tokens"]) == ("aws.bedrock", 5000, 3000)
    assert (row["service_tier"], row["reasoning_tokens"]) == ("fast", 60)


@pytest.mark.parametrize(("whole", "details"), [("prompt_tokens", "prompt_tokens_details"), ("input_tokens", "input_tokens_details")])
def test_what_openai_wrote_to_its_cache_and_its_tier(read: Any, whole: str, details: str) -> None:
    """Since gpt-5.6 a write to the cache has a price of its own."""
    entry = json.loads((FIXTURES / "cloudflare_log.jsonl").read_text().splitlines()[0])
    usage = {whole: 1200, details: {"cached_tokens": 100, "cache_write_tokens": 900}, "total_tokens": 1280}
    entry["result"]["response_head"] = json.dumps({"id": "x", "service_tier": "flex", "usage": usage})
    [row] = read(connector, json.dumps(entry).encode()).calls.to_pylist()
    assert (row["input_tokens"], row["cache_read_tokens"], row["cache_write_tokens"], row["input_uncached_tokens"]) == (1200, 100, 900, 200)
    assert row["service_tier"] == "flex"


def test_a_body_that_was_cut_is_no_body(entries: list[dict[str, Any]]) -> None:
    failed, cut, stream = entries[2:]
    assert (failed["status"], failed["error_type"], failed["error_message"]) == ("error", "requests", "rate limited")
    assert (failed["input_tokens"], failed["content_state"]) == (None, "full")
    assert (cut["content_state"], cut["replayable"], cut["provider_response_id"], cut["input_tokens"]) == ("absent", False, None, 1200)
    assert (stream["content_state"], stream["output_sha256"], stream["input_tokens"], stream["cache_read_tokens"]) == (
        "full",
        None,
        1200,
        None,
    )


def test_a_row_and_its_entry_are_one_call(read: Any, merged: Any) -> None:
    both = merged(
        read(connector, FIXTURES / "cloudflare_logs.jsonl").calls.slice(0, 1),
        read(connector, FIXTURES / "cloudflare_log.jsonl").calls.slice(0, 1),
    ).to_pylist()
    counted = [row["source_kind"] for row in both if row["cost_bearing"]]
    assert counted == ["cloudflare.log"]  # it says more


def test_geminis_own_answer_has_its_cache_and_its_thoughts(read: Any) -> None:
    entry = json.loads((FIXTURES / "cloudflare_log.jsonl").read_text().splitlines()[0])
    usage = {
        "promptTokenCount": 2000,
        "cachedContentTokenCount": 1024,
        "candidatesTokenCount": 172,
        "thoughtsTokenCount": 128,
        "totalTokenCount": 2300,
    }
    answer = {"usageMetadata": usage, "modelVersion": "gemini-2.5-flash", "responseId": "abcdefghijklmnopqrstuv"}
    entry["result"] |= {"provider": "google-ai-studio", "tokens_in": 2000, "tokens_out": 172, "response_head": json.dumps(answer)}
    [row] = read(connector, json.dumps(entry).encode()).calls.to_pylist()
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"], row["reasoning_tokens"]) == (2000, 1024, 300, 128)
    assert (row["response_model"], row["provider_response_id"]) == ("gemini-2.5-flash", "abcdefghijklmnopqrstuv")
