"""A month's spend as people read it: how much of it is explained, what has no price or no owner, who spent what.

Owns: the document of the spend page. Does not own: any number (govern.py, usage.py), the memory of a month (month_view.py).
Invariants: coverage and what unpriced calls could cost are of the month as it is charged, not of its days: the middle is a median, and the medians of
parts do not add up to that of the whole; filters narrow the table and the chart, never the coverage; shares are of the filtered whole; what has no price is not zero;
a closed month says what its statement charged, beside what the records say today.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from governor.actions.charge_month import charge_month
from governor.actions.context import Context
from governor.actions.govern import GovernedMonth, Group
from governor.actions.load_catalog import catalog_as_of
from governor.actions.month_view import matches, month_frame, month_view, month_whole, view_for
from governor.actions.remembered import remembered
from governor.actions.suggest_rules import suggested_rules
from governor.actions.usage import DIMENSION_READERS, added, rows_of, suggestion_document, sums_by, usage_rows, usd
from governor.catalog.yaml_text import TO_FILL_IN
from governor.chargeback.commitments import commitments_document
from governor.chargeback.period import month_bounds
from governor.chargeback.statement import coverage_document
from governor.errors import Invalid
from governor.prices.names import canonical_tier
from governor.prices.rate import round_half_even
from governor.store.rows.periods import Period

# What the table can be cut by -> the dimensions of a row, the naming one first.
CUTS: Final[dict[str, tuple[str, ...]]] = {
    "workflow": ("workflow", "owner", "cost_center"),
    "owner": ("owner",),
    "cost_center": ("cost_center",),
    "provider": ("provider",),
    "model": ("model", "provider"),
    "route": ("route",),
    "status": ("status",),
    "prompt": ("prompt", "prompt_version"),
}
FILTERS: Final = (*CUTS, "prompt_version")
EXAMPLES: Final = 3
SHARE: Final = Decimal("0.000001")


def show_spend(ctx: Context, period: str, *, by: str = "workflow", only: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The document of the page. only: dimension -> value, `-` for none. Raises Invalid for a malformed period or an unknown cut."""
    only = only or {}
    chosen = chosen_month(ctx, period, by, only)
    frame = month_frame(ctx, period)
    month, whole = month_view(ctx, period), month_whole(ctx, period)
    groups = [group for group in chosen.groups if matches(group, only)]
    rows, totals = table_of(groups, by)
    orphans = [group for group in month.groups if group.workflow_id is None]
    return {
        **frame,
        "coverage": coverage_document(whole.coverage),
        "closed": closed_total(ctx, period),
        "commitments": commitments(ctx, period),
        "unattributed": next(iter(usage_rows(orphans, [])), None),
        "unattributed_models": len({group.model for group in orphans}),
        "orphans": [example for group in orphans for example in group.examples][:EXAMPLES],
        "suggestions": [suggestion_document(one) for one in remembered(ctx, f"suggestions/{period}", lambda: suggested_rules(ctx, whole))],
        "unpriced": unpriced_rows(whole.groups, period),
        "by": by,
        "totals": totals,
        "rows": rows,
        "days": by_day(groups),
        "provenance": {
            "snapshot": month.snapshot,
            "price_book": month.price_book,
            "policy": month.policy_revision,
            "catalog": month.catalog_digest,
        },
    }


def spend_table(ctx: Context, period: str, *, by: str = "workflow", only: Mapping[str, str] | None = None) -> dict[str, Any]:
    """{"period","by","dimensions","snapshot","rows","totals"}: the page's table alone, its shares as text. Raises Invalid as show_spend does."""
    only = only or {}
    month = chosen_month(ctx, period, by, only)
    groups = [group for group in month.groups if matches(group, only)]
    rows, totals = table_of(groups, by)
    return {
        "period": period,
        "by": by,
        "dimensions": list(CUTS[by]),
        "snapshot": month.snapshot,
        "rows": [{**row, "share": str(row["share"].quantize(SHARE))} for row in rows],
        "totals": totals,
    }


def chosen_month(ctx: Context, period: str, by: str, only: Mapping[str, str]) -> GovernedMonth:
    """The month in which the cut and the filters are told apart. Raises Invalid for a malformed period, an unknown cut or filter."""
    for name, known in ((by, CUTS), *((name, FILTERS) for name in only)):
        if name not in known:
            raise Invalid(f"spend cannot be cut by {name[:40]!r}", hint=f"choose from {', '.join(known)}")
    return view_for(ctx, period, (*CUTS[by], *only))


def table_of(groups: Sequence[Group], by: str) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """(rows of a cut, their sum)."""
    sums = sums_by(groups, CUTS[by])
    totals = next(iter(rows_of({(): added(sums.values())} if sums else {}, [])), None)
    return [{**row, "cost_per_call": per_call(row), "share": share(row, totals)} for row in rows_of(sums, CUTS[by])], totals


def share(row: Mapping[str, Any], totals: Mapping[str, Any] | None) -> Decimal:
    whole = Decimal(totals["contracted_cost"]) if totals else Decimal(0)
    return Decimal(row["contracted_cost"]) / whole if whole else Decimal(0)


def per_call(row: Mapping[str, Any]) -> str | None:
    """Contracted cost of one priced call, to the pico-USD; none where no call has a price."""
    priced = row["calls"] - row["unpriced_calls"]
    return usd(round_half_even(int(Decimal(row["contracted_cost"]).scaleb(12)), priced)) if priced else None


def by_day(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Calls and contracted cost of every day that has calls."""
    return sorted(usage_rows(groups, ["day"]), key=lambda row: str(row["day"]))


def commitments(ctx: Context, period: str) -> list[dict[str, Any]]:
    """What each commitment of the month covers and what of it nobody used, as the statement would say it; nothing where the catalog has none."""
    _, end = month_bounds(period, catalog_as_of(ctx).organization.billing_zone)
    if not catalog_as_of(ctx, end).commitments:
        return []
    found: list[dict[str, Any]] = remembered(
        ctx, f"commitments {period}", lambda: commitments_document(charge_month(ctx, period).commitments)
    )
    return found


def closed_total(ctx: Context, period: str) -> dict[str, Any] | None:
    """What the statement of a closed month charged, and from which snapshot."""
    with ctx.rows.session() as session:
        row = session.get(Period, (ctx.org, period))
        if row is None or row.state != "closed":
            return None
        return {"total": json.loads(row.totals)["totals"]["statement_total"], "snapshot": row.snapshot, "closed_at": row.closed_at}


def unpriced_rows(groups: Sequence[Group], period: str) -> list[dict[str, Any]]:
    """Production calls without a price, by model, tier and reason, with what they could cost; most possible cost first."""
    bins: dict[tuple[str, str, str, str], list[Group]] = defaultdict(list)
    for group in groups:
        if group.price_status == "unpriced" and group.traffic_class == "production":
            model = group.model or group.requested_model or "-"
            bins[(group.provider or "-", model, canonical_tier(group.service_tier), group.rated.reason)].append(group)
    rows = [
        {
            "provider": provider,
            "model": model,
            "service_tier": tier,
            "reason": reason,
            "detail": members[0].rated.detail,
            "workflows": sorted({DIMENSION_READERS["workflow"](one) or "no workflow" for one in members}),
            "calls": sum(one.calls for one in members),
            "low": usd(sum(one.exposure.low_pico for one in members)),
            "high": usd(sum(one.exposure.high_pico for one in members)),
            "yaml": "" if reason == "unknown_usage" else price_yaml(provider, model, tier, period),
        }
        for (provider, model, tier, reason), members in bins.items()
    ]
    return sorted(rows, key=lambda row: (-Decimal(str(row["high"])), str(row["model"]), str(row["service_tier"]), str(row["reason"])))


def price_yaml(provider: str, model: str, tier: str, period: str) -> str:
    """Contract prices that would rate such calls, but for the amounts. Without its tier a price would be one of standard calls."""
    named = f"kind: contract_price\nprovider: {json.dumps(provider)}\nmodel: {json.dumps(model)}\n"
    named += f"service_tier: {json.dumps(tier)}\n" if tier else ""
    priced = f'price: {{amount: "{TO_FILL_IN}", per: 1000000, currency: USD}}\nvalid_from: {period}-01\n'
    return "---\n".join(f"{named}meter: {meter}\n{priced}" for meter in ("input", "output"))
