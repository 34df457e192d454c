"""Appending, sealing and checking the log on SQLite and on a real Postgres, with rivals and with an administrator who cheats."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, select

from governor.adapters.keys import FileKeys
from governor.errors import IntegrityError, Invalid, NotFound
from governor.ledger import merkle
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.entry import Entry, EntryDraft
from governor.ledger.note import ED25519, VerifierKey, parse_note
from governor.store import ledger, nodes, sequencer
from governor.store.database import Database
from governor.store.fsck import Findings, fsck, verify_tail
from governor.store.rows.ledger import LedgerCheckpoint, LedgerDisclosure, LedgerEntry

NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
ORG = "default"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> FileKeys:
    made = FileKeys(tmp_path_factory.mktemp("home"))
    made.create(ORG)
    return made


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path}/rows.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    made = Database(url, ORG)
    made.migrate()
    yield made
    made.close()


def draft(number: int, **options: Any) -> EntryDraft:
    fixed: dict[str, Any] = {
        "type": "source:ingest", "stream": f"source/s{number % 3}", "payload": {"batch": f"b{number}"},
        "actor": {"kind": "operator", "ref": "operator"}, "idem": f"batch-{number}", "occurred_at": NOW,
    }  # fmt: skip
    return EntryDraft(**{**fixed, **options})


def write(database: Database, keys: FileKeys, number: int, *, at: datetime = NOW, **options: Any) -> LedgerEntry:
    with database.session(write=True) as session:
        return ledger.append(session, ORG, draft(number, **options), at, keys.producer_signer())


def seal(database: Database, keys: FileKeys) -> LedgerCheckpoint | None:
    sequencer.settle(database)
    with database.session(write=True) as session:
        return ledger.sign_checkpoint(session, ORG, keys.log_signer(), keys.origin(ORG), NOW)


def check(database: Database, keys: FileKeys, *, tail: int = 0) -> Findings:
    producer = keys.producer_signer()
    log = VerifierKey(keys.origin(ORG), ED25519, keys.log_signer().public_key)
    with database.session() as session:
        if tail:
            return verify_tail(session, ORG, log, {producer.key_id: producer.public_key}, entries=tail)
        return fsck(session, ORG, log, {producer.key_id: producer.public_key})


def test_rivals_leave_no_gap_and_no_double(database: Database, keys: FileKeys) -> None:
    """Eight writers, each wish told twice by two of them."""
    failures: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for number in range(12):
                write(database, keys, (worker // 2) * 100 + number)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    seal(database, keys)
    with database.session() as session:
        rows = ledger.entries(session, ORG, limit=1000)
        assert [row.idx for row in rows] == list(range(48))
        assert len({row.idem for row in rows}) == 48
        for stream in {row.stream for row in rows}:
            mine = [row for row in rows if row.stream == stream]
            assert [row.stream_seq for row in mine] == list(range(1, len(mine) + 1))
    found = check(database, keys)
    assert found.ok, found.problems
    assert (found.size, found.checked, found.unsealed) == (48, 48, 0)


def test_the_same_wish_is_one_entry_for_ever(database: Database, keys: FileKeys) -> None:
    first = write(database, keys, 1)
    again = write(database, keys, 1, payload={"batch": "told differently"})
    assert (again.id, again.leaf) == (first.id, first.leaf)


def test_whether_entries_are_of_one_type(database: Database, keys: FileKeys) -> None:
    for number in range(3):
        write(database, keys, number, type="source:ingest" if number else "catalog:apply")
    seal(database, keys)
    with database.session() as session:
        told = {first: ledger.only_of_type(session, ORG, "source:ingest", first, 3) for first in range(4)}
    assert told == {0: False, 1: True, 2: True, 3: True}


def test_a_rolled_back_action_leaves_no_entry(database: Database, keys: FileKeys) -> None:
    write(database, keys, 0)

    def fail() -> None:
        with database.session(write=True) as session:
            ledger.append(session, ORG, draft(1), NOW, keys.producer_signer())
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    write(database, keys, 2)
    with pytest.raises(Invalid):
        write(database, keys, 3, payload={"cost": 0.1})
    write(database, keys, 4)
    sequencer.settle(database)
    with database.session() as session:
        assert [(row.idx, row.idem) for row in ledger.entries(session, ORG)] == [(0, "batch-0"), (1, "batch-2"), (2, "batch-4")]


def test_proofs_of_every_entry(database: Database, keys: FileKeys) -> None:
    for number in range(13):
        write(database, keys, number)
    checkpoint = seal(database, keys)
    assert checkpoint is not None
    with database.session() as session:
        for row in ledger.entries(session, ORG):
            proof = ledger.tlog_proof(session, ORG, row.idx, checkpoint)
            merkle.verify_inclusion(row.idx, checkpoint.size, Entry.parse(row.leaf).leaf_hash, proof.hashes, checkpoint.root)
        hashes = [row.leaf_hash for row in ledger.entries(session, ORG, after=3, limit=5)]
        merkle.verify_range(4, 13, hashes, ledger.range_proof(session, ORG, 4, 9, 13), checkpoint.root)
        merkle.verify_consistency(5, 13, ledger.root_at(session, ORG, 5), checkpoint.root, ledger.consistency(session, ORG, 5, 13))


def test_checkpoints_grow_and_are_found_again(database: Database, keys: FileKeys) -> None:
    assert seal(database, keys) is None
    for number in range(3):
        write(database, keys, number)
        seal(database, keys)
    again = seal(database, keys)
    with database.session() as session:
        newest = ledger.latest_checkpoint(session, ORG)
        assert newest is not None
        assert again is not None
        assert (newest.size, newest.note) == (3, again.note)
        assert ledger.checkpoint_covering(session, ORG, 1).size == 2
        with pytest.raises(NotFound):
            ledger.checkpoint_covering(session, ORG, 3)
    note = parse_note(newest.note)
    assert note.signed_by(VerifierKey(keys.origin(ORG), ED25519, keys.log_signer().public_key)) is True
    assert parse_checkpoint(note.text).origin == keys.origin(ORG)


def test_time_never_steps_back(database: Database, keys: FileKeys) -> None:
    write(database, keys, 0)
    held = write(database, keys, 1, at=NOW - timedelta(seconds=2))
    assert held.recorded_at == NOW
    write(database, keys, 2, at=NOW - timedelta(hours=2))
    write(database, keys, 3, at=NOW - timedelta(hours=1))
    sequencer.settle(database)
    with database.session() as session:
        rows = ledger.entries(session, ORG)
    assert [row.type for row in rows] == ["source:ingest", "source:ingest", "clock:anomaly", "source:ingest", "source:ingest"]
    assert {row.recorded_at for row in rows} == {NOW}


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_whoever_began_earlier_is_placed_earlier(database: Database, keys: FileKeys) -> None:
    """A writer that holds an older time commits late: the sequencer waits for it, so time never steps back in the log."""
    began, go_on, settled = threading.Event(), threading.Event(), threading.Event()

    def late() -> None:
        with database.session(write=True) as session:
            ledger.append(session, ORG, draft(0), NOW, keys.producer_signer())
            began.set()
            go_on.wait(20)

    def settle() -> None:
        sequencer.settle(database)
        settled.set()

    slow = threading.Thread(target=late)
    slow.start()
    assert began.wait(20)
    quick = write(database, keys, 1, at=NOW + timedelta(seconds=1))  # another stream: it waits for nobody
    assert quick.idx is None
    placing = threading.Thread(target=settle)
    placing.start()
    assert not settled.wait(0.3)
    go_on.set()
    slow.join(20)
    placing.join(20)
    write(database, keys, 2, at=NOW)  # began after the batch, with a slower clock
    sequencer.settle(database)
    with database.session() as session:
        rows = ledger.entries(session, ORG)
    assert [row.idem for row in rows] == ["batch-0", "batch-1", "batch-2"]
    assert [row.recorded_at - NOW for row in rows] == [timedelta(0), timedelta(seconds=1), timedelta(seconds=1)]


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_what_waits_is_known_counted_and_placed_by_whoever_comes_next(database: Database, keys: FileKeys) -> None:
    write(database, keys, 0)
    seal(database, keys)
    first = write(database, keys, 3)  # the same stream; its writer dies before it is placed
    again = write(database, keys, 3, payload={"batch": "told differently"})
    assert (first.idx, again.id, again.leaf, again.idx) == (None, first.id, first.leaf, None)
    assert write(database, keys, 6).stream_seq == 3
    found = check(database, keys)
    assert (found.ok, found.size, found.unsealed) == (True, 1, 2)
    with database.session(write=True) as session:  # a verb that must know its index
        sequencer.alone(session, ORG)
        assert ledger.append(session, ORG, draft(9), NOW, keys.producer_signer()).idx == 3
    assert write(database, keys, 3).idx == 1
    seal(database, keys)
    found = check(database, keys)
    assert (found.ok, found.size, found.unsealed) == (True, 4, 0)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_nobody_is_alone_while_another_appends_and_a_rollback_lets_go(database: Database, keys: FileKeys) -> None:

    def fail() -> None:
        with database.session(write=True) as session:
            sequencer.alone(session, ORG)
            ledger.append(session, ORG, draft(0), NOW, keys.producer_signer())
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    write(database, keys, 1)
    assert list(sequencer.settle(database).values()) == [0]
    with database.session() as session:
        held = session.execute(
            sa.text(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )
        assert held.scalar() == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_proofs_are_read_by_key(database: Database, keys: FileKeys) -> None:
    """SQLite reads `(level, pos) IN (VALUES ...)` by scanning the whole table: 0.1 s at 300,000 entries."""
    with database.session() as session:
        plan = session.execute(sa.text("EXPLAIN QUERY PLAN " + nodes.READ_SQLITE.text), {"org": ORG, "wanted": "[[0, 1]]"}).all()
    assert any("SEARCH n USING" in row[3] and "level=?" in row[3] and "pos=?" in row[3] for row in plan), plan


def test_personal_fields_live_beside_the_log_and_can_be_erased(database: Database, keys: FileKeys) -> None:
    row = write(database, keys, 0, personal={"email": "dana@acme.example"})
    seal(database, keys)
    assert b"dana" not in row.leaf
    with database.session(write=True) as session:
        assert [(found.name, found.value) for found in ledger.disclosures(session, ORG, row.id)] == [("email", "dana@acme.example")]
        session.delete(session.exec(select(LedgerDisclosure)).one())
    assert check(database, keys).ok


def test_the_database_itself_refuses_changes(database: Database, keys: FileKeys) -> None:
    write(database, keys, 0)
    seal(database, keys)
    statements = [
        "UPDATE ledgerentry SET type = 'home:init'", "DELETE FROM ledgerentry", "UPDATE ledgernode SET pos = 9", "DELETE FROM ledgernode",
        "UPDATE ledgercheckpoint SET size = 9", "DELETE FROM ledgercheckpoint",
    ]  # fmt: skip
    if not database.embedded:
        statements.append("TRUNCATE ledgerentry")
        write(database, keys, 1)
        statements.append("UPDATE ledgerwaiting SET idem = 'another'")
    for statement in statements:

        def run(statement: str = statement) -> None:
            with database.session(write=True) as session:
                session.execute(sa.text(statement))

        with pytest.raises(DBAPIError, match=r"append only|permission denied"):
            run()


Attack = Callable[[Session], None]


def sql(*statements: str) -> Attack:
    def run(session: Session) -> None:
        for statement in statements:
            session.execute(sa.text(statement))

    return run


def forge_leaf(session: Session) -> None:
    """Edit a leaf and its hash, as an administrator would who knows the columns but not the keys."""
    row = session.exec(select(LedgerEntry).where(LedgerEntry.idx == 4)).one()
    leaf = row.leaf.replace(b'"b4"', b'"b9"')
    session.execute(
        sa.text("UPDATE ledgerentry SET leaf = :leaf, leaf_hash = :hash WHERE idx = 4"), {"leaf": leaf, "hash": merkle.leaf_hash(leaf)}
    )


ATTACKS: dict[str, tuple[Attack, str]] = {
    "edit a leaf": (sql("UPDATE ledgerentry SET leaf = replace(leaf, 'b4', 'b9') WHERE idx = 4"), "leaf bytes do not hash"),
    "edit a leaf and its hash": (forge_leaf, "producer signature"),
    "edit a column": (sql("UPDATE ledgerentry SET type = 'home:init' WHERE idx = 4"), "columns differ"),
    "delete in the middle": (sql("DELETE FROM ledgerentry WHERE idx = 4"), "entry 4 is missing"),
    "delete the tail": (sql("DELETE FROM ledgerentry WHERE idx > 7"), "signed over another tree"),
    "swap two entries": (
        sql("UPDATE ledgerentry SET idx = -1 WHERE idx = 4", "UPDATE ledgerentry SET idx = 4 WHERE idx = 5", "UPDATE ledgerentry SET idx = 5 WHERE idx = -1"),
        "tree node 0/4 is wrong",
    ),
    "edit a tree node": (sql("UPDATE ledgernode SET hash = (SELECT root FROM ledgercheckpoint LIMIT 1) WHERE level = 2 AND pos = 1"), "tree node 2/1 is wrong"),
    "delete a tree node": (sql("DELETE FROM ledgernode WHERE level = 2 AND pos = 1"), "nodes"),
    "edit a checkpoint": (sql("UPDATE ledgercheckpoint SET size = 9"), "does not say what its columns say"),
    "delete all checkpoints": (sql("DELETE FROM ledgercheckpoint"), "no checkpoint"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_what_an_administrator_changes_is_found(tmp_path: Path, keys: FileKeys, name: str) -> None:
    attack, reason = ATTACKS[name]
    database = Database(f"sqlite:///{tmp_path}/rows.db", ORG)
    database.migrate()
    for number in range(10):
        write(database, keys, number)
    seal(database, keys)
    assert check(database, keys).ok
    assert check(database, keys, tail=4).ok
    with database.session(write=True) as session:
        for (trigger,) in session.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            session.execute(sa.text(f"DROP TRIGGER {trigger}"))
        attack(session)
    found = check(database, keys)
    assert not found.ok
    assert any(reason in problem for problem in found.problems), found.problems
    database.close()


def test_checking_asks_for_batches_and_not_for_each_entry(database: Database, keys: FileKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query for the root of each checkpoint was most of what a check cost; one for each stream made the check of the tail as dear as the log is wide."""
    asked: list[str] = []
    costs = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    for size in (6, 18):
        for number in range(size):
            write(database, keys, number, stream=f"source/s{number // 2}")
            seal(database, keys)
        for tail in (0, 4):
            asked.clear()
            found = check(database, keys, tail=tail)
            assert (found.checked, found.checkpoints, found.problems) == (tail or size, tail + 1 if tail else size, [])
            costs.append(len(asked))
    assert costs[:2] == costs[2:]
    monkeypatch.setattr("governor.store.fsck.BATCH", 3)  # more than one batch says the same
    assert check(database, keys).checkpoints == 18
    assert check(database, keys, tail=8).ok


def test_what_is_written_while_the_log_is_checked_is_no_finding(
    database: Database, keys: FileKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        write(database, keys, number)
    seal(database, keys)

    def size_and_more(session: Session, org: str) -> int:
        size = sequencer.tree_size(session, org)
        write(database, keys, 4)
        seal(database, keys)
        return size

    monkeypatch.setattr("governor.store.fsck.tree_size", size_and_more)
    found = check(database, keys)
    assert (found.size, found.checked, found.checkpoints, found.problems) == (4, 4, 1, [])


def test_a_shrunken_log_is_never_signed_again(tmp_path: Path, keys: FileKeys) -> None:
    database = Database(f"sqlite:///{tmp_path}/rows.db", ORG)
    database.migrate()
    for number in range(6):
        write(database, keys, number)
    seal(database, keys)
    with database.session(write=True) as session:
        for (trigger,) in session.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            session.execute(sa.text(f"DROP TRIGGER {trigger}"))
        session.execute(sa.text("DELETE FROM ledgerentry WHERE idx > 3"))
    with pytest.raises(IntegrityError, match="has 4 entries, but 6 were signed"):
        seal(database, keys)
    database.close()


def test_a_log_keeps_its_name(database: Database, keys: FileKeys) -> None:
    write(database, keys, 0)
    seal(database, keys)
    renamed = FileKeys(keys.folder.parent, domain="acme.example")
    with pytest.raises(IntegrityError, match=r"signed as [0-9a-f]{12}\.governor\.local/default"):
        seal(database, renamed)


def test_a_stranger_cannot_have_written_or_signed(database: Database, keys: FileKeys, tmp_path: Path) -> None:
    stranger = FileKeys(tmp_path / "other")
    stranger.create(ORG)
    write(database, stranger, 0)
    seal(database, stranger)
    problems = check(database, keys).problems
    assert any("unknown producer key" in problem for problem in problems)
    assert any("not signed by the log key" in problem for problem in problems)
