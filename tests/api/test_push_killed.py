"""Receivers of a real server process under real senders, while it is killed -9 again and again: what was acknowledged is there, once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult, SpanProcessor
from opentelemetry.trace import SpanKind

from governor.actions.context import Context, open_context
from governor.actions.drain import drain_spool
from governor.actions.ingest import complete_batches
from governor.actions.init_home import init_home
from governor.errors import Unavailable
from governor.settings import load_settings

KILLS = int(os.environ.get("GOVERNOR_TEST_KILLS", "3"))
BETWEEN_S = 1.0
LITELLM = os.environ.get("GOVERNOR_TEST_LITELLM", "")  # the Python of an environment that holds litellm: `make killed-litellm`
ENV = {name: value for name, value in os.environ.items() if not name.startswith("GOVERNOR_")}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
        monkeypatch.delenv(name)
    ctx = open_context(load_settings(home=tmp_path / "home"), create=True)
    token = init_home(ctx, email="admin@acme.example", name="Admin", billing_zone="UTC")["token"]
    ctx.close()
    return tmp_path / "home", token


class Server:
    """The process that serves; it can be killed and started again on the same port."""

    def __init__(self, home: Path, port: int) -> None:
        self._home, self.port = home, port
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "governor.cli", "--home", str(self._home), "serve", "--port", str(self.port)]
        self._process = subprocess.Popen(command, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            assert time.monotonic() < until, "the server did not come up"
            time.sleep(0.1)

    def kill(self) -> None:
        """Every process of the server at once, as a machine that loses power."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def batched(url: str, token: str, stop: threading.Event, done: list[str]) -> None:
    """As an application does it: the SDK's own batch processor with its queue, its thread and its exporter's retries."""
    inner = OTLPSpanExporter(f"{url}/v1/traces", headers={"Authorization": f"Bearer {token}"}, compression=Compression.Gzip, timeout=10)

    class Watched(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            result = inner.export(spans)
            if result is SpanExportResult.SUCCESS:
                done.extend(f"{span.context.span_id:016x}" for span in spans)
            return result

    provider = TracerProvider(resource=Resource.create({"service.name": "claims-batched"}))
    provider.add_span_processor(BatchSpanProcessor(Watched(), schedule_delay_millis=200, max_export_batch_size=64))
    tracer = provider.get_tracer("load")
    while not stop.wait(0.005):
        with tracer.start_as_current_span("chat gpt-4o", kind=SpanKind.CLIENT) as span:
            span.set_attributes(facts())
    provider.shutdown()


def facts() -> dict[str, str | int]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-11-20",
        "gen_ai.response.id": f"chatcmpl-{uuid.uuid4().hex}",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
    }


class Tracing(SpanProcessor):
    """Hands each span to the real exporter and remembers those that were acknowledged; a refused one is offered again, as a sender does."""

    def __init__(self, exporter: SpanExporter, acknowledged: list[str]) -> None:
        self.exporter = exporter
        self.acknowledged = acknowledged

    def on_end(self, span: Any) -> None:
        for _ in range(3):
            if self.exporter.export([span]) is SpanExportResult.SUCCESS:
                self.acknowledged.append(f"{span.context.span_id:016x}")
                return


def trace(url: str, token: str, stop: threading.Event, done: list[str]) -> None:
    exporter = OTLPSpanExporter(f"{url}/v1/traces", headers={"Authorization": f"Bearer {token}"}, compression=Compression.Gzip, timeout=5)
    tracing = Tracing(exporter, done)
    provider = TracerProvider(resource=Resource.create({"service.name": "claims"}))
    provider.add_span_processor(tracing)
    tracer = provider.get_tracer("load")
    while not stop.is_set():
        with tracer.start_as_current_span("chat gpt-4o", kind=SpanKind.CLIENT) as span:
            span.set_attributes(facts())


def litellm(url: str, token: str, stop: threading.Event, done: list[str]) -> None:
    """LiteLLM's own generic_api logger in a process and an environment of its own."""
    command = [LITELLM, str(Path(__file__).with_name("litellm_sender.py")), url, token]
    env = ENV | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    sender = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert sender.stdin is not None
    assert sender.stdout is not None
    reader = threading.Thread(target=lambda out: done.extend(line.strip() for line in out), args=(sender.stdout,))
    reader.start()
    stop.wait()
    sender.stdin.close()
    reader.join(60)
    sender.wait(60)


def log(url: str, token: str, stop: threading.Event, done: list[str]) -> None:
    """As LiteLLM's generic_api logger: arrays of records; what was not acknowledged is sent again as it was."""
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=5) as client:
        while not stop.is_set():
            names = [f"chatcmpl-{uuid.uuid4().hex}" for _ in range(20)]
            now = time.time()
            body = json.dumps([record(name, now) for name in names])
            for _ in range(3):
                with contextlib.suppress(httpx.HTTPError):
                    if client.post(f"{url}/ingest/litellm", content=body, headers={"Content-Type": "application/json"}).status_code == 200:
                        done += names
                        break
                if stop.wait(0.2):
                    return


def record(name: str, now: float) -> dict[str, Any]:
    return {
        "id": name,
        "litellm_call_id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
        "call_type": "acompletion",
        "status": "success",
        "model": "gpt-4o",
        "custom_llm_provider": "openai",
        "startTime": now - 1,
        "endTime": now,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "metadata": {"user_api_key_alias": "k"},
    }


def heard(answered: list[list[str]]) -> None:
    """Wait until every sender was answered again, and a little more, so that the next kill meets bodies on their way."""
    before, until = [len(done) for done in answered], time.monotonic() + 60
    while any(len(done) <= had for done, had in zip(answered, before, strict=True)):
        assert time.monotonic() < until, "a sender is not answered any more"
        time.sleep(0.05)
    time.sleep(BETWEEN_S)


def stored(ctx: Context, column: str, family: str) -> list[str]:
    sql = f"SELECT {column} AS name FROM lake.calls WHERE split_part(source_kind, '.', 1) = '{family}'"
    return list(ctx.lake.query(sql)["name"].to_pylist())


def test_what_was_acknowledged_is_there_once_though_the_server_is_killed(home: tuple[Path, str], new_port: Callable[[], int]) -> None:
    folder, token = home
    server, stop = Server(folder, new_port()), threading.Event()
    server.start()
    loggers = [log, litellm] if LITELLM else [log, log]
    traced: list[list[str]] = [[], []]
    logged: list[list[str]] = [[], []]
    answered = [*traced, *logged]
    work = [*zip([trace, batched], traced, strict=True), *zip(loggers, logged, strict=True)]
    senders = [threading.Thread(target=send, args=(server.url, token, stop, done)) for send, done in work]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        heard(answered)
        server.kill()
        server.start()
    heard(answered)
    stop.set()
    for sender in senders:
        sender.join(60)
    server.kill()
    ctx = open_context(load_settings(home=folder))
    try:
        complete_batches(ctx)
        until = time.monotonic() + 60
        while drain_spool(ctx) or list((folder / "spool").rglob("*.push")):
            assert time.monotonic() < until, "the spool does not drain"
        spans, records = [one for done in traced for one in done], [one for done in logged for one in done]
        assert len(spans) > 4 * KILLS
        assert len(records) > 20 * KILLS
        for acknowledged, found in ((spans, stored(ctx, "span_id", "otlp")), (records, stored(ctx, "source_record_id", "litellm"))):
            assert len(found) == len(set(found)), "a call is there twice"
            assert set(acknowledged) <= set(found), "an acknowledged call is lost"
        assert ctx.lake.quarantine() == []
    finally:
        ctx.close()


def test_a_full_spool_says_503_and_keeps_nothing(open_door: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under pressure the receiver refuses, so that the sender keeps what it has; once the lake takes bodies again it is welcome."""
    with open_door(tmp_path / "full", spool_max_bytes=5_000) as door:
        with monkeypatch.context() as busy:
            busy.setattr("governor.actions.push.store", refuse)
            busy.setattr("governor.actions.drain.store", refuse)
            busy.setattr("governor.actions.spool.time.monotonic", iter(range(10, 10_000, 2)).__next__)
            answers = [door.post("/ingest/litellm", content=json.dumps([record(f"chatcmpl-{n:032d}", time.time())])) for n in range(30)]
        said = [answer.status_code for answer in answers]
        assert said[0] == 200
        assert said[-1] == 503
        assert answers[-1].headers["retry-after"]
        kept = said.count(200)
        assert sum(path.stat().st_size for path in (tmp_path / "full").rglob("*.push")) <= 5_000
        drain_spool(door.ctx)
        assert len(stored(door.ctx, "source_record_id", "litellm")) == kept


def refuse(*_: Any, **__: Any) -> Any:
    raise Unavailable("the lake is busy")
