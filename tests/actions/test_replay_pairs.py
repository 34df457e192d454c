"""When the pair of a position is final, and that a pair which is not made during the run lost nothing."""

from __future__ import annotations

from itertools import product

import pytest

from governor.actions.replay_evidence import alike, pair_of, state_of
from governor.actions.replay_table import Result
from governor.shadow.guards import Facts
from tests.shadow.conftest import make_plan

FINE = Facts("ok", {"error": False, "tool_calls": False}, answer="a", called=True, duration_us=10)
REPLIES = (
    FINE,
    Facts("ok", {"error": False, "tool_calls": False}, answer="b", duration_us=20),
    Facts("ok", {"error": False, "tool_calls": True}, answer="b", called=True, duration_us=10),
    Facts("error", {"error": True}, duration_us=0),
)


def done(facts: Facts, cost: int | None = 1) -> Result:
    return Result("done", facts, cost)


@pytest.mark.parametrize("baseline", ["recorded", "replayed"])
@pytest.mark.parametrize("names", [("judge_ab", "judge_ba"), ("judge_canary_ab", "judge_canary_ba")])
@pytest.mark.parametrize("state", ["planned", "reserved"])
def test_a_pair_is_not_final_before_its_judge_answered(baseline: str, names: tuple[str, str], state: str) -> None:
    """Also where the two opinions stand beside two arms only, as with a recorded baseline."""
    plan = make_plan(baseline_arm=baseline)
    arms = {"recorded": done(FINE), "candidate": done(FINE), **({"baseline": done(FINE)} if baseline == "replayed" else {})}
    assert state_of(plan, arms) == pair_of(plan, 0, arms).state == "done"
    arms |= {names[0]: Result("done", pick=1), names[1]: Result(state)}
    assert state_of(plan, arms) == pair_of(plan, 0, arms).state == "reserved"


def test_what_is_alike_lost_nothing() -> None:
    plan = make_plan(latency_slo_us=15, cost_ceiling_pico=5)
    seen = set()
    for base, other, cost, opinion in product(REPLIES, REPLIES, (1, 9, None), (None, -1)):
        arms = {"recorded": done(base), "baseline": done(base), "candidate": done(other, cost)}
        if opinion is not None:
            arms |= {name: Result("done", pick=opinion) for name in ("judge_ab", "judge_ba")}
        pair = pair_of(plan, 0, arms)
        lost = pair.quality[1] < 0 or any(value < 0 for value in pair.d.values())
        assert not (alike(plan, arms) and lost), (base, other, cost, opinion)
        seen.add((alike(plan, arms), lost))
    assert {(True, False), (False, True)} <= seen
