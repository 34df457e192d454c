"""What a packet says of one change, read from rows and ledger entries: the statement's document and what the report shows besides.

Owns: which fact comes from where (decisions, policy and evidence digests from the ledger; words and measurements from rows).
Does not own: packet bytes, the report's looks. Invariants: no clock; numbers stay the text they were written in; e-mails only for a named recipient.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from sqlmodel import Session, col, select

from governor.actions.change_rows import change_problems
from governor.actions.load_catalog import read_catalog
from governor.actions.show_golden import report_of
from governor.catalog import document_json
from governor.changes import State
from governor.errors import IntegrityError, MissingEvidence, NotFound, WrongState
from governor.evidence import EvidenceItem
from governor.ledger.canonical import MAX_SAFE_INT, canonical_json, digest, timestamp
from governor.ledger.entry import Disclosure, Entry
from governor.ledger.types import change_stream
from governor.packets.approvals import APPROVED
from governor.packets.assemble import PacketEvent, event_line
from governor.packets.controls import controls, controls_item
from governor.packets.told import WORDS, Told, check_told, decisions_of, words_of
from governor.packets.verify import evidence_named
from governor.shadow.sentence import after_others
from governor.store import ledger
from governor.store.rows.changes import Change, EvidenceFile, ShadowRun
from governor.store.rows.people import Person

DECIDED: Final = APPROVED | {"rejected", "expired"}
LONG_LIST: Final = 24
MAX_EVENTS: Final = 10_000


@dataclass(frozen=True)
class Facts:
    """Everything on record about a change at one moment."""

    change: Change
    run: ShadowRun | None
    files: Sequence[EvidenceFile]
    events: Sequence[PacketEvent]
    people: Mapping[str, str]  # ref -> name, for a named recipient only
    workflow: Mapping[str, Any]
    recipient: str
    log: str

    @property
    def change_id(self) -> str:
        return self.change.id

    def until(self, idx: int) -> Facts:
        """The same, as far as entries before `idx` tell it."""
        events = [event for event in self.events if event.idx < idx]
        refs = refs_of(events)
        return replace(self, events=events, people={ref: name for ref, name in self.people.items() if ref in refs})

    @property
    def problem(self) -> str:
        """What rows say and the ledger does not, or empty text: a packet is issued of neither."""
        try:
            check_told(self.document, self.story)
        except IntegrityError as error:
            return error.message
        return next(change_problems(self.change, self.entries), "")

    @cached_property
    def entries(self) -> list[Entry]:
        return [Entry.parse(event.leaf) for event in self.events]

    @cached_property
    def story(self) -> list[Told]:
        return [(event.idx, entry, words_of(event.disclosures)) for event, entry in zip(self.events, self.entries, strict=True)]

    @cached_property
    def digest(self) -> str:
        """Changes when anything the packet would say changes."""
        lines = [event_line(event) for event in self.events]
        return digest([self.document, lines, [item.reference() for item in self.evidence], self.recipient])

    @cached_property
    def evidence(self) -> list[EvidenceItem]:
        """The files the ledger names last; for a named recipient also who is who."""
        named = evidence_named(self.entries)
        chosen = {file.name: file for file in self.files if named.get(file.name) == file.sha256}
        missing = sorted(named.keys() - chosen.keys())
        if missing:
            raise MissingEvidence(f"evidence file {missing[0]} of {self.change_id} is named by the ledger but not stored")
        items = [EvidenceItem(file.name, file.media_type, file.body) for _, file in sorted(chosen.items())]
        broken = [item.name for item in items if item.sha256 != chosen[item.name].sha256]
        if broken:
            raise IntegrityError(f"stored evidence {broken[0]} of {self.change_id} is not what its digest says")
        if self.people:
            items.append(EvidenceItem("people.json", "application/json", canonical_json(dict(self.people))))
        if not items:
            raise MissingEvidence(f"{self.change_id} has no evidence")
        return [*items, controls_item("change", [item.name for item in items])]

    @cached_property
    def document(self) -> dict[str, Any]:
        """The statement's predicate, besides version, log and events."""
        change = self.change
        request = loads(change.request)
        review = self._last("change:review")
        verdict = loads(self.run.verdict) if self.run else {}
        return {
            "change": {
                "id": change.id,
                "workflow": change.workflow_id,
                "state": change.state,
                "digest": change.digest,
                "requester": change.requester_id,
                "reason": request.get("reason", ""),
                "baseline": request.get("baseline"),
                "candidate": request.get("candidate"),
                "endpoint": request.get("endpoint"),
                "requested_at": timestamp(change.created_at),
                "decided_at": None if change.decided_at is None else timestamp(change.decided_at),
                "cutover_at": None if change.cutover_at is None else timestamp(change.cutover_at),
                "cutover_note": next((words for _, entry, words in reversed(self.story) if entry.type == "change:cutover"), ""),
                **self._withdrawal(),
            },
            "request": request,
            "workflow": dict(self.workflow),
            "plan": short(loads(change.plan)),
            "needs": loads(change.needs) if review is None else list(review.payload["needs"]),
            "policy": None if review is None else review.body["policy"],
            "violations": [] if review is None else list(review.payload.get("violations", [])),
            "shadow": None if self.run is None else self._shadow(self.run, verdict),
            "decisions": decisions_of(self.story, change.digest),
            "verification": short(loads(change.verification)) or None,
        }

    @property
    def display(self) -> dict[str, Any]:
        """What only the report needs: it is derived from the events and files themselves."""
        return {
            "log": self.log,
            "recipient": self.recipient,
            "people": dict(self.people),
            "golden": report_of(self.evidence),
            "earlier": after_others(
                [
                    str(entry.payload["verdict"])
                    for entry in self.entries
                    if entry.type == "change:shadow"
                    and entry.payload["status"] == "done"
                    and self.run
                    and entry.payload["run"] != self.run.id
                ]
            ),
            "evidence": [item.reference() for item in self.evidence],
            "controls": controls("change", [item.name for item in self.evidence]),
            "events": [
                {
                    **event_line(event),
                    "recorded_at": entry.body["recorded_at"],
                    "actor": entry.body["actor"],
                    "status": entry.payload.get("status"),
                }
                for event, entry in zip(self.events, self.entries, strict=True)
            ],
        }

    def _withdrawal(self) -> dict[str, Any]:
        """Of a change that was withdrawn alone, so that the packets of all others keep their bytes."""
        taken = next((one for one in reversed(self.story) if one[1].type == "change:withdraw"), None)
        if taken is None:
            return {}
        _, entry, words = taken
        return {"withdrawn_at": entry.body["occurred_at"], "withdrawn_by": entry.actor_ref, "withdrawn_note": words}

    def _shadow(self, run: ShadowRun, verdict: Any) -> dict[str, Any]:
        return {
            "run": run.id,
            "status": run.status,
            "planned": run.planned,
            "plan_digest": run.plan_digest,
            "spent_pico": str(run.spent_pico),
            "budget_pico": str(run.budget_pico),
            "author": run.author,
            "started_at": None if run.started_at is None else timestamp(run.started_at),
            "finished_at": None if run.finished_at is None else timestamp(run.finished_at),
            "verdict": verdict,
        }

    def _last(self, kind: str) -> Entry | None:
        return next(
            (entry for entry in reversed(self.entries) if entry.type == kind and entry.payload.get("digest") == self.change.digest), None
        )


def gather(session: Session, org: str, change_id: str, *, recipient: str, log: str) -> Facts:
    """Raises NotFound for an unknown change, WrongState for one that is not decided."""
    change = session.exec(select(Change).where(Change.org_id == org, Change.id == change_id)).first()
    if change is None:
        raise NotFound(f"no change {change_id}", hint="`governor change list` shows them")
    if change.state not in {*DECIDED, State.WITHDRAWN}:
        raise WrongState(f"{change_id} is {change.state}; a packet is made of a decided change", hint="approve or reject it first")
    rows = ledger.entries(session, org, stream=change_stream(change_id), limit=MAX_EVENTS)
    events = [PacketEvent(row.idx, row.leaf, disclosures=_shown(session, org, row.id, whole=bool(recipient))) for row in rows]
    runs = session.exec(
        select(ShadowRun).where(ShadowRun.org_id == org, ShadowRun.change_id == change_id).order_by(col(ShadowRun.id))
    ).all()
    run = next((found for found in reversed(runs) if found.status == "done"), None)
    if change.state == State.WITHDRAWN and not is_put(events, change.digest):
        raise WrongState(
            f"{change_id} was withdrawn before anybody was asked to decide, and a packet is made of what was decided on",
            hint="the period packet lists it (`governor packet export --period`), and `governor ledger proof` proves its entries",
        )
    files = session.exec(
        select(EvidenceFile)
        .where(EvidenceFile.org_id == org, EvidenceFile.change_id == change_id)
        .order_by(col(EvidenceFile.created_at), col(EvidenceFile.id))
    ).all()
    return Facts(
        change=change,
        run=run,
        files=files,
        events=events,
        people=_people(session, org, events) if recipient else {},
        workflow=_workflow(session, org, change),
        recipient=recipient,
        log=log,
    )


def is_put(events: Sequence[PacketEvent], digest: str) -> bool:
    """Is a review of this digest on record?"""
    entries = (Entry.parse(event.leaf) for event in events)
    return any(entry.type == "change:review" and entry.payload["digest"] == digest for entry in entries)


def _shown(session: Session, org: str, entry_id: str, *, whole: bool) -> tuple[Disclosure, ...]:
    return tuple(found for found in ledger.disclosures(session, org, entry_id) if whole or found.name in WORDS)


def refs_of(events: Sequence[PacketEvent]) -> set[str]:
    """Whoever the entries name."""
    refs: set[str] = set()
    for event in events:
        entry = Entry.parse(event.leaf)
        refs |= {entry.actor_ref, str(entry.payload.get("author", ""))}
    return refs


def _people(session: Session, org: str, events: Sequence[PacketEvent]) -> dict[str, str]:
    refs = refs_of(events)
    rows = session.exec(select(Person).where(Person.org_id == org, col(Person.id).in_(sorted(refs)))).all()
    return {row.id: f"{row.name} <{row.email}>" if row.name else row.email for row in rows}


def _workflow(session: Session, org: str, change: Change) -> dict[str, Any]:
    """The workflow as it was in force, and known, when the change was requested; no e-mail."""
    held = read_catalog(session, org, change.created_at, change.created_at).workflows.get(change.workflow_id)
    body = loads(document_json(held)) if held is not None else {}
    shown = ("cost_center", "grc_id", "environment", "risk_tier", "data_class", "monthly_budget", "latency_target_ms", "max_cost_per_call")
    return {"id": change.workflow_id, **{name: body[name] for name in shown if body.get(name) is not None}}


def loads(text: str) -> Any:
    """JSON whose fractions and huge integers stay the text they were written in; empty text is an empty object."""
    return json.loads(text, parse_float=str, parse_int=_int) if text else {}


def _int(text: str) -> int | str:
    value = int(text)
    return value if abs(value) <= MAX_SAFE_INT else text


def short(value: Any) -> Any:
    """The same document with long lists (trace ids, pairs) replaced by their length and digest: the full text is evidence."""
    if isinstance(value, Mapping):
        return {key: short(child) for key, child in value.items()}
    if isinstance(value, list):
        if len(value) > LONG_LIST:
            return {"items": len(value), "sha256": digest(value)}
        return [short(child) for child in value]
    return value
