"""plan + pair table -> verdict: pass, fail or inconclusive, or why there is none.

Owns: the decision rule and the verdict document. Does not own: how pairs came about.
Invariants: recomputable from the two inputs alone, byte for byte. Only the longest finished prefix of the registered order counts, so the order in which
replies arrived changes nothing. Harm found in the prefix fails the candidate at the first block that shows it and nothing later is read.
Every critical metric must hold for a pass; an excluded trace has weight zero and stays counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from governor.ledger.canonical import canonical_json
from governor.shadow.comparison import EXCLUDED, FINAL_STATES, Pair
from governor.shadow.forecast import Needed, still_needed
from governor.shadow.measured import Measured, measure, text
from governor.shadow.plan import QUALITY, ReplayPlan
from governor.shadow.sentence import sentence
from governor.shadow.statistics import latency_ratio, savings, tango_interval, weighted_counts

SOFTWARE: Final = "governor.shadow/1"
DISTINCT_FROM: Final = 4  # a baseline with fewer different outputs says nothing about variety
AA_ALPHA: Final = 0.01
AA_LEAST: Final = 30
LEAST_USABLE: Final = "0.5"
MONTH_DAYS: Final = Decimal(30)
PICO: Final = Decimal(10**12)


def verdict(plan: ReplayPlan | Mapping[str, Any], pairs: Sequence[Pair | Mapping[str, Any]]) -> dict[str, Any]:
    """The verdict document (no floats). `pairs` may come in any order; positions that are missing or not final end the prefix."""
    plan = plan if isinstance(plan, ReplayPlan) else ReplayPlan.parse(plan)
    table = {pair.position: pair for pair in (row if isinstance(row, Pair) else Pair.parse(row) for row in pairs)}
    prefix = finished_prefix(plan, table)
    weights = [float(plan.sample[pair.position].weight) if pair.state == "done" else 0.0 for pair in prefix]
    measured = [measure(plan, metric, prefix, weights) for metric in plan.metrics]
    cut = min((found.harm_at for found in measured if found.metric.critical and found.harm_at is not None), default=None)
    if cut is not None:
        prefix, weights = prefix[:cut], weights[:cut]
        measured = [measure(plan, metric, prefix, weights) for metric in plan.metrics]
    complete = cut is None and len(prefix) == plan.n
    aa, drifted = baseline_check(plan, prefix)
    variety = distinct_outputs(prefix)
    word, decided_by = decide(
        plan, prefix, measured, complete=complete, harmed=cut is not None, drifted=bool(drifted), poor_variety=variety["status"] == "fail"
    )
    document = {
        "plan_digest": plan.digest,
        "verdict": word,
        "decided_by": decided_by,
        "n_planned": plan.n,
        "n_prefix": len(prefix),
        "n_pairs": sum(pair.state == "done" for pair in prefix),
        "n_missing": 0 if cut is not None else plan.n - len(prefix),
        "states": states(prefix),
        "distinct_calls": len({pair.record_id for pair in prefix if pair.state == "done"}),
        "clusters": len({plan.sample[pair.position].cluster or pair.record_id for pair in prefix if pair.state == "done"}),
        "metrics": [found.document(final=complete) for found in measured],
        "aa": aa,
        "variety": variety,
        "agreement": agreement(prefix, weights),
        "judge": judge_summary(plan, prefix, weights),
        "cost": cost_summary(plan, prefix, weights),
        "latency": latency_summary(plan, prefix),
        "still_needed": needed_summary(plan, measured, prefix, complete=complete) if word == "inconclusive" else None,
        "limitations": limitations(plan, prefix, drifted),
        "price_book": plan.price_book,
        "seed": plan.seed,
        "software": SOFTWARE,
    }
    document["sentence"] = sentence(plan, document)
    canonical_json(document)  # a float here is a defect, found before anything is signed
    return document


def rederive(plan_body: bytes, pairs_body: bytes) -> bytes:
    """The verdict file that the plan and the pair table (JSON lines) must give, byte for byte."""
    plan = ReplayPlan.parse(json.loads(plan_body))
    return canonical_json(verdict(plan, [json.loads(line) for line in pairs_body.splitlines() if line]))


def finished_prefix(plan: ReplayPlan, table: Mapping[int, Pair]) -> list[Pair]:
    prefix: list[Pair] = []
    while (
        len(prefix) < plan.n
        and (pair := table.get(len(prefix))) is not None
        and pair.state in FINAL_STATES
        and not pair.state.startswith("skipped")
    ):
        prefix.append(pair)
    if len(prefix) < plan.n and (stop := table.get(len(prefix))) is not None and stop.state == "skipped_budget":
        prefix.append(stop)  # the marker that says why the prefix ended; it carries no evidence
    return prefix


def decide(
    plan: ReplayPlan,
    prefix: Sequence[Pair],
    measured: Sequence[Measured],
    *,
    complete: bool,
    harmed: bool,
    drifted: bool,
    poor_variety: bool,
) -> tuple[str, str]:
    """(word, what decided it): the first line that holds."""
    done = sum(pair.state == "done" for pair in prefix)
    denied = sum(pair.state == "excluded_policy" for pair in prefix)
    out_of_budget = any(pair.state == "skipped_budget" for pair in prefix)
    usable = sum(pair.baseline_usable for pair in prefix if pair.state == "done")
    no_baseline = done >= min(AA_LEAST, plan.n) and usable < Decimal(LEAST_USABLE) * done
    mostly_denied = bool(denied) and (not done or denied > Decimal(plan.max_excluded_share) * len(prefix))
    critical = [found for found in measured if found.metric.critical and found.applies]
    holds = complete and bool(done) and bool(critical)
    ladder = (
        ((complete or out_of_budget) and mostly_denied, "aborted_policy", "excluded_policy"),
        (out_of_budget, "aborted_budget", "budget"),
        (no_baseline, "invalid_baseline", "unusable"),  # two arms that fail alike would otherwise look equal
        (drifted, "invalid_baseline", "aa"),
        (harmed, "fail", "harm_e_process"),
        (complete and poor_variety, "fail", "variety"),
        (holds and all(found.holds(final=False) for found in critical), "pass", "anytime"),
        (holds and all(found.holds(final=True) for found in critical), "pass", "final_test"),
        (complete, "inconclusive", "not_decided"),
    )
    return next(((word, by) for met, word, by in ladder if met), ("inconclusive", "not_finished"))


def states(prefix: Sequence[Pair]) -> dict[str, int]:
    names = sorted({pair.state for pair in prefix})
    return {name: sum(pair.state == name for pair in prefix) for name in names}


def baseline_check(plan: ReplayPlan, prefix: Sequence[Pair]) -> tuple[dict[str, Any], list[str]]:
    """A/A: production's recorded reply against the baseline's replay. Drift that is certain makes the recorded baseline unusable."""
    compared = [pair for pair in prefix if pair.state == "done" and pair.aa][: plan.aa_size]
    result: dict[str, Any] = {"n": len(compared), "metrics": [], "answers_equal": None}
    drifted: list[str] = []
    if not compared:
        return result, drifted
    alike = [pair.aa_equal == "answer" for pair in compared if pair.aa_equal]
    result["answers_equal"] = text(sum(alike) / len(alike)) if alike else None
    for name in sorted({name for pair in compared for name in pair.aa}):
        counts = weighted_counts([pair.aa.get(name, 0) for pair in compared], [1.0] * len(compared))
        interval = tango_interval(counts, AA_ALPHA)
        moved = len(compared) >= AA_LEAST and (interval.low > 0 or interval.high < 0)
        result["metrics"].append(
            {"name": name, "estimate": text(counts.difference), "ci99": [text(interval.low), text(interval.high)], "drift": moved}
        )
        if moved:
            drifted.append(name)
    # Replayed arms are compared with each other, so drift since recording is a caveat there and fatal only for a recorded baseline.
    return result, drifted if plan.baseline_arm == "recorded" else []


def distinct_outputs(prefix: Sequence[Pair]) -> dict[str, Any]:
    """A candidate that answers everything alike can satisfy every other guard."""
    seen = [pair for pair in prefix if pair.state == "done" and pair.baseline_text and pair.candidate_text]
    base, cand = len({pair.baseline_text for pair in seen}), len({pair.candidate_text for pair in seen})
    poor = len(seen) >= AA_LEAST and base >= DISTINCT_FROM and cand * 2 < base
    return {"replies": len(seen), "baseline_distinct": base, "candidate_distinct": cand, "status": "fail" if poor else "ok"}


def agreement(prefix: Sequence[Pair], weights: Sequence[float]) -> dict[str, Any]:
    """Share of usable pairs with equal canonical answers. Reported; it passes nothing by itself."""
    both = [(pair.equal == "answer", weight) for pair, weight in zip(prefix, weights, strict=True) if pair.state == "done" and pair.equal]
    total = sum(weight for _, weight in both)
    return {"n": len(both), "equal": text(sum(weight for same, weight in both if same) / total) if total else None}


def judge_summary(plan: ReplayPlan, prefix: Sequence[Pair], weights: Sequence[float]) -> dict[str, Any] | None:
    if plan.judge is None:
        return None
    seen = [(pair.judge, weight) for pair, weight in zip(prefix, weights, strict=True) if pair.judge is not None]
    counts = weighted_counts([int(value) for value, _ in seen], [weight for _, weight in seen])
    interval = tango_interval(counts)
    return {
        "model": plan.judge.model,
        "n": len(seen),
        "estimate": text(counts.difference),
        "ci95": [text(interval.low), text(interval.high)],
        "calibrated": plan.judge.calibrated,
        "same_family": plan.judge.provider in {plan.baseline.provider, plan.candidate.provider},
    }


def cost_summary(plan: ReplayPlan, prefix: Sequence[Pair], weights: Sequence[float]) -> dict[str, Any]:
    rows = [
        (pair.baseline_cost_pico, pair.candidate_cost_pico, weight)
        for pair, weight in zip(prefix, weights, strict=True)
        if pair.state == "done"
        and pair.baseline_us is not None
        and pair.baseline_cost_pico is not None
        and pair.candidate_cost_pico is not None
    ]
    found = savings([base for base, _, _ in rows], [cand for _, cand, _ in rows], [weight for _, _, weight in rows])
    spent = sum(pair.spend_pico for pair in prefix)
    summary: dict[str, Any] = {
        "replay_spend_pico": str(spent),
        "n": len(rows),
        "savings_rate": None,
        "ci95": None,
        "monthly_savings_usd": None,
        "monthly_ci95_usd": None,
    }
    if found is None:
        return summary
    monthly = Decimal(plan.population.cost_pico) / PICO * MONTH_DAYS / Decimal(max(plan.population.days, 1))

    def usd(rate: str) -> str:
        return format((monthly * Decimal(rate)).quantize(Decimal("0.01"), ROUND_HALF_EVEN), "f")

    rate, low, high = text(found.rate), text(found.interval.low), text(found.interval.high)
    return {
        **summary,
        "savings_rate": rate,
        "ci95": [low, high],
        "monthly_savings_usd": usd(rate),
        "monthly_ci95_usd": [usd(low), usd(high)],
    }


def latency_summary(plan: ReplayPlan, prefix: Sequence[Pair]) -> dict[str, Any]:
    """Conditional on success of both. Against recorded production it would compare two different days, so it is left out there."""
    rows = [(pair.baseline_us, pair.candidate_us) for pair in prefix if pair.state == "done" and pair.baseline_us and pair.candidate_us]
    base, cand = [int(left or 0) for left, _ in rows], [int(right or 0) for _, right in rows]
    live = plan.baseline_arm == "replayed"
    ratios = {f"p{int(share * 100)}_ratio": latency_ratio(base, cand, share) if live else None for share in (0.5, 0.95)}
    return {"n": len(rows), **{name: None if value is None else text(value) for name, value in ratios.items()}}


def needed_summary(plan: ReplayPlan, measured: Sequence[Measured], prefix: Sequence[Pair], *, complete: bool) -> dict[str, Any]:
    """Forecast of the slowest open metric; usd at what a pair has cost so far."""
    open_metrics = [found for found in measured if found.metric.critical and found.applies and not found.holds(final=complete)]
    forecasts: list[tuple[str, Needed]] = [
        (
            found.metric.name,
            still_needed(
                found.counts, found.margin, plan.harm_level, 1 / float(plan.alpha_anytime), plan.n, f"{plan.seed}|{found.metric.name}"
            ),
        )
        for found in open_metrics
    ]
    done = [pair for pair in prefix if pair.state == "done"]
    each = sum(pair.spend_pico for pair in done) // len(done) if done else None

    def worst(values: list[int | None]) -> int | None:
        return None if not values or any(value is None for value in values) else max(value for value in values if value is not None)

    p50 = worst([needed.p50 for _, needed in forecasts])
    return {
        "metrics": [name for name, _ in forecasts],
        "p10": worst([needed.p10 for _, needed in forecasts]),
        "p50": p50,
        "p90": worst([needed.p90 for _, needed in forecasts]),
        "usd": None if p50 is None or each is None else format((Decimal(p50 * each) / PICO).quantize(Decimal("0.01")), "f"),
        "labels_would_help": any(found.metric.name == QUALITY and found.unlabelled for found in open_metrics),
    }


def limitations(plan: ReplayPlan, prefix: Sequence[Pair], drifted: Sequence[str]) -> list[str]:
    """Codes that docs/shadow.md explains; a reader must see them beside the word."""
    done = [pair for pair in prefix if pair.state == "done"]
    aa, _ = baseline_check(plan, prefix)
    found = {
        "teacher_forced": True,
        "content_not_judged": plan.judge is None and any(pair.equal == "no" for pair in done),
        "judge_uncalibrated": plan.judge is not None and not plan.judge.calibrated,
        "judge_self_preference_risk": plan.judge is not None and plan.judge.provider in {plan.baseline.provider, plan.candidate.provider},
        "no_aa": not aa["n"],
        "baseline_drift": bool(drifted) or any(metric["drift"] for metric in aa["metrics"]),
        "latency_not_measured": plan.baseline_arm == "recorded",
        "excluded_policy": any(pair.state == "excluded_policy" for pair in prefix),
        "excluded_other": any(pair.state in EXCLUDED - {"excluded_policy"} for pair in prefix),
        "unpriced_replies": any(pair.candidate_cost_pico is None or pair.baseline_cost_pico is None for pair in done),
        "small_population": plan.population.calls < plan.n,
        "clustered_traces": plan.population.clusters < plan.population.calls,
        "short_window": plan.population.days < 7,  # noqa: PLR2004 - a week has every hour of the week
    }
    return [name for name, holds in found.items() if holds]
