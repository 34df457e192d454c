"""The versions of a catalog are read once, and again as soon as anybody wrote: what is remembered is never what was not committed."""

from datetime import timedelta
from typing import Any

import pytest

from governor.actions import load_catalog
from governor.actions.context import open_context
from governor.actions.load_catalog import catalog_as_of, known_versions
from governor.store.rows.catalog import CatalogVersion

WORKFLOW = "kind: workflow\nid: fnol-triage\nowner: dana@acme.example\ncost_center: {}\n"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The organizations whose versions were read, one for each time."""
    found: list[str] = []
    read = load_catalog.read_versions

    def told(session: Any, org: str) -> Any:
        found.append(org)
        return read(session, org)

    monkeypatch.setattr(load_catalog, "read_versions", told)
    return found


def cost_center(ctx: Any, *at: Any) -> str:
    return catalog_as_of(ctx, *at).workflows["fnol-triage"].cost_center


def test_what_nobody_changed_is_read_once(world: Any, reads: list[str]) -> None:
    world.apply(WORKFLOW.format("CC-1"))
    reads.clear()
    assert [cost_center(world.ctx) for _ in range(3)] == ["CC-1"] * 3
    assert len(reads) == 1


def test_what_another_process_wrote_holds_at_once_and_what_was_known_before_stays(world: Any) -> None:
    world.apply(WORKFLOW.format("CC-1"))
    world.later(minutes=1)
    before = world.ctx.now()
    other = open_context(world.ctx.settings)
    other.now = world.ctx.now
    try:
        assert cost_center(other) == cost_center(world.ctx) == "CC-1"
        world.later(minutes=1)
        world.apply(WORKFLOW.format("CC-2"))
        assert cost_center(other) == cost_center(world.ctx) == "CC-2"
        assert cost_center(other, None, before) == "CC-1"
    finally:
        other.close()


def test_a_version_that_ends_by_hand_without_another_is_seen(world: Any) -> None:
    """Counts of rows alone would not tell."""
    world.apply(WORKFLOW.format("CC-1"))
    assert cost_center(world.ctx) == "CC-1"
    with world.ctx.rows.session(write=True) as session:
        for row in session.query(CatalogVersion).filter_by(kind="workflow", key="fnol-triage", superseded_at=None):
            row.superseded_at = world.ctx.now() - timedelta(seconds=1)
    assert "fnol-triage" not in catalog_as_of(world.ctx).workflows


def test_what_is_written_is_seen_by_its_writer_and_forgotten_where_it_fails(world: Any) -> None:
    world.apply(WORKFLOW.format("CC-1"))
    assert cost_center(world.ctx) == "CC-1"
    org = world.ctx.org
    version = {"org_id": org, "kind": "workflow", "key": "gone", "body": "{}", "digest": "0", "recorded_at": world.ctx.now()}
    with world.ctx.rows.session(write=True) as session:
        session.add(CatalogVersion(**version))
        assert "gone" in {row.key for row in known_versions(session, org, None)[0]}
        session.rollback()
    with world.ctx.rows.session() as session:
        assert "gone" not in {row.key for row in known_versions(session, org, None)[0]}
    assert cost_center(world.ctx) == "CC-1"
    with world.ctx.rows.session(write=True) as session:
        session.add(CatalogVersion(**version | {"key": "there"}))
    with world.ctx.rows.session() as session:
        assert {"gone", "there"} & {row.key for row in known_versions(session, org, None)[0]} == {"there"}
