"""What Portkey's export says of a call, by the form of the provider's answer in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.portkey import connector

RECORD = json.loads((Path(__file__).parent / "fixtures/portkey_export.jsonl").read_text().splitlines()[0])


def row(read: Any, provider: str, model: str, body: dict[str, Any]) -> dict[str, Any]:
    record = RECORD | {"ai_org": provider, "ai_model": model, "request": {"body": {"model": model}}, "response": {"body": body}}
    [found] = read(connector, json.dumps(record).encode()).calls.to_pylist()
    return dict(found)


@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "vertex-ai", "azure-ai"])
def test_messages_count_cached_tokens_apart_whoever_serves_them(read: Any, provider: str) -> None:
    usage = {
        "input_tokens": 3000,
        "cache_read_input_tokens": 2000,
        "cache_creation_input_tokens": 500,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 400},
        "output_tokens": 100,
    }
    found = row(read, provider, "claude-sonnet-4", {"id": "msg_bdrk_01ABCDEFGHJKLMNOPQRST", "type": "message", "usage": usage})
    assert (found["input_tokens"], found["input_uncached_tokens"], found["usage_convention"]) == (5500, 3000, "exclusive")
    assert (found["cache_write_5m_tokens"], found["cache_write_1h_tokens"]) == (100, 400)


def test_the_responses_api_says_what_was_cached_and_thought(read: Any) -> None:
    usage = {
        "input_tokens": 5000,
        "input_tokens_details": {"cached_tokens": 4096},
        "output_tokens": 100,
        "output_tokens_details": {"reasoning_tokens": 64},
        "total_tokens": 5100,
    }
    found = row(read, "openai", "gpt-5", {"id": "resp_0123456789abcdef01234567", "object": "response", "usage": usage})
    assert (found["input_tokens"], found["cache_read_tokens"], found["output_tokens"], found["reasoning_tokens"]) == (5000, 4096, 100, 64)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("vertex-ai", "gcp.vertex_ai"),
        ("azure-ai", "azure.ai.inference"),
        ("mistral-ai", "mistral_ai"),
        ("perplexity-ai", "perplexity"),
        ("x-ai", "x_ai"),
    ],
)
def test_its_own_names_of_providers_are_known(read: Any, said: str, meant: str) -> None:
    assert row(read, said, "some-model", {})["provider"] == meant


def test_a_served_call_without_tokens_is_not_counted_as_free(read: Any) -> None:
    record = RECORD | {"req_units": 0, "res_units": 0, "response": {"body": {}}}
    [found] = read(connector, json.dumps(record).encode()).calls.to_pylist()
    assert (found["status"], found["input_tokens"], found["usage_source"]) == ("ok", None, "missing")


def test_what_kind_of_call_it_was_and_for_whom(read: Any) -> None:
    record = RECORD | {"mode": "fallback", "last_used_option_index": 1, "retry_success_count": 2, "stream_mode": 1.0}
    record["response"] = {"body": {"service_tier": "flex"}}
    [found] = read(connector, json.dumps(record).encode()).calls.to_pylist()
    assert (found["operation"], found["stream"], found["service_tier"]) == ("chat", True, "flex")
    assert (found["is_fallback"], found["retry_count"]) == (True, 2)
    assert (found["end_user_id"], found["environment"]) == ("u-1", "prod")  # from two lists side by side


def test_a_fast_answer_of_claude_and_what_openai_wrote_to_its_cache(read: Any) -> None:
    fast = {"type": "message", "usage": {"input_tokens": 9, "output_tokens": 5, "speed": "fast", "service_tier": "standard",
        "output_tokens_details": {"thinking_tokens": 3}}}  # fmt: skip
    wrote = {"usage": {"prompt_tokens": 2000, "completion_tokens": 5, "prompt_tokens_details": {"cache_write_tokens": 1500}}}
    [claude] = read(connector, json.dumps(RECORD | {"response": {"body": fast}}).encode()).calls.to_pylist()
    [gpt] = read(connector, json.dumps(RECORD | {"response": {"body": wrote}}).encode()).calls.to_pylist()
    assert (claude["service_tier"], claude["reasoning_tokens"]) == ("fast", 3)
    assert (gpt["input_tokens"], gpt["cache_write_tokens"]) == (2000, 1500)


@pytest.mark.parametrize(
    ("said", "status"),
    [({"is_success": 0.0, "response_status_code": 446}, "blocked"), ({"is_success": 0, "response_status_code": 499.0}, "cancelled"),
     ({"is_success": 0.0, "response_status_code": 408}, "error"), ({"response_status_code": 246}, "ok")],
)  # fmt: skip
def test_a_guardrails_refusal_is_blocked_and_a_client_that_left_cancelled(read: Any, said: dict[str, Any], status: str) -> None:
    [found] = read(connector, json.dumps(RECORD | said).encode()).calls.to_pylist()
    assert found["status"] == status


@pytest.mark.parametrize(
    ("path", "operation", "replayable"),
    [("embeddings", "embeddings", False), ("images/generations", "image_generation", False), ("audio/speech", "speech", False),
     ("rerank", "rerank", False), ("responses", "responses", True), ("messages", "chat", True)],
)  # fmt: skip
def test_only_a_conversation_is_replayed(read: Any, path: str, operation: str, replayable: bool) -> None:
    record = RECORD | {"request_url": f"https://api.openai.com/v1/{path}", "request": {"body": {"model": "m", "input": "Claim 1."}}}
    [found] = read(connector, json.dumps(record).encode()).calls.to_pylist()
    assert (found["operation"], found["replayable"]) == (operation, replayable)


GEMINI = {
    "candidates": [{"finishReason": "STOP"}],
    "usageMetadata": {
        "promptTokenCount": 2000,
        "cachedContentTokenCount": 1024,
        "candidatesTokenCount": 172,
        "thoughtsTokenCount": 128,
        "totalTokenCount": 2300,
    },
    "modelVersion": "gemini-2.5-flash",
    "responseId": "abcdefghijklmnopqrstuv",
}
CONVERSE = {
    "stopReason": "end_turn",
    "usage": {"inputTokens": 100, "outputTokens": 50, "cacheReadInputTokens": 40, "cacheWriteInputTokens": 20, "totalTokens": 210},
}


@pytest.mark.parametrize(
    ("provider", "body", "counted"),
    [
        ("google", GEMINI, (2000, 1024, None, 300, 128, "gemini-2.5-flash", ["STOP"])),
        ("bedrock", CONVERSE, (160, 40, 20, 50, None, None, ["end_turn"])),
    ],
    ids=["gemini", "converse"],
)
def test_answers_in_googles_and_bedrocks_own_form_are_counted(
    read: Any, provider: str, body: dict[str, Any], counted: tuple[Any, ...]
) -> None:
    """Passed through as the provider wrote them: thoughts stand beside Gemini's output, the cache beside Converse's input."""
    found = row(read, provider, "m", body)
    names = (
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
        "response_model",
        "finish_reasons",
    )
    assert tuple(found[name] for name in names) == counted
    assert json.loads(found["usage_raw"]) == body.get("usage", body.get("usageMetadata"))
