"""Four eyes, read from the ledger alone: who asked, who measured, who approved what, and when.

Owns: the rules a verifier holds a decided change to. Does not own: the server's own rules (changes.py); this is their independent second opinion.
Invariants: only entries proven to be in the log are read; an approval counts for the digest it names and for no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from governor.errors import Invalid
from governor.ledger.canonical import parse_timestamp
from governor.ledger.entry import Entry
from governor.packets.passkey import PASSKEY, check_assertion
from governor.packets.report import Check

NAME: Final = "approvals"
APPROVED: Final = frozenset({"approved", "cutover", "verified", "drifted"})
# The last deciding entry of a stream, and the states a statement may claim after it.
STATES: Final[Mapping[str, frozenset[str]]] = {
    "change:approve": frozenset({"approved", "in_review"}),
    "change:reject": frozenset({"rejected"}),
    "change:expire": frozenset({"expired"}),
    "change:cutover": frozenset({"cutover"}),
    "change:verify": frozenset({"verified", "drifted", "cutover"}),
    "change:drift": frozenset({"drifted"}),
    "change:withdraw": frozenset({"withdrawn"}),
}


def check_state(change: Mapping[str, Any], events: Sequence[Entry]) -> str | None:
    """Why the claimed state does not follow from the entries, or None."""
    last = next((event for event in reversed(events) if event.type in STATES), None)
    if last is None:
        return "no decision is on record"
    if change.get("state") not in STATES[last.type]:
        return f"statement says {change.get('state')!r}, but the last decision on record is {last.type}"
    return None


def check_approvals(change: Mapping[str, Any], events: Sequence[Entry]) -> Check:
    """The decision on exactly the digest of the statement."""
    wrong = check_state(change, events)
    if wrong is not None:
        return Check(NAME, "fail", wrong)
    taken = _withdrawal(events)
    if taken is not None:
        return Check(NAME, "fail", taken)
    if change["state"] not in APPROVED:
        people = {event.payload.get("role") or event.actor_ref for event in events if event.type == "change:reject"}
        return Check(NAME, "ok", f"not approved: {change['state']}{' by ' + ', '.join(sorted(map(str, people))) if people else ''}")
    try:
        return _check_approved(str(change["digest"]), events)
    except (Invalid, KeyError, TypeError, AttributeError) as error:
        return Check(NAME, "fail", f"an approval entry is malformed: {error}")


def _withdrawal(events: Sequence[Entry]) -> str | None:
    """Why the withdrawal on record is none, or None: it ends a change, is made before the cutover, by whoever asked or by an admin."""
    at = next((at for at, event in enumerate(events) if event.type == "change:withdraw"), None)
    if at is None:
        return None
    event, actor = events[at], events[at].body["actor"]
    roles = actor.get("roles")
    admin = isinstance(roles, list) and "admin" in roles
    reasons = (
        (actor["kind"] != "person", "the change was not withdrawn by a person"),
        (
            event.actor_ref not in requesters(events) and not admin,
            "the change was withdrawn by somebody who neither asked for it nor is an admin",
        ),
        (any(one.type == "change:cutover" for one in events[:at]), "the change was withdrawn after its cutover"),
        (any(one.type in STATES for one in events[at + 1 :]), "the change was decided on after it was withdrawn"),
    )
    return next((reason for wrong, reason in reasons if wrong), None)


def _check_approved(digest: str, events: Sequence[Entry]) -> Check:
    review = next((event for event in reversed(events) if event.type == "change:review" and event.payload["digest"] == digest), None)
    if review is None:
        return Check(NAME, "fail", "no review of the statement's digest is on record")
    cutover = next((at for at, event in enumerate(events) if event.type == "change:cutover"), None)
    void = _void(review, digest, events[events.index(review) : cutover])
    if void is not None:
        return Check(NAME, "fail", void)
    approvals = [(at, event) for at, event in enumerate(events) if event.type == "change:approve"]
    counted = [(at, event) for at, event in approvals if event.payload["digest"] == digest and at > events.index(review)]
    for at, event in counted:
        problem = _check_one(at, event, events, cutover)
        if problem is not None:
            return Check(NAME, "fail", problem)
    people = [event.actor_ref for _, event in counted]
    if len(set(people)) != len(people):
        return Check(NAME, "fail", "one person approved more than once")
    unmet = _unmet(review, digest, approvals, counted)
    if unmet is not None:
        return Check(NAME, "fail", unmet)
    roles = ", ".join(sorted(str(event.payload["role"]) for _, event in counted))
    when = "all before cutover" if cutover is not None else "not cut over yet"
    return Check(NAME, "ok", f"{_people(len(people))} ({roles}), neither requester nor evidence author, {when}; {strength(counted)}")


def _void(review: Entry, digest: str, since: Sequence[Entry]) -> str | None:
    """Why no approval of this digest can count, or None. `since`: the entries from its review on, up to the cutover."""
    if not {str(need["role"]) for need in review.payload["needs"]}:
        return "policy asked for no approval at all: an empty matrix is not a pass"
    if any(event.type == "change:review" and event.payload["digest"] != digest for event in since):
        return "the approvals are stale: a later review put another digest before the deciders"
    return None


def _unmet(review: Entry, digest: str, approvals: Sequence[tuple[int, Entry]], counted: Sequence[tuple[int, Entry]]) -> str | None:
    """The needs nobody answered, or that somebody answered in a weaker way than policy asked for; or None."""
    needs = review.payload["needs"]
    missing = sorted({str(need["role"]) for need in needs} - {str(event.payload["role"]) for _, event in counted})
    if missing:
        stale = any(event.payload["digest"] != digest and event.payload["role"] in missing for _, event in approvals)
        return f"role {', '.join(missing)}: {'approved another digest (stale)' if stale else 'nobody approved'}"
    strict = {str(need["role"]) for need in needs if need.get("strength")}
    weak = sorted({str(event.payload["role"]) for _, event in counted if PASSKEY not in event.payload} & strict)
    return f"role {', '.join(weak)}: policy asked for a passkey, and the approval is weaker" if weak else None


def strength(counted: Sequence[tuple[int, Entry]]) -> str:
    """Which approvals only the person's own device could make, and which the server merely says were made."""
    strong = sorted(str(event.payload["role"]) for _, event in counted if PASSKEY in event.payload)
    weak = sorted(str(event.payload["role"]) for _, event in counted if PASSKEY not in event.payload)
    signed = f"signed by passkey: {', '.join(strong)}" if strong else "none signed by passkey"
    return f"{signed}; weaker (password or token): {', '.join(weak)}" if weak else signed


def _check_one(at: int, event: Entry, events: Sequence[Entry], cutover: int | None) -> str | None:
    """Why this approval may not count, or None."""
    actor, role = event.body["actor"], str(event.payload["role"])
    expires = event.payload.get("expires_at")
    cutover_at = None if cutover is None else parse_timestamp(events[cutover].body["occurred_at"])
    reasons = (
        (actor["kind"] != "person", f"the {role} approval was not given by a person"),
        (event.actor_ref in requesters(events), f"the requester approved (role {role})"),
        (event.actor_ref in authors(events), f"the author of the evidence approved (role {role})"),
        (role not in actor.get("roles", []), f"the {role} approval came from someone without that role"),
        (cutover is not None and at > cutover, f"the {role} approval came after cutover"),
        (
            cutover_at is not None and expires is not None and parse_timestamp(expires) < cutover_at,
            f"the {role} approval had expired at cutover",
        ),
    )
    found = next((reason for wrong, reason in reasons if wrong), None)
    if found is not None:
        return found
    problem = check_assertion(event)
    return None if problem is None else f"the {role} approval: {problem}"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} distinct people"


def requesters(events: Sequence[Entry]) -> set[str]:
    """Whoever proposed or handed in the change."""
    return {event.actor_ref for event in events if event.type in {"change:propose", "change:submit"}}


def authors(events: Sequence[Entry]) -> set[str]:
    """Whoever ran or edited the evidence; a worker that ran it for a person names that person. Raises TypeError for an author that is no name."""
    runs = [(event.payload.get("author"), event.actor_ref) for event in events if event.type == "change:shadow"]
    if not all(author is None or isinstance(author, str) for author, _ in runs):
        raise TypeError("the author of the evidence is not text")
    return {author or who for author, who in runs} - {"system", "operator"}
