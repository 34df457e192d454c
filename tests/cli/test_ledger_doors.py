"""`governor ledger` and `governor trust` on a fresh home, through their command line."""

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from governor.actions.context import OPERATOR, open_context
from governor.cli import ledger, trust
from governor.cli.session import Session
from governor.errors import IntegrityError
from governor.ledger import merkle
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.entry import EntryDraft
from governor.ledger.note import parse_note
from governor.ledger.proof import parse_proof
from governor.ledger.trust import parse_trust
from governor.settings import load_settings


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    context = open_context(load_settings(home=tmp_path / "home"), create=True)
    for number in range(5):
        with context.transaction(OPERATOR) as tx:
            tx.append(EntryDraft("source:ingest", "source/s", {"batch": str(number)}, OPERATOR.ledger_ref(), f"b{number}", context.now()))
    context.close()
    made = Session(home=tmp_path / "home", json=True)
    yield made
    made.close()


def run(app: Any, session: Session, *words: str) -> Result:
    return CliRunner().invoke(app, list(words), obj=session)


def test_verify_checkpoint_and_entries(session: Session) -> None:
    checked = run(ledger.app, session, "verify")
    assert (checked.exit_code, json.loads(checked.stdout)["checked"]) == (0, 5)
    assert json.loads(run(ledger.app, session, "verify", "--tail", "2").stdout)["checked"] == 2
    shown = json.loads(run(ledger.app, session, "checkpoint").stdout)
    assert (shown["size"], shown["root"]) == (5, parse_checkpoint(parse_note(shown["note"]).text).root.hex())
    listed = json.loads(run(ledger.app, session, "entries", "--after", "2").stdout)["entries"]
    assert [entry["idx"] for entry in listed] == [3, 4]


def test_a_proof_leads_to_the_checkpoint_of_the_trust_file(session: Session, tmp_path: Path) -> None:
    assert run(trust.app, session, "export", "-o", str(tmp_path / "acme.trust")).exit_code == 0
    assert run(ledger.app, session, "proof", "3", "-o", str(tmp_path / "three")).exit_code == 0
    proof = parse_proof((tmp_path / "three.tlog-proof").read_text())
    note = parse_note(proof.checkpoint)
    assert note.signed_by(parse_trust((tmp_path / "acme.trust").read_bytes()).logs[0]) is True
    found = parse_checkpoint(note.text)
    leaf = merkle.leaf_hash((tmp_path / "three.json").read_bytes())
    merkle.verify_inclusion(proof.index, found.size, leaf, proof.hashes, found.root)


def test_words_for_people(session: Session) -> None:
    session.json = False
    first, *_, last = run(ledger.app, session, "verify").stdout.splitlines()
    assert first.startswith("NOT AUDIT-GRADE: no anchor outside")
    assert last.startswith("OK: 5 of 5 entries checked")
    assert re.match(r"[0-9a-f]{12}\.governor\.local/default\n5\n", run(ledger.app, session, "checkpoint").stdout)


def test_an_entry_that_was_changed_is_neither_proven_nor_listed(session: Session) -> None:
    with sqlite3.connect(str(session.home) + "/governor.db") as rows:
        for (name,) in rows.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            rows.execute(f'DROP TRIGGER "{name}"')
        rows.execute('UPDATE ledgerentry SET leaf = CAST(replace(leaf, \'"batch":"2"\', \'"batch":"7"\') AS BLOB) WHERE idx = 2')
    for words in (["proof", "2"], ["entries"]):
        done = run(ledger.app, session, *words)
        assert isinstance(done.exception, IntegrityError), done
        assert "entry 2" in done.exception.message
    assert run(ledger.app, session, "proof", "3").exit_code == 0
    assert run(ledger.app, session, "verify").exit_code == 1
