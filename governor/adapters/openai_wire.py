"""The OpenAI chat wire: canonical request -> body, answer or stream -> reply.

Owns: bodies, usage and finish reason as canonical. Does not own: transport (model_endpoint.py), which parameters a model takes (governor.shadow.parameters).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

from governor.ports import ModelRequest
from governor.shadow.parameters import family_of, translate
from governor.shadow.parsed import parsed


def body(request: ModelRequest, *, stream: bool) -> tuple[dict[str, Any], list[str]]:
    """(JSON body, dropped parameters)."""
    known = str(request.metadata.get("model") or request.model)
    found = translate("openai", known, request.params, request.max_output_tokens)
    limit = "max_completion_tokens" if family_of(known) == "reasoning" else "max_tokens"
    sent: dict[str, Any] = {
        "model": request.model,
        "messages": [dict(message) for message in request.messages],
        limit: request.max_output_tokens,
        **found.sent,
    }
    if stream:
        sent.update(stream=True, stream_options={"include_usage": True})
    return sent, list(found.dropped)


def usage_of(usage: Mapping[str, Any] | None) -> dict[str, int | None]:
    """Inclusive counts; None where the endpoint did not say. xAI and others count what was thought beside the completion; the numbers prove it."""
    usage = usage or {}
    into, out = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    given, said, thought = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens")), count(out.get("reasoning_tokens"))
    if said is not None and thought and (thought > said or usage.get("total_tokens") == (given or 0) + said + thought):
        said += thought
    return {
        "input_tokens": given,
        "cache_read_tokens": count(into.get("cached_tokens")),
        "cache_write_tokens": count(into.get("cache_creation_tokens", usage.get("cache_creation_input_tokens"))),
        "output_tokens": said,
        "reasoning_tokens": thought,
    }


def count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def parse(document: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a ModelReply. Raises LookupError, TypeError or ValueError when it is no chat completion."""
    if error := error_of(document):
        raise ValueError(error)
    choice = document["choices"][0]
    message = choice["message"]
    content = words(message.get("content"))
    refusal = message.get("refusal") or ""
    return {
        "text": content or str(refusal),
        "tool_calls": tuple(message.get("tool_calls") or ()),
        "finish_reason": "refusal" if refusal else str(choice.get("finish_reason") or ""),
        "response_model": str(document.get("model") or ""),
        "response_id": str(document.get("id") or ""),
        **usage_of(document.get("usage")),
    }


def words(content: Any) -> str:
    """Of a message or a piece of one. Mistral's thinking models write a list of parts, of which those of text are the answer."""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return str(content or "")


def error_of(document: Mapping[str, Any]) -> str:
    """What an answer or a chunk says went wrong. Gateways write an empty `error` where nothing did."""
    error = document.get("error")
    if not error or (isinstance(error, Mapping) and not any(error.values())):
        return ""
    return str(error.get("message") or error) if isinstance(error, Mapping) else str(error)


class Stream:
    """Server-sent chunks of one completion, put together again."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[tuple[int, dict[str, Any]]] = []
        self._open: dict[int | None, dict[str, Any]] = {}  # the call that pieces of an index belong to
        self._document: dict[str, Any] = {}
        self._finish = ""
        self.begun = False  # the first piece of the answer has come
        self.over = False  # nothing more will come that counts
        self.error = ""

    def feed(self, data: str) -> None:
        if data in {"", "[DONE]"}:  # an event without data keeps a connection awake
            self.over = self.over or bool(data)
            return
        chunk = parsed(data)
        if error := error_of(chunk):
            self.error, self.over = error, True
            return
        self._document.update({name: chunk[name] for name in ("id", "model", "usage") if chunk.get(name)})
        for choice in chunk.get("choices") or []:
            delta = choice.get("delta") or {}
            text = words(delta.get("content"))
            self._text.append(text)
            self._refusal.append(delta.get("refusal") or "")
            self._merge(delta.get("tool_calls") or [])
            self._finish = choice.get("finish_reason") or self._finish
            self.begun = self.begun or bool(text or delta.get("tool_calls") or delta.get("refusal"))

    def _merge(self, calls: Iterable[Mapping[str, Any]]) -> None:
        for call in calls:
            index, function = call.get("index"), call.get("function") or {}
            known = self._open.get(index)
            if known is None or another(known, index, call):
                known = self._open[index] = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
                self._calls.append((int(index or 0), known))
            known["id"] = call.get("id") or known["id"]
            known["function"]["name"] += function.get("name") or ""
            known["function"]["arguments"] += function.get("arguments") or ""

    @property
    def finished(self) -> bool:
        return bool(self._finish)

    def document(self) -> dict[str, Any]:
        calls = [call for _, call in sorted(self._calls, key=itemgetter(0))]
        message = {"content": "".join(self._text), "refusal": "".join(self._refusal), "tool_calls": calls}
        return {**self._document, "choices": [{"message": message, "finish_reason": self._finish}]}


def another(known: Mapping[str, Any], index: int | None, piece: Mapping[str, Any]) -> bool:
    """Does this piece begin another call? Gemini's compatible API and gateways before it give parallel calls one index, or none."""
    named = known["function"]["name"] and (piece.get("function") or {}).get("name")
    return bool(named) and (index is None or piece.get("id") not in {None, "", known["id"]})
