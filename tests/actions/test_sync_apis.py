"""Pulling paged APIs over real HTTP: a small server behaves as each API does, with its pages, its silent caps, its 429s, and dies in the middle."""

from __future__ import annotations

import base64
import gzip
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from sqlmodel import select

from governor.actions.context import OPERATOR, Context
from governor.actions.sync import sync
from governor.adapters.source_door import HttpSourceDoor
from governor.errors import Invalid, Refused, Unavailable
from governor.ports import SourceRequest
from governor.store.rows.ingest import SourceCursor, SourceWindow

FIXTURES = Path(__file__).parents[1] / "connectors/fixtures"
NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
Answer = tuple[int, dict[str, str], Any]


class Api:
    """answer(path, query, body, headers) -> (status, headers, document). Everything that was asked is remembered with its verb."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any, dict[str, str]]] = []
        self.answer: Callable[[str, dict[str, str], Any, dict[str, str]], Answer] = lambda *_: (404, {}, {})
        self.before: list[Answer] = []  # answered first, whatever is asked
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append((self.command, parts.path, query, body, headers))
                status, told, document = outer.before.pop(0) if outer.before else outer.answer(parts.path, query, body, headers)
                data = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                for name, value in told.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815 - the library's names

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def encrypt(self, context: ssl.SSLContext) -> None:
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(autouse=True)
def private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNOR_ALLOW_PRIVATE_ENDPOINTS", "true")
    monkeypatch.setenv("SOURCE_KEY", "sk-source-1")


@pytest.fixture
def ctx(world: Any) -> Context:
    found: Context = world.ctx
    return found


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits here; how long it would have been is kept."""
    found: list[float] = []
    monkeypatch.setattr("governor.actions.sync.HttpSourceDoor", partial(HttpSourceDoor, sleep=found.append))
    return found


@pytest.fixture
def api(pauses: list[float]) -> Iterator[Api]:
    made = Api()
    yield made
    made.close()


def source(world: Any, connector: str, url: str, **config: Any) -> None:
    settings = {"url": url, "secret": "env:SOURCE_KEY", "since": "2026-11-01T00:00:00Z", **config}
    world.apply(f"kind: source\nid: prod\nconnector: {connector}\nconfig: {json.dumps(settings)}\n")


def stored(ctx: Context) -> list[str]:
    return sorted(ctx.lake.query("SELECT source_record_id AS id FROM lake.calls")["id"].to_pylist())


def windows(ctx: Context) -> list[SourceWindow]:
    with ctx.rows.session() as session:
        return list(session.exec(select(SourceWindow).order_by(SourceWindow.start_at)))


def cursor(ctx: Context) -> str:
    with ctx.rows.session() as session:
        found = session.get(SourceCursor, (ctx.org, "prod"))
        return found.cursor if found else ""


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def spend_rows(count: int, every: timedelta, start: datetime = NOW - timedelta(hours=20)) -> list[dict[str, Any]]:
    row = next(
        one for one in map(json.loads, (FIXTURES / "litellm_spend_logs.jsonl").read_text().splitlines()) if one["status"] == "success"
    )
    row = {name: value for name, value in row.items() if name not in {"messages", "response"}}
    made = []
    for number in range(count):
        at = (start + number * every).isoformat().replace("+00:00", "Z")
        made.append(
            row | {"request_id": f"chatcmpl-{number:07d}-abcdefghijklmnop", "startTime": at, "endTime": at, "completionStartTime": at}
        )
    return made


def spend_logs(rows: list[dict[str, Any]], *, cap: int = 10_000, pages_go_on: bool = False, most: int = 1_000) -> Callable[..., Answer]:
    """/spend/logs/v2: the count stops at the cap; with `pages_go_on` pages continue past it, as newer proxies do; `most` rows a page, once 100."""

    def answer(path: str, query: dict[str, str], _body: Any, headers: dict[str, str]) -> Answer:
        if path != "/spend/logs/v2" or headers["authorization"] != "Bearer sk-source-1":
            return 401, {}, {"error": "no"}
        if int(query["page_size"]) > most:
            return 422, {}, {"detail": [{"type": "less_than_equal", "loc": ["query", "page_size"]}]}
        low, high = moment(query["start_date"]), moment(query["end_date"])
        found = [row for row in rows if low <= moment(row["startTime"]) <= high]
        shown = found if pages_go_on else found[:cap]
        size, number = int(query["page_size"]), int(query["page"])
        data = shown[(number - 1) * size : number * size]
        return 200, {}, {"data": data, "total": min(len(found), cap), "page": number, "page_size": size}

    return answer


def test_a_proxy_that_gives_no_more_than_a_hundred_rows_a_page_is_read(ctx: Context, world: Any, api: Api) -> None:
    """So did LiteLLM up to 1.90; it refuses to be asked for more."""
    api.answer = spend_logs(spend_rows(250, timedelta(seconds=1), NOW - timedelta(hours=2)), most=100)
    source(world, "litellm", api.url)
    assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 250


def test_a_silent_cap_is_seen_and_the_window_narrowed(ctx: Context, world: Any, api: Api) -> None:
    """12,500 calls within 50 minutes, of which the proxy shows 10,000 in one question."""
    rows = spend_rows(12_500, timedelta(milliseconds=240))
    api.answer = spend_logs(rows)
    source(world, "litellm", api.url)
    counts = sync(ctx, OPERATOR, "prod")["prod"]
    assert counts["stored"] == 12_500
    assert stored(ctx) == sorted(row["request_id"] for row in rows)
    assert not [one for one in windows(ctx) if one.hole]
    assert sum(one.read for one in windows(ctx)) >= 12_500
    assert all(one.said == one.read for one in windows(ctx))
    assert any(one.end_at - one.start_at < timedelta(hours=1) for one in windows(ctx))
    assert moment(cursor(ctx)) == ctx.now().replace(microsecond=0)
    assert {verb for verb, *_ in api.asked} == {"GET"}


def test_a_window_that_cannot_be_narrowed_is_a_hole(ctx: Context, world: Any, api: Api) -> None:
    """More calls in one second than the proxy ever shows: what can be read is stored, the rest is on record as missing."""
    rows = spend_rows(60, timedelta(milliseconds=1), NOW - timedelta(hours=3))
    import connectors.pulls.litellm as reader

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "PAGE", 10)
        patch.setattr(reader._SpendLogs, "__init__", small_cap(reader._SpendLogs.__init__, cap=20, page_rows=10))
        api.answer = spend_logs(rows, cap=20)
        source(world, "litellm", api.url)
        assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 20
        [hole] = [one for one in windows(ctx) if one.hole]
        assert (hole.read, hole.said) == (20, None)
        assert "20" in hole.hole
        assert hole.end_at - hole.start_at == timedelta(seconds=1)
        assert moment(cursor(ctx)) > hole.end_at  # it goes on behind the hole
        api.answer = spend_logs(rows, cap=20, pages_go_on=True)
        assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 0  # the overlap of two hours does not reach it
        source(world, "litellm", api.url, overlap_seconds=20_000)
        assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 40
        assert not [one for one in windows(ctx) if one.hole]


def small_cap(real: Any, **values: Any) -> Any:
    def made(self: Any, options: Any) -> None:
        real(self, options, **values)

    return made


def test_a_crash_in_the_middle_goes_on_from_the_committed_page(ctx: Context, world: Any, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = spend_rows(4_000, timedelta(milliseconds=800))
    inner = spend_logs(rows)
    monkeypatch.setattr("connectors.paging.HELD_ROWS", 1_000)
    monkeypatch.setattr("connectors.pulls.litellm.PAGE", 1_000)
    api.answer = lambda path, query, body, headers: (500, {}, {}) if query["page"] == "3" else inner(path, query, body, headers)
    source(world, "litellm", api.url)
    with pytest.raises(Unavailable, match="answered 500, 6 times"):
        sync(ctx, OPERATOR, "prod")
    assert len(stored(ctx)) == 2_000
    assert json.loads(cursor(ctx))["token"] == "3"
    api.answer, api.asked = inner, []
    assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 2_000
    assert api.asked[0][2]["page"] == "3"
    assert stored(ctx) == sorted(row["request_id"] for row in rows)
    assert sum(one.read for one in windows(ctx)) == 4_000


def test_what_came_late_before_a_crash_is_read_after_it(ctx: Context, world: Any, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The windows before the one that broke off were read with it; the next run begins a day later, far from its own overlap."""
    rows = spend_rows(5_200, timedelta(seconds=2), NOW - timedelta(hours=3))
    late = {rows[3_000]["request_id"], rows[3_700]["request_id"]}  # in the window before, and on a page that was passed
    early = spend_logs([row for row in rows if row["request_id"] not in late])
    monkeypatch.setattr("connectors.paging.HELD_ROWS", 1_000)
    monkeypatch.setattr("connectors.pulls.litellm.PAGE", 500)

    def dying(path: str, query: dict[str, str], body: Any, headers: dict[str, str]) -> Answer:
        dies = query["page"] == "3" and moment(query["start_date"]) == NOW - timedelta(hours=1)
        return (500, {}, {}) if dies else early(path, query, body, headers)

    api.answer = dying
    source(world, "litellm", api.url, since=(NOW - timedelta(hours=3)).isoformat())
    with pytest.raises(Unavailable, match="answered 500, 6 times"):
        sync(ctx, OPERATOR, "prod")
    assert json.loads(cursor(ctx))["token"] == "3"
    api.answer = spend_logs(rows)
    world.later(days=1)
    sync(ctx, OPERATOR, "prod")
    assert len(stored(ctx)) == 5_200


def test_late_rows_come_with_the_overlap(ctx: Context, world: Any, api: Api) -> None:
    rows = spend_rows(50, timedelta(minutes=1), NOW - timedelta(hours=1))
    api.answer = spend_logs(rows[:20] + rows[21:])
    source(world, "litellm", api.url)
    assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 49
    api.answer = spend_logs(rows)
    world.later(minutes=5)
    counts = sync(ctx, OPERATOR, "prod")["prod"]
    assert (counts["stored"], counts["conflicts"]) == (1, 0)
    assert counts["duplicates"] >= 49


def test_a_certificate_that_nobody_trusts_is_said_at_once(ctx: Context, world: Any, api: Api, pauses: list[float], tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1)).sign(key, SHA256())
    pem = tmp_path / "server.pem"
    shape = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(key.private_bytes(serialization.Encoding.PEM, *shape) + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    api.encrypt(context)
    source(world, "litellm", api.url.replace("http:", "https:"))
    with pytest.raises(Invalid, match="certificate is not trusted: self-signed certificate") as found:
        sync(ctx, OPERATOR, "prod")
    assert "SSL_CERT_FILE" in found.value.hint
    assert pauses == []


def test_a_busy_source_is_given_the_time_it_asks_for(ctx: Context, world: Any, api: Api, pauses: list[float]) -> None:
    rows = spend_rows(5, timedelta(minutes=1), NOW - timedelta(hours=1))
    api.answer = spend_logs(rows)
    date = (ctx.now() + timedelta(seconds=40)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    api.before = [(429, {"Retry-After": "7"}, {}), (503, {"Retry-After": date}, {}), (429, {"Retry-After": "99999"}, {}), (502, {}, {})]
    source(world, "litellm", api.url)
    assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 5
    assert pauses[0] == 7
    assert 38 <= pauses[1] <= 41
    assert pauses[2] == 120  # no pause is longer than two minutes
    assert pauses[3] == 8


def test_a_refused_key_an_other_answer_and_a_redirect_are_no_empty_window(ctx: Context, world: Any, api: Api) -> None:
    source(world, "litellm", api.url)
    for answer, error, words in (
        ((401, {}, {}), Invalid, "answered 401"),
        ((200, {}, b"<html>sign in</html>"), Unavailable, "no JSON"),
        ((200, {}, {"data": {}}), Unavailable, "no list at `data`"),
        ((302, {"Location": "http://169.254.169.254/"}, {}), Invalid, "answered 302"),
    ):
        api.answer = lambda *_, answer=answer: answer
        with pytest.raises(error, match=words) as failure:
            sync(ctx, OPERATOR, "prod")
        assert "sk-source-1" not in str(failure.value)
        assert cursor(ctx) == ""
        assert windows(ctx) == []


def test_the_second_version_of_langsmiths_query(ctx: Context, world: Any, api: Api) -> None:
    """It answers no more of a run than what is named, in its own spelling."""
    runs = [run for run in unfolded("langsmith_runs.jsonl", "runs") if run["run_type"] in ("llm", "embedding")]

    def answer(path: str, _query: dict[str, str], body: Any, _headers: dict[str, str]) -> Answer:
        assert (path, body["project_ids"], "session" in body) == ("/api/v2/runs/query", ["proj-1"], False)
        found = between(runs, "start_time", body["min_start_time"], body["max_start_time"])
        at = int(body.get("cursor", 0))
        shown = [{name: value for name, value in run.items() if name.upper() in body["selects"]} for run in found[at : at + 1]]
        items = [
            one | {"run_type": run["run_type"].upper(), "project_id": "proj-1"} for one, run in zip(shown, found[at : at + 1], strict=True)
        ]
        return 200, {}, {"items": items} | ({"next_cursor": str(at + 1)} if at + 1 < len(found) else {})

    api.answer = answer
    source(world, "langsmith", api.url, sessions=["proj-1"], api="v2")
    sync(ctx, OPERATOR, "prod")
    assert stored(ctx) == sorted({run["id"] for run in runs})
    rows = ctx.lake.query("SELECT source_record_id AS id, input_tokens AS tokens FROM lake.calls").to_pylist()
    assert {row["id"]: row["tokens"] for row in rows}[runs[0]["id"]] == runs[0]["prompt_tokens"]
    source(world, "langsmith", api.url, sessions=["proj-1"], api="v3")
    with pytest.raises(Invalid, match="'v3' is no LangSmith API"):
        sync(ctx, OPERATOR, "prod")


@pytest.mark.parametrize(
    ("connector", "answer"),
    [
        ("langsmith", {"runs": [], "cursors": "none"}),
        ("portkey", {"data": [1]}),
        ("portkey", {"data": [{"status": "success", "id": "e-1"}]}),
        ("openrouter", {"data": [{"date": "9999-12-31", "requests": 1}]}),
    ],
)
def test_an_answer_of_another_shape_is_no_traceback_and_keeps_no_other_source(
    ctx: Context, world: Any, api: Api, connector: str, answer: Any
) -> None:
    spend = spend_logs(spend_rows(3, timedelta(minutes=1), NOW - timedelta(hours=1)))
    api.answer = lambda path, *rest: spend(path, *rest) if path == "/spend/logs/v2" else (200, {}, answer)
    source(world, connector, api.url, sessions=["proj-1"])
    settings = {"url": api.url, "secret": "env:SOURCE_KEY", "since": "2026-11-01T00:00:00Z"}
    world.apply(f"kind: source\nid: proxy\nconnector: litellm\nconfig: {json.dumps(settings)}\n")
    with pytest.raises(Unavailable, match=f"prod: {connector} gave an answer that cannot be read .*proxy stored 3 of 3"):
        sync(ctx, OPERATOR)


def test_the_door_says_nothing_but_reads_and_keeps_the_key_at_home(api: Api) -> None:
    api.answer = lambda *_: (200, {}, {})
    with HttpSourceDoor(allow_private=True) as door:
        for path in (
            "/v1/logs/exports",
            "/v1/logs/exports/1/start",
            "/key/generate",
            "/v1/request/query-clickhouse/x",
            "/api/v1/runs",
            "/runs/queryx",
        ):
            with pytest.raises(Refused, match="no documented query"):
                door.ask(SourceRequest(api.url + path, body={}))
        assert api.asked == []
        door.ask(SourceRequest(api.url + "/api/v1/runs/query", body={"limit": 1}, headers={"x-api-key": "k"}))
        door.ask(SourceRequest(api.url + "/any"))
        other = Api()
        with pytest.raises(Refused, match="configured host"):
            door.ask(SourceRequest(other.url, headers={"x-api-key": "k"}))
        other.close()
        assert other.asked == []
    assert [verb for verb, *_ in api.asked] == ["POST", "GET"]
    with HttpSourceDoor(allow_private=False) as door:
        for url in (
            "http://127.0.0.1:9/x",
            "https://127.0.0.1/x",
            "https://169.254.169.254/latest",
            "https://localhost/x",
            "file:///etc/passwd",
        ):
            with pytest.raises((Refused, Invalid)):
                door.ask(SourceRequest(url))
    with HttpSourceDoor(allow_private=True, max_bytes=1000) as door:
        api.answer = lambda *_: (200, {}, b"x" * 2000)
        with pytest.raises(Invalid, match="more than"):
            door.ask(SourceRequest(api.url))


def unfolded(name: str, listed: str) -> list[dict[str, Any]]:
    """Records of a fixture, out of its pages; moved to the day before the clock of these tests."""
    rows: list[dict[str, Any]] = []
    for line in (FIXTURES / name).read_text().splitlines():
        found = json.loads(line)
        rows += found[listed] if isinstance(found.get(listed), list) else [found]
    return json.loads(re.sub(r"2026-1[01]-\d\d", "2026-11-01", json.dumps(rows)))


def between(rows: list[dict[str, Any]], field: str, low: str, high: str, *, inclusive: bool = False) -> list[dict[str, Any]]:
    first, last = moment(low), moment(high)
    return [row for row in rows if first <= moment(row[field]) < last or (inclusive and moment(row[field]) == last)]


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_langfuse_by_cursor_and_by_pages_with_traces(ctx: Context, world: Any, api: Api, version: str) -> None:
    rows = unfolded("langfuse_api.jsonl", "data")
    calls = [row for row in rows if row["type"] in ("GENERATION", "EMBEDDING")]
    assert len(calls) > 2
    key = "Basic " + base64.b64encode(b"pk-lf-1:sk-source-1").decode()

    def answer(path: str, query: dict[str, str], _body: Any, headers: dict[str, str]) -> Answer:
        assert headers["authorization"] == key
        if path == "/api/public/v2/observations":
            found = between(rows, "startTime", query["fromStartTime"], query["toStartTime"])
            at = int(base64.b64decode(query["cursor"])) if "cursor" in query else 0
            following = base64.b64encode(str(at + 2).encode()).decode() if at + 2 < len(found) else None
            return 200, {}, {"data": found[at : at + 2], "meta": {"cursor": following}}
        number = int(query["page"])
        if path == "/api/public/observations":
            found = [
                {name: value for name, value in row.items() if name not in ("userId", "sessionId", "traceName", "tags")}
                for row in between(rows, "startTime", query["fromStartTime"], query["toStartTime"])
            ]
        else:
            assert path == "/api/public/traces"
            ids = sorted({row["traceId"] for row in rows})
            found = [{"id": one, "userId": "u-7", "sessionId": f"s-{one[-2:]}", "name": "sort-claims", "tags": ["north"]} for one in ids]
        meta = {"page": number, "limit": 2, "totalItems": len(found), "totalPages": -(-len(found) // 2)}
        return 200, {}, {"data": found[(number - 1) * 2 : number * 2], "meta": meta}

    api.answer = answer
    source(world, "langfuse", api.url, user="pk-lf-1", api=version)
    assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == len({row["id"] for row in calls})
    assert {verb for verb, *_ in api.asked} == {"GET"}
    assert sum(one.read for one in windows(ctx)) == len(rows)
    if version == "v2":
        assert all(one.said is None for one in windows(ctx))
        return
    assert sum(one.said or 0 for one in windows(ctx)) == len(rows)
    users = ctx.lake.query("SELECT DISTINCT end_user_id AS who, workflow_id AS workflow FROM lake.calls").to_pylist()
    assert users == [{"who": "u-7", "workflow": "sort-claims"}]


def test_helicone_narrows_before_its_offset_ends(ctx: Context, world: Any, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    template = unfolded("helicone_requests.jsonl", "data")[0]
    start = datetime(2026, 11, 1, 8, tzinfo=UTC)
    rows = [
        template
        | {"request_id": f"5b0c0000-aaaa-4bbb-8ccc-{number:012d}", "request_created_at": (start + timedelta(seconds=number)).isoformat()}
        for number in range(50)
    ]
    import connectors.pulls.helicone as reader

    monkeypatch.setattr(reader, "PAGE", 10)
    monkeypatch.setattr(reader._Requests, "__init__", small_cap(reader._Requests.__init__, cap=30, page_rows=10))

    def answer(path: str, _query: dict[str, str], body: Any, headers: dict[str, str]) -> Answer:
        assert (path, headers["authorization"]) == ("/v1/request/query-clickhouse", "Bearer sk-source-1")
        assert body["offset"] + body["limit"] <= 30  # past it the API answers an error
        low = body["filter"]["left"]["request_response_rmt"]["request_created_at"]["gte"]
        high = body["filter"]["right"]["request_response_rmt"]["request_created_at"]["lt"]
        found = between(rows, "request_created_at", low, high)
        return 200, {}, {"data": found[body["offset"] : body["offset"] + body["limit"]], "error": None}

    api.answer = answer
    source(world, "helicone", api.url)
    assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 50
    assert {verb for verb, *_ in api.asked} == {"POST"}
    assert not [one for one in windows(ctx) if one.hole]


def test_a_langfuse_without_version_2_is_told_what_to_write(ctx: Context, world: Any, api: Api) -> None:
    source(world, "langfuse", api.url, user="pk-lf-1")
    with pytest.raises(Invalid, match="it answered 404") as found:
        sync(ctx, OPERATOR, "prod")
    assert "`api: v1`" in found.value.hint


def test_a_page_too_large_to_be_taken_is_asked_for_in_narrower_windows(
    ctx: Context, world: Any, api: Api, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand long prompts are one page; whoever runs the pull cannot make it smaller."""
    monkeypatch.setattr("governor.actions.sync.HttpSourceDoor", partial(HttpSourceDoor, sleep=pauses.append, max_bytes=40_000))
    api.answer = helicone(helicone_rows(100, timedelta(seconds=20)))
    source(world, "helicone", api.url)
    assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 100
    assert not [one for one in windows(ctx) if one.hole]


def helicone_rows(count: int, apart: timedelta, start: datetime = NOW - timedelta(minutes=50)) -> list[dict[str, Any]]:
    template = unfolded("helicone_requests.jsonl", "data")[0]
    times = [(start + number * apart).isoformat() for number in range(count)]
    return [
        template | {"request_id": f"5b0c0000-aaaa-4bbb-8ccc-{number:012d}", "request_created_at": at} for number, at in enumerate(times)
    ]


def helicone(rows: list[dict[str, Any]], order: Callable[[list[dict[str, Any]], int], None] = lambda *_: None) -> Callable[..., Answer]:
    """Times of a question are cut to the second; `order` is that of rows of one instant, page by page."""

    def answer(_path: str, _query: dict[str, str], body: Any, _headers: dict[str, str]) -> Answer:
        sides = (("left", "gte"), ("right", "lt"))
        low, high = (
            body["filter"][side]["request_response_rmt"]["request_created_at"][word].partition(".")[0].rstrip("Z") for side, word in sides
        )
        found = between(rows, "request_created_at", low, high)
        order(found, body["offset"])
        return 200, {}, {"data": found[body["offset"] : body["offset"] + body["limit"]], "error": None}

    return answer


def test_a_source_that_cuts_times_to_the_second_is_asked_for_no_less(ctx: Context, world: Any, api: Api) -> None:
    """2,000 requests in one second are a round number; half a second of them was an empty answer, and the window whole."""
    api.answer = helicone(helicone_rows(2_000, timedelta(microseconds=400)))
    source(world, "helicone", api.url)
    assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 2_000
    [hole] = [one for one in windows(ctx) if one.hole]
    assert (hole.end_at - hole.start_at, hole.read) == (timedelta(seconds=1), 2_000)


def test_rows_of_one_instant_that_change_places_between_pages_are_not_lost(ctx: Context, world: Any, api: Api) -> None:
    rows = helicone_rows(1_300, timedelta(seconds=2))
    rows[1_000]["request_created_at"] = rows[999]["request_created_at"]

    def order(found: list[dict[str, Any]], offset: int) -> None:
        if offset and len(found) > 1_000:
            found[999], found[1_000] = found[1_000], found[999]

    api.answer = helicone(rows, order)
    source(world, "helicone", api.url)
    sync(ctx, OPERATOR, "prod")
    assert len(stored(ctx)) == 1_300
    assert not [one for one in windows(ctx) if one.hole]


def test_langsmith_by_cursor_begins_a_window_again_when_its_cursor_is_forgotten(
    ctx: Context, world: Any, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [run for run in unfolded("langsmith_runs.jsonl", "runs") if run["run_type"] in ("llm", "embedding")]
    known = {"tokens": True}

    def answer(path: str, _query: dict[str, str], body: Any, headers: dict[str, str]) -> Answer:
        assert (path, headers["x-api-key"], body["session"]) == ("/api/v1/runs/query", "sk-source-1", ["proj-1"])
        low, high = [part.split('"')[1] for part in body["filter"].split("start_time, ")[1:]]
        found = between(runs, "start_time", low, high)
        if "cursor" in body and not known["tokens"]:
            return 422, {}, {"detail": "cursor expired"}
        at = int(body.get("cursor", 0))
        if at == 2 and known.pop("crash", None):
            return 403, {}, {}
        return 200, {}, {"runs": found[at : at + 2], "cursors": {"next": str(at + 2) if at + 2 < len(found) else None}}

    api.answer = answer
    monkeypatch.setattr("connectors.paging.HELD_ROWS", 1)
    source(world, "langsmith", api.url, sessions=["proj-1"])
    known["crash"] = True
    with pytest.raises(Invalid, match="answered 403"):
        sync(ctx, OPERATOR, "prod")
    assert json.loads(cursor(ctx))["token"] == "2"
    known["tokens"] = False
    with pytest.raises(Invalid, match="answered 422"):  # the window began again, and its own second page is refused too
        sync(ctx, OPERATOR, "prod")
    known["tokens"] = True
    sync(ctx, OPERATOR, "prod")
    assert stored(ctx) == sorted({run["id"] for run in runs})


@pytest.mark.parametrize(
    ("connector", "answer"),
    [
        ("langsmith", {"runs": unfolded("langsmith_runs.jsonl", "runs"), "cursors": {"next": "same"}}),
        ("fal", {"billing_events": unfolded("fal_billing_events.jsonl", "billing_events"), "next_cursor": "same"}),
        ("cloudflare", {"result": unfolded("cloudflare_logs.jsonl", "result")[:1] * 50, "result_info": {"total_count": 120}}),
        ("braintrust", {"events": unfolded("braintrust_project_logs.jsonl", "events"), "cursor": "same"}),
    ],
)
def test_pages_that_repeat_end_the_pull(ctx: Context, world: Any, api: Api, connector: str, answer: Any) -> None:
    """A cursor that does not move on, or a proxy that drops `page` from the address: asked for ever otherwise."""
    api.answer = lambda *_: (200, {}, answer) if len(api.asked) < 5 else (418, {}, {})
    source(world, connector, api.url, sessions=["proj-1"], account="acc", gateway="gw", project="p")
    with pytest.raises(Unavailable, match="gave the same page"):
        sync(ctx, OPERATOR, "prod")
    assert not windows(ctx)


def test_a_last_page_that_comes_again_is_the_end_where_the_source_counts(ctx: Context, world: Any, api: Api) -> None:
    template = unfolded("cloudflare_logs.jsonl", "result")[0]
    rows = [template | {"id": f"01K9CLOUDFLARE{number:08d}", "created_at": "2026-11-02T08:00:00Z"} for number in range(100)]

    def answer(_path: str, query: dict[str, str], _body: Any, _headers: dict[str, str]) -> Answer:
        found = between(rows, "created_at", query["start_date"], query["end_date"])
        place = min(int(query["page"]) - 1, max(0, len(found) // 50 - 1))
        return 200, {}, {"result": found[place * 50 : place * 50 + 50], "result_info": {"total_count": len(found)}}

    api.answer = answer
    source(world, "cloudflare", api.url, account="acc", gateway="gw")
    assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 100
    assert not [one for one in windows(ctx) if one.hole]


def cloudflare_rows(count: int, *, apart: timedelta) -> list[dict[str, Any]]:
    template = unfolded("cloudflare_logs.jsonl", "result")[0]
    start = datetime(2026, 11, 1, 9, tzinfo=UTC)
    times = [(start + number * apart).isoformat().replace("+00:00", "Z") for number in range(count)]
    return [template | {"id": f"01K9CLOUDFLARE{number:08d}", "created_at": at} for number, at in enumerate(times)]


def test_cloudflare_by_pages_with_its_own_count(ctx: Context, world: Any, api: Api) -> None:
    rows = cloudflare_rows(120, apart=timedelta(seconds=1))

    def answer(path: str, query: dict[str, str], _body: Any, _headers: dict[str, str]) -> Answer:
        assert path == "/accounts/acc-1/ai-gateway/gateways/prod/logs"
        found = between(rows, "created_at", query["start_date"], query["end_date"], inclusive=True)
        size, number = int(query["per_page"]), int(query["page"])
        page = found[(number - 1) * size : number * size]
        return 200, {}, {"success": True, "result": page, "result_info": {"page": number, "total_count": len(found)}}

    api.answer = answer
    source(world, "cloudflare", api.url, account="acc-1", gateway="prod")
    assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 120
    assert sum(one.said or 0 for one in windows(ctx)) == 120


def test_a_count_that_is_of_no_window_is_left_out(ctx: Context, world: Any, api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """It never agrees with the rows: each window was narrowed down to seconds, and each second was a hole."""
    rows = cloudflare_rows(120, apart=timedelta(minutes=1))

    def answer(_path: str, query: dict[str, str], _body: Any, _headers: dict[str, str]) -> Answer:
        found = between(rows, "created_at", query["start_date"], query["end_date"])
        number = int(query["page"])
        return 200, {}, {"result": found[(number - 1) * 50 : number * 50], "result_info": {"total_count": len(rows)}}

    api.answer = answer
    source(world, "cloudflare", api.url, account="acc-1", gateway="prod")
    assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 120
    assert len(api.asked) < 40
    assert not [one for one in windows(ctx) if one.hole or one.said is not None]
    assert "cloudflare:logs counts 120 rows whatever window it is asked for: its count is left out" in caplog.text


def test_rows_that_are_deleted_while_pages_are_read_hide_no_others(ctx: Context, world: Any, api: Api) -> None:
    """The oldest go when the store of logs is full: what stood on the third page then stands on the second."""
    rows = cloudflare_rows(150, apart=timedelta(seconds=20))
    kept = rows

    def answer(_path: str, query: dict[str, str], _body: Any, _headers: dict[str, str]) -> Answer:
        nonlocal kept
        found = between(kept, "created_at", query["start_date"], query["end_date"])
        number = int(query["page"])
        if found and number == 1:
            kept = rows[50:]
        return 200, {}, {"result": found[(number - 1) * 50 : number * 50], "result_info": {"total_count": len(found)}}

    api.answer = answer
    source(world, "cloudflare", api.url, account="acc-1", gateway="prod")
    sync(ctx, OPERATOR, "prod")
    assert {row["id"] for row in rows[50:]} <= set(stored(ctx))


@pytest.mark.parametrize(
    ("connector", "answer"),
    [
        ("cloudflare", {"result": [5, None], "result_info": {"total_count": 2}}),
        ("braintrust", {"events": [5, None]}),
        ("langfuse", {"data": [5, None], "meta": {"totalItems": 2, "totalPages": 1}}),
    ],
)
def test_a_row_that_is_no_object_is_in_quarantine(ctx: Context, world: Any, api: Api, connector: str, answer: Any) -> None:
    api.answer = lambda path, *_: (200, {}, {"data": [], "meta": {}} if path.endswith("traces") else answer)
    settings = {
        "account": "a",
        "gateway": "g",
        "project": "p",
        "user": "pk",
        "api": "v1",
        "since": "2026-11-02T08:00:00Z",
        "overlap_seconds": 0,
    }
    source(world, connector, api.url, **settings)
    counts = sync(ctx, OPERATOR, "prod")["prod"]
    assert counts["read"] == counts["quarantined"] >= 2
    assert {row["reason"].partition(":")[0] for row in ctx.lake.quarantine()} == {"not_an_object"}


@pytest.mark.parametrize(
    ("connector", "fixture", "listed"),
    [
        ("braintrust", "braintrust_project_logs.jsonl", "events"),
        ("cloudflare", "cloudflare_logs.jsonl", "result"),
        ("fal", "fal_billing_events.jsonl", "billing_events"),
        ("helicone", "helicone_requests.jsonl", "data"),
        ("langfuse", "langfuse_api.jsonl", "data"),
        ("langsmith", "langsmith_runs.jsonl", "runs"),
        ("litellm", "litellm_spend_logs.jsonl", "data"),
    ],
)
def test_text_that_a_source_cut_within_a_sign_does_not_end_the_pull(
    ctx: Context, world: Any, api: Api, connector: str, fixture: str, listed: str
) -> None:
    rows = [row | {"note": "half a sign \ud83d"} for row in unfolded(fixture, listed)]
    api.answer = lambda *_: (200, {}, {listed: rows})
    settings = {"account": "a", "gateway": "g", "project": "p", "user": "pk", "sessions": ["s"], "since": "2026-11-02T08:00:00Z"}
    source(world, connector, api.url, **settings)
    sync(ctx, OPERATOR, "prod")
    assert stored(ctx)
    assert not [row["reason"] for row in ctx.lake.quarantine() if row["reason"].startswith("invalid_json")]


def test_braintrust_walks_back_to_what_it_knows(ctx: Context, world: Any, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    template = next(row for row in unfolded("braintrust_project_logs.jsonl", "events") if row["span_attributes"].get("type") == "llm")

    def xact(at: datetime, number: int) -> str:
        return str((0x0DE1 << 48) | (int(at.timestamp()) << 16) | number)

    start = datetime(2026, 11, 1, 9, tzinfo=UTC)
    rows = [
        template
        | {"id": f"row-{number:04d}", "span_id": f"row-{number:04d}", "_xact_id": xact(start + timedelta(minutes=number), number)}
        | {"metrics": template["metrics"] | {"start": (start + timedelta(minutes=number)).timestamp(), "end": None}}
        for number in range(600)
    ]

    def answer(path: str, query: dict[str, str], _body: Any, headers: dict[str, str]) -> Answer:
        assert (path, headers["authorization"]) == ("/v1/project_logs/proj-1/fetch", "Bearer sk-source-1")
        newest = rows[::-1]
        at, size = int(query.get("cursor", 0)), min(int(query["limit"]), 100)
        page = newest[at : at + size]
        return 200, {}, {"events": page, "cursor": str(at + size) if page else None}

    api.answer = answer
    source(world, "braintrust", api.url, project="proj-1")
    shown, rows = rows, rows[:500]
    assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == 500
    rows, api.asked = shown, []
    counts = sync(ctx, OPERATOR, "prod")["prod"]
    assert (counts["stored"], counts["conflicts"]) == (100, 0)
    assert len(api.asked) <= 4  # 100 new ones, two hours of overlap, and the page that ends the walk


def test_openrouter_tells_its_own_count_of_each_day(ctx: Context, world: Any, api: Api) -> None:
    days = [{"date": f"2026-10-{day:02d} 00:00:00", "model": model, "requests": 10 * day} for day in (30, 31) for model in ("a", "b")]
    api.answer = lambda path, *_: (200, {}, {"data": days}) if path == "/api/v1/activity" else (404, {}, {})
    source(world, "openrouter", api.url)
    assert sync(ctx, OPERATOR, "prod")["prod"]["read"] == 0
    assert [(one.start_at.day, one.said, one.read) for one in windows(ctx)] == [(30, 600, 0), (31, 620, 0)]


@pytest.mark.parametrize("requests", ["-5", "1e300", "NaN", "true", '"7"', "null", "1.5"])
def test_a_day_of_openrouter_whose_requests_are_no_count_ends_the_pull(ctx: Context, world: Any, api: Api, requests: str) -> None:
    api.answer = lambda *_: (200, {}, b'{"data": [{"date": "2026-10-30", "requests": %s}]}' % requests.encode())
    source(world, "openrouter", api.url)
    with pytest.raises(Unavailable, match="no number of `requests` from 0 up"):
        sync(ctx, OPERATOR, "prod")
    assert windows(ctx) == []


def test_a_count_that_no_source_can_have_is_none(ctx: Context, world: Any, api: Api) -> None:
    api.answer = lambda *_: (200, {}, {"result": [], "result_info": {"total_count": 10**30}})
    source(world, "cloudflare", api.url, account="acc-1", gateway="prod")
    sync(ctx, OPERATOR, "prod")
    assert {one.said for one in windows(ctx)} == {None}


@pytest.mark.parametrize("paged", [True, False])
def test_portkey_downloads_what_is_ready_and_starts_nothing(
    ctx: Context, world: Any, api: Api, monkeypatch: pytest.MonkeyPatch, paged: bool
) -> None:
    lines = (FIXTURES / "portkey_export.jsonl").read_bytes()
    monkeypatch.setattr("connectors.pulls.portkey.MOST", 50_000 if paged else lines.count(b"\n"))
    store = Api()
    store.answer = lambda _path, query, *_: (200, {}, gzip.compress(lines)) if query.get("signature") == "s" else (403, {}, {})
    window = {
        "time_of_generation_min": "2026-10-01T00:00:00Z",
        "time_of_generation_max": "2026-10-02T00:00:00Z",
    } | ({"page_size": lines.count(b"\n")} if paged else {})
    exports = [
        {"id": "e1", "status": "success", "last_updated_at": "2026-11-01T10:00:00Z", "filters": window},
        {"id": "e2", "status": "in_progress", "last_updated_at": "2026-11-01T11:00:00Z", "filters": {}},
    ]

    def answer(path: str, _query: dict[str, str], _body: Any, headers: dict[str, str]) -> Answer:
        assert headers["x-portkey-api-key"] == "sk-source-1"
        if path == "/v1/logs/exports":
            return 200, {}, {"object": "list", "data": exports}
        assert path == "/v1/logs/exports/e1/download"
        return 200, {}, {"signed_url": f"{store.url}/export.jsonl?signature=s"}

    api.answer = answer
    source(world, "portkey", f"{api.url}/v1")
    assert sync(ctx, OPERATOR, "prod")["prod"]["stored"] == lines.count(b"\n")
    store.close()
    assert {verb for verb, *_ in api.asked + store.asked} == {"GET"}
    assert "x-portkey-api-key" not in store.asked[0][4]
    [seen] = windows(ctx)
    assert "page size" in seen.hole


def test_fal_by_cursor(ctx: Context, world: Any, api: Api) -> None:
    events = unfolded("fal_billing_events.jsonl", "billing_events")

    def answer(path: str, query: dict[str, str], _body: Any, headers: dict[str, str]) -> Answer:
        assert (path, headers["authorization"]) == ("/v1/models/billing-events", "Key sk-source-1")
        found = between(events, "timestamp", query["start"], query["end"])
        at = int(query.get("cursor", 0))
        following = str(at + 1) if at + 1 < len(found) else None
        return 200, {}, {"billing_events": found[at : at + 1], "next_cursor": following, "has_more": following is not None}

    api.answer = answer
    source(world, "fal", api.url)
    sync(ctx, OPERATOR, "prod")
    assert len(stored(ctx)) == len({event["request_id"] for event in events})
