"""The readable side of an audit packet: one PDF for a CFO and an auditor.

Owns: the words, the order, the numbers' form, the page. Does not own: any fact (the document brings them) and any proof (the packet does).
Invariants: same document, same bytes: no clock, no random id, dates come from the document; what is absent is named as absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from jinja2 import ChainableUndefined, Environment

from governor.shadow.golden_report import CHECKED
from governor.shadow.limits import LIMITATIONS
from reports import amounts
from reports.packet_words import COLOURS, EVENTS, EXCLUDED, GOLDEN, METRICS, STATES, VERDICTS
from reports.pdf import environment, pdf_of

GOLDEN_ROWS: Final = 20
WIDTH: Final = 150  # of the interval plot, in CSS pixels
NEAR_ZERO: Final = Decimal("0.0005")


def render_pdf(document: Mapping[str, Any]) -> bytes:
    """PDF of the packet's document (see governor.actions.packet_document). It claims no PDF/A: no validator has judged it."""
    return pdf_of(render_html(document), document)


def render_html(document: Mapping[str, Any]) -> str:
    """The page before it is printed; tests and reviewers read it."""
    return _environment().get_template("packet.html").render(view(document))


@lru_cache
def _environment() -> Environment:
    return environment(
        ChainableUndefined, moment=moment, day=day, usd=usd, points=points, percent=percent, abbreviated=abbreviated, size=size
    )


def view(document: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the template shows, in the form it shows it."""
    change = document["change"]
    shadow = document.get("shadow") or {}
    verdict = shadow.get("verdict") or {}
    state, state_tone = STATES.get(change["state"], (str(change["state"]), "warn"))
    word, word_tone = VERDICTS.get(str(verdict.get("verdict", "")), ("No shadow test", "warn"))
    policy = document.get("policy") or {}
    allowed = policy.get("result") in {"allow", "allowed"}
    people = _People(document)
    events = [{**event, "words": step(event), "who": people.of(event["actor"])} for event in document.get("events", [])]
    return {
        "change": change,
        "workflow": document.get("workflow") or {},
        "log": document.get("log", ""),
        "issuer": document.get("issuer", ""),
        "recipient": document.get("recipient", ""),
        "state": state,
        "state_tone": state_tone,
        "baseline": route(change.get("baseline")),
        "candidate": route(change.get("candidate")),
        "rows": route_rows(change.get("baseline"), change.get("candidate")),
        "needs": document.get("needs") or [],
        "policy": policy,
        "policy_word": "Allowed" if allowed else "Not allowed" if policy else "No decision",
        "policy_tone": "good" if allowed else "bad" if policy else "warn",
        "violations": document.get("violations") or [],
        "decisions": [{**found, "who": people.name(found["person"])} for found in document.get("decisions", [])],
        "requester": people.name(change["requester"]),
        "author": people.name(shadow["author"]) if shadow.get("author") else "",
        "shadow": shadow,
        "verdict": verdict,
        "word": word,
        "word_tone": word_tone,
        "outcome": verdict.get("sentence") or "No shadow test is on record.",
        "earlier": document.get("earlier", ""),
        "metrics": metric_rows(verdict.get("metrics") or []),
        "excluded": [f"{count} {EXCLUDED.get(name, name)}" for name, count in (verdict.get("states") or {}).items() if name != "done"],
        "counted": counted(document.get("decisions", [])),
        "colours": COLOURS,
        "limitations": [LIMITATIONS.get(code, code) for code in verdict.get("limitations") or []],
        "cost": verdict.get("cost") or {},
        "latency": verdict.get("latency") or {},
        "budget": usd_of_pico(shadow.get("budget_pico")),
        "spent": usd_of_pico(shadow.get("spent_pico")),
        "plan": document.get("plan") or {},
        "golden": golden_part(document.get("golden")),
        "later": later_traffic(document.get("verification") or {}, str(change.get("state", ""))),
        "events": events,
        "evidence": document.get("evidence") or [],
        "dated": events[-1]["recorded_at"] if events else change.get("requested_at"),
        "plot_width": WIDTH,
        "frameworks": framework_rows(document.get("controls") or {}),
        "controls_note": (document.get("controls") or {}).get("note", ""),
    }


def golden_part(report: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The golden results in words; the list of wrong cases is cut to what a page holds and says so."""
    if not report:
        return None
    worst = [{**one, "check": CHECKED[one["check"]], "words": GOLDEN.get(one["what"], one["what"])} for one in report["worst"]]
    by_check = [{**one, "check": CHECKED[one["check"]]} for one in report["by_check"]]
    waiting = [f"{count} {EXCLUDED.get(state, state.replace('_', ' '))}" for state, count in report["not_asked"].items()]
    return {**report, "by_check": by_check, "worst": worst[:GOLDEN_ROWS], "more": max(len(worst) - GOLDEN_ROWS, 0), "waiting": waiting}


def framework_rows(controls: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The frameworks of `controls.json`, each with its controls."""
    return [
        {**one, "rows": [row for row in controls["controls"] if row["framework"] == one["name"]]} for one in controls.get("frameworks", [])
    ]


def step(event: Mapping[str, Any]) -> str:
    """One ledger entry in words."""
    if event["type"] == "change:shadow" and event.get("status") in {"planned", "running"}:
        return "Shadow test started"
    return EVENTS.get(event["type"], str(event["type"]))


class _People:
    """How a person is shown: by name where the packet names people, else by role and a short reference."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.names: Mapping[str, str] = document.get("people") or {}

    def name(self, ref: str) -> str:
        if ref in self.names:
            return self.names[ref]
        return ref if ref in {"system", "operator"} else f"person {ref[-8:]}"

    def of(self, actor: Mapping[str, Any]) -> str:
        return "Governor" if actor.get("kind") == "system" else self.name(str(actor.get("ref", "")))


def route(value: Any) -> str:
    """`gpt-5 at azure.openai`, or the route as it is written."""
    if not isinstance(value, Mapping):
        return str(value or "not stated")
    return f"{value.get('model', '?')} at {value.get('provider', '?')}"


def route_rows(baseline: Any, candidate: Any) -> list[tuple[str, str, str]]:
    """(field, before, after) for every field either route states."""
    before = baseline if isinstance(baseline, Mapping) else {"route": baseline}
    after = candidate if isinstance(candidate, Mapping) else {"route": candidate}
    order = ["provider", "model", "regions", "region"]
    names = [name for name in order if name in before or name in after]
    names += sorted((before.keys() | after.keys()) - {*names, "id", "route", "approved_until"})
    names = [name for name in names if before.get(name) is not None or after.get(name) is not None]
    return [(name.replace("_", " "), _plain(before.get(name)), _plain(after.get(name))) for name in names]


def _plain(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "\u2013"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(child)}" for name, child in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def counted(decisions: Sequence[Mapping[str, Any]]) -> str:
    """How many decisions bind the digest of the change, and by how many people."""
    people = [found["person"] for found in decisions if found["counts"]]
    different = len(set(people))
    who = f"{different} {'person' if different == 1 else 'people'}"
    return who if len(people) == different else f"{len(people)} by {who}"


def later_traffic(seen: Mapping[str, Any], state: str) -> str:
    """What became of the route after the cutover, as it was last looked at; empty where nobody did."""
    if "on_route" not in seen:
        return ""
    counted_calls = seen["on_route"] + seen["elsewhere"]
    besides = f", and {seen['fallback']:,} were approved fallbacks" if seen.get("fallback") else ""
    word = {"verified": "The change is verified. ", "drifted": "The change drifted. "}.get(state, "")
    return (
        f"{word}From {seen['since'][:10]} to {seen['until'][:10]}, {seen['on_route']:,} of {counted_calls:,} calls took the approved route"
        f" ({seen['share']} %); {seen['elsewhere']:,} went elsewhere{besides}."
    )


def metric_rows(metrics: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The lines of the metrics table; all intervals are drawn to one scale, so that lengths may be compared down the page."""
    reach = max((reach_of(metric) for metric in metrics), default=0.0)
    return [metric_row(metric, reach) for metric in metrics]


def metric_row(metric: Mapping[str, Any], reach: float) -> dict[str, Any]:
    word, tone = {"pass": ("holds", "good"), "fail": ("broken", "bad"), "not_applicable": ("no such call", "warn")}.get(
        str(metric.get("status")), ("open", "warn")
    )
    if metric.get("status") == "not_applicable":
        metric = {**metric, "estimate": None, "ci95": None}  # nothing was measured: no number, no plot
    return {
        "label": METRICS.get(str(metric["name"]), str(metric["name"]).replace("_", " ")),
        "metric": metric,
        "word": word,
        "tone": tone,
        "plot": plot(metric, reach),
    }


def _extent(metric: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    try:
        low, high = metric["ci95"]
        return float(metric["estimate"]), float(low), float(high), -float(metric["margin"])
    except (KeyError, TypeError, ValueError):
        return None


def reach_of(metric: Mapping[str, Any]) -> float:
    """Half the width of a scale that shows this metric."""
    found = _extent(metric)
    return 0.0 if found is None else max(*map(abs, found), 0.005) * 1.1


def plot(metric: Mapping[str, Any], reach: float) -> dict[str, float] | None:
    """Pixel places of zero, the allowed loss, the interval and its middle. Floats place ink only; the numbers beside it are exact text."""
    found = _extent(metric)
    if found is None or reach <= 0:
        return None
    names = ("middle", "low", "high", "limit", "zero")
    return {name: round((value + reach) / (2 * reach) * WIDTH, 2) for name, value in zip(names, (*found, 0.0), strict=True)}


def points(value: Any) -> str:
    """A share as signed percentage points: -0.0176 -> −1.8."""
    number = _decimal(value)
    if number is None:
        return "\u2013"
    if abs(number) < NEAR_ZERO:
        return "0.0"
    text = f"{(number * 100).quantize(Decimal('0.1'), ROUND_HALF_EVEN):+}"
    return text.replace("-", "\u2212")


def percent(value: Any) -> str:
    number = _decimal(value)
    return "\u2013" if number is None else f"{(number * 100).quantize(Decimal('0.1'), ROUND_HALF_EVEN)} %".replace("-", "\u2212")


def usd(value: Any) -> str:
    number = _decimal(value)
    return "\u2013" if number is None else f"{number.quantize(Decimal('0.01'), ROUND_HALF_EVEN) + 0:,} USD".replace("-", "\u2212")


def usd_of_pico(value: Any) -> str:
    number = _decimal(value)
    return "\u2013" if number is None else usd(number / Decimal(10**12))


def _decimal(value: Any) -> Decimal | None:
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None


def moment(text: Any) -> str:
    """`20 November 2026, 16:02:11 UTC` of a ledger timestamp."""
    return "\u2013" if not text else f"{day(text)}, {str(text)[11:19]} UTC"


def day(text: Any) -> str:
    found = str(text or "")
    if len(found) < len("2026-11-20") or not found[5:7].isdecimal():
        return found or "\u2013"
    return amounts.day(found)


def abbreviated(text: Any, keep: int = 12) -> str:
    found = str(text or "")
    return found if len(found) <= keep else f"{found[:keep]}\u2026"


def size(count: int) -> str:
    return f"{count:,} B" if count < 10_000 else f"{count / 1000:,.1f} kB"  # noqa: PLR2004 - four digits read well in bytes
