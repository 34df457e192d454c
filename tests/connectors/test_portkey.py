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
