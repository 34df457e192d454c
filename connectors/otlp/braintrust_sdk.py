"""Spans of Braintrust's SDKs (Go, Java, Ruby; whoever exports to its OTLP endpoint): four attributes of JSON as text, under names of its own.

Owns: those names under the conventions'. Does not own: rows of project logs (connectors/braintrust.py), rows (calls).
Invariants: only what Braintrust calls a model is a call; parameters of the request, which hold prompts too, are no metadata.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from connectors.otlp.blocks import plain, tool_call
from connectors.otlp.bodies import PARAMETERS
from connectors.otlp.dialects import json_attribute
from connectors.otlp.wire import ERROR, Span
from connectors.reshaped import listed, named

_OWN: Final = "braintrust."
METADATA, METRICS = _OWN + "metadata", _OWN + "metrics"
_KIND: Final = _OWN + "span_attributes"
_COUNTS: Final = {
    "gen_ai.usage.input_tokens": "prompt_tokens",
    "gen_ai.usage.output_tokens": "completion_tokens",
    "gen_ai.usage.total_tokens": "tokens",
    "gen_ai.usage.cache_read.input_tokens": "prompt_cached_tokens",
    "gen_ai.usage.cache_creation.input_tokens": "prompt_cache_creation_tokens",
    "gen_ai.usage.details.ephemeral_5m_input_tokens": "prompt_cache_creation_5m_tokens",
    "gen_ai.usage.details.ephemeral_1h_input_tokens": "prompt_cache_creation_1h_tokens",
    "gen_ai.usage.details.reasoning_tokens": "completion_reasoning_tokens",
    "gen_ai.usage.details.thoughts_tokens": "thoughts_token_count",  # Gemini's, beside its completion
    "gen_ai.usage.audio.input_tokens": "prompt_audio_tokens",
    "gen_ai.usage.audio.output_tokens": "completion_audio_tokens",
    "gen_ai.usage.image.input_tokens": "prompt_image_tokens",
    "gen_ai.usage.image.output_tokens": "completion_image_tokens",
}
_FACTS: Final = {
    "gen_ai.provider.name": "provider",
    "gen_ai.request.model": "model",
    "gen_ai.request.stream": "stream",
    "openai.response.service_tier": "service_tier",
    "gen_ai.response.id": "id",
}
# what its wrappers copy of a request and an answer among the user's metadata
_COPIED: Final = PARAMETERS | frozenset(
    (
        "provider", "model", "id", "object", "created", "endpoint", "instructions", "user", "truncation", "timeout", "store", "tools", "functions", "metadata",
        "container", "mcp_servers", "system", "systemInstruction", "toolConfig", "safetySettings", "cachedContent", "topP", "topK", "candidateCount",
        "maxOutputTokens", "stopSequences", "responseMimeType", "responseSchema", "finished_reason", "stop_reason", "tool_calls", "choices", "usage",
        "prompt_filter_results", "content_filter_results", "system_fingerprint", "text", "prompt", "messages", "input", "output", "logit_bias", "logprobs",
        "top_logprobs", "function_call", "audio", "modalities", "prediction", "completion_tokens",
    )
)  # fmt: skip


def is_call(span: Span) -> bool:
    """The wrappers of OpenAI's and Anthropic's SDKs in Go name no type; theirs are the spans of a provider."""
    if METADATA not in span.attributes and METRICS not in span.attributes:
        return False
    kind = named(json_attribute(span.attributes, _KIND)).get("type")
    return kind == "llm" if kind else bool(named(json_attribute(span.attributes, METADATA)).get("provider"))


def translated(span: Span) -> Span:
    given = span.attributes
    about, used = named(json_attribute(given, METADATA)), named(json_attribute(given, METRICS))
    asked, answer = (_opened(given, name) for name in ("input", "output"))
    found = {name: about.get(said) for name, said in _FACTS.items()} | {name: used.get(said) for name, said in _COUNTS.items()}
    found |= {name: value for name, value in about.items() if name not in _COPIED}
    whole = named(answer)
    found["gen_ai.operation.name"] = "responses" if str(about.get("endpoint", "")).endswith("/responses") else "chat"
    found["gen_ai.response.model"] = whole.get("model") or whole.get("modelVersion")
    found["gen_ai.response.id"] = found["gen_ai.response.id"] or whole.get("id") or whole.get("responseId")
    if about.get("stream") is True:
        found["gen_ai.response.time_to_first_chunk"] = used.get("time_to_first_token")
    parts = _parts(answer)
    if answer is not None:
        found["output.value"] = json.dumps(answer)
    if asked is not None:
        request = {"messages": asked} if isinstance(asked, list) else {"input": asked}
        found["input.value"] = json.dumps(about | request)
    if parts:
        found["gen_ai.output.messages"] = json.dumps([{"role": "assistant", "parts": parts}])
    said = {name: value for name, value in found.items() if value is not None}
    said |= {name: value for name, value in given.items() if not name.startswith(_OWN)}
    # its wrappers write no error for a call that the provider refused: neither an answer nor a count
    refused = answer is None and not any(name in said for name in _COUNTS)
    return replace(span, attributes=said, status=ERROR if refused else span.status, received=span)


def _opened(given: dict[str, Any], name: str) -> Any:
    found = json_attribute(given, f"{_OWN}{name}_json")
    return given.get(_OWN + name) if found is None else found


def _parts(answer: Any) -> list[dict[str, Any]]:
    """Choices of chat, blocks of messages, items of responses; of Gemini's answers the text."""
    items = [named(one) for one in listed(answer)] or [named(answer)]
    parts: list[dict[str, Any]] = []
    for item in items:
        message = named(item.get("message")) or item
        candidates = [named(named(one).get("content")).get("parts") for one in listed(item.get("candidates"))]
        blocks = [*listed(message.get("content")), *(block for one in candidates for block in listed(one)), message]
        words = [message["content"]] if isinstance(message.get("content"), str) else []
        words += [block["text"] for block in map(named, blocks) if isinstance(block.get("text"), str)]
        parts += [{"type": "text", "content": said} for said in words if said]
        parts += [tool_call(named(call)) for call in listed(message.get("tool_calls"))]
        parts += [
            {
                "type": "tool_call",
                "id": one.get("id") or one.get("call_id"),
                "name": one.get("name"),
                "arguments": plain(one.get("input", one.get("arguments"))),
            }
            for one in map(named, blocks)
            if one.get("type") in ("tool_use", "function_call")
        ]
    return parts
