"""Spans of MLflow's SDK as its OTLP exporter and its archive write them: attributes are JSON as text, under names of its own.

Owns: those names under the conventions'. Does not own: documents of `Trace.to_json()` (connectors/mlflow.py), rows (calls).
Invariants: only what MLflow calls a model is a call; parameters of the request, which hold prompts too, are no metadata.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from connectors.otlp.blocks import tool_call
from connectors.otlp.dialects import json_attribute
from connectors.otlp.wire import Span
from connectors.reshaped import listed, named

TYPE: Final = "mlflow.spanType"
SCOPE: Final = "mlflow."
_TAG: Final = "mlflow.traceTag."
OPERATIONS: Final = {"CHAT_MODEL": "chat", "LLM": "chat", "EMBEDDING": "embeddings"}
_USED: Final[dict[str, tuple[str, ...]]] = {
    "gen_ai.usage.input_tokens": ("input_tokens",),
    "gen_ai.usage.output_tokens": ("output_tokens",),
    "gen_ai.usage.total_tokens": ("total_tokens",),
    "gen_ai.usage.cache_read.input_tokens": ("cache_read_input_tokens",),
    "gen_ai.usage.cache_creation.input_tokens": ("cache_creation_input_tokens",),
    "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": ("cache_creation_input_tokens_above_1hr",),
}
# where MLflow counts nothing (embeddings) the answer does
_TOLD: Final[dict[str, tuple[str, ...]]] = {
    "gen_ai.usage.input_tokens": ("prompt_tokens", "input_tokens"),
    "gen_ai.usage.output_tokens": ("completion_tokens", "output_tokens"),
}
_COSTS: Final = {
    "gen_ai.usage.total_cost": "total_cost",
    "gen_ai.usage.input_cost": "input_cost",
    "gen_ai.usage.output_cost": "output_cost",
}
# what its wrapper of OpenAI's SDK copies from the request into attributes, each under its bare name
_REQUEST: Final = frozenset(
    (
        "model", "stream", "stream_options", "instructions", "prompt", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "system",
        "response_format", "text", "text_format", "reasoning", "reasoning_effort", "modalities", "audio", "prediction", "include", "user", "store", "background",
        "previous_response_id", "conversation", "extra_headers", "extra_query", "extra_body", "timeout", "temperature", "top_p", "n", "seed", "stop",
        "max_tokens", "max_completion_tokens", "max_output_tokens", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs",
        "service_tier", "encoding_format", "dimensions", "verbosity", "truncation", "max_tool_calls", "prompt_cache_key", "safety_identifier", "web_search_options",
    )
)  # fmt: skip


def is_call(attributes: dict[str, Any]) -> bool:
    return str(_told(attributes, TYPE)) in OPERATIONS


def translated(span: Span) -> Span:
    given = span.attributes
    said: dict[str, Any] = {name: value for name, value in given.items() if not name.startswith(SCOPE) and name not in _REQUEST}
    said |= {name.removeprefix(_TAG): value for name, value in given.items() if name.startswith(_TAG)}
    if isinstance(asked_for := _told(given, "model"), str) and asked_for:
        said["gen_ai.request.model"] = asked_for
    if isinstance(streamed := _told(given, "stream"), bool):
        said["gen_ai.request.stream"] = streamed
    said |= {"gen_ai.provider.name": given.get("gen_ai.provider.name", "mlflow")}
    if TYPE in given:
        said |= _own(given)
    return replace(span, attributes=said, received=span)


def _own(given: dict[str, Any]) -> dict[str, Any]:
    asked, answer = (named(_told(given, f"mlflow.span{name}")) for name in ("Inputs", "Outputs"))
    used, counted = _usage(answer), named(_told(given, "mlflow.chat.tokenUsage"))
    model = asked.get("model") or _told(given, "model") or _told(given, "mlflow.llm.model")
    found = {
        "gen_ai.operation.name": OPERATIONS[_told(given, TYPE)],
        "gen_ai.provider.name": _told(given, "mlflow.llm.provider") or "mlflow",
        "gen_ai.request.model": model,
        "gen_ai.response.model": answer.get("model") or answer.get("model_version"),
        "gen_ai.response.id": answer.get("id") or answer.get("response_id"),
        "gen_ai.response.finish_reasons": named(_first(answer.get("choices"))).get("finish_reason") or answer.get("stop_reason"),
        "openai.response.service_tier": answer.get("service_tier") or used.get("service_tier"),
        "gen_ai.request.stream": asked.get("stream"),
        "gen_ai.usage.raw": json.dumps(used) if used else None,
        "input.value": json.dumps(asked) if asked else None,
        "output.value": json.dumps(answer) if answer else None,
        **_counts(_USED if counted else _TOLD, counted or used),
        **{name: named(_told(given, "mlflow.llm.cost")).get(part) for name, part in _COSTS.items()},
    }
    parts = _parts(answer)
    return {name: value for name, value in found.items() if value is not None} | (
        {"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts}])} if parts else {}
    )


def _counts(names: dict[str, tuple[str, ...]], used: dict[str, Any]) -> dict[str, Any]:
    return {name: next((used[place] for place in places if used.get(place) is not None), None) for name, places in names.items()}


def _usage(answer: dict[str, Any]) -> dict[str, Any]:
    return named(answer.get("usage")) or named(answer.get("usage_metadata"))


def _parts(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Chat completions, messages and responses; of Gemini's answers the text."""
    message = named(named(_first(answer.get("choices"))).get("message"))
    blocks = listed(answer.get("content")) + [part for one in listed(answer.get("output")) for part in listed(named(one).get("content"))]
    blocks += listed(named(named(_first(answer.get("candidates"))).get("content")).get("parts"))
    words = [message["content"]] if isinstance(message.get("content"), str) else []
    words += [text for block in blocks if isinstance(text := named(block).get("text"), str)]
    called = [tool_call(named(one)) for one in listed(message.get("tool_calls"))]
    called += [
        {"type": "tool_call", "id": one.get("id"), "name": one.get("name"), "arguments": one.get("input")}
        for one in map(named, blocks)
        if one.get("type") == "tool_use"
    ]
    return [{"type": "text", "content": text} for text in words if text] + called


def _first(given: Any) -> Any:
    return next(iter(listed(given)), None)


def _told(given: dict[str, Any], name: str) -> Any:
    """Attributes are JSON as text; what is not JSON stays text."""
    found = json_attribute(given, name)
    return given.get(name) if found is None else found
