"""The table on which both sides meet: one cell per (UTC day, issuer, account, model, meter, tier).

Owns: our usage line, laying both sides out, giving up a dimension that one side does not have. Does not own: why they differ (causes.py).
Invariants: every usage line of either side is in exactly one cell; a dimension is given up where one side does not have it, and that is said; what `explain` is
told adds up: residual = billed - ours - explained, always.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NamedTuple

from governor.chargeback.reconciliation.bill import BillLine, decimals, pico
from governor.chargeback.reconciliation.names import matched_names
from governor.prices.units import UNIT_METERS

COMPARED: Final = ("usage", "discount")
CHARGED: Final = "reported_cost"  # the meter of what the provider said it charged, counted in pico-USD
INPUT_SIDE: Final = frozenset({"input", "cache_read", "cache_write", "cache_write_1h", "audio_input", "image_input"})
OUTPUT_SIDE: Final = frozenset({"output", "reasoning", "audio_output", "image_output"})


class Key(NamedTuple):
    """Where both sides meet."""

    day: str
    issuer: str
    account: str
    model: str
    meter: str
    tier: str


@dataclass(frozen=True)
class UsageLine:
    """What we say one meter of one way of using a model came to on one day. `accounts`: names by which the provider may know who called."""

    day: str
    issuer: str
    accounts: tuple[str, ...]
    model: str
    meter: str
    tier: str
    quantity: int
    list_pico: int
    cost_pico: int
    calls: int = 0


@dataclass
class Cell:
    """One key. `quantity` is ours, moved towards the bill as differences are explained; null bill quantity: the bill names none."""

    key: Key
    ours_pico: int = 0
    ours_list: int = 0
    ours_quantity: int = 0
    bill_pico: int = 0
    bill_list: int | None = None
    bill_quantity: int | None = None
    bill_rows: int = 0
    calls: int = 0
    slack: int = 0  # what rounding of the bill's own numbers can come to
    quantity: int = 0
    currency: str = "USD"
    pending: bool = False
    terms: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def difference(self) -> int:
        return self.bill_pico - self.ours_pico

    @property
    def residual(self) -> int:
        """What is not explained yet."""
        return self.difference - sum(self.terms.values())

    @property
    def expected(self) -> int:
        """Ours with everything that is explained so far."""
        return self.ours_pico + sum(self.terms.values())

    def explain(self, cause: str, amount: int) -> None:
        if amount:
            self.terms[cause] += amount


@dataclass(frozen=True)
class Laid:
    """Both sides in cells, and what had to be given up so that they meet."""

    cells: dict[Key, Cell]
    notes: list[str]


def lay_out(ours: Iterable[UsageLine], billed: Sequence[BillLine]) -> Laid:
    """`ours`: of issuers that sent a bill; `billed`: usage and discount lines, money or tokens."""
    by_issuer: dict[str, list[BillLine]] = defaultdict(list)
    for line in billed:
        by_issuer[line.issuer].append(line)
    own: dict[str, list[UsageLine]] = defaultdict(list)
    for use in ours:
        own[use.issuer].append(use)
    cells: dict[Key, Cell] = {}
    notes: list[str] = []
    for issuer in sorted({*by_issuer, *own}):
        _lay_issuer(issuer, own[issuer], by_issuer[issuer], cells, notes)
    for cell in cells.values():
        cell.quantity = cell.ours_quantity
    return Laid(cells, notes)


def _lay_issuer(issuer: str, ours: list[UsageLine], billed: list[BillLine], cells: dict[Key, Cell], notes: list[str]) -> None:
    from_ours, from_bill = matched_names((use.model for use in ours), (line.model for line in billed))
    money = [line for line in billed if line.amount is not None]
    fees = {line.meter for line in money if line.meter and not line.model} - {line.meter for line in money if line.model}
    mixed = _partly_charged((from_ours[use.model], use.meter) for use in ours if use.meter not in fees)
    in_money = [use.meter not in fees and from_ours[use.model] in mixed for use in ours]
    ours = [replace(use, meter=CHARGED, quantity=use.cost_pico) if so else use for use, so in zip(ours, in_money, strict=True)]
    accounts = {line.account for line in billed if line.account}
    with_account = bool(accounts) and bool(ours) and all(accounts & set(use.accounts) for use in ours)
    with_tier = any(line.tier is not None for line in money) or not money
    unnamed = _unnamed(money, with_account=with_account)
    with_meter = not any(line.meter == "" and line.model for line in money if line.kind == "usage")
    notes += _given_up(issuer, [] if with_account else accounts, sorted(mixed), with_meter=with_meter)
    notes += _said_of_unnamed(issuer, money, unnamed, with_account=with_account)
    sole = _sole_meters((from_ours[use.model], use.meter) for use in ours if use.meter not in fees and (with_meter or use.meter == CHARGED))
    places = max((decimals(line.amount) for line in money if line.amount is not None), default=12)

    def cell_at(day: str, account: str, model: str, meter: str, tier: str | None) -> Cell:
        account = account if with_account else ""
        named = (day, account) not in unnamed
        parts = (model, meter if with_meter else "", (tier or "") if with_tier else "") if named else ("", "", "")
        key = Key(day, issuer, account, *parts)
        return cells.setdefault(key, Cell(key))

    for use in ours:
        account = next((name for name in use.accounts if name in accounts), "")
        model = "" if use.meter in fees else from_ours[use.model]  # searches are billed without the model that searched
        cell = cell_at(use.day, account, model, use.meter, use.tier)
        cell.ours_pico += use.cost_pico
        cell.ours_list += use.list_pico
        cell.ours_quantity += use.quantity
        cell.calls += use.calls
    reported: dict[Key, int] = defaultdict(int)
    for billed_line in billed:
        model = from_bill[billed_line.model]
        line = _in_our_unit(billed_line, sole[model]) if model in sole else billed_line
        cell = cell_at(line.day, line.account, model, line.meter, line.tier)
        if line.amount is None:
            if line.quantity is not None:
                reported[cell.key] += _whole(line.quantity)
            cell.currency = line.currency or cell.currency
            continue
        _add_line(cell, line, places)
    for key, quantity in reported.items():  # a usage report beside the costs: tokens for amounts that name none
        cell = cells[key]
        if cell.bill_rows and cell.bill_quantity is None:
            cell.bill_quantity = quantity
        elif not cell.bill_rows and not cell.ours_quantity:
            del cells[key]


def _given_up(issuer: str, accounts: Collection[str], mixed: Sequence[str], *, with_meter: bool) -> Iterator[str]:
    if accounts:
        yield f"{issuer}: accounts are not compared, because our calls do not name them"
    if not with_meter:
        yield f"{issuer}: meters are not compared, because the bill does not name them"
    elif mixed:
        yield f"{issuer}: compared as a sum, because some calls have the provider's own charge alone: {', '.join(mixed)}"


def _unnamed(money: Iterable[BillLine], *, with_account: bool) -> set[tuple[str, str]]:
    """The (day, account) of which the bill says a sum alone. Beside lines that name a model or a meter, one that names neither stands for itself."""
    usage = [line for line in money if line.kind == "usage"]
    named = {(line.day, line.account) for line in usage if line.model or line.meter}
    sums = {(line.day, line.account) for line in usage} - named
    return {(day, account if with_account else "") for day, account in sums}


def _said_of_unnamed(issuer: str, money: Iterable[BillLine], unnamed: set[tuple[str, str]], *, with_account: bool) -> Iterator[str]:
    usage = [line for line in money if line.kind == "usage"]
    if unnamed:
        days = sorted({day for day, _ in unnamed})
        when = "" if {line.day for line in usage} <= set(days) else f" of {', '.join(days[:3])}{' and other days' if days[3:] else ''}"
        yield f"{issuer}: models and meters{when} are not compared, because the bill does not name them"
    alone = [line for line in usage if not (line.model or line.meter) and (line.day, line.account if with_account else "") not in unnamed]
    if alone:
        yield f"{issuer}: lines of the bill that name neither model nor meter stand for themselves: {sum(line.rows for line in alone)}"


def _partly_charged(counted: Iterable[tuple[str, str]]) -> set[str]:
    """Models of which some calls are counted and others have the provider's own charge alone: they meet their bill in money, counted as such charges are."""
    return {model for model, found in _meters(counted).items() if CHARGED in found and len(found) > 1}


def _sole_meters(counted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Model -> the one meter that all our use of it has, where that is none of tokens: images, seconds, or what the provider said it charged."""
    return {model: next(iter(found)) for model, found in _meters(counted).items() if len(found) == 1 and found <= {*UNIT_METERS, CHARGED}}


def _meters(counted: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    meters: dict[str, set[str]] = defaultdict(set)
    for model, meter in counted:
        meters[model].add(meter)
    return meters


def _in_our_unit(line: BillLine, meter: str) -> BillLine:
    """Bills name a unit in words of their own (`images`, `standard 1024x1024`); what another meter counts is no number of ours."""
    return line if line.meter == meter else replace(line, meter=meter, quantity=line.quantity if meter in UNIT_METERS else None)


def _add_line(cell: Cell, line: BillLine, places: int) -> None:
    rate = line.usd_rate or Decimal(1)
    amount = pico(line.amount or Decimal(0), rate)
    cell.bill_pico += amount
    cell.currency = line.currency
    cell.bill_rows += line.rows
    cell.slack += line.rows * (pico(Decimal(1).scaleb(-places), rate) // 2 + 1) + abs(amount) // 10**12
    if line.quantity is not None and line.kind == "usage":
        cell.bill_quantity = (cell.bill_quantity or 0) + _whole(line.quantity)
    if line.kind == "usage":
        at_list = amount if line.list_amount is None else pico(line.list_amount, rate)
        if line.list_amount is not None or cell.bill_list is not None:
            cell.bill_list = (cell.bill_pico - amount if cell.bill_list is None else cell.bill_list) + at_list
    elif cell.bill_list is None:  # a discount in a line of its own: the usage beside it is at list
        cell.bill_list = cell.bill_pico - amount


def _whole(quantity: Decimal | None) -> int:
    return int((quantity or Decimal(0)).to_integral_value(ROUND_HALF_EVEN))
