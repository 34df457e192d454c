"""What a database administrator can do, each found with one anchor out of reach; without one, the first line says what cannot be seen."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import select

from governor.actions.anchors import publish_all
from governor.actions.chores import CHORES, Clock
from governor.actions.context import OPERATOR, Context, open_context
from governor.actions.verify_ledger import Verified, verify_with_anchors, watch_tail, watch_whole, write_evidence
from governor.errors import GovernorError, IntegrityError
from governor.ledger import merkle
from governor.ledger.anchor import AnchorConfig, parse_contradiction, prove
from governor.ledger.entry import Entry, EntryDraft
from governor.ledger.note import ED25519, VerifierKey
from governor.settings import load_settings
from governor.store import ledger
from governor.store.kept import note_file
from governor.store.rows.ledger import LedgerEntry

LEDGER = ("ledgerentry", "ledgernode", "ledgercheckpoint")


def act(ctx: Context, number: int, *, said: str = "") -> None:
    with ctx.transaction(OPERATOR) as tx:
        payload = {"batch": said or f"b{number}"}
        draft = EntryDraft(
            "source:ingest", f"source/s{number % 2}", payload, OPERATOR.ledger_ref(), f"i{number}", ctx.now(), personal={"who": "dana"}
        )
        tx.append(draft)


def opened(folder: Path, *, anchored: bool = True) -> Context:
    outside = folder / "outside"
    outside.mkdir(exist_ok=True)
    anchor = AnchorConfig(name="audit", kind="directory", target=str(outside), outside=True, run_by="internal audit")
    return open_context(load_settings(home=folder / "home", anchors=(anchor,) if anchored else ()), create=True)


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    made = opened(tmp_path)
    for number in range(6):
        act(made, number)
        publish_all(made)
    yield made
    made.close()


def sql(ctx: Context, *statements: str, **values: object) -> None:
    with ctx.rows.session(write=True) as session:
        for (trigger,) in session.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            session.execute(sa.text(f"DROP TRIGGER {trigger}"))
        for statement in statements:
            session.execute(sa.text(statement), values if ":" in statement else {})


def run_sql(*statements: str) -> Callable[[Context], None]:
    return lambda ctx: sql(ctx, *statements)


def body_and_hash(ctx: Context) -> None:
    with ctx.rows.session() as session:
        leaf = session.exec(select(LedgerEntry).where(LedgerEntry.idx == 3)).one().leaf.replace(b'"b3"', b'"b9"')
    sql(ctx, "UPDATE ledgerentry SET leaf = :leaf, leaf_hash = :hash WHERE idx = 3", leaf=leaf, hash=merkle.leaf_hash(leaf))


def insert_at_tail(ctx: Context) -> None:
    sql(
        ctx,
        "INSERT INTO ledgerentry SELECT org_id, id || 'x', 6, type, stream, 9, idem || 'x', leaf, leaf_hash, recorded_at FROM ledgerentry WHERE idx = 5",
    )


def rewrite(ctx: Context, *, drop_checkpoints: bool = True) -> None:
    """Everything again with one batch told differently: every hash, stream number and producer signature is right."""
    with ctx.rows.session() as session:
        rows = list(session.exec(select(LedgerEntry).order_by(LedgerEntry.idx)).all())
    sql(ctx, *(f"DELETE FROM {table}" for table in (LEDGER if drop_checkpoints else LEDGER[:2])), "DELETE FROM ledgerdisclosure")
    for row in rows:
        body = Entry.parse(row.leaf).body
        payload = {"batch": "b9"} if row.idx == 3 else body["payload"]
        draft = EntryDraft(body["type"], body["stream"], payload, body["actor"], row.idem, row.recorded_at)
        with ctx.rows.session(write=True) as session:
            ledger.append(session, ctx.org, draft, row.recorded_at, ctx.keys.producer_signer())


def sign_anew(ctx: Context, *, both: bool = True) -> None:
    cosign = {"cosign": ctx.keys.cosign(ctx.org, ctx.now())} if both else {}
    with ctx.rows.session(write=True) as session:
        ledger.sign_checkpoint(session, ctx.org, ctx.keys.log_signer(), ctx.keys.origin(ctx.org), ctx.now(), **cosign)


def stolen_key(ctx: Context) -> None:
    rewrite(ctx)
    sign_anew(ctx)
    note_file(ctx.settings.home, ctx.org).unlink()


def one_stolen_key(ctx: Context) -> None:
    """Only the first of the log's two keys was stolen, and one checkpoint was left as it is."""
    old_backup(ctx)
    act_directly(ctx, 14)
    sign_anew(ctx, both=False)


def old_backup(ctx: Context) -> None:
    """Cut back to a state that was whole once, its own checkpoint included."""
    sql(
        ctx,
        "DELETE FROM ledgerentry WHERE idx > 3",
        "DELETE FROM ledgernode WHERE level = 0 AND pos > 3 OR level = 1 AND pos > 1 OR level = 2 AND pos > 0",
        "DELETE FROM ledgercheckpoint WHERE size > 4",
        "DELETE FROM ledgeranchor WHERE size > 4",
    )
    note_file(ctx.settings.home, ctx.org).unlink()


def backup_and_on(ctx: Context) -> None:
    """A restored database that went on with the real key: three other entries where two were signed."""
    old_backup(ctx)
    for number in (14, 15, 16):
        act_directly(ctx, number)
    sign_anew(ctx)


def act_directly(ctx: Context, number: int) -> None:
    with ctx.rows.session(write=True) as session:
        draft = EntryDraft("source:ingest", "source/s0", {"batch": f"b{number}"}, OPERATOR.ledger_ref(), f"i{number}", ctx.now())
        ledger.append(session, ctx.org, draft, ctx.now(), ctx.keys.producer_signer())


def hide_publications(ctx: Context) -> None:
    """The stolen key again, and every trace of the anchor taken out of the database."""
    stolen_key(ctx)
    sql(ctx, "DELETE FROM ledgeranchor", "DELETE FROM job")


def without_its_second_signature(ctx: Context) -> None:
    with ctx.rows.session() as session:
        note = ledger.latest_checkpoint(session, ctx.org).note
    sql(ctx, "UPDATE ledgercheckpoint SET note = :note WHERE size = 6", note=note.rpartition("\u2014")[0])


def with_a_wrong_second_signature(ctx: Context) -> None:
    with ctx.rows.session() as session:
        held = [ledger.checkpoint_covering(session, ctx.org, idx).note for idx in (4, 5)]
    sql(
        ctx,
        "UPDATE ledgercheckpoint SET note = :note WHERE size = 6",
        note="\u2014".join([*held[1].split("\u2014")[:2], held[0].split("\u2014")[2]]),
    )


APPROVED = (
    "INSERT INTO change (org_id, id, number, workflow_id, state, requester_id, requester_email, request, plan, digest, needs, created_at, updated_at, "
    "cutover_note, verification) VALUES ('default', 'RC-1', 1, 'w', 'approved', 'p', 'p@acme.example', '{}', '', 'd', '[]', '2026-11-02', '2026-11-02', '', '')"
)
APPROVAL = (
    "INSERT INTO approval (org_id, id, change_id, person_id, person_email, role, decision, digest, reason, decided_at, auth) "
    "VALUES ('default', 'a', 'RC-1', 'p', 'p@acme.example', 'owner', 'approve', 'd', '', '2026-11-02', 'token')"
)
CLOSED = "INSERT INTO period (org_id, month, state, price_book, totals, closed_by) VALUES ('default', '2026-10', 'closed', '', '{}', 'p')"


# attack -> (what the report says, whether the database alone would have shown it)
ATTACKS: dict[str, tuple[Callable[[Context], None], str, bool]] = {
    "edit a body": (run_sql("UPDATE ledgerentry SET leaf = CAST(replace(leaf, 'b3', 'b9') AS BLOB) WHERE idx = 3"), "do not hash", True),
    "edit body and hash": (body_and_hash, "producer signature", True),
    "delete an entry": (run_sql("DELETE FROM ledgerentry WHERE idx = 3"), "entry 3 is missing", True),
    "swap two entries": (run_sql(*(f"UPDATE ledgerentry SET idx = {new} WHERE idx = {old}" for old, new in ((2, -1), (4, 2), (-1, 4)))), "tree node", True),
    "insert at the tail": (insert_at_tail, "entry 6", True),
    "edit the tree": (run_sql("UPDATE ledgernode SET hash = zeroblob(32) WHERE level = 1 AND pos = 1"), "tree node 1/1 is wrong", True),
    "edit a checkpoint": (run_sql("UPDATE ledgercheckpoint SET root = zeroblob(32) WHERE size = 5"), "does not say what its columns say", True),
    "cut the tail": (run_sql("DELETE FROM ledgerentry WHERE idx > 3"), "entries 4 to 5 are gone", True),
    "rewrite everything": (lambda ctx: rewrite(ctx, drop_checkpoints=False), "not those that were signed", True),
    "rewrite, delete checkpoints": (rewrite, "not those that were signed", True),
    "rewrite, sign with a stolen key": (stolen_key, "not those that were signed", False),
    "delete all checkpoints": (run_sql("DELETE FROM ledgercheckpoint"), "no checkpoint", True),
    "edit a column beside the leaf": (run_sql("UPDATE ledgerentry SET type = 'home:init' WHERE idx = 3"), "columns differ", True),
    "put other personal words": (run_sql("UPDATE ledgerdisclosure SET disclosure = replace(disclosure, 'W', 'X')"), "not what was committed to", True),
    "bring back an old backup": (old_backup, "entries 4 to 5 are gone", False),
    "old backup, then go on": (backup_and_on, "not those that were signed", False),
    "stolen key, no trace of anchors": (hide_publications, "not those that were signed", False),
    "go on with one of the two keys": (one_stolen_key, "checkpoint 5 carries no ML-DSA-44 cosignature", True),
    "take away the second signature": (without_its_second_signature, "carries no ML-DSA-44 cosignature", True),
    "put a wrong second signature": (with_a_wrong_second_signature, "wrong ML-DSA-44 cosignature", True),
    "invent an approved change": (run_sql(APPROVED), "RC-1: its row says approved, the ledger nothing", True),
    "invent an approval": (run_sql(APPROVED.replace("'approved'", "'draft'"), APPROVAL), "RC-1: a row says approve by owner, and no ledger entry", True),
    "close a month by hand": (run_sql(CLOSED), "2026-10: its row says closed, and no ledger entry", True),
    "cut tail, tree and checkpoints, keep publications": (
        run_sql(
            "DELETE FROM ledgerentry WHERE idx > 3", "DELETE FROM ledgercheckpoint WHERE size > 4",
            "DELETE FROM ledgernode WHERE level = 0 AND pos > 3 OR level = 1 AND pos > 1 OR level = 2 AND pos > 0",
        ), "entries 4 to 5 are gone", True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_one_anchor_out_of_reach_shows_it(ctx: Context, name: str) -> None:
    attack, reason, seen_inside = ATTACKS[name]
    clean = verify_with_anchors(ctx)
    assert (clean.ok, clean.blind, clean.audit_grade) == (True, "", True), clean.problems
    attack(ctx)
    found = verify_with_anchors(ctx)
    assert not found.ok
    assert any(reason in problem for problem in found.problems), found.problems
    alone = [one for one in found.problems if not one.startswith("anchor audit")]
    assert bool(alone) is seen_inside, found.problems


def test_without_an_outside_anchor_the_first_line_says_what_is_not_seen(tmp_path: Path) -> None:
    ctx = opened(tmp_path, anchored=False)
    for number in range(6):
        act(ctx, number)
    stolen_key(ctx)
    found = verify_with_anchors(ctx)
    assert found.ok  # it cannot see it
    assert not found.audit_grade
    assert found.blind.startswith("NOT AUDIT-GRADE: no anchor outside the database owner's reach")
    assert "stolen log key" in found.blind
    ctx.close()


@pytest.mark.parametrize("attack", [stolen_key, backup_and_on])
def test_a_fork_is_proven_by_two_signatures_of_the_log_itself(ctx: Context, tmp_path: Path, attack: Callable[[Context], None]) -> None:
    attack(ctx)
    [path, *_] = write_evidence(verify_with_anchors(ctx), tmp_path / "evidence")
    evidence, keys = (
        parse_contradiction(path.read_bytes()),
        [VerifierKey(ctx.keys.origin(ctx.org), ED25519, ctx.keys.log_signer().public_key)],
    )
    assert "signed two histories" in prove(evidence, keys)
    honest = parse_contradiction(evidence.text.replace(evidence.kept.splitlines()[2], evidence.kept.splitlines()[2][::-1]).encode())
    with pytest.raises(GovernorError):
        prove(honest, keys)
    with pytest.raises(GovernorError, match="no log key that is believed"):
        prove(evidence, [])


def test_a_rollback_is_proven_too(ctx: Context, tmp_path: Path) -> None:
    old_backup(ctx)
    [path] = write_evidence(verify_with_anchors(ctx), tmp_path / "evidence")
    evidence, keys = (
        parse_contradiction(path.read_bytes()),
        [VerifierKey(ctx.keys.origin(ctx.org), ED25519, ctx.keys.log_signer().public_key)],
    )
    assert (evidence.kind, prove(evidence, keys)) == (
        "rollback",
        f"{ctx.keys.origin(ctx.org)} signed 6 entries; where the newest it can show has 4, 2 are gone",
    )


def test_honest_notes_prove_nothing(ctx: Context) -> None:
    from governor.ledger.anchor import Contradiction

    with ctx.rows.session() as session:
        old = ledger.checkpoint_covering(session, ctx.org, 2)
        new = ledger.latest_checkpoint(session, ctx.org)
        assert new is not None
        proof = tuple(ledger.consistency(session, ctx.org, old.size, new.size))
    keys = [VerifierKey(ctx.keys.origin(ctx.org), ED25519, ctx.keys.log_signer().public_key)]
    for made in (Contradiction("fork", old.note, new.note, old.root, proof), Contradiction("rollback", old.note, new.note)):
        with pytest.raises(GovernorError):
            prove(made, keys)
    with pytest.raises(GovernorError):
        prove(Contradiction("fork", old.note, new.note, bytes(32), proof), keys)


def test_after_a_conflict_nothing_more_is_signed(ctx: Context) -> None:
    old_backup(ctx)
    [told] = publish_all(ctx)
    assert not told["ok"]
    with pytest.raises(IntegrityError, match="nothing is signed"):
        act(ctx, 20)
    assert not verify_with_anchors(ctx).ok


def test_a_database_restored_beside_its_home_is_not_signed_on(tmp_path: Path) -> None:
    """No anchor at all: the note in the home is enough to stop, and it names what is gone."""
    ctx = opened(tmp_path, anchored=False)
    act(ctx, 0)
    ctx.close()
    shutil.copy(tmp_path / "home" / "governor.db", tmp_path / "backup.db")
    ctx = opened(tmp_path, anchored=False)
    act(ctx, 1)
    ctx.close()
    shutil.copy(tmp_path / "backup.db", tmp_path / "home" / "governor.db")
    ctx = opened(tmp_path, anchored=False)
    with pytest.raises(IntegrityError, match="2 entries were signed, the database has 1"):
        ctx.seal()
    found: Verified = verify_with_anchors(ctx)
    assert any("entries 1 to 1 are gone" in problem for problem in found.problems)
    ctx.close()


def test_an_anchor_that_lost_its_notes_or_does_not_answer_never_agrees(ctx: Context, tmp_path: Path) -> None:
    [kept] = (tmp_path / "outside").iterdir()
    kept.write_text("")
    assert any("no longer keeps the checkpoint of 6 entries" in problem for problem in verify_with_anchors(ctx).problems)
    shutil.rmtree(tmp_path / "outside")
    found = verify_with_anchors(ctx)
    assert (found.ok, found.audit_grade) == (True, False)
    assert found.blind.startswith("NOT AUDIT-GRADE NOW: no outside anchor could be compared (audit unreachable)")


def test_the_chores_raise_the_alarm(ctx: Context, caplog: pytest.LogCaptureFixture) -> None:
    assert (watch_tail(ctx), watch_whole(ctx)) == (0, 0)
    assert not caplog.records
    body_and_hash(ctx)
    watched = tuple(one for one in CHORES if one.name.startswith("verify the "))
    clock = Clock(watched)
    assert clock.tick(ctx) == ["verify the end of the ledger", "verify the whole ledger"]
    clock.apart["verify the whole ledger"].join(60)
    assert any("does not verify" in record.getMessage() and record.levelname == "ERROR" for record in caplog.records)
