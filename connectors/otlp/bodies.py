"""Prompts and answers of a span, in the OpenAI chat form that replays use.

Owns: the ways instrumentations write content (of the AI SDK in ai_sdk, in events of a span in events). Does not own: whether content is kept (the store).
Invariants: a body is canonical JSON (sorted keys, no spaces), so that its sha256 does not depend on the encoding of the request.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from connectors.otlp import ai_sdk, events
from connectors.otlp.blocks import content, is_whole, media, picture, plain, text, written
from connectors.otlp.dialects import PARAMETER_PREFIXES, json_attribute
from connectors.otlp.wire import Span

PARAMETERS: Final = frozenset(
    (
        "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "max_output_tokens", "stream", "stream_options", "n",
        "stop", "stop_sequences", "seed", "presence_penalty", "frequency_penalty", "response_format", "tool_choice",
        "parallel_tool_calls", "reasoning_effort", "reasoning", "thinking", "service_tier", "encoding_format", "dimensions", "verbosity",
    )
)  # fmt: skip
_INDEXED: Final = re.compile(r"^(?:gen_ai\.(prompt|completion)|llm\.(input|output)_messages)\.(\d{1,6})\.(?:message\.)?(.+)$")
_PART: Final = re.compile(r"^contents\.(\d{1,6})\.message_content\.(.+)$")
_CALL: Final = re.compile(r"^tool_calls\.(\d{1,6})\.(?:tool_call\.)?(?:function\.)?(id|name|arguments)$")
CONTENT_NAMES: Final = re.compile(
    r"^(?:(?:input|output)\.(?:value|mime_type)|gen_ai\.(?:input\.messages|output\.messages|system_instructions|tool\.definitions|prompt|completion)"
    r"(?:\..*)?|llm\.(?:input_messages|output_messages|tools|prompts|prompt_template\.variables|invocation_parameters)(?:\..*)?"
    # LiteLLM's copy of what it sent to a provider and got, under the provider's name; its older versions wrote the name of a name
    r"|llm\.(?!(?:usage|token_count|request|response|cost|prompt_template)\.)[\w-]+\..*|SpanAttributes\.LLM_(?:PROMPTS|COMPLETIONS)\..*"
    r"|gen_ai\.tool\.call\..*|traceloop\.entity\.(?:input|output)|ai\.(?:prompt|response|result|toolCall).*"
    r"|ai\.(?:values?|embeddings?|documents|ranking)(?:\..*)?|gen_ai\.(?:retrieval|memory)\.(?:query|documents|records).*"
    r"|embedding\.(?:embeddings|text).*|reranker\.(?:query|.*documents).*|retrieval\.documents.*|exception\.stacktrace|.*stack_trace"
    # Pydantic AI, Google's ADK, Genkit, LiveKit, and what tracing tools have their SDKs write
    r"|(?:pydantic_ai\.)?all_messages(?:_events)?|model_request_parameters|logfire\.json_schema|events|final_result|tool_arguments|tool_response"
    r"|gcp\.vertex\.agent\.(?:llm_request|llm_response|tool_call_args|tool_response|data)|genkit:(?:input|output)"
    r"|lk\.(?:input_text|user_input|chat_ctx|response\.text|function_tool\.(?:arguments|output))"
    r"|langfuse\.(?:trace|observation)\.(?:input|output)|mlflow\.span(?:Inputs|Outputs)"
    # Logfire, OpenRouter's Broadcast, Claude Code, OpenLIT, Braintrust, Haystack
    r"|request_data|response_data|(?:trace|span)\.(?:input|output)|user_prompt|new_context|system_prompt(?:_preview)?|system_reminders|tool_input"
    r"|response\.(?:model|thinking)_output|gen_ai\.content\.(?:prompt|completion)|braintrust\.(?:input|output|expected|metadata)(?:_json)?"
    r"|haystack\.(?:component|pipeline)\.(?:input|output)(?:_data)?)$"
)


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def parameters(span: Span) -> dict[str, Any]:
    """Request parameters by allow-list, from whichever attribute holds them."""
    found: dict[str, Any] = {}
    for source in ("input.value", "llm.invocation_parameters"):
        given = json_attribute(span.attributes, source)
        if isinstance(given, dict):
            found |= {name: value for name, value in given.items() if name in PARAMETERS}
    for name, value in span.attributes.items():
        for prefix in PARAMETER_PREFIXES:
            short = name.removeprefix(prefix)
            if short != name and short in PARAMETERS:
                found.setdefault(short, value)
    return found


def input_body(span: Span) -> tuple[bytes | None, bool]:
    """The prompt, and whether all of it is there: of pictures, recordings and files a span may have only the place."""
    attributes = events.with_details(span)
    request = json_attribute(attributes, "input.value")
    request = request if isinstance(request, dict) else {}
    messages, system = request.get("messages") or request.get("input"), request.get("system") or request.get("instructions")
    if messages is None:
        messages = _current(attributes, "gen_ai.input.messages")
        given = json_attribute(attributes, "gen_ai.system_instructions")
        system = _text(given) if isinstance(given, list) else None
    if system and isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if system and isinstance(messages, list):
        messages = [{"role": "system", "content": system}, *messages]
    messages = messages or _indexed(attributes, incoming=True) or events.asked(span) or ai_sdk.asked(attributes)
    if not messages:
        return None, False
    tools = request.get("tools") or json_attribute(attributes, "gen_ai.tool.definitions") or ai_sdk.tools(attributes)
    return canonical({"messages": messages, "params": parameters(span), "tools": tools}), is_whole(messages)


def output_body(span: Span, finish: str | None) -> bytes | None:
    attributes = events.with_details(span)
    messages = (
        _current(attributes, "gen_ai.output.messages")
        or _indexed(attributes, incoming=False)
        or events.said(span)
        or ai_sdk.said(attributes)
    )
    if not messages:
        return None
    return canonical({"message": messages[0], "finish_reason": finish})


def _text(parts: Any) -> str:
    return "".join(str(part.get("content") or part.get("text") or "") for part in parts if isinstance(part, dict))


def _current(attributes: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """gen_ai.input.messages of semantic conventions 1.37 and later: roles with typed parts."""
    given = json_attribute(attributes, name)
    messages = []
    for item in given if isinstance(given, list) else []:
        if not isinstance(item, dict):
            continue
        given_parts = item.get("parts")
        parts = [part for part in given_parts if isinstance(part, dict)] if isinstance(given_parts, list) else []
        message: dict[str, Any] = {"role": item.get("role", "user")}
        answers = [part for part in parts if part.get("type") == "tool_call_response"]
        messages += [{"role": "tool", "tool_call_id": a.get("id"), "content": plain(a.get("response", a.get("result")))} for a in answers]
        calls = [part for part in parts if part.get("type") == "tool_call"]
        blocks = [text(_text([part])) if part.get("type") == "text" else media(part) for part in parts]
        shown = [block for block in blocks if block is not None]
        if calls:
            message["tool_calls"] = [
                {"id": c.get("id"), "type": "function", "function": {"name": c.get("name"), "arguments": plain(c.get("arguments"))}}
                for c in calls
            ]
        if shown or "content" in item:
            message["content"] = content(shown) if shown else item["content"]
        if len(message) > 1:
            messages.append(message)
    return messages


def _indexed(attributes: dict[str, Any], *, incoming: bool) -> list[dict[str, Any]]:
    """Flattened messages: gen_ai.prompt.0.content, llm.input_messages.0.message.contents.1.message_content.text, ..."""
    found: dict[int, dict[str, Any]] = {}
    parts: dict[int, dict[int, dict[str, Any]]] = {}
    for name, value in attributes.items():
        match = _INDEXED.match(name)
        if match is None or ((match[1] == "prompt" or match[2] == "input") is not incoming):
            continue
        message = found.setdefault(int(match[3]), {"role": "user" if incoming else "assistant"})
        rest = match[4]
        if rest in ("role", "content", "tool_call_id", "name"):
            message[rest] = written(value) if rest == "content" else value
        elif part := _PART.match(rest):
            parts.setdefault(int(match[3]), {}).setdefault(int(part[1]), {})[part[2]] = value
        elif call := _CALL.match(rest):
            calls = message.setdefault("tool_calls", {})
            entry = calls.setdefault(int(call[1]), {"type": "function", "function": {}})
            (entry if call[2] == "id" else entry["function"])[call[2]] = value
    for number, message in found.items():
        blocks = [_block(part) for _, part in sorted(parts.get(number, {}).items())]
        if shown := [block for block in blocks if block is not None]:
            message["content"] = content(shown)
        if "tool_calls" in message:
            message["tool_calls"] = [message["tool_calls"][index] for index in sorted(message["tool_calls"])]
    return [found[index] for index in sorted(found)]


def _block(part: dict[str, Any]) -> dict[str, Any] | None:
    """OpenInference: message_content.text, message_content.image.image.url."""
    if "text" in part:
        return text(str(part["text"]))
    return picture(part.get("image.image.url")) if part.get("type") == "image" else media(part)
