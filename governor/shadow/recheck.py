"""An approved route asked again: the prompts of its approved evidence, the answer then against two answers now.

Owns: one line per prompt, what a check says. Does not own: asking (actions/revalidate.py). Invariants: nothing passes here: where no change is seen the
word is `no_change_seen`, with what could have been seen; a model that did not change gives the answer of then and the two of now one distribution, so
answers that differ from then more often than from each other are a change of the model under its name; all tests of a check share ALPHA.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from governor.shadow.comparison import differences, quality
from governor.shadow.guards import Facts
from governor.shadow.measured import text
from governor.shadow.plan import QUALITY, ReplayPlan
from governor.shadow.statistics import Counts, Interval, tango_interval

ALPHA: Final = 0.01  # a check comes every few weeks, for every route: false alarms cost attention
GOLDEN: Final = "golden"
NAMED: Final = 50  # cases named in a result
LEAST: Final = 20  # prompts below which a check says nothing
SILENT: Final = 10  # of so many prompts one is answered at least, else the endpoint is away and not the model another one


@dataclass(frozen=True)
class Line:
    """One prompt. d: guard -> now against then, + when better; then_differs, now_differs: is the first answer of now unlike that of then, unlike the second of now."""

    position: int
    record_id: str
    state: str  # done | excluded_policy | excluded_content | skipped_budget
    d: Mapping[str, int] = field(default_factory=dict)
    then_differs: bool | None = None
    now_differs: bool | None = None
    served_then: str = ""
    served_now: str = ""
    cost_then_pico: int | None = None
    cost_now_pico: int | None = None
    right: bool | None = None  # of a golden case: is the answer of now what is expected?

    def document(self) -> dict[str, Any]:
        money = {name: None if (value := getattr(self, name)) is None else str(value) for name in ("cost_then_pico", "cost_now_pico")}
        return {**self.__dict__, "d": dict(self.d), **money}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Line:
        money = {name: None if document[name] is None else int(document[name]) for name in ("cost_then_pico", "cost_now_pico")}
        return cls(**{**document, **money})


def chosen(plan: ReplayPlan, positions: Sequence[int], seed: str, size: int) -> list[int]:
    """Which of the evidence's positions are asked, in which order: another choice every time; a call that was drawn twice is asked once."""
    ranked = sorted(positions, key=lambda at: hashlib.sha256(f"{seed}|recheck|{at}".encode()).digest())
    first = {plan.sample[at].record_id: at for at in reversed(ranked)}
    return [at for at in ranked if first[plan.sample[at].record_id] == at][:size]


def line_of(position: int, record_id: str, then: Facts, now: Facts, again: Facts, costs: tuple[int | None, int | None]) -> Line:
    (known, best), equal = quality(then, now)
    d = differences(then, now)
    if known == best:
        d[QUALITY] = known  # a broken answer where there was a good one; answers that merely differ are not known to be worse
    return Line(
        position,
        record_id,
        "done",
        d,
        (equal == "no") if equal else None,
        (then_equal == "no") if (then_equal := quality(now, again)[1]) else None,
        then.response_model,
        now.response_model,
        *costs,
    )


def result(plan: ReplayPlan, lines: Sequence[Line]) -> dict[str, Any]:
    """{"verdict": broken | drifted | no_change_seen | inconclusive | aborted_budget | aborted_policy, "metrics", "answers", "served", ...} without floats."""
    lines, cases = ([line for line in lines if (line.position < plan.n) == sampled] for sampled in (True, False))
    done = [line for line in lines if line.state == "done"]
    critical = [metric for metric in plan.metrics if metric.critical and any(metric.name in line.d for line in done)]
    gate = plan.golden is not None and plan.golden.critical and any(line.state == "done" for line in cases)
    level = ALPHA / (len(critical) + 1 + gate)
    known = golden_part(plan, cases, level)
    seen = known["status"] if known is not None and gate else ""
    metrics = []
    for metric in critical:
        values = [line.d[metric.name] for line in done if metric.name in line.d]
        interval = tango_interval(counts_of(values), 2 * level)
        word = "broken" if interval.high < -float(metric.margin) else "worse" if interval.high < 0 else "no_change_seen"
        metrics.append(measure(metric.name, metric.margin, values, interval, word))
    both = [line for line in done if line.then_differs is not None and line.now_differs is not None]
    excess = [int(bool(line.then_differs)) - int(bool(line.now_differs)) for line in both]
    spread = tango_interval(counts_of(excess), 2 * level)
    served = {when: sorted({name for line in done if (name := getattr(line, f"served_{when}"))}) for when in ("then", "now")}
    moved = bool(both) and spread.low > 0
    renamed = bool(served["then"] and served["now"]) and not set(served["now"]) <= set(served["then"])
    states = {state: sum(line.state == state for line in lines) for state in sorted({line.state for line in lines})}
    few = {
        "aborted_policy": states.get("excluded_policy", 0) >= max(states.get("skipped_budget", 0), 1),
        "aborted_budget": bool(states.get("skipped_budget")),
    }
    answered = sum(min(line.d.get("error", 0), line.d.get("timeout", 0)) >= 0 for line in done)
    word = (
        "inconclusive"
        if answered * SILENT < len(done)
        else "broken"
        if seen == "broken" or (len(done) >= LEAST and any(one["status"] == "broken" for one in metrics))
        else "drifted"
        if seen == "worse" or (len(done) >= LEAST and (moved or renamed or any(one["status"] == "worse" for one in metrics)))
        else "no_change_seen"
        if len(done) >= LEAST
        else next((name for name, holds in few.items() if holds), "inconclusive")
    )
    found = {
        "verdict": word,
        "n": len(done),
        "answered": answered,
        "states": states,
        "metrics": metrics,
        "answers": {
            "n": len(both),
            "differ_from_then": share([bool(line.then_differs) for line in both]),
            "differ_now": share([bool(line.now_differs) for line in both]),
            "excess": text(counts_of(excess).difference),
            "interval": [text(spread.low), text(spread.high)],
            "moved": moved,
        },
        "served": served | {"renamed": renamed},
        "cost_ratio": cost_ratio(done),
        "alpha": text(ALPHA),
    } | ({GOLDEN: known} if known is not None else {})
    return found | {"sentence": sentence(found, f"{plan.candidate.provider}/{plan.candidate.model}")}


def golden_part(plan: ReplayPlan, cases: Sequence[Line], level: float) -> dict[str, Any] | None:
    """Cases whose right answer is known: was it right then, is it now? None where the plan names no set that could be asked."""
    if plan.golden is None or not cases:
        return None
    done = [line for line in cases if line.state == "done"]
    values = [line.d[GOLDEN] for line in done]
    interval = tango_interval(counts_of(values), 2 * level)
    word = (
        "not_asked"
        if not done
        else "broken"
        if interval.high < -float(plan.golden.margin)
        else "worse"
        if interval.high < 0
        else "no_change_seen"
    )
    names = {plan.n + place: case.id for place, case in enumerate(plan.golden.cases)}
    right = sum(bool(line.right) for line in done)
    return measure(GOLDEN, plan.golden.margin, values, interval, word) | {
        "set": plan.golden.name,
        "version": plan.golden.version,
        "critical": plan.golden.critical,
        "states": {state: sum(line.state == state for line in cases) for state in sorted({line.state for line in cases})},
        "right_then": right - sum(values),
        "right_now": right,
        "lost": sorted(names[line.position] for line in done if line.d[GOLDEN] < 0)[:NAMED],
    }


def counts_of(values: Sequence[int]) -> Counts:
    return Counts(float(sum(value > 0 for value in values)), float(sum(value < 0 for value in values)), float(len(values)))


def measure(name: str, margin: str, values: Sequence[int], interval: Interval, word: str) -> dict[str, Any]:
    return {
        "name": name,
        "n": len(values),
        "estimate": text(counts_of(values).difference),
        "interval": [text(interval.low), text(interval.high)],
        "margin": margin,
        "status": word,
    }


def share(values: Sequence[bool]) -> str | None:
    return text(sum(values) / len(values)) if values else None


def cost_ratio(done: Sequence[Line]) -> str | None:
    known = [(line.cost_then_pico, line.cost_now_pico) for line in done if line.cost_then_pico and line.cost_now_pico is not None]
    before = sum(then or 0 for then, _ in known)
    return text(sum(now or 0 for _, now in known) / before) if before else None


def sentence(found: Mapping[str, Any], name: str) -> str:
    asked = f"{found['n']:,} prompts of its approved evidence"
    measured = [*found["metrics"]]
    if (known := found.get(GOLDEN)) and known["n"]:
        asked += f" and {known['n']:,} golden cases (right on {known['right_now']:,}, then on {known['right_then']:,})"
        measured += [known] if known["critical"] else []
    worse = ", ".join(one["name"].replace("_", " ") for one in measured if one["status"] in {"broken", "worse"})
    if found["verdict"] == "broken":
        return f"{name} breaks a promise it was approved on ({worse}), asked again on {asked}."
    if found["verdict"] == "drifted":
        reasons = [f"it does worse on {worse}"] if worse else []
        reasons += ["it answers differently from then more often than from itself"] if found["answers"]["moved"] else []
        reasons += [f"the endpoint names another model ({', '.join(found['served']['now'])})"] if found["served"]["renamed"] else []
        return f"{name} is not what was approved: {'; '.join(reasons)}, asked again on {asked}."
    if found["verdict"] == "no_change_seen":
        return f"No change of {name} was seen on {asked}."
    few = f"only {found['n']} prompts were answered, {LEAST} are the least"
    if found["answered"] * SILENT < found["n"]:
        few = f"its endpoint answered {found['answered']} of {found['n']} prompts; see its address and key"
    why = {"aborted_budget": "its budget was used up", "aborted_policy": "policy let too few prompts leave"}.get(found["verdict"])
    return f"The check of {name} says nothing: {why or few}."
