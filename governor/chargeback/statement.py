"""The month's statement as one document: cost centers, workflows, lines, corrections, what has no price, and where every number came from.

Owns: the document's shape, cents, subtotals that foot. Does not own: how it looks (reports/), how lines are made (lines.py). Invariants: the statement total is the
exact sum rounded once; cost centers split it, lines split their cost center, both by largest remainder, so every column foots; unpriced use and unallocated
spend are in the document; no clock and no randomness: same input, same document.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from governor.chargeback.allocate import Allocation, allocation_document
from governor.chargeback.allocation import split_cents, to_cents
from governor.chargeback.amounts import cents_text, percent, usd
from governor.chargeback.commitments import CLASS as COMMITMENT
from governor.chargeback.commitments import Settled, commitments_document
from governor.chargeback.coverage import Coverage
from governor.chargeback.lines import UNALLOCATED, Line, UnpricedUse
from governor.chargeback.plans import CLASS
from governor.ledger.canonical import counted

__all__ = ["StatementInput", "cents_text", "coverage_document", "for_cost_center", "percent", "previous_of", "statement_document", "usd"]
SCHEMA: Final = "governor.statement/v1"
CURRENCY: Final = "USD"
MATERIAL_CENTS: Final = 100_00  # corrections are told apart from 100 dollars, or half a percent of the month's usage if that is more
MATERIAL_SHARE: Final = 200


@dataclass(frozen=True)
class StatementInput:
    """Everything a statement says. header: organization, month, zone, start, end, state words, provenance (JSON values)."""

    header: Mapping[str, Any]
    lines: Sequence[Line]
    corrections: Sequence[Line]
    unpriced: Sequence[UnpricedUse]
    free_calls: Mapping[str, Mapping[str, int]]
    coverage: Coverage
    exception: Mapping[str, Any] | None = None
    previous: Mapping[str, Any] | None = None  # {"month", "totals": {cost center: cents}, "workflows": {cost center: {workflow: cents}}}
    budgets: Mapping[str, str] = field(default_factory=dict)  # workflow -> USD a month
    allocation: Allocation | None = None
    commitments: Sequence[Settled] = ()
    reconciliation: Mapping[str, Any] | None = None  # of the month, as reconciliation.bridge.printed cut it; None: no bill was compared


def statement_document(given: StatementInput) -> dict[str, Any]:
    """The whole month; `cost_centers` in stable order, each with its own lines."""
    every = [*given.lines, *given.corrections]
    by_center: dict[str, list[Line]] = defaultdict(list)
    for line in every:
        by_center[line.cost_center].append(line)
    for use in given.unpriced:
        by_center.setdefault(use.cost_center, [])
    for name in given.free_calls:
        by_center.setdefault(name, [])
    names = sorted(by_center)
    totals = split_cents({name: sum(line.contracted_pico for line in by_center[name]) for name in names})
    centers = [_cost_center(name, by_center[name], totals[name], given) for name in names]
    return {
        "schema": SCHEMA,
        **given.header,
        "currency": CURRENCY,
        "totals": {
            "list_cost": usd(sum(line.list_pico for line in every)),
            "contracted_cost": usd(sum(line.contracted_pico for line in every)),
            "statement_total": cents_text(sum(totals.values())),
            "usage_total": cents_text(sum(center["_usage_cents"] for center in centers)),
            "corrections_total": cents_text(sum(center["_correction_cents"] for center in centers)),
            "shadow_total": cents_text(sum(center["_shadow_cents"] for center in centers)),
            "commitment_total": cents_text(sum(center["_commitment_cents"] for center in centers)),
            "shared_total": cents_text(sum(center["_shared_cents"] for center in centers)),
            "unallocated_total": cents_text(totals.get(UNALLOCATED, 0)),
            "currency": CURRENCY,
            "calls": sum(line.calls for line in given.lines) + sum(use.calls for use in given.unpriced) + _free(given.free_calls.values()),
            "lines": len(every),
            "cost_centers": len(centers),
        },
        "reconciliation": given.reconciliation,
        "allocation": allocation_document(given.allocation),
        "commitments": commitments_document(given.commitments),
        "coverage": coverage_document(given.coverage),
        "exception": dict(given.exception) if given.exception else None,
        "previous": {"month": given.previous["month"], "total": cents_text(sum(given.previous["totals"].values()))}
        if given.previous
        else None,
        "cost_centers": _public(centers),
    }


def for_cost_center(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The month's document as one cost center may see it: its own lines, everybody's totals."""
    (center,) = [center for center in document["cost_centers"] if center["id"] == name]
    return {key: value for key, value in document.items() if key != "cost_centers"} | {"cost_center": center}


def _cost_center(name: str, lines: Sequence[Line], total: int, given: StatementInput) -> dict[str, Any]:
    cents = split_cents({line.line_id: line.contracted_pico for line in lines}, total_cents=total) if lines else {}
    shown = [_line(line, cents[line.line_id]) for line in lines]
    usage = [one for one in shown if not one["corrects"] and one["traffic_class"] not in {CLASS, COMMITMENT}]
    commitments = [one for one in shown if not one["corrects"] and one["traffic_class"] == COMMITMENT]
    internal = [one for one in shown if not one["corrects"] and one["traffic_class"] == CLASS]
    corrections = [one for one in shown if one["corrects"]]
    free = dict(sorted(given.free_calls.get(name, {}).items()))
    unpriced = [use for use in given.unpriced if use.cost_center == name]
    previous = given.previous["totals"].get(name) if given.previous else None
    return {
        "id": name,
        "document": "credit_memo" if total < 0 else "statement",
        "total": cents_text(total),
        "usage_total": _sum(usage),
        "corrections_total": _sum(corrections),
        "shared_total": _sum([one for one in usage if one["rule"]]),
        "internal_total": _sum(internal),
        "commitment_total": _sum(commitments),
        "material": _material(usage, corrections),
        "list_cost": usd(sum(line.list_pico for line in lines)),
        "contracted_cost": usd(sum(line.contracted_pico for line in lines)),
        "previous_total": None if previous is None else cents_text(previous),
        "calls": sum(line.calls for line in lines if not line.corrects) + sum(use.calls for use in unpriced) + sum(free.values()),
        "free_calls": free,
        "workflows": _workflows(name, [one for one in usage if not one["rule"]], given),
        "lines": usage,
        "internal": internal,
        "commitments": commitments,
        "corrections": corrections,
        "unpriced": [_unpriced(use) for use in unpriced],
        "_shared_cents": sum(one["_cents"] for one in usage if one["rule"]),
        "_commitment_cents": sum(one["_cents"] for one in commitments),
        "_usage_cents": sum(one["_cents"] for one in usage),
        "_correction_cents": sum(one["_cents"] for one in corrections),
        "_shadow_cents": sum(one["_cents"] for one in usage if one["traffic_class"] != "production"),
    }


def _line(line: Line, cents: int) -> dict[str, Any]:
    return {
        "line_id": line.line_id,
        "corrects": line.corrects,
        "style": line.style,
        "charge_month": line.charge_month,
        "workflow": line.workflow_id,
        "owner": line.owner,
        "provider": line.provider,
        "model": line.model,
        "service_tier": line.service_tier,
        "traffic_class": line.traffic_class,
        "route_status": line.route_status,
        "meter": line.meter,
        "unit": line.unit,
        "quantity": counted(line.quantity),
        "calls": line.calls,
        "list_price": _price(line.list_amount, line.list_per),
        "contract_price": _price(line.contract_amount, line.contract_per),
        "price_source": line.price_source,
        "contract_terms": line.terms,
        "list_cost": usd(line.list_pico),
        "contracted_cost": usd(line.contracted_pico),
        "commitment": line.commitment,
        "covered_cost": usd(line.covered_pico),
        "amortized_cost": usd(line.effective_pico),
        "rule": line.rule,
        "method": line.method,
        "ratio": line.ratio,
        "origin": line.origin,
        "origin_cost_center": line.origin_center,
        "arithmetic": line.arithmetic,
        "amount": cents_text(cents),
        "_cents": cents,
        "_quantity": line.quantity,
    }


def _material(usage: Sequence[Mapping[str, Any]], corrections: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Whether corrections of earlier months are large enough to be told to the owner: both sides of the comparison are in it."""
    net = sum(one["_cents"] for one in corrections)
    gross = sum(abs(one["_cents"]) for one in corrections)
    month = sum(one["_cents"] for one in usage)
    limit = max(MATERIAL_CENTS, month // MATERIAL_SHARE)
    return {
        "corrections": bool(corrections) and gross >= limit,
        "net": cents_text(net),
        "gross": cents_text(gross),
        "limit": cents_text(limit),
    }


def _public(value: Any) -> Any:
    """The document without the integers it was computed with."""
    if isinstance(value, dict):
        return {name: _public(inner) for name, inner in value.items() if not name.startswith("_")}
    return [_public(inner) for inner in value] if isinstance(value, list) else value


def _workflows(center: str, usage: Sequence[Mapping[str, Any]], given: StatementInput) -> list[dict[str, Any]]:
    """Subtotals by workflow, dearest first; shadow and other non-production spend apart."""
    bins: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for one in usage:
        bins[(one["workflow"] or "", one["traffic_class"])].append(one)
    previous = given.previous["workflows"].get(center, {}) if given.previous else {}
    rows = []
    for (workflow, traffic), members in bins.items():
        production = traffic == "production"
        before = previous.get(workflow) if production else None
        rows.append(
            {
                "workflow": workflow or None,
                "traffic_class": traffic,
                "owner": next((one["owner"] for one in members if one["owner"]), None),
                "calls": sum(one["calls"] for one in members),
                "tokens": counted(sum(one["_quantity"] for one in members if one["unit"] == "Tokens")),
                "amount": _sum(members),
                "unapproved": cents_text(
                    sum(one["_cents"] for one in members if production and one["route_status"] not in {"approved", "waived"})
                ),
                "previous": None if before is None else cents_text(before),
                "budget": given.budgets.get(workflow) if production else None,
                "_cents": sum(one["_cents"] for one in members),
            }
        )
    rows.sort(key=lambda row: (row["traffic_class"] != "production", -row["_cents"], row["workflow"] or "~"))
    return rows


def _unpriced(use: UnpricedUse) -> dict[str, Any]:
    return {
        "workflow": use.workflow_id,
        "provider": use.provider,
        "model": use.model,
        "reason": use.reason,
        "detail": use.detail,
        "calls": use.calls,
        "input_tokens": counted(use.input_tokens),
        "output_tokens": counted(use.output_tokens),
        "exposure": {"low": usd(use.exposure_low_pico), "middle": usd(use.exposure_mid_pico), "high": usd(use.exposure_high_pico)},
    }


def coverage_document(coverage: Coverage) -> dict[str, Any]:
    """Coverage with its three parts; percentages are cut, never rounded up, so that 95.00 is not shown for less. Of nothing they are 100."""

    def share(part: int) -> str:
        return "100.00" if coverage.nothing else percent(part, coverage.denominator_pico)

    return {
        "mapped_spend": usd(coverage.mapped_pico),
        "total_spend": usd(coverage.denominator_pico),
        "percent": share(coverage.mapped_pico),
        "sufficient": coverage.sufficient,
        "nothing_to_cover": coverage.nothing,
        "parts": {
            "workflow": share(coverage.workflow_pico),
            "owner": share(coverage.owner_pico),
            "approved_policy": share(coverage.approved_pico),
        },
        "calls": coverage.calls,
        "mapped_calls": coverage.mapped_calls,
        "unpriced_calls": coverage.unpriced_calls,
        "unpriced_exposure": {
            "low": usd(coverage.exposure_low_pico),
            "middle": usd(coverage.exposure_mid_pico),
            "high": usd(coverage.exposure_high_pico),
        },
    }


def previous_of(month: str, lines: Sequence[Line]) -> dict[str, Any]:
    """What a closed month charged, for comparison: cents by cost center and by workflow (production usage only)."""
    totals: dict[str, int] = defaultdict(int)
    workflows: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for line in lines:
        totals[line.cost_center] += line.contracted_pico
        if not line.corrects and not line.rule and line.traffic_class == "production":
            workflows[line.cost_center][line.workflow_id or ""] += line.contracted_pico
    return {
        "month": month,
        "totals": split_cents(dict(totals)),
        "workflows": {center: {name: to_cents(pico) for name, pico in found.items()} for center, found in workflows.items()},
    }


def _price(amount: str | None, per: int | None) -> dict[str, Any] | None:
    return None if amount is None else {"amount": amount, "per": per, "currency": CURRENCY}


def _sum(rows: Sequence[Mapping[str, Any]]) -> str:
    return cents_text(sum(row["_cents"] for row in rows))


def _free(found: Any) -> int:
    return sum(sum(reasons.values()) for reasons in found)
