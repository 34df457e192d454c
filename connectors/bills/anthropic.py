"""Anthropic: cost_report (amounts are decimal strings of CENTS), usage_report/messages (tokens) and the Console's cost CSV (dollars), by day and workspace.

Owns: both answers, pages and all, and the CSV. Invariants: an amount is divided by a hundred exactly; what is not grouped by description is read from what it has;
a workspace of null is the default one and stays empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

from connectors.archives import head_of
from connectors.bills.reading import (
    Record,
    Wrong,
    begins_as_json,
    buckets,
    columns_of,
    currency_of,
    day_of,
    first_of,
    lines_of,
    maybe,
    money,
    table,
)
from connectors.bills.words import kind_of, said, tier_of
from governor.chargeback.reconciliation.bill import Bill, BillLine
from governor.ports import Payload

METERS: Final = {
    "uncached_input_tokens": "input",
    "cache_read_input_tokens": "cache_read",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
    "cache_creation_input_tokens": "cache_write",
    "output_tokens": "output",
}
EXPORTED: Final = {
    "input_no_cache": "input",
    "input_cache_read": "cache_read",
    "input_cache_write_5m": "cache_write",
    "input_cache_write_1h": "cache_write_1h",
    "output": "output",
}
CENTS: Final = Decimal("0.01")


class AnthropicBill:
    name = "anthropic"

    def detect(self, head: bytes, uri: str) -> float:  # noqa: ARG002 - the port's signature
        text = head_of(head)
        if b'"starting_at"' not in text:
            return 1.0 if {"usage_date_utc", "cost_usd"} <= columns_of(head) else 0.0
        return (
            1.0 if any(word in text for word in (b'"cost_type"', b'"token_type"', b'"uncached_input_tokens"', b'"workspace_id"')) else 0.6
        )

    def read(self, payload: Payload) -> Bill:
        if begins_as_json(payload):
            return lines_of(payload.uri, _results(payload), _lines)
        return lines_of(payload.uri, table(payload), _exported, first=2)


def _exported(row: Record) -> Iterable[BillLine]:
    """A row of the Console's CSV: dollars and cents, workspaces by their names."""
    said_type, workspace = str(first_of(row, "token_type")), str(first_of(row, "workspace"))
    tokens = str(first_of(row, "cost_type") or "token") in {"token", "tokens"}
    yield BillLine(
        day=day_of(row, "usage_date_utc"),
        issuer="anthropic",
        account="" if workspace == "Default" else workspace,
        model=str(first_of(row, "model")) if tokens else "",
        meter=(EXPORTED.get(said_type) or said(said_type.replace("_", " ")).meter) if tokens else str(row["cost_type"]),
        tier="batch" if "batch" in str(first_of(row, "usage_type")).lower() else _fast(row),
        kind="usage",
        currency="USD",
        amount=money(row, "cost_usd"),
        list_amount=maybe(row, "list_price_usd"),
        text=said_type,
    )


def _results(payload: Payload) -> Iterator[Record]:
    for bucket in buckets(payload):
        inside = bucket.get("results")
        if inside is None:
            yield bucket
            continue
        for result in inside:
            yield {"starting_at": bucket.get("starting_at"), **result}


def _lines(row: Record) -> Iterable[BillLine]:
    day = day_of(row, "starting_at", "date")
    account = str(first_of(row, "workspace_id"))
    if "amount" in row:
        yield _cost(row, day, account)
    elif "uncached_input_tokens" in row or "output_tokens" in row:
        yield from _usage(row, day, account)
    else:
        raise Wrong("amount", "is missing")


def _cost(row: Record, day: str, account: str) -> BillLine:
    text = str(row.get("description") or "")
    kind_named, token_type = str(row.get("cost_type") or ""), str(row.get("token_type") or "")
    words = said(re.sub(r"\busage\b\s*-?", " ", text, flags=re.IGNORECASE))
    meter = METERS.get(token_type) or (kind_named if kind_named not in {"", "tokens"} else words.meter if text else "")
    return BillLine(
        day=day,
        issuer="anthropic",
        account=account,
        model=str(row.get("model") or ("" if kind_named not in {"", "tokens"} else words.model)),
        meter=meter,
        tier=_fast(row) or (tier_of(row.get("service_tier")) if row.get("service_tier") else words.tier),
        kind=kind_of(text) if kind_named in {"", "tokens"} else "usage",
        currency=currency_of(row.get("currency"), "currency"),
        amount=money(row, "amount") * CENTS,
        text=text,
    )


def _fast(row: Record) -> str | None:
    """Fast answers have prices of their own, and a column of their own beside the tier, which says standard."""
    return "fast" if str(row.get("speed") or "").lower() == "fast" else None


def _usage(row: Record, day: str, account: str) -> Iterable[BillLine]:
    written: Any = row.get("cache_creation") or {}
    tokens = {
        meter: maybe(row, column) for column, meter in METERS.items() if "." not in column and column != "cache_creation_input_tokens"
    }
    tokens["cache_write"] = maybe(written, "ephemeral_5m_input_tokens") or maybe(row, "cache_creation_input_tokens")
    tokens["cache_write_1h"] = maybe(written, "ephemeral_1h_input_tokens")
    for meter, quantity in tokens.items():
        if quantity:
            tier = _fast(row) or tier_of(row.get("service_tier"))
            yield BillLine(day, "anthropic", account, str(row.get("model") or ""), meter, tier, "usage", "USD", None, quantity)


reader = AnthropicBill()
