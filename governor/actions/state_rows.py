"""Whether the database shows as state what the ledger says: decisions, where each change stands and what was asked, closed months.

Owns: the comparison of decisions and changes with ledger entries. Does not own: closed months (month_rows), the log itself (store/fsck.py).
Invariants: reads only; believes no row. A row without its entry was put there by hand; an entry without its row was answered, and then hidden.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlmodel import Session, col, select

from governor.actions.month_rows import month_problems
from governor.actions.recorded_entries import recorded_entries
from governor.changes import Binding
from governor.ledger.canonical import sha256_hex, timestamp
from governor.ledger.entry import Entry
from governor.ledger.types import change_stream
from governor.packets.period import state_of
from governor.store import ledger
from governor.store.rows.changes import Approval, Change

DECISIONS: Final = ("change:approve", "change:reject")
DECIDED: Final = frozenset({"approved", "rejected", "expired", "cutover", "verified", "drifted"})
SETTLED: Final = frozenset({*DECISIONS, "change:expire", "change:cutover"})  # entries that name the digest decided on
RUNS: Final = frozenset({"planned", "running"})
Decision = tuple[str, str, str, str, str]  # change, decision, role, person, digest


def state_problems(session: Session, org: str) -> list[str]:
    """One sentence for each row that no entry stands behind or that says something else, and for each entry that no row shows.

    People may decide while it reads: what it finds must be there when it looks again.
    """
    found = _look(session, org)
    return [one for one in found if one in _look(session, org)] if found else []


def _look(session: Session, org: str) -> list[str]:
    session.expire_all()
    return [*_decisions(session, org), *_changes(session, org), *month_problems(session, org)]


def _decisions(session: Session, org: str) -> Iterator[str]:
    rows = session.exec(select(Approval).where(Approval.org_id == org)).all()
    shown = Counter[Decision]((one.change_id, one.decision, one.role, one.person_id, one.digest) for one in rows)
    entries = {_decision(entry): entry for entry in recorded_entries(session, org, DECISIONS)}
    told = Counter(entries.keys())
    for change, decision, role, *_ in sorted((shown - told).elements()):
        yield f"{change}: a row says {decision} by {role}, and no ledger entry does"
    for change, decision, role, *_ in sorted((told - shown).elements()):
        yield f"{change}: the ledger says {decision} by {role}, and no row does"
    for row in rows:
        said = entries.get((row.change_id, row.decision, row.role, row.person_id, row.digest))
        for name in _other_words(session, org, row, said) if said else ():
            yield f"{row.change_id}: the row of {row.decision} by {row.role} has another {name} than the ledger"


def _decision(entry: Entry) -> Decision:
    said = entry.payload
    return str(said.get("change")), entry.type.removeprefix("change:"), str(said.get("role")), entry.actor_ref, str(said.get("digest"))


def _other_words(session: Session, org: str, row: Approval, said: Entry) -> Iterator[str]:
    """Columns of a decision that differ from its entry. The reason is held as long as the ledger may disclose it."""
    if row.auth != said.body["actor"].get("auth", {}).get("amr"):
        yield "way of signing in"
    if timestamp(row.decided_at) != said.body["occurred_at"]:
        yield "time"
    if (timestamp(row.expires_at) if row.expires_at else None) != said.payload.get("expires_at"):
        yield "expiry"
    if any(one.name == "reason" and one.value != row.reason for one in ledger.disclosures(session, org, said.id)):
        yield "reason"


def _changes(session: Session, org: str) -> Iterator[str]:
    """States only where a decision leads to them: before that a change may be worked on without an entry for every step."""
    stories: dict[str, list[Entry]] = defaultdict(list)
    for entry in recorded_entries(session, org, ()):
        stories[str(entry.body["stream"])].append(entry)
    rows = session.exec(select(Change).where(Change.org_id == org).order_by(col(Change.number))).all()
    for change in rows:
        story = stories[change_stream(change.id)]
        said = state_of(story)
        if change.state != said and (change.state in DECIDED or said in DECIDED):
            yield f"{change.id}: its row says {change.state}, the ledger {said or 'nothing'}"
        try:
            yield from (f"{change.id}: its row has another {name} than the ledger" for name in _other_columns(change, story, said))
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # a column that holds something else than what was written
            yield f"{change.id}: its row cannot be read ({type(error).__name__})"
    shown = {change_stream(change.id) for change in rows}
    for name in sorted(name for name, story in stories.items() if name not in shown and any(one.type == "change:propose" for one in story)):
        yield f"{name.removeprefix('change/')}: the ledger says that it was proposed, and no row does"


def _other_columns(change: Change, story: Sequence[Entry], state: str) -> Iterator[str]:
    """Names of columns that differ from the entries which recorded them."""
    proposed = next((entry for entry in story if entry.type == "change:propose"), None)
    if proposed is None:
        return
    said, request = proposed.payload, json.loads(change.request)
    for name, shown, told in (
        ("requester", change.requester_id, proposed.actor_ref),
        ("workflow", change.workflow_id, said["workflow"]),
        ("time", timestamp(change.created_at), proposed.body["occurred_at"]),
        ("plan", sha256_hex(change.plan.encode()), said["plan_digest"]),
        (
            "request",
            [request[part] for part in ("baseline", "candidate", "endpoint")],
            [said[part] for part in ("baseline", "candidate", "endpoint")],
        ),
    ):
        if shown != told:
            yield name
    moved = next((entry for entry in reversed(story) if entry.type == "change:cutover"), None)
    if (timestamp(change.cutover_at) if change.cutover_at else None) != (moved.body["occurred_at"] if moved else None):
        yield "time of cutover"
    digests = _digests(story, state)
    if digests and change.digest not in digests:
        yield "digest"
    review = next((entry for entry in reversed(story) if entry.type == "change:review" and entry.payload["digest"] == change.digest), None)
    if review is not None:
        if _bound(request, review) != change.digest:
            yield "reviewed request"
        needs = [{name: value for name, value in need.items() if name != "reasons"} for need in json.loads(change.needs)]
        if needs != review.payload["needs"]:
            yield "list of needed roles"


def _digests(story: Sequence[Entry], state: str) -> set[str]:
    """The digests a row may show. None between the end of a shadow run and its review: there it moves without an entry."""
    if state in DECIDED:
        return {next(str(entry.payload["digest"]) for entry in reversed(story) if entry.type in SETTLED)}
    ended = [at for at, entry in enumerate(story) if entry.type == "change:shadow" and entry.payload.get("status") not in RUNS]
    reviews = [at for at, entry in enumerate(story) if entry.type == "change:review"]
    if ended and (not reviews or ended[-1] > reviews[-1]):
        return set()
    return {str(entry.payload["digest"]) for entry in story if entry.type == ("change:review" if reviews else "change:propose")}


def _bound(request: dict[str, Any], review: Entry) -> str:
    """The digest that this request has among everything else that was reviewed."""
    parts, policy = review.payload["parts"], review.body["policy"]
    return Binding(
        request=request, workflow=parts["workflow"], plan=parts["plan"], sample=parts["sample"], evidence=parts["evidence"],
        policy_bundle=policy["bundle_sha256"], price_book=parts["price_book"],
    ).digest  # fmt: skip
