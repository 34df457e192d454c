"""A database that came back older than what was signed: everything refuses until an admin decides, then the log goes on under another name."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from governor.actions.anchors import publish_all
from governor.actions.context import OPERATOR, Actor, Context, open_context
from governor.actions.decide import approve
from governor.actions.doctor import examine
from governor.actions.export_packet import export_packet
from governor.actions.export_trust import export_trust
from governor.actions.mirror import mirror
from governor.actions.restore_ledger import incarnations, preview_restore, restore_ledger
from governor.actions.rotate_keys import list_keys, revoke_key, rotate_key
from governor.actions.verify_ledger import current_checkpoint, verify_with_anchors
from governor.errors import AnchorConflict, Forbidden, IntegrityError, Invalid, Refused, Unauthenticated
from governor.ledger.anchor import AnchorConfig, split_notes
from governor.ledger.canonical import sha256_hex
from governor.ledger.entry import Entry, EntryDraft
from governor.ledger.note import ED25519, MLDSA_COSIGNATURE, parse_note
from governor.ledger.trust import parse_trust
from governor.packets import standalone_verifier
from governor.packets.verify import verify_packet
from governor.settings import load_settings
from governor.store import ledger
from governor.store.kept import note_file
from governor.store.sequencer import tree_size

ADMIN = Actor(id="01-admin", roles=frozenset({"admin"}))
TABLES = ("ledgerentry", "ledgernode", "ledgercheckpoint", "ledgeranchor")


def act(ctx: Context, number: int) -> None:
    with ctx.transaction(OPERATOR) as tx:
        tx.append(EntryDraft("source:ingest", "source/s", {"batch": f"b{number}"}, OPERATOR.ledger_ref(), f"i{number}", ctx.now()))


def cut_back(ctx: Context, size: int) -> None:
    """As a backup of that moment: entries, tree and checkpoints of `size` entries."""
    postgres = not ctx.rows.embedded
    with ctx.rows.session(write=True) as session:
        if postgres:
            for table in TABLES:
                session.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        else:
            for (trigger,) in session.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                session.execute(sa.text(f"DROP TRIGGER {trigger}"))
        for where in ("ledgerentry WHERE idx >= :n", "ledgernode WHERE ((pos + 1) << level) > :n", "ledgercheckpoint WHERE size > :n",
                      "ledgeranchor WHERE size > :n"):  # fmt: skip
            session.execute(sa.text(f"DELETE FROM {where}"), {"n": size})
        for table in TABLES if postgres else ():
            session.execute(sa.text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))


@pytest.fixture(params=["sqlite", "postgres"])
def ctx(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Context]:
    url = request.getfixturevalue("postgres") if request.param == "postgres" else None
    (tmp_path / "outside").mkdir()
    anchor = AnchorConfig(name="audit", kind="directory", target=str(tmp_path / "outside"), outside=True, run_by="internal audit")
    made = open_context(load_settings(home=tmp_path / "home", database_url=url, anchors=(anchor,)), create=True)
    for number in range(6):
        act(made, number)
        publish_all(made)
    yield made
    made.close()


def test_after_the_decision_the_log_goes_on_and_nothing_is_forgotten(ctx: Context, tmp_path: Path) -> None:
    old_trust, name = export_trust(ctx), ctx.keys.origin(ctx.org)
    with pytest.raises(Refused, match="nothing is lost"):
        preview_restore(ctx)
    cut_back(ctx, 4)
    before = verify_with_anchors(ctx)
    assert not before.ok
    with pytest.raises(IntegrityError, match="entries 4 to 5 are gone") as refused:
        act(ctx, 20)
    assert "governor ledger restore" in refused.value.hint
    with ctx.rows.session() as session:
        assert tree_size(session, ctx.org) == 4, "nothing was written"
    found = preview_restore(ctx)
    assert found.facts["lost"] == {"from": 4, "to": 6, "proven_by": ["audit", "home"]}
    assert (found.head.size, found.old_head.size, found.next_origin) == (4, 6, f"{name}/incarnation-2")
    for actor, wrong in ((OPERATOR, Unauthenticated), (Actor(id="x", roles=frozenset({"security"})), Forbidden)):
        with pytest.raises(wrong):
            restore_ledger(ctx, actor, reason="disk died", confirm=found.confirm)
    with pytest.raises(Invalid, match="reason"):
        restore_ledger(ctx, ADMIN, reason=" ", confirm=found.confirm)
    with pytest.raises(Refused, match="not what would be lost"):
        restore_ledger(ctx, ADMIN, reason="disk died", confirm="0" * 16)
    done = restore_ledger(ctx, ADMIN, reason="disk died, backup of the morning", confirm=found.confirm)
    assert (done["origin"], done["entry"], done["lost"]) == (f"{name}/incarnation-2", 4, found.facts["lost"])
    act(ctx, 21)
    assert all(told["ok"] for told in publish_all(ctx))
    after = verify_with_anchors(ctx)
    assert (after.problems, after.audit_grade) == ([], True)
    assert parse_note(current_checkpoint(ctx)).text.startswith(f"{name}/incarnation-2\n6\n")
    with ctx.rows.session() as session:
        [row] = ledger.entries(session, ctx.org, type="ledger:restore")
        entry = Entry.parse(row.leaf)
    assert (entry.actor_ref, entry.payload["reason"]) == (ADMIN.id, "disk died, backup of the morning")
    [kept] = (ctx.settings.home / "anchors").glob("lost-*")
    assert entry.body["evidence"][0]["sha256"] == sha256_hex(kept.read_bytes())
    assert len(split_notes(kept.read_text())) == 3  # the home's and two of the anchor
    trust = parse_trust(export_trust(ctx).encode())
    ranges = {key.name: trust.log_ranges[key.public_key] for key in trust.logs}
    assert ranges == {f"{name}/incarnation-2": (5, None), name: (0, 6)}
    lost_note = parse_note(split_notes(kept.read_text())[0])
    assert any(lost_note.signed_by(key) for key in trust.logs), "what was lost is signed by a key that auditors know"
    assert {key.public_key for key in parse_trust(old_trust.encode()).logs} < {key.public_key for key in trust.logs}
    assert [one["origin"] for one in incarnations(ctx)] == [f"{name}/incarnation-2", name]
    rotate_key(ctx, OPERATOR, "log")
    rotate_key(ctx, OPERATOR, "log-mldsa")
    assert verify_with_anchors(ctx).problems == []
    assert [one["role"] for one in list_keys(ctx)].count("log") == 3
    assert sorted(key.algorithm for key in parse_trust(export_trust(ctx).encode()).logs) == [ED25519] * 3 + [MLDSA_COSIGNATURE] * 3


@pytest.mark.parametrize("ctx", ["sqlite"], indirect=True)
def test_a_revoked_key_stays_revoked_and_its_checkpoints_in_the_log(ctx: Context) -> None:
    rotate_key(ctx, OPERATOR, "log")
    old = list_keys(ctx)[1]
    assert revoke_key(ctx, OPERATOR, old["key_id"], reason="compromised", at_size=1)["sizes"] == "0..1"
    for number in (6, 7):
        act(ctx, number)
        publish_all(ctx)
    cut_back(ctx, 9)
    restore_ledger(ctx, ADMIN, reason="disk died", confirm=preview_restore(ctx).confirm)
    publish_all(ctx)
    assert verify_with_anchors(ctx).problems == []
    [again] = [one for one in list_keys(ctx) if one["key_id"] == old["key_id"]]
    assert (again["state"], again["sizes"]) == ("revoked", "0..1")


def test_doctor_says_that_nothing_can_be_written(ctx: Context) -> None:
    def said() -> tuple[bool, str]:
        return next((one.ok, one.detail) for one in examine(ctx.settings) if one.name == "ledger")

    assert said() == (True, "6 entries continue what was signed (`governor ledger verify` looks at each)")
    cut_back(ctx, 4)
    ok, detail = said()
    assert not ok
    assert "entries 4 to 5 are gone" in detail
    assert "governor ledger restore" in detail
    restore_ledger(ctx, ADMIN, reason="disk died", confirm=preview_restore(ctx).confirm)
    assert said()[0]


def test_doctor_says_which_key_cannot_sign(ctx: Context) -> None:
    def said() -> tuple[bool, str]:
        return next((one.ok, one.detail) for one in examine(ctx.settings) if one.name == "keys")

    assert said()[0]
    for name in ("log.pem", "log-mldsa.pem", "issuer.pem", "producer.pem"):
        file = ctx.keys.folder / name
        file.chmod(0o644)
        assert (said()[0], "may be read by others" in said()[1], name in said()[1]) == (False, True, True)
        file.chmod(0o600)
        sound = file.read_bytes()
        file.write_bytes(b"garbage")
        assert (said()[0], name in said()[1]) == (False, True)
        file.write_bytes(sound)
    assert said()[0]


def test_a_mirror_that_holds_what_was_given_up_stays_as_it_is(ctx: Context, tmp_path: Path) -> None:
    mirror(ctx, tmp_path / "late")
    cut_back(ctx, 4)
    restore_ledger(ctx, ADMIN, reason="disk died", confirm=preview_restore(ctx).confirm)
    act(ctx, 21)  # as many entries as the mirror holds, two of them others
    held = {path: path.read_bytes() for path in (tmp_path / "late").rglob("*") if path.is_file()}
    with pytest.raises(AnchorConflict, match=r"holds 6 entries of .*, of which .*incarnation-2 has the first 4 alone"):
        mirror(ctx, tmp_path / "late")
    assert {path: path.read_bytes() for path in (tmp_path / "late").rglob("*") if path.is_file()} == held
    assert mirror(ctx, tmp_path / "new")["size"] == 6


def test_a_second_loss_behind_the_decision_is_seen_and_decided_again(ctx: Context) -> None:
    name = ctx.keys.origin(ctx.org)
    cut_back(ctx, 4)
    restore_ledger(ctx, ADMIN, reason="first", confirm=preview_restore(ctx).confirm)
    act(ctx, 30)
    publish_all(ctx)
    cut_back(ctx, 3)  # the database forgets the decision too; home and anchor do not
    with pytest.raises(IntegrityError, match="nothing is signed"):
        act(ctx, 31)
    found = preview_restore(ctx)
    assert (found.head.origin, found.head.size, found.next_origin) == (name, 3, f"{name}/incarnation-3")
    assert {(one.origin, one.lost) for one in found.ended} == {(name, 6), (f"{name}/incarnation-2", 6)}
    restore_ledger(ctx, ADMIN, reason="second", confirm=found.confirm)
    act(ctx, 32)
    publish_all(ctx)
    assert verify_with_anchors(ctx).problems == []


def test_entries_under_an_unsigned_tail_and_a_note_found_later(ctx: Context, tmp_path: Path) -> None:
    """An anchor that shows more than was decided about stops everything again."""
    [file] = (tmp_path / "outside").iterdir()
    whole = file.read_text()
    cut_back(ctx, 4)
    file.write_text("".join(f"{note}\n" for note in split_notes(whole)[:5]))
    note_file(ctx.settings.home, ctx.org).unlink()
    found = preview_restore(ctx)
    assert found.facts["lost"] == {"from": 4, "to": 5, "proven_by": ["audit"]}
    restore_ledger(ctx, ADMIN, reason="one entry is lost", confirm=found.confirm)
    assert publish_all(ctx)[0]["ok"]
    file.write_text(whole)
    after = verify_with_anchors(ctx)
    assert any("audit" in problem for problem in after.problems), after.problems
    with pytest.raises(IntegrityError):
        act(ctx, 40)
    again = preview_restore(ctx)
    restore_ledger(ctx, ADMIN, reason="two were", confirm=again.confirm)
    publish_all(ctx)
    assert verify_with_anchors(ctx).problems == []


@pytest.mark.parametrize("died", ["before the name", "before the keys"])
def test_a_decision_whose_process_died_is_finished(ctx: Context, died: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_back(ctx, 4)
    confirm = preview_restore(ctx).confirm

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ctx.keys, "begin_incarnation" if died == "before the name" else "adopt", die)
        with pytest.raises(KeyboardInterrupt):
            restore_ledger(ctx, ADMIN, reason="disk died", confirm=confirm)
    with pytest.raises(IntegrityError):
        ctx.seal()
    done = restore_ledger(ctx, ADMIN, reason="disk died", confirm="")
    assert (done["entry"], ctx.keys.incarnation(ctx.org)) == (4, 2)
    with ctx.rows.session() as session:
        assert len(ledger.entries(session, ctx.org, type="ledger:restore")) == 1
    publish_all(ctx)
    assert verify_with_anchors(ctx).problems == []


def test_packets_of_before_and_of_what_was_lost_still_verify(world: Any, tmp_path: Path) -> None:
    ctx: Context = world.ctx
    admin, auditor = world.person("multi"), world.person("ada")
    change = world.reviewed()
    for name in ("dana", "sol"):
        approve(ctx, world.person(name), change["id"], digest=change["digest"], reason="evidence read")
        world.later(minutes=5)
    early = export_packet(ctx, auditor, change["id"])
    with ctx.rows.session() as session:
        size = tree_size(session, ctx.org)
    lost = export_packet(ctx, auditor, change["id"], recipient="Auditors LLP")
    cut_back(ctx, size)
    with pytest.raises(IntegrityError, match="nothing is signed"):
        export_packet(ctx, auditor, change["id"], recipient="Others LLP")
    restore_ledger(ctx, admin, reason="backup", confirm=preview_restore(ctx).confirm)
    fresh, trust = export_packet(ctx, auditor, change["id"]), export_trust(ctx)
    for packet in (early, lost, fresh):
        report = verify_packet(packet, trust)
        assert report.exit_code == 0, report.text()
        program = standalone_verifier.verify(packet, standalone_verifier.Trust(trust.encode()))
        assert standalone_verifier.result_of(program[1]) == 0
    forged = trust.replace(f" 0..{preview_end(ctx)}", " 0..1")
    assert verify_packet(lost, forged).exit_code == 1


def preview_end(ctx: Context) -> int:
    return int(incarnations(ctx)[0]["lost"]["to"])


def test_a_decision_that_the_new_key_did_not_vouch_for_is_none(ctx: Context) -> None:
    """Whoever can write to the database, but holds no key of the home, ends no incarnation."""
    with ctx.rows.session(write=True) as session:
        payload = {
            "key_id": ctx.keys.log_signer().key_id, "public_key": "", "vouched": "", "origin": "x", "reason": "", "lost": {}, "earlier": [],
            "ended": [{"origin": ctx.keys.origin(ctx.org), "agreed": 0, "lost": 99}],
        }  # fmt: skip
        draft = EntryDraft("ledger:restore", "ledger/incarnation", payload, OPERATOR.ledger_ref(), "forged", ctx.now())
        ledger.append(session, ctx.org, draft, ctx.now(), ctx.keys.producer_signer())
    assert [one["entry"] for one in incarnations(ctx)] == [None]


@pytest.mark.parametrize("notes_first", [True, False], ids=["as documented", "notes last"])
def test_a_backup_of_a_running_home_goes_on_in_the_documented_order(tmp_path: Path, notes_first: bool) -> None:
    """docs/operations.md: what was signed is copied before the rows, for entries come while the copy is made."""
    copy = tmp_path / "copy"
    with contextlib.closing(open_context(load_settings(home=tmp_path / "home"), create=True)) as ctx:
        act(ctx, 1)
        for number, step in enumerate(("notes", "rows") if notes_first else ("rows", "notes"), 10):
            if step == "rows":
                copy.mkdir(exist_ok=True)
                with sqlite3.connect(tmp_path / "home/governor.db") as source, sqlite3.connect(copy / "governor.db") as target:
                    source.backup(target)
            else:
                for name in ("keys", "anchors"):
                    shutil.copytree(tmp_path / "home" / name, copy / name)
            act(ctx, number)
    with contextlib.closing(open_context(load_settings(home=copy))) as restored:
        if notes_first:
            act(restored, 3)
            assert verify_with_anchors(restored).problems == []
        else:
            with pytest.raises(IntegrityError, match="are gone"):
                act(restored, 3)
