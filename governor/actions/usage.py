"""`governor usage`: a month cut by any of the governed dimensions, with coverage and what would map the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from governor.actions.context import Context
from governor.actions.govern import Group, govern_month
from governor.actions.suggest_rules import suggested_rules
from governor.chargeback.statement import coverage_document
from governor.errors import Invalid
from governor.prices.price import PICO

DIMENSION_READERS: Final[dict[str, Callable[[Group], str | None]]] = {
    "workflow": lambda group: group.workflow_id,
    "owner": lambda group: group.owner,
    "cost_center": lambda group: group.cost_center,
    "provider": lambda group: group.provider,
    "model": lambda group: group.model,
    "requested_model": lambda group: group.requested_model,
    "status": lambda group: group.status,
    "environment": lambda group: group.environment,
    "data_class": lambda group: group.data_class,
    "traffic_class": lambda group: group.traffic_class,
    "region": lambda group: group.region,
    "gateway_cache": lambda group: group.gateway_cache,
    "source": lambda group: group.source_kind,
    "day": lambda group: group.day,
    "rule": lambda group: group.rule_id,
    "route": lambda group: group.route_status,
    "pricing": lambda group: group.price_status,
    "prompt": lambda group: group.keys.get("prompt_id"),
    "prompt_version": lambda group: group.keys.get("prompt_version"),
}
PROMPT_KEYS: Final = ("prompt_id", "prompt_version")  # in the sums of a month only where somebody asks for them
PROMPTS: Final = frozenset({"prompt", "prompt_version"})  # the dimensions that ask
DIMENSIONS: Final = tuple(DIMENSION_READERS)
TOKEN_SUMS: Final = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


def usage_report(ctx: Context, period: str, by: Sequence[str], *, as_of: str = "event") -> dict[str, Any]:
    """The document of DESIGN section 5. Token sums are null where no call of the row knew its usage; money is a decimal string in USD.

    `ledger_cost` is what is charged: the contract's price, else the list's, else the provider's own charge. `gateway_cost` and `provider_cost` are what those
    say, null where they say nothing; they are shown beside it and do not enter a sum.
    """
    unknown = [name for name in by if name not in DIMENSION_READERS]
    if unknown:
        raise Invalid(f"cannot group by {', '.join(unknown)}", hint=f"choose from {', '.join(DIMENSIONS)}")
    finer = "day" in by or bool(PROMPTS & set(by))
    month = govern_month(ctx, period, as_of=as_of, by_day="day" in by, cut=PROMPT_KEYS if PROMPTS & set(by) else ())
    # what unpriced calls could have cost hangs on the sums it is computed from: coverage is that of the month as it is charged
    whole = govern_month(ctx, period, as_of=as_of, snapshot=month.snapshot) if finer else month
    return {
        "period": period,
        "snapshot": month.snapshot,
        "as_of": as_of,
        "price_book": month.price_book,
        "policy_revision": month.policy_revision,
        "catalog": month.catalog_digest,
        "rows": usage_rows(month.groups, by),
        "coverage": coverage_document(whole.coverage),
        "suggestions": [suggestion_document(found) for found in suggested_rules(ctx, whole, as_of=as_of)],
    }


def usage_rows(groups: Sequence[Group], by: Sequence[str]) -> list[dict[str, Any]]:
    """Groups added up by the named dimensions, dearest first."""
    bins: dict[tuple[str | None, ...], list[Group]] = defaultdict(list)
    for group in groups:
        bins[tuple(DIMENSION_READERS[name](group) for name in by)].append(group)
    rows = []
    for key, members in bins.items():
        row: dict[str, Any] = dict(zip(by, key, strict=True))
        row["calls"] = sum(member.calls for member in members)
        for name in TOKEN_SUMS:
            row[name] = add_known(getattr(member, name) for member in members)
        row["list_cost"] = usd(sum(member.list_pico for member in members))
        row["contracted_cost"] = usd(sum(member.contracted_pico for member in members))
        row["unpriced_calls"] = sum(member.unpriced_calls for member in members)
        row["gateway_cost"], row["provider_cost"] = (
            None if pico is None else usd(pico)
            for pico in (add_known(member.gateway_pico for member in members), add_known(member.provider_pico for member in members))
        )
        row["ledger_cost"] = row["contracted_cost"]
        rows.append(row)
    return sorted(rows, key=lambda row: (-Decimal(row["contracted_cost"]), -row["calls"], *[str(row[name]) for name in by]))


def add_known(values: Any) -> int | None:
    """Sum of what is known; null when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def suggestion_document(found: Any) -> dict[str, Any]:
    return {"match": found.match, "calls": found.calls, "spend": usd(found.spend_pico), "looks_like": found.workflow_id, "yaml": found.yaml}


def usd(pico: int) -> str:
    """Exact decimal text of an amount in pico-USD, at least two decimals."""
    value = (Decimal(pico) / PICO).normalize() if pico else Decimal(0)
    text = f"{value:f}"
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents.ljust(2, '0')}"
