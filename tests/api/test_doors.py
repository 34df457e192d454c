"""Every route: who may pass, what is documented, what a repeated or an oversized request does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from litestar.handlers import HTTPRouteHandler

from governor.api import idempotency
from governor.api.bearer import ASKS, PUSH
from governor.api.idempotency import IdempotencyConflict, take
from governor.asgi import MACHINE_PATHS, create_app
from governor.settings import load_settings

PROBLEM = "application/problem+json"
OPEN = ("/healthz", "/schema")


def templates() -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path with its parameters, route options) of every machine route of the application."""
    found = []
    for route in create_app(load_settings()).routes:
        for handler in getattr(route, "route_handlers", []):
            if isinstance(handler, HTTPRouteHandler) and route.path.startswith(MACHINE_PATHS):
                found += [(method, route.path, dict(handler.opt)) for method in sorted(handler.http_methods)]
    return sorted((one for one in found if one[0] != "OPTIONS" and not one[1].startswith(OPEN)), key=lambda one: one[:2])


def filled(hit: re.Match[str]) -> str:
    """A value that the parameter's type takes: one of another type is another path, and names no route."""
    return "1" if hit[0].endswith(":int}") else "csv" if hit[0] == "{form:str}" else "2026-10"


TEMPLATES = templates()
ROUTES = [(method, re.sub(r"\{[^}]+\}", filled, path), options) for method, path, options in TEMPLATES]
WRITES = [one for one in ROUTES if one[0] != "GET" and not one[2].get(ASKS)]


def test_the_walk_finds_the_routes() -> None:
    assert len(ROUTES) > 45
    assert ("POST", "/v1/traces") in {(method, path) for method, path, _ in ROUTES}
    assert len(WRITES) > 15


@pytest.mark.parametrize(("method", "path"), [one[:2] for one in ROUTES])
def test_no_route_answers_without_a_token(door: Any, method: str, path: str) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer gov_wrong"},
        {"Authorization": "Basic YTpi"},
        {"Cookie": f"governor_session={door.token('admin@acme.example')}"},
    ):
        answer = door.client.request(method, path, headers=headers)
        assert answer.status_code == 401, (headers, answer.text)
        assert answer.headers["content-type"] == PROBLEM
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize(("method", "path"), [one[:2] for one in WRITES])
def test_a_reading_token_writes_nothing(door: Any, method: str, path: str) -> None:
    door.token("admin@acme.example", "read")
    before = door.get("/api/v1/ledger/entries").json()["size"]
    answer = door.call(method, path, scope="read", json={})
    assert answer.status_code == 403, answer.text
    assert answer.json()["code"] == "forbidden"
    assert door.get("/api/v1/ledger/entries").json()["size"] == before


@pytest.mark.parametrize(("method", "path"), [one[:2] for one in ROUTES if not one[2].get(PUSH)])
def test_a_pushing_token_only_pushes(door: Any, method: str, path: str) -> None:
    assert door.call(method, path, scope="ingest:*").status_code == 403


def test_a_revoked_token_proves_nothing(door: Any) -> None:
    made = door.post("/api/v1/tokens", json={"name": "short lived"}).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert door.client.get("/api/v1/me", headers=headers).status_code == 200
    assert door.post(f"/api/v1/tokens/{made['id']}/revoke").status_code == 200
    assert door.client.get("/api/v1/me", headers=headers).status_code == 401


def test_openapi_lists_every_route(door: Any) -> None:
    document = door.client.get("/schema/openapi.json").json()
    listed = {(method.upper(), re.sub(r"\{[^}]+\}", "*", path)) for path, methods in document["paths"].items() for method in methods}
    assert {(method, re.sub(r"\{[^}]+\}", "*", path)) for method, path, _ in TEMPLATES} <= listed
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            if path != "/healthz":
                assert operation["security"] == [{"token": []}], (method, path)
    proposal = document["paths"]["/api/v1/changes"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    name = proposal["$ref"].rsplit("/", 1)[-1]
    assert {"workflow", "candidate", "endpoint", "reason"} <= set(document["components"]["schemas"][name]["required"])
    assert set(document["paths"]["/v1/traces"]["post"]["requestBody"]["content"]) == {"application/x-protobuf", "application/json"}


def test_a_client_can_be_generated_from_openapi(door: Any) -> None:
    """Names are unique, a POST takes its key, lists say their shape, a body that may be left out is not required."""
    document = door.client.get("/schema/openapi.json").json()
    assert document["paths"]["/api/v1/changes/{change_id}/split"]["get"]["operationId"] == "get_changes_by_change_id_split"
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch("(get|post|delete)(_[a-z0-9]+)+", one) for one in ids)
    titles = [schema["title"] for schema in document["components"]["schemas"].values()]
    assert sorted(titles) == sorted(set(titles))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            keys = [one for one in operation.get("parameters", []) if one["name"] == "Idempotency-Key"]
            assert len(keys) == int(method == "post" and path.startswith("/api/v1/")), (method, path)
            assert operation["description"].startswith(operation["summary"]), (method, path)
            assert all("URL follows" not in answer["description"] for answer in operation["responses"].values())
    lists = {
        path
        for path, methods in document["paths"].items()
        if "get" in methods
        and (of := methods["get"]["responses"]["200"].get("content", {}).get("application/json", {}).get("schema", {}))
        and "items" in document["components"]["schemas"].get(of.get("$ref", "").rsplit("/", 1)[-1], {}).get("properties", {})
    }
    unnamed = {
        f"{method} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for status, answer in operation["responses"].items()
        if status.startswith("2") and "additionalProperties" in answer.get("content", {}).get("application/json", {}).get("schema", {})
    }
    steps = ("approve", "reject", "cutover", "shadow", "verify")
    assert not unnamed & {f"post /api/v1/changes/{{change_id}}/{step}" for step in steps}
    assert not unnamed & {f"get /api/v1/{name}" for name in ("usage", "spend", "spend/segments", "forecast", "changes/{change_id}")}
    assert not unnamed & {f"post /api/v1/{name}" for name in ("changes", "policy/decision", "sources/sync", "quarantine/retry")}
    assert {"/api/v1/golden", "/api/v1/review", "/api/v1/changes", "/api/v1/budgets", "/api/v1/ledger/entries", "/api/v1/batches"} <= lists
    assert document["paths"]["/api/v1/prices/import"]["post"]["requestBody"]["required"] is False


def test_answers_have_fields(door: Any) -> None:
    """They were objects without a field, of which a generated client makes nothing; the fuzz holds each answer to its schema."""
    document = door.client.get("/schema/openapi.json").json()
    schemas = document["components"]["schemas"]

    def fields(path: str, *, item: bool = False) -> set[str]:
        of = document["paths"][f"/api/v1/{path}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        found = schemas[of["$ref"].rsplit("/", 1)[-1]]["properties"]
        return set(schemas[found["items"]["items"]["$ref"].rsplit("/", 1)[-1]]["properties"] if item else found)

    for path in ("ledger/entries/{name}", "ledger/checkpoint", "ledger/verify", "ledger/anchors"):
        assert fields(path) == set(door.get(f"/api/v1/{path.format(name=0)}").json()), path
    assert fields("me") == set(door.get("/api/v1/me").json())
    for path in ("ledger/entries", "ledger/checkpoints", "ledger/streams", "ledger/incarnations", "tokens", "budgets", "export-formats"):
        assert fields(path, item=True) == set(door.get(f"/api/v1/{path}").json()["items"][0]), path


def test_every_list_says_what_its_items_are(door: Any) -> None:
    """By one generic slice, under a name of its own and not that of a module."""
    schemas = door.client.get("/schema/openapi.json").json()["components"]["schemas"]
    assert all(name.isidentifier() and "_" not in name for name in schemas), sorted(schemas)
    untold = {name for name, one in schemas.items() if "items" in one.get("properties", {}) and not one["properties"]["items"].get("items")}
    assert untold == set()


def test_a_list_answers_items(door: Any) -> None:
    for path in ("golden", "review", "connectors", "prices/proposals", "batches", "budgets", "findings"):
        assert isinstance(door.get(f"/api/v1/{path}").json()["items"], list), path
    assert door.get("/api/v1/golden").json()["next"] is None


def test_a_slip_of_the_pen_in_a_decision_on_prices_is_refused(door: Any) -> None:
    """`difference_digest` binds an approval to what was seen; written wrongly it was left out without a word."""
    wrong = door.post("/api/v1/prices/proposals/PP-1/decision", json={"decision": "approve", "diference_digest": "0" * 64})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid"), wrong.text
    assert "diference_digest" in wrong.json()["detail"] + str(wrong.json().get("fields"))


def test_the_same_key_does_the_work_once(door: Any) -> None:
    key, body = {"Idempotency-Key": "exception-1"}, {"reason": "late invoices", "compensating_control": "manual review"}
    first = door.post("/api/v1/periods/2026-09/exceptions", headers=key, json=body)
    again = door.post("/api/v1/periods/2026-09/exceptions", headers=key, json=body)
    assert first.status_code == again.status_code == 201, first.text
    assert again.json() == first.json()
    assert again.headers["idempotent-replay"] == "true"
    entries = door.get("/api/v1/ledger/entries", params={"type": "period:except"}).json()["items"]
    assert len(entries) == 1

    other = door.post("/api/v1/periods/2026-09/exceptions", headers=key, json=body | {"reason": "another"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


def test_a_key_belongs_to_its_person_and_a_refusal_is_not_remembered(door: Any) -> None:
    key = {"Idempotency-Key": "exception-2"}
    wrong = door.post("/api/v1/periods/2026-08/exceptions", headers=key, json={"reason": "", "compensating_control": ""})
    assert wrong.status_code == 422
    body = {"reason": "late invoices", "compensating_control": "manual review"}
    assert door.post("/api/v1/periods/2026-08/exceptions", headers=key, json=body).status_code == 201
    finance = door.post("/api/v1/periods/2026-08/exceptions", "finn@acme.example", headers=key, json=body)
    assert finance.status_code == 201
    assert "idempotent-replay" not in finance.headers


def test_a_key_that_two_take_at_the_same_moment_is_under_way_for_one(door: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two transactions at once the later sees no key yet, and learns of it from the database."""
    assert take(door.ctx, door.admin.id, "both", "request") is None
    monkeypatch.setattr(idempotency, "find", lambda *_: None)
    with pytest.raises(IdempotencyConflict, match="under way"):
        take(door.ctx, door.admin.id, "both", "request")


def test_a_secret_is_answered_once(door: Any) -> None:
    key = {"Idempotency-Key": "token-1"}
    made = door.post("/api/v1/tokens", headers=key, json={})
    assert made.status_code == 201
    again = door.post("/api/v1/tokens", headers=key, json={})
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_conflict")
    assert made.json()["token"] not in again.text


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/v1/changes", {"workflow": "fnol-triage"}, "candidate"),
        ("/api/v1/changes", {"workflow": 7, "candidate": "a/b", "endpoint": "e", "reason": "r"}, "workflow"),
        ("/api/v1/changes/RC-1/approve", {"digest": "0", "reason": "r", "as": "owner"}, "as"),
        ("/api/v1/policy/decision", {"keys": {"api_key_alias": 1}}, "keys"),
    ],
)
def test_a_wrong_body_is_told_by_field(door: Any, path: str, body: dict[str, Any], field: str) -> None:
    answer = door.post(path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert field in answer.text


@pytest.mark.parametrize("path", ["/api/v1/changes", "/api/v1/tokens"])
def test_broken_json_is_400(door: Any, path: str) -> None:
    answer = door.post(path, content=b'{"a": ', headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize("path", ["/api/v1/policy/decision", "/api/v1/changes"])
def test_json_nested_too_deeply_is_400(door: Any, path: str) -> None:
    answer = door.post(path, content=b'{"keys":' * 100_000, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), answer.text


def test_a_price_file_nested_too_deeply_is_refused_in_words(door: Any) -> None:
    answer = door.post("/api/v1/prices/diff", content=b'{"keys":' * 100_000, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), answer.text
    assert "nested too deeply" in answer.json()["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/changes/RC-404",
        "/api/v1/ledger/entries/99999",
        "/api/v1/calls/none",
        "/api/v1/nothing",
        "/api/v1/periods/2026-01/files",
        "/api/v1/periods/2026-01/files/x.csv",
    ],
)
def test_what_is_not_there_is_404(door: Any, path: str) -> None:
    answer = door.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM), answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/usage?period=october",
        "/api/v1/usage?period=2026-13",
        "/api/v1/usage?period=2026-10&by=colour",
        "/api/v1/usage?period=2026-10&as_of=then",
        "/api/v1/findings?period=2026-1",
        "/api/v1/findings?status=violations",
        "/api/v1/catalog?cursor=abc",
        "/api/v1/catalog?cursor=%ff",
        "/api/v1/catalog?limit=0",
        "/api/v1/catalog?limit=501",
        "/api/v1/catalog?at=2026-10-01T00:00:00",
        "/api/v1/ledger/entries?cursor=abc",
        "/api/v1/periods/2026-1",
        "/api/v1/quarantine?state=lost",
    ],
)
def test_a_wrong_question_is_422(door: Any, path: str) -> None:
    answer = door.get(path)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]


def test_a_large_body_is_413_with_and_without_an_idempotency_key(open_door: Any, tmp_path: Any) -> None:
    with open_door(tmp_path / "home", max_body_bytes=2000) as door:
        body = b"# " + b"x" * 3000
        for headers in ({}, {"Idempotency-Key": "big"}):
            for path in ("/api/v1/catalog/apply", "/api/v1/prices/import", "/ingest/litellm"):
                answer = door.post(path, content=body, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (413, "too_large"), path
                assert "GOVERNOR_MAX_BODY_BYTES" in answer.json()["hint"], path


def test_cursors_walk_the_whole_catalog_once(door: Any) -> None:
    seen, cursor = [], ""
    while cursor is not None:
        page = door.get("/api/v1/catalog", params={"limit": 7, "cursor": cursor}).json()
        assert len(page["items"]) <= 7
        seen += [(one["kind"], one["key"]) for one in page["items"]]
        cursor = page["next"]
    every = door.get("/api/v1/catalog", params={"limit": 500}).json()["items"]
    assert seen == [(one["kind"], one["key"]) for one in every]
    assert len(set(seen)) == len(seen)
    assert ("workflow", "fnol-triage") in seen


def test_a_server_with_a_broker_announces_a_job_once(open_door: Any, tmp_path: Any) -> None:
    with open_door(tmp_path / "home", broker_url="redis://127.0.0.1:1/0") as door:
        assert len(door.ctx.after_commit) == 1


@pytest.mark.parametrize(
    "path",
    sorted({path for method, path, _ in ROUTES if method == "GET"} | {"/healthz", "/schema", "/sign-in", "/spend", "/static/governor.css"}),
)
def test_head_is_get_without_its_body(door: Any, path: str) -> None:
    """Load balancers and uptime checks ask so."""
    theirs = {"Authorization": f"Bearer {door.token('admin@acme.example')}"}
    whole, head = (door.client.request(method, path, headers=theirs, follow_redirects=False) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert head.headers.get("x-content-type-options") == "nosniff"


def test_head_passes_nobody_whom_get_would_not(door: Any) -> None:
    assert door.client.head("/api/v1/usage?period=2026-10").status_code == 401
    assert door.client.head("/", follow_redirects=False).status_code == 303
    refused = door.client.head("/v1/traces")
    assert (refused.status_code, refused.headers["allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/api/v1/changes", "GET, HEAD, OPTIONS, POST"),
        ("/v1/traces", "OPTIONS, POST"),
        ("/api/v1/review/RC-1/1", "DELETE, OPTIONS, POST"),
    ],
)
def test_options_name_every_method_of_a_path(door: Any, path: str, methods: str) -> None:
    theirs = {"Authorization": f"Bearer {door.token('admin@acme.example')}"}
    assert door.client.options(path, headers=theirs).headers["allow"] == methods
    assert door.client.request("PATCH", path, headers=theirs).headers["allow"] == methods
