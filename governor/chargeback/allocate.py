"""Shared costs: production lines of a source, shared out over cost centers by ordered rules, in one pass.

Owns: which rule takes a line, the weights of a method, the allocated lines, what was left and why. Does not own: what a rule may say (catalog/allocation), the split
(shares.py), cents. Invariants: the parts of a line sum to it exactly in list cost, contracted cost, quantity and calls; each part names rule, version, ratio and the line
it came from; a line is shared out at most once; what cannot be shared out stays where it was and is named; shadow spend and corrections are never shared out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from governor.catalog.allocation import BUILT_IN_DRIVERS, AllocationDocument, DriverDocument
from governor.catalog.snapshot import AllocationRule
from governor.chargeback.amounts import cents_text, usd
from governor.chargeback.lines import MEASURES, UNALLOCATED, Line, add_up
from governor.chargeback.shares import ratio_text, ratios, split
from governor.prices.rate import round_half_even


@dataclass(frozen=True)
class Flow:
    """What one rule moved from one cost center to another. ratio: of what the rule took from the source."""

    rule: str
    method: str
    source: str
    target: str
    pico: int
    lines: int


@dataclass(frozen=True)
class Left:
    """Spend a rule should have shared out and could not. blocking: the month must not close like this."""

    rule: str
    source: str
    pico: int
    reason: str
    blocking: bool = False


@dataclass(frozen=True)
class Allocation:
    lines: list[Line]
    flows: list[Flow]
    left: list[Left]


def allocate(lines: Sequence[Line], rules: Sequence[AllocationRule], drivers: Mapping[str, DriverDocument], month: str) -> Allocation:
    """Every line, shared out where a rule takes it. `rules` in the order in which they are asked."""
    taken: dict[str, list[Line]] = defaultdict(list)
    kept: list[Line] = []
    sourced = [rule for rule in rules if rule.document.source is not None]
    for line in lines:
        rule = next((rule for rule in sourced if _takes(rule.document, line)), None)
        (kept if rule is None else taken[rule.document.id]).append(line)
    sources = {rule.document.source.cost_center for rule in sourced if rule.document.source and rule.document.source.cost_center}
    direct = [line for line in kept if line.traffic_class == "production" and line.cost_center not in {*sources, UNALLOCATED}]
    made: list[Line] = []
    left: list[tuple[Left, list[Line]]] = []
    for rule in sourced:
        for reason, blocking, members, weights in _shares(rule.document, taken.get(rule.document.id, []), direct, drivers, month):
            if weights:
                shares = ratios(weights)
                made += [part for line in members for part in _parts(line, rule, shares)]
            elif members:
                left.append((_left(rule, members, reason, blocking), members))
    residual = next((rule for rule in rules if rule.document.method == "residual"), None)
    if residual is None:
        return _result([*kept, *(line for _, members in left for line in members)], made, [one for one, _ in left], rules)
    stay = [one for one, _ in left if one.blocking]
    rest = [line for one, members in left if not one.blocking for line in members]
    nobody = [line for line in kept if line.traffic_class == "production" and line.cost_center == UNALLOCATED]
    made += [part for line in (*rest, *nobody) for part in _parts(line, residual, ratios({residual.document.targets[0]: 1}))]
    gone = {line.line_id for line in nobody}
    kept = [line for line in kept if line.line_id not in gone]
    return _result([*kept, *(line for one, members in left if one.blocking for line in members)], made, stay, rules)


def _takes(rule: AllocationDocument, line: Line) -> bool:
    if line.traffic_class != "production" or line.corrects or rule.source is None:
        return False
    return line.workflow_id == rule.source.workflow if rule.source.workflow else line.cost_center == rule.source.cost_center


def _shares(
    rule: AllocationDocument, members: list[Line], direct: Sequence[Line], drivers: Mapping[str, DriverDocument], month: str
) -> list[tuple[str, bool, list[Line], dict[str, int]]]:
    """(why not, whether that blocks, lines, weights): one part for most methods; for `mapped` one part per target."""
    if rule.method in {"direct", "even"}:
        return [("", False, members, dict.fromkeys(rule.targets, 1))]
    if rule.method == "fixed":
        return [("", False, members, _whole(rule.percents))]
    if rule.method == "mapped":
        parts: dict[str, list[Line]] = defaultdict(list)
        for line in members:
            parts[rule.mapping.get(_value(line, rule.by or ""), "")].append(line)
        return [
            (f"its {rule.by} is not in the mapping", False, found, {target: 1} if target else {}) for target, found in sorted(parts.items())
        ]
    if rule.method == "driver" and rule.driver not in BUILT_IN_DRIVERS:
        driver = drivers.get(f"{rule.driver}/{month}")
        if driver is None:
            return [(f"driver {rule.driver} has no weights for {month}", True, members, {})]
        named = _whole(driver.weights)
    else:
        named = measured(direct, rule.driver or "cost")
    weights = {name: weight for name, weight in named.items() if weight and (not rule.targets or name in rule.targets)}
    words = f"driver {rule.driver} gives none of the targets a weight" if rule.driver else "no target has direct cost in this month"
    return [(words, False, members, weights)]


def measured(direct: Sequence[Line], what: str) -> dict[str, int]:
    """Direct production use by cost center: cost in pico-USD, tokens or calls."""
    found: dict[str, int] = defaultdict(int)
    for line in direct:
        tokens = line.quantity if line.unit == "Tokens" else 0
        found[line.cost_center] += tokens if what == "tokens" else line.calls if what == "calls" else line.cost_pico
    return dict(found)


def _whole(weights: Mapping[str, str]) -> dict[str, int]:
    """Decimal texts as integers in one common unit."""
    numbers = {name: Decimal(text) for name, text in weights.items()}
    places = max((-int(exponent) for number in numbers.values() if isinstance(exponent := number.as_tuple().exponent, int)), default=0)
    return {name: int(number.scaleb(max(places, 0))) for name, number in numbers.items() if number}


def _value(line: Line, by: str) -> str:
    return {"workflow": line.workflow_id, "owner": line.owner, "provider": line.provider, "model": line.model}.get(by) or ""


def _parts(line: Line, rule: AllocationRule, shares: Mapping[str, int]) -> list[Line]:
    measures: dict[str, dict[str, int]] = {name: split(getattr(line, name), shares) for name in MEASURES}
    return [
        replace(
            line,
            cost_center=target,
            rule=rule.name,
            origin=line.line_id,
            origin_center=line.cost_center,
            method=rule.document.method,
            ratio=ratio_text(units),
            quantity=measures["quantity"][target],
            calls=measures["calls"][target],
            list_pico=measures["list_pico"][target],
            contracted_pico=measures["contracted_pico"][target],
            covered_pico=measures["covered_pico"][target],
            effective_pico=measures["effective_pico"][target],
        )
        for target, units in sorted(shares.items())
    ]


def _left(rule: AllocationRule, members: Sequence[Line], reason: str, blocking: bool) -> Left:
    source = rule.document.source.words if rule.document.source else ""
    return Left(rule.name, source, sum(line.cost_pico for line in members), reason, blocking)


def _result(kept: Sequence[Line], made: Sequence[Line], left: list[Left], rules: Sequence[AllocationRule]) -> Allocation:
    place = {rule.name: number for number, rule in enumerate(rules)}
    flows: dict[tuple[int, str, str, str, str], list[Line]] = defaultdict(list)
    for line in made:
        flows[(place[line.rule], line.rule, line.method, line.origin_center, line.cost_center)].append(line)
    return Allocation(
        add_up([*kept, *made]),
        [
            Flow(rule, method, source, target, sum(line.cost_pico for line in found), len(found))
            for (_, rule, method, source, target), found in sorted(flows.items())
        ],
        left,
    )


def allocation_document(found: Allocation | None) -> dict[str, Any]:
    """What rules moved and what they could not; `share` is of what the rule took from that source."""
    flows, left = (found.flows, found.left) if found else ([], [])
    taken: dict[tuple[str, str], int] = defaultdict(int)
    for flow in flows:
        taken[(flow.rule, flow.source)] += flow.pico
    return {
        "total": usd(sum(flow.pico for flow in flows)),
        "flows": [
            {
                "rule": flow.rule,
                "method": flow.method,
                "source": flow.source,
                "target": flow.target,
                "origin": usd(taken[(flow.rule, flow.source)]),
                "percent": _share(flow.pico, taken[(flow.rule, flow.source)]),
                "amount": usd(flow.pico),
                "lines": flow.lines,
            }
            for flow in flows
        ],
        "left": [
            {"rule": one.rule, "source": one.source, "amount": usd(one.pico), "reason": one.reason, "blocks": one.blocking} for one in left
        ],
    }


def _share(part: int, whole: int) -> str:
    """Percent to the nearest hundredth: of two equal parts one may have a pico-USD less, and is half nevertheless."""
    return cents_text(round_half_even(part * 10_000, whole)) if whole else "0.00"
