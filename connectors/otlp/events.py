"""Messages that a span holds as events: one event each (older GenAI conventions, Strands, Azure AI Inference), or all in one (the current ones).

Owns: those events, Converse's blocks in them, as chat has them. Does not own: messages in attributes (bodies).
Invariants: a block that is not known leaves its mark, so that the prompt is not taken for the one that was sent.
"""

from __future__ import annotations

import re
from typing import Any, Final

from connectors.otlp.blocks import MISSING, content, plain, text
from connectors.otlp.dialects import json_attribute
from connectors.otlp.wire import Span
from connectors.reshaped import listed, named

_ROLE: Final = re.compile(r"^gen_ai\.(system|user|assistant|tool)\.message$")
_DETAILS: Final = "gen_ai.client.inference.operation.details"
_WHOLE: Final = "gen_ai.event.content"  # Azure: the message itself
# Converse's kinds, one to a block; a mark of the cache and what the model thought are no part of what is said
_BLOCKS: Final = frozenset(
    {"text", "toolUse", "toolResult", "image", "document", "video", "audio", "reasoningContent", "cachePoint", "guardContent"}
)
_UNSAID: Final = frozenset({"cachePoint", "reasoningContent"})


def with_details(span: Span) -> dict[str, Any]:
    """The attributes, with what the event of the current conventions says; a span may have one for what was asked and one for the answer."""
    told = {name: value for event, attributes in span.events if event == _DETAILS for name, value in attributes.items()}
    return span.attributes | told if told else span.attributes


def asked(span: Span) -> list[dict[str, Any]]:
    messages = []
    for name, attributes in span.events:
        if match := _ROLE.match(name):
            whole = named(json_attribute(attributes, _WHOLE))
            if "content" in whole or "tool_calls" in whole:
                messages.append(whole | {"role": whole.get("role", match[1])})
            elif "content" in attributes:
                messages += _messages(match[1], attributes["content"])
    return messages


def said(span: Span) -> list[dict[str, Any]]:
    for name, attributes in span.events:
        if name == "gen_ai.choice":
            whole = named(named(json_attribute(attributes, _WHOLE)).get("message"))
            if whole:
                return [{"role": "assistant"} | whole]
            if isinstance(attributes.get("message"), str):
                return _messages("assistant", attributes["message"])
    return []


def finish(span: Span) -> str | None:
    for name, attributes in span.events:
        if name == "gen_ai.choice":
            told = attributes.get("finish_reason") or named(json_attribute(attributes, _WHOLE)).get("finish_reason")
            return told if isinstance(told, str) and told else None
    return None


def _messages(role: str, given: Any) -> list[dict[str, Any]]:
    blocks = listed(json_attribute({"given": given}, "given"))
    if not blocks or not all(isinstance(one, dict) and _BLOCKS & one.keys() for one in blocks):
        return [{"role": role, "content": given}]
    results = [named(one["toolResult"]) for one in blocks if "toolResult" in one]
    found: list[dict[str, Any]] = [{"role": "tool", "tool_call_id": one.get("toolUseId"), "content": _result(one)} for one in results]
    calls = [_call(named(one["toolUse"])) for one in blocks if "toolUse" in one]
    others = [one for one in blocks if not (_UNSAID | {"toolUse", "toolResult"}) & one.keys()]
    shown = [text(one["text"]) if isinstance(one.get("text"), str) else dict(MISSING) for one in others]
    if calls or shown:
        found.append({"role": role} | ({"content": content(shown)} if shown else {}) | ({"tool_calls": calls} if calls else {}))
    return found


def _call(one: dict[str, Any]) -> dict[str, Any]:
    return {"id": one.get("toolUseId"), "type": "function", "function": {"name": one.get("name"), "arguments": plain(one.get("input"))}}


def _result(one: dict[str, Any]) -> Any:
    told = [named(part) for part in listed(one.get("content"))]
    return content(
        [
            text(part["text"]) if isinstance(part.get("text"), str) else text(plain(part["json"])) if "json" in part else dict(MISSING)
            for part in told
        ]
    )
