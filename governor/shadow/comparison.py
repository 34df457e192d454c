"""Two measured replies to the same call -> one bounded difference per metric, + when the candidate is better.

Owns: the pair row of the pair table. Does not own: how a reply is measured (guards.py), statistics, the decision.
Invariants: every difference is -1, 0 or 1. Without a label a different answer is unknown: quality keeps its worst reading (-1) and its best (+1);
only the worst may pass a candidate and only the best may fail it. Exact matches are equal by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from governor.shadow.guards import Facts

FINAL_STATES: Final = frozenset({"done", "excluded_policy", "excluded_content", "excluded_params", "skipped_budget", "skipped_decided"})
EXCLUDED: Final = frozenset({"excluded_policy", "excluded_content", "excluded_params"})


@dataclass(frozen=True)
class Limits:
    """Thresholds that turn a measure into an indicator; None: not measured."""

    latency_us: int | None = None
    cost_pico: int | None = None


@dataclass(frozen=True)
class Pair:
    """One line of the pair table. d: metric -> difference; quality is (worst, best); judge: difference by the judge, both orders agreeing."""

    position: int
    record_id: str
    state: str
    d: Mapping[str, int] = field(default_factory=dict)
    quality: tuple[int, int] = (0, 0)
    equal: str = ""  # answer | no | "" when one of the two is not usable
    baseline_usable: bool = True
    judge: int | None = None
    aa: Mapping[str, int] = field(default_factory=dict)  # recorded production output against the baseline's replay
    aa_equal: str = ""
    baseline_text: str = ""
    candidate_text: str = ""
    baseline_cost_pico: int | None = None
    candidate_cost_pico: int | None = None
    baseline_us: int | None = None
    candidate_us: int | None = None
    spend_pico: int = 0  # what this position cost to replay, all arms and attempts
    repeat: Mapping[str, int] = field(default_factory=dict)  # A/A: the baseline asked again against its first reply
    repeat_equal: str = ""
    repeat_us: int | None = None
    labels: tuple[int | None, ...] = ()  # what people said, for the candidate; None: could not tell. Quality is their reading
    longer: int | None = None  # 1: the candidate's answer is the longer one, where a judge was asked
    canary: bool | None = None  # a known-bad answer was planted here: did the judge see it in both orders?
    baseline_ttft_us: int | None = None  # to the first piece of the answer, where both were streamed
    candidate_ttft_us: int | None = None
    step: int | None = None  # place of this call in a trace with tools, from 1
    criteria: Mapping[str, int] = field(default_factory=dict)  # what the judge said by criterion of its rubric, both orders agreeing
    diverged: bool | None = None  # at this step the candidate did another thing than the recorded one

    def document(self) -> dict[str, Any]:
        def money(value: int | None) -> str | None:
            return None if value is None else str(value)

        found = {
            "position": self.position,
            "record_id": self.record_id,
            "state": self.state,
            "d": dict(self.d),
            "quality": list(self.quality),
            "equal": self.equal,
            "baseline_usable": self.baseline_usable,
            "judge": self.judge,
            "aa": dict(self.aa),
            "aa_equal": self.aa_equal,
            "baseline_text": self.baseline_text,
            "candidate_text": self.candidate_text,
            "baseline_cost_pico": money(self.baseline_cost_pico),
            "candidate_cost_pico": money(self.candidate_cost_pico),
            "baseline_us": self.baseline_us,
            "candidate_us": self.candidate_us,
            "spend_pico": str(self.spend_pico),
            "repeat": dict(self.repeat),
            "repeat_equal": self.repeat_equal,
            "repeat_us": self.repeat_us,
        }
        said: dict[str, Any] = {
            "criteria": dict(self.criteria) or None,
            "labels": list(self.labels) or None,
            "longer": self.longer,
            "canary": self.canary,
        }
        said |= {name: getattr(self, name) for name in ("baseline_ttft_us", "candidate_ttft_us", "step", "diverged")}
        return found | {name: value for name, value in said.items() if value is not None}  # a pair nobody judged says nothing about it

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Pair:
        def money(value: str | None) -> int | None:
            return None if value is None else int(value)

        return cls(
            **{
                **document,
                "quality": (document["quality"][0], document["quality"][1]),
                "baseline_cost_pico": money(document["baseline_cost_pico"]),
                "candidate_cost_pico": money(document["candidate_cost_pico"]),
                "spend_pico": int(document["spend_pico"]),
                "labels": tuple(document.get("labels", ())),
            }
        )


def differences(baseline: Facts, candidate: Facts) -> dict[str, int]:
    """Per guard that applies to either reply: 1 when only the baseline tripped it, -1 when only the candidate did."""
    if baseline.guards == candidate.guards:
        found = dict.fromkeys(baseline.guards, 0)
    else:
        found = {
            name: int(baseline.guards.get(name, False)) - int(candidate.guards.get(name, False))
            for name in {*baseline.guards, *candidate.guards}
        }
    if "tool_calls" in found and baseline.called and candidate.status == "ok" and not candidate.called:
        found["tool_calls"] = int(baseline.guards.get("tool_calls", False)) - 1  # the step needed a call and got words
    return found


def quality(baseline: Facts, candidate: Facts, label: int | None = None) -> tuple[tuple[int, int], str]:
    """((worst, best), equal). label: a trusted verdict on the pair, where there is one."""
    missing_call = baseline.called and not candidate.called
    candidate_usable = candidate.usable and not missing_call
    if not (baseline.usable and candidate_usable):
        known = int(candidate_usable) - int(baseline.usable)
        return (known, known), ""
    if baseline.answer == candidate.answer:
        return (0, 0), "answer"
    return ((label, label) if label is not None else (-1, 1)), "no"


def limit_differences(pair_costs: tuple[int | None, int | None], baseline: Facts, candidate: Facts, limits: Limits) -> dict[str, int]:
    """Latency and cost as indicators over a limit. A failed reply has no latency of its own: it counts as over the limit."""
    found: dict[str, int] = {}
    if limits.latency_us is not None:
        found["latency"] = int(over(baseline, limits.latency_us)) - int(over(candidate, limits.latency_us))
    if limits.cost_pico is not None:
        base, cand = pair_costs
        # the worst reading: an unknown cost of the candidate counts against it, of the baseline in its favour
        found["cost_ceiling"] = int(base is not None and base > limits.cost_pico) - int(cand is None or cand > limits.cost_pico)
    return found


def uncosted(pair: Pair) -> bool:
    """Both answered, and what the candidate's answer cost is not known: it told no usage."""
    return pair.candidate_us is not None and pair.candidate_cost_pico is None


def over(reply: Facts, limit_us: int) -> bool:
    return reply.status != "ok" or not reply.duration_us or reply.duration_us > limit_us  # no time at all is not a fast reply


def compare(
    position: int,
    record_id: str,
    baseline: Facts,
    candidate: Facts,
    *,
    limits: Limits,
    costs: tuple[int | None, int | None],
    judge: int | None = None,
    trust_judge: bool = False,
    spend_pico: int = 0,
    **more: Any,
) -> Pair:
    """The pair row of two final replies. more: columns that these two do not tell, such as `aa`, by name."""
    reading, equal = quality(baseline, candidate, judge if trust_judge else None)
    both = baseline.status == "ok" and candidate.status == "ok"
    return Pair(
        position=position,
        record_id=record_id,
        state="done",
        d={**differences(baseline, candidate), **limit_differences(costs, baseline, candidate, limits)},
        quality=reading,
        equal=equal,
        baseline_usable=baseline.usable,
        judge=judge,
        baseline_text=baseline.text[:16],
        candidate_text=candidate.text[:16],
        baseline_cost_pico=costs[0],
        candidate_cost_pico=costs[1],
        baseline_us=baseline.duration_us if both else None,
        candidate_us=candidate.duration_us if both else None,
        spend_pico=spend_pico,
        baseline_ttft_us=baseline.ttft_us if both else None,
        candidate_ttft_us=candidate.ttft_us if both else None,
        step=candidate.step or None,
        **more,
    )


def repeated(baseline: Facts, again: Facts) -> tuple[dict[str, int], str, int | None]:
    """(differences, equal, duration) of the baseline's second reply against its first: what the same route does to itself."""
    (worst, best), equal = quality(baseline, again)
    found = differences(baseline, again)
    if worst == best:
        found["quality"] = worst
    both = baseline.status == "ok" and again.status == "ok"
    return found, equal, again.duration_us if both else None
