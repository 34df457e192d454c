"""A person is erased: no byte of theirs is left in ledger rows, and every proof and packet made before and after still holds."""

import base64
import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import SQLModel, select

from governor.actions.context import OPERATOR
from governor.actions.cutover import cutover
from governor.actions.decide import approve
from governor.actions.erase_person import erase_person
from governor.actions.export_packet import export_packet
from governor.actions.export_period import export_period
from governor.actions.export_trust import export_trust
from governor.actions.people import create_person
from governor.actions.verify_ledger import prove_entry, verify_ledger
from governor.api.idempotency import keep, take
from governor.errors import Forbidden, Invalid, NotFound, Refused
from governor.ledger.entry import Disclosure, EntryDraft
from governor.packets.verify import verify_packet
from governor.store.rows.changes import Change
from governor.store.rows.ledger import LedgerDisclosure, LedgerEntry
from governor.store.rows.people import IdempotencyKey, Person


def decided(world: Any) -> str:
    change = world.reviewed()
    approve(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="evidence read")
    world.later(minutes=5)
    approve(world.ctx, world.person("sol"), change["id"], digest=change["digest"], reason="sol saw no new exposure")
    world.later(minutes=5)
    return str(change["id"])


def test_proofs_and_packets_hold_after_a_person_is_erased(world: Any) -> None:
    change, trust = decided(world), export_trust(world.ctx)
    before = export_packet(world.ctx, world.person("ada"), change, recipient="Auditors LLP")
    sol = world.person("sol")
    done = erase_person(world.ctx, world.person("admin"), email="sol@acme.example", reason="request 17 by S. Ortega")
    assert done["person"] == sol.id
    assert done["fields"]["reason"] >= 1
    with world.ctx.rows.session() as session:
        leaves = session.exec(select(LedgerEntry)).all()
        values = [json.dumps(Disclosure(row.name, row.disclosure).value) for row in session.exec(select(LedgerDisclosure)).all()]
        person = session.exec(select(Person).where(Person.id == sol.id)).one()
    assert not any(b"sol@acme.example" in row.leaf or b"no new exposure" in row.leaf or b"Ortega" in row.leaf for row in leaves)
    assert not any("sol@acme.example" in value or "no new exposure" in value for value in values)
    assert (person.name, person.roles, person.password_hash, person.disabled) == ("", "", "", True)
    assert "sol" not in person.email.split("@")[0]

    assert not verify_ledger(world.ctx).problems
    assert verify_packet(before, trust).exit_code == 0, "a packet handed out before still verifies"
    for row in leaves:
        assert prove_entry(world.ctx, str(row.idx))
    now = world.ctx.now()
    for packet in (
        export_packet(world.ctx, world.person("ada"), change, recipient="Auditors LLP"),
        export_period(world.ctx, world.person("ada"), f"{now.year}-Q{(now.month + 2) // 3}", recipient="Auditors LLP"),
    ):
        report = verify_packet(packet, trust)
        assert report.exit_code == 0, report.text()
        assert "commitments intact" in next(check.detail for check in report.checks if check.name == "redactions")
        with zipfile.ZipFile(io.BytesIO(packet)) as archive:
            assert not [name for name in archive.namelist() if b"sol@acme.example" in archive.read(name)]


def test_no_table_and_no_leaf_holds_a_byte_of_theirs(world: Any) -> None:
    """Every column of every table is read, whatever it is called, and the leaves of the ledger once more by themselves."""
    decided(world)
    assert standing(world, b"sol@acme.example", b"no new exposure"), "the scan finds what is there"
    done = erase_person(world.ctx, world.person("admin"), email="sol@acme.example", reason="request 17")
    left = standing(world, b"sol@acme.example", b"no new exposure")
    assert set(left) <= {"catalogversion.body"}, left
    assert bool(left) is bool(done["remaining"]["catalog_versions"])
    with world.ctx.rows.session() as session:
        leaves = [row.leaf for row in session.exec(select(LedgerEntry)).all()]
    assert len(leaves) > 10
    assert not [leaf for leaf in leaves if b"@acme.example" in leaf], "nobody's address is in a leaf, erased or not"
    assert not verify_ledger(world.ctx).problems


def test_words_beside_the_ledger_go_with_their_disclosures(world: Any) -> None:
    """The note of a cutover by somebody who is erased, and the reason of somebody else that names them."""
    change = world.reviewed()
    approve(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="agreed with sol@acme.example")
    approve(world.ctx, world.person("sol"), change["id"], digest=change["digest"], reason="no new exposure")
    cutover(world.ctx, world.person("rae"), change["id"], note="moved at noon by Sol, sol@acme.example")
    erase_person(world.ctx, world.person("admin"), email="sol@acme.example", reason="request 17")
    assert set(standing(world, b"sol@acme.example", b"no new exposure", b"moved at noon")) <= {"catalogversion.body"}
    report = verify_packet(export_packet(world.ctx, world.person("ada"), str(change["id"])), export_trust(world.ctx))
    assert report.exit_code == 0, report.text()
    assert not verify_ledger(world.ctx).problems


def standing(world: Any, *words: bytes) -> list[str]:
    """table.column where one of the words stands, as text or within base64."""
    found = set()
    with world.ctx.rows.session() as session:
        for table in SQLModel.metadata.sorted_tables:
            for row in session.execute(table.select()).mappings():
                for name, value in row.items():
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    plain = base64.urlsafe_b64decode(raw + b"==") if (table.name, name) == ("ledgerdisclosure", "disclosure") else raw
                    if any(word in raw or word in plain for word in words):
                        found.add(f"{table.name}.{name}")
    return sorted(found)


def test_it_is_on_record_who_erased_what(world: Any) -> None:
    decided(world)
    done = erase_person(world.ctx, world.person("admin"), email="SOL@acme.example", reason="request 17")
    [row] = world.entries("redaction:done")
    payload = row["payload"]
    assert row["actor"]["ref"] == world.person("admin").id
    assert payload["person"] == done["person"]
    assert len(payload["entries"]) == done["entries"] == payload["count"]
    assert payload["legal_basis"] == "GDPR Art. 17"
    with pytest.raises(NotFound):
        erase_person(world.ctx, world.person("admin"), email="sol@acme.example", reason="again")


def test_who_may_not_and_what_cannot(world: Any) -> None:
    with pytest.raises(Forbidden):
        erase_person(world.ctx, world.person("rae"), email="sol@acme.example", reason="x")
    with pytest.raises(Invalid):
        erase_person(world.ctx, world.person("admin"), email="sol@acme.example", reason=" ")
    with pytest.raises(NotFound):
        erase_person(world.ctx, world.person("admin"), email="nobody@acme.example", reason="x")
    with pytest.raises(Refused, match="still owns"):
        erase_person(world.ctx, world.person("admin"), email="dana@acme.example", reason="x")
    with pytest.raises(Refused, match="themselves"):
        erase_person(world.ctx, world.person("admin"), email="admin@acme.example", reason="x")


def test_no_file_of_the_database_and_no_kept_answer_holds_them(world: Any) -> None:
    made = create_person(world.ctx, world.person("admin"), email="zoe@acme.example", name="Zoe Quux", roles=["requester"])
    admin = world.person("admin").id
    for number, (who, said) in enumerate(
        [(admin, '{"email":"Zoe@acme.example"}'), (made["id"], '{"reason":"I, Zoe Quux"}'), (admin, "{}")]
    ):
        take(world.ctx, who, f"key{number}", "0" * 64)
        keep(world.ctx, who, f"key{number}", 201, said)
    erase_person(world.ctx, world.person("admin"), email="zoe@acme.example", reason="request 18")
    files = list(world.ctx.settings.home.glob("governor.db*"))
    assert files
    assert not [path.name for path in files for word in (b"zoe@acme", b"Zoe Q") if word in path.read_bytes()]
    with world.ctx.rows.session() as session:
        assert [row.key for row in session.exec(select(IdempotencyKey)).all()] == ["key2"]
        assert session.execute(text("PRAGMA secure_delete")).scalar() == 1, "whatever this SQLite does by itself"


def test_an_account_without_words_is_erased_too(world: Any) -> None:
    made = create_person(world.ctx, world.person("admin"), email="new@acme.example", name="New Person", roles=["requester"])
    done = erase_person(world.ctx, world.person("admin"), email="new@acme.example", reason="never began")
    assert (done["person"], done["fields"]) == (made["id"], {"email": 1, "name": 1})


def test_an_erasure_and_a_decision_do_not_wait_for_each_other(two_worlds: Any) -> None:
    """A decision holds its change and then asks for the ledger; the erasure waits for that change without the ledger in its hand."""
    world, _ = two_worlds
    change = str(world.reviewed()["id"])
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
    with ThreadPoolExecutor(1) as pool:
        with world.ctx.transaction(OPERATOR) as tx:
            tx.session.exec(select(Change).where(Change.id == change).with_for_update()).one()
            erasure = pool.submit(erase_person, world.ctx, world.person("admin"), email="rae@acme.example", reason="request 17")
            waits = 0
            while not waits:
                assert not erasure.done(), erasure.result()
                with world.ctx.rows.session() as session:  # what a transaction once saw of others it sees until its end
                    waits = session.connection().execute(waiting).scalar()
            said = {"change": change, "digest": "0" * 64}
            tx.append(EntryDraft("change:expire", f"change/{change}", said, OPERATOR.ledger_ref(), "beside", world.ctx.now()))
        assert erasure.result()["entries"] > 0
