"""Spans of programs that have names of their own for what the conventions name: OpenRouter's Broadcast, Claude Code, Langfuse's SDK (langfuse_sdk),
MLflow's (mlflow_sdk), Braintrust's (braintrust_sdk).

Owns: those names, and what is known of a call only because of who wrote it. Does not own: rows (calls), what the conventions' names mean (dialects).
Invariants: the span is kept as it came for its digest; what has no name in a convention stays metadata.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from connectors.otlp import braintrust_sdk, langfuse_sdk, mlflow_sdk
from connectors.otlp.blocks import tool_call
from connectors.otlp.dialects import json_attribute
from connectors.otlp.wire import ERROR, Span
from connectors.reshaped import named

_METADATA: Final = "trace.metadata."
_OPENROUTER: Final = "trace.metadata.openrouter."
# the same texts and metadata once more
_REPEATED: Final = ("span.metadata.", "trace.input", "trace.output", "span.input", "span.output")
_CLAUDE_CODE: Final = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "ttft_ms": "ai.response.msToFirstChunk",
    "stop_reason": "gen_ai.response.finish_reasons",
    "status_code": "http.response.status_code",
    "request_id": "anthropic.request.id",
}


def vendor_of(span: Span) -> str | None:
    """Who wrote a span under names of its own."""
    if span.name == "claude_code.llm_request":
        return "claude_code"
    if span.scope.startswith("langfuse") and span.attributes.get(langfuse_sdk.KIND) in langfuse_sdk.OPERATIONS:
        return "langfuse"
    if mlflow_sdk.TYPE in span.attributes:
        return "mlflow" if mlflow_sdk.is_call(span.attributes) else None
    if span.scope.startswith(mlflow_sdk.SCOPE):
        return "mlflow"
    if braintrust_sdk.is_call(span):
        return "braintrust"
    broadcast = span.resource.get("service.name") == "openrouter" and "gen_ai.request.model" in span.attributes
    return "openrouter" if broadcast or any(name.startswith(_OPENROUTER) for name in span.attributes) else None


def translated(span: Span, vendor: str | None) -> Span:
    """The span under the conventions' names; one that has them is the answer itself."""
    match vendor:
        case "claude_code":
            return _claude_code(span)
        case "openrouter":
            return _broadcast(span)
        case "langfuse":
            return langfuse_sdk.translated(span)
        case "mlflow":
            return mlflow_sdk.translated(span)
        case "braintrust":
            return braintrust_sdk.translated(span)
    return span


def _claude_code(span: Span) -> Span:
    given = span.attributes
    said: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.stream": True}
    said |= {name: value for name, value in given.items() if name not in _CLAUDE_CODE and name != "speed"}
    for name, known in _CLAUDE_CODE.items():
        if name in given:
            said.setdefault(known, given[name])
    if said.get("gen_ai.response.id") == given.get("request_id"):  # the id of the answer is not told
        said.pop("gen_ai.response.id", None)
    if given.get("speed") == "fast":
        said["anthropic.response.service_tier"] = "fast"
    failed = given.get("success") is False
    return replace(
        span,
        attributes=said,
        status=ERROR if failed else span.status,
        message=span.message or (str(given.get("error") or "") if failed else ""),
        received=span,
    )


def _broadcast(span: Span) -> Span:
    said: dict[str, Any] = {}
    for name, value in span.attributes.items():
        if not name.startswith(_REPEATED):
            said.setdefault(name.removeprefix(_METADATA), value)
    # gen_ai.provider.name is the maker of the model, who need not have served it
    for name in ("gen_ai.provider.name", "gen_ai.system"):
        said.pop(name, None)
    server = str(said.get("openrouter.provider_name") or "openrouter")
    said["gen_ai.provider.name"] = "Google Vertex" if server == "Google" else server
    prompt, answer = (named(json_attribute(span.attributes, f"gen_ai.{name}")) for name in ("prompt", "completion"))
    sent = named(answer.get("rawRequest"))
    if prompt:
        said["input.value"] = json.dumps(sent | prompt)
    if isinstance(sent.get("stream"), bool):
        said.setdefault("gen_ai.request.stream", sent["stream"])
    parts = [{"type": "text", "content": answer["completion"]}] if isinstance(answer.get("completion"), str) else []
    calls = answer.get("toolCalls")
    parts += [tool_call(call) for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    if parts:
        said["gen_ai.output.messages"] = json.dumps([{"role": "assistant", "parts": parts}])
    return replace(span, attributes=said, received=span)


def known_of(span: Span, vendor: str | None) -> dict[str, Any]:
    """Columns that follow from who wrote the span, which is translated."""
    if vendor == "claude_code":
        attempt = span.attributes.get("attempt")
        return {"retry_count": attempt - 1} if isinstance(attempt, int) and 0 < attempt < 1 << 15 else {}
    if vendor != "openrouter":
        return {}
    tried = json_attribute(span.attributes, "provider_responses")
    tried = [one for one in tried if isinstance(one, dict)] if isinstance(tried, list) else []
    byok = tried[-1].get("is_byok") if tried else None
    return {
        "gateway_kind": "openrouter",
        "byok": byok if isinstance(byok, bool) else None,
        "attempt_count": min(len(tried), (1 << 15) - 1) or None,
        "is_fallback": len(tried) > 1 if tried else None,
    }
