"""Limits are reached at them and not a pico-USD before; who is over, near or heading there."""

from __future__ import annotations

from typing import Any

import pytest

from governor.catalog import Catalog, parse_documents
from governor.chargeback.budget import Budget, budgets_of, to_pico

USD = 10**12
BUDGET = Budget("b", "workflow", "claims", 200 * USD, (50, 80, 100), warn_by_forecast=True)


@pytest.mark.parametrize(
    ("spent", "expected", "reached", "state"),
    [
        (0, None, [], "within"),
        (100 * USD - 1, None, [], "within"),
        (100 * USD, None, [50], "near"),
        (160 * USD - 1, 200 * USD - 1, [50], "near"),
        (160 * USD, 200 * USD, [50, 80], "heading_over"),
        (0, 200 * USD, [], "heading_over"),
        (0, 200 * USD - 1, [], "within"),
        (200 * USD - 1, None, [50, 80], "near"),
        (200 * USD, 10, [50, 80, 100], "over"),
    ],
)
def test_a_limit_is_reached_at_it(spent: int, expected: int | None, reached: list[int], state: str) -> None:
    assert (BUDGET.reached(spent), BUDGET.state(spent, expected)) == (reached, state)


def test_a_budget_finer_than_a_pico_is_cut() -> None:
    assert [to_pico(text) for text in ("12000", "0.0000000000019", "1.5")] == [12_000 * USD, 1, 15 * 10**11]


def test_budgets_are_those_written_and_those_of_workflows() -> None:
    workflow = "kind: workflow\nid: {id}\nowner: a@x.example\nenvironment: production\nmonthly_budget: '{budget}'\n"
    texts = [workflow.format(id=name, budget=budget) for name, budget in (("small", "0.5"), ("none", "0"))]
    texts += ["kind: budget\nid: all\nscope: {organization: true}\nmonthly: '7'\nthresholds: [90]\nforecast: false\n"]
    texts += ["kind: workflow\nid: without\nowner: a@x.example\nenvironment: production\n"]
    documents: list[Any] = parse_documents("---\n".join(texts))
    catalog = Catalog(
        workflows={one.id: one for one in documents if one.kind == "workflow"},
        budgets={one.id: one for one in documents if one.kind == "budget"},
    )
    assert budgets_of(catalog) == [
        Budget("all", "", "", 7 * USD, (90,), warn_by_forecast=False),
        Budget("workflow:small", "workflow", "small", USD // 2, (50, 80, 100), warn_by_forecast=True),
    ]
