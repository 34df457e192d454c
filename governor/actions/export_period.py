"""`packet export --period`: every ledger entry of a day, a month, a quarter or a year, sealed with the proof that none is missing.

Owns: cutting the range out of the log, older entries of changes that moved in it, issuing on the ledger, reuse of an earlier issue.
Does not own: the packet's bytes (packets/), the report's looks. Invariants: the range has the entry before and after the period, or the issue itself comes
right behind it; the same state gives the same bytes, because an issue of the same facts is found again; people are opaque unless a recipient is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from sqlmodel import Session, col, func, select

from governor.actions.context import Actor, Context
from governor.actions.export_packet import may_issue, renderer
from governor.actions.witnessed import witnessed
from governor.errors import Invalid, NotFound, Refused
from governor.evidence import EvidenceItem
from governor.ledger.canonical import canonical_json, digest, parse_timestamp, sha256_hex
from governor.ledger.entry import Disclosure, Entry, EntryDraft
from governor.packets.assemble import PacketEvent, PeriodParts, assemble_period, event_line, period_statement
from governor.packets.container import MAX_FILES
from governor.packets.controls import controls, controls_item
from governor.packets.period import CHANGE, period_bounds, population_csv
from governor.store import ledger, sequencer
from governor.store.rows.ledger import LedgerDisclosure, LedgerEntry
from governor.store.rows.people import Person

ATTEMPTS: Final = 5
MAX_ENTRIES: Final = 100_000
OTHER_FILES: Final = 12  # statement, report, proofs, evidence
ISSUE: Final = "period:issue"
MONTHS: Final = "make packets of single months"
DAYS: Final = "make packets of its days (2026-10-05)"
NO_SHORTER: Final = "no period is shorter than a day: make packets of its changes (`governor change list`), or hand over the whole log (`governor ledger mirror DIR`)"


@dataclass(frozen=True)
class Facts:
    """Everything on record about a period at one moment."""

    name: str
    log: str
    entries: Sequence[PacketEvent]
    earlier: Sequence[PacketEvent]
    recipient: str = ""
    directory: Mapping[str, str] = field(default_factory=dict)  # ref -> name, for a named recipient only

    @cached_property
    def people(self) -> dict[str, str]:
        """Who acted in the entries."""
        refs = {Entry.parse(event.leaf).actor_ref for event in [*self.earlier, *self.entries]} if self.directory else set()
        return {ref: name for ref, name in self.directory.items() if ref in refs}

    @cached_property
    def digest(self) -> str:
        lines = [event_line(event) for event in [*self.earlier, *self.entries]]
        return digest([self.name, lines, [item.reference() for item in self.evidence], self.recipient])

    @cached_property
    def document(self) -> dict[str, Any]:
        return PeriodParts(self.name, self.log, self.entries, self.earlier, []).document

    @cached_property
    def evidence(self) -> list[EvidenceItem]:
        made = [EvidenceItem("changes.csv", "text/csv", population_csv(self.document["changes"]))]
        if self.people:
            made.append(EvidenceItem("people.json", "application/json", canonical_json(dict(self.people))))
        return [*made, controls_item("period", [item.name for item in made])]


def export_period(ctx: Context, actor: Actor, name: str, *, recipient: str = "") -> bytes:
    """The .govpacket bytes. Raises Invalid for what is no period, NotFound for one without entries."""
    may_issue(actor)
    if parse_timestamp(period_bounds(name)[0]) > ctx.now():
        raise Invalid(f"{name} has not begun", hint="name the running period or an earlier one")
    for _ in range(ATTEMPTS):
        sequencer.settle(ctx.rows)
        with ctx.rows.session() as session:
            facts = gather(session, ctx.org, name, recipient=recipient, log=ctx.keys.origin(ctx.org))
            known = _known(session, ctx.org, facts)
        made = (known, *_state(ctx, known[0])) if known else _issue(ctx, actor, facts)
        if made is not None:
            (_, issue_idx), parts, statement = made
            return _assemble(ctx, parts, statement, issue_idx)
    raise Refused(f"the ledger keeps growing while the packet of {name} is made", hint="try again")


def gather(session: Session, org: str, name: str, *, recipient: str, log: str) -> Facts:
    """Raises NotFound where nothing was recorded in the period, Invalid where too much was for one file."""
    first, after = (parse_timestamp(one) for one in period_bounds(name))
    recorded = (LedgerEntry.org_id == org, col(LedgerEntry.recorded_at) >= first, col(LedgerEntry.recorded_at) < after)
    lowest, highest = session.exec(select(func.min(LedgerEntry.idx), func.max(LedgerEntry.idx)).where(*recorded)).one()
    if lowest is None:
        raise NotFound(f"nothing was recorded in {name}", hint="`governor ledger verify` tells how far the ledger reaches")
    shorter = NO_SHORTER if name.count("-") == 2 else DAYS if name[5:].isdecimal() else MONTHS  # noqa: PLR2004 - a day's name
    if highest - lowest >= MAX_ENTRIES:
        raise Invalid(f"{name} has {highest - lowest + 1:,} entries; one packet holds {MAX_ENTRIES:,}", hint=shorter)
    begin = max(lowest - 1, 0)  # nothing stands before the first entry of the log
    rows = ledger.entries(session, org, after=begin - 1, limit=highest + 2 - begin)
    moved = {
        row.stream for row in rows if row.stream.startswith(CHANGE) and lowest <= row.idx <= highest and row.type.startswith("change:")
    }
    earlier = session.exec(
        select(LedgerEntry)
        .where(LedgerEntry.org_id == org, col(LedgerEntry.stream).in_(sorted(moved)), LedgerEntry.idx < rows[0].idx)
        .order_by(col(LedgerEntry.idx))
    ).all()
    shown = _disclosures(session, org, [row.id for row in [*earlier, *rows]]) if recipient else {}
    files = 2 * len(earlier) + sum(row.id in shown for row in [*earlier, *rows]) + OTHER_FILES
    if files > MAX_FILES:
        raise Invalid(f"a packet of {name} would have {files:,} files; one holds {MAX_FILES:,}", hint=shorter)
    made = [[PacketEvent(row.idx, ledger.leaf_of(row), disclosures=shown.get(row.id, ())) for row in some] for some in (rows, earlier)]
    return Facts(name, log, made[0], made[1], recipient, _directory(session, org) if recipient else {})


def _disclosures(session: Session, org: str, ids: Sequence[str]) -> dict[str, tuple[Disclosure, ...]]:
    found: dict[str, tuple[Disclosure, ...]] = {}
    for row in session.exec(select(LedgerDisclosure).where(LedgerDisclosure.org_id == org).order_by(col(LedgerDisclosure.name))).all():
        found[row.entry_id] = (*found.get(row.entry_id, ()), Disclosure(row.name, row.disclosure))
    wanted = set(ids)
    return {entry: some for entry, some in found.items() if entry in wanted}


def _directory(session: Session, org: str) -> dict[str, str]:
    rows = session.exec(select(Person).where(Person.org_id == org)).all()
    return {row.id: f"{row.name} <{row.email}>" if row.name else row.email for row in rows}


def _known(session: Session, org: str, facts: Facts) -> tuple[Facts, int] | None:
    """An earlier issue of the same facts, if nothing but issues of this period was recorded in it since."""
    issues = ledger.entries(session, org, stream=f"period/{facts.name}", type=ISSUE, limit=MAX_ENTRIES)
    ours = {row.idx for row in issues}
    after = period_bounds(facts.name)[1]
    for row in reversed(issues):
        since = [event for event in facts.entries if event.idx >= row.idx and event.idx not in ours]
        if any(str(Entry.parse(event.leaf).body["recorded_at"]) < after for event in since):
            return None
        before = replace(facts, entries=[event for event in facts.entries if event.idx < row.idx])
        payload = Entry.parse(row.leaf).payload
        for held in (before, facts):
            if held.entries and held.entries[-1].idx < row.idx and payload.get("facts_sha256") == held.digest:
                return held, row.idx
    return None


def _issue(ctx: Context, actor: Actor, facts: Facts) -> tuple[tuple[Facts, int], PeriodParts, bytes] | None:
    """Record a new issue; None when another entry came between a period under way and its issue."""
    parts, statement = _state(ctx, facts)
    statement_digest, end = sha256_hex(statement), facts.entries[-1].idx + 1
    draft = EntryDraft(
        type=ISSUE,
        stream=f"period/{facts.name}",
        payload={"period": facts.name, "statement_sha256": statement_digest, "facts_sha256": facts.digest, "entries": len(facts.entries)},
        actor=actor.ledger_ref(),
        idem=f"{ISSUE}:{facts.name}:{statement_digest}",
        occurred_at=ctx.now(),
        personal={"recipient": facts.recipient} if facts.recipient else {},
    )
    closed = str(Entry.parse(facts.entries[-1].leaf).body["recorded_at"]) >= period_bounds(facts.name)[1]
    try:
        with ctx.transaction(actor) as tx:
            tx.alone()
            row = tx.append(draft)
            if not closed and row.idx != end:
                raise _OvertakenError
    except _OvertakenError:
        return None
    return (facts, row.idx), parts, statement


class _OvertakenError(Exception):
    """Rolls the issue back: the ledger grew while the report was printed."""


def _state(ctx: Context, facts: Facts) -> tuple[PeriodParts, bytes]:
    printed = {
        **facts.document,
        "issuer": ctx.keys.issuer_name(ctx.org),
        "recipient": facts.recipient,
        "people": dict(facts.people),
        "until": Entry.parse(facts.entries[-1].leaf).body["recorded_at"],
        "controls": controls("period", [item.name for item in facts.evidence]),
        "evidence": [item.reference() for item in facts.evidence],
    }
    parts = PeriodParts(facts.name, facts.log, facts.entries, facts.earlier, facts.evidence, renderer("period_packet_pdf")(printed))
    return parts, period_statement(parts, ctx.keys.issuer_signer())


def _assemble(ctx: Context, parts: PeriodParts, statement: bytes, issue_idx: int) -> bytes:
    checkpoint = witnessed(ctx, issue_idx)
    with ctx.rows.session() as session:
        [row] = ledger.entries(session, ctx.org, after=issue_idx - 1, limit=1)
        earlier = [replace(event, proof=checkpoint.proof(session, ctx.org, event.idx)) for event in parts.earlier]
        issue = PacketEvent(issue_idx, row.leaf, checkpoint.proof(session, ctx.org, issue_idx))
        begin, end = parts.entries[0].idx, parts.entries[-1].idx + 1
        hashes = ledger.range_proof(session, ctx.org, begin, end, checkpoint.row.size)
    signer = ctx.keys.issuer_signer()
    return assemble_period(
        replace(parts, earlier=earlier), statement, issue, hashes, issuer_name=ctx.keys.issuer_name(ctx.org), issuer=signer
    )
