"""What a verdict reports beside its decision: agreement, judge, money, time, segments, how much more is needed, and the limits of the evidence.

Owns: these parts of the document. Does not own: the decision (verdict.py); nothing here passes or fails a candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from governor.prices.price import PICO
from governor.shadow.comparison import EXCLUDED, Pair
from governor.shadow.corrected import complete_part
from governor.shadow.forecast import Needed, still_needed
from governor.shadow.judging import discarded
from governor.shadow.measured import Measured, clustered, counted, number, readings, text, traces
from governor.shadow.money import Savings, savings
from governor.shadow.opinions import labels_needed
from governor.shadow.plan import QUALITY, ReplayPlan
from governor.shadow.statistics import (
    Counts,
    holm,
    latency_ratio,
    noninferiority_p,
    paired_ratio,
    tango_interval,
)
from governor.shadow.units import draw_of

NOT_BY_MORE: Final = Needed(None, None, None)  # answers nobody read keep it open: its worst reading never passes and its best never fails
MONTH_DAYS: Final = Decimal(30)
LEAST_SUCCESS: Final = 0.5  # below this share of pairs in which both answered, times of the few that did say nothing


def agreement(plan: ReplayPlan, prefix: Sequence[Pair], weights: Sequence[float]) -> dict[str, Any]:
    """Share of usable pairs with equal canonical answers, and the certificate for deterministic consumers: a candidate cannot lose more often than it
    answers differently, so a certain bound on that within the margin needs no label. The quality promise reads the same pairs; this names the bound.
    """
    both = [(pair.equal == "answer", weight) for pair, weight in zip(prefix, weights, strict=True) if pair.state == "done" and pair.equal]
    total = sum(weight for _, weight in both)
    loses = [min(pair.quality[0], 0) for pair in prefix]
    counts = counted(loses, weights, prefix, traces(plan, prefix), float(plan.alpha_final))
    margin = next((metric.margin for metric in plan.metrics if metric.name == QUALITY), None)
    complete = len(prefix) == plan.n
    proven = bool(complete and margin and counts.n and noninferiority_p(counts, float(margin)) <= float(plan.alpha_final))
    return {
        "n": len(both),
        "equal": text(sum(weight for same, weight in both if same) / total) if total else None,
        "disagreement": text(-counts.difference) if counts.n else None,
        "disagreement_upper": text(-tango_interval(counts, 2 * float(plan.alpha_final)).low) if counts.n else None,
        "margin": margin,
        "certified": proven,
    }


def saved(plan: ReplayPlan, prefix: Sequence[Pair], weights: Sequence[float]) -> tuple[Savings | None, int]:
    """Over the pairs whose replies were both paid for, and their number."""
    rows = [
        (pair.baseline_cost_pico, pair.candidate_cost_pico, weight, draw)
        for pair, weight, draw in zip(prefix, weights, draw_of(plan, len(prefix)), strict=True)
        if pair.state == "done"
        and pair.baseline_us is not None
        and pair.baseline_cost_pico is not None
        and pair.candidate_cost_pico is not None
    ]
    columns = [base for base, *_ in rows], [cand for _, cand, *_ in rows], [weight for *_, weight, _ in rows], [draw for *_, draw in rows]
    return savings(*columns), len(rows)


def cost_summary(plan: ReplayPlan, prefix: Sequence[Pair], found: Savings | None, n: int) -> dict[str, Any]:
    spent = sum(pair.spend_pico for pair in prefix)
    summary: dict[str, Any] = {
        "replay_spend_pico": str(spent),
        "n": n,
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
    """Conditional on success of both, and only between replies of this run: recorded production was another day. The A/A ratio is the noise."""
    done = [pair for pair in prefix if pair.state == "done"]
    both = [(pair, pair.baseline_us, pair.candidate_us) for pair in done]
    rows = [(left, right) for _, left, right in both if left and right]
    base, cand = [left for left, _ in rows], [right for _, right in rows]
    told = plan.baseline_arm == "replayed" and len(rows) >= LEAST_SUCCESS * len(done)
    ratios = {f"p{int(share * 100)}_ratio": latency_ratio(base, cand, share) if told else None for share in (0.5, 0.95)}
    first = [(pair, pair.baseline_ttft_us, pair.candidate_ttft_us) for pair in done if pair.baseline_ttft_us and pair.candidate_ttft_us]
    streamed = told and len(first) >= LEAST_SUCCESS * len(done)
    return {
        "n": len(rows),
        **{name: None if value is None else text(value) for name, value in ratios.items()},
        "paired": ratio(plan, both) if told else None,
        "aa_paired": ratio(plan, [(pair, pair.baseline_us, pair.repeat_us) for pair in done]),
        **({"ttft_paired": ratio(plan, first) if streamed else None} if plan.stream else {}),
    }


def ratio(plan: ReplayPlan, times: Sequence[tuple[Pair, int | None, int | None]]) -> dict[str, Any] | None:
    """Of the pairs that have both times."""
    known = [(pair, left, right) for pair, left, right in times if left and right]
    pairs = [pair for pair, _, _ in known]
    names = traces(plan, pairs)
    shared_traces = names if clustered(pairs, names) else ()
    found = paired_ratio([left for _, left, _ in known], [right for _, _, right in known], shared_traces)
    if found is None:
        return None
    return {"median": text(found.median), "ci95": [text(found.interval.low), text(found.interval.high)], "n": found.n}


def segment_lines(plan: ReplayPlan, prefix: Sequence[Pair], weights: Sequence[float]) -> list[dict[str, Any]]:
    """Quality by cost quartile, p adjusted after Holm, so that looking at four segments finds no false one. They decide nothing."""
    metric = next((one for one in plan.metrics if one.name == QUALITY), None)
    if metric is None:
        return []
    worst, best = readings(metric, prefix)
    lines: list[tuple[int, int, Counts, Counts]] = []
    for stratum in sorted({draw.stratum for draw in plan.sample}):
        at = [i for i, pair in enumerate(prefix) if pair.state == "done" and plan.sample[pair.position].stratum == stratum]
        mine, pairs = [weights[i] for i in at], [prefix[i] for i in at]
        names = traces(plan, pairs)
        low, high = (counted([side[i] for i in at], mine, pairs, names, float(plan.alpha_final)) for side in (worst, best))
        lines.append((stratum, len(at), low, high))
    adjusted = holm([noninferiority_p(counts, float(metric.margin)) for _, _, counts, _ in lines])
    found = []
    for (stratum, n, counts, kind), p in zip(lines, adjusted, strict=True):
        interval = tango_interval(counts)
        harmed = kind.n and tango_interval(kind).high < -float(metric.margin)
        found.append(
            {
                "name": f"cost_quartile_{stratum + 1}",
                "n": n,
                "estimate": text(counts.difference),
                "ci95": [text(interval.low), text(interval.high)],
                "p_holm": number(p),
                "status": "fail" if harmed else "pass" if p <= float(plan.alpha_final) else "inconclusive",
            }
        )
    return found


def needed_summary(plan: ReplayPlan, measured: Sequence[Measured], prefix: Sequence[Pair], *, complete: bool) -> dict[str, Any]:
    """Forecast of the slowest open metric; usd at what a pair has cost so far."""
    open_metrics = [found for found in measured if found.metric.critical and found.applies and not found.holds(final=complete)]
    forecasts: list[tuple[str, Needed]] = [
        (
            found.metric.name,
            NOT_BY_MORE
            if found.labelled is not None or (found.unlabelled and found.counts.difference <= -found.margin)
            else still_needed(
                found.counts, found.margin, plan.harm_level, 1 / float(plan.alpha_anytime), plan.n, f"{plan.seed}|{found.metric.name}"
            ),
        )
        for found in open_metrics
    ]
    done = [pair for pair in prefix if pair.state == "done"]
    each = sum(pair.spend_pico for pair in done) // len(done) if done else None

    def worst(values: list[int | None]) -> int | None:
        return None if not values or any(value is None for value in values) else max(value for value in values if value is not None)

    def usd(pairs: int | None) -> str | None:
        return None if pairs is None or each is None else format((Decimal(pairs * each) / PICO).quantize(Decimal("0.01")), "f")

    p10, p50, p90 = (worst([getattr(needed, name) for _, needed in forecasts]) for name in ("p10", "p50", "p90"))
    return {
        "metrics": [name for name, _ in forecasts],
        "p10": p10,
        "p50": p50,
        "p90": p90,
        "usd": usd(p50),
        "usd_p10": usd(p10),
        "usd_p90": usd(p90),
        "labels_would_help": any(found.metric.name == QUALITY and found.unlabelled and found.labelled is None for found in open_metrics),
        "labels": labels_needed(plan, prefix) if any(found.metric.name == QUALITY for found in open_metrics) else None,
    }


def limitations(plan: ReplayPlan, prefix: Sequence[Pair], *, compared: bool, drifted: bool, few: bool) -> list[str]:
    """Codes that docs/shadow.md explains; a reader must see them beside the word."""
    done = [pair for pair in prefix if pair.state == "done"]
    differ = [pair.judge for pair in done if pair.equal == "no"]
    silent = plan.judge is not None and 2 * differ.count(None) > len(differ)
    read = complete_part(plan.seed, prefix, plan.labels) is not None  # a random part of them, by people
    found = {
        "teacher_forced": True,
        "content_not_judged": plan.judge is None and not read and any(pair.equal == "no" and not pair.labels for pair in done),
        "judge_uncalibrated": plan.judge is not None and not plan.judge.calibrated and not read,
        "judge_silent": silent,
        "judge_discarded": plan.judge is not None and not silent and discarded([pair.canary for pair in prefix if pair.canary is not None]),
        "judge_self_preference_risk": plan.judge is not None and plan.judge.provider in {plan.baseline.provider, plan.candidate.provider},
        "no_aa": not compared,
        "baseline_drift": drifted,
        "latency_not_measured": plan.baseline_arm == "recorded",
        "excluded_policy": any(pair.state == "excluded_policy" for pair in prefix),
        "excluded_other": any(pair.state in EXCLUDED - {"excluded_policy"} for pair in prefix),
        "unpriced_replies": any(pair.candidate_cost_pico is None or pair.baseline_cost_pico is None for pair in done),
        "savings_rest_on_few": few,
        "params_dropped": any(line["action"] == "dropped" for lines in plan.translation.values() for line in lines),
        "redacted": plan.redact,
        "small_population": plan.population.calls < plan.n,
        "clustered_traces": plan.population.clusters < plan.population.calls,
        "short_window": plan.population.days < 7,  # noqa: PLR2004 - a week has every hour of the week
    }
    return [name for name, holds in found.items() if holds]
