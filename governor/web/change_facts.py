"""What the change page shows of a verdict: one tile per gate, one row per metric. Words and plots of numbers that the evidence states."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from markupsafe import Markup

from governor.web.plots import Interval, interval_plot, reach
from governor.web.present import MINUS, money_text, percent, plural

METRICS: Final = {
    "quality": ("Quality", "answers that are worse than the current model's"),
    "golden": ("Golden set", "cases with a known answer, outside the sample"),
    "error": ("Errors", "failed replies"),
    "timeout": ("Timeouts", "replies that did not come in time"),
    "refusal": ("Refusals", "replies that refuse the task"),
    "truncation": ("Cut-off replies", "replies that end early"),
    "empty": ("Empty replies", "replies without content"),
    "contract": ("Output contract", "replies that break the workflow's schema"),
    "tool_calls": ("Tool calls", "tool calls that are missing or malformed"),
    "leak": ("Leaks", "personal data or secrets that the prompt did not hold"),
    "language": ("Language", "replies in another language than the question"),
    "latency": ("Latency target", "replies slower than the workflow's target"),
    "cost_ceiling": ("Cost ceiling", "calls dearer than the workflow's ceiling"),
}


@dataclass(frozen=True)
class Tile:
    """One gate. tone: good | warn | bad | live | plain."""

    name: str
    tone: str
    word: str
    big: str
    detail: str


@dataclass(frozen=True)
class MetricRow:
    name: str
    meaning: str
    status: str
    estimate: str
    interval: str
    margin: str
    better: str
    worse: str
    applies: int
    critical: bool
    unlabelled: int
    uncosted: int
    plot: Markup


def tiles(change: dict[str, Any]) -> list[Tile]:
    return [policy_tile(change), verdict_tile(change), cost_tile(change), latency_tile(change), approvals_tile(change)]


def policy_tile(change: dict[str, Any]) -> Tile:
    policy = change["policy"]
    wrong = len(policy["violations"])
    if wrong:
        return Tile("Policy", "bad", "not allowed", plural(wrong, "objection"), policy["violations"][0]["message"])
    if not policy["allow"] or policy["undecided"]:
        return Tile(
            "Policy", "warn", "undecided", plural(max(1, len(policy["undecided"])), "open question"), "; ".join(policy["undecided"][:2])
        )
    return Tile("Policy", "good", "allowed", "No objection", f"bundle {policy['bundle'][:12]}")


def verdict_tile(change: dict[str, Any]) -> Tile:
    verdict = change["verdict"]
    if verdict:
        word = verdict["verdict"]
        tone = {"pass": "good", "fail": "bad"}.get(word, "warn")
        return Tile("Shadow verdict", tone, word, f"{verdict['n_pairs']:,} pairs", f"of {verdict['n_planned']:,} planned")
    runs = change["runs"]
    if not runs:
        return Tile("Shadow verdict", "plain", "no evidence", "Not run yet", f"plan of {change['plan']['sample']:,} calls is fixed")
    status = runs[-1]["status"]
    tone = "live" if status in {"planned", "running"} else "bad"
    return Tile("Shadow verdict", tone, status.replace("_", " "), "No verdict", f"{runs[-1]['planned']:,} calls planned")


def cost_tile(change: dict[str, Any]) -> Tile:
    cost = (change["verdict"] or {}).get("cost") or {}
    if not cost.get("savings_rate"):
        return Tile("Cost", "plain", "not measured", "—", "needs priced pairs of a shadow run")
    rate = Decimal(cost["savings_rate"])
    low, high = (Decimal(end) for end in cost["monthly_ci95_usd"])
    tone, word = ("good", "saves") if low > 0 else ("bad", "costs more") if high < 0 else ("warn", "not certain")
    change_sign = MINUS if rate > 0 else "+"
    monthly = Decimal(cost["monthly_savings_usd"])
    detail = f"{'saves' if monthly >= 0 else 'adds'} {money_text(abs(monthly))} a month, 95% [{money_text(low)}, {money_text(high)}]"
    return Tile("Cost", tone, word, f"{change_sign}{percent(abs(rate))}", detail)


def latency_tile(change: dict[str, Any]) -> Tile:
    latency = (change["verdict"] or {}).get("latency") or {}
    ratio = latency.get("p95_ratio")
    if ratio is None:
        return Tile("Latency", "plain", "not measured", "—", "needs replays of both models")
    value = Decimal(ratio)
    limit = next((one for one in change["verdict"]["metrics"] if one["name"] == "latency"), None)
    tone = {"pass": "good", "fail": "bad"}.get(limit["status"] if limit else "", "plain")
    word = {"good": "within target", "bad": "over target"}.get(tone, "compared")
    p50 = f"p50 {Decimal(latency['p50_ratio']):.2f}×" if latency.get("p50_ratio") else ""
    return Tile("Latency", tone, word, f"{value:.2f}× p95", f"of the current model; {p50}" if p50 else "of the current model")


def approvals_tile(change: dict[str, Any]) -> Tile:
    needs = change["needs"]
    answered = sum(need["status"] == "answered" for need in needs)
    rejected = next((vote for vote in change["approvals"] if vote["decision"] == "reject"), None)
    if change["state"] == "withdrawn":
        return Tile("Approvals", "warn", "withdrawn", f"{answered} of {len(needs)}", "nobody is asked any more")
    if rejected:
        return Tile("Approvals", "bad", "rejected", rejected["role"], rejected["person"])
    if needs and answered == len(needs):
        return Tile("Approvals", "good", "complete", f"{answered} of {len(needs)}", ", ".join(need["role"] for need in needs))
    waiting = ", ".join(need["role"] for need in needs if need["status"] != "answered")
    return Tile("Approvals", "live" if needs else "plain", "open", f"{answered} of {len(needs)}", f"waits for {waiting}" if waiting else "")


def metric_rows(change: dict[str, Any]) -> list[MetricRow]:
    """Failed first, then undecided; what never applied stands last."""
    found = change["verdict"] or {}
    metrics = found.get("metrics") or []
    read = bool((found.get("people") or {}).get("correction"))  # a random part of the answers that differ, which speaks for all
    shown = [one for one in metrics if one.get("ci95")]
    drawn = {one["name"]: interval_of(one) for one in shown}
    span = reach(list(drawn.values()))
    order = {"fail": 0, "inconclusive": 1, "pass": 2, "not_applicable": 3}
    return [
        MetricRow(
            name=METRICS.get(one["name"], (one["name"].replace("_", " "), ""))[0],
            meaning=METRICS.get(one["name"], ("", ""))[1],
            status=one["status"],
            estimate=points(one["estimate"]),
            interval=f"{points(one['ci95'][0])} to {points(one['ci95'][1])}",
            margin=f"{MINUS}{Decimal(str(one['margin'])) * 100:.1f}",
            better=str(one["better"]),
            worse=str(one["worse"]),
            applies=one["applies"],
            critical=one["critical"],
            unlabelled=one["unlabelled"] if one["kind"] == "quality" and not read else 0,
            uncosted=one["unlabelled"] if one["kind"] == "limit" else 0,
            plot=interval_plot(drawn[one["name"]], span) if one["applies"] else Markup(""),
        )
        for one in sorted(shown, key=lambda one: (order.get(one["status"], 9), not one["critical"]))
    ]


def interval_of(metric: dict[str, Any]) -> Interval:
    low, high = (Decimal(str(end)) for end in metric["ci95"])
    return Interval(Decimal(str(metric["estimate"])), low, high, Decimal(str(metric["margin"])), metric["status"])


def points(share: Any) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{Decimal(str(share)) * 100:+.1f}".replace("-", MINUS)
