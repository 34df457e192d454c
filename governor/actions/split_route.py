"""`change split`: which part of a workflow's traffic the candidate could take, from the pairs of a finished shadow run. A recommendation; nothing is written.

Owns: pairs and what is known of their calls, which pairs choose and which confirm, the document. Does not own: the statistics (shadow/split.py).
Invariants: reads only; the same evidence gives the same document; without another change to confirm on, the seed of the plan decided before any
reply which half of the traces chooses; with one, none of the traces that chose may confirm.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from governor.actions.assess import find_change
from governor.actions.context import Context
from governor.actions.evidence_files import evidence_files
from governor.errors import Invalid, MissingEvidence
from governor.prices.price import PICO
from governor.shadow.comparison import Pair
from governor.shadow.measured import number, text
from governor.shadow.plan import QUALITY, ReplayPlan
from governor.shadow.predicate import DEFAULT, LENGTH, check_fields, condition, edges_of, rego, segment_of, useful
from governor.shadow.reported import MONTH_DAYS
from governor.shadow.split import ALPHA, Confirmed, Score, Segment, Trial, chooses, least_fresh, recommended, split, trials
from governor.shadow.statistics import pairs_needed
from governor.store.lake_facts import key_expression

SHOWN_SEGMENTS: Final = 60
CAUTIONS: Final = {
    "golden_lost": "The candidate lost the golden set, which was asked of the whole route and is no part of this split.",
    "golden_open": "The golden set, which was asked of the whole route and is no part of this split, is not decided.",
    "variety": "The candidate's answers hardly differ from one another, which no part of the traffic makes better.",
}


def split_route(ctx: Context, change_id: str, *, by: Sequence[str] = (), confirm_on: str = "") -> dict[str, Any]:
    """{"change","status","fields","choosing","fresh","frontier","recommended","segments","predicate","rego","sentence"}.

    by: fields to cut by, coarse to fine; confirm_on: a later change of the same routes whose pairs confirm. Raises MissingEvidence without a finished run.
    """
    plan, pairs, verdict = evidence_of(ctx, change_id)
    names = check_fields(by) if by else ()
    if confirm_on and confirm_on.strip() != change_id.strip():
        other, fresh_pairs, later = evidence_of(ctx, confirm_on)
        verdicts = [verdict, later]
        refuse_other_routes(plan, other)
        seen = {trace_of(plan, pair) for pair in pairs}
        choosing_pairs, fresh_pairs = pairs, [pair for pair in fresh_pairs if trace_of(other, pair) not in seen]
    else:
        other, verdicts = plan, [verdict]
        choosing_pairs = [pair for pair in pairs if chooses(plan.seed, trace_of(plan, pair))]
        fresh_pairs = [pair for pair in pairs if not chooses(plan.seed, trace_of(plan, pair))]
    asked = names or DEFAULT
    calls = features(ctx, [pair.record_id for pair in (*choosing_pairs, *fresh_pairs)], asked)
    mine = [calls[pair.record_id] for pair in choosing_pairs if pair.record_id in calls]
    names = names or useful(mine, asked)
    edges = edges_of([call[LENGTH] for call in mine if call.get(LENGTH) is not None]) if LENGTH in names else ()
    segments = {record: segment_of(call, names, edges) for record, call in calls.items()}
    choosing, fresh = trials(plan, choosing_pairs, segments), trials(other, fresh_pairs, segments)
    margins = {metric.name: float(metric.margin) for metric in other.metrics if metric.critical}
    if QUALITY not in margins:
        raise Invalid(f"the plan of {change_id} promises nothing about quality, so no part of the traffic can be confirmed")
    scored, frontier = split(choosing, fresh, margins, ALPHA)
    return document(plan, change_id, confirm_on, names, choosing, fresh, scored, frontier, margins, ALPHA, caution_of(verdicts))


def caution_of(verdicts: Sequence[dict[str, Any]]) -> str:
    """Why a part that holds on sampled calls is no go all the same: "golden_lost", "golden_open", "variety" or nothing. What the split cannot test stands."""
    golden = {one["status"] for found in verdicts for one in found["metrics"] if one["kind"] == "golden"}
    held = ("golden_lost", "fail" in golden), ("variety", any(found["decided_by"] == "variety" for found in verdicts))
    return next((name for name, holds in (*held, ("golden_open", "inconclusive" in golden)) if holds), "")


def evidence_of(ctx: Context, change_id: str) -> tuple[ReplayPlan, list[Pair], dict[str, Any]]:
    """Plan, pairs and verdict of the newest finished run."""
    with ctx.rows.session() as session:
        change = find_change(session, ctx.org, change_id)
        files = {item.name: item.body for item in evidence_files(session, ctx.org, change.id)}
    if "pairs.jsonl" not in files:
        raise MissingEvidence(f"{change_id} has no finished shadow run", hint=f"`governor change shadow {change_id} --wait` makes one")
    pairs = [Pair.parse(json.loads(line)) for line in files["pairs.jsonl"].splitlines() if line]
    return ReplayPlan.parse(json.loads(files["plan.json"])), pairs, json.loads(files["verdict.json"])


def refuse_other_routes(plan: ReplayPlan, other: ReplayPlan) -> None:
    for name in ("workflow_id", "baseline", "candidate"):
        if getattr(plan, name) != getattr(other, name):
            raise Invalid(f"the two changes differ in {name.replace('_', ' ')}, so the one cannot confirm the other")


def trace_of(plan: ReplayPlan, pair: Pair) -> str:
    return plan.sample[pair.position].cluster or pair.record_id


def features(ctx: Context, record_ids: Iterable[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What each call stated before it was made."""
    ids = pa.table({"record_id": pa.array(sorted(set(record_ids)), pa.string())})
    chosen = "".join(f', {LENGTH if name == LENGTH else key_expression(name)} AS "f{at}"' for at, name in enumerate(names))
    sql = f"SELECT record_id{chosen} FROM {{calls}} AS c JOIN ids USING (record_id)"  # noqa: S608 - names are of a fixed list or quoted literals
    rows = ctx.lake.query(sql, {}, ids=ids).to_pylist()
    return {row["record_id"]: {name: row[f"f{at}"] for at, name in enumerate(names)} for row in rows}


def document(
    plan: ReplayPlan,
    change_id: str,
    confirm_on: str,
    names: Sequence[str],
    choosing: Sequence[Trial],
    fresh: Sequence[Trial],
    scored: Sequence[Score],
    frontier: Sequence[Confirmed],
    margins: dict[str, float],
    alpha: float,
    caution: str,
) -> dict[str, Any]:
    best = recommended(frontier)
    status = "recommended" if best else "nothing_fits" if not any(one.chosen.fits for one in frontier) else "not_confirmed"
    found = condition(plan.workflow_id, names, best.chosen.segments) if best else None
    monthly = Decimal(plan.population.cost_pico) / PICO * MONTH_DAYS / Decimal(max(plan.population.days, 1))
    lines = [point(one, monthly) for one in frontier]
    return {
        "change": change_id,
        "workflow": plan.workflow_id,
        "candidate": f"{plan.candidate.provider}/{plan.candidate.model}",
        "status": status,
        "caution": caution if best else "",
        "sentence": sentence(plan, best, fresh, monthly, status, least_fresh(margins, alpha), caution),
        "fields": list(names),
        "margin": text(margins[QUALITY]),
        "alpha": text(alpha),
        "choosing": {"change": change_id, "pairs": len(choosing)},
        "fresh": {"change": confirm_on or change_id, "pairs": len(fresh), "needs": least_fresh(margins, alpha)},
        "frontier": lines,
        "recommended": lines[frontier.index(best)] if best else None,
        "still_needed": still_needed(frontier, margins, alpha),
        "segments": [segment_line(one, best) for one in scored[:SHOWN_SEGMENTS]],
        "segments_total": len(scored),
        "predicate": found,
        "rego": "".join(f"# {CAUTIONS[name]}\n" for name in [caution] if name) + rego(change_id, found) if found else None,
    }


def point(one: Confirmed, monthly: Decimal) -> dict[str, Any]:
    saved = one.savings
    return {
        "segments": len(one.chosen.segments),
        "traffic_share": text(one.share),
        "savings_rate": text(saved.rate) if saved else None,
        "savings_ci95": [text(saved.interval.low), text(saved.interval.high)] if saved else None,
        "monthly_savings_usd": usd(monthly, saved.rate) if saved else None,
        "quality": text(one.quality),
        "quality_ci95": [text(one.interval.low), text(one.interval.high)],
        "predicted": text(one.chosen.predicted),
        "predicted_worst": text(-one.chosen.bound),
        "p": number(one.p),
        "decided_by": one.slowest,
        "status": one.status,
    }


def usd(monthly: Decimal, rate: float) -> str:
    return format((monthly * Decimal(text(rate))).quantize(Decimal("0.01")), "f")


def still_needed(frontier: Sequence[Confirmed], margins: dict[str, float], alpha: float) -> int | None:
    """Fresh pairs that would confirm the first set that did not hold in four of five runs, if it is as good as it looked when chosen and now together."""
    open_one = next((one for one in frontier if one.status == "not_confirmed"), None)
    if open_one is None or not open_one.n:
        return None
    likely = min((open_one.quality + open_one.chosen.predicted) / 2, 0.0)
    margin = margins[QUALITY]
    if likely + margin <= 0:
        return None
    return max(pairs_needed(margin, open_one.counts.discordance, likely, alpha=alpha), least_fresh(margins, alpha))


def segment_line(one: Score, best: Confirmed | None) -> dict[str, Any]:
    return {
        "segment": list(one.segment),
        "n": one.n,
        "traffic_share": text(one.share),
        "raw": text(one.raw),
        "shrunk": text(one.mean),
        "saves": one.saves,
        "moves": best is not None and one.segment in set[Segment](best.chosen.segments),
    }


def sentence(
    plan: ReplayPlan, best: Confirmed | None, fresh: Sequence[Trial], monthly: Decimal, status: str, least: int, caution: str = ""
) -> str:
    """A part that holds reads as something to do only where nothing speaks against it."""
    name = f"{plan.candidate.provider}/{plan.candidate.model}"
    if best is not None:
        money = (
            f", which saves {best.savings.rate * 100:.0f} % of the cost (about ${usd(monthly, best.savings.rate)} a month)"
            if best.savings
            else ""
        )
        shown = (
            f"on {len(fresh):,} fresh pairs the whole route changed by {best.quality * 100:+.1f} points (95 % from"
            f" {best.interval.low * 100:+.1f}) and kept every promise made of sampled calls"
        )
        if caution:
            return f"Do not move a part yet: {CAUTIONS[caution]} By sampled calls alone {best.share * 100:.0f} % of {plan.workflow_id} would hold: {shown}."
        also = " The golden set, which it kept, was asked of the whole route and is no part of this." if plan.golden else ""
        return f"{name} can take {best.share * 100:.0f} % of {plan.workflow_id}{money}: {shown}.{also}"
    if status == "nothing_fits":
        return f"No part of {plan.workflow_id} looks safe enough to move to {name} with these fields."
    if len(fresh) < least:
        return f"{len(fresh):,} fresh pairs cannot confirm any part of the traffic; {least:,} are the least."
    return f"A part of {plan.workflow_id} looked movable to {name}, and {len(fresh):,} fresh pairs do not confirm it."
