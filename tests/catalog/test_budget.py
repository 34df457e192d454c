"""Budgets and notifications as documents: one scope, money as text, no secret in the open."""

from __future__ import annotations

import pytest

from governor.catalog import BudgetDocument, parse_documents
from governor.errors import Invalid

BUDGET = "kind: budget\nid: claims\nscope: {cost_center: CC-4100}\nmonthly: '12000'\n"
HOOK = "kind: notification\nid: hook\nchannel: webhook\nurl: https://hooks.acme.example/governor\nsecret: env:HOOK\nevents: [budget.threshold]\n"


def test_a_budget_says_whose_spend_and_how_much() -> None:
    [budget] = parse_documents(BUDGET)
    assert isinstance(budget, BudgetDocument)
    assert (budget.scope.dimension, budget.scope.value, budget.thresholds, budget.forecast) == (
        "cost_center",
        "CC-4100",
        [50, 80, 100],
        True,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BUDGET.replace("{cost_center: CC-4100}", "{}"), "exactly one of"),
        (BUDGET.replace("{cost_center: CC-4100}", "{cost_center: CC-4100, organization: true}"), "exactly one of"),
        (BUDGET.replace("'12000'", "12000.5"), "quoted text"),
        (BUDGET.replace("'12000'", "'0.00'"), "more than zero"),
        (BUDGET + "thresholds: [80, 80]\n", "written twice"),
        (BUDGET + "thresholds: [0]\n", "greater than or equal to 1"),
        (HOOK.replace("env:HOOK", "whsec_c2VjcmV0"), "references"),
        (HOOK.replace("https://", "https://user:pw@"), "without user"),
        (HOOK.replace("webhook", "apprise"), "leave it out"),
        (HOOK.replace("budget.threshold", "budget.unknown"), "events"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        parse_documents(text)
