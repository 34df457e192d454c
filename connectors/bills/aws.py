"""AWS: Cost and Usage Report 2.0 (CSV or Parquet) and Cost Explorer's GetCostAndUsage (JSON), the model part of it.

Owns: line item types, Bedrock's usage types and those of its Marketplace models, block sizes of quantities. Invariants: the unblended cost is the line, a net cost
below it is a discount of its own; rows of other services are skipped by name; credits, taxes, fees and commitments are never usage.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

from connectors.archives import head_of
from connectors.bills.reading import (
    Record,
    Skip,
    Wrong,
    begins_as_json,
    columns_of,
    currency_of,
    day_of,
    documents,
    first_of,
    lines_of,
    maybe,
    money,
    number,
    table,
)
from connectors.bills.words import said
from governor.chargeback.reconciliation.bill import Bill, BillLine
from governor.chargeback.reconciliation.names import CAMEL
from governor.ports import Payload

TYPES: Final = {
    "usage": "usage",
    "discountedusage": "usage",
    "savingsplancoveredusage": "commitment",
    "savingsplannegation": "commitment",
    "savingsplanrecurringfee": "commitment",
    "savingsplanupfrontfee": "commitment",
    "rifee": "commitment",
    "credit": "credit",
    "refund": "credit",
    "tax": "tax",
    "fee": "fee",
}
REGION: Final = re.compile(r"^(?:[A-Z]{2,4}\d?-)+(?=[A-Za-z])")
MODELS: Final = re.compile(r"bedrock|sagemaker", re.IGNORECASE)
# models of other makers are sold on AWS Marketplace: the product is the model, the usage type USE1-MP:USE1_InputTokenCount_Global-Units says the meter
SOLD: Final = re.compile(r"MP:[A-Z0-9]+_(.*token.*|reserved_.*)", re.IGNORECASE)
EDITION: Final = re.compile(r"\s*\(Amazon Bedrock Edition\)", re.IGNORECASE)
ARN: Final = re.compile(r":(?:foundation-model|inference-profile)/(.+)")
BLOCKS: Final = (
    (re.compile(r"1\s*k|1,?000\b|thousand", re.IGNORECASE), 1000),
    (re.compile(r"1\s*m|1,?000,?000|million", re.IGNORECASE), 10**6),
)


class AwsBill:
    name = "aws"

    def detect(self, head: bytes, uri: str) -> float:  # noqa: ARG002 - the port's signature
        if b'"ResultsByTime"' in head_of(head):
            return 1.0
        found = columns_of(head)
        return 1.0 if {"line_item_usage_type", "line_item_unblended_cost"} <= found or "lineitem/unblendedcost" in found else 0.0

    def read(self, payload: Payload) -> Bill:
        if begins_as_json(payload):
            return lines_of(payload.uri, _explorer(payload), _explored)
        return lines_of(payload.uri, table(payload), _cur, first=2)


def _cur(row: Record) -> Iterable[BillLine]:
    row = {_snake(name): value for name, value in row.items()}
    product = str(first_of(row, "line_item_product_code", "product_servicecode", "product_product_name"))
    usage_type, sold_as = str(first_of(row, "line_item_usage_type")), _product_name(row)
    words_ = " ".join(str(first_of(row, name)) for name in ("product_servicecode", "line_item_line_item_description"))
    if product and not MODELS.search(f"{product} {words_} {sold_as}") and not SOLD.search(usage_type):
        raise Skip(product)
    said_type = str(first_of(row, "line_item_line_item_type"))
    kind = _kind(said_type)
    if kind is None:
        raise Wrong("line_item_line_item_type", f"{said_type[:40]!r} is not known" if said_type else "is missing")
    arn = ARN.search(str(first_of(row, "line_item_resource_id")))
    meter, model, tier = _usage_type(usage_type, str(first_of(row, "line_item_line_item_description")), sold_as or (arn[1] if arn else ""))
    amount = money(row, "line_item_unblended_cost")
    quantity = maybe(row, "line_item_usage_amount")
    net = maybe(row, "line_item_net_unblended_cost")
    base: dict[str, Any] = {
        "day": day_of(row, "line_item_usage_start_date", "identity_time_interval"),
        "issuer": "aws",
        "account": str(first_of(row, "line_item_usage_account_id")),
        "model": model,
        "meter": meter,
        "tier": tier,
        "currency": currency_of(first_of(row, "line_item_currency_code"), "line_item_currency_code"),
        "text": usage_type,
    }
    kind = "commitment" if meter == "provisioned" and kind == "usage" else kind
    yield BillLine(
        **base,
        kind=kind,
        amount=amount,
        quantity=None if quantity is None or kind != "usage" else quantity * _block(str(first_of(row, "pricing_unit")), usage_type),
        list_amount=(maybe(row, "pricing_public_on_demand_cost") if kind == "usage" else None)
        or None,  # 0: Marketplace has no public price
    )
    if net is not None and net != amount:
        yield BillLine(**base, kind="discount" if kind == "usage" else kind, amount=net - amount)


def _snake(name: str) -> str:
    """`lineItem/UsageType` of the older report is `line_item_usage_type` of the newer."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("/", "_").lower() if "/" in name else name.lower()


def _product_name(row: Record) -> str:
    """A column of its own in the older report, a member of the map `product` in the newer."""
    name, product = str(first_of(row, "product_product_name")), str(first_of(row, "product"))
    try:
        return name or str(json.loads(product).get("product_name") or "")
    except (ValueError, AttributeError, RecursionError):
        return name


def _kind(said_type: str) -> str | None:
    """`EdpDiscount`, or in Cost Explorer `Enterprise Discount Program Discount`; new kinds of discount come with every programme."""
    plain = said_type.replace(" ", "").lower()
    return TYPES.get(plain) or ("discount" if plain.endswith("discount") else None)


def _usage_type(usage_type: str, description: str, product: str) -> tuple[str, str, str | None]:
    """Bedrock writes model and meter into the usage type: USE1-Claude4.6Sonnet-cache-read-input-token-count."""
    sold = SOLD.search(usage_type)
    words = said((CAMEL.sub(" ", sold[1]) if sold else REGION.sub("", usage_type)).replace("_", "-").replace("-", " "))
    if sold:
        return "provisioned" if sold[1].lower().startswith("reserved_") else words.meter, EDITION.sub("", product), words.tier
    meter = words.meter if words.meter != "other" else said(description).meter
    return meter, words.model.replace(" ", "-"), words.tier


def _block(unit: str, usage_type: str) -> int:
    """How many units one counts; token meters of a report without the unit count thousands, as Bedrock's do, those of Marketplace millions."""
    if unit.lower() in {"", "units"} and SOLD.search(usage_type):
        return 10**6
    if not unit:
        return 1000 if re.search(r"token", usage_type, re.IGNORECASE) else 1
    return next((size for pattern, size in reversed(BLOCKS) if pattern.search(unit)), 1)


def _explorer(payload: Payload) -> Iterator[Record]:
    """One record per group and day; a day without groups is its total."""
    for document in documents(payload):
        for page in document if isinstance(document, list) else [document]:
            defined = [str(one.get("Key", "")).upper() for one in page.get("GroupDefinitions") or []]
            for span in page.get("ResultsByTime") or []:
                start = (span.get("TimePeriod") or {}).get("Start")
                for group in span.get("Groups") or ([{"Keys": [], "Metrics": span.get("Total")}] if span.get("Total") else []):
                    yield {"day": start, "metrics": group.get("Metrics") or {}, **dict(zip(defined, group.get("Keys") or [], strict=False))}


def _explored(row: Record) -> Iterable[BillLine]:
    metrics: Any = row["metrics"]
    name = next((one for one in ("UnblendedCost", "NetUnblendedCost", "AmortizedCost", "BlendedCost") if one in metrics), None)
    if name is None:
        raise Wrong("Metrics.UnblendedCost", "is missing")
    service = str(row.get("SERVICE") or "")
    if service and not MODELS.search(service):
        raise Skip(service)
    kind = _kind(str(row.get("RECORD_TYPE") or "usage")) or "usage"
    usage_type = str(row.get("USAGE_TYPE") or "")
    meter, model, tier = _usage_type(usage_type, "", service) if usage_type else ("", "", None)
    quantity = (metrics.get("UsageQuantity") or {}).get("Amount")
    amount = number(metrics[name].get("Amount"), f"Metrics.{name}.Amount")
    block = _block("", usage_type)  # Cost Explorer names no unit
    yield BillLine(
        day=day_of(row, "day"),
        issuer="aws",
        account=str(row.get("LINKED_ACCOUNT") or ""),
        model=model,
        meter=meter,
        tier=tier,
        kind=kind,
        currency=currency_of(metrics[name].get("Unit"), f"Metrics.{name}.Unit"),
        amount=amount,
        quantity=number(quantity, "Metrics.UsageQuantity.Amount") * Decimal(block) if quantity not in (None, "") and usage_type else None,
        text=usage_type,
    )


reader = AwsBill()
