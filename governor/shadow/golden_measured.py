"""What the golden lines of a run decide: one paired metric of its own, and what is shown of the set.

Owns: the metric `golden`, its test, the summary. Does not own: checks (golden.py), the decision over all promises (verdict.py).
Invariants: every case is asked once, so there is one look and one test: Tango's score test at the plan's final level, harm at its harm level shared by all
promises; a case that was not asked or has only a rubric is in no count; sampled calls are never mixed with cases.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from governor.shadow.comparison import FINAL_STATES
from governor.shadow.golden import GoldenLine
from governor.shadow.measured import number, text
from governor.shadow.plan import ReplayPlan
from governor.shadow.statistics import Counts, noninferiority_p, tango_interval

NAMED: Final = 50  # cases named in a verdict, of each kind


@dataclass(frozen=True)
class Golden:
    """complete: every case of the set is final. decided: counts over cases with a check that both routes were asked."""

    critical: bool
    margin: str
    counts: Counts
    complete: bool
    out_of_budget: bool
    p_final: float
    p_harm: float
    alpha_final: float
    harm_level: float
    summary: Mapping[str, Any]

    @property
    def holds(self) -> bool:
        return self.complete and not self.out_of_budget and bool(self.counts.n) and self.p_final <= self.alpha_final

    @property
    def harmed(self) -> bool:
        return self.complete and bool(self.counts.n) and self.p_harm <= self.harm_level

    def document(self, *, final: bool) -> dict[str, Any]:
        """A line like those of the other promises; there is no any-time evidence, because there is one look."""
        interval = tango_interval(self.counts)
        shown = final and self.complete
        return {
            "name": "golden",
            "kind": "golden",
            "critical": self.critical,
            "margin": self.margin,
            "n": int(self.counts.n),
            "applies": int(self.counts.n),
            "better": text(self.counts.better),
            "worse": text(self.counts.worse),
            "unlabelled": 0,
            "estimate": text(self.counts.difference),
            "best_estimate": text(self.counts.difference),
            "ci95": [text(interval.low), text(interval.high)],
            "anytime_ci95": None,
            "e_value": None,
            "harm_e_value": None,
            "p_final": number(self.p_final) if shown else None,
            "status": "fail" if shown and self.harmed else "pass" if shown and self.holds else "inconclusive",
            "clusters": int(self.counts.n),
            "design_effect": text(1.0),
            "aa": None,
        }


def measure_golden(plan: ReplayPlan, lines: Sequence[GoldenLine]) -> Golden | None:
    """None where the plan names no set. Lines of cases the plan does not name count for nothing."""
    if plan.golden is None:
        return None
    found = {line.case: line for line in lines if line.state in FINAL_STATES}
    table = [(case, found.get(case.id)) for case in plan.golden.cases]
    known = [line for case, line in table if line is not None and line.sha256 == case.sha256]
    checked = {case.id for case in plan.golden.cases if case.check}
    asked = [line for line in known if line.state == "done" and line.case in checked and None not in (line.baseline, line.candidate)]
    lost = [line.case for line in asked if line.baseline and not line.candidate]
    won = [line.case for line in asked if line.candidate and not line.baseline]
    counts = Counts(float(len(won)), float(len(lost)), float(len(asked)))
    p = noninferiority_p(counts, float(plan.golden.margin))
    states = Counter(line.state for line in known)
    return Golden(
        critical=plan.golden.critical,
        margin=plan.golden.margin,
        counts=counts,
        complete=len(known) == len(plan.golden.cases),
        out_of_budget=bool(states["skipped_budget"]),
        p_final=p,
        p_harm=1 - p if counts.n else 1.0,
        alpha_final=float(plan.alpha_final),
        harm_level=1 / plan.harm_level,
        summary={
            "set": plan.golden.name,
            "version": plan.golden.version,
            "digest": plan.golden.digest,
            "cases": len(plan.golden.cases),
            "states": dict(sorted(states.items())),
            "baseline_right": sum(bool(line.baseline) for line in asked),
            "candidate_right": sum(bool(line.candidate) for line in asked),
            "n": len(asked),
            "lost": lost[:NAMED],
            "won": won[:NAMED],
            "by_rubric": by_rubric([line for line in known if line.case not in checked]),
            "spend_pico": str(sum(line.spend_pico for line in known)),
        },
    )


def by_rubric(lines: Sequence[GoldenLine]) -> dict[str, Any] | None:
    """What the judge said of cases without a check: reported, never decisive."""
    said = [line.judge for line in lines if line.judge is not None]
    if not lines:
        return None
    return {"cases": len(lines), "judged": len(said), "better": said.count(1), "worse": said.count(-1), "tie": said.count(0)}
