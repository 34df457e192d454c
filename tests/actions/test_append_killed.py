"""Writers killed at any moment, on both databases: no gap, no double, no lost acknowledgement, no fork, and the anchor agrees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlmodel import select

from governor.actions.anchors import publish_all
from governor.actions.context import OPERATOR, open_context
from governor.actions.verify_ledger import verify_with_anchors
from governor.ledger.entry import EntryDraft
from governor.settings import load_settings
from governor.store.rows.ledger import LedgerEntry

ROUNDS = int(os.environ.get("GOVERNOR_KILL_ROUNDS", "50"))  # a night runs 1000


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_killed_writers_leave_a_whole_ledger(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres") if database == "postgres" else ""
    outside = tmp_path / "outside"
    outside.mkdir()
    anchor = {"name": "audit", "kind": "directory", "target": str(outside), "outside": True, "run_by": "audit"}
    settings = load_settings(home=tmp_path / "home", database_url=url or None, anchors=(anchor,))
    open_context(settings, create=True).close()
    command = [sys.executable, str(Path(__file__).with_name("append_and_die.py")), str(settings.home), url, str(outside), str(ROUNDS), "7"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOVERNOR_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-2000:]
    promised = (settings.home / "acks").read_text().split()
    ctx = open_context(settings)
    with ctx.transaction(OPERATOR) as tx:  # the next writer goes on as if nothing had happened
        tx.append(EntryDraft("source:ingest", "source/s0", {"batch": "last"}, OPERATOR.ledger_ref(), "last", ctx.now()))
    assert all(told["ok"] for told in publish_all(ctx))
    with ctx.rows.session() as session:
        found = [(row.idx, row.idem) for row in session.exec(select(LedgerEntry).order_by(LedgerEntry.idx))]
    assert [idx for idx, _ in found] == list(range(len(found)))
    assert max(Counter(idem for _, idem in found).values()) == 1
    assert set(promised) <= {idem for _, idem in found}
    assert len(promised) >= ROUNDS // 2  # the kills hit writers at work
    verified = verify_with_anchors(ctx)
    assert verified.ok, verified.problems
    assert (verified.audit_grade, verified.findings.unsealed, verified.anchors[0].newest) == (True, 0, len(found))
    ctx.close()
