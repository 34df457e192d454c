"""How long people take to decide: from the question and from the evidence; what waits is no short time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from governor.actions.cutover import cutover
from governor.actions.decide import approve, reject
from governor.actions.decision_times import decision_times
from governor.actions.show_change import list_changes

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def row(asked: float, put: float | None, decided: float | None, state: str) -> Any:
    """Days before NOW."""
    at = {name: None if days is None else (NOW - timedelta(days=days)).isoformat() for name, days in (("put", put), ("decided", decided))}
    return {
        "created_at": (NOW - timedelta(days=asked)).isoformat(),
        "submitted_at": at["put"],
        "decided_at": at["decided"],
        "state": state,
    }


def test_times_of_what_was_decided_and_of_what_waits() -> None:
    day = 86_400.0
    rows = [
        row(10, 9, 8, "approved"),
        row(20, 12, 11, "rejected"),
        row(9, 5, 1, "verified"),
        row(4, 3, None, "in_review"),
        row(30, 2, None, "in_review"),
        row(40, None, None, "draft"),
    ]
    found = decision_times(rows, NOW)
    assert found == {"decided": 3, "asked": 8 * day, "put": day, "longest": 9 * day, "waiting": 2, "oldest": 3 * day}
    nothing = {"decided": 0, "asked": None, "put": None, "longest": None, "waiting": 0, "oldest": None}
    assert decision_times([row(1, None, None, "draft")], NOW) == nothing


def test_a_change_counts_from_its_proposal_until_the_last_decision(world: Any) -> None:
    change = world.reviewed()
    world.later(hours=5)
    waits = decision_times(list_changes(world.ctx), world.ctx.now())
    assert (waits["decided"], waits["waiting"]) == (0, 1)
    assert waits["oldest"] is not None
    assert 5 * 3600 <= waits["oldest"] < 6 * 3600
    approve(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="ok")
    world.later(days=2)
    approve(world.ctx, world.person("sol"), change["id"], digest=change["digest"], reason="ok")
    world.later(days=3)
    cutover(world.ctx, world.person("rae"), change["id"])
    found = decision_times(list_changes(world.ctx), world.ctx.now())
    assert (found["decided"], found["waiting"]) == (1, 0)
    assert found["put"] is not None
    assert 2 * 86_400 + 5 * 3600 <= found["put"] < 3 * 86_400


def test_a_rejection_is_a_decision(world: Any) -> None:
    change = world.reviewed()
    reject(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="no")
    assert decision_times(list_changes(world.ctx), world.ctx.now())["decided"] == 1
