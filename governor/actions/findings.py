"""What policy objects to in a month: one finding per rule, workflow and message, with the calls and the money behind it.

Owns: Finding, how judged groups and judged windows become findings. Does not own: the judging (actions/govern.py, actions/judge.py).
Invariants: undecided is a finding, never silence; money is the exact contracted cost of the calls concerned; order is by weight, then by money.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypedDict

from governor.actions.context import Context
from governor.actions.govern import GovernedMonth, govern_month
from governor.actions.windows import Window, month_windows
from governor.changes import State
from governor.policy.decision import Decision

EXAMPLES = 3
STATUS_WEIGHT = {"violation": 0, "undecided": 1, "waived": 2, "warning": 3}
SEVERITY_WEIGHT = {"critical": 0, "high": 1, "medium": 2, "low": 3}


class FindingDocument(TypedDict):
    """cost_at_risk: contracted cost of the calls concerned, without the unpriced_calls among them. window: of a rule over time, such as a day."""

    rule: str
    workflow: str | None
    severity: str
    status: str
    message: str
    solution: str
    calls: int
    example_record_ids: list[str]
    waiver: str | None
    window: str | None
    unpriced_calls: int
    cost_at_risk: str


@dataclass(frozen=True)
class Finding:
    """status: violation | undecided | waived | warning. cost_at_risk_pico: contracted cost of the calls concerned, without the unpriced_calls among them."""

    rule: str
    workflow: str | None
    severity: str
    status: str
    message: str
    solution: str
    calls: int
    cost_at_risk_pico: int
    example_record_ids: tuple[str, ...] = ()
    waiver: str | None = None
    window: str | None = None
    unpriced_calls: int = 0

    def document(self) -> FindingDocument:
        from governor.actions.usage import usd

        return {
            "rule": self.rule,
            "workflow": self.workflow,
            "severity": self.severity,
            "status": self.status,
            "message": self.message,
            "solution": self.solution,
            "calls": self.calls,
            "example_record_ids": list(self.example_record_ids),
            "waiver": self.waiver,
            "window": self.window,
            "unpriced_calls": self.unpriced_calls,
            "cost_at_risk": usd(self.cost_at_risk_pico),
        }


class Judged(Protocol):
    """A group of calls with its decision, as actions/govern.py makes it."""

    @property
    def workflow_id(self) -> str | None: ...
    @property
    def calls(self) -> int: ...
    @property
    def contracted_pico(self) -> int: ...
    @property
    def unpriced_calls(self) -> int: ...
    @property
    def examples(self) -> tuple[str, ...]: ...
    @property
    def decision(self) -> Decision: ...


@dataclass
class _Sum:
    severity: str
    solution: str
    waiver: str | None
    calls: int = 0
    pico: int = 0
    unpriced: int = 0
    examples: list[str] = field(default_factory=list)


def findings(ctx: Context, period: str, *, as_of: str = "event") -> list[Finding]:
    """Everything policy objects to in the calendar month `YYYY-MM`."""
    return findings_of(ctx, govern_month(ctx, period, as_of=as_of), period)


def findings_of(ctx: Context, month: GovernedMonth, period: str) -> list[Finding]:
    """The same for a month that is already governed."""
    return in_order(
        [
            *call_findings(month.groups),
            *window_findings(month_windows(ctx, month, period)),
            *source_findings(ctx, month),
            *route_findings(ctx, month),
        ]
    )


def source_findings(ctx: Context, month: GovernedMonth) -> list[Finding]:
    """What sources did not bring in the month, as far as anyone can tell (actions/completeness.py)."""
    from governor.actions.completeness import completeness

    until = min(month.end, ctx.now())
    found = []
    for one in completeness(ctx, since=month.start, until=until) if until > month.start else ():
        name = one["source"] or "a source without a name"
        missing = sum(short["missing"] or 0 for short in one["windows"]) + sum(loss["lost"] for loss in one["lost"])
        holes = sum(bool(short["hole"]) for short in one["windows"])
        if missing or holes:
            said = f"{name}: {missing:,} calls are known of and not stored, {holes:,} window{'s' if holes != 1 else ''} could not be read whole"
            todo = "`governor sources completeness` names hours and calls; read them from another export of the source."
            found.append(Finding("source.completeness", None, "high", "warning", said, todo, missing, 0))
        if one["gaps"]:
            hours = sum(gap["hours"] for gap in one["gaps"])
            said = f"{name}: silent for {hours:,} hour{'s' if hours != 1 else ''} in which it used to bring calls, first from {one['gaps'][0]['start']}"
            todo = "Look whether the sender stopped, then read the missing hours from an export."
            found.append(Finding("source.silence", None, "high", "warning", said, todo, 0, 0))
    return found


def route_findings(ctx: Context, month: GovernedMonth) -> list[Finding]:
    """Approved routes that were asked again in the month and are not what was approved (actions/revalidate.py), the last check of each; and changes
    whose traffic, when it was last looked at, went elsewhere (actions/verify_change.py).
    """
    from governor.actions.route_checks import checks_between
    from governor.actions.verify_change import newest_cutovers

    todo = "Look at the check on the change's page; propose a change, or let the approval run out. No route was changed."
    found = []
    for check in checks_between(ctx, month.start, month.end):
        if check["verdict"] in {"broken", "drifted"}:
            broken = check["verdict"] == "broken"
            severity, status = ("high", "violation") if broken else ("medium", "warning")
            found.append(
                Finding(
                    "route.revalidation",
                    check["workflow"],
                    severity,
                    status,
                    f"{check['change']}: {(check['result'] or {})['sentence']}",
                    todo,
                    0,
                    0,
                )
            )
    for change in newest_cutovers(ctx):
        seen = json.loads(change.verification or "{}")
        if change.state == State.DRIFTED and datetime.fromisoformat(seen["until"]) <= month.end:
            said = f"{change.id}: {seen['share']}% of the calls from {seen['since'][:10]} to {seen['until'][:10]} took the approved route"
            todo = "Set the route right in the gateway, or propose what it does now; then run `governor change verify` for the change."
            found.append(Finding("route.drift", change.workflow_id, "medium", "warning", said, todo, seen["elsewhere"], 0))
    return found


def call_findings(groups: Iterable[Judged]) -> list[Finding]:
    """Groups that share rule, workflow and message are one finding."""
    sums: dict[tuple[str, str, str | None, str], _Sum] = {}
    for group in groups:
        for status, rule, message, severity, solution, waiver in objections(group.decision):
            one = sums.setdefault((status, rule, group.workflow_id, message), _Sum(severity, solution, waiver))
            one.calls += group.calls
            one.pico += group.contracted_pico
            one.unpriced += group.unpriced_calls
            one.examples += group.examples[: EXAMPLES - len(one.examples)]
    return [
        Finding(
            rule,
            workflow,
            one.severity,
            status,
            message,
            one.solution,
            one.calls,
            one.pico,
            tuple(one.examples),
            one.waiver,
            unpriced_calls=one.unpriced,
        )
        for (status, rule, workflow, message), one in sums.items()
    ]


def window_findings(windows: Sequence[tuple[Window, Decision]]) -> list[Finding]:
    """What a workflow did over a day or month as a whole."""
    return [
        Finding(
            rule,
            window.workflow_id,
            severity,
            status,
            message,
            solution,
            window.calls,
            window.contracted_pico,
            (),
            waiver,
            window.name,
            window.unpriced_calls,
        )
        for window, decision in windows
        for status, rule, message, severity, solution, waiver in objections(decision)
    ]


def objections(decision: Decision) -> list[tuple[str, str, str, str, str, str | None]]:
    """(status, rule, message, severity, solution, waiver) of everything but a plain yes."""
    found: list[tuple[str, str, str, str, str, str | None]] = [
        ("violation", one.rule, one.message, one.severity, one.solution, None) for one in decision.violations
    ]
    found += [
        ("undecided", one.rule, one.reason, "medium", "Make the source say it, or state it in the catalog.", None)
        for one in decision.undecided
    ]
    found += [("waived", one.rule, one.message, one.severity, one.solution, one.waiver) for one in decision.waived]
    found += [("warning", one.rule, one.message, one.severity, one.solution, None) for one in decision.warnings]
    if not found and not decision.allow:
        found.append(("undecided", "policy", "the policy refused without a reason", "high", "Report a defect of the policy bundle.", None))
    return found


def in_order(found: Iterable[Finding]) -> list[Finding]:
    return sorted(
        found,
        key=lambda one: (
            STATUS_WEIGHT[one.status],
            SEVERITY_WEIGHT.get(one.severity, 0),
            -one.cost_at_risk_pico,
            -one.calls,
            one.rule,
            one.workflow or "",
            one.message,
        ),
    )
