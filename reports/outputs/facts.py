"""What a month can say to another system: journal lines that balance, and usage events, each with an id that is a function of what it says.

Owns: the facts' names and values, ids, the accrual with its reversal. Does not own: amounts (the statement document), accounts' names elsewhere (document.py).
Invariants: debits equal credits in every entry and no side is negative; an amount fits ten digits and two decimals; the same month gives the same ids, so that a second
send is recognised by the receiver; unpriced use has no amount and is counted apart, never sent as zero.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any, Final

from governor.chargeback.currency import NO_PLACES
from governor.chargeback.period import month_bounds, next_month
from governor.errors import Invalid
from governor.ledger.canonical import canonical_json
from reports.journal import ACCOUNTS, amounts
from reports.outputs.document import Account, OutputMapping

LARGEST: Final = Decimal(10) ** 10
MICRO: Final = 1_000_000
CENT: Final = Decimal("0.01")
SIDES: Final = (("debit", "credit"), ("local_debit", "local_credit"))  # the second of a file that says it
RATE: Final = Decimal("0.00000001")  # NetSuite takes no more than eight decimals of a rate


def journal(document: Mapping[str, Any], mapping: OutputMapping, *, accrual: bool = False) -> list[dict[str, Any]]:
    """One line for each cost center and kind of spend, then the clearing line; an accrual is followed by the entry that takes it back on the next first.

    Raises Invalid for an amount that no ledger takes.
    """
    posted = date.fromisoformat(document["posting_date"])
    digest = hashlib.sha256(canonical_json(dict(document))).hexdigest()
    postings = list(_postings(document, mapping))
    fx = document.get("fx")
    stated = mapping.currency == "statement" and bool(fx)  # the ledger's own currency, at the month's rate
    # Another accrual of the same month is another document; the same one keeps its number.
    content = hashlib.sha256(repr([(center, kind, str(amount)) for center, kind, _, amount, _ in postings]).encode()).hexdigest()[:8]
    batch = f"{document['statement_number']}-accrual-{content}" if accrual else document["statement_number"]
    entries = [(batch, posted, 1, "")]
    if accrual:
        entries.append((f"{batch}-R", date.fromisoformat(f"{next_month(document['month'])}-01"), -1, "Reversal: "))
    places = 0 if fx and stated and fx["currency"] in NO_PLACES else 2  # 1234.00 yen are refused by ledgers that know the currency
    told = {fact for column in mapping.columns for fact in column.facts()} & {"local_debit", "local_credit"}
    # A cent may be none in another currency, and the other way round; ledgers take no line without an amount.
    charged = [one for one in postings if (one[-1] if stated else one[-2] or (told and one[-1]))]
    lines: list[dict[str, Any]] = []
    for number, (name, day, sign, before) in enumerate(entries, start=1):
        for place, (center, kind, account, amount, local) in enumerate(charged, start=1):
            identity = hashlib.sha256("|".join([batch, kind, center, f"{amount:.2f}"]).encode()).hexdigest()[:16]
            own = mapping.cost_centers.get(center)
            label = (own and own.name) or center or document["organization"]["name"]
            side = sign * (local if stated else amount)
            lines.append(
                {
                    "batch": name,
                    "reference": f"A{day:%Y%m}-{hashlib.sha256(name.encode()).hexdigest()[:8]}",  # where an id holds sixteen characters
                    "period": f"{day:%Y-%m}",
                    "period_name": f"{day:%b %Y}",
                    "entry": f"JE-{number}",
                    "line_no": str(place),
                    "posting_date": day,
                    "entity": document["organization"]["id"],
                    "organization": document["organization"]["name"],
                    "account": account.number,
                    "account_name": account.name,
                    "kind": kind,
                    "cost_center": (own and own.code) or center,
                    "cost_center_name": label if center else "",  # no ledger has a department called like the company
                    "description": f"{before}{label} {account.name or kind} {document['month']}",
                    "line_memo": f"{before}{document['month']} {label} {account.name or kind}",  # where the end may be cut
                    "memo": f"{before}AI chargeback {document['month']}{' (accrual)' if accrual else ''}",
                    "short_memo": f"{'Reversal ' if before else ''}AI {'accr.' if before else 'accrual' if accrual else 'chargeback'} {document['month']}",
                    "debit": f"{side:.{places}f}" if side > 0 else "",
                    "credit": f"{-side:.{places}f}" if side < 0 else "",
                    "currency": fx["currency"] if fx and stated else document["currency"],
                    "usd_rate": _usd_rate(fx["rate"]) if fx and stated else "1",
                    "source_document": f"statement {document['statement_number']}",
                    "external_id": f"{name}-{identity}",
                    "reverses_external_id": f"{batch}-{identity}" if sign < 0 else "",
                    "prepared_by": document["prepared_by"],
                    "statement_sha256": digest,
                }
                | _local(document, sign * local)
            )
    _balanced(lines, SIDES if told or stated else SIDES[:1])
    return lines


def _postings(document: Mapping[str, Any], mapping: OutputMapping) -> Iterator[tuple[str, str, Account, Decimal, Decimal]]:
    """(cost center, kind, account, signed amount in US dollars and in the statement's currency), the clearing line last; both sum to zero."""
    usual = {kind: Account(number=number, name=name) for kind, (number, name) in ACCOUNTS.items()} | mapping.accounts
    total = local_total = Decimal(0)
    for center in document["cost_centers"]:
        own = mapping.cost_centers.get(center["id"])
        for kind, (amount, local) in amounts(center).items():
            total += amount
            local_total += local
            yield center["id"], kind, ((own.accounts.get(kind) if own else None) or usual[kind]), amount, local
    if total or local_total:
        yield "", "clearing", usual["clearing"], -total, -local_total


def _usd_rate(rate: str) -> str:
    """US dollars for one unit of the currency, as ledgers kept in US dollars ask for it; the month's rate says how many units a dollar is."""
    return f"{(1 / Decimal(rate)).quantize(RATE).normalize():f}"


def _local(document: Mapping[str, Any], side: Decimal) -> dict[str, Any]:
    """The same line in the statement's currency: its lines were split so that they foot there, so nothing is rounded here."""
    rate = document.get("fx")
    return {
        "fx_rate": rate["rate"] if rate else "1",
        "fx_source": rate["source"] if rate else "",
        "fx_date": rate["date"] if rate else "",
        "local_currency": rate["currency"] if rate else document["currency"],
        "local_debit": f"{side:.2f}" if side > 0 else "",
        "local_credit": f"{-side:.2f}" if side < 0 else "",
    }


def _balanced(lines: list[dict[str, Any]], sides: Sequence[tuple[str, str]]) -> None:
    for line in lines:
        for side in chain.from_iterable(sides):
            if line[side] and Decimal(line[side]) >= LARGEST:
                raise Invalid(
                    f"journal line {line['line_no']} of {line['batch']}, {side}: {line[side]} has more than 10 digits",
                    hint="ledgers refuse it; split the cost center",
                )
    for batch in {line["batch"] for line in lines}:
        for left, right in sides:
            sums = [
                sum((Decimal(line[side]) for line in lines if line["batch"] == batch and line[side]), Decimal(0)) for side in (left, right)
            ]
            if sums[0] != sums[1]:
                raise Invalid(f"journal {batch} is out of balance: {left} {sums[0]}, {right} {sums[1]}")


def events(document: Mapping[str, Any], mapping: OutputMapping) -> list[dict[str, Any]]:
    """One event for each charge line, dated to the last second of the month that bills it. Corrections are events of their own, with a negative amount."""
    _, end = month_bounds(document["month"], document["zone"])
    found = []
    for center in document["cost_centers"]:
        own = mapping.cost_centers.get(center["id"])
        for line in (*center["lines"], *center.get("commitments", []), *center.get("internal", []), *center["corrections"]):
            cents = Decimal(line["amount"])
            found.append(
                {
                    "event_id": f"{document['statement_number']}:{line['line_id']}",
                    "period": document["month"],
                    "time": (end - timedelta(seconds=1)).astimezone(UTC),
                    "customer": own and own.customer,
                    "cost_center": (own and own.code) or center["id"],
                    "cost_center_name": (own and own.name) or center["id"],
                    "workflow": line["workflow"],
                    "owner": line["owner"],
                    "provider": line["provider"],
                    "model": line["model"],
                    "meter": line["meter"],
                    "service_tier": line["service_tier"] or None,
                    "traffic_class": line["traffic_class"],
                    "unit": line["unit"],
                    "quantity": int(line["quantity"]),
                    "requests": line["calls"],
                    "amount": line["amount"],
                    "amount_cents": f"{cents * 100:.1f}",
                    "amount_micro": int(cents * MICRO),
                    "exact_cost": line["contracted_cost"],
                    "currency": document["currency"],
                    "kind": "correction" if line["corrects"] else "usage",
                    "charge_month": line["charge_month"],
                    "corrects": line["corrects"] or None,
                    "organization": document["organization"]["id"],
                    "statement_number": document["statement_number"],
                }
            )
    return found


def left_out(document: Mapping[str, Any]) -> dict[str, int]:
    """Calls that no event can carry: they have no price."""
    return {"unpriced_calls": sum(use["calls"] for center in document["cost_centers"] for use in center["unpriced"])}
