"""The entry envelope: its frozen bytes, what it refuses, and personal data that never reaches the leaf."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from governor.errors import IntegrityError, Invalid
from governor.ledger.canonical import canonical_json
from governor.ledger.entry import MAX_LEAF, Disclosure, Entry, EntryDraft, Producer, disclose
from governor.ledger.types import REGISTRY, entry_type

NOW = datetime(2026, 11, 20, 16, 2, 11, 250_000, tzinfo=UTC)
VECTORS = Path(__file__).parents[1] / "vectors/ledger"
DRAFT = EntryDraft(
    type="change:approve",
    stream="change/RC-42",
    payload={"change": "RC-42", "digest": "ab" * 32, "role": "owner", "reason": "M\u00f6bius read it"},
    actor={"kind": "person", "ref": "01930000-0000-7000-8000-000000000002", "roles": ["owner"], "auth": {"amr": "token"}},
    idem="approve-1",
    occurred_at=NOW,
    evidence=[{"name": "verdict.json", "sha256": "cd" * 32, "size": 12, "media_type": "application/json"}],
)


def build(signer: Any, draft: EntryDraft = DRAFT, **options: Any) -> Entry:
    fixed: dict[str, Any] = {
        "entry_id": "01930000-0000-7000-8000-000000000001", "stream_seq": 1, "stream_prev": None, "recorded_at": NOW,
        "producer": Producer("governor", "0.1.0", "00" * 32), "signer": signer,
    }  # fmt: skip
    return Entry.build(draft, **{**fixed, **options})


def test_frozen_bytes(signer: Any) -> None:
    """A leaf that was written once must be written the same for ever."""
    email = disclose("email", "dana@acme.example", bytes(16))
    assert build(signer, disclosures=[email]).leaf == (VECTORS / "approve.entry.json").read_bytes()


def test_a_leaf_reads_back(signer: Any) -> None:
    made = build(signer, stream_seq=2, stream_prev=bytes(32))
    read = Entry.parse(made.leaf)
    assert (read.id, read.type, read.stream_seq, read.recorded_at, read.actor_ref) == (
        made.id,
        "change:approve",
        2,
        NOW,
        DRAFT.actor["ref"],
    )
    assert read.leaf_hash == hashlib.sha256(b"\x00" + made.leaf).digest()


def test_the_producer_signs_everything_else(signer: Any, signer_of: Any) -> None:
    entry = build(signer)
    entry.verify_producer(signer.public_key)
    with pytest.raises(IntegrityError):
        entry.verify_producer(signer_of(b"x" * 32).public_key)
    for path, value in ((("payload", "role"), "security"), (("actor", "ref"), "someone"), (("stream_seq",), 1_000)):
        body = json.loads(entry.leaf)
        if path == ("stream_seq",):
            body["stream_prev"] = "00" * 32
        inner = body
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
        with pytest.raises(IntegrityError):
            Entry.parse(canonical_json(body)).verify_producer(signer.public_key)


def test_personal_data_stays_out_of_the_leaf(signer: Any) -> None:
    secret = disclose("email", "dana@acme.example")
    leaf = build(signer, disclosures=[secret]).leaf
    assert b"dana" not in leaf
    assert b"email" not in leaf
    assert json.loads(leaf)["_sd"] == [secret.digest]
    assert secret.value == "dana@acme.example"
    assert disclose("email", "dana@acme.example").digest != secret.digest, "without the salt a digest must not be guessable"


def test_published_disclosures(shared_vectors: Path) -> None:
    for case in json.loads((shared_vectors / "sd-jwt/disclosures.json").read_text())["cases"]:
        assert Disclosure("", case["disclosure"]).digest == case["digest"]
        assert json.loads(base64.urlsafe_b64decode(case["disclosure"] + "==")) == case["array"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "change:guess"}, "unknown ledger entry type"),
        ({"payload": {"change": "RC-42"}}, "required"),
        ({"payload": {**DRAFT.payload, "digest": "short"}}, "match"),
        ({"payload": {**DRAFT.payload, "costUsd": "1"}}, "snake_case"),
        ({"payload": {**DRAFT.payload, "share": 0.5}}, "float"),
        ({"payload": {**DRAFT.payload, "pico": 2**60}}, "2\\^53"),
        ({"payload": {**DRAFT.payload, "text": "x" * MAX_LEAF}}, "limit"),
        ({"stream": "no-noun"}, "stream"),
        ({"stream": "change/a b"}, "stream"),
        ({"actor": {"kind": "person"}}, "actor"),
        ({"evidence": [{"name": "a"}]}, "evidence"),
        ({"occurred_at": NOW.replace(tzinfo=None)}, "naive"),
    ],
)
def test_refused_drafts(signer: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        build(signer, replace(DRAFT, **change))


def test_keys_below_the_first_level_may_be_data(signer: Any) -> None:
    entry = build(signer, replace(DRAFT, payload={**DRAFT.payload, "files": {"Statement CC-4100.csv".replace(" ", "-"): "ab" * 32}}))
    assert "Statement-CC-4100.csv" in entry.payload["files"]


@pytest.mark.parametrize("maim", ["drop", "add", "seq", "prev", "version", "spaces"])
def test_maimed_leaves_are_not_read(signer: Any, maim: str) -> None:
    body = json.loads(build(signer).leaf)
    if maim == "drop":
        del body["policy"]
    if maim == "add":
        body["extra"] = 1
    if maim == "seq":
        body["stream_seq"] = 0
    if maim == "prev":
        body["stream_prev"] = "00" * 32
    if maim == "version":
        body["v"] = 2
    leaf = json.dumps(body).encode() if maim == "spaces" else canonical_json(body)
    with pytest.raises(Invalid):
        Entry.parse(leaf)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(({name: wrong}, f"{name} is not ") for name in ("id", "type", "type_schema_sha256", "stream") for wrong in (7, None)),
        *(({name: wrong}, f"{name} is not dict") for name in ("actor", "payload", "producer") for wrong in ([], "x", None)),
        *(({name: wrong}, f"{name} is not list") for name in ("evidence", "_sd") for wrong in ({}, "x", None)),
        *(({"stream_seq": wrong}, "stream_seq is not int") for wrong in (True, "1", None)),
        ({"stream_seq": 0}, "do not fit each other"),
        ({"stream_seq": -1}, "do not fit each other"),
        ({"stream_seq": 0, "stream_prev": "ab" * 32}, "do not fit each other"),
        ({"stream_seq": 2}, "do not fit each other"),
        ({"stream_prev": "ab" * 32}, "do not fit each other"),
        *(({"stream_seq": 2, "stream_prev": wrong}, "do not fit each other") for wrong in ("AB" * 32, "ab" * 31, "ab" * 33, "", 7)),
        ({"actor": {"kind": "person"}}, "actor needs kind and ref"),
        ({"actor": {"ref": "x"}}, "actor needs kind and ref"),
        ({"actor": {"kind": 1, "ref": "x"}}, "actor needs kind and ref"),
        ({"actor": {"kind": "person", "ref": None}}, "actor needs kind and ref"),
        ({"policy": []}, "policy is neither"),
        ({"policy": "x"}, "policy is neither"),
        ({"evidence": ["x"]}, "evidence items need"),
        ({"evidence": [{"name": "x", "sha256": "cd" * 32, "size": 1}]}, "evidence items need"),
        ({"stream": "change"}, "not of the form"),
    ],
)
def test_a_leaf_of_another_shape_is_not_read(signer: Any, change: dict[str, Any], message: str) -> None:
    body = json.loads(build(signer).leaf)
    assert Entry.parse(canonical_json(body | {"stream_seq": 2, "stream_prev": "ab" * 32})).stream_seq == 2
    with pytest.raises(Invalid, match=message):
        Entry.parse(canonical_json(body | change))


def test_a_leaf_is_as_large_as_the_limit_and_no_larger(signer: Any) -> None:
    body = json.loads(build(signer).leaf)
    room = 16 * 1024 - len(canonical_json(body | {"payload": {"reason": ""}}))
    assert len(Entry.parse(canonical_json(body | {"payload": {"reason": "x" * room}})).leaf) == 16 * 1024
    with pytest.raises(Invalid, match="too large"):
        Entry.parse(canonical_json(body | {"payload": {"reason": "x" * (room + 1)}}))


def test_schemas_are_frozen() -> None:
    """A published schema is never edited: its digest is inside every entry. Add a new type instead."""
    frozen = json.loads((VECTORS / "types.json").read_text())
    assert {name: kind.schema_sha256 for name, kind in REGISTRY.items()} == frozen


def test_every_type_is_subject_and_verb_and_means_something() -> None:
    for name, kind in REGISTRY.items():
        subject, _, verb = name.partition(":")
        assert subject.isidentifier()
        assert verb.isidentifier()
        assert kind.meaning.endswith(".")
    with pytest.raises(Invalid):
        entry_type("change:approved")
