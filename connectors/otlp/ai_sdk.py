"""What only Vercel's AI SDK writes: prompts and answers up to version 6 (`ai.prompt.*`, `ai.response.*`; version 7 writes GenAI's).

Owns: the SDK's message parts and tools as chat has them; what Vercel's AI Gateway said, in the provider metadata.
Does not own: whether content is kept. Invariants: a part that is not known is left out.
"""

from __future__ import annotations

from typing import Any

from connectors.otlp.blocks import content, media, plain, text
from connectors.otlp.dialects import json_attribute


def gateway(attributes: dict[str, Any]) -> tuple[str | None, str | None]:
    """What Vercel's AI Gateway told the SDK of a call: its id there, which GET /v1/generation knows it by, and the provider that served."""
    told = json_attribute(attributes, "ai.response.providerMetadata")
    facts = told.get("gateway") if isinstance(told, dict) else None
    if not isinstance(facts, dict):
        return None, None
    routing = facts.get("routing")
    found = (facts.get("generationId"), routing.get("finalProvider") if isinstance(routing, dict) else None)
    generation, provider = (said if isinstance(said, str) and said else None for said in found)
    return generation, provider


def asked(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    given = json_attribute(attributes, "ai.prompt.messages")
    return [part for message in _dicts(given) for part in _messages(message)]


def tools(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """The SDK writes a list of texts of JSON, or one text of the list."""
    given = json_attribute(attributes, "ai.prompt.tools")
    opened = [json_attribute({"tool": one}, "tool") for one in given] if isinstance(given, list) else []
    return [
        {
            "type": "function",
            "function": {
                "name": one["name"],
                "description": one.get("description"),
                "parameters": one.get("inputSchema", one.get("parameters")),
            },
        }
        for one in _dicts(opened)
        if one.get("type", "function") == "function" and "name" in one
    ]


def said(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    calls = [_call(one) for one in _dicts(json_attribute(attributes, "ai.response.toolCalls"))]
    words = attributes.get("ai.response.text") or attributes.get("ai.response.object")
    if not calls and not isinstance(words, str):
        return []
    return [{"role": "assistant", "content": words} | ({"tool_calls": calls} if calls else {})]


def _messages(message: dict[str, Any]) -> list[dict[str, Any]]:
    role, given = message.get("role", "user"), message.get("content")
    if not isinstance(given, list):
        return [{"role": role, "content": given}]
    parts = _dicts(given)
    found: list[dict[str, Any]] = [
        {"role": "tool", "tool_call_id": one.get("toolCallId"), "content": _result(one)}
        for one in parts
        if one.get("type") == "tool-result"
    ]
    calls = [_call(one) for one in parts if one.get("type") == "tool-call"]
    blocks = [text(str(one.get("text"))) if one.get("type") == "text" else media(one) for one in parts]
    shown = [block for block in blocks if block is not None]
    if calls or shown:
        found.append({"role": role} | ({"content": content(shown)} if shown else {}) | ({"tool_calls": calls} if calls else {}))
    return found


def _call(one: dict[str, Any]) -> dict[str, Any]:
    given = one.get("input", one.get("args"))
    return {
        "id": one.get("toolCallId"),
        "type": "function",
        "function": {"name": one.get("toolName"), "arguments": plain(given)},
    }


def _result(one: dict[str, Any]) -> str:
    output = one.get("output", one.get("result"))
    return plain(output["value"] if isinstance(output, dict) and "value" in output else output)


def _dicts(given: Any) -> list[dict[str, Any]]:
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
