"""Two organizations on one Postgres: one's tokens and ids are worth nothing at the other's door."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.handlers import HTTPRouteHandler

from governor.asgi import MACHINE_PATHS

FIXTURE = Path(__file__).parents[1] / "connectors/fixtures/litellm_generic_api.jsonl"
SECRET = "globex-only"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, open_door: Any, new_postgres: Callable[[], str]) -> Iterator[tuple[Any, Any]]:
    url, home = new_postgres(), tmp_path_factory.mktemp("shared")
    with (
        open_door(home / "acme", org="acme", database_url=url) as acme,
        open_door(home / "globex", org="globex", database_url=url) as globex,
    ):
        yield acme, globex


@pytest.fixture(scope="module")
def ids(two: tuple[Any, Any]) -> dict[str, str]:
    """Things that exist in globex only, by the path parameter that would name them."""
    _, globex = two
    people = "kind: person\nemail: gil@globex.example\nroles: [owner]\n"
    workflow = f"---\nkind: workflow\nid: {SECRET}\nowner: gil@globex.example\nmatch: [{{metadata.workflow: {SECRET}}}]\n"
    source = f"---\nkind: source\nid: {SECRET}-gateway\nconnector: litellm\n"
    assert globex.post("/api/v1/catalog/apply", content=people + workflow + source).json()["applied"] is True
    assert globex.post("/ingest/litellm", content=FIXTURE.read_bytes()).json()["stored"] > 0
    exception = globex.post("/api/v1/periods/2026-11/exceptions", json={"reason": SECRET, "compensating_control": SECRET})
    assert exception.status_code == 201, exception.text
    entry = globex.get("/api/v1/ledger/entries").json()["items"][0]["id"]
    call = globex.ctx.lake.calls().to_pylist()[0]["record_id"]
    token = globex.post("/api/v1/tokens", json={"name": SECRET}).json()["id"]
    return {
        "change_id": "RC-1",
        "name": entry,
        "record_id": call,
        "token_id": token,
        "month": "2026-11",
        "source": f"{SECRET}-gateway",
        "kind": "workflow",
    }


def routes(door: Any, ids: dict[str, str]) -> list[tuple[str, str, dict[str, str]]]:
    found = []
    for route in door.client.app.routes:
        if not route.path.startswith(MACHINE_PATHS) or route.path.startswith(("/schema", "/healthz")):
            continue
        path = route.path
        for name, value in ids.items():
            path = path.replace(f"{{{name}:str}}", value).replace(f"{{{name}}}", value)
        path = re.sub(r"\{([a-z_]+):(\w+)\}", lambda hit: "1" if hit[2] == "int" else "absent", path)
        assert "{" not in path, path
        query = {"period": "2026-11", "model": "openai/gpt-4o"}
        for handler in route.route_handlers:
            if isinstance(handler, HTTPRouteHandler):
                found += [(method, path, query) for method in handler.http_methods if method != "OPTIONS"]
    return found


def test_the_others_token_opens_nothing(two: tuple[Any, Any], ids: dict[str, str]) -> None:
    acme, globex = two
    tried = 0
    for method, path, query in routes(globex, ids):
        for scope in ("api", "read", "ingest:*"):
            answer = globex.client.request(
                method, path, params=query, headers={"Authorization": f"Bearer {acme.token('admin@acme.example', scope)}"}, json={}
            )
            assert answer.status_code == 401, (method, path, answer.text)
            assert SECRET not in answer.text
            tried += 1
    assert tried > 100


def test_the_others_ids_name_nothing(two: tuple[Any, Any], ids: dict[str, str]) -> None:
    """A full admin of acme asks its own door for everything of globex."""
    acme, _ = two
    mine = acme.get("/api/v1/ledger/entries").json()["size"]
    for method, path, query in routes(acme, ids):
        answer = acme.call(method, path, params=query, json={} if method == "POST" else None)
        assert answer.status_code < 500, (method, path, answer.text)
        assert SECRET not in answer.text.replace(ids["source"], ""), (method, path)
        named = [value for key, value in ids.items() if key in ("name", "record_id", "token_id") and value in path]
        if named:
            assert answer.status_code in ({404, 422} if method == "POST" else {404}), (method, path, answer.text)
    assert acme.get("/api/v1/usage", params={"period": "2026-11"}).json()["rows"] == []
    assert sum(batch["stored"] for batch in acme.get("/api/v1/batches").json()["items"]) == 0
    assert acme.ctx.lake.totals()["calls"] == 0
    assert acme.get("/api/v1/ledger/entries").json()["size"] >= mine


def test_the_other_is_as_it_was(two: tuple[Any, Any], ids: dict[str, str]) -> None:
    _, globex = two
    assert globex.get("/api/v1/ledger/verify").json()["ok"] is True
    tokens = {one["id"]: one for one in globex.get("/api/v1/tokens").json()["items"]}
    assert tokens[ids["token_id"]]["revoked_at"] is None
    assert globex.get("/api/v1/periods/2026-11").json()["exception"]["reason"] == SECRET
    assert globex.get(f"/api/v1/calls/{ids['record_id']}").status_code == 200
