"""What an administrator of the database changes in the rows of decisions, changes and closed months is seen against the ledger, column by column."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from governor.actions.browse_periods import period_file
from governor.actions.close_period import close, closed_files, hand_out, status
from governor.actions.decide import approve
from governor.actions.erase_person import erase_person
from governor.actions.month_rows import _lines
from governor.actions.reopen_period import reopen, version_file
from governor.actions.state_rows import state_problems
from governor.errors import WrongState
from governor.ledger.canonical import sha256_hex
from tests.actions.test_close_period import OCTOBER, calls
from tests.actions.test_close_period import month as open_month  # noqa: F401 - a fixture

STATEMENT = "statement-2026-10-CC-4100.csv"
ONE_LINE = "(SELECT min(line_id) FROM periodline)"
MONTH_ATTACKS = {
    f"UPDATE periodfile SET body = X'78' WHERE name = '{STATEMENT}'": f"{STATEMENT} does not hash",
    f"DELETE FROM periodfile WHERE name = '{STATEMENT}'": f"{STATEMENT} is gone",
    "UPDATE periodfile SET name = 'other.csv' WHERE name = 'journal-2026-10.csv'": "other.csv is none of the files",
    "UPDATE periodfile SET body = X'78' WHERE name = 'manifest.json'": "its manifest.json is not the one",
    f"UPDATE periodline SET contracted_pico = '5' WHERE line_id = {ONE_LINE}": "columns of line",
    f"UPDATE periodline SET body = replace(body, '\"calls\":', '\"calls\":1') WHERE line_id = {ONE_LINE}": "is not as the statement says",
    f"UPDATE periodline SET body = 'x' WHERE line_id = {ONE_LINE}": "cannot be read",
    f"DELETE FROM periodline WHERE line_id = {ONE_LINE}": "is not as the statement says",
    "UPDATE period SET totals = replace(totals, '\"sufficient\":true', '\"sufficient\":false')": "other coverage",
    "UPDATE period SET totals = 'x'": "cannot be read",
    "UPDATE period SET snapshot = snapshot - 1": "another snapshot",
    "UPDATE period SET catalog_as_of = '2026-11-01 00:00:00.000000'": "another pin",
    "UPDATE period SET price_book = 'x'": "another price book",
    "UPDATE period SET closed_by = 'dana@acme.example'": "another person",
    "UPDATE period SET state = 'open'": "the ledger says closed, its row open",
    "DELETE FROM period": "the ledger says closed, its row is gone",
    "UPDATE periodline SET month = '2026-09'": "2026-09: files or lines of a close are stored",
}
VERSION_ATTACKS = {
    f"UPDATE periodversionfile SET body = X'78' WHERE name = '{STATEMENT}'": f"2026-10 version 1: {STATEMENT} does not hash",
    "UPDATE periodversion SET lines = '[]'": "is not as the statement says",
    "UPDATE periodversion SET reason = 'x'": "another reason",
    "UPDATE periodversion SET version = 7": "no row keeps it",
}
CHANGE_ATTACKS = {
    "UPDATE change SET requester_id = 'x'": "another requester",
    "UPDATE change SET workflow_id = 'x'": "another workflow",
    "UPDATE change SET plan = '{}'": "another plan",
    "UPDATE change SET digest = 'x'": "another digest",
    'UPDATE change SET request = replace(request, \'"reason":"\', \'"reason":"x\')': "another reviewed request",
    "UPDATE change SET request = 'x'": "cannot be read",
    "UPDATE change SET needs = '[]'": "another list of needed roles",
    "UPDATE change SET cutover_at = updated_at": "another time of cutover",
    "UPDATE approval SET auth = 'passkey'": "another way of signing in",
    "UPDATE approval SET expires_at = '2036-01-01 00:00:00.000000'": "another expiry",
    "UPDATE approval SET decided_at = '2026-01-01 00:00:00.000000'": "another time",
    "UPDATE approval SET reason = 'x'": "another reason",
    "DELETE FROM change": "the ledger says that it was proposed, and no row does",
}


class _TakeBack(Exception):
    """Ends a transaction without a commit."""


def unseen(world: Any, attacks: dict[str, str]) -> dict[str, list[str]]:
    """The attacks that are not told as they should be, each made alone and taken back."""
    missed: dict[str, list[str]] = {}
    for statement, told in attacks.items():
        with contextlib.suppress(_TakeBack), world.ctx.rows.session(write=True) as session:
            session.execute(sa.text("PRAGMA defer_foreign_keys = ON"))
            session.execute(sa.text(statement.replace(":", r"\:")))
            found = state_problems(session, world.ctx.org)
            if not any(told in one for one in found):
                missed[statement] = found
            raise _TakeBack
    return missed


def problems(world: Any) -> list[str]:
    with world.ctx.rows.session() as session:
        return state_problems(session, world.ctx.org)


@pytest.fixture
def month(open_month: Any) -> Any:  # noqa: F811 - the fixture
    close(open_month.ctx, open_month.person("finn"), OCTOBER)
    return open_month


def test_every_column_of_a_closed_month_is_held_to_its_close(month: Any) -> None:
    assert problems(month) == []
    assert unseen(month, MONTH_ATTACKS) == {}


def test_a_close_that_was_reopened_is_held_too_and_the_next_one_also(month: Any) -> None:
    finn, multi = month.person("finn"), month.person("multi")
    reopen(month.ctx, finn, OCTOBER, "a source was missing")
    assert problems(month) == []
    reopen(month.ctx, multi, OCTOBER)
    assert problems(month) == []
    month.apply("kind: organization\nmonth_end: {two_people: true}\n")
    calls(month, "late", count=3)
    close(month.ctx, finn, OCTOBER)
    assert close(month.ctx, multi, OCTOBER)["state"] == "closed"
    assert problems(month) == []
    assert unseen(month, {**VERSION_ATTACKS, **MONTH_ATTACKS}) == {}
    erase_person(month.ctx, month.admin, email="finn@acme.example", reason="request 17")
    assert problems(month) == [], "an address that was erased is no finding"


def test_a_statement_from_before_commitments_had_lines_is_no_finding() -> None:
    assert not list(_lines({"cost_centers": [{"lines": [], "internal": [], "corrections": []}]}, []))


def test_every_column_of_a_decided_change_is_held_to_its_entries(world: Any) -> None:
    change = world.reviewed()
    assert problems(world) == []
    for person in ("dana", "sol"):
        approve(world.ctx, world.person(person), change["id"], digest=change["digest"], reason="evidence read")
    assert problems(world) == []
    assert unseen(world, CHANGE_ATTACKS) == {}


def test_a_change_that_waits_for_its_review_is_no_finding(world: Any) -> None:
    change = world.propose()
    assert problems(world) == []
    assert unseen(world, {"UPDATE change SET digest = 'x'": "another digest"}) == {}
    world.shadow(change["id"], "rae")
    assert problems(world) == []


def test_a_file_is_handed_out_only_as_the_ledger_knows_it(month: Any, tmp_path: Path) -> None:
    """Body and the digest beside it are changed together."""
    changed = b"cost_center,amount\nCC-4100,0.00\n"
    with month.ctx.rows.session(write=True) as session:
        statement = sa.text("UPDATE periodfile SET body = :body, sha256 = :sha WHERE name = :name")
        session.execute(statement, {"body": changed, "sha": sha256_hex(changed), "name": STATEMENT})
    for read in (
        lambda: hand_out(month.ctx, OCTOBER, tmp_path),
        lambda: closed_files(month.ctx, OCTOBER),
        lambda: period_file(month.ctx, OCTOBER, STATEMENT),
    ):
        with pytest.raises(WrongState, match="does not hash to what was recorded"):
            read()
    assert not (tmp_path / STATEMENT).exists()
    assert period_file(month.ctx, OCTOBER, "journal-2026-10.csv").body, "the others are as they were"
    finn, multi = month.person("finn"), month.person("multi")
    reopen(month.ctx, finn, OCTOBER, "look at it")
    reopen(month.ctx, multi, OCTOBER)
    with pytest.raises(WrongState, match="does not hash to what was recorded"):
        version_file(month.ctx, OCTOBER, 1, STATEMENT)
    assert version_file(month.ctx, OCTOBER, 1, "journal-2026-10.csv").body


@pytest.mark.parametrize("statement", ["UPDATE period SET state = 'open'", "DELETE FROM period"])
def test_a_month_that_the_ledger_has_closed_is_not_closed_again(month: Any, statement: str) -> None:
    with month.ctx.rows.session(write=True) as session:
        session.execute(sa.text(statement))
    with pytest.raises(WrongState, match="the ledger says that 2026-10 is closed"):
        close(month.ctx, month.person("finn"), OCTOBER)
    assert "the ledger says that 2026-10 is closed, its row says open" in status(month.ctx, OCTOBER)["reasons"]
