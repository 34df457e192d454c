"""The state machine and separation of duties, as properties over invented people and votes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governor.changes import NEXT, TRANSITIONS, Binding, Docket, Person, State, Vote, may_decide, move, who_may
from governor.errors import GovernorError, RoleNotNeeded, SeparationOfDuties, WrongState

NOW = datetime(2026, 11, 2, tzinfo=UTC)
ROLES = ("requester", "owner", "security", "finance", "auditor", "admin")
BINDING = Binding(request={"a": 1}, workflow="w", plan="p", sample="s", evidence="e", policy_bundle="b", price_book="x")

people = st.builds(
    lambda number, roles: Person(f"p{number}", f"p{number}@acme.example", frozenset(roles)),
    st.integers(0, 4),
    st.sets(st.sampled_from(ROLES), max_size=4),
)
dockets = st.builds(
    Docket,
    id=st.just("RC-1"),
    state=st.sampled_from(sorted(State)),
    digest=st.sampled_from(["d1", "d2"]),
    requester_id=st.sampled_from(["p0", "p1"]),
    owner=st.just("p1@acme.example"),
    owner_id=st.just("p1"),
    authors=st.frozensets(st.sampled_from(["p0", "p1", "p2"]), max_size=2),
    needs=st.lists(st.sampled_from(["owner", "security", "finance", "admin"]), unique=True, max_size=3).map(tuple),
    has_evidence=st.booleans(),
    votes=st.lists(
        st.builds(
            Vote,
            person_id=st.sampled_from(["p1", "p2", "p3"]),
            role=st.sampled_from(["owner", "security"]),
            decision=st.sampled_from(["approve", "reject"]),
            digest=st.sampled_from(["d1", "d2"]),
            expires_at=st.sampled_from([NOW - timedelta(days=1), NOW + timedelta(days=1)]),
        ),
        max_size=3,
    ).map(tuple),
)


@given(people, dockets, st.sampled_from(["d1", "d2"]), st.sampled_from(["approve", "reject"]), st.sampled_from(["", *ROLES]))
def test_whoever_may_decide_is_a_needed_stranger(person: Person, docket: Docket, digest: str, decision: str, role: str) -> None:
    try:
        answered = may_decide(person, docket, digest=digest, decision=decision, now=NOW, role=role)
    except GovernorError:
        return
    assert docket.state == State.IN_REVIEW
    assert person.id not in {docket.requester_id, *docket.authors}
    assert digest == docket.digest
    assert answered in docket.needs
    assert answered in person.roles
    assert role in {"", answered}
    assert not docket.expired(NOW)
    if answered == "owner":
        assert person.id == docket.owner_id or docket.owner_id in {docket.requester_id, *docket.authors}
    if decision == "approve":
        assert answered in docket.open_roles(NOW)
        assert person.id not in {vote.person_id for vote in docket.standing(NOW)}


DOCKET = Docket(
    id="RC-1",
    state=State.IN_REVIEW,
    digest="d1",
    requester_id="p0",
    owner="p1@acme.example",
    owner_id="p1",
    authors=frozenset(),
    needs=("owner", "security", "finance"),
    has_evidence=True,
)


def who(number: int, *roles: str) -> Person:
    return Person(f"p{number}", f"p{number}@acme.example", frozenset(roles))


def test_one_person_answers_one_role_and_may_still_reject() -> None:
    both, docket = who(2, "security", "finance"), replace(DOCKET, votes=(Vote("p2", "security", "approve", "d1"),))
    with pytest.raises(SeparationOfDuties, match="as security already"):
        may_decide(both, docket, digest="d1", decision="approve", now=NOW)
    assert may_decide(both, docket, digest="d1", decision="reject", now=NOW) in {"security", "finance"}
    assert may_decide(who(3, "finance"), docket, digest="d1", decision="approve", now=NOW) == "finance"


@pytest.mark.parametrize("who_asked", [{"requester_id": "p2"}, {"authors": frozenset({"p2"})}])
def test_neither_requester_nor_author_decides(who_asked: dict[str, Any]) -> None:
    for decision in ("approve", "reject"):
        with pytest.raises(SeparationOfDuties):
            may_decide(who(2, "security"), replace(DOCKET, **who_asked), digest="d1", decision=decision, now=NOW)


@pytest.mark.parametrize("barred", [{"requester_id": "p1"}, {"authors": frozenset({"p1"})}])
def test_somebody_stands_in_for_an_owner_who_may_not_decide(barred: dict[str, Any]) -> None:
    other = who(3, "owner")
    with pytest.raises(RoleNotNeeded):
        may_decide(other, DOCKET, digest="d1", decision="approve", now=NOW)
    assert may_decide(other, replace(DOCKET, **barred), digest="d1", decision="approve", now=NOW) == "owner"
    assert who_may(replace(DOCKET, **barred), [who(1, "owner"), other], "owner", NOW) == ["p3@acme.example"]


def test_an_approval_ends_with_the_instant_it_expires_at() -> None:
    vote = Vote("p2", "security", "approve", "d1", NOW)
    docket = replace(DOCKET, votes=(vote,))
    assert (docket.standing(NOW), docket.expired(NOW)) == ([], [vote])
    before = NOW - timedelta(microseconds=1)
    assert (docket.standing(before), docket.expired(before)) == ([vote], [])


@given(dockets, st.lists(people, max_size=5, unique_by=lambda person: person.id))
def test_those_who_are_named_may_indeed(docket: Docket, persons: list[Person]) -> None:
    docket = replace(
        docket, state=State.IN_REVIEW, has_evidence=True, votes=tuple(vote for vote in docket.votes if vote not in docket.expired(NOW))
    )
    for role in docket.open_roles(NOW):
        named = who_may(docket, persons, role, NOW)
        for person in persons:
            try:
                may = may_decide(person, docket, digest=docket.digest, decision="approve", now=NOW, role=role) == role
            except GovernorError:
                may = False
            assert may == (person.email in named)


@given(dockets)
def test_nothing_is_approved_without_needs_or_with_an_open_one(docket: Docket) -> None:
    if docket.approved(NOW):
        assert docket.needs
        assert {vote.role for vote in docket.standing(NOW)} >= set(docket.needs)


def test_every_part_is_bound() -> None:
    parts = {"request": {"a": 2}} | dict.fromkeys(("workflow", "plan", "sample", "evidence", "policy_bundle", "price_book"), "other")
    digests = {BINDING.digest} | {replace(BINDING, **{name: value}).digest for name, value in parts.items()}
    assert len(digests) == len(parts) + 1


def test_the_table_is_closed_and_ends_where_it_should() -> None:
    assert set(TRANSITIONS) == set(State) == set(NEXT)
    assert TRANSITIONS[State.REJECTED] == frozenset()
    into_approved = {before for before, after in TRANSITIONS.items() if State.APPROVED in after}
    into_cutover = {before for before, after in TRANSITIONS.items() if State.CUTOVER in after}
    assert into_approved == {State.IN_REVIEW}
    assert into_cutover == {State.APPROVED}
    reach = {State.DRAFT}
    for _ in State:
        reach |= {after for before in reach for after in TRANSITIONS[before]}
    assert reach == set(State)


@pytest.mark.parametrize(("before", "after"), [("draft", State.APPROVED), ("rejected", State.SHADOWING), ("in_review", State.CUTOVER)])
def test_a_move_outside_the_table_is_refused(before: str, after: State) -> None:
    with pytest.raises(WrongState, match=before):
        move(before, after)
