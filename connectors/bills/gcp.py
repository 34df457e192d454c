"""Google Cloud: the billing export as JSON lines (as BigQuery writes it), the model part of it.

Owns: SKUs, credits inside a line, cost types, the invoice month. Invariants: each credit is a line of its own by its type; the day is the UTC day of use, the invoice's
month is kept beside it; the exchange rate counts local units for one dollar.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

from connectors.archives import head_of
from connectors.bills.reading import Record, Skip, Wrong, begins_as_json, buckets, currency_of, day_of, lines_of, maybe, money, number
from connectors.bills.words import kind_of, said
from governor.chargeback.reconciliation.bill import WIDE, Bill, BillLine
from governor.errors import Invalid
from governor.ports import Payload

MODELS: Final = re.compile(r"vertex|gemini|generative|agent platform|ai platform|claude|anthropic", re.IGNORECASE)
COST_TYPES: Final = {"regular": "usage", "tax": "tax", "rounding_error": "rounding", "adjustment": "credit", "": "usage"}
CREDITS: Final = (("COMMITTED", "commitment"), ("DISCOUNT", "discount"), ("RESELLER", "discount"), ("FEE", "fee"))
# `Gemini 2.5 Flash GA Thinking Text Output - Predictions` is output of gemini-2.5-flash: thinking is answered for as output, whatever the SKU
ASIDE: Final = re.compile(r"\s+-\s+predictions?\b|\bGA\b|\((?:long|thinking on)\)|\bthinking\b(?=.*\boutput\b)", re.IGNORECASE)
CACHED: Final = re.compile(r"\binput caching\b(?! storage)", re.IGNORECASE)
# the Gemini API's own: `Generate content output token count gemini 2.5 flash short input text`; the last words say of which input, after `for` they are the model's
OWN_API: Final = re.compile(
    r"(?:bidi )?generate content (?P<cached>cached )?(?:(?P<what>text|image|audio|video) )?(?P<way>input|output) token count (?P<for>for )?(?P<model>.+?)"
    r"(?(for)|(?: (?:short|long))?(?P<of> input)?(?: (?P<kind>text|image|audio|video))?)(?P<tier> (?:batch|flex|priority))?(?P<kept> caching)?",
    re.IGNORECASE,
)
INVOICE: Final = re.compile(r"(\d{4})-?(\d{2})")


class GcpBill:
    name = "gcp"

    def detect(self, head: bytes, uri: str) -> float:  # noqa: ARG002 - the port's signature
        text = head_of(head)
        return 1.0 if b'"usage_start_time"' in text and (b'"billing_account_id"' in text or b'"sku"' in text) else 0.0

    def read(self, payload: Payload) -> Bill:
        if not begins_as_json(payload):
            raise Invalid(
                f"{payload.uri}: Google's billing export is read as JSON: a table has no place for the credits inside a line, and the console's "
                "cost table has sums of a month where calls are compared by day",
                hint="`bq query --format=json`, `bq extract --destination_format=NEWLINE_DELIMITED_JSON`, or its FOCUS export with source focus",
            )
        return lines_of(payload.uri, _rows(payload), _lines)


def _rows(payload: Payload) -> Iterator[Record]:
    yield from buckets(payload, names=("rows", "data"))


def _lines(row: Record) -> Iterable[BillLine]:
    service, sku = _inside(row, "service", "description"), _inside(row, "sku", "description")
    cost_type = str(row.get("cost_type") or "")
    kind = COST_TYPES.get(cost_type)
    if kind is None:
        raise Wrong("cost_type", f"{cost_type[:40]!r} is not known")
    if kind in {"usage", "credit"} and service and not MODELS.search(f"{service} {sku}"):  # tax and rounding are of the whole invoice
        raise Skip(service)
    words = said(CACHED.sub("Cached Input", ASIDE.sub(" ", _plain(sku))))
    currency = currency_of(row.get("currency"), "currency")
    rate = maybe(row, "currency_conversion_rate")
    usage: Any = row.get("usage") or {}
    month = INVOICE.fullmatch(_inside(row, "invoice", "month"))
    base: dict[str, Any] = {
        "day": day_of(row, "usage_start_time", "usage_end_time"),
        "issuer": "gcp",
        "account": _inside(row, "project", "id"),
        "model": words.model,
        "meter": words.meter,
        "tier": words.tier,
        "currency": currency,
        "usd_rate": Decimal(1) if currency == "USD" else WIDE.divide(Decimal(1), rate) if rate else None,
        "invoice_month": f"{month[1]}-{month[2]}" if month else "",
        "text": sku,
    }
    kind = "commitment" if kind == "usage" and words.meter == "provisioned" else kind
    kind = kind_of(sku) if kind == "usage" and words.meter == "other" else kind
    quantity = maybe(usage, "amount_in_pricing_units") if usage.get("amount") in (None, "") else maybe(usage, "amount")
    yield BillLine(
        **base,
        kind=kind,
        amount=money(row, "cost"),
        quantity=quantity if kind == "usage" else None,
        list_amount=maybe(row, "cost_at_list") if kind == "usage" else None,
    )
    for credit in row.get("credits") or []:
        amount = number(credit.get("amount"), "credits.amount")
        if amount:
            named = str(credit.get("type") or "").upper()
            yield BillLine(**base, kind=next((kind for word, kind in CREDITS if word in named), "credit"), amount=amount)


def _plain(sku: str) -> str:
    """`Generate content input token count gemini 3.7 flash image flex caching` as other SKUs say it: `gemini 3.7 flash flex cached input`."""
    found = OWN_API.fullmatch(sku.replace("_", " "))
    if found is None:
        return sku
    of_another = found["of"] and found["way"].lower() == "output"  # an output's words about the input that it belongs to
    kind = "cached" if found["cached"] or found["kept"] else found["what"] or (not of_another and found["kind"]) or ""
    return f"{found['model']}{found['tier'] or ''} {kind if kind.lower() in {'cached', 'image', 'audio'} else ''} {found['way']}"


def _inside(row: Record, name: str, inner: str) -> str:
    """A member of a nested record, or of the flattened column BigQuery exports to CSV-like JSON."""
    value = row.get(name)
    return str((value.get(inner) if isinstance(value, dict) else row.get(f"{name}.{inner}") or row.get(f"{name}_{inner}") or value) or "")


reader = GcpBill()
