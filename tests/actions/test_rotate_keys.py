"""Keys are replaced and revoked without losing what they signed; a packet outside its keys' ranges is refused."""

import base64
import contextlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from governor.actions.anchors import publish_all
from governor.actions.context import OPERATOR, Context, open_context
from governor.actions.decide import approve
from governor.actions.doctor import examine
from governor.actions.export_packet import export_packet
from governor.actions.export_trust import export_trust
from governor.actions.key_history import key_chain, key_stream
from governor.actions.rotate_keys import list_keys, revoke_key, rotate_key
from governor.actions.verify_ledger import current_checkpoint, verify_ledger, verify_with_anchors
from governor.errors import Forbidden, IntegrityError, Invalid, Misconfigured, NotFound, Refused
from governor.ledger.anchor import AnchorConfig
from governor.ledger.entry import EntryDraft
from governor.ledger.note import ED25519, MLDSA_COSIGNATURE, VerifierKey, parse_note
from governor.ledger.trust import parse_trust
from governor.packets import standalone_verifier
from governor.packets.verify import verify_packet
from governor.settings import Settings, load_settings
from governor.store import ledger
from governor.store.kept import note_file


def packet_of(world: Any) -> tuple[str, bytes]:
    change = world.reviewed()
    for name in ("dana", "sol"):
        approve(world.ctx, world.person(name), change["id"], digest=change["digest"], reason="evidence read")
        world.later(minutes=5)
    return str(change["id"]), export_packet(world.ctx, world.person("ada"), change["id"])


def verdicts(packet: bytes, trust: str) -> tuple[int, int]:
    program = standalone_verifier.verify(packet, standalone_verifier.Trust(trust.encode()))
    return verify_packet(packet, trust).exit_code, standalone_verifier.result_of(program[1])


def test_packets_of_before_and_after_verify_under_one_trust_file(world: Any) -> None:
    change, before = packet_of(world)
    old_trust = export_trust(world.ctx)
    for role in ("log", "issuer", "producer", "log", "log-mldsa"):
        world.later(minutes=1)
        rotate_key(world.ctx, OPERATOR, role)
    after, trust = export_packet(world.ctx, world.person("ada"), change), export_trust(world.ctx)
    believed = parse_trust(trust.encode())
    assert [key.algorithm for key in believed.logs] == [ED25519] * 3 + [MLDSA_COSIGNATURE] * 2
    assert len(believed.issuers) == 2
    assert verdicts(before, trust) == verdicts(after, trust) == (0, 0)
    for packet in (before, after):
        [line] = [check for check in verify_packet(packet, trust).checks if check.name == "checkpoint"]
        assert (line.status, "log key ok, ML-DSA-44 cosignature ok" in line.detail) == ("ok", True)
    assert verdicts(before, old_trust) == (0, 0)
    assert verdicts(after, old_trust) == (2, 2), "keys it does not name"
    assert verify_ledger(world.ctx).problems == []


def test_a_packet_of_the_old_issuer_outside_its_range_is_refused(world: Any) -> None:
    change, before = packet_of(world)
    old = key_ring(world.ctx, "issuer")[0]
    rotate_key(world.ctx, OPERATOR, "issuer")
    trust = export_trust(world.ctx)
    last = next(one.last for one in parse_trust(trust.encode()).issuers if one.key.public_key == old.public_key)
    narrower = trust.replace(f" 0..{last}", f" 0..{last - 3}")
    assert narrower != trust
    report = verify_packet(before, narrower)
    assert (report.exit_code, verdicts(before, narrower)) == (1, (1, 1))
    assert "the issuer key is not valid for tree size" in report.text()
    assert verdicts(export_packet(world.ctx, world.person("ada"), change), narrower) == (0, 0)


def test_a_checkpoint_joins_the_old_log_key_and_the_new_one(world: Any) -> None:
    before = key_ring(world.ctx, "log")[0]
    done = rotate_key(world.ctx, OPERATOR, "log")
    now, was = key_ring(world.ctx, "log")
    assert (was.public_key, now.state, was.state) == (before.public_key, "active", "retired")
    origin = world.ctx.keys.origin(world.ctx.org)
    with world.ctx.rows.session() as session:
        joint = ledger.checkpoint_covering(session, world.ctx.org, done["entry"])
    note = parse_note(joint.note)
    assert all(note.signed_by(VerifierKey(origin, 1, key.public_key)) for key in (was, now))
    assert was.last == joint.size == now.first
    world.later(minutes=1)
    rotate_key(world.ctx, OPERATOR, "producer")
    alone = parse_note(current_checkpoint(world.ctx))
    assert alone.signed_by(VerifierKey(origin, 1, now.public_key)) is True
    assert alone.signed_by(VerifierKey(origin, 1, was.public_key)) is None, "the old key signs no more"
    assert not list((world.ctx.settings.home / "keys").glob("*.next*"))


def test_another_process_takes_up_the_new_keys(world: Any) -> None:
    other = open_context(load_settings(home=world.ctx.settings.home))
    with contextlib.closing(other):
        other.keys.log_signer(), other.keys.issuer_signer(), other.keys.producer_signer()  # held in memory
        for role in ("log", "issuer", "producer"):
            rotate_key(world.ctx, OPERATOR, role)
        change = world.reviewed()
        for name in ("dana", "sol"):
            approve(other, world.person(name), change["id"], digest=change["digest"], reason="evidence read")
        packet = export_packet(other, world.person("ada"), change["id"])
        assert verdicts(packet, export_trust(world.ctx)) == (0, 0)
        assert verify_ledger(other).problems == []


@pytest.mark.parametrize("role", ["log", "issuer", "producer"])
@pytest.mark.parametrize("step", ["before the entry", "after the entry", "after the seal"])
def test_a_replacement_that_died_is_finished(world: Any, role: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old = key_ring(world.ctx, role)[0]
    broken = {
        "before the entry": (Context, "transaction"),
        "after the entry": (Context, "seal"),
        "after the seal": (type(world.ctx.keys), "adopt"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*broken[step], _die)
        with pytest.raises(RuntimeError, match="killed"):
            rotate_key(world.ctx, OPERATOR, role)
    assert [one["state"] for one in list_keys(world.ctx) if one["role"] == role] == ["incoming", "active"]
    if role == "issuer" and step != "before the entry":
        change = world.reviewed()
        for name in ("dana", "sol"):
            approve(world.ctx, world.person(name), change["id"], digest=change["digest"], reason="evidence read")
        with pytest.raises(Refused, match="being replaced"):
            export_packet(world.ctx, world.person("ada"), change["id"])
    rotate_key(world.ctx, OPERATOR, role)
    assert [one.state for one in key_ring(world.ctx, role)] == ["active", "retired"]
    assert key_ring(world.ctx, role)[1].public_key == old.public_key
    _, packet = packet_of(world)
    assert verdicts(packet, export_trust(world.ctx)) == (0, 0)
    assert verify_ledger(world.ctx).problems == []


def _die(*_: Any, **__: Any) -> Any:
    raise RuntimeError("killed")


def test_a_revoked_key_is_believed_no_further_than_said(world: Any) -> None:
    _, before = packet_of(world)
    old = key_ring(world.ctx, "issuer")[0]
    with pytest.raises(Refused, match="signs now"):
        revoke_key(world.ctx, OPERATOR, old.key_id, reason="compromised")
    rotate_key(world.ctx, OPERATOR, "issuer")
    with pytest.raises(Invalid, match="unknown reason"):
        revoke_key(world.ctx, OPERATOR, old.key_id, reason="because")
    with pytest.raises(NotFound):
        revoke_key(world.ctx, OPERATOR, "00000000", reason="lost")
    done = revoke_key(world.ctx, OPERATOR, old.key_id[:12], reason="compromised", at_size=3, note="laptop stolen")
    assert (done["state"], done["sizes"], done["reason"]) == ("revoked", "0..3", "compromised")
    assert verdicts(before, export_trust(world.ctx)) == (1, 1)
    shown = next(one for one in list_keys(world.ctx) if one["key_id"] == old.key_id)
    assert shown["revoked_at"]
    assert shown["state"] == "revoked"


def test_the_log_verifies_after_a_key_that_signed_it_was_revoked(world: Any, tmp_path: Path) -> None:
    """Others believe the key no further; that it did sign those checkpoints stays true, in the database and at every anchor."""
    anchor = AnchorConfig(name="disk", kind="directory", target=str(tmp_path / "disk"))
    world.ctx.settings = world.ctx.settings.model_copy(update={"anchors": (anchor,)})
    publish_all(world.ctx)
    for role in ("log", "log-mldsa"):
        old = key_ring(world.ctx, role)[0]
        rotate_key(world.ctx, OPERATOR, role)
        revoke_key(world.ctx, OPERATOR, old.key_id, reason="compromised", at_size=1)
        assert verify_with_anchors(world.ctx).problems == []
        assert f"{old.verifier.text} 0..1\n" in export_trust(world.ctx)
    with world.ctx.rows.session(write=True) as session:
        session.execute(text("DROP TRIGGER ledgercheckpoint_no_update"))
        session.execute(
            text(
                "UPDATE ledgercheckpoint SET note = replace(note, char(10) || char(10), char(10) || 'x' || char(10) || char(10)) WHERE size = 2"
            )
        )
    assert any("checkpoint 2 is not signed" in one for one in verify_ledger(world.ctx).problems)


def test_a_revocation_is_never_taken_back(world: Any) -> None:
    _, before = packet_of(world)
    old = key_ring(world.ctx, "issuer")[0].key_id
    rotate_key(world.ctx, OPERATOR, "issuer")
    whole = key_ring(world.ctx, "issuer")[1].last
    with pytest.raises(Refused, match="alone"):
        revoke_key(world.ctx, OPERATOR, old, reason="compromised", at_size=99_999)
    revoke_key(world.ctx, OPERATOR, old, reason="superseded", at_size=5)
    revoke_key(world.ctx, OPERATOR, old, reason="compromised", at_size=3)
    recorded = len(revocations(world.ctx))
    for reason, size in (("superseded", None), ("compromised", None), ("compromised", 3), ("superseded", 3), ("compromised", whole)):
        with pytest.raises(Refused, match=r"3"):
            revoke_key(world.ctx, OPERATOR, old, reason=reason, at_size=size)
    assert len(revocations(world.ctx)) == recorded == 2
    assert verdicts(before, export_trust(world.ctx)) == (1, 1)
    done = revoke_key(world.ctx, OPERATOR, old, reason="ceased", at_size=2)
    assert (done["sizes"], done["reason"]) == ("0..2", "compromised"), "narrower, and no less grave"


def test_of_two_revocations_on_record_the_narrowest_and_gravest_count(world: Any) -> None:
    """Earlier versions recorded the second one and believed it."""
    _, before = packet_of(world)
    old = key_ring(world.ctx, "issuer")[0].key_id
    rotate_key(world.ctx, OPERATOR, "issuer")
    revoke_key(world.ctx, OPERATOR, old, reason="compromised", at_size=3)
    said = {"role": "issuer", "key_id": old, "reason": "superseded"}
    with world.ctx.transaction(OPERATOR) as tx:
        tx.append(EntryDraft("key:revoke", key_stream("issuer"), said, OPERATOR.ledger_ref(), "of an earlier version", world.ctx.now()))
    found = key_ring(world.ctx, "issuer")[1]
    assert (found.sizes, found.reason) == ("0..3", "compromised")
    assert verdicts(before, export_trust(world.ctx)) == (1, 1)


def test_a_key_that_is_believed_for_no_tree_fails_its_packets(world: Any) -> None:
    rotate_key(world.ctx, OPERATOR, "issuer")
    present = key_ring(world.ctx, "issuer")[0]
    _, packet = packet_of(world)
    rotate_key(world.ctx, OPERATOR, "issuer")
    assert revoke_key(world.ctx, OPERATOR, present.key_id, reason="compromised", at_size=present.first - 1)["sizes"] == "none"
    assert verdicts(packet, export_trust(world.ctx)) == (1, 1)


def revocations(ctx: Context) -> list[Any]:
    with ctx.rows.session() as session:
        return [row for row in ledger.entries(session, ctx.org, stream=key_stream("issuer")) if row.type == "key:revoke"]


def test_only_an_admin_or_the_operator_changes_keys(world: Any) -> None:
    for who in ("rae", "ada"):
        with pytest.raises(Forbidden):
            rotate_key(world.ctx, world.person(who), "log")
        with pytest.raises(Forbidden):
            revoke_key(world.ctx, world.person(who), "00000000", reason="lost")
    with pytest.raises(Invalid, match="no role"):
        rotate_key(world.ctx, OPERATOR, "root")


def test_a_row_written_by_the_database_owner_adds_no_key(world: Any) -> None:
    """Somebody with the database but not the key files names a predecessor of their own."""
    rotate_key(world.ctx, OPERATOR, "producer")
    honest = [one.key_id for one in key_ring(world.ctx, "producer")]
    with world.ctx.rows.session(write=True) as session:
        (row,) = ledger.entries(session, world.ctx.org, stream="key/producer")
        held = ledger.parsed(row)["payload"]["previous_public_key"].encode()
        forged = row.leaf.replace(held, base64.b64encode(b"\x07" * 32))
        session.execute(text("DROP TRIGGER ledgerentry_no_update"))
        session.execute(text("UPDATE ledgerentry SET leaf = :leaf WHERE idx = :idx"), {"leaf": forged, "idx": row.idx})
    assert [one.key_id for one in key_ring(world.ctx, "producer")] == honest[:1]
    assert verify_ledger(world.ctx).problems


def key_ring(ctx: Context, role: str) -> list[Any]:
    with ctx.rows.session() as session:
        return key_chain(session, ctx.org, ctx.keys, role)


@pytest.mark.parametrize("name", ["log.pem", "log-mldsa.pem", "issuer.pem", "producer.pem"])
def test_a_home_that_lost_a_key_gets_no_other_one(tmp_path: Path, name: str) -> None:
    """As after a restore that forgot `keys/`: a new key would sign a second history under the name of the first."""
    settings = load_settings(home=tmp_path / "home")
    with contextlib.closing(open_context(settings, create=True)) as ctx, ctx.transaction(OPERATOR) as tx:
        tx.append(EntryDraft("home:init", "org/default", {"org": "default", "billing_zone": "UTC"}, OPERATOR.ledger_ref(), "i", ctx.now()))
    (settings.home / "keys" / name).unlink()
    with pytest.raises(Misconfigured, match=name) as refused:
        open_context(settings, create=True)
    assert "backup" in refused.value.hint
    assert not (settings.home / "keys" / name).exists()
    [told] = [one for one in examine(settings) if one.name == "keys"]
    assert (told.ok, name in told.detail) == (False, True)


def test_a_home_that_lost_its_content_key_gets_another_only_without_bodies(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home")
    key, bodies = settings.home / "keys" / "content-default.key", settings.home / "content" / "default"
    with contextlib.closing(open_context(settings, create=True)) as ctx:
        ctx.content.put("ab" * 32, b"a prompt")
    kept = key.read_bytes()
    key.unlink()
    with pytest.raises(Misconfigured, match="content key of default is not in") as refused:
        open_context(settings, create=True)
    assert ("backup" in refused.value.hint, key.exists()) == (True, False)
    key.write_bytes(kept)
    key.chmod(0o600)
    with contextlib.closing(open_context(settings, create=True)) as ctx:
        assert ctx.content.get("ab" * 32) == b"a prompt"
    key.unlink()
    bodies.rename(tmp_path / "unreadable")
    with contextlib.closing(open_context(settings, create=True)) as ctx:
        ctx.content.put("cd" * 32, b"another")
    assert key.read_bytes() != kept


@pytest.mark.parametrize("role", ["log", "log-mldsa", "producer"])
def test_a_key_of_another_home_writes_nothing(tmp_path: Path, role: str) -> None:
    """As after a restore with the wrong `keys/`: what a stranger signed would verify under no key, also when the right one is back."""
    settings, other = load_settings(home=tmp_path / "home"), load_settings(home=tmp_path / "other")

    def append(idem: str, where: Settings, *, create: bool = False) -> list[str]:
        with contextlib.closing(open_context(where, create=create)) as ctx:
            with ctx.transaction(OPERATOR) as tx:
                said = {"org": "default", "billing_zone": "UTC"}
                tx.append(EntryDraft("home:init", "org/default", said, OPERATOR.ledger_ref(), idem, ctx.now()))
            return verify_ledger(ctx).problems

    assert append("1", settings, create=True) == append("1", other, create=True) == []
    path = settings.home / "keys" / f"{role}.pem"
    own = path.read_bytes()
    path.write_bytes((other.home / "keys" / f"{role}.pem").read_bytes())
    for create in (False, True):
        with pytest.raises(Misconfigured, match=f"signed this ledger: {role}$"):
            append("2", settings, create=create)
    with contextlib.closing(open_context(settings)) as ctx:
        assert verify_ledger(ctx).problems, "nothing was written, and what is there is not by this key"
    [told] = [one for one in examine(settings) if one.name == "keys"]
    assert (told.ok, role in told.detail) == (False, True)
    path.write_bytes(own)
    assert append("2", settings) == []


def begun(tmp_path: Path) -> Settings:
    settings = load_settings(home=tmp_path / "home")
    with contextlib.closing(open_context(settings, create=True)) as ctx:
        write(ctx, "1")
    return settings


def write(ctx: Context, idem: str) -> None:
    with ctx.transaction(OPERATOR) as tx:
        tx.append(EntryDraft("home:init", "org/default", {"org": "default", "billing_zone": "UTC"}, OPERATOR.ledger_ref(), idem, ctx.now()))


def test_a_log_that_would_go_on_under_another_name_takes_nothing(tmp_path: Path) -> None:
    settings = begun(tmp_path)
    (settings.home / "keys" / "domain").unlink()
    with contextlib.closing(open_context(settings)) as ctx:
        with pytest.raises(Misconfigured, match="the log was signed as"):
            write(ctx, "2")
        with ctx.rows.session() as session:
            assert len(ledger.entries(session, ctx.org)) == 1, "refused before it was written"
    [told] = [one for one in examine(settings) if one.name == "keys"]
    assert (told.ok, "domain" in told.detail) == (False, True)


@pytest.mark.parametrize("kept", [b"\xff\xfe\x00", b"acme.example/default\n7\nAAAA"], ids=["no text", "cut off"])
def test_a_damaged_note_in_the_home_is_named(tmp_path: Path, kept: bytes) -> None:
    settings = begun(tmp_path)
    path = note_file(settings.home, "default")
    path.write_bytes(kept)
    with contextlib.closing(open_context(settings)) as ctx:
        with pytest.raises(IntegrityError, match=r"newest-default\.checkpoint is damaged") as refused:
            write(ctx, "2")
        assert "delete the file" in refused.value.hint
        assert any("is damaged" in problem for problem in verify_with_anchors(ctx).problems)
        path.unlink()
        write(ctx, "2")
        assert verify_with_anchors(ctx).problems == []


def test_a_list_of_replaced_keys_whose_writer_died_is_read(tmp_path: Path) -> None:
    settings = begun(tmp_path)
    past = settings.home / "keys" / "log.past"
    past.write_text("5f0e")
    with contextlib.closing(open_context(settings)) as ctx:
        write(ctx, "2")
        old = ctx.keys.log_signer().public_key
        rotate_key(ctx, OPERATOR, "log")
        assert ctx.keys.past("log") == [old]
        assert verify_ledger(ctx).problems == []


def test_a_lost_second_key_is_a_finding(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home")
    with contextlib.closing(open_context(settings, create=True)) as ctx:
        with ctx.transaction(OPERATOR) as tx:
            tx.append(
                EntryDraft("home:init", "org/default", {"org": "default", "billing_zone": "UTC"}, OPERATOR.ledger_ref(), "i", ctx.now())
            )
        assert verify_ledger(ctx).problems == []
        (settings.home / "keys" / "log-mldsa.pem").unlink()
        assert "log-mldsa.pem is not in" in verify_ledger(ctx).problems[0]
