"""The ladder of words, rung by rung: what each needs, and that the first that holds is the one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from governor.ledger.canonical import canonical_json
from governor.shadow.comparison import Pair
from governor.shadow.golden_measured import Golden
from governor.shadow.measured import Measured
from governor.shadow.plan import Metric, ReplayPlan
from governor.shadow.statistics import Counts
from governor.shadow.verdict import decide, distinct_outputs, finished_prefix, rederive, verdict

PlanOf = Callable[..., ReplayPlan]
PairsOf = Callable[..., list[Pair]]
NONE = Counts(0, 0, 0)


def promise(*, kept: str = "final", critical: bool = True, applies: int = 10, harmed: bool = False) -> Measured:
    """kept: final | anytime | no."""
    return Measured(
        metric=Metric("error", "0.03", critical=critical),
        margin=0.03,
        n=10,
        counts=NONE,
        best=NONE,
        applies=applies,
        unlabelled=0,
        e_value=100.0 if kept == "anytime" else 1.0,
        harm_e=1.0,
        harm_at=None,
        p_final=0.001 if kept == "final" else 0.5,
        anytime=(-1.0, 1.0),
        pass_level=20.0,
        alpha_final=0.04,
        clusters=10,
        effect=1.0,
        harmed=harmed,
    )


def golden(*, kept: bool = True, critical: bool = True, harmed: bool = False, out_of_budget: bool = False, cases: int = 20) -> Golden:
    return Golden(
        critical=critical,
        margin="0.03",
        counts=Counts(0, 0, cases),
        complete=not out_of_budget,
        out_of_budget=out_of_budget,
        p_final=0.001 if kept else 0.5,
        p_harm=0.001 if harmed else 0.5,
        alpha_final=0.04,
        harm_level=0.01,
        summary={},
    )


def word(plan: ReplayPlan, prefix: list[Pair], *measured: Measured, **state: Any) -> tuple[str, str]:
    given = {"complete": True, "harmed": False, "drifted": False, "poor_variety": False, **state}
    return decide(plan, prefix, measured or (promise(),), **given)


@pytest.fixture
def plan(plan_of: PlanOf) -> ReplayPlan:
    return plan_of(n=40)


@pytest.fixture
def done(plan: ReplayPlan, pairs_of: PairsOf) -> list[Pair]:
    return pairs_of(plan, [0] * plan.n)


@pytest.mark.parametrize(
    ("measured", "state", "expected"),
    [
        ([promise()], {}, ("pass", "final_test")),
        ([promise(kept="anytime")], {}, ("pass", "anytime")),
        ([promise(kept="anytime"), promise()], {}, ("pass", "final_test")),
        ([promise(), promise(kept="no", critical=False)], {}, ("pass", "final_test")),
        ([promise(), promise(kept="no", applies=0)], {}, ("pass", "final_test")),
        ([promise(), promise(kept="no")], {}, ("inconclusive", "not_decided")),
        ([promise(critical=False)], {}, ("inconclusive", "not_decided")),
        ([promise(applies=0)], {}, ("inconclusive", "not_decided")),
        ([promise()], {"complete": False}, ("inconclusive", "not_finished")),
        ([promise(kept="anytime")], {"complete": False}, ("inconclusive", "not_finished")),
        ([promise(harmed=True)], {}, ("fail", "labels")),
        ([promise(harmed=True)], {"complete": False}, ("inconclusive", "not_finished")),
        ([promise(), promise(harmed=True, critical=False)], {}, ("pass", "final_test")),
        ([promise()], {"harmed": True, "complete": False}, ("fail", "harm_e_process")),
        ([promise()], {"harmed": True, "drifted": True}, ("invalid_baseline", "aa")),
        ([promise()], {"poor_variety": True}, ("fail", "variety")),
        ([promise()], {"poor_variety": True, "complete": False}, ("inconclusive", "not_finished")),
        ([promise()], {"golden": golden()}, ("pass", "final_test")),
        ([promise()], {"golden": golden(kept=False)}, ("inconclusive", "not_decided")),
        ([promise(kept="anytime")], {"golden": golden(kept=False)}, ("inconclusive", "not_decided")),
        ([promise()], {"golden": golden(kept=False, critical=False)}, ("pass", "final_test")),
        ([promise()], {"golden": golden(harmed=True)}, ("fail", "golden")),
        ([promise()], {"golden": golden(harmed=True, critical=False)}, ("pass", "final_test")),
        ([promise()], {"golden": golden(harmed=True), "complete": False}, ("inconclusive", "not_finished")),
        ([promise()], {"golden": golden(cases=0)}, ("inconclusive", "not_decided")),
        ([promise()], {"golden": golden(out_of_budget=True)}, ("aborted_budget", "budget")),
        ([promise()], {"golden": golden(out_of_budget=True, critical=False)}, ("pass", "final_test")),
    ],
)
def test_each_word_needs_what_it_says(
    plan: ReplayPlan, done: list[Pair], measured: list[Measured], state: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert word(plan, done, *measured, **state) == expected


def excluded(pairs: list[Pair], share: int, state: str = "excluded_policy") -> list[Pair]:
    return [replace(pair, state=state) if pair.position < share else pair for pair in pairs]


def test_policy_ends_a_run_only_above_the_registered_share(plan: ReplayPlan, done: list[Pair]) -> None:
    most = int(float(plan.max_excluded_share) * plan.n)
    assert 0 < most < plan.n
    assert word(plan, excluded(done, most)) == ("pass", "final_test"), "as many as registered are no more than registered"
    assert word(plan, excluded(done, most + 1)) == ("aborted_policy", "excluded_policy")
    assert word(plan, excluded(done, most + 1), complete=False) == ("inconclusive", "not_finished")
    assert word(plan, excluded(done, plan.n)) == ("aborted_policy", "excluded_policy")
    assert word(plan, excluded(done, plan.n, "excluded_params")) == ("inconclusive", "not_decided"), "policy had no part in it"


def test_a_run_out_of_money_says_so_unless_policy_took_most_of_it(plan: ReplayPlan, done: list[Pair]) -> None:
    stopped = [*done[:20], replace(done[20], state="skipped_budget")]
    assert word(plan, stopped, complete=False) == ("aborted_budget", "budget")
    assert word(plan, excluded(stopped, 15), complete=False) == ("aborted_policy", "excluded_policy")


def test_a_baseline_that_fails_most_calls_is_none_however_alike_the_candidate_fails(plan: ReplayPlan, done: list[Pair]) -> None:
    def failing(count: int, of: int) -> list[Pair]:
        return [replace(pair, baseline_usable=pair.position >= count) for pair in done[:of]]

    least = 20  # half of forty
    assert word(plan, failing(least, 40)) == ("pass", "final_test"), "half of them is enough"
    assert word(plan, failing(least + 1, 40)) == ("invalid_baseline", "unusable")
    assert word(plan, failing(29, 29), complete=False) == ("inconclusive", "not_finished"), "too few to judge it by"
    assert word(plan, failing(30, 30), complete=False) == ("invalid_baseline", "unusable")


def test_variety_is_judged_by_many_answers_that_vary(plan: ReplayPlan, done: list[Pair]) -> None:
    def texts(base: int, candidate: int, n: int = 40) -> list[Pair]:
        return [
            replace(
                pair,
                record_id=f"call-{pair.position}",
                baseline_text=f"b{pair.position % base}",
                candidate_text=f"c{pair.position % candidate}",
                equal="no",
            )
            for pair in done[:n]
        ]

    assert distinct_outputs(texts(4, 1))["status"] == "fail"
    assert distinct_outputs(texts(4, 2))["status"] == "ok", "half as many is enough"
    assert distinct_outputs(texts(3, 1))["status"] == "ok", "three answers are a choice, no variety"
    assert distinct_outputs(texts(4, 1, 29))["status"] == "ok"
    assert distinct_outputs(texts(4, 1, 30))["status"] == "fail"
    unfinished = [replace(pair, state="excluded_content") if pair.position < 11 else pair for pair in texts(4, 1)]
    assert distinct_outputs(unfinished) == {"replies": 29, "baseline_distinct": 4, "candidate_distinct": 1, "status": "ok"}


def test_the_prefix_ends_where_the_plan_ends_and_at_what_was_skipped(plan: ReplayPlan, done: list[Pair]) -> None:
    def length(pairs: list[Pair]) -> int:
        return len(finished_prefix(plan, {pair.position: pair for pair in pairs}))

    assert length([*done, replace(done[0], position=plan.n)]) == plan.n
    assert length([*done, replace(done[0], position=plan.n, state="skipped_budget")]) == plan.n
    assert length([pair for pair in done if pair.position != 17]) == 17
    assert length([replace(pair, state="skipped_decided") if pair.position == 17 else pair for pair in done]) == 17
    assert length([replace(pair, state="skipped_budget") if pair.position == 17 else pair for pair in done]) == 18
    assert length([replace(pair, state="running") if pair.position == 17 else pair for pair in done]) == 17


def test_a_plan_that_did_not_ask_for_parts_has_none_of_them(plan: ReplayPlan, done: list[Pair]) -> None:
    found = verdict(plan, done)
    assert not {"translation", "golden", "steps"} & found.keys()
    lines = [{"parameter": "seed", "action": "dropped", "why": "unknown"}]
    told = verdict(replace(plan, translation={"candidate": lines}), done)
    assert told["translation"] == {"candidate": lines}
    assert "params_dropped" in told["limitations"]


def test_harm_to_a_promise_that_is_not_critical_ends_nothing(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of(n=300, metrics=())
    bad = [-1] * 100 + [0] * 200
    for critical, words in ((True, ("fail", "harm_e_process")), (False, ("pass", "anytime"))):
        told = replace(plan, metrics=(Metric("error", "0.03"), Metric("quality", "0.03", critical=critical)))
        found = verdict(told, pairs_of(told, bad))
        assert (found["verdict"], found["decided_by"]) == words
        assert (found["n_prefix"] < plan.n) is critical


def test_calls_and_traces_are_counted_once_where_both_answered(plan: ReplayPlan, done: list[Pair]) -> None:
    sample = tuple(
        replace(one, record_id=f"call-{at // 2}", cluster=f"trace-{at // 8}" if at < 24 else "") for at, one in enumerate(plan.sample)
    )
    plan = replace(plan, sample=sample)
    pairs = [replace(pair, record_id=sample[pair.position].record_id) for pair in done]
    pairs = [replace(pair, state="excluded_content") if pair.position in {0, 1, 39} else pair for pair in pairs]
    found = verdict(plan, pairs)
    assert (found["n_pairs"], found["distinct_calls"], found["clusters"]) == (37, 19, 3 + 8)


def test_the_file_says_again_what_the_table_said(plan: ReplayPlan, done: list[Pair]) -> None:
    rows = b"\n".join(canonical_json(pair.document()) for pair in done)
    assert rederive(canonical_json(plan.document()), rows) == canonical_json(verdict(plan, done))
    assert rederive(canonical_json(plan.document()), rows + b"\n\n") == canonical_json(verdict(plan.document(), done))
