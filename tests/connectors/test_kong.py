"""Kong: what its records say exactly, the older form, and what must not be kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from connector_samples.sample import FIXTURES

from connectors.kong import connector

FILE = FIXTURES / "kong_file_log.jsonl"


@pytest.fixture
def records() -> list[dict[str, Any]]:
    return [json.loads(line) for line in FILE.read_text().splitlines()]


@pytest.fixture
def rows(read: Any) -> list[dict[str, Any]]:
    return read(connector, FILE).calls.to_pylist()


def one(read: Any, record: dict[str, Any]) -> dict[str, Any]:
    return read(connector, json.dumps(record).encode()).calls.to_pylist()[0]


def test_a_call_with_everything(rows: list[dict[str, Any]]) -> None:
    row = rows[0]
    assert row["source_record_id"] == "k0ng" + "0" * 28
    assert row["dup_group_key"] == "kong-row:k0ng" + "0" * 28
    assert row["dup_alias_key"] == "response:chatcmpl-KongFixture0001abcdef"
    assert row["start_time"] == datetime(2026, 10, 1, 10, 0, 1, 250_000, tzinfo=UTC)
    assert (row["duration_ms"], row["gateway_overhead_ms"], row["duration_basis"], row["ttft_ms"]) == (1201, 21, "total", None)
    assert (row["input_tokens"], row["cache_read_tokens"], row["input_uncached_tokens"]) == (1200, 1024, 176)
    assert (row["output_tokens"], row["reasoning_tokens"], row["total_tokens_reported"]) == (80, 64, 1280)
    assert (row["cost_amount"], row["cost_currency"], row["cost_source"]) == (Decimal("0.000395"), "USD", "gateway_estimate")
    assert (row["requested_model"], row["response_model"], row["provider"]) == ("gpt-5-mini", "gpt-5-mini-2025-08-07", "openai")
    assert (row["operation"], row["stream"], row["is_fallback"], row["attempt_count"]) == ("chat", False, False, 1)
    assert (row["status"], row["http_status"], row["finish_reasons"]) == ("ok", 200, ["stop"])
    assert (row["principal"], row["api_key_id"]) == ("claims-app", "9d1e0c1e-0000-4000-8000-00000000000e")
    assert (row["workspace_id"], row["route_id"], row["workflow_id"]) == ("claims", "claims-chat", "fnol-triage")
    assert dict(row["metadata"]) == {
        "cost_center": "cc-4711",
        "workflow": "fnol-triage",
        "consumer.custom_id": "team-claims",
        "consumer.username": "claims-app",
    }
    assert (row["content_state"], row["replayable"], json.loads(row["request_params"])) == ("full", True, {"temperature": 0.2})


def test_bodies_are_text_and_are_opened(read: Any, records: list[dict[str, Any]]) -> None:
    bodies = {body["kind"]: json.loads(body["body"]) for body in read(connector, json.dumps(records[0]).encode()).content.to_pylist()}
    assert bodies["input"]["messages"] == [{"role": "user", "content": "Sort claim 1."}]
    assert bodies["output"]["message"] == {"role": "assistant", "content": "water damage"}


def test_anthropic_counts_leave_the_cache_out(rows: list[dict[str, Any]]) -> None:
    row = rows[1]
    assert (row["input_tokens"], row["cache_read_tokens"], row["usage_convention"]) == (1020, 1000, "exclusive")
    assert (row["stream"], row["ttft_ms"]) == (True, 583)


def test_a_newer_kong_counts_anthropics_cache_into_the_prompt(read: Any, records: list[dict[str, Any]]) -> None:
    """Since 3.14.0.8 and 3.15.0.4; before, it told no cached token of Anthropic's (changelog of ai-proxy-advanced)."""
    records[1]["ai"]["proxy"]["usage"] |= {
        "prompt_tokens": 1250,
        "total_tokens": 1335,
        "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 200},
    }
    row = one(read, records[1])
    assert (row["input_tokens"], row["input_uncached_tokens"], row["usage_convention"]) == (1250, 50, "inclusive")
    assert (row["cache_read_tokens"], row["cache_write_tokens"]) == (1000, 200)


@pytest.mark.parametrize("inside", [True, False])
def test_a_judge_is_a_call_of_its_own_to_the_model_that_judged(read: Any, records: list[dict[str, Any]], inside: bool) -> None:
    """The reference has it inside the proxy's block, the how-to beside it; both name the judged model as the one asked."""
    ai = records[0]["ai"]
    (ai["proxy"] if inside else ai)["ai-llm-as-judge"] = {
        "meta": {
            "provider_name": "openai",
            "request_model": "gemini-2.0-flash",
            "response_model": "gpt-4o-2024-08-06",
            "llm_latency": 1491,
        },
        "tried_targets": [{"provider": "gemini", "model": "gemini-2.0-flash", "host": "us-central1-aiplatform.googleapis.com"}],
        "usage": {"prompt_tokens": 49, "completion_tokens": 114, "total_tokens": 163, "llm_accuracy": 14},
    }
    judge = next(
        row for row in read(connector, json.dumps(records[0]).encode()).calls.to_pylist() if row["source_record_id"].endswith("judge")
    )
    assert (judge["provider"], judge["requested_model"], judge["response_model"]) == ("openai", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06")
    assert (judge["input_tokens"], judge["output_tokens"], judge["duration_ms"]) == (49, 114, 1491)


def test_a_picture_of_a_model_that_thinks(read: Any, records: list[dict[str, Any]]) -> None:
    records[0]["ai"]["proxy"] |= {
        "usage": {"input_tokens": 10, "output_tokens": 1400, "output_tokens_details": {"reasoning_tokens": 110, "image_tokens": 1290}},
        "payload": {"response": json.dumps({"id": "x", "service_tier": "flex"})},
    }
    row = one(read, records[0])
    assert (row["output_tokens"], row["reasoning_tokens"], row["image_output_tokens"], row["service_tier"]) == (1400, 110, 1290, "flex")


def test_no_price_is_no_cost(rows: list[dict[str, Any]]) -> None:
    assert (rows[1]["cost_amount"], rows[1]["cost_source"], rows[1]["cost_raw"]) == (None, "missing", "0")


def test_a_failed_call_has_no_usage(rows: list[dict[str, Any]]) -> None:
    row = rows[2]
    assert (row["status"], row["http_status"], row["error_type"], row["error_message"]) == ("error", 429, "requests", "Rate limit reached")
    assert (row["input_tokens"], row["usage_source"], row["dup_alias_key"]) == (None, "missing", None)


def test_a_served_call_without_tokens_is_not_counted_as_free(read: Any, records: list[dict[str, Any]]) -> None:
    """A stream whose provider told no usage."""
    records[0]["ai"]["proxy"]["usage"] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cost": 0}
    row = one(read, records[0])
    assert (row["status"], row["input_tokens"], row["output_tokens"], row["usage_source"]) == ("ok", None, None, "missing")


def test_pictures_and_sound_are_counted_under_names_of_their_own(read: Any, records: list[dict[str, Any]]) -> None:
    """Since 3.11: https://developer.konghq.com/ai-gateway/ai-audit-log-reference/"""
    records[0]["ai"]["proxy"]["usage"] = {
        "input_tokens": 60,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 30, "audio_tokens_count": 20},
        "output_tokens": 1056,
        "output_tokens_details": {"text_tokens": 6, "audio_tokens": 1050},
        "total_tokens": 1116,
    }
    row = one(read, records[0])
    assert (row["input_tokens"], row["output_tokens"], row["total_tokens_reported"]) == (60, 1056, 1116)
    assert (row["image_input_tokens"], row["audio_input_tokens"], row["audio_output_tokens"]) == (30, 20, 1050)


def test_a_semantic_hit_after_a_fallback(rows: list[dict[str, Any]]) -> None:
    row = rows[3]
    assert (row["gateway_cache"], row["is_fallback"], row["fallback_from_model"], row["attempt_count"]) == (
        "hit_semantic",
        True,
        "gpt-5-mini",
        2,
    )
    assert (row["deployment_id"], row["provider"]) == ("gpt-41-claims", "azure.ai.openai")
    assert [target["provider"] for target in json.loads(row["routing_detail"])] == ["openai", "azure"]


def test_what_a_sanitizer_found_is_not_kept(rows: list[dict[str, Any]]) -> None:
    assert json.loads(rows[3]["guardrail_results"])["sanitizer"] == {"pii_identified": 1, "pii_sanitized": 1, "duration": 6}
    assert "jo@example.com" not in str(rows)


def test_the_block_of_older_versions(rows: list[dict[str, Any]]) -> None:
    row = rows[4]
    assert (row["input_tokens"], row["output_tokens"], row["cost_amount"]) == (28, 20, Decimal("0.0038"))
    assert (row["requested_model"], row["provider"], row["api_method"]) == ("mistral-small", "mistral_ai", "ai-proxy")


def test_traffic_without_a_model_is_structure(read: Any, records: list[dict[str, Any]]) -> None:
    tool = records[5] | {"ai": {"mcp": {"mcp_session_id": "s", "rpc": [{"method": "tools/call"}]}}}
    batch = read(connector, json.dumps(records[5]).encode(), json.dumps(tool).encode())
    assert (len(batch.calls), len(batch.rejected), len(batch.spans)) == (0, 0, 2)
    assert connector.detect(json.dumps(records[5]).encode(), "kong.log") > 0.8


def test_a_transformers_call_is_a_call_of_its_own(read: Any, records: list[dict[str, Any]]) -> None:
    record = records[4]
    meta = {"provider_name": "openai", "request_model": "gpt-5-nano", "response_model": "gpt-5-nano", "llm_latency": 300}
    record["ai"]["ai-request-transformer"] = {"meta": meta, "usage": {"prompt_token": 5, "completion_token": 6, "total_tokens": 11}}
    rows = sorted(read(connector, json.dumps(record).encode()).calls.to_pylist(), key=lambda row: row["source_record_id"])
    identity = "k0ng" + f"{4:028d}"
    assert [row["source_record_id"] for row in rows] == [identity, f"{identity}:ai-request-transformer"]
    assert [(row["duration_ms"], row["duration_basis"]) for row in rows] == [(1205, "total"), (300, "provider_only")]
    assert len({row["record_id"] for row in rows}) == len({row["dup_group_key"] for row in rows}) == 2


def test_an_unspecified_provider_is_none(read: Any, records: list[dict[str, Any]]) -> None:
    records[1]["ai"]["proxy"]["meta"].update(provider_name="UNSPECIFIED", request_model="UNSPECIFIED")
    row = one(read, records[1])
    assert (row["provider"], row["provider_raw"], row["requested_model"]) == (None, None, None)


@pytest.mark.parametrize(
    ("host", "provider"),
    [("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"), ("generativelanguage.googleapis.com", "gcp.gemini"), ("", "gcp.gemini")],
)
def test_the_host_says_at_which_door_gemini_was_asked(read: Any, records: list[dict[str, Any]], host: str, provider: str) -> None:
    """As in Kong's own sample: provider_name gemini, the target a host of Vertex AI."""
    block = records[0]["ai"]["proxy"]
    block["meta"] |= {"provider_name": "gemini", "request_model": "gemini-2.0-flash"}
    path = "/v1/projects/p/locations/us-central1/publishers/google/models/gemini-2.0-flash:generateContent"
    block["tried_targets"] = [{"provider": "gemini", "model": "gemini-2.0-flash", "host": host, "upstream_uri": path}]
    row = one(read, records[0])
    assert (row["provider"], row["provider_raw"]) == (provider, "gemini")


def test_a_guard_that_stopped_the_call(read: Any, records: list[dict[str, Any]]) -> None:
    records[3]["ai"]["proxy"]["aws-guardrails"]["guards_triggered_count"] = 1
    assert one(read, records[3])["status"] == "ok"  # it only watched
    records[3]["response"]["status"] = 400
    assert one(read, records[3])["status"] == "blocked"


@pytest.mark.parametrize("headers", [{"x-governor-traffic": "shadow"}, {"X-LiteLLM-Tags": "governor-shadow-run,governor-shadow-run:7"}])
def test_our_own_replay_is_shadow(read: Any, records: list[dict[str, Any]], headers: dict[str, str]) -> None:
    records[0]["request"]["headers"].update(headers)
    row = one(read, records[0])
    assert (row["traffic_class"], row["cost_bearing"], row["exclusion_reason"]) == ("shadow", False, "shadow")


def test_a_batch_of_http_log_is_an_array(read: Any, records: list[dict[str, Any]]) -> None:
    batch = read(connector, json.dumps(records).encode())
    assert (len(batch.calls), len(batch.spans)) == (5, 1)
    assert sorted(batch.calls["ingest_row"].to_pylist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("cost", ["NaN", "1e999"])
def test_a_cost_that_is_no_number_is_unknown(read: Any, records: list[dict[str, Any]], cost: str) -> None:
    row = read(connector, json.dumps(records[0]).replace("0.000395", cost).encode()).calls.to_pylist()[0]
    assert (row["cost_amount"], row["input_tokens"]) == (None, 1200)


@pytest.mark.parametrize("cost", ["nan", "9" * 5000, "[" * 5000 + "]" * 5000])
def test_a_record_that_cannot_be_opened_is_refused(read: Any, records: list[dict[str, Any]], cost: str) -> None:
    batch = read(connector, json.dumps(records[1]).encode(), json.dumps(records[0]).replace("0.000395", cost).encode())
    assert (len(batch.calls), len(batch.spans)) == (1, 0)
    assert [reason.split(":")[0] for reason in batch.rejected["reason"].to_pylist()] == ["invalid_json"]


def test_a_log_field_of_the_name_of_ours_is_only_a_field(read: Any, records: list[dict[str, Any]]) -> None:
    row = one(read, records[0] | {"governor_parts": [{"started_at": 1}]})
    assert (row["source_record_id"], row["input_tokens"]) == ("k0ng" + "0" * 28, 1200)


@pytest.mark.parametrize(
    ("kongs", "answer", "counted"),
    [
        # Kong's own count leaves out what stands beside it in the provider's words
        ((100, 300), {"type": "message", "usage": {"input_tokens": 100, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 20, "output_tokens": 300}},
         (160, 40, 20, 300, None)),
        ((100, 300), {"usage": {"inputTokens": 100, "cacheReadInputTokens": 40, "outputTokens": 300}}, (140, 40, None, 300, None)),
        ((2000, 172), {"usageMetadata": {"promptTokenCount": 2000, "cachedContentTokenCount": 1024, "candidatesTokenCount": 172, "thoughtsTokenCount": 128}},
         (2000, 1024, None, 300, 128)),
        ((2000, 300), {"usage": {"prompt_tokens": 2000, "completion_tokens": 300, "prompt_tokens_details": {"cached_tokens": 1024},
                                 "completion_tokens_details": {"reasoning_tokens": 128}}}, (2000, 1024, None, 300, 128)),
        ((2000, 300), {"usage": {"input_tokens": 2000, "output_tokens": 300, "input_tokens_details": {"cached_tokens": 1024}}}, (2000, 1024, None, 300, None)),
        # an answer that does not say what Kong counted proves nothing
        ((160, 300), {"type": "message", "usage": {"input_tokens": 100, "cache_read_input_tokens": 60, "output_tokens": 300}}, (160, None, None, 300, None)),
        ((100, 300), {"usage": {"inputTokens": "100", "cacheReadInputTokens": True}}, (100, None, None, 300, None)),
        ((100, 300), {"usage": ["inputTokens"]}, (100, None, None, 300, None)),
    ],
)  # fmt: skip
def test_parts_of_the_tokens_come_from_the_logged_answer_where_kong_tells_none(
    read: Any, records: list[dict[str, Any]], kongs: tuple[int, int], answer: dict[str, Any], counted: tuple[int | None, ...]
) -> None:
    """Kong up to 3.10, and the open-source one: its two counts are the answer's, without cache and without Gemini's thoughts."""
    proxy = records[0]["ai"]["proxy"]
    proxy["usage"] = {"prompt_tokens": kongs[0], "completion_tokens": kongs[1], "total_tokens": sum(kongs), "cost": 0, "time_per_token": 3}
    proxy["payload"] = {"request": "{}", "response": json.dumps(answer)}
    row = one(read, records[0])
    names = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    assert tuple(row[name] for name in names) == counted
    assert json.loads(row["usage_raw"]) == proxy["usage"]


def test_parts_that_kong_tells_itself_are_kongs(read: Any, records: list[dict[str, Any]]) -> None:
    proxy = records[0]["ai"]["proxy"]
    proxy["usage"] = {"prompt_tokens": 160, "completion_tokens": 300, "total_tokens": 460, "prompt_tokens_details": {"cached_tokens": 60}}
    answer = {"type": "message", "usage": {"input_tokens": 160, "cache_read_input_tokens": 60, "output_tokens": 300}}
    proxy["payload"] = {"request": "{}", "response": json.dumps(answer)}
    assert (one(read, records[0])["input_tokens"], one(read, records[0])["cache_read_tokens"]) == (160, 60)
