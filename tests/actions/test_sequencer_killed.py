"""A sequencer killed at each step of its batch, on both databases: what was promised gets its place once, and one history is signed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlmodel import select

from governor.actions.context import open_context
from governor.actions.verify_ledger import verify_with_anchors
from governor.settings import load_settings
from governor.store.rows.ledger import LedgerEntry

TURNS = 2  # of every stage, one after the other: each begins on what the last one left


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_killed_sequencer_is_gone_on_from(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres") if database == "postgres" else ""
    settings = load_settings(home=tmp_path / "home", database_url=url or None)
    open_context(settings, create=True).close()
    command = [sys.executable, str(Path(__file__).with_name("seal_and_die.py")), str(settings.home), url, str(TURNS)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOVERNOR_")}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    promised = (settings.home / "acks").read_text().split()
    ctx = open_context(settings)
    ctx.seal()
    with ctx.rows.session() as session:
        found = [(row.idx, row.idem) for row in session.exec(select(LedgerEntry).order_by(LedgerEntry.idx))]
    assert [idx for idx, _ in found] == list(range(len(found)))
    assert max(Counter(idem for _, idem in found).values()) == 1
    assert set(promised) <= {idem for _, idem in found}
    verified = verify_with_anchors(ctx)
    assert verified.ok, verified.problems
    assert (verified.findings.size, verified.findings.unsealed) == (len(found), 0)
    ctx.close()
