"""Two organizations on one Postgres: a session of one opens no page of the other, and no page shows what is the other's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from litestar.handlers import HTTPRouteHandler
from sqlmodel import select

from governor.actions.apply import apply
from governor.actions.people import create_token
from governor.asgi import MACHINE_PATHS
from governor.catalog import parse_documents
from governor.store.rows.ledger import LedgerEntry
from governor.web.session import OPEN

WHO = "admin@acme.example"  # the same e-mail is a person of its own in either organization
SECRET = "globex-only"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, open_site: Any, new_postgres: Callable[[], str]) -> Iterator[tuple[Any, Any]]:
    url, home = new_postgres(), tmp_path_factory.mktemp("shared")
    with (
        open_site(home / "acme", org="acme", database_url=url) as acme,
        open_site(home / "globex", org="globex", database_url=url) as globex,
    ):
        yield acme, globex


@pytest.fixture(scope="module")
def ids(two: tuple[Any, Any]) -> dict[str, str]:
    """What exists in globex only, by the path parameter that would name it."""
    _, globex = two
    people = f"kind: person\nemail: gil@globex.example\nname: {SECRET}\nroles: [owner]\n"
    workflow = f"---\nkind: workflow\nid: {SECRET}\nowner: gil@globex.example\nmatch: [{{metadata.workflow: {SECRET}}}]\n"
    apply(globex.ctx, globex.admin, parse_documents(people + workflow))
    token = create_token(globex.ctx, globex.admin, email=WHO, name=SECRET)
    with globex.ctx.rows.session() as session:
        entry = session.exec(select(LedgerEntry.id).where(LedgerEntry.type == "catalog:apply")).one()
    return {"workflow_id": SECRET, "token_id": token["id"], "name": entry, "change_id": "RC-globex-1", "month": "2026-10", "by": "workflow"}


def paths(site: Any, ids: dict[str, str], method: str) -> list[str]:
    found = []
    for route in site.app.routes:
        for handler in getattr(route, "route_handlers", []):
            ours = isinstance(handler, HTTPRouteHandler) and not route.path.startswith((*MACHINE_PATHS, "/static"))
            if ours and method in handler.http_methods and not handler.opt.get(OPEN):
                found.append(re.sub(r"\{([^}:]+)[^}]*\}", lambda hit: "1" if ":int" in hit[0] else ids.get(hit[1], SECRET), route.path))
    assert len(found) > 20, "the walk finds the pages"
    return found


def test_the_others_session_opens_no_page(two: tuple[Any, Any], ids: dict[str, str]) -> None:
    acme, globex = two
    with acme.at(WHO) as mine, globex.visitor() as stranger:
        secret = mine.client.cookies["governor_session"]
        for path in paths(globex, ids, "GET"):
            answer = stranger.get(path, headers={"Cookie": f"governor_session={secret}"})
            assert answer.status_code == 303, path
            assert SECRET not in answer.text.replace(path, "")
        for path in paths(globex, ids, "POST"):
            csrf = stranger.csrf("/sign-in")
            stranger.client.cookies.set("governor_session", secret)
            answer = stranger.client.post(path, data={"csrf": csrf}, follow_redirects=False)
            assert answer.status_code == 303, path
            assert answer.headers["location"] == ("/sign-in" if path == "/sign-out" else "/sign-in?unsent=true"), path
            stranger.client.cookies.delete("governor_session")


def test_the_others_things_are_not_there(two: tuple[Any, Any], ids: dict[str, str]) -> None:
    acme, _ = two
    with acme.at(WHO) as mine:
        for path in paths(acme, ids, "GET"):
            answer = mine.get(path)
            assert answer.status_code != 500, path
            asked_for = SECRET in path
            assert asked_for or SECRET not in answer.text, path
            if asked_for or ids["name"] in path or ids["change_id"] in path:
                assert answer.status_code in {404, 422}, path
            assert "gil@globex.example" not in answer.text, path


def test_the_others_things_cannot_be_acted_on(two: tuple[Any, Any], ids: dict[str, str]) -> None:
    acme, globex = two
    with acme.at(WHO) as mine:
        assert mine.post(f"/settings/tokens/{ids['token_id']}/revoke", page="/settings").status_code == 404
        answer = mine.post("/settings/password", {"email": "gil@globex.example", "password": "a long enough password"}, page="/settings")
        assert answer.status_code == 404
    with globex.at(WHO) as theirs:
        assert "revoked" not in theirs.get("/settings").text


def test_the_others_token_does_not_sign_in(two: tuple[Any, Any]) -> None:
    acme, globex = two
    with globex.visitor() as stranger:
        assert stranger.post("/sign-in", {"token": acme.token}, page="/sign-in").status_code == 401
        assert stranger.post("/sign-in", {"token": globex.token}, page="/sign-in").status_code == 303
