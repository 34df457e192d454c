"""The Anthropic messages wire: canonical (OpenAI chat) request -> body, answer or stream -> reply.

Owns: bodies and their parts. Does not own: transport, which parameters it takes (governor.shadow.parameters).
Invariants: what has no counterpart is dropped and listed; usage becomes inclusive
(input_tokens there excludes cache reads and writes); stop reasons take their canonical names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from governor.adapters.openai_wire import count
from governor.ports import ModelRequest
from governor.shadow.conversation import pdf_of
from governor.shadow.parameters import translate
from governor.shadow.parsed import parsed

SAME: Final = ("temperature", "top_p", "top_k", "thinking")
STOPS: Final = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "model_context_window_exceeded": "length", "tool_use": "tool_calls",
    "refusal": "refusal",
}  # fmt: skip
DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
CHOICES: Final = {"auto": "auto", "required": "any", "none": "none"}


def body(request: ModelRequest, *, stream: bool) -> tuple[dict[str, Any], list[str]]:
    """(JSON body, dropped parameters)."""
    translated = translate("anthropic", str(request.metadata.get("model") or request.model), request.params, request.max_output_tokens)
    params = translated.sent
    system, messages = conversation(request.messages)
    found: dict[str, Any] = {"model": request.model, "max_tokens": request.max_output_tokens, "messages": messages}
    if system:
        found["system"] = system
    found.update({name: params[name] for name in SAME if name in params})
    if params.get("stop"):
        stop = params["stop"]
        found["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    if params.get("tools"):
        found["tools"] = [tool(one) for one in params["tools"]]
        choice = tool_choice(params.get("tool_choice"), parallel=params.get("parallel_tool_calls", True))
        found.update({"tool_choice": choice} if choice else {})
    if stream:
        found["stream"] = True
    return found, list(translated.dropped)


def tool(definition: Mapping[str, Any]) -> dict[str, Any]:
    function = definition.get("function", definition)
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return {"name": function.get("name", ""), "description": function.get("description", ""), "input_schema": schema}


def tool_choice(choice: Any, *, parallel: bool) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None
    if isinstance(choice, str):
        found = {"type": CHOICES.get(choice, "auto")}
    elif isinstance(choice, Mapping):
        found = {"type": "tool", "name": (choice.get("function") or {}).get("name", "")}
    if not parallel:
        found = {**(found or {"type": "auto"}), "disable_parallel_tool_use": True}
    return found


def conversation(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """(system text, turns). Results of parallel tool calls belong into one user turn."""
    system: list[str] = []
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = message.get("role")
        if role in {"system", "developer"}:
            system.append(plain_text(message.get("content")))
        elif role == "tool":
            result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id", ""), "content": plain_text(message.get("content"))}
            if (
                turns
                and turns[-1]["role"] == "user"
                and isinstance(turns[-1]["content"], list)
                and turns[-1]["content"][-1]["type"] == "tool_result"
            ):
                turns[-1]["content"].append(result)
            else:
                turns.append({"role": "user", "content": [result]})
        elif role == "assistant" and message.get("tool_calls"):
            turns.append(
                {"role": "assistant", "content": [*blocks(message.get("content")), *(use(call) for call in message["tool_calls"])]}
            )
        else:
            content = message.get("content")
            turns.append(
                {
                    "role": "assistant" if role == "assistant" else "user",
                    "content": content if isinstance(content, str) else blocks(content),
                }
            )
    return "\n\n".join(part for part in system if part), [turn for turn in turns if turn["content"]]  # nor may a turn be empty


def use(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function", {})
    try:
        arguments = parsed(function.get("arguments") or "{}")
    except ValueError:
        arguments = {}
    return {"type": "tool_use", "id": call.get("id", ""), "name": function.get("name", ""), "input": arguments}


def blocks(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [block(part) for part in content or [] if isinstance(part, Mapping) and part.get("text") != ""]  # an empty text is refused


def block(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("type") == "image_url":
        url = str((part.get("image_url") or {}).get("url", ""))
        inline = DATA_URL.fullmatch(url)
        source = {"type": "base64", "media_type": inline[1], "data": inline[2]} if inline else {"type": "url", "url": url}
        return {"type": "image", "source": source}
    if part.get("type") == "file":
        return {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": pdf_of(part)}}
    return {"type": "text", "text": str(part.get("text", ""))}


def plain_text(content: Any) -> str:
    return (
        content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in content or [] if isinstance(part, Mapping))
    )


def usage_of(usage: Mapping[str, Any] | None) -> dict[str, int | None]:
    usage = usage or {}
    fresh, read, write = (count(usage.get(name)) for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"))
    return {
        "input_tokens": None if fresh is None else fresh + (read or 0) + (write or 0),
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "output_tokens": count(usage.get("output_tokens")),
        "reasoning_tokens": None,
    }


def parse(document: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a ModelReply. Raises LookupError or TypeError when it is no message."""
    content = document["content"]
    calls = tuple(
        {
            "id": part.get("id", ""),
            "type": "function",
            "function": {"name": part.get("name", ""), "arguments": json.dumps(part.get("input") or {}, ensure_ascii=False)},
        }
        for part in content
        if part.get("type") == "tool_use"
    )
    stop = str(document.get("stop_reason") or "")
    return {
        "text": "".join(str(part.get("text", "")) for part in content if part.get("type") == "text"),
        "tool_calls": calls,
        "finish_reason": STOPS.get(stop, stop),
        "response_model": str(document.get("model") or ""),
        "response_id": str(document.get("id") or ""),
        **usage_of(document.get("usage")),
    }


class Stream:
    """Server-sent events of one message, put together again."""

    def __init__(self) -> None:
        self._document: dict[str, Any] = {"content": []}
        self._usage: dict[str, Any] = {}
        self._json: dict[int, list[str]] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self.begun = False
        self.finished = False
        self.error = ""

    def feed(self, data: str) -> None:
        event = parsed(data)
        kind = event.get("type")
        if kind == "error":
            self.error = str((event.get("error") or {}).get("message", "error event"))
        elif kind == "message_start":
            message = event["message"]
            self._document.update(id=message.get("id"), model=message.get("model"))
            self._usage.update(message.get("usage") or {})
        elif kind == "content_block_start":
            self._blocks[event["index"]] = dict(event["content_block"])
        elif kind == "content_block_delta":
            delta, known = event["delta"], self._blocks.setdefault(event["index"], {"type": "text", "text": ""})
            self.begun = self.begun or delta.get("type") in {"text_delta", "input_json_delta"}  # thinking is no token of the answer
            if delta.get("type") == "text_delta":
                known["text"] = known.get("text", "") + delta.get("text", "")
            elif delta.get("type") == "input_json_delta":
                self._json.setdefault(event["index"], []).append(delta.get("partial_json", ""))
        elif kind == "message_delta":
            self._document["stop_reason"] = (event.get("delta") or {}).get("stop_reason")
            self._usage.update({name: value for name, value in (event.get("usage") or {}).items() if value is not None})
        elif kind == "message_stop":
            self.finished = True

    @property
    def over(self) -> bool:
        """Nothing more will come that counts."""
        return self.finished or bool(self.error)

    def document(self) -> dict[str, Any]:
        for index, parts in self._json.items():
            self._blocks[index]["input"] = parsed("".join(parts) or "{}")
        return {**self._document, "usage": self._usage, "content": [self._blocks[index] for index in sorted(self._blocks)]}
