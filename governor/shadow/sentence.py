"""A verdict in one sentence, for people who decide.

Owns: the words, for the evidence, the page, the terminal and the packet's report alike. Does not own: any number. Invariants: says what was claimed, on how
much, and what was not decided; never more than the verdict says; where there is no verdict it says why and what would get one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from governor.shadow.baseline import ANSWERS
from governor.shadow.plan import ReplayPlan

EXCUSES: Final = {
    "excluded_policy": "kept back by policy",
    "excluded_content": "whose content is gone",
    "excluded_params": "with parameters a route does not take",
}


def sentence(plan: ReplayPlan, document: Mapping[str, Any]) -> str:
    word = str(document["verdict"])
    if word in STOPPED:
        return STOPPED[word](plan, document)
    golden = next((one for one in document["metrics"] if one["kind"] == "golden" and one["critical"]), None)
    if not document["n_pairs"]:
        return nothing_compared(document)
    pairs = f"{document['n_pairs']:,} replayed calls"
    asked = pairs if golden is None or not golden["n"] else f"{pairs} and {golden['n']:,} golden cases"
    by_status: dict[str, list[str]] = {"fail": [], "inconclusive": [], "pass": [], "not_applicable": []}
    read = (document.get("people") or {}).get("correction")
    for metric in document["metrics"]:
        if metric["critical"]:
            by_status[metric["status"]].append(described(metric, read if metric["kind"] == "quality" else None))
    if word == "pass":
        return f"On {asked}, {name(plan)} lost no more than allowed on every promise{saving(document)}.{otherwise(document)}"
    if word == "fail":
        why = "; ".join(by_status["fail"]) or "its answers hardly differ from one another"
        return f"On {asked}, {name(plan)} did worse than allowed: {why}."
    open_golden = described(golden) if golden is not None and golden["status"] == "inconclusive" else ""
    left = [one for one in by_status["inconclusive"] if one != open_golden]
    if open_golden and not left:
        return (
            f"On {pairs}, {name(plan)} kept every promise, but {golden_cases(golden)} leave open whether it loses more of them than allowed:"
            f" {open_golden}. More calls do not settle that; a new proposal with more cases does."
        )
    silent = (
        " The judge gave no opinion on most of them: see its endpoint, key and cap." if "judge_silent" in document["limitations"] else ""
    )
    also = f" {golden_cases(golden).capitalize()} are open too: {open_golden}." if open_golden else ""
    return f"{pairs} do not decide {'; '.join(left) or 'it'}.{more(document.get('still_needed') or {}, read)}{silent}{also}"


def after_others(words: Sequence[str]) -> str:
    """Beside a verdict where earlier runs of the same change came to theirs. words: those, oldest first."""
    if not words:
        return ""
    return (
        f"This is run {len(words) + 1} of this change; before it: {', '.join(words)}. Each run has its own chance to be wrong, so a pass after others says"
        " less than a first one."
    )


def otherwise(document: Mapping[str, Any]) -> str:
    """A pass against something else than production's model says little, and who reads it late in the day must not have to find that out."""
    drift = next((one for one in document["aa"]["metrics"] if one["name"] == ANSWERS and one["drift"]), None)
    if drift is None:
        return ""
    points = percent(drift["estimate"]).lstrip("-")
    return (
        f" But the current model's answers here are production's {points} points less often than they are its own when it is asked again:"
        " see that the endpoint serves the model that production runs, and no cache."
    )


def golden_cases(golden: Mapping[str, Any] | None) -> str:
    return f"its {golden['n']:,} golden cases" if golden is not None and golden["n"] else "its golden cases"


def nothing_compared(document: Mapping[str, Any]) -> str:
    why = ", ".join(f"{n:,} {EXCUSES[state]}" for state, n in document["states"].items() if state in EXCUSES)
    return f"No sampled call was compared{f' ({why})' if why else ''}, so nothing is known of the candidate."


def out_of_budget(plan: ReplayPlan, document: Mapping[str, Any]) -> str:
    budget = format((Decimal(plan.budget_pico) / 10**12).normalize(), "f")
    done = f"{document['n_pairs']:,} of {document['n_planned']:,} planned calls were compared"
    return f"The budget of ${budget} was too small: {done}; there is no verdict. A new proposal with a larger budget would get one."


def out_of_policy(plan: ReplayPlan, document: Mapping[str, Any]) -> str:
    denied = document["states"].get("excluded_policy", 0)
    return (
        f"Policy kept back {denied:,} of {document['n_prefix']:,} sampled calls, so the rest would speak for too little; there is no verdict."
        f" Policy must allow {name(plan)} this workflow's data, or another candidate be proposed."
    )


def no_baseline(plan: ReplayPlan, document: Mapping[str, Any]) -> str:
    arm = f"{plan.baseline.provider}/{plan.baseline.model}"
    if document["decided_by"] == "unusable":
        return (
            f"The current model {arm} gave no usable answer to most of {document['n_pairs']:,} calls, so nothing can be compared with it; there is"
            " no verdict. See that the endpoint serves it, then run again."
        )
    moved = [f"{words(one)} {percent(one['estimate'])} points" for one in document["repeat"]["metrics"] if one["drift"]]
    if moved:
        return (
            f"Asked twice in this run, the current model {arm} differed from itself ({', '.join(moved)}), so a difference between routes would"
            " mean nothing; there is no verdict. Find what changed at the endpoint, then run again."
        )
    moved = [f"{words(one)} {percent(one['estimate'])} points" for one in document["aa"]["metrics"] if one["drift"]]
    return (
        f"The current model {arm} no longer answers as recorded ({', '.join(moved)}), so its recording is no baseline; there is no verdict."
        " A new proposal that replays the baseline would get one."
    )


STOPPED: Final = {"aborted_budget": out_of_budget, "aborted_policy": out_of_policy, "invalid_baseline": no_baseline}


def more(needed: Mapping[str, Any], read: Mapping[str, Any] | None = None) -> str:
    """What would settle it, with the band the forecast gives and its price. read: what the labels of people gave, where they gave it."""
    if not needed.get("metrics"):
        return ""
    if labels := needed.get("labels"):
        return f" Answers differ on {labels['differing']:,}; labels of people on {labels['missing']:,} of them would let them be read (governor review)."
    if read and "quality" in needed["metrics"]:
        return " The answers that the plan drew are labelled; a new proposal with more calls, or more answers for people to read, would narrow it."
    if not needed.get("p50"):
        return " More of the same calls are unlikely to decide it."
    least, most = f"{needed['p10'] or 0:,}", f"{needed['p90']:,}" if needed["p90"] else "far more"
    price = f" for some ${needed['usd']}" if needed.get("usd") else ""
    return f" About {needed['p50']:,} more would likely decide it ({least} to {most}){price}."


def name(plan: ReplayPlan) -> str:
    return f"{plan.candidate.provider}/{plan.candidate.model}"


def described(metric: Mapping[str, Any], read: Mapping[str, Any] | None = None) -> str:
    """With its interval; where answers that differ were not read, both readings of them instead, for an interval of the worst would say too much.
    read: what the labels of people gave, whose interval speaks for all answers.
    """
    by = f", by {read['labelled']:,} answers that people read" if read else ""
    if not read and metric["status"] == "inconclusive" and metric["unlabelled"] and metric["best_estimate"] != metric["estimate"]:
        worst, best = percent(metric["estimate"]), percent(metric["best_estimate"])
        why = "nobody reads {:,} answers that differ" if metric["kind"] == "quality" else "{:,} replies tell no usage"
        return f"{words(metric)}, between {worst} and {best} points as long as {why.format(metric['unlabelled'])}"
    low, high = (percent(bound) for bound in metric["ci95"])
    return f"{words(metric)} {percent(metric['estimate'])} points [{low}, {high}], allowed -{percent(metric['margin']).lstrip('+')}{by}"


def words(metric: Mapping[str, Any]) -> str:
    return "golden set" if metric["name"] == "golden" else str(metric["name"]).replace("_", " ")


def saving(document: Mapping[str, Any]) -> str:
    cost = document["cost"]
    if cost["savings_rate"] is None:
        return ""
    rate = Decimal(cost["savings_rate"])
    verb, sign = ("saves", 1) if rate >= 0 else ("costs", -1)
    low, high = sorted(sign * Decimal(bound) for bound in cost["ci95"])  # below zero: it may be the other way round
    few = ", for which one call counts most" if "savings_rest_on_few" in document["limitations"] else ""
    return f" and {verb} {abs(rate) * 100:.1f} % [{low * 100:.1f}, {high * 100:.1f}]{'' if rate >= 0 else ' more'} per call{few}"


def percent(share: str) -> str:
    return f"{Decimal(share) * 100:+.1f}"
