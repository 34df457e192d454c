"""Any other bill, as a CSV whose columns are named plainly: date, provider, model, meter, amount, and what else is known.

Owns: the names a column may have. Invariants: date, provider and amount are needed; a column with a unit in its name (amount_cents) is read in that unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from connectors.bills.reading import Record, Wrong, columns_of, currency_of, day_of, first_of, lines_of, maybe, money, table
from connectors.bills.words import kind_of, said, tier_of
from governor.chargeback.reconciliation.bill import KINDS, Bill, BillLine, issuer_of
from governor.ports import Payload
from governor.prices.names import canonical_provider

DATE: Final = ("date", "day", "usage_date", "start", "usage_start", "start_time")
AMOUNT: Final = ("amount", "cost", "amount_usd", "cost_usd", "total", "charge", "billed", "billed_cost")
CENTS: Final = ("amount_cents", "cost_cents")
METERS: Final = ("meter", "token_type", "usage_type", "line_item", "description")


class GenericBill:
    name = "csv"

    def detect(self, head: bytes, uri: str) -> float:  # noqa: ARG002 - the port's signature
        found = columns_of(head)
        return 0.55 if found & set(DATE) and found & {*AMOUNT, *CENTS} and found & {"provider", "issuer", "vendor"} else 0.0

    def read(self, payload: Payload) -> Bill:
        return lines_of(payload.uri, table(payload), _lines, first=2)


def _lines(row: Record) -> Iterable[BillLine]:
    row = {name.lower().replace(" ", "_"): value for name, value in row.items()}
    provider = str(first_of(row, "issuer", "provider", "vendor"))
    if not provider:
        raise Wrong("provider", "is missing")
    kind, meter = str(first_of(row, "kind", "type")).lower(), str(first_of(row, *METERS))
    if kind and kind not in KINDS:
        raise Wrong("kind", f"{kind[:40]!r} is not one of {', '.join(KINDS)}")
    words = said(meter.replace("_", " "))
    amount = money(row, *CENTS) * Decimal("0.01") if first_of(row, *CENTS) != "" else money(row, *AMOUNT)
    currency = currency_of(first_of(row, "currency"), "currency")
    yield BillLine(
        day=day_of(row, *DATE),
        issuer=issuer_of(canonical_provider(provider)),
        account=str(first_of(row, "account", "project", "project_id", "workspace", "subscription")),
        model=str(first_of(row, "model")) or words.model,
        meter=(words.meter if words.meter != "other" else meter) if meter else "",
        tier=tier_of(first_of(row, "tier", "service_tier")) or words.tier or ("" if first_of(row, "tier", "service_tier") else None),
        kind=kind or kind_of(meter),
        currency=currency,
        amount=amount,
        quantity=maybe(row, "quantity", "tokens", "units"),
        list_amount=maybe(row, "list_amount", "list_cost"),
        usd_rate=Decimal(1) if currency == "USD" else maybe(row, "usd_rate"),
        text=meter,
    )


reader = GenericBill()
