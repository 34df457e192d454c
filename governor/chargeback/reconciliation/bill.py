"""One line of a provider's bill, in the provider's currency, and what could not be read of a file.

Owns: kinds of line, adding up lines alike, conversion into pico-USD. Does not own: any provider's format. Invariants: amounts are exact decimals; `amount` is None
for a usage report, which knows tokens and no money; a tier that the bill does not tell apart is None, the standard tier is empty text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact
from typing import Any, Final

from governor.errors import Invalid
from governor.prices.price import PICO

WIDE: Final = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[])
KINDS: Final = ("usage", "discount", "commitment", "credit", "tax", "fee", "rounding")
LATENCY_HOURS: Final = {"openai": 24, "anthropic": 24, "openrouter": 24, "aws": 72, "azure": 72, "gcp": 120}
OTHER_LATENCY_HOURS: Final = 72
ISSUERS: Final = (("aws.", "aws"), ("azure.", "azure"), ("gcp.", "gcp"))


@dataclass(frozen=True)
class BillLine:
    """`day` is the UTC day of use; `invoice_month` (YYYY-MM) is set where a bill places use in another month than its day.

    `usd_rate`: USD for one unit of `currency`, as the bill states it. `list_amount`: the same line at list prices. `row`: first row of the file it came from.
    """

    day: str
    issuer: str
    account: str
    model: str
    meter: str  # a meter of the price book, `other` for what has none, empty where the bill adds all of them up
    tier: str | None
    kind: str
    currency: str
    amount: Decimal | None
    quantity: Decimal | None = None
    list_amount: Decimal | None = None
    usd_rate: Decimal | None = None
    invoice_month: str = ""
    row: int = 0
    rows: int = 1
    text: str = ""  # the provider's own words for it

    def record(self) -> dict[str, Any]:
        """JSON values; decimals as text."""
        return {one.name: _json(getattr(self, one.name)) for one in fields(self)}

    @property
    def month(self) -> str:
        return self.invoice_month or self.day[:7]


@dataclass(frozen=True)
class RejectedRow:
    """A row that was not understood: its number, the field, and why."""

    row: int
    field: str
    reason: str

    def record(self) -> dict[str, Any]:
        return {"row": self.row, "field": self.field, "reason": self.reason}


@dataclass(frozen=True)
class Bill:
    """What a reader made of one file. `skipped`: rows of other products, by name, which are no business of a model bill."""

    lines: list[BillLine]
    rejected: list[RejectedRow] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)


DECIMALS: Final = ("amount", "quantity", "list_amount", "usd_rate")


def line_of(record: dict[str, Any]) -> BillLine:
    """A line back from its record."""
    return BillLine(**record | {name: None if record[name] is None else Decimal(record[name]) for name in DECIMALS})


def add_up(lines: Iterable[BillLine]) -> list[BillLine]:
    """Lines alike become one, in a stable order; the first row's number is kept."""
    sums: dict[tuple[Any, ...], BillLine] = {}
    for line in lines:
        key = (
            line.day, line.issuer, line.account, line.model, line.meter, line.tier, line.kind, line.currency, line.usd_rate, line.invoice_month,
            line.amount is None, line.quantity is None, line.list_amount is None,
        )  # fmt: skip
        known = sums.get(key)
        sums[key] = line if known is None else _added(known, line)
    return [sums[key] for key in sorted(sums, key=lambda key: tuple(map(str, key)))]


def _added(known: BillLine, line: BillLine) -> BillLine:
    return replace(
        known,
        amount=total(known.amount, line.amount),
        quantity=total(known.quantity, line.quantity),
        list_amount=total(known.list_amount, line.list_amount),
        rows=known.rows + line.rows,
        row=min(known.row, line.row),
    )


def total(left: Decimal | None, right: Decimal | None) -> Decimal | None:
    """The exact sum of what is known. Raises Invalid for numbers too far apart to be added without rounding."""
    if left is None or right is None:
        return left if right is None else right
    context = WIDE.copy()
    context.clear_flags()  # a division elsewhere, such as a rate's, left its own in the one that is shared
    found = context.add(left, right)
    if context.flags[Inexact]:
        raise Invalid(f"{left} and {right} cannot be added exactly")
    return found


def pico(amount: Decimal, rate: Decimal = Decimal(1)) -> int:
    """An amount in pico-USD, rounded once, half to even."""
    return int(WIDE.multiply(WIDE.multiply(amount, rate), PICO).to_integral_value(ROUND_HALF_EVEN))


def decimals(amount: Decimal) -> int:
    """Digits after the point, as written."""
    exponent = amount.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def issuer_of(provider: str, gateway: str = "") -> str:
    """Who bills for calls of a provider: the cloud, the reseller, or the provider itself."""
    if gateway == "openrouter" or provider == "openrouter":
        return "openrouter"
    return next((issuer for prefix, issuer in ISSUERS if provider.startswith(prefix)), provider)


def _json(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value
