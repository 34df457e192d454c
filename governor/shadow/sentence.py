"""A verdict in one sentence, for people who decide.

Owns: the words. Does not own: any number. Invariants: says what was claimed, on how much, and what was not decided; never more than the verdict says.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from governor.shadow.plan import ReplayPlan

STOPPED = {
    "aborted_budget": "The budget was used up before the plan was finished; there is no verdict.",
    "aborted_policy": "Policy let too few of the traces leave; there is no verdict.",
    "invalid_baseline": "The baseline did not behave like production, so nothing can be compared with it; there is no verdict.",
}


def sentence(plan: ReplayPlan, document: Mapping[str, Any]) -> str:
    word = str(document["verdict"])
    if word in STOPPED:
        return STOPPED[word]
    pairs = f"{document['n_pairs']:,} replayed calls"
    by_status: dict[str, list[str]] = {"fail": [], "inconclusive": [], "pass": [], "not_applicable": []}
    for metric in document["metrics"]:
        if metric["critical"]:
            by_status[metric["status"]].append(described(metric))
    if word == "pass":
        return f"On {pairs}, {name(plan)} lost no more than allowed on every promise{saving(document)}."
    if word == "fail":
        why = "; ".join(by_status["fail"]) or "its answers hardly differ from one another"
        return f"On {pairs}, {name(plan)} did worse than allowed: {why}."
    return f"{pairs} do not decide {'; '.join(by_status['inconclusive']) or 'it'}.{more(document.get('still_needed') or {})}"


def more(needed: Mapping[str, Any]) -> str:
    """What would settle it, with the band the forecast gives and its price."""
    if not needed.get("metrics"):
        return ""
    if labels := needed.get("labels"):
        return f" Answers differ on {labels['differing']:,}; labels of people on {labels['missing']:,} of them would let them be read (governor review)."
    if not needed.get("p50"):
        return " More of the same calls are unlikely to decide it."
    least, most = f"{needed['p10'] or 0:,}", f"{needed['p90']:,}" if needed["p90"] else "far more"
    price = f" for some ${needed['usd']}" if needed.get("usd") else ""
    return f" About {needed['p50']:,} more would likely decide it ({least} to {most}){price}."


def name(plan: ReplayPlan) -> str:
    return f"{plan.candidate.provider}/{plan.candidate.model}"


def described(metric: Mapping[str, Any]) -> str:
    low, high = (percent(bound) for bound in metric["ci95"])
    return f"{metric['name'].replace('_', ' ')} {percent(metric['estimate'])} points [{low}, {high}], allowed -{percent(metric['margin']).lstrip('+')}"


def saving(document: Mapping[str, Any]) -> str:
    cost = document["cost"]
    if cost["savings_rate"] is None:
        return ""
    rate = Decimal(cost["savings_rate"])
    low, high = sorted(abs(Decimal(bound)) for bound in cost["ci95"])
    verb = "saves" if rate >= 0 else "costs"
    return f" and {verb} {abs(rate) * 100:.1f} % [{low * 100:.1f}, {high * 100:.1f}]{'' if rate >= 0 else ' more'} per call"


def percent(share: str) -> str:
    return f"{Decimal(share) * 100:+.1f}"
