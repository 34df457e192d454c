"""OpenAI: the costs API (money), the same as the dashboard's CSV, and the usage API (tokens), by day, project and line item.

Owns: both answers, pages and all, and the CSV. Invariants: `amount.value` is read from its digits; a line item that is no model's keeps its words; usage without money
carries tokens only; input tokens are told apart into uncached, cached and cache writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
    number,
    table,
)
from connectors.bills.words import Said, kind_of, said, tier_of
from governor.chargeback.reconciliation.bill import Bill, BillLine
from governor.ports import Payload

TIER: Final = re.compile(r"[ -]+(batch|flex|priority)(?:[ -]+(?:api|processing))?\b", re.IGNORECASE)
TOKENS: Final = (("input", "input_uncached_tokens"), ("cache_read", "input_cached_tokens"), ("cache_write", "input_cache_write_tokens"))


class OpenaiBill:
    name = "openai"

    def detect(self, head: bytes, uri: str) -> float:  # noqa: ARG002 - the port's signature
        text = head_of(head)
        found = (
            b'"organization.costs.result"' in text or b'"organization.usage.' in text or {"amount_value", "line_item"} <= columns_of(head)
        )
        return 1.0 if found else 0.0

    def read(self, payload: Payload) -> Bill:
        if begins_as_json(payload):
            return lines_of(payload.uri, _results(payload), _lines)
        return lines_of(payload.uri, table(payload), _exported, first=2)


def _exported(row: Record) -> Iterable[BillLine]:
    """A row of the dashboard's CSV. A day without cost has its times and nothing else."""
    if "amount_value" not in row:
        raise Wrong("amount_value", "is missing")
    if any(value for name, value in row.items() if not name.startswith(("start_time", "end_time"))):
        yield from _lines({**row, "amount": {"value": row["amount_value"], "currency": row.get("amount_currency")}})


def _results(payload: Payload) -> Iterator[Record]:
    """Each result with the times of its bucket; a bucket of no results is nothing."""
    for bucket in buckets(payload):
        inside = bucket.get("results", bucket.get("result"))
        if inside is None:
            yield bucket
            continue
        for result in inside:
            times = {name: bucket[name] for name in ("start_time", "end_time", "start_time_iso") if name in bucket}
            yield {**times, **result}


def _lines(row: Record) -> Iterable[BillLine]:
    day = day_of(row, "start_time", "start_time_iso", "date")
    account = str(first_of(row, "project_id", "project_name"))
    if "amount" in row:
        yield _cost(row, day, account)
    elif str(row.get("object", "")).startswith("organization.usage.") or "input_tokens" in row or "num_model_requests" in row:
        yield from _usage(row, day, account)
    else:
        raise Wrong("amount", "is missing")


def _cost(row: Record, day: str, account: str) -> BillLine:
    amount: Any = row["amount"]
    value = amount.get("value") if isinstance(amount, dict) else amount
    if value in (None, ""):
        raise Wrong("amount.value", "is missing")
    item = str(row.get("line_item") or "")
    words = words_of(item)
    kind = kind_of(item)
    return BillLine(
        day=day,
        issuer="openai",
        account=account,
        model=words.model if words.meter not in {"web_search", "file_search", "code_execution"} else "",
        meter=words.meter if item else "",
        tier=words.tier,
        kind=kind,
        currency=currency_of(amount.get("currency") if isinstance(amount, dict) else row.get("currency"), "amount.currency"),
        amount=number(value, "amount.value"),
        quantity=maybe(row, "quantity"),
        text=item,
    )


def words_of(item: str) -> Said:
    """`gpt-4o-2024-08-06 batch, cached input`: the model stands before the last comma, the meter after it."""
    model, comma, meter = item.rpartition(",")
    if not comma:
        return said(item)
    after, tier = said(meter.replace("_", " ")), TIER.search(model)
    return Said(TIER.sub("", model).strip(), after.meter, tier[1].lower() if tier else after.tier)


def _usage(row: Record, day: str, account: str) -> Iterable[BillLine]:
    tier = "batch" if row.get("batch") is True else tier_of(row.get("service_tier"))
    tokens = {meter: maybe(row, column) for meter, column in TOKENS}
    if tokens["input"] is None:
        whole = maybe(row, "input_tokens")
        tokens["input"] = None if whole is None else whole - (tokens["cache_read"] or 0) - (tokens["cache_write"] or 0)
    tokens["output"] = maybe(row, "output_tokens")
    for meter, quantity in tokens.items():
        if quantity:
            yield BillLine(day, "openai", account, str(row.get("model") or ""), meter, tier, "usage", "USD", None, quantity)


reader = OpenaiBill()
