"""A local endpoint that speaks the OpenAI and the Anthropic wire and plays two models. Everything it says is labelled simulated.

Owns: HTTP around simulated_model.py, streaming, a count of what it was asked. Does not own: what is answered.
Invariants: listens on loopback only; header `X-Simulated: true` and a `simulated` field in every body; needs no key and keeps no prompt.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from governor.adapters.anthropic_wire import STOPS
from governor.demo.simulated_model import Answer, Behaviour, answer, behaviour_of

STOP_REASONS: Final = {
    canonical: theirs for theirs, canonical in STOPS.items() if theirs not in {"stop_sequence", "model_context_window_exceeded"}
}
LARGEST_BODY: Final = 16 * 1024 * 1024


class SimulatedEndpoint:
    """`with SimulatedEndpoint() as endpoint: endpoint.base_url`. Plays any model name; `behaviours` sets the warts of one.

    `asked` counts calls per model; `keys` counts calls per idempotency key.
    """

    def __init__(self, behaviours: Mapping[str, Behaviour] | None = None, *, seed: int = 1, port: int = 0) -> None:
        self.behaviours = dict(behaviours or {})
        self.seed = seed
        self.asked: Counter[str] = Counter()
        self.keys: Counter[str] = Counter()
        self._lock = threading.Lock()
        outer = self

        class Bound(_Door):
            endpoint = outer

        self._server = _Server(("127.0.0.1", port), Bound)
        self._thread = threading.Thread(target=self._server.serve_forever, name="simulated-endpoint", daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def reply(self, body: Mapping[str, Any], key: str) -> Answer:
        model = str(body.get("model", ""))
        with self._lock:
            self.asked[model] += 1
            if key:
                self.keys[key] += 1
        behaviour = behaviour_of(model, self.behaviours)
        time.sleep(behaviour.latency_ms / 1000)
        return answer(model, body, behaviour, self.seed)


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away mid-answer is not worth a traceback on the console."""


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    endpoint: SimulatedEndpoint

    def do_POST(self) -> None:
        try:
            body = json.loads(self.rfile.read(min(int(self.headers.get("Content-Length", 0)), LARGEST_BODY)))
            openai = self.path.endswith("/chat/completions")
            if not openai and not self.path.endswith("/messages"):
                self._send(404, {"error": {"message": "not found"}, "simulated": True})
                return
            model = str(body.get("model", ""))
            found = self.endpoint.reply(body if openai else from_anthropic(body), self.headers.get("Idempotency-Key", ""))
        except (ValueError, AttributeError) as error:
            self._send(400, {"error": {"message": f"no chat request: {error}"}, "simulated": True})
            return
        if found.status != 200:
            self._send(found.status, {"error": {"message": "simulated failure"}, "simulated": True})
        elif body.get("stream"):
            self._send_events(openai_events(model, found) if openai else anthropic_events(model, found))
        else:
            self._send(200, openai_document(model, found) if openai else anthropic_document(model, found))

    def _send(self, status: int, document: Mapping[str, Any]) -> None:
        data = json.dumps(document).encode()
        self._head(status, "application/json", len(data))
        self.wfile.write(data)

    def _send_events(self, events: Iterator[tuple[str, Any]]) -> None:
        lines = [
            (f"event: {name}\n" if name else "") + f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"
            for name, data in events
        ]
        data = "".join(lines).encode()
        self._head(200, "text/event-stream", len(data))
        self.wfile.write(data)

    def _head(self, status: int, kind: str, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("X-Simulated", "true")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's signature
        """Say nothing: a prompt may be in the path of a wrong call."""


def from_anthropic(body: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a messages request that simulated_model.py reads, in chat form."""
    system = [{"role": "system", "content": body["system"]}] if body.get("system") else []
    return {**body, "messages": [*system, *(body.get("messages") or [])], "tool_choice": (body.get("tool_choice") or {}).get("type")}


def identity(model: str, found: Answer) -> str:
    return hashlib.sha256(f"{model}|{found.text}|{found.input_tokens}".encode()).hexdigest()[:24]


def openai_usage(found: Answer) -> dict[str, Any]:
    total = found.input_tokens + found.output_tokens
    return {
        "prompt_tokens": found.input_tokens,
        "completion_tokens": found.output_tokens,
        "total_tokens": total,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def openai_document(model: str, found: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": found.text or None}
    if found.tool_calls:
        message["tool_calls"] = list(found.tool_calls)
    return {
        "id": f"chatcmpl-sim-{identity(model, found)}",
        "object": "chat.completion",
        "model": model,
        "system_fingerprint": "simulated",
        "simulated": True,
        "choices": [{"index": 0, "message": message, "finish_reason": found.finish_reason}],
        "usage": openai_usage(found),
    }


def openai_events(model: str, found: Answer) -> Iterator[tuple[str, Any]]:
    head = {"id": f"chatcmpl-sim-{identity(model, found)}", "object": "chat.completion.chunk", "model": model, "simulated": True}
    half = len(found.text) // 2
    for piece in (found.text[:half], found.text[half:]):
        if piece:
            yield "", {**head, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
    for index, call in enumerate(found.tool_calls):
        yield "", {**head, "choices": [{"index": 0, "delta": {"tool_calls": [{"index": index, **call}]}, "finish_reason": None}]}
    yield "", {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": found.finish_reason}]}
    yield "", {**head, "choices": [], "usage": openai_usage(found)}
    yield "", "[DONE]"


def anthropic_blocks(found: Answer) -> list[dict[str, Any]]:
    text = [{"type": "text", "text": found.text}] if found.text else []
    calls = [
        {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": json.loads(call["function"]["arguments"])}
        for call in found.tool_calls
    ]
    return [*text, *calls]


def anthropic_document(model: str, found: Answer) -> dict[str, Any]:
    return {
        "id": f"msg_sim_{identity(model, found)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "simulated": True,
        "content": anthropic_blocks(found),
        "stop_reason": STOP_REASONS.get(found.finish_reason, "end_turn"),
        "usage": {
            "input_tokens": found.input_tokens,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "output_tokens": found.output_tokens,
        },
    }


def anthropic_events(model: str, found: Answer) -> Iterator[tuple[str, Any]]:
    whole = anthropic_document(model, found)
    yield (
        "message_start",
        {
            "type": "message_start",
            "message": {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}},
        },
    )
    for index, block in enumerate(whole["content"]):
        empty = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
        delta = (
            {"type": "text_delta", "text": block["text"]}
            if block["type"] == "text"
            else {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        )
        yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": empty}
        yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    yield (
        "message_delta",
        {"type": "message_delta", "delta": {"stop_reason": whole["stop_reason"]}, "usage": {"output_tokens": found.output_tokens}},
    )
    yield "message_stop", {"type": "message_stop"}
