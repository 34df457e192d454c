"""The route change request: its states, the digest that a decision binds, and who may decide.

Owns: the state machine, the binding digest, separation of duties, which approvals count. Does not own: rows, clocks, the approval matrix
(policy computes it), evidence. Invariants: pure; the requester and whoever produced evidence never decide; one person answers one needed role;
an approval counts for exactly the digest it names and only until it expires; an empty matrix is never an approval.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from governor.errors import (
    ExpiredApproval,
    Forbidden,
    Invalid,
    MissingEvidence,
    RoleNotNeeded,
    SeparationOfDuties,
    StaleApproval,
    WrongState,
)
from governor.ledger.canonical import digest as canonical_digest


class State(StrEnum):
    DRAFT = "draft"  # the plan is fixed, nothing was sent yet; also after a run that gave no verdict
    SHADOWING = "shadowing"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"  # an approval ran out before the cutover; a new shadow run reopens the change
    CUTOVER = "cutover"
    VERIFIED = "verified"
    DRIFTED = "drifted"
    WITHDRAWN = "withdrawn"  # by whoever asked for it, or an admin, before it was cut over


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.DRAFT: frozenset({State.SHADOWING, State.WITHDRAWN}),
    State.SHADOWING: frozenset({State.IN_REVIEW, State.DRAFT, State.WITHDRAWN}),
    State.IN_REVIEW: frozenset({State.APPROVED, State.REJECTED, State.EXPIRED, State.SHADOWING, State.IN_REVIEW, State.WITHDRAWN}),
    State.APPROVED: frozenset({State.CUTOVER, State.EXPIRED, State.IN_REVIEW, State.WITHDRAWN}),  # back to review when a bound part changed
    State.REJECTED: frozenset(),
    State.EXPIRED: frozenset({State.SHADOWING, State.WITHDRAWN}),
    State.CUTOVER: frozenset({State.VERIFIED, State.DRIFTED}),
    State.VERIFIED: frozenset({State.VERIFIED, State.DRIFTED}),
    State.DRIFTED: frozenset({State.VERIFIED, State.DRIFTED}),
    State.WITHDRAWN: frozenset(),
}


WAY_BACK: Final = frozenset({State.CUTOVER, State.VERIFIED, State.DRIFTED})


def move(before: str, after: State, *, verb: str = "", of: str = "ID") -> State:
    """`after`, if the table allows it. of: the change's id, for the hint. Raises WrongState naming both states."""
    if after not in TRANSITIONS[State(before)]:
        raise WrongState(f"a change that is {before} cannot {verb or f'become {after}'}", hint=of_change(NEXT[State(before)], of))
    return after


NEXT: Final[Mapping[State, str]] = {
    State.DRAFT: "run `governor change shadow ID`",
    State.SHADOWING: "the shadow run is under way; `governor change show ID` shows how far it is",
    State.IN_REVIEW: "`governor change show ID` says whose decision is missing; they run `governor change approve ID --digest DIGEST --reason ...`, or reject",
    State.APPROVED: "move the route in your gateway, then run `governor change cutover ID`",
    State.REJECTED: "a rejected change stays rejected; propose a new one",
    State.EXPIRED: "run `governor change shadow ID` for fresh evidence, then ask for approval again",
    State.CUTOVER: "run `governor change verify ID` once traffic flows on the new route",
    State.VERIFIED: "nothing is left to do; `governor change verify ID` looks again",
    State.DRIFTED: "look at `governor findings`, correct the route in your gateway, then run `governor change verify ID`",
    State.WITHDRAWN: "a withdrawn change stays withdrawn; propose it anew where it is wanted after all",
}
# A draft whose last run ended without a verdict: the plan is fixed, so the same run would end the same way unless something outside it changes.
AFTER_STOP: Final[Mapping[str, str]] = {
    "aborted_budget": "propose the change again with a larger budget: this plan cannot be finished with its own",
    "aborted_policy": "propose a candidate that policy allows for this data, or have the rules changed and run `governor change shadow ID` again",
    "invalid_baseline": "mend what the run says of the current model, then run `governor change shadow ID` again",
}
# In review, what the deciders have before them: a run that says no, or says nothing yet.
AFTER_VERDICT: Final[Mapping[str, str]] = {
    "fail": "reject it; `governor change split ID` shows whether a part of the traffic could move all the same",
    "inconclusive": "settle what is open (labels, an endpoint that tells usage, or a new proposal with a larger sample), or say who decides: `governor change show ID`",
}


def of_change(words: str, change_id: str) -> str:
    """What to do next, with the change's own id in the commands: people copy them."""
    return re.sub(r"\bID\b", change_id, words)


def next_step(state: str, last_run: str = "", verdict: str = "") -> str:
    """What to do now, in words; last_run: status of the newest run, verdict: of the newest that is done."""
    special = {State.DRAFT: AFTER_STOP.get(last_run), State.IN_REVIEW: AFTER_VERDICT.get(verdict)}
    return special.get(State(state)) or NEXT[State(state)]


@dataclass(frozen=True)
class Binding:
    """Everything a decision is about. A change in any part makes another digest, and decisions on the old one are void."""

    request: Mapping[str, Any]
    workflow: str  # digest of what the catalog says about the workflow now: owner, routes, data class, limits
    plan: str
    sample: str
    evidence: str  # empty before there is any
    policy_bundle: str
    price_book: str

    @property
    def digest(self) -> str:
        return canonical_digest(asdict(self) | {"v": 1})


@dataclass(frozen=True)
class Person:
    """Who wants to decide. `id` is opaque."""

    id: str
    email: str
    roles: frozenset[str]


@dataclass(frozen=True)
class Vote:
    """One recorded approval or rejection."""

    person_id: str
    role: str
    decision: str  # approve | reject
    digest: str
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Docket:
    """A change as a decider sees it. needs: the roles policy asks for, in its order. owner: e-mail of the workflow's owner, for messages."""

    id: str
    state: str
    digest: str
    requester_id: str
    owner: str
    owner_id: str
    authors: frozenset[str]  # ids of everyone who ran or edited evidence
    needs: tuple[str, ...]
    has_evidence: bool
    votes: tuple[Vote, ...] = ()

    def standing(self, now: datetime) -> list[Vote]:
        """Approvals that count: on this digest and in force."""
        return [vote for vote in self.on_digest() if vote.expires_at is None or now < vote.expires_at]

    def on_digest(self) -> list[Vote]:
        return [vote for vote in self.votes if vote.decision == "approve" and vote.digest == self.digest]

    def expired(self, now: datetime) -> list[Vote]:
        """Approvals on this digest that ran out."""
        return [vote for vote in self.on_digest() if vote.expires_at is not None and vote.expires_at <= now]

    def open_roles(self, now: datetime) -> list[str]:
        answered = {vote.role for vote in self.standing(now)}
        return [role for role in self.needs if role not in answered]

    def approved(self, now: datetime) -> bool:
        """All needs answered; without needs nothing is approved."""
        return bool(self.needs) and not self.open_roles(now)


def may_decide(person: Person, docket: Docket, *, digest: str, decision: str, now: datetime, role: str = "") -> str:
    """The needed role this decision answers.

    Raises, in this order: Forbidden (no role at all), MissingEvidence, WrongState, SeparationOfDuties, StaleApproval, ExpiredApproval, RoleNotNeeded.
    """
    if not person.roles:
        raise Forbidden("you hold no role here", hint="an admin gives roles with `kind: person` and `governor apply`")
    if not docket.has_evidence and docket.state in {State.DRAFT, State.SHADOWING}:
        raise MissingEvidence(f"{docket.id} has no finished shadow run yet", hint=of_change(NEXT[State(docket.state)], docket.id))
    if docket.state != State.IN_REVIEW:
        raise WrongState(f"{docket.id} is {docket.state}; nothing is left to decide", hint=of_change(NEXT[State(docket.state)], docket.id))
    refuse_own(person, docket)
    if digest and len(digest) < len(docket.digest) and docket.digest.startswith(digest):
        raise Invalid(
            f"the digest is cut: its first {len(digest)} characters are given, all {len(docket.digest)} are needed",
            hint=f"{docket.digest} is what it is now; decide on it if that is what you were shown",
        )
    if digest != docket.digest:
        raise StaleApproval(f"the digest you decided on is not that of {docket.id} now ({docket.digest})")
    if docket.expired(now):
        raise ExpiredApproval(f"an approval of {docket.id} expired before the others were given")
    earlier = next((vote for vote in docket.standing(now) if vote.person_id == person.id), None)
    if earlier is not None and decision == "approve":
        raise SeparationOfDuties(f"you approved {docket.id} as {earlier.role} already; one person answers one role")
    return answered_role(person, docket, decision=decision, now=now, role=role)


def may_withdraw(person: Person, change_id: str, state: str, requester_id: str) -> None:
    """Raises Forbidden or WrongState. It takes a request away and decides nothing, so separation of duties has no part in it."""
    if person.id != requester_id and "admin" not in person.roles:
        raise Forbidden(
            f"{change_id} is withdrawn by whoever asked for it, or by an admin", hint="a needed role may reject it while it is in review"
        )
    if state in WAY_BACK:
        raise WrongState(
            f"{change_id} is {state}: the route was moved, and there is nothing left to withdraw",
            hint="to go back, propose the earlier route as a change of its own",
        )
    move(state, State.WITHDRAWN, verb="be withdrawn")


def refuse_own(person: Person, docket: Docket) -> None:
    """Four eyes: neither the requester nor whoever produced the evidence decides."""
    if person.id == docket.requester_id:
        raise SeparationOfDuties(f"you requested {docket.id}; the requester cannot decide on it")
    if person.id in docket.authors:
        raise SeparationOfDuties(f"you ran the evidence of {docket.id}; its author cannot decide on it")


def answered_role(person: Person, docket: Docket, *, decision: str, now: datetime, role: str = "") -> str:
    """A rejection may come from any needed role; an approval answers one that is still open."""
    shown = of_change(RoleNotNeeded.hint, docket.id)
    choices = docket.open_roles(now) if decision == "approve" else list(docket.needs)
    if role:
        if role not in docket.needs:
            raise RoleNotNeeded(f"{docket.id} does not need role {role}; it needs {', '.join(docket.needs) or 'none'}", hint=shown)
        if role not in choices:
            raise RoleNotNeeded(f"role {role} of {docket.id} is answered already", hint=shown)
        choices = [role]
    held = [choice for choice in choices if may_answer(person, docket, choice)]
    if not held:
        wanted = " or ".join(choices) or "none"
        raise RoleNotNeeded(
            f"{docket.id} waits for {wanted}; you hold {', '.join(sorted(person.roles)) or 'no role'}{_owner_note(person, docket, choices)}",
            hint=shown,
        )
    return held[0]


def may_answer(person: Person, docket: Docket, role: str) -> bool:
    """Does this person answer for that role? `owner` is the workflow's own owner; any holder of the role stands in when the owner may not decide."""
    if role not in person.roles:
        return False
    if role != "owner" or person.id == docket.owner_id:
        return True
    return owner_is_barred(docket)


def owner_is_barred(docket: Docket) -> bool:
    """The owner asked for the change or produced its evidence, so somebody else has to stand in."""
    return docket.owner_id == docket.requester_id or docket.owner_id in docket.authors


def _owner_note(person: Person, docket: Docket, choices: Sequence[str]) -> str:
    if "owner" in choices and "owner" in person.roles:
        return f" (role owner is answered by {docket.owner}, who owns the workflow)"
    if "owner" in choices and person.id == docket.owner_id:
        return " (you own the workflow, but need role owner to approve)"
    return ""


def who_may(docket: Docket, people: Collection[Person], role: str, now: datetime) -> list[str]:
    """E-mails of those who could answer an open role now."""
    spoken = {vote.person_id for vote in docket.standing(now)}
    barred = {docket.requester_id, *docket.authors, *spoken}
    return sorted(person.email for person in people if person.id not in barred and may_answer(person, docket, role))
