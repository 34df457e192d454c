"""The roles that docs/operations.md makes, on a real Postgres: who may write what of the ledger."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from governor.actions.context import OPERATOR, Context, open_context
from governor.actions.doctor import examine
from governor.actions.verify_ledger import verify_with_anchors
from governor.ledger.entry import EntryDraft
from governor.settings import load_settings

PAGE = Path(__file__).parents[2] / "docs/operations.md"


def documented(title: str, mark: str) -> list[str]:
    """The statements of one block of the page, with role names of this test's own: roles belong to the whole server."""
    found = re.search(rf"<!-- roles: {title} -->\n```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None, title
    named = re.sub(r"governor_(owner|app|sequencer)", rf"{mark}_\1", found[1]).replace("DATABASE governor ", f"DATABASE {mark} ")
    return [one for one in named.split(";") if one.strip()]


@pytest.fixture
def mark(postgres_server: str) -> str:
    name = f"roles_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        for statement in documented("once", name):
            admin.execute(statement.encode())
    return name


@pytest.fixture
def ctx(mark: str, postgres_server: str, tmp_path: Path) -> Iterator[Context]:
    """A home whose application and sequencer have roles of their own."""
    server = psycopg.conninfo.conninfo_to_dict(postgres_server)
    url = f"postgresql://{mark}_{{}}:...@/{mark}?host={server['host']}"
    open_context(load_settings(home=tmp_path / "home", database_url=url.format("owner")), create=True).close()
    with psycopg.connect(url.format("owner")) as owner:
        for statement in documented("after every upgrade", mark):
            owner.execute(statement.encode())
    made = open_context(load_settings(home=tmp_path / "home", database_url=url.format("app"), ledger_role=f"{mark}_sequencer"))
    yield made
    made.close()


def draft(ctx: Context, name: str) -> EntryDraft:
    return EntryDraft("source:ingest", "source/a", {"batch": name}, OPERATOR.ledger_ref(), name, ctx.now())


def test_the_application_appends_and_seals_through_the_sequencer_only(ctx: Context) -> None:
    ctx.rows.check_isolation()
    with ctx.transaction(OPERATOR) as tx:
        first = tx.append(draft(ctx, "one"))
    with ctx.transaction(OPERATOR) as tx:
        tx.alone()  # a verb that must know its index: placed inside its own transaction, which goes on as the application
        second = tx.append(draft(ctx, "two"))
        tx.enqueue("anchor", {"anchor": "none"}, dedupe="roles")
        assert tx.session.connection().exec_driver_sql("SELECT current_user = session_user").scalar_one()
    assert (first.idx, second.idx) == (0, 1)
    found = verify_with_anchors(ctx)
    assert found.ok, found.problems
    assert found.findings.size == 2


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ledgerentry SELECT * FROM ledgerentry WHERE false",
        "INSERT INTO ledgernode SELECT * FROM ledgernode WHERE false",
        "INSERT INTO ledgercheckpoint SELECT * FROM ledgercheckpoint WHERE false",
        "UPDATE ledgerentry SET type = type",
        "DELETE FROM ledgernode",
        "DELETE FROM ledgercheckpoint",
        "DELETE FROM ledgerwaiting",
        "UPDATE ledgerwaiting SET type = type",
        "TRUNCATE ledgerentry",
        "ALTER TABLE ledgerentry DISABLE TRIGGER ALL",
        "UPDATE alembic_version SET version_num = '0001'",
    ],
)
def test_the_application_itself_cannot(ctx: Context, statement: str) -> None:
    def astray() -> None:
        with ctx.rows.session(write=True) as session:
            session.execute(sa.text(statement))

    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        astray()


def test_the_sequencer_cannot_change_what_it_wrote_nor_touch_other_rows(ctx: Context) -> None:
    with ctx.transaction(OPERATOR) as tx:
        tx.append(draft(ctx, "one"))

    def astray(statement: str) -> None:
        with ctx.rows.session(write=True) as session:
            session.connection().exec_driver_sql(f"SET LOCAL ROLE {ctx.settings.ledger_role}")
            session.execute(sa.text(statement))

    for statement in (
        "DELETE FROM ledgerentry",
        "UPDATE ledgercheckpoint SET note = note",
        "SELECT * FROM person",
        "INSERT INTO ledgerwaiting DEFAULT VALUES",
    ):
        with pytest.raises(DBAPIError, match="permission denied"):
            astray(statement)


@pytest.mark.parametrize(
    ("role", "told"), [("governor_nobody", "GOVERNOR_LEDGER_ROLE governor_nobody cannot be taken"), ("", "permission denied")]
)
def test_what_is_committed_is_done_where_the_ledger_role_is_wrong(
    ctx: Context, caplog: pytest.LogCaptureFixture, role: str, told: str
) -> None:
    """The action answers; its entry waits for whoever may seal it. The doctor names the setting."""
    wrong = open_context(ctx.settings.model_copy(update={"ledger_role": role}))
    try:
        with wrong.transaction(OPERATOR) as tx:
            made = tx.append(draft(wrong, "one"))
        assert made.idx is None
        assert "committed but not sealed" in caplog.text
        assert told in caplog.text
        check = next(one for one in examine(wrong.settings) if one.name == "ledger role")
        assert (check.ok, "GOVERNOR_LEDGER_ROLE" in check.detail) == (False, True)
    finally:
        wrong.close()
    ctx.seal()
    assert verify_with_anchors(ctx).findings.size == 1
    assert next(one for one in examine(ctx.settings) if one.name == "ledger role").ok
