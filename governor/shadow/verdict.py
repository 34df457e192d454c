"""plan + pair table -> verdict: pass, fail or inconclusive, or why there is none.

Owns: the decision rule and the verdict document. Does not own: how pairs came about.
Invariants: recomputable from the two inputs alone, byte for byte. Only the longest finished prefix of the registered order counts, so the order in which
replies arrived changes nothing. Harm found in the prefix fails the candidate at the first block that shows it and nothing later is read.
Every critical metric must hold for a pass; an excluded trace has weight zero and stays counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from governor.ledger.canonical import canonical_json
from governor.shadow.baseline import AA_LEAST, baseline_check, repeat_check
from governor.shadow.comparison import FINAL_STATES, Pair
from governor.shadow.golden import GoldenLine
from governor.shadow.golden_measured import Golden, measure_golden
from governor.shadow.measured import Measured, measure
from governor.shadow.opinions import judge_summary, people_summary
from governor.shadow.plan import ReplayPlan
from governor.shadow.reported import agreement, cost_summary, latency_summary, limitations, needed_summary, saved, segment_lines
from governor.shadow.scope import spoken_for
from governor.shadow.sentence import sentence
from governor.shadow.software import SOFTWARE
from governor.shadow.steps import step_summary
from governor.shadow.units import shared

DISTINCT_FROM: Final = 4  # a baseline with fewer different outputs says nothing about variety
LEAST_USABLE: Final = "0.5"


def verdict(
    plan: ReplayPlan | Mapping[str, Any],
    pairs: Sequence[Pair | Mapping[str, Any]],
    golden: Sequence[GoldenLine | Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The verdict document (no floats). `pairs` may come in any order; positions that are missing or not final end the prefix.
    golden: the lines of the plan's golden set, which no sampled pair is mixed with.
    """
    plan = plan if isinstance(plan, ReplayPlan) else ReplayPlan.parse(plan)
    table = {pair.position: pair for pair in (row if isinstance(row, Pair) else Pair.parse(row) for row in pairs)}
    prefix = finished_prefix(plan, table)
    drawn = [float(plan.sample[pair.position].weight) if pair.state == "done" else 0.0 for pair in prefix]
    weights = shared(plan, prefix, drawn)  # a trace counts once in a test; its money is that of all its steps
    measured = [measure(plan, metric, prefix, weights) for metric in plan.metrics]
    cut = min((found.harm_at for found in measured if found.metric.critical and found.harm_at is not None), default=None)
    if cut is not None:
        prefix, weights, drawn = prefix[:cut], weights[:cut], drawn[:cut]
        measured = [measure(plan, metric, prefix, weights) for metric in plan.metrics]
    complete = cut is None and len(prefix) == plan.n
    aa, drifted = baseline_check(plan, prefix)
    repeat, unsteady = repeat_check(plan, prefix)
    variety = distinct_outputs(prefix)
    known = measure_golden(plan, [line if isinstance(line, GoldenLine) else GoldenLine.parse(line) for line in golden])
    word, decided_by = decide(
        plan,
        prefix,
        measured,
        complete=complete,
        harmed=cut is not None,
        drifted=bool(drifted or unsteady),
        poor_variety=variety["status"] == "fail",
        golden=known,
    )
    savings, priced = saved(plan, prefix, drawn)
    few = savings is not None and savings.few
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
        "metrics": [
            *({**found.document(final=complete), "aa": own_noise(found.metric.name, repeat, aa)} for found in measured),
            *([known.document(final=complete)] if known is not None else []),
        ],
        "aa": aa,
        "repeat": repeat,
        "variety": variety,
        "agreement": agreement(plan, prefix, weights),
        "segments": segment_lines(plan, prefix, weights),
        "judge": judge_summary(plan, prefix, weights),
        "people": people_summary(plan, prefix, measured),
        "cost": cost_summary(plan, prefix, savings, priced),
        "latency": latency_summary(plan, prefix),
        "still_needed": needed_summary(plan, measured, prefix, complete=complete) if word == "inconclusive" else None,
        "limitations": limitations(
            plan, prefix, compared=bool(aa["n"] or repeat["n"]), drifted=any(one["drift"] for one in aa["metrics"]), few=few
        ),
        "price_book": plan.price_book,
        "seed": plan.seed,
        "software": SOFTWARE,
    }
    extra = {
        "representativeness": spoken_for(plan.population.coverage, plan.sample, prefix),
        "steps": step_summary(plan, prefix),
        "translation": dict(plan.translation) or None,
        "golden": known.summary if known is not None else None,
    }
    document |= {name: part for name, part in extra.items() if part is not None}  # a plan that did not ask for them keeps its verdict
    document["sentence"] = sentence(plan, document)
    canonical_json(document)  # a float here is a defect, found before anything is signed
    return document


def rederive(plan_body: bytes, pairs_body: bytes, golden_body: bytes = b"") -> bytes:
    """The verdict file that the plan, the pair table and the golden lines (JSON lines) must give, byte for byte."""
    plan = ReplayPlan.parse(json.loads(plan_body))
    return canonical_json(verdict(plan, *([json.loads(line) for line in body.splitlines() if line] for body in (pairs_body, golden_body))))


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
    golden: Golden | None = None,
) -> tuple[str, str]:
    """(word, what decided it): the first line that holds."""
    done = sum(pair.state == "done" for pair in prefix)
    denied = sum(pair.state == "excluded_policy" for pair in prefix)
    out_of_budget = any(pair.state == "skipped_budget" for pair in prefix)
    usable = sum(pair.baseline_usable for pair in prefix if pair.state == "done")
    no_baseline = done >= min(AA_LEAST, plan.n) and usable < Decimal(LEAST_USABLE) * done
    mostly_denied = bool(denied) and (not done or denied > Decimal(plan.max_excluded_share) * len(prefix))
    critical = [found for found in measured if found.metric.critical and found.applies]
    gate = golden if golden is not None and golden.critical else None
    holds = complete and bool(done) and bool(critical) and (gate is None or gate.holds)
    out_of_budget = out_of_budget or (gate is not None and gate.out_of_budget)
    ladder = (
        ((complete or out_of_budget) and mostly_denied, "aborted_policy", "excluded_policy"),
        (out_of_budget, "aborted_budget", "budget"),
        (no_baseline, "invalid_baseline", "unusable"),  # two arms that fail alike would otherwise look equal
        (drifted, "invalid_baseline", "aa"),
        (harmed, "fail", "harm_e_process"),
        (complete and any(found.harmed for found in critical), "fail", "labels"),
        (complete and poor_variety, "fail", "variety"),
        (complete and gate is not None and gate.harmed, "fail", "golden"),
        (holds and all(found.holds(final=False) for found in critical), "pass", "anytime"),
        (holds and all(found.holds(final=True) for found in critical), "pass", "final_test"),
        (complete, "inconclusive", "not_decided"),
    )
    return next(((word, by) for met, word, by in ladder if met), ("inconclusive", "not_finished"))


def states(prefix: Sequence[Pair]) -> dict[str, int]:
    names = sorted({pair.state for pair in prefix})
    return {name: sum(pair.state == name for pair in prefix) for name in names}


def own_noise(name: str, repeat: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the baseline does to itself on this measure; against its own recording where it was not asked twice."""
    for source, found in (("repeat", repeat), ("recorded", recorded)):
        for line in found["metrics"]:
            if line["name"] == name:
                return {"against": source, "n": found["n"], "estimate": line["estimate"], "ci95": line["ci95"]}
    return None


def distinct_outputs(prefix: Sequence[Pair]) -> dict[str, Any]:
    """A candidate that answers everything alike can satisfy every other guard. A call that was drawn twice is asked twice, and a baseline that words each
    answer anew is no reason to fail one that repeats itself: it counts once. An answer that is equal in what the contract compares is as good as the baseline's.
    """
    first = {pair.record_id: pair for pair in reversed(prefix) if pair.state == "done" and pair.baseline_text and pair.candidate_text}
    seen = list(first.values())
    base = len({pair.baseline_text for pair in seen})
    cand = len({pair.baseline_text if pair.equal == "answer" else pair.candidate_text for pair in seen})
    poor = len(seen) >= AA_LEAST and base >= DISTINCT_FROM and cand * 2 < base
    return {"replies": len(seen), "baseline_distinct": base, "candidate_distinct": cand, "status": "fail" if poor else "ok"}
