"""What was asked, in one form: messages and tools as Anthropic's API and OpenAI's Responses take them -> those of chat.

Owns: the forms, and which parts of a message a wire cannot carry. Does not own: bodies (adapters/openai_wire.py, anthropic_wire.py), parameters (parameters.py).
Invariants: what is chat already stays as it is; nothing of a prompt is left out but what a model thought, which is for that model alone: a part that no
other form has stays, and is named as one that cannot be sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

WORDS: Final = frozenset({"text", "input_text", "output_text"})
THOUGHT: Final = frozenset({"thinking", "redacted_thinking"})
FOREIGN: Final = frozenset({"tool_use", "tool_result", "image", "document"})  # still in Anthropic's form: no chat API takes them
ANTHROPIC: Final = frozenset({"text", "image_url"})  # of chat's parts; a file where it is a PDF
CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}
PDF: Final = "data:application/pdf;base64,"


def chat(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A turn may become several: results of tools are messages of their own."""
    found: list[dict[str, Any]] = []
    for message in messages:
        content = message.get("content")
        if not isinstance(content, list) or not all(isinstance(part, Mapping) for part in content):
            found.append(dict(message))
            continue
        calls = [called(part) for part in content if part.get("type") == "tool_use"]
        rest = []
        for part in content:
            if part.get("type") == "tool_result" and words_of(part.get("content")) is not None:
                found.append({"role": "tool", "tool_call_id": part.get("tool_use_id", ""), "content": words_of(part.get("content"))})
            elif part.get("type") not in {"tool_use", *THOUGHT}:
                rest.append(chat_part(part))
        if calls:
            found.append({**message, "content": rest or None, "tool_calls": calls})
        elif rest or not content:
            found.append({**message, "content": rest})
    return found


def words_of(content: Any) -> str | None:
    """None where it is more than words."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list) and all(isinstance(part, Mapping) and part.get("type") in WORDS for part in content):
        return "".join(str(part.get("text") or "") for part in content)
    return None


def called(part: Mapping[str, Any]) -> dict[str, Any]:
    arguments = json.dumps(part.get("input") or {}, ensure_ascii=False)
    return {"id": part.get("id", ""), "type": "function", "function": {"name": part.get("name", ""), "arguments": arguments}}


def chat_part(part: Mapping[str, Any]) -> dict[str, Any]:
    kind, source = part.get("type"), part.get("source")
    if kind in WORDS:
        return {**part, "type": "text"}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        return {"type": "image_url", "image_url": {"url": part["image_url"]}}
    if kind == "image" and isinstance(source, Mapping):
        inline = f"data:{source.get('media_type')};base64,{source.get('data')}"
        return {"type": "image_url", "image_url": {"url": inline if source.get("type") == "base64" else source.get("url", "")}}
    if kind == "document" and isinstance(source, Mapping) and source.get("media_type") == "application/pdf" and source.get("data"):
        return {"type": "file", "file": {"filename": str(part.get("title") or "document.pdf"), "file_data": PDF + source["data"]}}
    return dict(part)


def chat_tool(tool: Any) -> Any:
    """A tool of the provider's own (web search, a computer) stays as it is."""
    if not isinstance(tool, Mapping) or "function" in tool or not ("input_schema" in tool or tool.get("type") == "function"):
        return tool
    schema = tool.get("input_schema") or tool.get("parameters") or {"type": "object", "properties": {}}
    said = {"description": tool["description"]} if tool.get("description") else {}
    return {"type": "function", "function": {"name": tool.get("name", ""), **said, "parameters": schema}}


def chat_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Tools and the choice among them; everything else as it is."""
    found = dict(params)
    if isinstance(found.get("tools"), list):
        found["tools"] = [chat_tool(tool) for tool in found["tools"]]
    choice = found.get("tool_choice")
    if isinstance(choice, Mapping) and "function" not in choice:
        kind = str(choice.get("type"))
        if kind in CHOICES:
            found["tool_choice"] = CHOICES[kind]
        elif choice.get("name"):
            found["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
        if choice.get("disable_parallel_tool_use"):
            found["parallel_tool_calls"] = False
    return found


def unsendable(protocol: str, messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Kinds of parts that this wire cannot carry: without them it would be another question."""
    found: set[str] = set()
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            kind = str(part.get("type") or "text") if isinstance(part, Mapping) else "text"
            known = kind not in FOREIGN if protocol == "openai" else kind in ANTHROPIC or (kind == "file" and pdf_of(part) is not None)
            found.update(() if known else (f"messages.{kind}",))
    return sorted(found)


def pdf_of(part: Mapping[str, Any]) -> str | None:
    """The PDF of a file part, in base64; None for a file of another kind, or one that lies with its provider."""
    data = str((part.get("file") or {}).get("file_data") or "")
    return data.removeprefix(PDF) if data.startswith(PDF) else None
