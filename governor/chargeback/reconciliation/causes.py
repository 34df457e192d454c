"""Why a cell differs: every rule moves ours a step towards the bill and says by which cause.

Owns: the rules and their order. Does not own: the table (cells.py), lines without usage such as tax (bridge.py).
Invariants: a rule only ever explains part of what is left, so terms and rest always sum to the difference; quantities come before prices, and rounding
is only what the digits of the bill can hide; what no rule knows stays unexplained.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Final

from governor.chargeback.reconciliation.cells import INPUT_SIDE, OUTPUT_SIDE, Cell, Key

CENTS: Final = (Fraction(100), Fraction(1, 100))
ALIKE: Final = Fraction(1, 10**6)  # ratios of one exchange rate differ by no more
SEVERAL: Final = 2
Price = Callable[[Key], Fraction | None]


def explain(cells: Mapping[Key, Cell]) -> list[str]:
    """Run the rules in order; returns what a reader should know about them."""
    price = prices_of(cells.values())
    notes: list[str] = []
    late(cells)
    retiered(cells.values())
    for group in grouped(cells.values(), lambda key: (key.day, key.issuer, key.account, key.model)):
        quantities(group, price)
    for cell in cells.values():
        priced(cell, notes)
    exchanged(cells.values(), notes)
    for cell in cells.values():
        cell.explain("rounding" if abs(cell.residual) <= cell.slack else "unexplained", cell.residual)
    return notes


def prices_of(cells: Iterable[Cell]) -> Price:
    """What one unit costs with us, in pico-USD: of the cell itself, else over the month for its model, meter and tier, else in any tier."""
    sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
    own: dict[Key, Fraction] = {}
    for cell in cells:
        if cell.ours_quantity:
            own[cell.key] = Fraction(cell.ours_pico, cell.ours_quantity)
            for series in _series(cell.key):
                sums[series][0] += cell.ours_pico
                sums[series][1] += cell.ours_quantity

    def price(key: Key) -> Fraction | None:
        if key in own:
            return own[key]
        return next((Fraction(*sums[series]) for series in _series(key) if series in sums), None)

    return price


def _series(key: Key) -> tuple[tuple[str, ...], ...]:
    return (key.issuer, key.model, key.meter, key.tier), (key.issuer, key.model, key.meter)


def grouped(cells: Iterable[Cell], by: Callable[[Key], Any]) -> list[list[Cell]]:
    groups: dict[Any, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[by(cell.key)].append(cell)
    return list(groups.values())


def late(cells: Mapping[Key, Cell]) -> None:
    """Timing: days the source may still change; use that the bill carries on the neighbouring day; days it does not have at all."""
    billed_days = {(cell.key.issuer, cell.key.day) for cell in cells.values() if cell.bill_rows}
    for cell in cells.values():
        if cell.pending:
            settle(cell, "timing")
    for cell in sorted(cells.values(), key=lambda one: one.key):
        following = cells.get(cell.key._replace(day=(date.fromisoformat(cell.key.day) + timedelta(days=1)).isoformat()))
        if following is None or cell.pending or following.pending:
            continue
        left, right = cell.residual, following.residual
        if abs(left) > cell.slack and abs(right) > following.slack and abs(left + right) <= cell.slack + following.slack:
            settle(cell, "timing")
            settle(following, "timing")
    for cell in cells.values():
        if (cell.key.issuer, cell.key.day) not in billed_days:
            settle(cell, "timing")


def settle(cell: Cell, cause: str) -> None:
    """All of it is this."""
    cell.explain(cause, cell.residual)
    if cell.bill_quantity is not None:
        cell.quantity = cell.bill_quantity


def retiered(cells: Iterable[Cell]) -> None:
    """The same tokens of one meter, billed in another tier than the one we saw."""
    for group in grouped(cells, lambda key: key._replace(tier="")):
        open_ = [cell for cell in group if cell.residual and (cell.bill_quantity is not None or not cell.bill_rows)]
        more = [cell for cell in open_ if _gap(cell) > 0]
        less = [cell for cell in open_ if _gap(cell) < 0]
        moved = min(sum(_gap(cell) for cell in more), -sum(_gap(cell) for cell in less))
        if not moved or len(group) < SEVERAL:
            continue
        for cells_, sign in ((more, 1), (less, -1)):
            rest = moved
            for cell in cells_:
                part = min(rest, abs(_gap(cell)))
                base, of = (cell.bill_pico, cell.bill_quantity or 0) if sign > 0 else (cell.ours_pico, cell.ours_quantity)
                cell.explain("tier", sign * round(Fraction(base * part, of)) if of else 0)
                cell.quantity += sign * part
                rest -= part


def _gap(cell: Cell) -> int:
    return (cell.bill_quantity or 0) - cell.quantity


def quantities(group: list[Cell], price: Price) -> None:
    """Tokens of one model on one day. Calls we did not see raise both sides; tokens counted in another class, or twice, change one."""
    if not any(cell.ours_quantity for cell in group):
        for cell in group:
            settle(cell, "not_captured")
        return
    if not any(cell.bill_rows for cell in group):
        for cell in group:
            settle(cell, "captured_not_billed")
        return
    for cell in group:
        if cell.bill_rows and cell.bill_quantity is None:
            cell.bill_quantity = implied(cell, price)
        elif cell.ours_quantity and cell.bill_rows and abs(cell.residual) <= cell.slack:
            cell.quantity = cell.bill_quantity or 0  # the money agrees: the bill counts in another unit
    gaps = {cell.key: _gap(cell) for cell in group if cell.bill_quantity is not None or not cell.bill_rows}
    sent = sum(gap for key, gap in gaps.items() if key.meter in INPUT_SIDE)
    answered = sum(gap for key, gap in gaps.items() if key.meter in OUTPUT_SIDE)
    has_answers = any(key.meter in OUTPUT_SIDE for key in gaps)
    same_calls = has_answers and (sent == 0 or answered == 0 or (sent > 0) != (answered > 0))
    for cell in group:
        gap = gaps.get(cell.key, 0)
        if not gap:
            continue
        total = sent + answered if cell.key.meter in INPUT_SIDE | OUTPUT_SIDE else gap
        shifted = cell.key.meter in INPUT_SIDE | OUTPUT_SIDE and (same_calls or (gap > 0) != (total > 0))
        cause = "token_class" if shifted else "not_captured" if gap > 0 else "captured_not_billed"
        unit = price(cell.key)
        cell.explain(cause, cell.residual if unit is None or not cell.bill_rows else round(unit * gap))
        cell.quantity += gap


def implied(cell: Cell, price: Price) -> int | None:
    """How many tokens an amount stands for, where the bill names none: ours when it fits or is off by the factor of cents, else a whole number at our price."""
    if abs(cell.residual) <= cell.slack or (cell.expected and Fraction(cell.bill_pico, cell.expected) in CENTS):
        return cell.quantity
    unit = price(cell.key)
    if not unit:
        return None
    count = round(cell.bill_pico / unit)
    return count if abs(cell.bill_pico - count * unit) <= cell.slack < unit / 2 else None


def priced(cell: Cell, notes: list[str]) -> None:
    """Same tokens, other money: against list prices where the bill says them, the rest is the discount."""
    rest = cell.residual
    if not cell.bill_rows or abs(rest) <= cell.slack or cell.bill_quantity is None:
        return
    if cell.bill_list is not None and cell.ours_pico:
        listed = cell.bill_list - round(Fraction(cell.expected * cell.ours_list, cell.ours_pico))
        at_list = listed if abs(listed) > cell.slack else 0
        cell.explain("price", at_list)
        cell.explain("discount", rest - at_list)
    else:
        if cell.expected and Fraction(cell.bill_pico, cell.expected) in CENTS:
            note = f"{cell.key.issuer}: amounts differ by a factor of exactly 100: cents read as dollars, or dollars as cents"
            if note not in notes:
                notes.append(note)
        cell.explain("price", rest)


def factors(cell: Cell) -> tuple[Fraction, Fraction] | None:
    """Between which factors a cell's price may be off, as far as the digits of the bill tell; None where nothing was expected of it."""
    expected = cell.expected - cell.terms.get("price", 0)
    if expected <= 0:
        return None
    return Fraction(cell.bill_pico - cell.slack, expected), Fraction(cell.bill_pico + cell.slack, expected)


def exchanged(cells: Iterable[Cell], notes: list[str]) -> None:
    """In a bill of another currency, every price off by one and the same factor is the exchange rate."""
    foreign = [cell for cell in cells if cell.currency != "USD" and cell.bill_rows and not cell.pending]
    for group in grouped(foreign, lambda key: key.issuer):
        off = [cell for cell in group if cell.terms.get("price")]
        ranges = [factors(cell) for cell in group if cell.bill_pico]
        known = [one for one in ranges if one is not None]
        if (
            len(off) >= SEVERAL
            and len(known) == len(ranges)
            and max(low for low, _ in known) <= min(high for _, high in known) * (1 + ALIKE)
        ):
            for cell in off:
                cell.explain("fx", cell.terms.pop("price"))
            notes.append(f"{group[0].key.issuer}: every price differs by the same factor, which is taken for the exchange rate")
