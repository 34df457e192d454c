"""Publication by job, the age of anchors and its alarm, and the commands and the page that show them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from governor.actions.anchor_states import anchor_states, audit_grade
from governor.actions.anchors import watch_anchors
from governor.actions.chores import CHORES
from governor.actions.context import OPERATOR, Context, open_context
from governor.actions.doctor import examine
from governor.actions.jobs import ACTORS, due
from governor.cli import ledger as ledger_commands
from governor.cli import trust as trust_commands
from governor.cli.session import Session
from governor.ledger.entry import EntryDraft
from governor.settings import load_settings
from governor.store.rows.jobs import Job
from tests.actions.conftest import work_off

START = datetime(2026, 11, 20, 16, 0, 30, tzinfo=UTC)


@dataclass
class World:
    ctx: Context
    outside: Path
    home: Path
    now: datetime = START

    def act(self, number: int) -> None:
        with self.ctx.transaction(OPERATOR) as tx:
            tx.append(EntryDraft("source:ingest", "source/s", {"batch": f"b{number}"}, OPERATOR.ledger_ref(), f"i{number}", self.now))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    outside, home = tmp_path / "outside", tmp_path / "home"
    outside.mkdir()
    home.mkdir()
    (home / "governor.toml").write_text(
        f'[[anchors]]\nname = "audit"\nkind = "directory"\ntarget = "{outside}"\noutside = true\nrun_by = "internal audit"\n'
        f'[[anchors]]\nname = "spare"\nkind = "directory"\ntarget = "{tmp_path / "absent"}"\n'
    )
    ctx = open_context(load_settings(home=home), create=True)
    made = World(ctx, outside, home)
    ctx.now = lambda: made.now
    yield made
    ctx.close()


def test_a_growing_ledger_asks_for_one_publication_a_turn(world: World) -> None:
    assert ACTORS["anchor"] == "governor.actions.anchors:publish_anchor"
    for number in range(5):
        world.act(number)
    with world.ctx.rows.session() as session:
        jobs = session.exec(select(Job)).all()
    assert sorted((job.actor, json.loads(job.args)["anchor"], job.available_at) for job in jobs) == [
        ("anchor", "audit", START + timedelta(seconds=30)),
        ("anchor", "spare", START + timedelta(seconds=30)),
    ]
    assert due(world.ctx) == []
    world.now += timedelta(seconds=31)
    assert work_off(world.ctx) >= 1
    states = {one["name"]: one for one in anchor_states(world.ctx)}
    assert (states["audit"]["state"], states["audit"]["size"], states["audit"]["behind"]) == ("fresh", 5, 0)
    assert states["spare"]["size"] == 0
    with world.ctx.rows.session() as session:
        failed = next(job for job in session.exec(select(Job)) if "spare" in job.args)
    assert (failed.state, "cannot be written" in failed.error) == ("waiting", True)  # tried again later


def test_a_stale_anchor_raises_the_alarm(world: World, caplog: pytest.LogCaptureFixture) -> None:
    assert any(chore.function == "governor.actions.anchors:watch_anchors" for chore in CHORES)
    world.act(0)
    watch_anchors(world.ctx)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert audit_grade(anchor_states(world.ctx))
    world.act(1)
    for file in world.outside.iterdir():
        file.unlink()
    world.outside.rmdir()
    world.now += timedelta(minutes=61)
    watch_anchors(world.ctx)
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert any(line.startswith("anchor audit is stale: it lacks 1 entries, last published 2026-11-20") for line in told), told
    assert any(line.startswith("anchor spare is stale: it lacks 2 entries, last published never") for line in told), told
    assert not audit_grade(anchor_states(world.ctx))
    [line] = [check for check in examine(world.ctx.settings) if check.name == "anchors"]
    assert "stale: audit, spare" in line.detail


def run(app: Any, session: Session, *words: str) -> Any:
    return CliRunner().invoke(app, list(words), obj=session)


def test_the_commands(world: World, tmp_path: Path) -> None:
    world.act(0)
    world.ctx.close()
    session = Session(home=world.home)
    before = run(ledger_commands.app, session, "anchors").stdout.splitlines()
    assert before[0] == "NOT AUDIT-GRADE NOW: no outside anchor is up to date."
    done = run(ledger_commands.app, session, "anchor", "audit")
    assert (done.exit_code, done.stdout.startswith("[ ok ] audit")) == (0, True)
    assert run(ledger_commands.app, session, "anchor").exit_code == 1  # spare is not there
    assert "not_found" in str(getattr(run(ledger_commands.app, session, "anchor", "nobody").exception, "code", ""))
    session.json = True
    shown = json.loads(run(ledger_commands.app, session, "anchors").stdout)
    assert (shown["audit_grade"], shown["anchors"][0]["state"]) == (True, "fresh")
    told = json.loads(run(ledger_commands.app, session, "verify").stdout)
    assert (told["ok"], told["audit_grade"], told["blind"], told["anchors"][0]["status"]) == (True, True, "", "agrees")
    assert json.loads(run(ledger_commands.app, session, "mirror", str(tmp_path / "mirror")).stdout)["size"] == 1
    assert run(trust_commands.app, session, "export", "-o", str(tmp_path / "acme.trust")).exit_code == 0
    (tmp_path / "no.json").write_text("{}")
    assert run(ledger_commands.app, session, "evidence", str(tmp_path / "no.json"), "--trust", str(tmp_path / "acme.trust")).exit_code == 1
    session.close()


def test_a_folder_in_the_home_is_not_outside(tmp_path: Path) -> None:
    inside = {"name": "a", "kind": "directory", "target": str(tmp_path / "home" / "x"), "outside": True, "run_by": "us"}
    with pytest.raises(ValueError, match="lies inside the home"):
        load_settings(home=tmp_path / "home", anchors=(inside,))
    twice = {"name": "a", "kind": "directory", "target": "/x"}
    with pytest.raises(ValueError, match="the same name"):
        load_settings(home=tmp_path / "home", anchors=(twice, twice))
