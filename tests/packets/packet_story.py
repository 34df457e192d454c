"""A change's story told with fixed keys and clocks, so that its packet has the same bytes at every run; each chapter can be maimed."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governor.changes import Binding
from governor.evidence import EvidenceItem, evidence_digest
from governor.ledger import merkle
from governor.ledger.canonical import canonical_json, sha256_hex, timestamp
from governor.ledger.canonical import digest as canonical_digest
from governor.ledger.checkpoint import Checkpoint
from governor.ledger.entry import Disclosure, Entry, EntryDraft, Producer, disclose
from governor.ledger.note import sign_note, vkey
from governor.ledger.proof import TlogProof
from governor.ledger.trust import trust_text
from governor.packets.assemble import PacketEvent, PacketParts, assemble, statement_envelope

START = datetime(2026, 11, 20, 16, 2, 11, tzinfo=UTC)
BUNDLE = hashlib.sha256(b"policy bundle").hexdigest()
LOG, ISSUER = "acme.example/ledger", "acme.example/issuer"
PDF = b"%PDF-1.7\n% a stand-in: the report's looks are tested elsewhere\n"


class SeedSigner:
    def __init__(self, seed: str) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
        self.public_key = self.private.public_key().public_bytes_raw()
        self.key_id = sha256_hex(self.public_key)

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


def person(ref: str, *roles: str) -> dict[str, Any]:
    return {"kind": "person", "ref": ref, "roles": sorted(roles), "auth": {"amr": "token"}}


SYSTEM = {"kind": "system", "ref": "system", "roles": [], "auth": {"amr": "system"}}


@dataclass
class Chapter:
    type: str
    actor: dict[str, Any]
    payload: dict[str, Any]
    evidence: list[dict[str, Any]] = field(default_factory=list)
    policy: dict[str, Any] | None = None
    personal: dict[str, Any] = field(default_factory=dict)
    stream: str = "change/RC-42"


@dataclass(kw_only=True)
class Log:
    """A log of leaves with the keys that sign it and its packets."""

    log: SeedSigner = field(default_factory=lambda: SeedSigner("log"))
    issuer: SeedSigner = field(default_factory=lambda: SeedSigner("issuer"))
    producer: SeedSigner = field(default_factory=lambda: SeedSigner("producer"))
    leaves: list[bytes] = field(default_factory=list)

    @property
    def trust(self) -> bytes:
        return trust_text(
            title="acme audit trust", logs=[vkey(LOG, self.log.public_key)], issuers=[vkey(ISSUER, self.issuer.public_key)]
        ).encode()

    def checkpoint(self) -> str:
        return sign_note(Checkpoint(LOG, len(self.leaves), merkle.root(self._read, len(self.leaves))).text, [(LOG, self.log)])

    def _read(self, level: int, pos: int) -> bytes:
        if level == 0:
            return merkle.leaf_hash(self.leaves[pos])
        return merkle.node_hash(self._read(level - 1, 2 * pos), self._read(level - 1, 2 * pos + 1))


@dataclass
class Story(Log):
    """Change `chapters`, `evidence` or `document` before `packet()`; or hand `packet` a function that maims the finished parts."""

    chapters: list[Chapter]
    evidence: list[EvidenceItem]
    document: dict[str, Any]
    witnesses: dict[str, SeedSigner] = field(default_factory=dict)
    show_personal: bool = True
    skip: frozenset[int] = frozenset()  # stream numbers left out of the packet
    restate: Callable[[bytes], bytes] = bytes  # the statement's envelope, before its digest goes on record
    forge: dict[int, Callable[[bytes], bytes]] = field(default_factory=dict)  # leaf of a stream number, before it goes into the log

    def packet(self) -> bytes:
        self.leaves = []
        events = [self._write(chapter) for chapter in self.chapters]
        shown = [event for number, event in enumerate(events, 1) if number not in self.skip]
        parts = PacketParts(self.document, LOG, shown, self.evidence, PDF)
        statement = self.restate(statement_envelope(parts, self.issuer))
        issue = self._write(self.issue_chapter(statement))
        self._noise()
        note = self.checkpoint()
        proven = [PacketEvent(event.idx, event.leaf, self._proof(event.idx, note), event.disclosures) for event in shown]
        parts = PacketParts(self.document, LOG, proven, self.evidence, PDF)
        last = PacketEvent(issue.idx, issue.leaf, self._proof(issue.idx, note))
        return assemble(parts, statement, last, issuer_name=ISSUER, issuer=self.issuer)

    def issue_chapter(self, statement: bytes) -> Chapter:
        return Chapter("packet:issue", person("p-auditor", "auditor"), {"change": "RC-42", "statement_sha256": sha256_hex(statement)})

    def _proof(self, idx: int, note: str) -> TlogProof:
        return TlogProof(idx, tuple(merkle.inclusion_proof(self._read, idx, len(self.leaves))), note)

    def _noise(self) -> None:
        self.leaves.append(b"another organization's business %d" % len(self.leaves))

    def _write(self, chapter: Chapter) -> PacketEvent:
        self._noise()
        before = [entry for entry in map(self._entry, self.leaves) if entry is not None and entry.body["stream"] == chapter.stream]
        when = START + timedelta(hours=len(before))
        shown: list[Disclosure] = [
            disclose(name, value, hashlib.sha256(name.encode()).digest()[:16]) for name, value in chapter.personal.items()
        ]
        entry = Entry.build(
            EntryDraft(chapter.type, chapter.stream, chapter.payload, chapter.actor, "-", when, chapter.evidence, chapter.policy),
            entry_id=f"01930000-0000-7000-8000-{len(self.leaves):012d}",
            stream_seq=len(before) + 1,
            stream_prev=before[-1].leaf_hash if before else None,
            recorded_at=when,
            producer=Producer("governor", "0.1.0", hashlib.sha256(b"build").hexdigest()),
            signer=self.producer,
            disclosures=shown,
        )
        leaf = self.forge.get(entry.stream_seq, bytes)(entry.leaf)
        self.leaves.append(leaf)
        return PacketEvent(len(self.leaves) - 1, leaf, disclosures=shown if self.show_personal else ())

    @staticmethod
    def _entry(leaf: bytes) -> Entry | None:
        return Entry.parse(leaf) if leaf.startswith(b"{") else None


REQUEST = {
    "workflow": "claims-triage", "baseline": {"provider": "azure.openai", "model": "gpt-5"}, "candidate": {"provider": "bedrock", "model": "haiku"},
    "endpoint": "gateway-shadow", "reason": "same answers, lower cost", "margins": {"quality": "0.03"}, "budget_usd": "20",
}  # fmt: skip
VERDICT = {"verdict": "pass", "n_prefix": 300, "n_planned": 300}


def make_story() -> Story:
    verdict = EvidenceItem("verdict.json", "application/json", canonical_json(VERDICT))
    pairs = EvidenceItem("pairs.csv", "text/csv", b"position,baseline,candidate\n0,1,1\n1,1,1\n")
    measured = [verdict.reference(), pairs.reference()]
    policy = {"bundle_sha256": BUNDLE, "decision_id": "d-7", "result": "allow"}
    needs = [{"role": "owner", "reason": "every route change"}, {"role": "security", "reason": "confidential data"}]
    parts = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("workflow", "plan", "sample", "price_book")}
    parts["evidence"] = canonical_digest(["r-1", canonical_json(VERDICT).decode(), evidence_digest([verdict, pairs])])
    binding = Binding(
        request=REQUEST, workflow=parts["workflow"], plan=parts["plan"], sample=parts["sample"], evidence=parts["evidence"],
        policy_bundle=BUNDLE, price_book=parts["price_book"],
    )  # fmt: skip
    common = {"change": "RC-42", "digest": binding.digest}
    expires = {"expires_at": timestamp(START + timedelta(days=14))}
    chapters = [
        Chapter(
            "change:propose", person("p-1", "requester"), {**common, "workflow": "claims-triage"}, personal={"email": "rita@acme.example"}
        ),
        Chapter("change:shadow", SYSTEM, {"change": "RC-42", "status": "done", "author": "p-1", "verdict": "pass"}, measured),
        Chapter("change:review", SYSTEM, {**common, "needs": needs, "parts": parts}, measured, policy=policy),
        Chapter("change:approve", person("p-2", "owner"), {**common, **expires, "role": "owner"}, personal={"email": "dana@acme.example"}),
        Chapter("change:approve", person("p-3", "security"), {**common, **expires, "role": "security"}),
        Chapter("change:cutover", person("p-1", "requester"), dict(common)),
    ]
    document = {
        "change": {
            "id": "RC-42", "workflow": "claims-triage", "state": "cutover", "digest": binding.digest, "requester": "p-1",
            **{name: REQUEST[name] for name in ("reason", "baseline", "candidate", "endpoint")},
        },
        "request": dict(REQUEST),
        "shadow": {"run": "r-1", "status": "done", "verdict": dict(VERDICT)},
        "needs": needs,
        "policy": policy,
    }  # fmt: skip
    return Story(chapters, [verdict, pairs], document)


def withdraw(story: Story) -> None:
    """In place of the second approval, by whoever asked; policy had refused it besides, which is no contradiction."""
    digest = story.document["change"]["digest"]
    said = {"change": "RC-42", "digest": digest, "before": "in_review"}
    story.chapters[4:] = [Chapter("change:withdraw", person("p-1", "requester"), said, personal={"reason": "not now"})]
    story.chapters[2].policy = story.document["policy"] = {**story.document["policy"], "result": "deny"}
    at = timestamp(START + timedelta(hours=4))
    story.document["change"] |= {"state": "withdrawn", "withdrawn_at": at, "withdrawn_by": "p-1", "withdrawn_note": "not now"}
