"""Packets with one flaw each, by name. `build(name)` gives (packet, trust); what each must be answered is frozen in tests/vectors/packets/negatives.json.

The signer is ours, so a flaw can sit under valid signatures. Story lies and reseals of test_maimed.py are part of the catalogue.
"""

import base64
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import negative_cosignatures
import test_maimed
from packet_story import ISSUER, LOG, SeedSigner, Story, make_story

from governor.ledger.canonical import canonical_json, sha256_hex
from governor.ledger.note import COSIGNATURE, VerifierKey, sign_note, vkey
from governor.packets import container
from governor.packets.statement import PAYLOAD_TYPE, pae

Built = tuple[bytes, bytes]
Files = dict[str, bytes]
CASES: dict[str, Callable[[], Built]] = {}


def build(name: str) -> Built:
    return CASES[name]()


def named(make: Callable[[Story], bytes]) -> Callable[[Story], bytes]:
    """A case that makes the packet from a fresh story; the trust file is the story's."""

    def built() -> Built:
        story = make_story()
        return make(story), story.trust

    CASES[make.__name__] = built
    return make


def add(name: str, make: Callable[[Story], bytes]) -> None:
    make.__name__ = name
    assert name not in CASES, name
    named(make)


# ---- the zip around it


def rezipped(
    packet: bytes,
    *,
    order: Callable[[list[str]], list[str]] = list,
    change: Callable[[zipfile.ZipInfo], None] = lambda _: None,
    **options: Any,
) -> bytes:
    files, buffer = container.unpack(packet), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", options.get("method", zipfile.ZIP_STORED)) as archive:
        for name in order([name for name, _ in container.ordered(files)]):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr, entry.compress_type = 3, 0o100644 << 16, options.get("method", zipfile.ZIP_STORED)
            change(entry)
            archive.writestr(entry, files[name])
        archive.comment = options.get("comment", b"")
    return buffer.getvalue()


def _dated(entry: zipfile.ZipInfo) -> None:
    entry.date_time = (1981, 1, 1, 0, 0, 0)


def _executable(entry: zipfile.ZipInfo) -> None:
    entry.external_attr = 0o100755 << 16


def _from_dos(entry: zipfile.ZipInfo) -> None:
    entry.create_system = 0


def _padded(entry: zipfile.ZipInfo) -> None:
    entry.extra = b"\xfe\xca\x00\x00"


add("zip_compressed", lambda story: rezipped(story.packet(), method=zipfile.ZIP_DEFLATED))
add("zip_with_comment", lambda story: rezipped(story.packet(), comment=b"hello"))
add("zip_other_date", lambda story: rezipped(story.packet(), change=_dated))
add("zip_executable", lambda story: rezipped(story.packet(), change=_executable))
add("zip_made_on_dos", lambda story: rezipped(story.packet(), change=_from_dos))
add("zip_extra_field", lambda story: rezipped(story.packet(), change=_padded))
add("zip_seal_first", lambda story: rezipped(story.packet(), order=lambda names: [names[-1], *names[:-1]]))
add("zip_two_swapped", lambda story: rezipped(story.packet(), order=lambda names: [names[0], names[2], names[1], *names[3:]]))
add("zip_one_more_byte", lambda story: story.packet() + b"\0")
add("zip_one_byte_before", lambda story: b"\0" + story.packet())
add("zip_twice", lambda story: story.packet() * 2)
add("zip_without_its_last_byte", lambda story: story.packet()[:-1])
add("zip_cut_in_half", lambda story: story.packet()[: len(story.packet()) // 2])
add("zip_empty_file", lambda _: b"")
add("zip_not_a_zip", lambda _: b"RC-42 was approved, believe me\n" * 20)
add("zip_wrong_crc", lambda story: story.packet().replace(b"position,baseline,candidate", b"position,baseline,candidatE"))


@named
def zip_name_twice(story: Story) -> bytes:
    buffer = io.BytesIO(story.packet())
    with zipfile.ZipFile(buffer, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name twice is the point
        archive.writestr(zipfile.ZipInfo("VERIFY.txt"), b"another")
    return buffer.getvalue()


@named
def zip_encrypted_flag(story: Story) -> bytes:
    packet = bytearray(story.packet())
    packet[packet.index(b"PK\x01\x02") + 8] |= 1
    return bytes(packet)


# ---- files, sealed again


def resealed(story: Story, change: Callable[[Files], object], *, signer: Any = None) -> bytes:
    files = container.unpack(story.packet())
    files.pop(container.SEAL)
    change(files)
    return container.pack(container.sealed(files, ISSUER, signer or story.issuer))


def add_resealed(name: str, change: Callable[[Files], object]) -> None:
    add(name, lambda story: resealed(story, change))


def without(name: str) -> Callable[[Story], bytes]:
    return lambda story: resealed(story, lambda files: files.pop(name))


for missing in ("VERIFY.txt", "packet.event.json", "packet.tlog-proof", "report.pdf", "statement.dsse.json"):
    add(f"file_missing_{missing.split('.')[0].lower()}_{missing.rsplit('.', maxsplit=1)[-1].replace('-', '_')}", without(missing))
for number, stray in enumerate(
    (
        "notes.txt",
        "evidence/../x",
        "evidence/Upper.csv",
        "evidence/",
        "events/03.json",
        "events/x.json",
        "disclosures/-1.json",
        "range.proof",
    )
):
    add_resealed(f"file_unlisted_{number}", lambda files, stray=stray: files.update({stray: b"hello"}))  # type: ignore[misc]
add_resealed("evidence_one_more", lambda files: files.update({"evidence/more.csv": b"1"}))
add_resealed("evidence_file_gone", lambda files: files.pop("evidence/pairs.csv"))
add_resealed("evidence_file_edited", lambda files: files.update({"evidence/pairs.csv": b"1"}))
add_resealed("report_edited", lambda files: files.update({"report.pdf": b"%PDF another"}))
add_resealed("event_without_proof", lambda files: files.pop("events/3.tlog-proof"))
add_resealed("proof_without_event", lambda files: files.pop("events/3.json"))
add_resealed("event_swapped", lambda files: files.update({"events/3.json": files["events/5.json"]}))
add_resealed("proof_of_another_index", lambda files: files.update({"events/3.tlog-proof": files["events/5.tlog-proof"]}))
add_resealed("issued_before_its_last_event", lambda files: files.update({"packet.tlog-proof": files["events/3.tlog-proof"]}))
add_resealed("disclosure_of_no_event", lambda files: files.update({"disclosures/99.json": b"[]"}))
add_resealed("disclosure_of_another_event", lambda files: files.update({"disclosures/1.json": files["disclosures/7.json"]}))
add_resealed(
    "disclosure_twice", lambda files: files.update({"disclosures/1.json": canonical_json(json.loads(files["disclosures/1.json"]) * 2)})
)
add_resealed("disclosure_invented", lambda files: files.update({"disclosures/1.json": b'["WyJhIiwiYiIsImMiXQ"]'}))
add_resealed("disclosure_not_canonical", lambda files: files.update({"disclosures/1.json": b"[ ]"}))
add_resealed("disclosure_not_text", lambda files: files.update({"disclosures/1.json": b"[1]"}))


def no_events(files: Files) -> None:
    for name in [name for name in files if name.startswith("events/")]:
        del files[name]


add_resealed("no_events_at_all", no_events)


def mimetype(value: bytes | None) -> Callable[[Story], bytes]:
    def make(story: Story) -> bytes:
        files = container.unpack(story.packet())
        files.pop("mimetype")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, body in [*([] if value is None else [("mimetype", value)]), *container.ordered(files)]:
                archive.writestr(name, body)
        return buffer.getvalue()

    return make


add("mimetype_missing", mimetype(None))
add("mimetype_of_a_book", mimetype(b"application/epub+zip"))
add("mimetype_of_version_2", mimetype(container.MIMETYPE.replace(b".v1", b".v2")))


# ---- the seal


def seal(change: Callable[[str, Story], str | bytes]) -> Callable[[Story], bytes]:
    def make(story: Story) -> bytes:
        files = container.unpack(story.packet())
        made = change(files[container.SEAL].decode(), story)
        files[container.SEAL] = made if isinstance(made, bytes) else made.encode()
        return container.pack(files)

    return make


def _resigned(text: str, story: Story) -> str:
    return sign_note(text, [(ISSUER, story.issuer)])


def _text(note: str) -> str:
    return note.rpartition("\n\n")[0] + "\n"


add("seal_names_another_digest", seal(lambda note, story: _resigned(_text(note).replace(sha256_hex(container.MIMETYPE), "0" * 64), story)))
add("seal_names_a_file_that_is_not_there", seal(lambda note, story: _resigned(_text(note) + f"{'0' * 64}  evidence/gone.csv\n", story)))
add("seal_of_another_kind", seal(lambda note, story: _resigned(_text(note).replace("packet-seal/v1", "packet-seal/v9"), story)))
add("seal_signed_twice", seal(lambda note, _: note + note.rpartition("\n\n")[2]))
add("seal_by_a_stranger", seal(lambda note, _: sign_note(_text(note), [("other.example/issuer", SeedSigner("stranger"))])))
add("seal_by_a_stranger_under_our_name", seal(lambda note, _: sign_note(_text(note), [(ISSUER, SeedSigner("stranger"))])))
add(
    "seal_signature_of_another_text",
    seal(lambda note, story: _text(note) + "\n" + sign_note("another\n", [(ISSUER, story.issuer)]).rpartition("\n\n")[2]),
)
add("seal_without_signature", seal(lambda note, _: _text(note)))
add("seal_not_text", seal(lambda _, __: b"\xff\xfe"))
add("seal_with_carriage_returns", seal(lambda note, _: note.replace("\n", "\r\n")))
add("seal_with_control_character", seal(lambda note, _: note.replace("mimetype", "mime\ttype", 1)))
add("seal_with_plain_dash", seal(lambda note, _: note.replace("\u2014", "-")))
add("seal_with_two_spaces", seal(lambda note, _: note.replace(f"{ISSUER} ", f"{ISSUER}  ")))
add("seal_signature_too_short", seal(lambda note, _: _text(note) + f"\n\u2014 {ISSUER} AAAA\n"))
add("seal_base64_in_another_spelling", seal(lambda note, _: _text(note) + f"\n\u2014 {ISSUER} AAAAAAB=\n"))
add("seal_by_a_plus_sign", seal(lambda note, _: note.replace(ISSUER, "acme+issuer")))
add("file_edited_under_the_seal", lambda story: container.pack({**container.unpack(story.packet()), "evidence/pairs.csv": b"swapped"}))


# ---- the statement's envelope, recorded in the ledger as it is


def enveloped(change: Callable[[dict[str, Any], Story], Any]) -> Callable[[Story], bytes]:
    def make(story: Story) -> bytes:
        def restate(body: bytes) -> bytes:
            made = change(json.loads(body), story)
            return made if isinstance(made, bytes) else canonical_json(made)

        story.restate = restate
        return story.packet()

    return make


def signed(payload: bytes, signer: Any) -> dict[str, Any]:
    signature = {"keyid": sha256_hex(signer.public_key), "sig": base64.b64encode(signer.sign(pae(PAYLOAD_TYPE, payload))).decode()}
    return {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}


def claimed(change: Callable[[dict[str, Any]], Any]) -> Callable[[Story], bytes]:
    """Change the statement itself and sign it again."""

    def again(envelope: dict[str, Any], story: Story) -> dict[str, Any]:
        statement = json.loads(base64.b64decode(envelope["payload"]))
        made = change(statement)
        return signed(made if isinstance(made, bytes) else canonical_json(statement), story.issuer)

    return enveloped(again)


def _signature(envelope: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**envelope, "signatures": [{**envelope["signatures"][0], **fields}]}


add("envelope_empty", enveloped(lambda _, __: {}))
add("envelope_not_json", enveloped(lambda _, __: b"approved!"))
add("envelope_with_spaces", enveloped(lambda envelope, _: json.dumps(envelope, indent=1).encode()))
add("envelope_without_signature", enveloped(lambda envelope, _: {**envelope, "signatures": []}))
add("envelope_signed_twice", enveloped(lambda envelope, _: {**envelope, "signatures": envelope["signatures"] * 2}))
add("envelope_with_another_field", enveloped(lambda envelope, _: {**envelope, "note": "x"}))
add("envelope_signature_with_another_field", enveloped(lambda envelope, _: _signature(envelope, cert="x")))
add("envelope_of_another_payload_type", enveloped(lambda envelope, _: {**envelope, "payloadType": "text/plain"}))
add("envelope_payload_not_base64", enveloped(lambda envelope, _: {**envelope, "payload": "%%%"}))
add("envelope_payload_in_another_spelling", enveloped(lambda envelope, _: {**envelope, "payload": envelope["payload"] + "\n"}))
add("envelope_wrong_signature", enveloped(lambda envelope, _: _signature(envelope, sig=base64.b64encode(bytes(64)).decode())))
add("envelope_short_signature", enveloped(lambda envelope, _: _signature(envelope, sig="AAAA")))
add("envelope_by_a_stranger", enveloped(lambda envelope, _: signed(base64.b64decode(envelope["payload"]), SeedSigner("stranger"))))
add("statement_not_canonical", claimed(lambda statement: json.dumps(statement).encode()))
add("statement_not_json", claimed(lambda _: b"{"))
add("statement_with_a_float", claimed(lambda statement: canonical_json(statement).replace(b'"n_planned":300', b'"n_planned":300.5')))
add(
    "statement_with_a_key_twice",
    claimed(lambda statement: canonical_json(statement).replace(b'"n_planned":300', b'"n_planned":300,"n_planned":300')),
)
add(
    "statement_with_a_huge_number",
    claimed(lambda statement: canonical_json(statement).replace(b'"n_planned":300', b'"n_planned":9007199254740993')),
)
add(
    "statement_with_half_a_character", claimed(lambda statement: canonical_json(statement).replace(b"same answers", rb"\ud800same answers"))
)
add("statement_of_version_true", claimed(lambda statement: statement["predicate"].update(version=True)))
add("statement_numbers_an_event_otherwise", claimed(lambda statement: statement["predicate"]["events"][1].update(stream_seq=7)))
add("statement_with_another_field", claimed(lambda statement: statement.update(more=1)))
add("statement_is_a_list", claimed(lambda _: b"[]"))
add("statement_of_another_type", claimed(lambda statement: statement.update(_type="https://in-toto.io/Statement/v2")))
add("statement_of_another_predicate", claimed(lambda statement: statement.update(predicateType="https://slsa.dev/provenance/v1")))
add("statement_of_a_newer_version", claimed(lambda statement: statement["predicate"].update(version=2)))
add("statement_names_a_file_twice", claimed(lambda statement: statement["subject"].append(statement["subject"][0])))
add("statement_with_a_weaker_digest", claimed(lambda statement: statement["subject"][0]["digest"].update(md5="0" * 32)))
add("statement_predicate_is_a_list", claimed(lambda statement: statement.update(predicate=[])))
add("statement_without_a_change", claimed(lambda statement: statement["predicate"].pop("change")))
add("statement_without_a_request", claimed(lambda statement: statement["predicate"].pop("request")))
add("statement_leaves_an_event_out", claimed(lambda statement: statement["predicate"]["events"].pop(3)))
add("statement_renames_an_event", claimed(lambda statement: statement["predicate"]["events"][3].update(type="change:note")))
add("statement_moves_an_event", claimed(lambda statement: statement["predicate"]["events"][3].update(idx=99)))
add("statement_of_another_log", claimed(lambda statement: statement["predicate"].update(log="other.example/ledger")))
add("statement_of_another_change", claimed(lambda statement: statement["predicate"]["change"].update(id="RC-43")))
add("statement_of_another_state", claimed(lambda statement: statement["predicate"]["change"].update(state="verified")))
add("statement_of_no_known_state", claimed(lambda statement: statement["predicate"]["change"].update(state="blessed")))
add("statement_of_another_reason", claimed(lambda statement: statement["predicate"]["change"].update(reason="because")))
add(
    "statement_of_another_baseline",
    claimed(lambda statement: statement["predicate"]["change"].update(baseline={"provider": "x", "model": "y"})),
)
add("statement_of_another_policy_result", claimed(lambda statement: statement["predicate"]["policy"].update(result="deny")))


def _untrue(part: str, **facts: Any) -> Callable[[Story], bytes]:
    """The statement tells something else than the entries that record it."""
    return claimed(lambda statement: (statement["predicate"][part] if part else statement["predicate"]).update(facts))


LATER = "2026-12-24T12:00:00.000000Z"
add("statement_of_another_workflow", _untrue("change", workflow="claims-payout"))
add("statement_of_another_time_of_request", _untrue("change", requested_at=LATER))
add("statement_of_another_time_of_decision", _untrue("change", decided_at=LATER))
add("statement_of_another_time_of_cutover", _untrue("change", cutover_at=LATER))
add("statement_of_another_note_of_cutover", _untrue("change", cutover_note="the board agreed"))
add("statement_of_other_decisions", _untrue("", decisions=[]))
add("statement_of_other_needs", _untrue("", needs=[]))
add("statement_of_another_policy_decision", _untrue("policy", decision_id="d-8"))
add("statement_of_other_violations", _untrue("", violations=[{"rule": "x"}]))
add("statement_of_another_author_of_the_run", _untrue("shadow", author="p-9"))
add("statement_of_a_verification_that_never_was", _untrue("", verification={"share": "100.0"}))
add(
    "statement_not_the_one_on_record",
    lambda story: resealed(
        story, lambda files: files.update({container.STATEMENT: canonical_json(signed(canonical_json(_less(files)), story.issuer))})
    ),
)


def _less(files: Files) -> dict[str, Any]:
    statement: dict[str, Any] = json.loads(base64.b64decode(json.loads(files[container.STATEMENT])["payload"]))
    statement["predicate"]["needs"] = []
    return statement


def two_issuers() -> Built:
    story, other = make_story(), SeedSigner("second issuer")
    story.restate = lambda body: canonical_json(signed(base64.b64decode(json.loads(body)["payload"]), other))
    return story.packet(), story.trust + f"issuer {vkey('acme.example/second', other.public_key)}\n".encode()


CASES["statement_and_seal_by_two_issuers"] = two_issuers


# ---- proofs and checkpoints


def proofs(change: Callable[[str], str]) -> Callable[[Files], None]:
    """The same change in every proof, so that they still agree with each other."""

    def all_of(files: Files) -> None:
        for name in [name for name in files if name.endswith(".tlog-proof")]:
            files[name] = change(files[name].decode()).encode()

    return all_of


def one_proof(change: Callable[[str], str]) -> Callable[[Files], None]:
    return lambda files: files.update({"events/3.tlog-proof": change(files["events/3.tlog-proof"].decode()).encode()})


def _lines(text: str, at: int, value: str | None) -> str:
    lines = text.split("\n")
    lines[at : at + 1] = [] if value is None else [value]
    return "\n".join(lines)


def _body(at: int, value: str | None) -> Callable[[str], str]:
    """Replace a line of the checkpoint (0 origin, 1 size, 2 root) in a proof."""

    def change(text: str) -> str:
        head, _, note = text.partition("\n\n")
        return f"{head}\n\n{_lines(note, at, value)}"

    return change


for name, change in {
    "proof_of_another_format": lambda text: text.replace("@v1", "@v2", 1), "proof_without_index": lambda text: _lines(text, 1, None),
    "proof_index_with_zero_in_front": lambda text: text.replace("index 3", "index 03"), "proof_index_negative": lambda text: text.replace("index 3", "index -3"),
    "proof_hash_too_short": lambda text: _lines(text, 2, "AAAA"), "proof_hash_not_base64": lambda text: _lines(text, 2, "!"),
    "proof_one_hash_fewer": lambda text: _lines(text, 2, None), "proof_one_hash_more": lambda text: text.replace("index 3\n", "index 3\n" + "A" * 43 + "=\n"),
    "proof_another_hash": lambda text: _lines(text, 2, "A" * 43 + "="), "proof_with_extra_data": lambda text: text.replace("index 3", "extra AAAA\nindex 3"),
    "proof_without_checkpoint": lambda text: text.partition("\n\n")[0] + "\n\n", "proof_under_another_checkpoint": _body(1, "11"),
}.items():  # fmt: skip
    add_resealed(name, one_proof(change))
for name, change in {
    "checkpoint_of_another_size": _body(1, "4096"), "checkpoint_of_size_zero": _body(1, "0"), "checkpoint_size_not_a_number": _body(1, "fifteen"),
    "checkpoint_of_another_root": _body(2, "A" * 43 + "="), "checkpoint_root_too_short": _body(2, "AAAA"), "checkpoint_root_not_base64": _body(2, "root!"),
    "checkpoint_without_root": _body(2, None), "checkpoint_of_another_origin": _body(0, "other.example/ledger"),
    "checkpoint_with_an_extension_line": lambda text: text.replace("=\n\n\u2014", "=\nextension\n\n\u2014"),
    "checkpoint_unsigned": lambda text: text.rpartition("\u2014")[0],
}.items():  # fmt: skip
    add_resealed(name, proofs(change))


def checkpoint_by(*signers: tuple[str, str], **believed: str) -> Callable[[], Built]:
    def built() -> Built:
        story = make_story()
        plain = story.checkpoint
        story.checkpoint = lambda: sign_note(_text(plain()), [(name, SeedSigner(seed)) for name, seed in signers])  # type: ignore[method-assign]
        trust = story.trust.decode()
        for old, new in believed.items():
            trust = trust.replace(old.replace("_", " "), new)
        return story.packet(), trust.encode()

    return built


CASES["checkpoint_by_a_stranger"] = checkpoint_by((LOG, "stranger"))
CASES["checkpoint_key_not_valid_yet"] = checkpoint_by((LOG, "log"), **{"0..": "1000.."})
CASES["checkpoint_key_no_longer_valid"] = checkpoint_by((LOG, "log"), **{"0..": "0..3"})
CASES["witness_missing"] = checkpoint_by((LOG, "log"), quorum_none=f"witness w {vkey('w.example', SeedSigner('w').public_key)}\nquorum w")


def cosigned(signer: SeedSigner, time: int, signed_time: int) -> Built:
    story, key = make_story(), VerifierKey("w.example", COSIGNATURE, SeedSigner("w").public_key)
    plain = story.checkpoint

    def checkpoint() -> str:
        note = plain()
        raw = key.key_id + time.to_bytes(8, "big") + signer.sign(f"cosignature/v1\ntime {signed_time}\n{_text(note)}".encode())
        return note + f"\u2014 w.example {base64.b64encode(raw).decode()}\n"

    story.checkpoint = checkpoint  # type: ignore[method-assign]
    trust = story.trust.decode().replace("quorum none", f"witness w {vkey('w.example', SeedSigner('w').public_key)}\nquorum w")
    return story.packet(), trust.encode()


def cosigned_checkpoint(believed: str, *, size: int | None = None) -> Built:
    """A cosignature of witness w, over a tree of `size` entries instead of the packet's where given, under a trust file that says `believed`."""
    story, key = make_story(), VerifierKey("w.example", COSIGNATURE, SeedSigner("w").public_key)
    plain = story.checkpoint

    def checkpoint() -> str:
        note, when = plain(), 1_795_000_000
        said = _text(note)
        if size is not None:
            origin, _, root = said.splitlines()
            said = f"{origin}\n{size}\n{root}\n"
        raw = key.key_id + when.to_bytes(8, "big") + SeedSigner("w").sign(f"cosignature/v1\ntime {when}\n{said}".encode())
        return note + f"\u2014 w.example {base64.b64encode(raw).decode()}\n"

    story.checkpoint = checkpoint  # type: ignore[method-assign]
    return story.packet(), story.trust.decode().replace("quorum none", believed).encode()


W, OTHER = (vkey("w.example", SeedSigner(name).public_key) for name in ("w", "other"))
CASES["witness_key_is_another"] = lambda: cosigned_checkpoint(f"witness w {OTHER}\nquorum w")
CASES["witness_cosigned_another_size"] = lambda: cosigned_checkpoint(f"witness w {W}\nquorum w", size=4)
CASES["witness_quorum_two_of_two"] = lambda: cosigned_checkpoint(f"witness w {W}\nwitness x {OTHER}\ngroup both all w x\nquorum both")
CASES["witness_key_before_its_range"] = lambda: cosigned_checkpoint(f"witness w {W} 1000..\nquorum w")
CASES["witness_key_behind_its_range"] = lambda: cosigned_checkpoint(f"witness w {W} 0..3\nquorum w")
CASES["witness_signature_forged"] = lambda: cosigned(SeedSigner("stranger"), 1_795_000_000, 1_795_000_000)
CASES["witness_time_moved"] = lambda: cosigned(SeedSigner("w"), 1_795_000_001, 1_795_000_000)


# ---- entries, in the log as they are


def forged(number: int, change: Callable[[dict[str, Any]], Any]) -> Callable[[Story], bytes]:
    def make(story: Story) -> bytes:
        def forge(leaf: bytes) -> bytes:
            body = json.loads(leaf)
            made = change(body)
            return made if isinstance(made, bytes) else canonical_json(body)

        story.forge[number] = forge
        return story.packet()

    return make


ISSUE = 7
for name, change in {
    "entry_not_canonical": lambda body: json.dumps(body).encode(),
    "entry_is_a_list": lambda _: b"[]",
    "entry_with_another_field": lambda body: body.update(more=1),
    "entry_without_a_field": lambda body: body.pop("policy"),
    "entry_of_a_newer_version": lambda body: body.update(v=2),
    "entry_id_not_text": lambda body: body.update(id=1),
    "entry_number_as_text": lambda body: body.update(stream_seq="7"),
    "entry_number_true": lambda body: body.update(stream_seq=True),
    "entry_actor_a_list": lambda body: body.update(actor=[]),
    "entry_actor_without_kind": lambda body: body["actor"].pop("kind"),
    "entry_evidence_without_digest": lambda body: body.update(evidence=[{"name": "a", "size": 1, "media_type": "b"}]),
    "entry_policy_a_list": lambda body: body.update(policy=[]),
    "entry_stream_without_id": lambda body: body.update(stream="change"),
    "entry_first_with_a_predecessor": lambda body: body.update(stream_seq=1),
    "entry_without_predecessor": lambda body: body.update(stream_prev=None),
    "entry_time_in_another_form": lambda body: body.update(recorded_at="2026-11-20T16:02:11Z"),
    "entry_on_30_february": lambda body: body.update(recorded_at="2026-02-30T16:02:11.000000Z"),
    "entry_field_in_camel_case": lambda body: body["payload"].update(statementSha="x"),
    "entry_too_large": lambda body: body["payload"].update(text="x" * 17_000),
    "issue_of_another_statement": lambda body: body["payload"].update(statement_sha256="0" * 64),
    "issue_of_another_type": lambda body: body.update(type="change:note"),
    "issue_after_a_gap": lambda body: body.update(stream_seq=9),
    "issue_of_another_predecessor": lambda body: body.update(stream_prev="0" * 64),
    "issue_in_another_stream": lambda body: body.update(stream="change/RC-43"),
}.items():
    add(name, forged(ISSUE, change))
add("entry_of_another_predecessor", forged(5, lambda body: body.update(stream_prev="0" * 64)))
add("approval_without_role", forged(4, lambda body: body["payload"].pop("role")))
add("approval_without_digest", forged(4, lambda body: body["payload"].pop("digest")))
add("approval_expiry_not_a_time", forged(4, lambda body: body["payload"].update(expires_at="next week")))
add("evidence_author_is_no_name", forged(2, lambda body: body["payload"].update(author=7)))
add("review_without_needs", forged(3, lambda body: body["payload"].pop("needs")))
add("approval_weaker_than_policy_demands", forged(3, lambda body: body["payload"]["needs"][0].update(strength="passkey")))
add("review_without_parts", forged(3, lambda body: body["payload"].pop("parts")))
add("policy_without_bundle", forged(3, lambda body: body["policy"].pop("bundle_sha256")))


def lie(maim: Callable[[Any], None]) -> Callable[[Story], bytes]:
    def make(story: Story) -> bytes:
        maim(story)
        return story.packet()

    return make


for name, (_, _, maim) in test_maimed.CASES.items():
    add(name, lie(maim))
CASES.update(negative_cosignatures.CASES)
