"""Push receivers: what a gateway sends is stored once, safely, with the same totals as the same bytes in a file."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from governor.actions import push as pushing
from governor.actions.drain import drain_spool
from governor.actions.ingest import ingest
from governor.actions.spool import folder_of
from governor.api.bodies import unpack
from governor.errors import TooLarge
from governor.store.lake_lock import ingest_lock

FIXTURES = Path(__file__).parents[1] / "connectors/fixtures"
CAPTURES = Path(__file__).parents[2] / "../shared/data/captures"
MONTH = "2026-11"
PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
COUNTS = ("read", "stored", "duplicates", "conflicts", "quarantined", "other_spans")


def counts(answer: Any) -> dict[str, int]:
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["read"] == sum(said[name] for name in ("stored", "duplicates", "conflicts", "quarantined"))
    return {name: said[name] for name in COUNTS}


def used(door: Any) -> Any:
    return door.get("/api/v1/usage", params={"period": MONTH, "by": "provider,model,status"}).json()["rows"]


def as_array(path: Path) -> bytes:
    return json.dumps([json.loads(line) for line in path.read_text().splitlines() if line.strip()]).encode()


@pytest.fixture
def fresh(open_door: Any, tmp_path: Path) -> Any:
    with open_door(tmp_path / "pushed") as door:
        yield door


@pytest.fixture
def read_from_files(open_door: Any, tmp_path: Path) -> Any:
    """What usage says after reading files the ordinary way, in another home."""

    def run(connector: str, *files: Path) -> Any:
        with open_door(tmp_path / f"files-{connector}") as door:
            ingest(door.ctx, door.admin, connector, [str(file) for file in files])
            return used(door)

    return run


def test_litellm_bodies_give_the_totals_of_the_file(fresh: Any, read_from_files: Any) -> None:
    path = FIXTURES / "litellm_generic_api.jsonl"
    expected = read_from_files("litellm", path)
    assert expected
    whole = as_array(path)
    first = counts(fresh.post("/ingest/litellm", scope="ingest:litellm", content=whole, headers=JSON))
    assert first["stored"] == first["read"] == len(json.loads(whole))
    assert used(fresh) == expected
    for body, headers in (
        (whole, JSON),
        (path.read_bytes(), {"Content-Type": "application/x-ndjson"}),
        (gzip.compress(whole), JSON | {"Content-Encoding": "gzip"}),
        (zstandard.compress(whole), JSON | {"Content-Encoding": "zstd"}),
        (gzip.compress(whole), {}),
    ):
        again = counts(fresh.post("/ingest/litellm", scope="ingest:litellm", content=body, headers=headers))
        assert again["duplicates"] == again["read"] == first["read"]
    assert used(fresh) == expected


def test_one_record_a_body_gives_the_same_totals(fresh: Any, read_from_files: Any) -> None:
    path = FIXTURES / "litellm_generic_api.jsonl"
    for line in path.read_bytes().splitlines()[:12]:
        assert counts(fresh.post("/ingest/litellm", content=line, headers=JSON))["stored"] == 1
    batches = fresh.get("/api/v1/batches").json()["items"]
    assert len(batches) == 12
    assert {batch["source"] for batch in batches} == {"litellm"}


@pytest.mark.parametrize("name", ["otlp_litellm.pb", "otlp_genai.json", "otlp_openinference.json", "otlp_traceloop.json"])
def test_traces_in_both_encodings_give_the_totals_of_the_file(fresh: Any, read_from_files: Any, name: str) -> None:
    path = FIXTURES / name
    expected = read_from_files("otlp", path)
    assert expected
    if name.endswith(".pb"):
        request = ExportTraceServiceRequest.FromString(path.read_bytes())
        body, headers = request.SerializeToString(), PROTOBUF
        other, others = MessageToJson(request).encode(), JSON
    else:
        body, headers = path.read_bytes(), JSON
        other, others = None, JSON
    answer = fresh.post("/v1/traces", scope="ingest:otlp", content=gzip.compress(body), headers=headers | {"Content-Encoding": "gzip"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(headers["Content-Type"])
    said = ExportTraceServiceResponse.FromString(answer.content) if headers is PROTOBUF else answer.json()
    assert said in (ExportTraceServiceResponse(), {})
    assert used(fresh) == expected
    if other is not None:  # MessageToJson writes ids in base64, not hex: the connector reads both spellings
        answer = fresh.post("/v1/traces", scope="ingest:otlp", content=other, headers=others)
        assert (answer.status_code, answer.json()) == (200, {})
        assert used(fresh) == expected


def test_no_file_of_the_server_is_named_as_a_mapping(fresh: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.env").write_text("DB=postgres://u:pa ss@h/x: : [")
    for path in ("/ingest/mapping:secret.env", "/ingest/mapping:secret.env/v1/traces"):
        answer = fresh.post(path, content=b"{}", headers=JSON)
        assert answer.status_code == 404, answer.text
        assert "no source" in answer.text
        assert "postgres" not in answer.text


def test_an_empty_export_is_a_success(fresh: Any) -> None:
    answer = fresh.post("/v1/traces", content=b"", headers=PROTOBUF)
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_source_of_the_catalog_names_its_connector(fresh: Any) -> None:
    documents = "kind: source\nid: litellm-prod\nconnector: litellm\n---\nkind: source\nid: traces-eu\nconnector: otlp\n"
    assert fresh.post("/api/v1/catalog/apply", content=documents).json()["applied"] is True
    body = (FIXTURES / "litellm_generic_api.jsonl").read_bytes()
    assert counts(fresh.post("/ingest/litellm-prod", scope="ingest:litellm-prod", content=body))["stored"] > 0
    assert fresh.post("/ingest/litellm-prod", scope="ingest:litellm", content=body).status_code == 403
    body = (FIXTURES / "otlp_genai.json").read_bytes()
    assert fresh.post("/ingest/traces-eu/v1/traces", scope="ingest:traces-eu", content=body, headers=JSON).status_code == 200
    assert {batch["source"] for batch in fresh.get("/api/v1/batches").json()["items"]} == {"litellm-prod", "traces-eu"}
    assert {one["id"] for one in fresh.get("/api/v1/sources").json()["items"]} == {"litellm-prod", "traces-eu"}


def test_a_token_for_one_source_pushes_to_no_other(door: Any) -> None:
    assert door.post("/v1/traces", scope="ingest:litellm", content=b"", headers=PROTOBUF).status_code == 403
    assert door.post("/ingest/otlp", scope="ingest:litellm", content=b"[]").status_code == 403
    unknown = door.post("/ingest/nobody", scope="ingest:*", content=b"[]")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


def test_auditors_bring_no_traffic_in(door: Any) -> None:
    refused = [
        door.post("/ingest/litellm", who="ada@acme.example", content=b"[]"),
        door.post("/v1/traces", who="ada@acme.example", content=b"{}", headers=JSON),
        door.post("/api/v1/tokens", who="ada@acme.example", json={"scopes": ["ingest:litellm"]}),
    ]
    assert [answer.status_code for answer in refused] == [403, 403, 403], [answer.text for answer in refused]
    assert "you hold auditor" in refused[0].json()["detail"]
    assert door.post("/ingest/litellm", who="ada@acme.example", scope="ingest:litellm", content=b"[]").status_code == 200, (
        "an admin gave it"
    )


def test_a_bad_record_is_in_quarantine_and_the_good_ones_are_stored(fresh: Any) -> None:
    lines = (FIXTURES / "litellm_generic_api.jsonl").read_bytes().splitlines()[:3]
    said = counts(fresh.post("/ingest/litellm", content=b"\n".join([*lines, b'{"id": '])))
    assert (said["stored"], said["quarantined"]) == (3, 1)
    held = fresh.get("/api/v1/quarantine").json()["items"]
    assert len(held) == 1
    assert "raw" not in held[0]
    tried = fresh.post("/api/v1/quarantine/retry", json={"ids": [held[0]["id"]]}).json()
    assert (tried["read"], tried["quarantined"]) == (1, 1)
    for path, asked in (("retry", {}), ("discard", {"reason": "noise"})):
        refused = fresh.post(f"/api/v1/quarantine/{path}", "ada@acme.example", json={"ids": [held[0]["id"]], **asked})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), path
    for discarded, already in ((1, 0), (0, 1)):
        done = fresh.post("/api/v1/quarantine/discard", json={"ids": [held[0]["id"]], "reason": "half a line"})
        assert (done.status_code, done.json()) == (200, {"discarded": discarded, "already": already})
    assert fresh.get("/api/v1/quarantine").json()["items"] == []
    counts(fresh.post("/ingest/litellm", content=b'{"no": \n{"more": '))
    code = fresh.get("/api/v1/quarantine").json()["items"][0]["reason"].split(":")[0]
    assert fresh.get("/api/v1/quarantine", params={"code": "other"}).json()["items"] == []
    both = fresh.post("/api/v1/quarantine/discard", json={"ids": ["1"], "all": True, "reason": "cut"})
    assert (both.status_code, both.json()["code"]) == (422, "invalid")
    done = fresh.post("/api/v1/quarantine/discard", json={"all": True, "source": "litellm", "code": code, "reason": "cut"})
    assert (done.status_code, done.json()) == (200, {"discarded": 2, "left": 0})


def test_spans_that_cannot_be_read_are_a_partial_success(fresh: Any) -> None:
    document = json.loads((FIXTURES / "otlp_genai.json").read_text().splitlines()[0])
    answer = fresh.post("/v1/traces", content=json.dumps([document, {"resourceSpans": 7}]).encode(), headers=JSON)
    assert answer.status_code == 200, answer.text
    assert int(answer.json()["partialSuccess"]["rejectedSpans"]) == 1
    assert answer.json()["partialSuccess"]["errorMessage"]


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        (PROTOBUF, b"\xff\xff\xff\xff", 400, "malformed"),
        (PROTOBUF | {"Content-Encoding": "gzip"}, b"no archive", 400, "malformed"),
        (JSON | {"Content-Encoding": "gzip"}, gzip.compress(b"{}" * 100)[:-9], 400, "malformed"),
        (JSON | {"Content-Encoding": "gzip"}, gzip.compress(gzip.compress(b"{}")), 400, "malformed"),
        (JSON | {"Content-Encoding": "br"}, b"{}", 415, "media_type"),
        ({"Content-Type": "text/plain"}, b"{}", 415, "media_type"),
        ({}, b"{}", 415, "media_type"),
    ],
    ids=["protobuf", "no archive", "cut archive", "archive in archive", "brotli", "text", "no type"],
)
def test_a_body_nobody_can_read_is_refused_whole(door: Any, headers: dict[str, str], body: bytes, status: int, code: str) -> None:
    answer = door.post("/v1/traces", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert not list((door.ctx.settings.home / "spool").rglob("*.push"))


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics", "/ingest/traces-eu/v1/logs"])
def test_an_exporter_that_sends_logs_and_metrics_is_told(door: Any, path: str) -> None:
    answer = door.post(path, scope="ingest:*", content=b"", headers=PROTOBUF)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "OTEL_LOGS_EXPORTER=none" in answer.json()["hint"]


def test_an_empty_body_is_refused(door: Any) -> None:
    assert door.post("/ingest/litellm", content=b"").status_code == 400


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("declared", [True, False])
def test_a_bomb_is_refused_before_it_goes_off(open_door: Any, tmp_path: Path, pack: Any, declared: bool) -> None:
    limit = 1 << 20
    bomb = pack(b" " * (64 << 20))
    assert len(bomb) < limit
    with open_door(tmp_path / "home", max_body_bytes=limit) as door:
        headers = {"Content-Encoding": "gzip" if pack is gzip.compress else "zstd"} if declared else {}
        for path, media in (("/v1/traces", JSON), ("/ingest/litellm", {})):
            answer = door.post(path, content=bomb, headers=headers | media)
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        many = b"".join(gzip.compress(b" " * limit) for _ in range(3))  # members that are small one by one
        assert door.post("/ingest/litellm", content=many).status_code == 413


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b" " * 1001), gzip.compress(b" " * 1000) + gzip.compress(b" "), zstandard.compress(b" " * 1001)],
    ids=["gzip", "two gzip members", "zstd"],
)
def test_the_limit_is_exact(body: bytes) -> None:
    with pytest.raises(TooLarge):
        unpack(body, "", 1000)
    assert unpack(body, "", 1001) == b" " * 1001


def test_thousands_of_empty_archives_in_one_body_are_read_in_one_pass() -> None:
    assert unpack(gzip.compress(b"") * 50_000 + gzip.compress(b"{}"), "gzip", 1000) == b"{}"


def test_a_body_that_comes_while_the_lake_is_busy_is_kept_and_stored_later(fresh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "PATIENCE", 0.2)
    body = (FIXTURES / "litellm_generic_api.jsonl").read_bytes()
    assert counts(fresh.post("/ingest/litellm", content=body.splitlines()[0]))["stored"] == 1
    lake = fresh.ctx.lake
    with ingest_lock(lake.place, lake._lock_folder):
        answer = fresh.post("/ingest/litellm", content=body)
        traces = fresh.post("/v1/traces", content=(FIXTURES / "otlp_genai.json").read_bytes(), headers=JSON)
    assert (answer.status_code, answer.json()["spooled"], answer.json()["stored"]) == (200, True, 0)
    assert (traces.status_code, traces.json()) == (200, {})
    assert drain_spool(fresh.ctx) == 2
    again = counts(fresh.post("/ingest/litellm", content=body))
    assert again["duplicates"] == again["read"]


def test_a_body_that_cannot_be_kept_is_not_acknowledged(fresh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        answer = fresh.post("/ingest/litellm", content=(FIXTURES / "litellm_generic_api.jsonl").read_bytes())
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert list(folder_of(fresh.ctx).iterdir()) == [], "a part of it takes room for ever"
    assert int(answer.headers["retry-after"]) > 0
    assert fresh.get("/api/v1/batches").json()["items"] == []


@pytest.mark.skipif(not CAPTURES.exists(), reason="../shared/data/captures is not here")
def test_captured_bodies_pushed_as_they_were_received(fresh: Any) -> None:
    view = json.loads((CAPTURES / "expected_views.json").read_text())["litellm"]["generic_api"]
    total = dict.fromkeys(COUNTS, 0)
    for path in sorted((CAPTURES / "litellm/generic_api/raw").iterdir()):
        said = counts(fresh.post("/ingest/litellm", content=path.read_bytes()))
        total = {name: total[name] + said[name] for name in COUNTS}
    assert (total["read"], total["stored"]) == (view["records"], view["records"])
    rows = {row["status"]: row for row in fresh.get("/api/v1/usage", params={"period": MONTH, "by": "status"}).json()["rows"]}
    assert rows["ok"]["calls"] == view["ok"]
    assert (rows["ok"]["input_tokens"], rows["ok"]["output_tokens"]) == (view["input_ok"], view["output_ok"])
    otel = 0
    for path in sorted((CAPTURES / "litellm/litellm_otel/raw").iterdir()):
        headers = PROTOBUF if path.suffix in {".pb", ".bin"} else JSON
        answer = fresh.post("/v1/traces", content=path.read_bytes(), headers=headers)
        assert answer.status_code == 200, (path, answer.text)
        otel += 1
    assert otel
    merged = json.loads((CAPTURES / "expected_views.json").read_text())["litellm"]["all_witnesses_merged"]
    rows = {row["status"]: row for row in fresh.get("/api/v1/usage", params={"period": MONTH, "by": "status"}).json()["rows"]}
    assert rows["ok"]["calls"] == merged["ok_cost_bearing"]


def test_a_body_on_disk_is_acknowledged_though_it_could_not_be_stored(fresh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (FIXTURES / "litellm_generic_api.jsonl").read_bytes()

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of order")

    with monkeypatch.context() as patch:
        patch.setattr(pushing, "store", fails)
        answer = fresh.post("/ingest/litellm", content=body)
    assert (answer.status_code, answer.json()["spooled"]) == (200, True)
    assert drain_spool(fresh.ctx) == 1
    again = counts(fresh.post("/ingest/litellm", content=body))
    assert again["duplicates"] == again["read"] > 0


@pytest.mark.parametrize("path", ["/ingest/kong", "/api/v1/catalog/apply"])
def test_half_a_body_is_none(door: Any, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its sender hung up: with an Idempotency-Key what had come was taken for all of it. No failure of ours that an alarm should hear of."""
    received = [
        {"type": "http.request", "body": b"kind: person\nemail: half@acme.example\nroles: [owner]\n---\n", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return received.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    token = door.token("admin@acme.example", "api" if "catalog" in path else "ingest:*")
    headers = {"authorization": f"Bearer {token}", "content-type": "application/yaml", "idempotency-key": "half"}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    asyncio.run(door.client.app(scope, receive, send))
    assert [one["status"] for one in sent if one["type"] == "http.response.start"] == [400]
    assert "half@acme.example" not in door.get("/api/v1/people").text
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
