"""Similarity sorts the queue. It decides nothing: not by what it says, and not by who may ask it."""

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import governor
from governor.shadow.comparison import Pair
from governor.shadow.labels import drawn, queue
from governor.shadow.likeness import chrf, likeness
from governor.shadow.plan import ReplayPlan
from governor.shadow.verdict import verdict

ASKERS = {"governor/actions/review_queue.py"}


def test_the_same_is_one_and_the_different_is_less() -> None:
    text = "The claim is covered; pay 4,000 EUR."
    assert likeness(text, text) == 1
    assert likeness(text, "The claim is covered; pay 400 EUR.") > likeness(text, "Not covered.") > 0
    assert chrf("abc", "xyz") == 0
    assert chrf("", "") == 1
    assert chrf("", "a") == 0
    assert chrf("ab", "ac") == pytest.approx((0.5 + 0) / 2)
    assert chrf("abc", "abd") == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_only_the_order_of_the_queue_asks_it() -> None:
    root = Path(governor.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [one.name for one in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            if any(name.startswith(("governor.shadow.likeness", "rapidfuzz")) for name in names):
                found.add(str(path.relative_to(root.parent)))
    assert found - {"governor/shadow/likeness.py"} == ASKERS


def test_answers_that_look_the_same_but_differ_never_pass(plan_of: Callable[..., ReplayPlan], pairs_of: Callable[..., list[Pair]]) -> None:
    """Whatever similarity says of them, the order it gives changes no byte of the verdict and the pairs stay unknown."""
    plan = plan_of()
    pairs = [replace(pair, quality=(-1, 1), equal="no") for pair in pairs_of(plan, [0] * plan.n)]
    assert verdict(plan, pairs)["verdict"] == "inconclusive"
    one, other = ({pair.position: value for pair in pairs} for value in (1.0, 0.0))
    assert queue(plan.seed, pairs, 50, one) == queue(plan.seed, pairs, 50, other) == drawn(plan.seed, pairs)
