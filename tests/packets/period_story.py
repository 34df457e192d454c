"""A quarter's story with fixed keys and clocks: one change that began before it, one rejected, one still open; each part can be maimed."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from packet_story import ISSUER, LOG, PDF, SYSTEM, Log, person

from governor.evidence import EvidenceItem
from governor.ledger import merkle
from governor.ledger.canonical import sha256_hex
from governor.ledger.entry import Disclosure, Entry, EntryDraft, Producer, disclose
from governor.ledger.proof import TlogProof
from governor.packets.assemble import PacketEvent, PeriodParts, assemble_period, period_statement
from governor.packets.period import population_csv

NAME = "2026-Q4"


def at(month: int, day: int, year: int = 2026) -> datetime:
    return datetime(year, month, day, 9, 30, tzinfo=UTC)


@dataclass
class Step:
    type: str
    stream: str
    when: datetime
    payload: dict[str, Any]
    actor: dict[str, Any] = field(default_factory=lambda: dict(SYSTEM))
    personal: dict[str, Any] = field(default_factory=dict)


def change(verb: str, number: int, when: datetime, actor: dict[str, Any], personal: dict[str, Any] | None = None, **payload: Any) -> Step:
    digest = hashlib.sha256(f"RC-{number}".encode()).hexdigest()
    return Step(
        f"change:{verb}", f"change/RC-{number}", when, {"change": f"RC-{number}", "digest": digest, **payload}, actor, personal or {}
    )


NEEDS = [{"role": "owner", "reason": "every route change"}, {"role": "security", "reason": "confidential data"}]
RITA, DANA, SOL = person("p-1", "requester"), person("p-2", "owner"), person("p-3", "security")


def steps() -> list[Step]:
    return [
        Step("home:init", "home/acme", at(9, 1), {"org": "acme"}),
        change("propose", 7, at(9, 28), RITA, {"reason": "cheaper"}, workflow="claims-triage"),
        Step("source:ingest", "source/litellm", at(9, 30), {"stored": 100}),
        change("shadow", 7, at(10, 2), SYSTEM, status="done", author="p-1", verdict="pass"),
        change("review", 7, at(10, 2), SYSTEM, needs=NEEDS),
        change("approve", 7, at(10, 3), DANA, {"reason": "read it"}, role="owner"),
        change("propose", 8, at(10, 4), RITA, workflow="fnol"),
        change("approve", 7, at(10, 5), SOL, role="security"),
        change("cutover", 7, at(10, 9), RITA),
        change("shadow", 8, at(11, 2), SYSTEM, status="done", author="p-1", verdict="fail"),
        change("review", 8, at(11, 2), SYSTEM, needs=NEEDS),
        change("reject", 8, at(11, 3), SOL),
        Step("source:ingest", "source/litellm", at(12, 1), {"stored": 50}),
        change("propose", 9, at(12, 30), RITA, workflow="fnol"),
        Step("source:ingest", "source/litellm", at(1, 2, 2027), {"stored": 70}),
    ]


@dataclass
class PeriodStory(Log):
    """Change `steps`, the cut or the statement before `packet()`."""

    steps: list[Step] = field(default_factory=steps)
    name: str = NAME
    begin: int = 2  # the entry before the period
    end: int = 15
    earlier: tuple[int, ...] = (1,)
    listed: Callable[[bytes], bytes] = bytes  # changes.csv, before the statement names its digest
    show_personal: bool = False
    issued: datetime = field(default_factory=lambda: at(1, 5, 2027))
    hidden: dict[int, list[Disclosure]] = field(default_factory=dict)
    restate: Callable[[bytes], bytes] = bytes
    forge: dict[int, Callable[[dict[str, Any]], Any]] = field(default_factory=dict)  # an entry's body by index, before it goes into the log
    more: int = 0  # entries between the last of the range and the issue

    def packet(self) -> bytes:
        self.leaves, self.hidden = [], {}
        for step in self.steps:
            self._write(step)
        parts = self.parts()
        statement = self.restate(period_statement(parts, self.issuer))
        for number in range(self.more):
            self._write(Step("source:ingest", "source/litellm", self.issued, {"stored": number}))
        payload = {"period": self.name, "statement_sha256": sha256_hex(statement)}
        self._write(Step("period:issue", f"period/{self.name}", self.issued, payload, person("p-9", "auditor")))
        note, size = self.checkpoint(), len(self.leaves)
        return assemble_period(
            PeriodParts(parts.name, parts.log, parts.entries, [self._proven(event, note) for event in parts.earlier], parts.evidence, PDF),
            statement,
            self._proven(PacketEvent(size - 1, self.leaves[-1]), note),
            merkle.range_proof(self._read, self.begin, self.end, size),
            issuer_name=ISSUER,
            issuer=self.issuer,
        )

    def parts(self) -> PeriodParts:
        parts = PeriodParts(
            self.name, LOG, [self._event(idx) for idx in range(self.begin, self.end)], [self._event(idx) for idx in self.earlier], [], PDF
        )
        population = self.listed(population_csv(parts.document["changes"]))
        return replace(parts, evidence=[EvidenceItem("changes.csv", "text/csv", population)])

    def _event(self, idx: int) -> PacketEvent:
        return PacketEvent(idx, self.leaves[idx], disclosures=self.hidden.get(idx, []) if self.show_personal else ())

    def _proven(self, event: PacketEvent, note: str) -> PacketEvent:
        path = merkle.inclusion_proof(self._read, event.idx, len(self.leaves))
        return PacketEvent(event.idx, event.leaf, TlogProof(event.idx, tuple(path), note), event.disclosures)

    def _write(self, step: Step) -> None:
        before = [entry for entry in map(Entry.parse, self.leaves) if entry.body["stream"] == step.stream]
        idx = len(self.leaves)
        self.hidden[idx] = [disclose(name, value, hashlib.sha256(name.encode()).digest()[:16]) for name, value in step.personal.items()]
        entry = Entry.build(
            EntryDraft(step.type, step.stream, step.payload, step.actor, "-", step.when),
            entry_id=f"01930000-0000-7000-8000-{idx:012d}",
            stream_seq=len(before) + 1,
            stream_prev=before[-1].leaf_hash if before else None,
            recorded_at=step.when,
            producer=Producer("governor", "0.1.0", hashlib.sha256(b"build").hexdigest()),
            signer=self.producer,
            disclosures=self.hidden[idx],
        )
        leaf = entry.leaf
        if idx in self.forge:
            body = json.loads(leaf)
            self.forge[idx](body)
            leaf = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        self.leaves.append(leaf)
