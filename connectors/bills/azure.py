"""Azure: Cost Management's actual and amortized cost (CSV or Parquet), the model part of it.

Owns: meter names, units of measure, dates as MM/DD/YYYY, several spellings of the columns. Invariants: money stays in the billing currency with the rate the row states;
provisioned capacity is a commitment, not usage; rows of other services are skipped by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from connectors.bills.reading import Record, Skip, columns_of, currency_of, day_of, first_of, lines_of, maybe, money, table
from connectors.bills.words import kind_of, said, with_family
from governor.chargeback.reconciliation.bill import WIDE, Bill, BillLine
from governor.chargeback.reconciliation.names import CAMEL
from governor.ports import Payload

MODELS: Final = re.compile(r"openai|cognitive|foundry|azure ai|machine learning|ai services|ai model|anthropic|claude", re.IGNORECASE)
UNIT: Final = re.compile(r"(\d+)\s*([KM]?)\b", re.IGNORECASE)
SIZES: Final = {"": 1, "K": 1000, "M": 10**6}
CHARGES: Final = {
    "usage": "usage",
    "purchase": "fee",
    "tax": "tax",
    "refund": "credit",
    "credit": "credit",
    "roundingadjustment": "rounding",
    "unusedreservation": "commitment",
}
BOUGHT: Final = frozenset({"usage", "fee"})  # of reserved capacity both are what it costs


class AzureBill:
    name = "azure"

    def detect(self, head: bytes, uri: str) -> float:  # noqa: ARG002 - the port's signature
        found = {name.replace("_", "").replace(" ", "") for name in columns_of(head)}
        return 1.0 if "metercategory" in found and found & {"cost", "costinbillingcurrency", "pretaxcost"} else 0.0

    def read(self, payload: Payload) -> Bill:
        return lines_of(payload.uri, table(payload), _lines, first=2)


def _lines(row: Record) -> Iterable[BillLine]:
    row = {re.sub(r"[ _]", "", name).lower(): value for name, value in row.items()}
    service = " ".join(
        str(first_of(row, name))
        for name in ("metercategory", "metersubcategory", "servicename", "consumedservice", "product", "productname", "publishername")
    )
    charge = str(first_of(row, "chargetype") or "Usage")
    kind = CHARGES.get(charge.replace(" ", "").lower()) or kind_of(charge)
    of_the_invoice = kind == "rounding" and not first_of(row, "metercategory")
    if service.strip() and not of_the_invoice and not MODELS.search(service):  # a purchase or refund names its service too
        raise Skip(str(first_of(row, "metercategory") or "another service"))
    name = str(first_of(row, "metername", "product", "productname"))
    words = said(CAMEL.sub(" ", name))
    currency = currency_of(first_of(row, "billingcurrency", "billingcurrencycode", "currency"), "BillingCurrency")
    quantity = maybe(row, "quantity", "usagequantity")
    reserved = words.meter == "provisioned" or first_of(row, "reservationid") or first_of(row, "pricingmodel") == "Reservation"
    kind = "commitment" if reserved and kind in BOUGHT else kind
    payg = maybe(row, "paygcostinbillingcurrency")
    yield BillLine(
        day=day_of(row, "date", "usagedatetime", "usagedate"),
        issuer="azure",
        account=str(first_of(row, "subscriptionid", "subscriptionguid", "resourceid")),
        model=with_family(words.model, f"{row.get('metersubcategory') or ''} {first_of(row, 'product', 'productname')}"),
        meter=words.meter,
        tier=words.tier,
        kind=kind,
        currency=currency,
        amount=money(row, "costinbillingcurrency", "cost", "pretaxcost"),
        quantity=None if quantity is None or kind != "usage" else quantity * _block(str(first_of(row, "unitofmeasure"))),
        list_amount=payg if kind == "usage" else None,
        usd_rate=_rate(row, currency),
        text=name,
    )


def _block(unit: str) -> int:
    found = UNIT.search(unit)
    return int(found[1]) * SIZES[found[2].upper()] if found else 1


def _rate(row: Record, currency: str) -> Decimal | None:
    """USD for one unit: the row's own pair of costs, or its exchange rate, which counts billing units for one pricing unit."""
    if currency == "USD":
        return Decimal(1)
    pricing = str(first_of(row, "pricingcurrency", "pricingcurrencycode") or "USD").upper()
    rate = maybe(row, "exchangeratepricingtobilling", "exchangerate", "xbillingexchangerate")
    if rate and pricing == "USD":
        return WIDE.divide(Decimal(1), rate)
    local, dollars = maybe(row, "costinbillingcurrency", "cost", "pretaxcost"), maybe(row, "costinusd", "costusd")
    return WIDE.divide(dollars, local) if local and dollars else None


reader = AzureBill()
