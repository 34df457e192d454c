"""FOCUS 1.0 to 1.2 exports (CSV or Parquet) of any provider, the model part of them.

Owns: FOCUS columns and Microsoft's, Amazon's and Google's additions to them. Invariants: BilledCost is the line, ListCost its list amount; charge categories decide the
kind; a row of another service category is skipped by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from connectors.bills.aws import REGION
from connectors.bills.reading import Record, Skip, Wrong, columns_of, currency_of, day_of, first_of, lines_of, maybe, money, table
from connectors.bills.words import Said, kind_of, said, tier_of, with_family
from governor.chargeback.reconciliation.bill import WIDE, Bill, BillLine, issuer_of
from governor.ports import Payload
from governor.prices.names import canonical_provider

CATEGORIES: Final = {"usage": "usage", "purchase": "fee", "tax": "tax", "credit": "credit", "adjustment": "rounding"}
NAMES: Final = (
    (r"microsoft|azure", "azure"), (r"amazon|aws", "aws"), (r"google", "gcp"), (r"openrouter", "openrouter"), (r"openai", "openai"), (r"anthropic", "anthropic"),
)  # fmt: skip
MODELS: Final = re.compile(
    r"openai|bedrock|sagemaker|vertex|gemini|cognitive|foundry|anthropic|claude|gpt|generative|language model", re.IGNORECASE
)
UNIT: Final = re.compile(r"(?:^|\s|per\s)(\d[\d,]*)?\s*([KM]|thousand|million)?\s*tokens?|^(\d+)\s*([KM])$", re.IGNORECASE)
SIZES: Final = {"": 1, "K": 1000, "M": 10**6, "THOUSAND": 1000, "MILLION": 10**6}


class FocusBill:
    name = "focus"

    def detect(self, head: bytes, uri: str) -> float:  # noqa: ARG002 - the port's signature
        found = columns_of(head)
        return 1.0 if {"billedcost", "chargecategory"} <= found else 0.0

    def read(self, payload: Payload) -> Bill:
        return lines_of(payload.uri, table(payload), _lines, first=2)


def _lines(row: Record) -> Iterable[BillLine]:
    row = {name.lower(): value for name, value in row.items()}
    category = str(first_of(row, "chargecategory"))
    kind = CATEGORIES.get(category.lower())
    if kind is None:
        raise Wrong("ChargeCategory", f"{category[:40]!r} is not known" if category else "is missing")
    service, group = str(first_of(row, "servicename")), str(first_of(row, "servicecategory"))
    text = REGION.sub("", str(first_of(row, "x_usagetype"))).replace("-", " ") or str(
        first_of(row, "chargedescription", "x_skumetername", "skumeter", "x_skudescription", "skuid")
    )
    other = (group or service) and not (re.search(r"\bAI\b", group) or MODELS.search(f"{service} {text}"))
    if other and (kind != "tax" or group not in {"", "Other"}):  # a tax on the whole invoice is no service's own
        raise Skip(service or group)
    provider = str(
        first_of(row, "x_governorprovider", "publishername", "providername", "serviceprovidername", "invoiceissuername", "invoiceissuer")
    )
    seller = str(first_of(row, "providername", "serviceprovidername", "invoiceissuername", "invoiceissuer", "publishername"))
    if not seller and not provider:
        raise Wrong("ProviderName", "is missing")
    currency = currency_of(first_of(row, "billingcurrency"), "BillingCurrency")
    words = _words(row, text)
    if kind == "usage" and words.meter == "provisioned":
        kind = "commitment"
    if kind == "rounding" and "rounding" not in text.lower():
        kind = "credit"
    if kind == "fee" and kind_of(text) == "commitment":
        kind = "commitment"
    quantity = maybe(row, "consumedquantity") if first_of(row, "consumedquantity") != "" else maybe(row, "pricingquantity")
    unit = str(first_of(row, "consumedunit") if first_of(row, "consumedquantity") != "" else first_of(row, "pricingunit"))
    yield BillLine(
        day=day_of(row, "chargeperiodstart"),
        issuer=next(
            (name for pattern, name in NAMES if re.search(pattern, seller or provider, re.IGNORECASE)),
            issuer_of(canonical_provider(seller)),
        ),
        account=str(first_of(row, "subaccountid")),
        model=words.model,
        meter=words.meter,
        tier=words.tier,
        kind=kind,
        currency=currency,
        amount=money(row, "billedcost"),
        quantity=None if quantity is None or kind != "usage" else quantity * _block(unit),
        list_amount=maybe(row, "listcost") if kind == "usage" else None,
        usd_rate=_rate(row, currency),
        text=text,
    )


def _words(row: Record, text: str) -> Said:
    """Columns of their own where the export has them, else the meter's words."""
    found = said(str(first_of(row, "x_skumetername", "skumeter")) or text)
    if found.meter == "other" and text:
        found = Said(found.model, said(text).meter, found.tier)
    model, meter = str(first_of(row, "x_model", "x_modelid", "x_responsemodel", "x_skumodel")), str(first_of(row, "x_meter"))
    if not model and text and found.model == "":
        found = Said(said(text).model, found.meter, found.tier)
    tier = tier_of(first_of(row, "x_servicetier", "x_tier"))
    family = f"{first_of(row, 'x_skumetersubcategory')} {first_of(row, 'x_skudescription')}"
    return Said(model or with_family(found.model, family), meter or found.meter, found.tier if tier is None else tier)


def _block(unit: str) -> int:
    found = UNIT.search(unit)
    if not found:
        return 1
    count, size = (found[1] or "1").replace(",", ""), (found[2] or found[4] or "").upper()
    return int(found[3] or count) * SIZES[size]


def _rate(row: Record, currency: str) -> Decimal | None:
    """USD for one unit of the billing currency: Microsoft's billing exchange rate counts billing units for one dollar."""
    if currency == "USD":
        return Decimal(1)
    rate = maybe(row, "x_billingexchangerate")
    if rate:
        return WIDE.divide(Decimal(1), rate)
    local, dollars = maybe(row, "billedcost"), maybe(row, "x_billedcostinusd")
    return WIDE.divide(dollars, local) if local and dollars else None


reader = FocusBill()
