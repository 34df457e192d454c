"""`governor usage`: a month cut by any of the governed dimensions, with coverage and what would map the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
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
Key = tuple[str | None, ...]
Sums = tuple[int | None, ...]
SUMMED: Final[Callable[[Group], Sums]] = attrgetter(
    "calls", "unpriced_calls", "list_pico", "contracted_pico", "gateway_pico", "provider_pico", *TOKEN_SUMS
)


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
    return rows_of(sums_by(groups, by), by)


def sums_by(groups: Iterable[Group], by: Sequence[str]) -> dict[Key, Sums]:
    """The sums of each distinct key of the named dimensions."""
    readers = [DIMENSION_READERS[name] for name in by]
    bins: dict[Key, list[Sums]] = defaultdict(list)
    for group in groups:
        bins[tuple(read(group) for read in readers)].append(SUMMED(group))
    return {key: added(members) for key, members in bins.items()}


def added(several: Iterable[Sums]) -> Sums:
    return tuple(add_known(column) for column in zip(*several, strict=True))


def rows_of(sums: Mapping[Key, Sums], by: Sequence[str]) -> list[dict[str, Any]]:
    """Dearest first."""
    rows = []
    for key, (calls, unpriced, listed, contracted, gateway, provider, *tokens) in sums.items():
        row: dict[str, Any] = dict(zip(by, key, strict=True))
        row["calls"] = calls
        row |= zip(TOKEN_SUMS, tokens, strict=True)
        row["list_cost"] = usd(listed or 0)
        row["contracted_cost"] = usd(contracted or 0)
        row["unpriced_calls"] = unpriced
        row["gateway_cost"], row["provider_cost"] = (None if pico is None else usd(pico) for pico in (gateway, provider))
        row["ledger_cost"] = row["contracted_cost"]
        rows.append(row)
    return sorted(rows, key=lambda row: (-Decimal(row["contracted_cost"]), -row["calls"], *[str(row[name]) for name in by]))


def add_known(values: Iterable[int | None]) -> int | None:
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
