"""From what we said to what was billed: the bridge, the errors, the verdict.

Owns: lines of a bill without usage (credits, tax, fees ...), exchange rates, tolerances, the result as a document. Does not own: why usage differs (causes.py).
Invariants: ours + every term = invoice, exactly; tax, credits and fees are in the bridge and in no error; a verdict is given on settled days only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from governor.chargeback.reconciliation.bill import LATENCY_HOURS, OTHER_LATENCY_HOURS, BillLine, pico
from governor.chargeback.reconciliation.causes import explain
from governor.chargeback.reconciliation.cells import COMPARED, Cell, UsageLine, lay_out
from governor.chargeback.statement import usd
from governor.errors import Invalid
from governor.ledger.canonical import counted

PRINTED: Final = ("status", "ours", "invoice", "difference", "net", "gross", "unexplained_percent", "without_bill")
CAUSES: Final = {
    "not_captured": "Billed, not captured by a gateway",
    "captured_not_billed": "Captured, not billed",
    "timing": "Timing: another day, or not on the bill yet",
    "token_class": "Tokens counted in another class",
    "price": "Price",
    "tier": "Service tier or batch",
    "discount": "Contract discount",
    "credits": "Credits and refunds",
    "commitment": "Commitments and reserved capacity",
    "tax": "Tax",
    "fees": "Fees",
    "fx": "Exchange rate",
    "rounding": "Rounding",
    "unexplained": "Unexplained",
}
OF_KIND: Final = {
    "credit": "credits",
    "tax": "tax",
    "fee": "fees",
    "commitment": "commitment",
    "rounding": "rounding",
    "discount": "discount",
}
ONE: Final = Decimal(1)
LEAST_RATE, MOST_RATE = Decimal("0.000001"), Decimal(1000)  # a rial, and more than any dinar
LINE_FLOOR: Final = 10**12  # a line may differ by a dollar,
LINE_SHARE: Final = 50  # or by a fiftieth (2%) of the bill
GROSS_LIMIT: Final = Decimal(5)
UNEXPLAINED_LIMIT: Final = Decimal("0.5")


@dataclass(frozen=True)
class IssuerBridge:
    """One provider's part of the bridge, in pico-USD: its terms sum to its invoice minus ours."""

    terms: dict[str, int]
    ours_pico: int
    invoice_pico: int


@dataclass(frozen=True)
class Reconciled:
    """Money in pico-USD. `terms` has every cause of CAUSES."""

    month: str
    cells: list[Cell]
    terms: dict[str, int]
    ours_pico: int
    invoice_pico: int
    pending_days: list[tuple[str, str]]
    without_bill: dict[str, int]
    issuers: list[str]
    notes: list[str] = field(default_factory=list)
    by_issuer: dict[str, IssuerBridge] = field(default_factory=dict)

    @property
    def settled(self) -> list[Cell]:
        return [cell for cell in self.cells if not cell.pending]

    @property
    def net_pico(self) -> int:
        return abs(sum(cell.difference for cell in self.settled))

    @property
    def gross_pico(self) -> int:
        return sum(abs(cell.difference) for cell in self.settled)

    @property
    def billed_usage_pico(self) -> int:
        """Usage and its discounts on settled days: what errors are a share of."""
        return sum(cell.bill_pico for cell in self.settled)

    @property
    def status(self) -> str:
        """Reconciled | mismatch | pending | empty."""
        if not self.issuers:
            return "empty"
        whole = self.billed_usage_pico
        if self.settled and (
            exceeds(self.gross_pico, whole, GROSS_LIMIT) or exceeds(abs(self.terms["unexplained"]), self.invoice_pico, UNEXPLAINED_LIMIT)
        ):
            return "mismatch"
        return "pending" if self.pending_days else "reconciled"


def exceeds(part: int, whole: int, percent: Decimal) -> bool:
    """Part / whole >= percent, without division; of nothing, anything is too much."""
    return part > 0 and part * 100 >= abs(whole) * percent


def reconcile(
    month: str, ours: Iterable[UsageLine], billed: Sequence[BillLine], *, now: datetime, booked: Mapping[str, Decimal] | None = None
) -> Reconciled:
    """`billed`: every line of the month's bills. `booked`: USD per unit of a currency at the rate our books use, where it is not the bill's.

    Raises Invalid when a bill is in a currency whose rate nobody knows, or names tokens and no money.
    """
    rates = {name.upper(): sound(rate, name.upper()) for name, rate in (booked or {}).items()}
    lines = [with_rate(line, rates) for line in billed if line.month == month]
    inside = [line for line in lines if compared(line, month)]
    issuers = {line.issuer for line in lines if line.amount is not None}
    tokens_only = sorted({line.issuer for line in inside} - issuers)
    if tokens_only:
        raise Invalid(f"{', '.join(tokens_only)}: a usage report names tokens and no money", hint="add the costs report of the same days")
    every = list(ours)
    laid = lay_out([use for use in every if use.issuer in issuers], inside)
    for cell in laid.cells.values():
        cell.pending = now < settles_at(cell.key.issuer, cell.key.day)
    notes = laid.notes + explain(laid.cells)
    cells = sorted(laid.cells.values(), key=lambda cell: (-abs(cell.difference), cell.key))
    by_issuer = {issuer: issuer_bridge(issuer, lines, cells, month, rates) for issuer in sorted(issuers)}
    terms = {cause: sum(one.terms[cause] for one in by_issuer.values()) for cause in CAUSES}
    without: dict[str, int] = defaultdict(int)
    for use in every:
        if use.issuer not in issuers:
            without[use.issuer] += use.cost_pico
    found = Reconciled(
        month=month,
        cells=cells,
        terms=terms,
        ours_pico=sum(cell.ours_pico for cell in cells),
        invoice_pico=sum(pico(line.amount, rates.get(line.currency, line.usd_rate or ONE)) for line in lines if line.amount is not None),
        pending_days=sorted({(cell.key.issuer, cell.key.day) for cell in cells if cell.pending}),
        without_bill=dict(sorted(without.items())),
        issuers=sorted(issuers),
        notes=notes,
        by_issuer=by_issuer,
    )
    if found.ours_pico + sum(terms.values()) != found.invoice_pico:
        raise AssertionError(f"the bridge of {month} does not add up")
    return found


def issuer_bridge(issuer: str, lines: Iterable[BillLine], cells: Iterable[Cell], month: str, rates: Mapping[str, Decimal]) -> IssuerBridge:
    """Raises AssertionError where a provider's bridge would not add up."""
    own, mine = [line for line in lines if line.issuer == issuer], [cell for cell in cells if cell.key.issuer == issuer]
    terms = dict.fromkeys(CAUSES, 0)
    for cause, amount in [*outside_terms(own, month, rates), *(term for cell in mine for term in cell.terms.items())]:
        terms[cause] += amount
    ours = sum(cell.ours_pico for cell in mine)
    invoice = sum(pico(line.amount, rates.get(line.currency, line.usd_rate or ONE)) for line in own if line.amount is not None)
    if ours + sum(terms.values()) != invoice:
        raise AssertionError(f"the bridge of {issuer} in {month} does not add up")
    return IssuerBridge(terms, ours, invoice)


def compared(line: BillLine, month: str) -> bool:
    """Whether a line meets our usage at a key; a discount does when it says of what."""
    return line.kind in COMPARED and line.day[:7] == month and (line.kind == "usage" or bool(line.model and line.meter))


def outside_terms(lines: Iterable[BillLine], month: str, rates: Mapping[str, Decimal]) -> Iterable[tuple[str, int]]:
    """Terms of lines that meet no usage, and what converting the bill at the rate of our books adds."""
    for line in lines:
        if line.amount is None:
            continue
        own = pico(line.amount, line.usd_rate or ONE)
        if not compared(line, month):
            yield OF_KIND.get(line.kind, "timing"), own
        if line.currency in rates:
            yield "fx", pico(line.amount, rates[line.currency]) - own


def with_rate(line: BillLine, booked: Mapping[str, Decimal]) -> BillLine:
    """The line with the rate it is converted at: the bill's own, else the books'."""
    if line.currency == "USD" or line.amount is None:
        return replace(line, usd_rate=Decimal(1))
    rate = line.usd_rate or booked.get(line.currency)
    if rate is None:
        raise Invalid(
            f"{line.issuer}: row {line.row} is in {line.currency} and the bill states no exchange rate",
            hint=f"give the invoice's rate, USD for one {line.currency}: `governor period reconcile MONTH --bill SOURCE FILE --fx {line.currency}=1.08`",
        )
    return replace(line, usd_rate=sound(rate, f"{line.issuer}: row {line.row}: {line.currency}"))


def sound(rate: Decimal, whose: str) -> Decimal:
    """Raises Invalid for what can be no currency's worth: one such comparison would stand on the month's statement."""
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise Invalid(f"{whose}: an exchange rate of {rate:.6g} is none", hint=f"USD for one unit, from {LEAST_RATE:f} to {MOST_RATE}")
    return rate


def settles_at(issuer: str, day: str) -> datetime:
    """When the issuer's source no longer changes a UTC day."""
    ended = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC) + timedelta(days=1)
    return ended + timedelta(hours=LATENCY_HOURS.get(issuer, OTHER_LATENCY_HOURS))


def percent(part: int, whole: int) -> str | None:
    """Percent with four decimals; null of nothing."""
    if not whole:
        return None if part else "0.0000"
    return f"{(Decimal(part) * 100 / Decimal(abs(whole))).quantize(Decimal('0.0001'), ROUND_HALF_EVEN):f}"


def cell_status(cell: Cell) -> str:
    """Matched | mismatch | pending."""
    if cell.pending:
        return "pending"
    within = abs(cell.difference) <= max(LINE_FLOOR, abs(cell.bill_pico) // LINE_SHARE)
    return "matched" if within else "mismatch"


def document(found: Reconciled) -> dict[str, Any]:
    """JSON values: money as decimal text in USD, the lines worst first."""
    whole = found.billed_usage_pico
    return {
        "period": found.month,
        "status": found.status,
        "currency": "USD",
        "ours": usd(found.ours_pico),
        "invoice": usd(found.invoice_pico),
        "difference": usd(found.invoice_pico - found.ours_pico),
        "net": {"amount": usd(found.net_pico), "percent": percent(found.net_pico, whole)},
        "gross": {"amount": usd(found.gross_pico), "percent": percent(found.gross_pico, whole)},
        "unexplained_percent": percent(abs(found.terms["unexplained"]), found.invoice_pico),
        "bridge": {cause: usd(found.terms[cause]) for cause in CAUSES},
        "issuers": [_issuer(issuer, found) for issuer in found.issuers],
        "lines": [line_document(cell) for cell in found.cells],
        "pending_days": [
            {"issuer": issuer, "day": day, "settles_at": settles_at(issuer, day).isoformat()} for issuer, day in found.pending_days
        ],
        "without_bill": [{"issuer": issuer, "ours": usd(amount)} for issuer, amount in found.without_bill.items()],
        "notes": found.notes,
    }


def _issuer(issuer: str, found: Reconciled) -> dict[str, Any]:
    cells = [cell for cell in found.cells if cell.key.issuer == issuer]
    settled = [cell for cell in cells if not cell.pending]
    whole = sum(cell.bill_pico for cell in settled)
    net, gross = abs(sum(cell.difference for cell in settled)), sum(abs(cell.difference) for cell in settled)
    bridge = found.by_issuer[issuer]
    return {
        "issuer": issuer,
        "ours": usd(bridge.ours_pico),
        "invoice": usd(bridge.invoice_pico),
        "difference": usd(bridge.invoice_pico - bridge.ours_pico),
        "bridge": {cause: usd(bridge.terms[cause]) for cause in CAUSES},
        "billed_usage": usd(sum(cell.bill_pico for cell in cells)),
        "net": {"amount": usd(net), "percent": percent(net, whole)},
        "gross": {"amount": usd(gross), "percent": percent(gross, whole)},
    }


def line_document(cell: Cell) -> dict[str, Any]:
    return {
        **cell.key._asdict(),
        "status": cell_status(cell),
        "calls": cell.calls,
        "our_quantity": counted(cell.ours_quantity),
        "billed_quantity": counted(cell.bill_quantity),
        "ours": usd(cell.ours_pico),
        "billed": usd(cell.bill_pico),
        "difference": usd(cell.difference),
        "causes": {cause: usd(amount) for cause, amount in sorted(cell.terms.items()) if amount},
    }


def printed(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a statement says of a stored result: the same numbers, without the keys. A result of an earlier version has one bridge for all providers."""
    rows = [one for one in result["issuers"] if "bridge" in one]
    if len(rows) != len(result["issuers"]):
        whole = {name: result[name] for name in ("ours", "invoice", "difference", "net", "gross", "bridge")}
        rows = [whole | {"issuer": ", ".join(one["issuer"] for one in result["issuers"])}]
    return {
        **{name: result[name] for name in PRINTED},
        "pending_days": len(result["pending_days"]),
        "issuers": [
            {name: one[name] for name in ("issuer", "ours", "invoice", "difference", "net", "gross")}
            | {"steps": [[words, one["bridge"][cause]] for cause, words in CAUSES.items() if Decimal(one["bridge"].get(cause, "0"))]}
            for one in rows
        ],
    }
