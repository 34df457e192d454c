"""Whole traces as the unit of a sample: how they are drawn, that each counts once, and what that does to the tests."""

import random
from dataclasses import replace
from typing import Any

import pytest

from governor.shadow.comparison import Pair
from governor.shadow.measured import harmed_after
from governor.shadow.money import savings
from governor.shadow.plan import ReplayPlan
from governor.shadow.sampling import Candidate, draw
from governor.shadow.statistics import NORMAL
from governor.shadow.units import by_unit, draw_units, effective_size, ends, group
from governor.shadow.verdict import verdict
from tests.shadow.conftest import make_plan

STEPS = 5


def calls(traces: int, steps: int = STEPS) -> list[Candidate]:
    return [Candidate(1000 * (at + 1), f"r-{trace:04}-{at}", f"t-{trace:04}") for trace in range(traces) for at in range(steps)]


def trace_plan(traces: int, size: int, margin: str = "0.05", **changes: Any) -> ReplayPlan:
    found = calls(traces)
    units = group(found, frozenset(one.cluster for one in found))
    sample = draw_units(units, size, "seed-1")
    plan = make_plan(300, margin)
    return replace(
        plan,
        sample=sample.draws,
        weight_cap=sample.weight_cap,
        population=replace(plan.population, calls=len(found), clusters=traces),
        **changes,
    )


def pairs(plan: ReplayPlan, loses: dict[str, int]) -> list[Pair]:
    """loses: trace -> how many of its steps, from the last, the candidate loses."""
    found = []
    for at, pick in enumerate(plan.sample):
        step = int(pick.record_id[-1]) + 1
        value = -1 if step > STEPS - loses.get(pick.cluster, 0) else 0
        found.append(
            Pair(
                at,
                pick.record_id,
                "done",
                d={"error": 0},
                quality=(value, value),
                equal="" if value else "answer",
                baseline_text=f"b{at}",
                candidate_text=f"c{at}",
                baseline_cost_pico=10,
                candidate_cost_pico=5,
                baseline_us=9,
                candidate_us=8,
                step=step,
                diverged=value < 0,
            )
        )
    return found


def test_a_trace_is_drawn_with_all_its_steps_in_recorded_order() -> None:
    plan = trace_plan(50, 40)
    assert plan.n == 40 * STEPS
    for at in range(0, plan.n, STEPS):
        steps = plan.sample[at : at + STEPS]
        assert [one.record_id[-1] for one in steps] == list("01234")
        assert len({(one.cluster, one.weight, one.stratum, one.steps) for one in steps}) == 1
    assert ReplayPlan.parse(plan.document()) == plan


def test_calls_without_tools_are_drawn_as_before() -> None:
    found = [replace(one, cluster=one.record_id) for one in calls(40)]
    for whole in (frozenset[str](), frozenset(one.cluster for one in found)):
        assert draw_units(group(found, whole), 24, "s") == draw(found, 24, "s")
    mixed = group(calls(3), frozenset({"t-0001"}))
    assert [len(unit) for unit in mixed] == [1] * STEPS + [STEPS] + [1] * STEPS
    assert {len(unit) for unit in group(calls(1, 65), frozenset({"t-0000"}))} == {1}  # a session, not a trace


def test_only_finished_traces_are_read_and_each_gives_its_mean() -> None:
    plan = trace_plan(50, 8)
    assert ends(plan, 12) == [5, 10]
    assert by_unit([-1, 0, 0, -1, -1, 0, 0, 0, -1, -1], [1, 1, 0, 2, 0, 1, 1, 1, 1, 1], [5, 10]) == ([-0.75, -0.4], [4.0, 5.0])


def test_a_trace_counts_once_in_the_tests_and_with_all_its_steps_in_money() -> None:
    plan = trace_plan(400, 300)
    found = verdict(plan, pairs(plan, {}))
    assert found["verdict"] == "pass"
    quality = next(one for one in found["metrics"] if one["name"] == "quality")
    assert quality["n"] == 300 * STEPS
    assert quality["clusters"] == found["clusters"] == len({one.cluster for one in plan.sample})
    assert found["steps"]["whole_traces"] == found["steps"]["traces"] == quality["clusters"]
    assert found["steps"]["diverged_traces"] == found["steps"]["tools_executed"] == 0
    assert found["cost"]["savings_rate"] == "0.500000"


def test_steps_of_one_trace_are_one_cluster() -> None:
    plan = trace_plan(400, 300)
    rng = random.Random(3)
    chosen = rng.sample([f"t-{at:04}" for at in range(400)], 12)
    found = verdict(plan, pairs(plan, dict.fromkeys(chosen, STEPS)))
    quality = next(one for one in found["metrics"] if one["name"] == "quality")
    assert float(quality["design_effect"]) > STEPS - 1  # five steps that fail together say what one says
    assert found["steps"]["diverged_at"] == {"1": len({one.cluster for one in plan.sample} & set(chosen))}


def test_what_steps_of_one_trace_save_or_take_alike_is_told_once() -> None:
    """Steps of a trace share its history, so a tokenizer or a slow provider moves them together: intervals as of one mean a trace, not of five."""
    plan = trace_plan(400, 120)
    rng = random.Random(5)
    rates = {f"t-{at:04}": rng.uniform(0.3, 0.9) for at in range(400)}

    def told(share: dict[str, float]) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
        some = [
            replace(
                pair,
                baseline_cost_pico=10_000_000,
                candidate_cost_pico=round(10_000_000 * share[plan.sample[pair.position].cluster]),
                baseline_us=1_000_000,
                candidate_us=round(1_000_000 * share[plan.sample[pair.position].cluster]),
                repeat={"error": 0 if share[plan.sample[pair.position].cluster] < 0.8 else -1},
            )
            for pair in pairs(plan, {})
        ]
        found = verdict(plan, some)
        return found["cost"], found["latency"]["paired"], found["repeat"]["metrics"]

    def width(line: dict[str, Any], name: str = "ci95") -> float:
        return float(line[name][1]) - float(line[name][0])

    cost, latency, repeat = told(rates)
    by_draw = [rates[plan.sample[at].cluster] for at in range(0, plan.n, STEPS)]
    weights = [float(plan.sample[at].weight) for at in range(0, plan.n, STEPS)]
    one = savings([10_000_000] * 120, [round(10_000_000 * rate) for rate in by_draw], weights)
    assert one is not None
    assert width(cost) == pytest.approx(one.interval.high - one.interval.low, abs=2e-6)  # as if each trace were one call
    assert width(latency) > 0.1  # 600 calls of their own would say 0.06
    assert width(repeat[0]) > 0.1  # and here 0.06


def test_diverged_at_is_the_first_step_that_left_the_tape() -> None:
    plan = trace_plan(60, 40)
    [one, other] = sorted({pick.cluster for pick in plan.sample})[:2]
    found = verdict(plan, pairs(plan, {one: 3, other: 1}))
    assert found["steps"]["diverged_at"] == {"3": 1, "5": 1}


def test_harm_stops_at_the_end_of_a_trace_and_the_verdict_reads_no_further() -> None:
    plan = trace_plan(400, 300)
    table = pairs(plan, {f"t-{at:04}": STEPS for at in range(0, 400, 2)})
    at = harmed_after(plan, table, [float(one.weight) for one in plan.sample])
    assert at is not None
    assert at % STEPS == 0
    found = verdict(plan, table)
    assert (found["verdict"], found["n_prefix"]) == ("fail", at)
    assert verdict(plan, table[:at]) == {**found, "n_missing": 0}


def test_traces_that_fail_as_a_whole_at_the_margin_are_seldom_decided_wrongly() -> None:
    """Exactly at a margin of 0.1 both words are errors: 5 % each, here with room for 40 runs."""
    wrong = {"pass": 0, "fail": 0, "inconclusive": 0}
    for run in range(40):
        rng = random.Random(run)
        chosen = rng.sample([f"t-{at:04}" for at in range(400)], 40)
        found = calls(400)
        sample = draw_units(group(found, frozenset(one.cluster for one in found)), 120, f"run-{run}")
        plan = replace(make_plan(300, "0.1"), sample=sample.draws, weight_cap=sample.weight_cap)
        wrong[verdict(plan, pairs(plan, dict.fromkeys(chosen, STEPS)))["verdict"]] += 1
    assert max(wrong["pass"], wrong["fail"]) <= 6


@pytest.mark.parametrize("tooled", [False, True])
@pytest.mark.parametrize("traces", [30, 300])
@pytest.mark.parametrize("heavy", [1, 400])
def test_a_sample_counts_in_a_plan_as_it_counts_in_the_final_test(tooled: bool, traces: int, heavy: int) -> None:
    """Perfect agreement passes exactly where the effective size allows it: calls of unlike cost, several of a trace, traces drawn as a whole."""
    found = [replace(one, cost_pico=one.cost_pico * (heavy if one.cluster.endswith("7") else 1)) for one in calls(traces)]
    units = group(found, frozenset(one.cluster for one in found) if tooled else frozenset())
    least = NORMAL.inv_cdf(0.96) ** 2 * 0.97 / 0.03
    sides = set()
    for size in range(70, 320, 48):
        sample = draw_units(units, size, "seed-1")
        plan = replace(make_plan(300, "0.03"), sample=sample.draws, weight_cap=sample.weight_cap)
        weigh = effective_size(sample.draws)
        assert weigh < size
        [tested] = [one for one in verdict(plan, pairs(plan, {}))["metrics"] if one["name"] == "quality"]
        assert (float(tested["p_final"]) <= 0.04) == (weigh >= least), (size, weigh)
        sides.add(weigh >= least)
    assert False in sides
