"""Which part of the traffic may move: shrinkage, the chosen sets, confirmation on fresh pairs, the condition for a gateway."""

import json
import random

import pytest

from governor.errors import Invalid
from governor.policy.embedded import build
from governor.shadow.predicate import band, check_fields, condition, edges_of, rego, segment_of
from governor.shadow.split import Trial, chooses, chosen_sets, confirm, recommended, scores, split, trials
from tests.shadow.conftest import make_pairs, make_plan


def make_trials(count: int, loses: dict[str, float], seed: int, name: str = "t", **values: int) -> list[Trial]:
    """Pairs spread over segments, each losing with its segment's probability."""
    rng = random.Random(seed)
    found = []
    for at in range(count):
        segment = sorted(loses)[at % len(loses)]
        worst = {"quality": -int(rng.random() < loses[segment]), **values}
        found.append(Trial((segment,), worst, 1.0, f"{name}{at}", 1000, 100))
    return found


EASY_AND_HARD = {"easy": 0.0, "hard": 0.5}


def test_the_easy_part_moves_and_the_hard_part_stays() -> None:
    _, frontier = split(make_trials(400, EASY_AND_HARD, 1), make_trials(400, EASY_AND_HARD, 2, "f"), {"quality": 0.02}, 0.04)
    best = recommended(frontier)
    assert best is not None
    assert best.chosen.segments == (("easy",),)
    assert best.share == 0.5
    assert best.savings is not None
    assert best.savings.rate == pytest.approx(0.45)  # half of the traffic at a tenth of the price
    assert [one.status for one in frontier] == ["confirmed", "over_budget"]


def test_what_looked_safe_and_is_not_is_never_confirmed() -> None:
    lucky = make_trials(400, {"easy": 0.0, "hard": 0.5}, 1)
    _, frontier = split(lucky, make_trials(400, {"easy": 0.2, "hard": 0.5}, 2, "f"), {"quality": 0.02}, 0.04)
    assert recommended(frontier) is None
    assert frontier[0].status == "not_confirmed"


def test_after_the_first_set_that_does_not_hold_none_is_tested() -> None:
    sets = chosen_sets(scores(make_trials(600, {"a": 0.0, "b": 0.0, "c": 0.0}, 3)), 0.05)
    assert [len(one.segments) for one in sets] == [1, 2, 3]
    fresh = make_trials(600, {"a": 0.0, "b": 0.0, "c": 0.0}, 4, "f")
    first = sets[0].segments[0][0]
    broken = [Trial(one.segment, {"quality": -1 if one.segment == (first,) else 1}, 1.0, one.trace, 1, 1) for one in fresh]
    assert [one.status for one in confirm(broken, sets, {"quality": 0.05}, 0.04)] == ["not_confirmed", "not_tested", "not_tested"]


def test_every_critical_promise_must_hold_on_the_moved_part() -> None:
    choosing = make_trials(400, EASY_AND_HARD, 1, error=0)
    _, frontier = split(choosing, make_trials(400, EASY_AND_HARD, 2, "f", error=-1), {"quality": 0.02, "error": 0.02}, 0.04)
    assert recommended(frontier) is None
    assert frontier[0].slowest == "error"


def test_a_segment_of_few_pairs_is_drawn_to_the_others_and_says_so() -> None:
    pairs = [*make_trials(400, EASY_AND_HARD, 5), Trial(("rare",), {"quality": 0}, 1.0, "r", 1000, 100)]
    found = {one.segment[0]: one for one in scores(pairs)}
    assert found["easy"].mean > -0.03
    assert found["rare"].raw == 0.0
    assert found["rare"].mean < -0.1
    assert found["hard"].mean == pytest.approx(-0.5, abs=0.08)


def test_segments_never_look_all_alike() -> None:
    """Where the segments differ no more than chance the better one still stands before the worse, close together."""
    made = [
        Trial((name,), {"quality": value}) for name, lost in (("a", 2), ("b", 3), ("c", 4)) for value in [-1] * lost + [0] * (20 - lost)
    ]
    found = scores(made)
    assert [one.segment[0] for one in found] == ["a", "b", "c"]
    assert found[0].mean > found[1].mean > found[2].mean
    assert found[0].mean - found[2].mean < 0.7 * (found[0].raw - found[2].raw)


def test_nested_features_lend_to_their_own_kind() -> None:
    """A new cell of an easy task is thought easier than a new cell of a hard one."""
    pairs = []
    for task, rate in (("easy", 0.0), ("hard", 0.5)):
        for cell in range(6):
            pairs += [Trial((task, str(cell)), {"quality": -int(at % 2 == 0 and rate > 0)}, 1.0, f"{task}{cell}{at}") for at in range(40)]
        pairs.append(Trial((task, "new"), {"quality": 0}, 1.0, f"{task}-new"))
    found = {one.segment: one.mean for one in scores(pairs)}
    assert found["easy", "new"] > -0.05
    assert found["hard", "new"] < -0.3


def test_traffic_that_states_nothing_or_would_cost_more_never_moves() -> None:
    silent = [Trial(("",), {"quality": 0}, 1.0, f"s{at}", 1000, 100) for at in range(100)]
    dear = [Trial(("dear",), {"quality": 0}, 1.0, f"d{at}", 100, 1000) for at in range(100)]
    assert chosen_sets(scores(silent + dear), 0.1) == []


def test_one_trace_cannot_choose_and_confirm() -> None:
    pairs = make_trials(10, EASY_AND_HARD, 1)
    with pytest.raises(ValueError, match="choose and confirm"):
        split(pairs, pairs, {"quality": 0.02}, 0.04)


def test_the_seed_of_the_plan_halves_the_traces() -> None:
    sides = [chooses("seed-1", f"trace-{at}") for at in range(2000)]
    assert 900 < sum(sides) < 1100
    assert sides == [chooses("seed-1", f"trace-{at}") for at in range(2000)]
    assert sides != [chooses("seed-2", f"trace-{at}") for at in range(2000)]


def test_trials_read_the_worst_of_every_critical_promise() -> None:
    plan = make_plan(120)
    pairs = make_pairs(plan, [-1] * 120, error=[-1] * 120)
    found = trials(plan, pairs, {draw.record_id: ("x",) for draw in plan.sample[:60]})
    assert found
    assert all(one.worst == {"error": -1, "quality": -1} for one in found)
    assert len(found) == sum(pair.record_id in {draw.record_id for draw in plan.sample[:60]} for pair in pairs)


def test_bands_of_length_cover_every_length_once() -> None:
    edges = edges_of(list(range(100, 500)))
    assert edges == (200, 300, 400)
    assert [band(length, edges) for length in (0, 199, 200, 399, 400, 10**6)] == ["0-200", "0-200", "200-300", "300-400", "400-", "400-"]
    assert band(None, edges) == ""
    assert edges_of([7, 7, 7]) == ()


def test_fields_the_answer_decides_are_refused() -> None:
    for name in ("output_tokens", "status", "duration_ms", "metadata.a'b"):
        with pytest.raises(Invalid, match="cannot be split"):
            check_fields([name])
    with pytest.raises(Invalid, match="one to four"):
        check_fields(["app", "app"])


def test_the_rego_module_decides_as_the_segments_do() -> None:
    names, edges = ("metadata.task", "input_tokens"), (100, 200)
    moved = {('sort "a"', "0-100"), ('sort "a"', "200-"), ("extract", "100-200")}
    module = rego("RC-7", condition("fnol", names, sorted(moved)))
    for task in ('sort "a"', "extract", None):
        for length in (0, 99, 100, 199, 200, 5000, None):
            for workflow in ("fnol", "other"):
                call = {"workflow_id": workflow, "input_tokens": length, "metadata": {"task": task} if task else {}}
                engine = build({"split.rego": module}, "{}")
                engine.set_input_json(json.dumps(call))
                expected = workflow == "fnol" and segment_of({"metadata.task": task, "input_tokens": length}, names, edges) in moved
                assert engine.eval_rule("data.governor.split.rc_7.candidate") is expected, call
