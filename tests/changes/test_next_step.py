"""What a change says comes next: it depends on how its newest run ended, not on its state alone."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from governor.changes import Docket, Person, State, may_decide, move, next_step, of_change
from governor.errors import Invalid, MissingEvidence, Refused, RoleNotNeeded, StaleApproval, WrongState
from governor.shadow.plan import choose_metrics

NOW = datetime(2026, 11, 2, tzinfo=UTC)
OWNER = Person("p1", "dana@acme.example", frozenset({"owner"}))
DOCKET = Docket(
    id="RC-12", state=State.IN_REVIEW, digest="a" * 64, requester_id="p0", owner=OWNER.email, owner_id="p1", authors=frozenset(),
    needs=("owner",), has_evidence=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("state", "last_run", "verdict", "says"),
    [
        ("draft", "", "", "run `governor change shadow ID`"),
        ("draft", "aborted_budget", "", "with a larger budget"),
        ("draft", "aborted_policy", "", "a candidate that policy allows"),
        ("draft", "invalid_baseline", "", "mend what the run says"),
        ("in_review", "done", "pass", "whose decision is missing"),
        ("in_review", "done", "fail", "governor change split ID"),
        ("in_review", "done", "inconclusive", "settle what is open"),
        ("shadowing", "aborted_budget", "", "under way"),
        ("approved", "done", "inconclusive", "cutover"),
    ],
)
def test_the_next_step_fits_how_the_run_ended(state: str, last_run: str, verdict: str, says: str) -> None:
    assert says in next_step(state, last_run, verdict)


def test_a_sample_that_is_too_small_is_told_what_all_promises_need() -> None:
    with pytest.raises(Refused) as refused:
        choose_metrics(("error", "timeout", "quality"), {"quality": "0.01"}, 50)
    assert (
        "50 traces cannot decide quality at a margin of 0.01, as 2 other promises: even perfect agreement needs 304"
        in refused.value.message
    )
    assert choose_metrics(("error", "timeout", "quality"), {"quality": "0.01"}, 304)


def test_on_a_terminal_the_next_command_names_the_change() -> None:
    said = of_change(next_step("in_review", "done", "pass"), "RC-12")
    assert said.startswith("`governor change show RC-12` says")
    assert "`governor change approve RC-12 --digest DIGEST" in said


def test_a_refusal_names_the_change_in_the_command_it_points_to() -> None:
    for state in (State.REJECTED, State.APPROVED):
        with pytest.raises(WrongState) as refused:
            may_decide(OWNER, replace(DOCKET, state=state), digest=DOCKET.digest, decision="approve", now=NOW)
        assert "ID" not in refused.value.hint.split()
    with pytest.raises(MissingEvidence) as missing:
        may_decide(OWNER, replace(DOCKET, state=State.DRAFT, has_evidence=False), digest="", decision="approve", now=NOW)
    assert missing.value.hint == "run `governor change shadow RC-12`"
    with pytest.raises(RoleNotNeeded) as other:
        may_decide(replace(OWNER, id="p9", roles=frozenset({"auditor"})), DOCKET, digest=DOCKET.digest, decision="approve", now=NOW)
    assert "`governor change show RC-12`" in other.value.hint
    with pytest.raises(WrongState) as moved:
        move(State.APPROVED, State.SHADOWING, of="RC-12")
    assert "`governor change cutover RC-12`" in moved.value.hint


def test_a_digest_that_was_cut_is_told_so() -> None:
    with pytest.raises(Invalid, match="its first 12 characters are given, all 64 are needed"):
        may_decide(OWNER, DOCKET, digest=DOCKET.digest[:12], decision="approve", now=NOW)
    with pytest.raises(StaleApproval):
        may_decide(OWNER, DOCKET, digest="b" * 12, decision="approve", now=NOW)
