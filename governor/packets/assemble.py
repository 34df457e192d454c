"""Facts in, packet bytes out: the statement of a change, then the sealed file around it.

Owns: the predicate's shape, the file list, VERIFY.txt. Does not own: gathering the facts (actions/export_packet.py).
Invariants: no clock, no randomness; the statement never names the entry that issues it, because that entry holds the statement's digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from governor.evidence import EvidenceItem
from governor.ledger.canonical import canonical_json, sha256_hex
from governor.ledger.entry import Disclosure, Entry
from governor.ledger.note import NoteSigner
from governor.ledger.proof import TlogProof
from governor.packets import container, period
from governor.packets.statement import envelope, statement

VERSION: Final = 1


@dataclass(frozen=True)
class PacketEvent:
    """One ledger entry with its position; the proof is added once the entry is sealed."""

    idx: int
    leaf: bytes
    proof: TlogProof | None = None
    disclosures: Sequence[Disclosure] = ()


@dataclass(frozen=True)
class PacketParts:
    """Everything a packet says. document: {"change", "needs", "policy", "shadow", "cost", ...}; events: the change's whole stream so far."""

    document: Mapping[str, Any]
    log: str
    events: Sequence[PacketEvent]
    evidence: Sequence[EvidenceItem]
    report: bytes


def statement_envelope(parts: PacketParts, issuer: NoteSigner) -> bytes:
    """The signed statement; its SHA-256 goes into the `packet:issue` entry."""
    subjects = {f"evidence/{item.name}": item.sha256 for item in parts.evidence}
    subjects[container.REPORT] = sha256_hex(parts.report)
    predicate = {**parts.document, "version": VERSION, "log": parts.log, "events": [event_line(event) for event in parts.events]}
    return envelope(statement(subjects, predicate), issuer)


@dataclass(frozen=True)
class PeriodParts:
    """Everything a period packet says. entries: the period and the entry on either side; earlier: what came before it of the changes that moved in it."""

    name: str
    log: str
    entries: Sequence[PacketEvent]
    earlier: Sequence[PacketEvent]
    evidence: Sequence[EvidenceItem]
    report: bytes = b""

    @property
    def numbered(self) -> list[period.Numbered]:
        return [period.Numbered(event.idx, Entry.parse(event.leaf)) for event in [*self.earlier, *self.entries]]

    @property
    def document(self) -> dict[str, Any]:
        """The statement's predicate."""
        every = self.numbered
        held = every[len(self.earlier) :]
        first, after = period.period_bounds(self.name)
        return {
            "version": VERSION,
            "log": self.log,
            "period": {"name": self.name, "from": first, "to": after},
            "range": {"begin": held[0].idx, "end": held[-1].idx + 1, "leaves_sha256": period.leaves_digest(held)},
            "counts": period.counts(period.inside(held, self.name)),
            "changes": period.population(every, self.name),
        }


def period_statement(parts: PeriodParts, issuer: NoteSigner) -> bytes:
    """The signed statement of a period packet."""
    subjects = {f"evidence/{item.name}": item.sha256 for item in parts.evidence}
    subjects[container.REPORT] = sha256_hex(parts.report)
    return envelope(statement(subjects, parts.document, period.PREDICATE_TYPE), issuer)


def assemble_period(
    parts: PeriodParts, signed_statement: bytes, issue: PacketEvent, hashes: Sequence[bytes], *, issuer_name: str, issuer: NoteSigner
) -> bytes:
    """The packet. `hashes` prove the range, every earlier event and `issue` carry their proof, all under one checkpoint."""
    begin, end = parts.entries[0].idx, parts.entries[-1].idx + 1
    files: dict[str, bytes] = {
        container.STATEMENT: signed_statement,
        container.REPORT: parts.report,
        container.GUIDE: period_guide(parts.log, issuer_name).encode(),
        container.ISSUE_EVENT: issue.leaf,
        container.ISSUE_PROOF: _proof(issue),
        container.RANGE_PROOF: period.RangeProof(begin, end, tuple(hashes)).text.encode(),
        container.RANGE: b"".join(event.leaf + b"\n" for event in parts.entries),
    }
    for event in parts.earlier:
        files[f"events/{event.idx}.json"] = event.leaf
        files[f"events/{event.idx}.tlog-proof"] = _proof(event)
    for event in [*parts.earlier, *parts.entries]:
        if event.disclosures:
            files[f"disclosures/{event.idx}.json"] = canonical_json([found.text for found in event.disclosures])
    for item in parts.evidence:
        files[f"evidence/{item.name}"] = item.body
    return container.pack(container.sealed(files, issuer_name, issuer))


def event_line(event: PacketEvent) -> dict[str, Any]:
    """How the statement names one entry."""
    entry = Entry.parse(event.leaf)
    return {
        "idx": event.idx,
        "id": entry.id,
        "type": entry.type,
        "stream_seq": entry.stream_seq,
        "leaf_sha256": entry.leaf_hash.hex(),
    }


def assemble(parts: PacketParts, signed_statement: bytes, issue: PacketEvent, *, issuer_name: str, issuer: NoteSigner) -> bytes:
    """The packet. Every event and `issue` must carry its proof under one checkpoint."""
    files: dict[str, bytes] = {
        container.STATEMENT: signed_statement,
        container.REPORT: parts.report,
        container.GUIDE: guide(parts.log, issuer_name).encode(),
        container.ISSUE_EVENT: issue.leaf,
        container.ISSUE_PROOF: _proof(issue),
    }
    for event in parts.events:
        files[f"events/{event.idx}.json"] = event.leaf
        files[f"events/{event.idx}.tlog-proof"] = _proof(event)
        if event.disclosures:
            files[f"disclosures/{event.idx}.json"] = canonical_json([found.text for found in event.disclosures])
    for item in parts.evidence:
        files[f"evidence/{item.name}"] = item.body
    return container.pack(container.sealed(files, issuer_name, issuer))


def _proof(event: PacketEvent) -> bytes:
    if event.proof is None:
        raise ValueError(f"event {event.idx} has no proof yet: seal the ledger first")
    return event.proof.text.encode()


def guide(log: str, issuer: str) -> str:
    """VERIFY.txt: how to check this file without us."""
    return f"""HOW TO VERIFY THIS PACKET

It needs a trust file that you received OUTSIDE this packet (from the company's audit contact).
Log: {log}
Issuer: {issuer}

With Governor, offline:
    governor packet verify FILE.govpacket --trust FILE.trust
Exit code 0 verified, 1 FAILED, 2 cannot be decided (key not in the trust file, witnesses missing, newer version).

Without Governor (unzip the file into an empty folder first):
 1. All files are the sealed ones:
        sed -n '2,/^$/p' seal.note | sed '/^$/d' | sha256sum -c
 2. The seal is signed: seal.note is a C2SP signed note (c2sp.org/signed-note) under the `issuer` key of the trust file.
 3. The statement is signed by the same key: statement.dsse.json is a DSSE envelope; its payload is an in-toto Statement v1
    that lists every evidence file and report.pdf with its SHA-256.
 4. Every events/N.json is in the log: events/N.tlog-proof is a c2sp.org/tlog-proof@v1; the leaf is the file as it is,
    hashed as RFC 6962 says (SHA-256 over one zero byte and the file). Its checkpoint is signed by the `log` key of the trust file.
 5. stream_seq runs from 1 without a gap and stream_prev names the leaf hash before it: no event of this change is missing.
    packet.event.json closes the row: it holds the SHA-256 of statement.dsse.json and is itself in the log.
 6. Approvals: the people in the change:approve events differ from each other, from the requester and from the author of the evidence,
    and name the digest the statement names.

What a signature does not prove: that a measurement was taken honestly, or that a person read what they approved.
It proves who signed what, that nothing was changed or left out since, and in which order it was recorded.
"""


def period_guide(log: str, issuer: str) -> str:
    """VERIFY.txt of a period packet."""
    return f"""HOW TO VERIFY THIS PERIOD PACKET

It needs a trust file that you received OUTSIDE this packet (from the company's audit contact).
Log: {log}
Issuer: {issuer}

With Governor, offline:
    governor packet verify FILE.govpacket --trust FILE.trust
Or with verify.py or verify.html, which need nothing installed. Exit code 0 verified, 1 FAILED, 2 cannot be decided.

Without any of them (unzip the file into an empty folder first):
 1. All files are the sealed ones:
        sed -n '2,/^$/p' seal.note | sed '/^$/d' | sha256sum -c
 2. Seal and statement are signed by the issuer key of the trust file (C2SP signed note; DSSE with an in-toto Statement v1).
 3. range.jsonl holds one ledger entry a line: the whole period, the entry before it and the entry after it. Leaf hash of a line: SHA-256 over one
    zero byte and the line without its end. range.proof names the leaves [begin, end) and the hashes of the subtrees to their left and right, in order;
    folded as RFC 6962 says (SHA-256 over byte 1, left, right) they give the root of the checkpoint in packet.tlog-proof, which the log signed.
    So no entry of the range is missing, changed or added.
 4. recorded_at never steps back. The first line was recorded before the period (or is leaf 0), the last line after it, or else
    packet.event.json is the very next leaf: then the packet covers the period up to its own issue.
 5. Counts and changes of the statement follow from the lines. events/N.json are the older entries of changes that moved in the period.

What a signature does not prove: that a measurement was taken honestly, or that a person read what they approved.
"""
