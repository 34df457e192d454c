"""Spans of Langfuse's own SDK (version 3 and later), as a collector passes them on: everything stands under names of its own.

Owns: those names under the conventions', its buckets of usage. Does not own: Langfuse's exports and API (connectors/langfuse.py), rows (calls).
Invariants: buckets are disjoint, as Langfuse adds them up, unless a total says otherwise; only generations and embeddings are calls.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from connectors.otlp.blocks import tool_call
from connectors.otlp.dialects import json_attribute
from connectors.otlp.wire import ERROR, Span
from connectors.reshaped import listed, named

_OBSERVATION: Final = "langfuse.observation."
KIND: Final = _OBSERVATION + "type"
OPERATIONS: Final = {"generation": "chat", "embedding": "embeddings"}
_METADATA: Final = ("langfuse.trace.metadata.", _OBSERVATION + "metadata.")
_NAMES: Final = {
    _OBSERVATION + "model.name": "gen_ai.request.model",
    _OBSERVATION + "prompt.name": "gen_ai.prompt.name",
    _OBSERVATION + "prompt.version": "prompt.version",
    "langfuse.trace.name": "gen_ai.workflow.name",
}
_BUCKETS: Final = {
    "gen_ai.usage.input_tokens": ("input", "input_tokens", "prompt_tokens"),
    "gen_ai.usage.output_tokens": ("output", "output_tokens", "completion_tokens"),
    "gen_ai.usage.cache_read.input_tokens": ("cache_read_input_tokens", "input_cached_tokens", "input_cache_read"),
    "gen_ai.usage.cache_write.input_tokens": ("cache_creation_input_tokens", "input_cache_creation"),
    "gen_ai.usage.details.ephemeral_5m_input_tokens": ("input_cache_creation_5m",),
    "gen_ai.usage.details.ephemeral_1h_input_tokens": ("input_cache_creation_1h",),
    "gen_ai.usage.reasoning.output_tokens": ("output_reasoning_tokens", "output_reasoning"),
    "gen_ai.usage.audio.input_tokens": ("input_audio_tokens", "input_audio"),
    "gen_ai.usage.audio.output_tokens": ("output_audio_tokens", "output_audio"),
}


def translated(span: Span) -> Span:
    given = span.attributes
    said: dict[str, Any] = {
        name: value
        for name, value in given.items()
        if not name.startswith(("langfuse.trace.", _OBSERVATION, "langfuse.internal.", "langfuse.environment"))
    }
    said |= {known: given[name] for name, known in _NAMES.items() if name in given}
    for prefix in _METADATA:
        said |= {name.removeprefix(prefix): _bare(value) for name, value in given.items() if name.startswith(prefix)}
    said |= {"gen_ai.operation.name": OPERATIONS[given[KIND]], "gen_ai.provider.name": given.get("gen_ai.provider.name", "langfuse")}
    said |= _usage(given) | _content(given)
    cost = named(json_attribute(given, _OBSERVATION + "cost_details")).get("total")
    if isinstance(cost, (int, float)):
        said["gen_ai.usage.total_cost"] = cost
    if (heard := _first_chunk(given, span.start)) is not None:
        said |= {"ai.response.msToFirstChunk": heard, "gen_ai.request.stream": True}
    if "finish_reason" in said:
        said["gen_ai.response.finish_reasons"] = said.pop("finish_reason")
    failed = given.get(_OBSERVATION + "level") == "ERROR"
    named_place = {"deployment.environment": given["langfuse.environment"]} if given.get("langfuse.environment") else {}
    return replace(
        span,
        attributes=said,
        resource=named_place | span.resource,
        status=ERROR if failed else span.status,
        message=span.message or (str(given.get(_OBSERVATION + "status_message") or "") if failed else ""),
        received=span,
    )


def _usage(given: dict[str, Any]) -> dict[str, Any]:
    """The provider's own words where a wrapper passed them on, else buckets; without a total it is what Langfuse makes of them: their sum."""
    used = named(json_attribute(given, _OBSERVATION + "usage_details"))
    counts = {
        name: found for name, names in _BUCKETS.items() if (found := next((used[one] for one in names if one in used), None)) is not None
    }
    totals = [used[name] for name in ("total", "total_tokens") if name in used]
    flat = [value for value in used.values() if isinstance(value, int) and not isinstance(value, bool)]
    own_words = any(isinstance(value, dict) for value in used.values())
    total = totals[0] if totals else sum(flat) if flat and not own_words else None
    return (
        counts | ({} if total is None else {"gen_ai.usage.total_tokens": total}) | ({"gen_ai.usage.raw": json.dumps(used)} if used else {})
    )


def _content(given: dict[str, Any]) -> dict[str, Any]:
    asked, answer = (_opened(given.get(_OBSERVATION + name)) for name in ("input", "output"))
    chosen = {name: value for name, value in named(json_attribute(given, _OBSERVATION + "model.parameters")).items() if value != "Infinity"}
    request = (
        asked if isinstance(asked, dict) and "messages" in asked else {"messages": asked} if isinstance(asked, list) else {"input": asked}
    )
    said: dict[str, Any] = {"input.value": json.dumps(chosen | {name: value for name, value in request.items() if value})}
    if isinstance(answer, (dict, list)):
        said["output.value"] = json.dumps(answer)
    if isinstance(chosen.get("service_tier"), str):
        said["openai.response.service_tier"] = chosen["service_tier"]
    told = named(answer)
    words = answer if isinstance(answer, str) else told.get("content")
    if isinstance(words, list):
        words = "".join(part["text"] for part in words if isinstance(named(part).get("text"), str))
    parts = [{"type": "text", "content": words}] if isinstance(words, str) and words else []
    parts += [tool_call(named(call)) for call in listed(told.get("tool_calls"))]
    return said | ({"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts}])} if parts else {})


def _opened(value: Any) -> Any:
    """Lists and objects are written as JSON, text as it is."""
    found = json_attribute({"value": value}, "value")
    return found if isinstance(found, (dict, list)) else value


def _bare(value: Any) -> Any:
    """Metadata is JSON, a text in quotes."""
    found = json_attribute({"value": value}, "value")
    return found if isinstance(found, str) else value


def _first_chunk(given: dict[str, Any], start: int) -> float | None:
    try:
        heard = datetime.fromisoformat(str(_bare(given[_OBSERVATION + "completion_start_time"])))
    except (KeyError, ValueError):
        return None
    return heard.timestamp() * 1000 - start / 1e6 if heard.tzinfo is not None else None
