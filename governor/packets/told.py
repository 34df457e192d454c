"""What the statement tells of a change beyond what was approved: each fact that an entry records must be the one that it records.

Owns: where those facts stand in the entries. Does not own: request, evidence and verdict (binding.py), the rules of approval (approvals.py).
Invariants: rows and issuers are believed in none of it; a fact that the statement does not mention is not asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from governor.errors import IntegrityError
from governor.ledger.canonical import canonical_json
from governor.ledger.entry import Disclosure, Entry

DECISIONS: Final = ("change:approve", "change:reject")
WORDS: Final = frozenset({"reason", "note"})  # belong in every packet; names and addresses in one for a named recipient
MEASURED: Final = ("run", "status", "author", "plan_digest", "spent_pico")
OBSERVED: Final = ("since", "until", "calls", "on_route", "fallback", "elsewhere", "share")
Told = tuple[int, Entry, str]  # place in the log, entry, the words disclosed with it
Fact = tuple[str, str, Any]  # part of the statement, name in it, what the entries say


def check_told(predicate: Mapping[str, Any], story: Sequence[Told]) -> None:
    """Raises IntegrityError naming the first fact of the statement that is not what the entries say."""
    for part, name, value in _facts(predicate, story):
        said = predicate.get(part) if part else predicate
        if isinstance(said, Mapping) and name in said and canonical_json(said[name]) != canonical_json(value):
            raise IntegrityError(f"the statement differs from the ledger in {f'{part}.' if part else ''}{name}")


def _facts(predicate: Mapping[str, Any], story: Sequence[Told]) -> Iterator[Fact]:
    change, events = predicate["change"], [entry for _, entry, _ in story]
    proposed, measured = _last(events, "change:propose"), _last(events, "change:shadow", status="done")
    moved = next((one for one in reversed(story) if one[1].type == "change:cutover"), None)
    observed = _last(events, "change:verify", "change:drift")
    if proposed is not None:
        yield "change", "workflow", proposed.payload.get("workflow")
        yield "change", "requested_at", proposed.body["occurred_at"]
    yield "change", "decided_at", _decided_at(events)
    yield "change", "cutover_at", moved and moved[1].body["occurred_at"]
    yield "change", "cutover_note", moved[2] if moved else ""
    taken = next((one for one in reversed(story) if one[1].type == "change:withdraw"), None)
    yield "change", "withdrawn_at", taken and taken[1].body["occurred_at"]
    yield "change", "withdrawn_by", taken and taken[1].actor_ref
    yield "change", "withdrawn_note", taken[2] if taken else ""
    yield "", "decisions", decisions_of(story, str(change.get("digest")))
    yield from (("shadow", name, measured.payload[name]) for name in MEASURED if measured and name in measured.payload)
    yield from (("verification", name, observed.payload[name]) for name in OBSERVED if observed and name in observed.payload)
    if observed is None:
        yield "", "verification", None


def _last(events: Sequence[Entry], *types: str, status: str = "") -> Entry | None:
    return next((one for one in reversed(events) if one.type in types and (not status or one.payload.get("status") == status)), None)


def _decided_at(events: Sequence[Entry]) -> Any:
    """When the last decision was complete. A review that follows puts the change before its deciders again."""
    found = None
    for event in events:
        if event.type == "change:review":
            found = None
        elif event.type in DECISIONS and event.payload.get("state") != "in_review":
            found = event.body["occurred_at"]
    return found


def decisions_of(story: Sequence[Told], digest: str) -> list[dict[str, Any]]:
    """As a statement tells them; those count that are about this digest."""
    return [
        {
            "idx": idx,
            "decision": entry.type.removeprefix("change:"),
            "role": entry.payload.get("role"),
            "person": entry.actor_ref,
            "digest": entry.payload.get("digest"),
            "counts": entry.payload.get("digest") == digest,
            "reason": words,
            "auth": entry.body["actor"].get("auth", {}),
            "decided_at": entry.body["occurred_at"],
            "expires_at": entry.payload.get("expires_at"),
        }
        for idx, entry, words in story
        if entry.type in DECISIONS
    ]


def words_of(disclosures: Sequence[Disclosure]) -> str:
    """Why somebody decided or moved, as far as it is disclosed. What cannot be read is a matter of the check of redactions."""
    for one in disclosures:
        try:
            name, value = one.said
        except (ValueError, TypeError, KeyError, IndexError):
            continue
        if name in WORDS:
            return str(value)
    return ""
