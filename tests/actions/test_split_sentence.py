"""What the split says of a set that may move: a go only where nothing that it cannot test speaks against it."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from governor.actions.split_route import caution_of, sentence


def told(golden: Any, caution: str) -> str:
    plan: Any = SimpleNamespace(candidate=SimpleNamespace(provider="openai", model="small"), workflow_id="triage", golden=golden)
    best: Any = SimpleNamespace(share=0.5, quality=-0.02, interval=SimpleNamespace(low=-0.04), savings=None)
    return sentence(plan, best, [], Decimal(0), "recommended", 10, caution)


def verdict_with(status: str, decided_by: str = "final_test") -> dict[str, Any]:
    lines = [{"name": "quality", "kind": "quality", "status": "fail"}]
    return {"decided_by": decided_by, "metrics": [*lines, *([{"name": "golden", "kind": "golden", "status": status}] if status else [])]}


@pytest.mark.parametrize(
    ("golden", "decided_by", "caution", "begins"),
    [
        ("", "harm_e_process", "", "openai/small can take 50 % of triage"),
        ("pass", "harm_e_process", "", "openai/small can take 50 % of triage"),
        ("fail", "golden", "golden_lost", "Do not move a part yet: The candidate lost the golden set"),
        ("inconclusive", "harm_e_process", "golden_open", "Do not move a part yet: The golden set"),
        ("", "variety", "variety", "Do not move a part yet: The candidate's answers hardly differ"),
    ],
)
def test_a_part_is_a_go_only_where_nothing_speaks_against_it(golden: str, decided_by: str, caution: str, begins: str) -> None:
    assert caution_of([verdict_with(golden, decided_by)]) == caution
    said = told(SimpleNamespace(name="hail") if golden else None, caution)
    assert said.startswith(begins)
    assert ("The golden set, which it kept, was asked of the whole route" in said) is (golden == "pass")


def test_either_of_two_runs_holds_a_part_back() -> None:
    assert caution_of([verdict_with("pass"), verdict_with("fail")]) == "golden_lost"
    assert caution_of([verdict_with("pass"), verdict_with("pass")]) == ""
