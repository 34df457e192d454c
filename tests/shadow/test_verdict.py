"""The decision: what passes, what fails, what stays open, and that order never matters."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from governor.ledger.canonical import canonical_json
from governor.shadow.comparison import Pair
from governor.shadow.plan import ReplayPlan
from governor.shadow.verdict import verdict

PlanOf = Callable[..., ReplayPlan]
PairsOf = Callable[..., list[Pair]]


def losses(n: int, lost: int, seed: int = 1) -> list[int]:
    values = [-1] * lost + [0] * (n - lost)
    random.Random(seed).shuffle(values)
    return values


def test_agreement_passes_and_says_what_it_saves(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    found = verdict(plan, pairs_of(plan, [0] * plan.n))
    assert (found["verdict"], found["n_pairs"], found["n_missing"]) == ("pass", 300, 0)
    assert found["cost"]["savings_rate"].startswith("0.70")
    assert float(found["cost"]["ci95"][0]) <= float(found["cost"]["savings_rate"]) <= float(found["cost"]["ci95"][1])
    assert found["latency"]["p50_ratio"].startswith("0.44")
    assert found["still_needed"] is None


def test_harm_fails_early_and_reads_no_further(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    quality = losses(plan.n, 90)
    whole = verdict(plan, pairs_of(plan, quality))
    assert (whole["verdict"], whole["decided_by"]) == ("fail", "harm_e_process")
    assert whole["n_prefix"] < plan.n
    assert canonical_json(verdict(plan, pairs_of(plan, quality)[: whole["n_prefix"] + 10])) == canonical_json(whole)


def test_a_loss_near_the_margin_is_open_and_says_how_much_more_is_needed(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    found = verdict(plan, pairs_of(plan, losses(plan.n, 5)))
    assert found["verdict"] == "inconclusive"
    assert found["still_needed"]["metrics"] == ["quality"]
    assert found["still_needed"]["p10"] is not None


def test_a_different_answer_nobody_judged_never_passes_and_never_fails(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    pairs = [replace(pair, quality=(-1, 1), equal="no") for pair in pairs_of(plan, [0] * plan.n)]
    found = verdict(plan, pairs)
    assert found["verdict"] == "inconclusive"
    assert "content_not_judged" in found["limitations"]
    assert found["still_needed"]["labels_would_help"] is True


@pytest.mark.parametrize("kind", ["none", "some"])
def test_a_cost_nobody_knows_neither_keeps_nor_breaks_the_ceiling(plan_of: PlanOf, pairs_of: PairsOf, kind: str) -> None:
    plan = plan_of(metrics=("error", "cost_ceiling", "quality"))
    silent = [at for at in range(plan.n) if kind == "none" or at % 10 == 0]
    pairs = pairs_of(plan, [0] * plan.n, cost_ceiling=[-1 if at in silent else 0 for at in range(plan.n)])
    pairs = [replace(pair, candidate_cost_pico=None) if pair.position in silent else pair for pair in pairs]
    found = verdict(plan, pairs)
    assert (found["verdict"], found["n_pairs"], found["still_needed"]["metrics"]) == ("inconclusive", plan.n, ["cost_ceiling"])
    assert f"points as long as {len(silent)} replies tell no usage" in found["sentence"]
    assert "unpriced_replies" in found["limitations"]
    dear = [replace(pair, candidate_cost_pico=10**9) for pair in pairs]
    assert verdict(plan, dear)["verdict"] == "fail", "where usage is told, what is above the ceiling is above it"


def test_a_constant_answer_fails_although_every_guard_holds(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    found = verdict(plan, [replace(pair, candidate_text="same", equal="no") for pair in pairs_of(plan, [0] * plan.n)])
    assert (found["verdict"], found["decided_by"]) == ("fail", "variety")


def test_one_broken_promise_outweighs_all_others(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of(metrics=("error", "contract", "quality"))
    found = verdict(plan, pairs_of(plan, [0] * plan.n, contract=losses(plan.n, 60)))
    assert found["verdict"] == "fail"
    assert {metric["name"]: metric["status"] for metric in found["metrics"]}["contract"] == "fail"


def test_the_order_in_which_replies_arrive_changes_no_byte(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    pairs = pairs_of(plan, losses(plan.n, 4))
    first = canonical_json(verdict(plan, pairs))
    for seed in range(5):
        shuffled = pairs[:]
        random.Random(seed).shuffle(shuffled)
        assert canonical_json(verdict(plan, [pair.document() for pair in shuffled])) == first


def test_only_the_finished_prefix_counts(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    pairs = pairs_of(plan, [0] * plan.n)
    pairs[120] = replace(pairs[120], state="reserved")
    found = verdict(plan, pairs)
    assert (found["verdict"], found["decided_by"], found["n_prefix"], found["n_missing"]) == ("inconclusive", "not_finished", 120, 180)
    assert all(metric["p_final"] is None for metric in found["metrics"])


@pytest.mark.parametrize(
    ("state", "from_position", "word"),
    [("skipped_budget", 200, "aborted_budget"), ("excluded_policy", 0, "aborted_policy"), ("excluded_policy", 100, "aborted_policy")],
)
def test_a_run_that_was_stopped_has_no_verdict(plan_of: PlanOf, pairs_of: PairsOf, state: str, from_position: int, word: str) -> None:
    plan = plan_of()
    pairs = [replace(pair, state=state) if pair.position >= from_position else pair for pair in pairs_of(plan, [0] * plan.n)]
    assert verdict(plan, pairs)["verdict"] == word


def test_excluded_traces_are_counted_and_carry_no_evidence(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    pairs = pairs_of(plan, losses(plan.n, 200))
    pairs = [replace(pair, state="excluded_content") if pair.quality[0] else pair for pair in pairs]
    found = verdict(plan, pairs)
    assert found["states"] == {"done": 100, "excluded_content": 200}
    assert {metric["worse"] for metric in found["metrics"]} == {"0.000000"}
    assert "excluded_other" in found["limitations"]


def test_a_recorded_baseline_that_moved_is_no_baseline(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    moved = losses(300, 40)
    for arm, word in (("recorded", "invalid_baseline"), ("replayed", "pass")):
        plan = plan_of(baseline_arm=arm, aa_size=300)
        pairs = [replace(pair, aa={"error": moved[pair.position]}, aa_equal="answer") for pair in pairs_of(plan, [0] * plan.n)]
        found = verdict(plan, pairs)
        assert found["verdict"] == word
        assert "baseline_drift" in found["limitations"]


def test_a_single_pair_changed_in_the_table_changes_the_document(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    pairs = pairs_of(plan, [0] * plan.n)
    before = verdict(plan, pairs)
    pairs[7] = replace(pairs[7], candidate_cost_pico=999_999_999)
    assert verdict(plan, pairs) != before


def test_a_plan_survives_storage_and_its_digest_moves_with_any_field(plan_of: PlanOf) -> None:
    plan = plan_of(params={"temperature": 0.2}, cost_ceiling_pico=10**15)
    again = ReplayPlan.parse(plan.document())
    assert again.digest == plan.digest
    assert replace(plan, alpha_final="0.05").digest != plan.digest
    assert replace(plan, sample=plan.sample[::-1]).digest != plan.digest


@pytest.mark.parametrize(("difference", "discordance", "word"), [(0.0, 0.02, "pass"), (-0.12, 0.14, "fail")])
def test_candidates_are_told_apart(plan_of: PlanOf, pairs_of: PairsOf, difference: float, discordance: float, word: str) -> None:
    plan = plan_of(n=900)
    rng = np.random.default_rng(4)
    words: list[Any] = []
    for _ in range(20):
        dice, up = rng.random(plan.n), (discordance + difference) / 2
        d = [1 if x < up else -1 if x < discordance else 0 for x in dice]
        words.append(verdict(plan, pairs_of(plan, d))["verdict"])
    assert words.count(word) >= 18
    assert words.count("pass" if word == "fail" else "fail") == 0


def test_variety_counts_a_call_once_however_often_it_was_drawn(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    """Forty calls, drawn again and again: the baseline words each answer anew, the candidate repeats itself."""
    plan = plan_of()
    again = [
        replace(pair, record_id=f"call-{pair.position % 40}", candidate_text=f"c{pair.position % 40}", equal="no")
        for pair in pairs_of(plan, [0] * 300)
    ]
    found = verdict(plan, again)
    assert found["variety"] == {"replies": 40, "baseline_distinct": 40, "candidate_distinct": 40, "status": "ok"}
    constant = [replace(pair, candidate_text="same") for pair in again]
    assert verdict(plan, constant)["variety"]["status"] == "fail"


def test_answers_that_are_equal_in_what_the_contract_compares_are_as_various(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    """The baseline gives a reason in its own words beside the severity that is compared; the candidate gives the severity alone."""
    plan = plan_of()
    pairs = [replace(pair, candidate_text=f"severity {pair.position % 4}") for pair in pairs_of(plan, [0] * 300)]
    found = verdict(plan, pairs)
    assert (found["verdict"], found["variety"]["status"]) == ("pass", "ok")
    unlike = [replace(pair, equal="no") for pair in pairs]
    assert verdict(plan, unlike)["decided_by"] == "variety"
