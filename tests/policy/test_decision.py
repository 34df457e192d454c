"""Nothing but a complete decision document is ever an allow."""

from typing import Any

import pytest

from governor.policy.decision import Decision, Need, Undecided, Violation, Waived, read_decision

WHOLE: dict[str, Any] = {"allow": True, "rules": ["a.b"], "violations": [], "waived": [], "warnings": [], "undecided": []}
OBJECTION = {"rule": "a.b", "severity": "high", "message": "no", "solution": ""}


def test_allow() -> None:
    decision = read_decision(WHOLE)
    assert (decision.allow, decision.status) == (True, "allowed")


@pytest.mark.parametrize(
    "document",
    [
        None,
        True,
        [],
        "allow",
        {},
        {"allow": True},
        {**WHOLE, "allow": "true"},
        {**WHOLE, "allow": 1},
        {**WHOLE, "rules": []},
        {**WHOLE, "violations": [OBJECTION]},
        {**WHOLE, "undecided": [{"rule": "a.b", "reason": "r"}]},
        {**WHOLE, "violations": [{"rule": "a.b"}]},
        {**WHOLE, "violations": None},
        {**WHOLE, "allow": False, "violations": ["a rule that answers with a text"]},
        {**WHOLE, "warnings": ["soon"]},
    ],
)
def test_anything_else_is_undecided(document: Any) -> None:
    decision = read_decision(document)
    assert (decision.allow, decision.status) == (False, "undecided")
    assert decision.undecided[0].rule == "policy"


def test_what_is_malformed_is_named() -> None:
    odd = {"rule": "r", "severity": "low", "message": "m", "solution": {"a": 1}}
    assert "is no finding of a rule" in read_decision({**WHOLE, "allow": False, "violations": [odd]}).undecided[0].reason
    assert "'no' is no finding of a rule" in read_decision({**WHOLE, "allow": False, "violations": ["no"]}).undecided[0].reason


def test_weight_of_the_parts() -> None:
    refused = {**WHOLE, "allow": False}
    assert read_decision({**refused, "violations": [OBJECTION], "undecided": [{"rule": "a.b", "reason": "r"}]}).status == "violation"
    assert read_decision({**refused, "undecided": [{"rule": "a.b", "reason": "r"}]}).status == "undecided"
    assert read_decision(refused).status == "undecided"
    waived = {**OBJECTION, "waiver": "W", "expires": "2027-01-01T00:00:00Z", "compensating_control": "c"}
    assert read_decision({**WHOLE, "waived": [waived]}).status == "waived"


def test_a_decision_reads_back_as_itself() -> None:
    needs = [{"role": "owner", "reason": "x; y", "reasons": ["x", "y"]}]
    decision = read_decision({**WHOLE, "allow": False, "violations": [OBJECTION], "needs": needs, "route_status": "waived"})
    assert read_decision(decision.document()) == decision


def test_a_decision_that_lacks_a_fact_is_undecided_whatever_it_allows() -> None:
    lacking = (Undecided("rule", "why"),)
    objection, excused = (Violation("rule", "low", "message"),), (Waived("rule", "low", "message", "", "waiver", "2026-12-01", "none"),)
    words = {
        "allowed": Decision(allow=True),
        "waived": Decision(allow=True, waived=excused),
        "undecided": Decision(allow=True, waived=excused, undecided=lacking),
        "violation": Decision(allow=True, waived=excused, undecided=lacking, violations=objection),
    }
    assert {word: found.status for word, found in words.items()} == {word: word for word in words}
    assert Decision(allow=False).status == "undecided"
    assert Need("security", "why").asked == {}
    assert Need("security", "why", strength="passkey").asked == {"strength": "passkey"}
