"""The same verbs on a shared Postgres: two organizations with the same names do not meet, rivals do not double anything."""

import threading
from typing import Any

import pytest
from sqlmodel import select

from governor.actions.apply import apply
from governor.actions.context import OPERATOR
from governor.actions.cutover import cutover
from governor.actions.decide import approve
from governor.actions.load_catalog import catalog_as_of
from governor.actions.people import authenticate
from governor.actions.show_change import list_changes, show_change
from governor.catalog import parse_documents
from governor.errors import Forbidden, GovernorError, NotFound, Unauthenticated
from governor.store.rows.catalog import CatalogVersion


def test_two_organizations_and_rivals(two_worlds: Any) -> None:
    acme, globex = two_worlds
    ours, theirs = acme.reviewed(), globex.reviewed()
    assert (ours["id"], theirs["id"]) == ("RC-acme-1", "RC-globex-1")
    assert [row["id"] for row in list_changes(acme.ctx)] == [ours["id"]]
    with pytest.raises(NotFound):
        show_change(globex.ctx, ours["id"])
    with pytest.raises(NotFound):
        approve(globex.ctx, globex.person("dana"), ours["id"], digest=ours["digest"], reason="x")
    with pytest.raises(Unauthenticated):
        authenticate(globex.ctx, acme.tokens["rae@acme.example"])

    codes = rivals(acme, ours)
    assert sorted(codes) == ["ok", "role_not_needed"], "of two who answer the same role at once, one is too late"
    approve(acme.ctx, acme.person("dana"), ours["id"], digest=ours["digest"], reason="ok")
    cutover(acme.ctx, acme.person("rae"), ours["id"])
    assert len(catalog_as_of(acme.ctx).workflows["fnol-triage"].routes) == 2
    assert len(catalog_as_of(globex.ctx).workflows["fnol-triage"].routes) == 1
    with pytest.raises((Unauthenticated, Forbidden)):
        apply(acme.ctx, OPERATOR, parse_documents("kind: person\nemail: x@acme.example"))
    rival_applies(acme)


def rival_applies(world: Any) -> None:
    """The same new documents from several processes at once become one version each."""
    text = "kind: workflow\nid: twin\nowner: dana@acme.example\ncost_center: CC-7"
    world.later(minutes=1)
    gate = threading.Barrier(4)

    def run() -> None:
        gate.wait()
        world.apply(text)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with world.ctx.rows.session() as session:
        rows = session.exec(select(CatalogVersion).where(CatalogVersion.key == "twin")).all()
    assert [(row.valid_from, row.superseded_at) for row in rows] == [(None, None)]


def rivals(world: Any, change: dict[str, Any]) -> list[str]:
    """Two people of one role decide at the same moment."""
    people = [world.person("sol"), world.person("multi")]
    gate = threading.Barrier(len(people))
    codes: list[str] = []

    def decide(person: Any) -> None:
        gate.wait()
        try:
            approve(world.ctx, person, change["id"], digest=change["digest"], reason="now", role="security")
            codes.append("ok")
        except GovernorError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=decide, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return codes
