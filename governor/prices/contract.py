"""Contract prices: what `contract_price` documents say, as price rows and as terms that refer to the list.

Owns: the translation and what makes a set of contract prices impossible. Invariants: two contract prices for the same thing never hold at the same instant,
be they amounts or terms; absent meters stay at list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from governor.catalog.documents import ContractPriceDocument
from governor.errors import Invalid
from governor.prices.names import canonical_provider, canonical_tier
from governor.prices.price import RATED_IN, Price, plain, price_of
from governor.prices.rate import refuse_unknown_meter
from governor.prices.terms import ANY, Term
from governor.prices.units import FEES, base_of

Row = TypeVar("Row", bound=Price | Term)


def contract_price(document: ContractPriceDocument, zone: str = "UTC") -> Price | Term:
    """One document as a row or a term; its plain dates are days of the billing zone."""
    if document.price is None:
        return contract_term(document, zone)
    begin, end = document.held(zone)
    return price_of(
        {
            "kind": "contract",
            "provider": canonical_provider(document.provider),
            "model": document.model,
            "meter": document.meter,
            "amount": document.price.amount,
            "per": document.price.per,
            "currency": document.price.currency,
            "region": document.region,
            "service_tier": canonical_tier(document.service_tier),
            "context_min": document.context_min,
            "context_max": document.context_max,
            "valid_from": begin,
            "valid_to": end,
        }
    )


def refuse_unusable(document: ContractPriceDocument) -> None:
    """Raises Invalid for a price that no call could be rated by: a meter that there is not, or money that is no US dollars."""
    where = f"contract_price {document.key}"
    if document.meter != ANY:
        refuse_unknown_meter(document.meter, f"{where}: meter")
    if document.price and document.model == ANY and base_of(document.meter) not in FEES:
        raise Invalid(
            f"{where}: model: * is for percent_off, multiplier and the fees of tools; an amount is the price of one thing",
            hint=f"name the model; fees are {', '.join(FEES)}",
        )
    if document.price and document.price.currency != RATED_IN:
        raise Invalid(
            f"{where}: price: currency {document.price.currency}: calls are rated in {RATED_IN} only, and the model would have no price at all",
            hint=f"write the amount in {RATED_IN} at your contract's rate, one price for each month where it moves; statements may be in another "
            "currency (docs/month-end.md)",
        )


def contract_term(document: ContractPriceDocument, zone: str = "UTC") -> Term:
    """A percentage or a multiple of the list, as the factor it comes to."""
    if document.percent_off is not None:
        factor, words = 1 - Decimal(document.percent_off) / 100, f"{document.percent_off} % off list"
    else:
        factor, words = Decimal(document.multiplier or "1"), f"{document.multiplier} x list"
    begin, end = document.held(zone)
    return Term(
        provider=canonical_provider(document.provider),
        model=document.model,
        meter=document.meter,
        factor=plain(factor),
        words=words,
        region=document.region,
        service_tier=ANY if document.service_tier == ANY else canonical_tier(document.service_tier),
        valid_from=begin,
        valid_to=end,
    )


def close_open_ends(rows: Iterable[Row]) -> list[Row]:
    """A price without an end holds until the next one for the same thing begins. Raises Invalid where two say they hold at once."""
    same: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        same[(row.provider, row.model.lower(), row.meter, row.region, row.service_tier, row.context_min, row.context_max)].append(row)
    closed: list[Row] = []
    for members in same.values():
        members.sort(key=lambda row: (row.valid_from is not None, row.valid_from))
        for row, following in zip(members, [*members[1:], None], strict=True):
            if following is None:
                closed.append(row)
                continue
            begins = following.valid_from
            if begins is None or begins == row.valid_from or (row.valid_to is not None and row.valid_to > begins):
                raise Invalid(
                    f"two contract prices of {row.provider}/{row.model} {row.meter} hold at the same time",
                    hint="give the earlier one a valid_to",
                )
            closed.append(row if row.valid_to is not None else replace(row, valid_to=begins))
    return closed
