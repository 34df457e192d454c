"""OpenRouter: the activity report, by day and model, in credits of one dollar.

Owns: its JSON and CSV. Invariants: one amount for all meters of a model; what was paid to a provider with one's own key is no part of this bill.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from connectors.archives import head_of
from connectors.bills.reading import Record, Wrong, begins_as_json, buckets, columns_of, day_of, first_of, lines_of, maybe, money, table
from governor.chargeback.reconciliation.bill import Bill, BillLine
from governor.ports import Payload


class OpenrouterBill:
    name = "openrouter"

    def detect(self, head: bytes, uri: str) -> float:  # noqa: ARG002 - the port's signature
        text, found = head_of(head), columns_of(head)
        known = b'"byok_usage_inference"' in text or b'"model_permaslug"' in text or {"slug", "byok usage"} <= found
        return 1.0 if known or {"model_permaslug", "usage"} <= found else 0.0

    def read(self, payload: Payload) -> Bill:
        if begins_as_json(payload):
            return lines_of(payload.uri, buckets(payload), _lines)
        return lines_of(payload.uri, table(payload), _lines, first=2)


def _lines(row: Record) -> Iterable[BillLine]:
    row = {name.lower().replace(" ", "_"): value for name, value in row.items()}  # the page's CSV says `Slug` and `Prompt Tokens`
    model = str(first_of(row, "model_permaslug", "model", "slug"))
    if not model:
        raise Wrong("model", "is missing")
    sent, answered = maybe(row, "prompt_tokens"), maybe(row, "completion_tokens")
    yield BillLine(
        day=day_of(row, "date"),
        issuer="openrouter",
        account="",
        model=model,
        meter="",
        tier=None,
        kind="usage",
        currency="USD",
        amount=money(row, "usage"),
        quantity=None if sent is None or answered is None else Decimal(sent + answered),
        text=model,
    )


reader = OpenrouterBill()
