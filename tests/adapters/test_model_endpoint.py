"""Replay calls against a real HTTP server: both wires, streams, failures, limits, and places that may not be called."""

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from governor.adapters import anthropic_wire, openai_wire
from governor.adapters.model_endpoint import HttpModelEndpoint
from governor.adapters.secrets import read_secret
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.simulated_model import Behaviour
from governor.errors import Invalid
from governor.ports import ModelReply, ModelRequest

TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}},
}
ASK = ModelRequest(
    "key-1", "sim-baseline", [{"role": "user", "content": "Notice 1: hail at a farm. Estimated damage 15000 EUR."}], {"temperature": 0}, 200
)


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimulatedEndpoint]:
    with SimulatedEndpoint({"broken": Behaviour(fail=1.0)}) as endpoint:
        yield endpoint


def endpoint_of(url: str, protocol: str = "openai", **changes: Any) -> HttpModelEndpoint:
    return HttpModelEndpoint(protocol=protocol, base_url=url, allow_private=True, **changes)


def one(endpoint: HttpModelEndpoint, request: ModelRequest = ASK) -> ModelReply:
    [(asked, reply)] = endpoint.call_many([request], concurrency=1)
    assert asked is request
    return reply


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
def test_both_wires_say_the_same(simulated: SimulatedEndpoint, protocol: str, stream: bool) -> None:
    reply = one(endpoint_of(simulated.base_url, protocol, stream=stream))
    assert (reply.status, json.loads(reply.text)) == ("ok", {"severity": "high", "cause": "hail"})
    assert (reply.finish_reason, reply.response_model, reply.http_status) == ("stop", "sim-baseline", 200)
    assert (reply.input_tokens, reply.output_tokens, reply.cache_read_tokens) == (13, 9, 0)
    assert (reply.ttft_ms is not None) == stream
    assert reply.response_id.startswith(("chatcmpl-sim-", "msg_sim_"))


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls_come_back_in_one_form(simulated: SimulatedEndpoint, protocol: str, stream: bool) -> None:
    reply = one(endpoint_of(simulated.base_url, protocol, stream=stream), replace(ASK, params={"tools": [TOOL], "tool_choice": "required"}))
    [call] = reply.tool_calls
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "sample"}
    assert reply.finish_reason == "tool_calls"


def test_every_request_is_answered_once_whatever_the_order(simulated: SimulatedEndpoint) -> None:
    requests = [
        replace(ASK, idempotency_key=f"many-{index}", model="broken" if index % 10 == 0 else "sim-candidate") for index in range(60)
    ]
    answers = list(endpoint_of(simulated.base_url, max_retries=1).call_many(requests, concurrency=16))
    assert sorted(request.idempotency_key for request, _ in answers) == sorted(request.idempotency_key for request in requests)
    failed = [reply for request, reply in answers if request.model == "broken"]
    assert {(reply.status, reply.http_status, reply.retries) for reply in failed} == {("error", 500, 1)}
    assert {simulated.keys[request.idempotency_key] for request in requests if request.model == "broken"} == {2}


class Scripted:
    """A server that answers from a script and remembers what it saw."""

    def __init__(self, script: list[tuple[int, dict[str, str], bytes]], delay: float = 0.0) -> None:
        self.seen: list[tuple[str, dict[str, str], Any]] = []
        outer, wait = self, threading.Event()

        class Door(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.seen.append((self.path, dict(self.headers), json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
                wait.wait(delay)
                status, headers, body = script[min(len(outer.seen), len(script)) - 1]
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that gave up is what some tests want."""

        self.server = Server(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    made: list[Scripted] = []

    def make(*answers: tuple[int, dict[str, str], bytes], delay: float = 0.0) -> Scripted:
        made.append(Scripted(list(answers), delay))
        return made[-1]

    yield make
    for server in made:
        server.server.shutdown()
        server.server.server_close()


def completion(**changes: Any) -> bytes:
    return json.dumps({"id": "c", "model": "m", "choices": [{"message": {"content": "hi", **changes}, "finish_reason": "stop"}]}).encode()


def test_a_busy_endpoint_is_asked_again_and_the_retries_are_counted(scripted: Callable[..., Scripted]) -> None:
    server = scripted((429, {"Retry-After": "0.01"}, b"{}"), (503, {}, b"{}"), (200, {}, completion()))
    reply = one(endpoint_of(server.url))
    assert (reply.status, reply.retries, len(server.seen)) == ("ok", 2, 3)
    assert len({headers["Idempotency-Key"] for _, headers, _ in server.seen}) == 1


@pytest.mark.parametrize("status", [408, 504, 524])
def test_a_gateway_that_stopped_waiting_is_a_timeout_and_not_asked_again(scripted: Callable[..., Scripted], status: int) -> None:
    """Its provider may have answered, and billed."""
    server = scripted((status, {}, b'{"error": {"message": "upstream timed out"}}'), (200, {}, completion()))
    reply = one(endpoint_of(server.url))
    assert (reply.status, reply.http_status, len(server.seen)) == ("timeout", status, 1)


def test_usage_that_was_not_given_is_unknown(scripted: Callable[..., Scripted]) -> None:
    reply = one(endpoint_of(scripted((200, {}, completion())).url))
    assert (reply.status, reply.input_tokens, reply.output_tokens) == ("ok", None, None)


def piece(index: int | None = None, call: str | None = None, name: str | None = None, arguments: str = "") -> dict[str, Any]:
    return {"index": index, "id": call, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    "chunks",
    [
        [[piece(0, "a", "day", '{"x":')], [piece(0, None, None, "1}")], [piece(1, "b", "day", '{"x":2}')]],
        [[piece(1, "b", "day", '{"x":2}')], [piece(0, "a", "day", '{"x":1}')]],
        [[piece(0, "a", "day", '{"x":1}')], [piece(0, "b", "day", '{"x":2}')]],  # Gemini's compatible API
        [[piece(None, "a", "day", '{"x":1}'), piece(None, "b", "day", '{"x":2}')]],
        [[piece(None, "", "day", '{"x":1}')], [piece(None, "", "day", '{"x":')], [piece(None, "", None, "2}")]],
        [[piece(0, "a", "day", '{"x":')], [piece(0, "a2", None, "1}")], [piece(1, "b", "day", '{"x":2}')]],  # vLLM: an id a piece
    ],
)
def test_parallel_calls_of_a_stream_stay_apart(chunks: list[list[dict[str, Any]]]) -> None:
    stream = openai_wire.Stream()
    for calls in chunks:
        stream.feed(json.dumps({"choices": [{"delta": {"tool_calls": calls}}]}))
    found = openai_wire.parse(stream.document())["tool_calls"]
    assert [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in found] == [
        ("day", {"x": 1}),
        ("day", {"x": 2}),
    ]


def test_a_stream_may_hold_lists_of_parts_and_events_without_data() -> None:
    """Mistral's thinking models write parts, of which those of text are the answer; some gateways send empty events to stay connected."""
    stream = openai_wire.Stream()
    for content in ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}], [{"type": "text", "text": "Ha"}], "il"):
        stream.feed("")
        stream.feed(json.dumps({"choices": [{"delta": {"content": content}}]}))
        assert stream.begun is (content[0] != {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]})
    assert openai_wire.parse(stream.document())["text"] == "Hail"


def test_an_answer_that_filled_the_context_window_was_cut_off() -> None:
    said = {"content": [{"type": "text", "text": "Ha"}], "stop_reason": "model_context_window_exceeded"}
    assert anthropic_wire.parse(said)["finish_reason"] == "length"


def test_a_refusal_field_is_a_refusal(scripted: Callable[..., Scripted]) -> None:
    assert one(endpoint_of(scripted((200, {}, completion(content=None, refusal="No."))).url)).finish_reason == "refusal"


def test_half_a_character_is_joined_with_its_other_half_or_asked_about(scripted: Callable[..., Scripted]) -> None:
    assert one(endpoint_of(scripted((200, {}, completion(content="a\ud83d"))).url)).text == "a?"
    assert one(endpoint_of(scripted((200, {}, completion(content="\ud83d\ude00 caf\u00e9"))).url)).text == "\U0001f600 caf\u00e9"
    halves = [json.dumps({"choices": [{"delta": {"content": part}}]}) for part in ("\ud83d", "\ude00", "\udc00")]
    end = json.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    stream = "".join(f"data: {line}\n\n" for line in (*halves, end, "[DONE]")).encode()
    assert one(endpoint_of(scripted((200, {"Content-Type": "text/event-stream"}, stream)).url)).text == "\U0001f600?"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((302, {"Location": "http://169.254.169.254/"}, b""), ""),
        ((200, {}, b"<html>"), "not a openai answer"),
        ((200, {}, b'{"choices": []}'), "not a openai answer"),
        ((200, {}, b"x" * 5000), "larger than"),
        ((200, {"Content-Type": "text/event-stream"}, b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'), "ended early"),
        ((400, {}, b'{"error": {"message": "bad model"}}'), "bad model"),
        ((400, {}, b"[" * 1900), "[[["),
        ((200, {}, b"[" * 1900), "nested deeper"),
        ((200, {}, b'{"choices": [{"message": {"content": ' + b"[" * 200 + b"]" * 200 + b"}}]}"), "nested deeper"),
        ((200, {"Content-Type": "text/event-stream"}, b"data: " + b"[" * 1900 + b"\n\n"), "nested deeper"),
        ((200, {}, b'{"error": {"message": "no quota"}, "choices": [{"message": {"content": "hi"}}]}'), "no quota"),
        ((200, {"Content-Type": "text/event-stream"}, b'data: {"error": {"message": "no quota"}}\n\n'), "no quota"),
    ],
)
def test_what_is_no_answer_is_an_error_and_not_repeated(scripted: Callable[..., Scripted], answer: Any, words: str) -> None:
    server = scripted(answer)
    reply = one(endpoint_of(server.url, max_response_bytes=2000))
    assert reply.status == "error"
    assert words in reply.error
    assert len(server.seen) == 1


@pytest.mark.parametrize("empty", ["null", "{}", '""', '{"message": null, "code": null}'])
def test_an_error_that_says_nothing_is_none(scripted: Callable[..., Scripted], empty: str) -> None:
    chunk = f'{{"error": {empty}, "choices": [{{"delta": {{"content": "hi"}}, "finish_reason": "stop"}}]}}'
    streamed = (200, {"Content-Type": "text/event-stream"}, f"data: {chunk}\n\ndata: [DONE]\n\n".encode())
    whole = (200, {}, f'{{"error": {empty}, "choices": [{{"message": {{"content": "hi"}}, "finish_reason": "stop"}}]}}'.encode())
    for answer in (streamed, whole):
        reply = one(endpoint_of(scripted(answer).url))
        assert (reply.status, reply.text) == ("ok", "hi")


def test_a_late_answer_is_a_timeout_and_not_repeated(scripted: Callable[..., Scripted]) -> None:
    server = scripted((200, {}, completion()), delay=2.0)
    assert one(endpoint_of(server.url), replace(ASK, timeout_s=0.1)).status == "timeout"
    assert len(server.seen) == 1


LAST_EVENTS = {
    "openai": '{"model": "m", "choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}\n\ndata: [DONE]',
    "anthropic": '{"type": "message_start", "message": {"model": "m"}}\n\n'
    'data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}\n\ndata: {"type": "message_stop"}',
}


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_a_stream_is_over_with_its_last_event_though_the_connection_stays_open(protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def answer() -> None:
            kept.append(server.accept()[0])
            kept[0].recv(65536)
            head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
            kept[0].sendall(f"{head}data: {LAST_EVENTS[protocol]}\n\n".encode())

        threading.Thread(target=answer, daemon=True).start()
        reply = one(
            endpoint_of(f"http://127.0.0.1:{server.getsockname()[1]}/v1", protocol, stream=True, max_retries=0), replace(ASK, timeout_s=5)
        )
        kept[0].close()
    assert (reply.status, reply.text, reply.error) == ("ok", "hi", "")
    assert reply.duration_ms < 4000


@pytest.mark.parametrize(
    ("headers", "passed_on"),
    [
        ({"x-litellm-attempted-fallbacks": "1"}, True),
        ({"x-litellm-attempted-fallbacks": "0", "x-litellm-attempted-retries": "2"}, False),
        ({"cf-aig-step": "2"}, True),
        ({"cf-aig-step": "0"}, False),
        ({"cf-aig-step": "none"}, False),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_gateway_that_says_it_fell_back_is_heard(
    scripted: Callable[..., Scripted], headers: dict[str, str], passed_on: bool, stream: bool
) -> None:
    body = f"data: {LAST_EVENTS['openai']}\n\n".encode() if stream else completion()
    kind = {"Content-Type": "text/event-stream"} if stream else {}
    reply = one(endpoint_of(scripted((200, {**headers, **kind}, body)).url))
    assert (reply.status, reply.passed_on) == ("ok", passed_on)


def test_nobody_listening_is_an_error() -> None:
    assert one(endpoint_of("http://127.0.0.1:9/v1", max_retries=0)).error.startswith("no connection")


def test_the_key_is_sent_and_never_shown(scripted: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHADOW_KEY", "sk-very-secret")
    server = scripted((401, {}, b'{"error": {"message": "no"}}'))
    endpoint = endpoint_of(server.url, secret="env:SHADOW_KEY")
    reply = one(endpoint)
    assert server.seen[0][1]["Authorization"] == "Bearer sk-very-secret"
    assert "sk-very-secret" not in repr(endpoint) + repr(reply)
    one(endpoint_of(server.url, "anthropic", secret="env:SHADOW_KEY"))
    assert {name.lower(): value for name, value in server.seen[1][1].items()}["x-api-key"] == "sk-very-secret"


def test_replay_traffic_is_marked_so_that_the_gateway_can_keep_it_apart(scripted: Callable[..., Scripted]) -> None:
    server = scripted((200, {}, completion()))
    one(endpoint_of(server.url), replace(ASK, metadata={"run": "run-7"}))
    headers = {name.lower(): value for name, value in server.seen[0][1].items()}
    assert headers["x-litellm-tags"] == "governor-shadow-run,governor-shadow-run:run-7"
    assert "metadata" not in server.seen[0][2]


@pytest.mark.parametrize("reference", ["env:GOVERNOR_NOT_SET", "file:nowhere"])
def test_a_secret_that_is_not_there_is_named_by_its_reference(reference: str) -> None:
    with pytest.raises(Invalid, match=reference):
        read_secret(reference)


def test_a_secret_that_is_no_text_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"sk-\xff\xfe")
    with pytest.raises(Invalid, match="is no key"):
        read_secret(f"file:{tmp_path / 'key'}")


def test_what_is_no_reference_may_be_the_secret_and_is_not_repeated() -> None:
    with pytest.raises(Invalid, match="given by reference") as refused:
        read_secret("vault:s3cret")
    assert "s3cret" not in f"{refused.value.message} {refused.value.hint}"


def test_what_cannot_be_replayed_is_not_sent(simulated: SimulatedEndpoint) -> None:
    before = sum(simulated.asked.values())
    reply = one(endpoint_of(simulated.base_url), replace(ASK, params={"n": 3, "modalities": ["audio"]}))
    assert reply.status == "refused_params"
    heard = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]}]
    unheard = one(endpoint_of(simulated.base_url, "anthropic"), replace(ASK, messages=heard))
    assert (unheard.status, unheard.dropped_params) == ("refused_params", ["messages.input_audio"])
    assert sum(simulated.asked.values()) == before


PARAMS = {
    "temperature": 0.2, "top_p": 0.9, "stop": "END", "seed": 7, "logit_bias": {"1": 2}, "response_format": {"type": "json_object"}, "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "weather"}}, "parallel_tool_calls": False, "stream": True, "max_tokens": 5, "mystery": 1, "user": None,
}  # fmt: skip


def test_the_openai_body_keeps_what_shapes_the_answer() -> None:
    body, dropped = openai_wire.body(replace(ASK, params=PARAMS), stream=False)
    assert (body["seed"], body["response_format"], body["max_tokens"]) == (7, {"type": "json_object"}, 200)
    assert dropped == ["mystery"]
    assert not {"stream", "user"} & set(body)
    assert "max_completion_tokens" in openai_wire.body(replace(ASK, model="gpt-5-mini"), stream=False)[0]


def test_the_anthropic_body_translates_and_lists_what_it_drops() -> None:
    body, dropped = anthropic_wire.body(replace(ASK, params=PARAMS), stream=False)
    assert dropped == ["logit_bias", "mystery", "response_format", "seed"]
    assert (body["stop_sequences"], body["max_tokens"], body["temperature"]) == (["END"], 200, 0.2)
    assert body["tool_choice"] == {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}
    assert body["tools"][0]["input_schema"]["required"] == ["city"]
    assert "temperature" in anthropic_wire.body(replace(ASK, params={"temperature": 1.4}), stream=False)[1]


def test_a_conversation_with_tools_and_pictures_keeps_its_structure() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bonn"}'}}
    system, turns = anthropic_wire.conversation(
        [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
            },
            {"role": "assistant", "content": None, "tool_calls": [call, {**call, "id": "c2"}]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
            {"role": "tool", "tool_call_id": "c2", "content": "sun"},
        ]
    )
    assert system == "Be brief."
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[0]["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    assert turns[1]["content"][0] == {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Bonn"}}
    assert [block["tool_use_id"] for block in turns[2]["content"]] == ["c1", "c2"]


def test_anthropic_gets_a_pdf_as_a_document_and_nothing_empty() -> None:
    pdf = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}
    _, turns = anthropic_wire.conversation(
        [
            {"role": "user", "content": [pdf, {"type": "text", "text": ""}, {"type": "text", "text": "Sum it up."}]},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "Well?"},
        ]
    )
    document = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}}
    assert [turn["content"] for turn in turns] == [[document, {"type": "text", "text": "Sum it up."}], "Well?"]


def test_anthropic_usage_becomes_inclusive() -> None:
    usage = anthropic_wire.usage_of(
        {"input_tokens": 10, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 20, "output_tokens": 5}
    )
    assert (usage["input_tokens"], usage["cache_read_tokens"], usage["cache_write_tokens"]) == (100, 70, 20)
    assert anthropic_wire.usage_of(None)["input_tokens"] is None


@pytest.mark.parametrize(
    ("said", "thought", "total", "output"),
    [
        (9, 94, 135, 103),  # xAI: beside the completion
        (120, 94, 246, 214),
        (0, 60, None, 60),
        (120, 94, 152, 120),  # OpenAI: within it
        (120, 94, None, 120),
        (120, None, 152, 120),
    ],
)
def test_what_was_thought_beside_the_completion_is_output(said: int, thought: int | None, total: int | None, output: int) -> None:
    usage = {
        "prompt_tokens": 32,
        "completion_tokens": said,
        "total_tokens": total,
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    found = openai_wire.usage_of(usage)
    assert (found["output_tokens"], found["reasoning_tokens"]) == (output, thought)


def test_a_name_that_leads_home_is_refused_when_it_resolves() -> None:
    reply = one(HttpModelEndpoint("openai", "https://localhost:9/v1"))
    assert reply.status == "error"
    assert "is refused" in reply.error
    assert reply.retries == 0


def test_a_caller_who_leaves_early_stops_the_rest(simulated: SimulatedEndpoint) -> None:
    simulated.behaviours["slow"] = Behaviour(latency_ms=100)
    answers = endpoint_of(simulated.base_url).call_many([replace(ASK, model="slow") for _ in range(200)], concurrency=2)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert simulated.asked["slow"] < 20
