"""Governor, Arize Phoenix and MLflow's tracing server take the same OTLP spans on this machine; prints how fast each had them stored.

    make compare-otlp                       (20,000 spans by default; minutes)

Each outside server lives in an environment of its own under .venv/compare, starts with its own defaults (SQLite, a fresh folder, a loopback port) and its
usage reports off. A seeded generator makes the bodies before any clock starts: OTLP/HTTP protobuf, gzip, 500 spans a request, traces of one agent span with
three model calls. Four senders offer a body again after 429, 503 or no answer, as exporters do. `acknowledged`: all bodies were answered with success. `stored`: the
server's own query API counts all of them. One warm-up request goes before. Nothing leaves the machine but the installs.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

ENVIRONMENTS: Final = Path(".venv/compare")
PACKAGES: Final = {"phoenix": "arize-phoenix", "mlflow": "mlflow"}
BATCH: Final = 500
PER_TRACE: Final = 4
SENDERS: Final = 4
GONE: Final = 0  # no answer came
AGAIN: Final = {429, 502, 503, 504, GONE}
SEED: Final = 20261101
MODELS: Final = (
    ("openai", "gpt-4o", "gpt-4o-2024-11-20"),
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
)
WORDS: Final = ("please", "read", "the", "case", "notes", "and", "say", "how", "urgent", "this", "claim", "is", "for", "an", "adjuster")
Count = Callable[[], int]


@dataclass
class Running:
    """A server that answers. `count`: how many spans its own API says it holds; `group`: the process group of all its processes."""

    port: int
    count: Count
    group: int = 0
    path: str = "/v1/traces"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    acknowledged_s: float
    stored_s: float
    processor_s: float
    offered_again: int


def bodies(spans: int, content: int) -> list[bytes]:
    """Gzip bodies of one warm-up request and then `spans` spans. The same arguments give the same bytes but for the day."""
    rng = random.Random(SEED)  # noqa: S311 - a repeatable load
    now = time.time_ns() - 3600 * 10**9
    return [body(rng, now + place * 10**7, content) for place in range(1 + spans // BATCH)]


def body(rng: random.Random, at: int, content: int) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    say(group.resource, {"service.name": f"claims-{rng.randrange(8)}", "deployment.environment.name": "production"})
    scope = group.scope_spans.add()
    scope.scope.name = "opentelemetry.instrumentation.openai_v2"
    for _ in range(BATCH // PER_TRACE):
        trace, agent = rng.randbytes(16), rng.randbytes(8)
        root = span(scope.spans.add(), trace, agent, b"", "invoke_agent triage", at, 3_000_000_000)
        root.kind = Span.SPAN_KIND_INTERNAL
        say(
            root,
            {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "triage", "gen_ai.conversation.id": f"c-{rng.randrange(10**9)}"},
        )
        for step in range(PER_TRACE - 1):
            provider, asked, answered = rng.choice(MODELS)
            call = span(scope.spans.add(), trace, rng.randbytes(8), agent, f"chat {asked}", at + step * 10**9, rng.randrange(10**8, 10**9))
            facts: dict[str, str | int | float] = {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": provider,
                "gen_ai.request.model": asked,
                "gen_ai.response.model": answered,
                "gen_ai.response.id": f"chatcmpl-{rng.randbytes(12).hex()}",
                "gen_ai.request.temperature": 0.2,
                "gen_ai.usage.input_tokens": rng.randrange(50, 8000),
                "gen_ai.usage.output_tokens": rng.randrange(5, 900),
                "gen_ai.usage.cache_read.input_tokens": 0,
                "server.address": f"api.{provider}.com",
            }
            if content:
                facts["gen_ai.input.messages"] = message(rng, "user", content)
                facts["gen_ai.output.messages"] = message(rng, "assistant", content // 4)
            say(call, facts)
    return gzip.compress(request.SerializeToString(), 6)


def span(made: Span, trace: bytes, own: bytes, parent: bytes, name: str, start: int, took: int) -> Span:
    made.trace_id, made.span_id, made.parent_span_id, made.name = trace, own, parent, name
    made.kind, made.start_time_unix_nano, made.end_time_unix_nano = Span.SPAN_KIND_CLIENT, start, start + took
    return made


def say(target: Any, facts: dict[str, Any]) -> None:
    for key, value in facts.items():
        said = target.attributes.add(key=key).value
        if isinstance(value, int):
            said.int_value = value
        elif isinstance(value, float):
            said.double_value = value
        else:
            said.string_value = value


def message(rng: random.Random, role: str, size: int) -> str:
    words = " ".join(rng.choices(WORDS, k=size // 5))
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": words}]}])


def offer(server: Running, sent: list[bytes], progress: list[int]) -> None:
    """All bodies by SENDERS threads; raises the first refusal. `progress` counts bodies offered again."""
    left: Iterator[bytes] = iter(sent)
    lock, failed = threading.Lock(), list[BaseException]()

    def work() -> None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
            while not failed:
                with lock:
                    one = next(left, None)
                if one is None:
                    return
                while (status := post(connection, server, one)) != 200:  # noqa: PLR2004 - OTLP's only success
                    if status not in AGAIN:
                        raise SystemExit(f"the server answered {status}")
                    progress[0] += 1
                    time.sleep(0.2)
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def post(connection: http.client.HTTPConnection, server: Running, sent: bytes) -> int:
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip", **server.headers}
    try:
        connection.request("POST", server.path, sent, headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):  # the server closed the connection: an exporter offers the body again
        connection.close()
        return GONE
    return answer.status


def ask(port: int, method: str, path: str, said: Any = None, headers: dict[str, str] | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    try:
        connection.request(
            method, path, None if said is None else json.dumps(said), {"Content-Type": "application/json", **(headers or {})}
        )
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status != 200:  # noqa: PLR2004 - every question here is answered by 200
        raise ConnectionError(f"{path}: {answer.status} {text[:300]!r}")
    return json.loads(text)


def measure(server: Running, sent: list[bytes]) -> Result:
    offer(server, sent[:1], [0])
    until(server, BATCH)
    again, used = [0], processor(server.group)
    start = time.perf_counter()
    offer(server, sent[1:], again)
    acknowledged = time.perf_counter() - start
    until(server, BATCH * len(sent))
    return Result(acknowledged, time.perf_counter() - start, processor(server.group) - used, again[0])


def processor(group: int) -> float:
    """Seconds of processor time that a process group has used: what a rate says on a machine that does other things too."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            facts = stat.read_text().rpartition(")")[2].split()
            ticks += sum(map(int, facts[11:15])) if int(facts[2]) == group else 0  # own and ended children's user and system time
    return ticks / os.sysconf("SC_CLK_TCK")


def until(server: Running, wanted: int, patience: float = 3600.0) -> None:
    """Wait until the server counts `wanted` spans. Raises SystemExit where nothing has come for two minutes: what is missing is lost."""
    best, moved, end = -1, time.monotonic(), time.monotonic() + patience
    while (found := server.count()) < wanted:
        if found > best:
            best, moved = found, time.monotonic()
        if time.monotonic() > end or time.monotonic() - moved > 120:  # noqa: PLR2004
            raise SystemExit(f"{found} of {wanted} spans are stored and no more come")
        time.sleep(0.25)
    if found > wanted:
        raise SystemExit(f"{found} spans are stored; {wanted} were sent")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(command: list[str], env: dict[str, str], folder: Path, ready: Count) -> Iterator[int]:
    """The process group of a server, ended with the block."""
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | env, stdout=out, stderr=out, start_new_session=True)  # noqa: S603 - our own words
    try:
        end = time.monotonic() + 180
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException, ConnectionError):
                ready()
                break
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{command[0]} did not come up:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.25)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def governor(folder: Path, uv: str) -> Iterator[tuple[str, Running]]:  # noqa: ARG001 - the same arguments as the others
    program, home = str(Path(sys.executable).with_name("governor")), str(folder / "home")
    made = subprocess.run([program, "--home", home, "--json", "init"], check=True, capture_output=True, text=True)  # noqa: S603 - our own words
    token = json.loads(made.stdout)["token"]
    head, port = {"Authorization": f"Bearer {token}"}, free_port()

    def count() -> int:
        """The counts of every stored batch: model calls and the structure around them."""
        total, cursor = 0, ""
        while True:
            page = ask(port, "GET", f"/api/v1/batches?limit=200{cursor}", headers=head)
            total += sum(batch["stored"] + batch["other_spans"] for batch in page["items"])
            if not page.get("next"):
                return total
            cursor = "&cursor=" + page["next"]

    with started([program, "--home", home, "serve", "--port", str(port)], {}, folder, count) as group:
        yield f"Governor {metadata.version('workflow-model-governor')}", Running(port, count, group, headers=head)


@contextmanager
def phoenix(folder: Path, uv: str) -> Iterator[tuple[str, Running]]:
    place = environment("phoenix", uv)
    port = free_port()
    env = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }

    def count() -> int:
        said = ask(port, "POST", "/graphql", {"query": "{projects{edges{node{recordCount}}}}"})
        return sum(edge["node"]["recordCount"] for edge in said["data"]["projects"]["edges"])

    with started([str(place / "bin/phoenix"), "serve"], env, folder, count) as group:
        yield f"Phoenix {version_of(place, uv, PACKAGES['phoenix'])}", Running(port, count, group)


@contextmanager
def mlflow(folder: Path, uv: str) -> Iterator[tuple[str, Running]]:
    place = environment("mlflow", uv)
    port = free_port()
    question = {"experiment_ids": ["0"], "view_type": "SPANS", "metric_name": "span_count", "aggregations": [{"aggregation_type": "COUNT"}]}

    def count() -> int:
        points = ask(port, "POST", "/api/3.0/mlflow/traces/metrics", question).get("data_points", [])
        return int(sum(point["values"]["COUNT"] for point in points))

    command = [str(place / "bin/mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
    env = {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": f"{place / 'bin'}:{os.environ['PATH']}"}
    with started(command, env, folder, count) as group:
        yield f"MLflow {version_of(place, uv, PACKAGES['mlflow'])}", Running(port, count, group, headers={"x-mlflow-experiment-id": "0"})


def environment(name: str, uv: str) -> Path:
    place = (ENVIRONMENTS / name).resolve()
    if not (place / "bin" / name).exists():
        subprocess.run([uv, "venv", "-q", "--allow-existing", "--python", "3.11", str(place)], check=True)  # noqa: S603 - our own words
        subprocess.run([uv, "pip", "install", "-q", "--python", str(place / "bin/python"), PACKAGES[name]], check=True)  # noqa: S603 - our own words
    return place


def version_of(place: Path, uv: str, package: str) -> str:
    shown = subprocess.run(  # noqa: S603 - our own words
        [uv, "pip", "show", "--python", str(place / "bin/python"), package], check=True, capture_output=True, text=True
    )
    return next((line.split()[-1] for line in shown.stdout.splitlines() if line.startswith("Version")), "?")


SERVERS: Final = {"governor": governor, "phoenix": phoenix, "mlflow": mlflow}


def main() -> None:
    words = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    words.add_argument("--spans", type=int, default=20_000)
    words.add_argument("--content", type=int, default=0, help="characters of prompt a call; a quarter of that is the answer")
    words.add_argument("--uv", default="uv")
    words.add_argument("--only", nargs="*", choices=list(SERVERS), default=list(SERVERS))
    given = words.parse_args()
    sent = bodies(given.spans, given.content)
    spans = BATCH * (len(sent) - 1)
    say_line(
        f"{spans} spans in {len(sent) - 1} requests, {sum(map(len, sent[1:])) / 1e6:.1f} MB gzip, {SENDERS} senders, {os.cpu_count()} cores"
    )
    ours: Result | None = None
    for name in given.only:
        with tempfile.TemporaryDirectory(prefix="compare-") as folder, SERVERS[name](Path(folder), given.uv) as (label, server):
            found = measure(server, sent)
        ours = found if name == "governor" else ours
        say_line(
            f"{label}: stored {spans / found.stored_s:,.0f} spans/s ({found.stored_s:.1f} s), acknowledged {spans / found.acknowledged_s:,.0f} spans/s,"
            f" {found.processor_s / spans * 1000:.2f} ms of processor a span, {found.offered_again} bodies offered again; load {os.getloadavg()[0]:.1f}"
        )
        if ours is not None and ours is not found:
            times, work = found.stored_s / ours.stored_s, found.processor_s / ours.processor_s
            say_line(f"  Governor: {times:.1f} times its spans/s, {work:.1f} times less processor time")


def say_line(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
