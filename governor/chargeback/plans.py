"""Rate plans: what a cost center is charged inside the company beyond, or instead of, what its calls cost.

Owns: the fee or credit of each plan, its counter line, the arithmetic in words. Does not own: which plan holds (catalog), shared costs (allocate.py). Invariants:
the base is the cost center's production cost of the month, shared costs included, shadow spend and corrections not; every line has a counter line of the opposite amount
in the cost center that recovers, so a month's total stays what providers charge; amounts are rounded to the pico-USD once, half to even.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final

from governor.catalog.allocation import RatePlanDocument, Tier
from governor.chargeback.lines import Line
from governor.prices.price import PICO

METER: Final = "rate_plan"
CLASS: Final = "internal"
WORDS: Final = {
    "pass_through": "Pass-through",
    "platform_fee": "Platform fee",
    "fixed_fee": "Fixed fee instead of usage",
    "tiered": "Tiered platform fee",
    "credit_pool": "Drawn from the credit pool",
}
DIGITS: Final = 60


def plan_lines(lines: Sequence[Line], plans: Iterable[RatePlanDocument], month: str) -> list[Line]:
    """Lines of every plan in force, with their counter lines. A plan that comes to nothing yields nothing."""
    base: dict[str, int] = defaultdict(int)
    for line in lines:
        if line.traffic_class == "production" and not line.corrects:
            base[line.cost_center] += line.cost_pico
    found: list[Line] = []
    for plan in sorted(plans, key=lambda plan: plan.id):
        for center in sorted(plan.cost_centers):
            pico, words = fee(plan, base.get(center, 0))
            if pico:
                found.append(_line(month, center, plan, pico, words, center))
                found.append(_line(month, plan.recovers_to, plan, -pico, f"counter line of {center}: {words}", center))
    return found


def fee(plan: RatePlanDocument, base: int) -> tuple[int, str]:
    """Pico-USD to add to a cost center's charge, and how that came about."""
    if plan.plan == "platform_fee":
        pico = _percent(base, plan.percent or "0")
        return pico, f"{plan.percent} % of {_usd(base)} = {_usd(pico)}"
    if plan.plan == "fixed_fee":
        pico = _pico(plan.amount) - base
        return pico, f"{_usd(_pico(plan.amount))} a month - {_usd(base)} of usage = {_usd(pico)}"
    if plan.plan == "tiered":
        return _tiered(plan.tiers, base)
    if plan.plan == "credit_pool":
        drawn = max(0, min(base, _pico(plan.amount)))
        return -drawn, f"the smaller of {_usd(base)} used and {_usd(_pico(plan.amount))} prepaid = {_usd(drawn)}"
    return 0, "usage is passed through"


def _tiered(tiers: Sequence[Tier], base: int) -> tuple[int, str]:
    exact, floor, words = Decimal(0), 0, []
    for tier in tiers:
        top = base if tier.up_to is None else min(base, _pico(tier.up_to))
        if top <= floor:
            break
        with localcontext() as context:
            context.prec = DIGITS
            exact += Decimal(top - floor) * Decimal(tier.percent) / 100
        words.append(f"{tier.percent} % of {_usd(top - floor)}")
        floor = top
    pico = _whole(exact)
    return pico, f"{' + '.join(words)} = {_usd(pico)}"


def _line(month: str, center: str, plan: RatePlanDocument, pico: int, words: str, payer: str) -> Line:
    """`origin` holds whose plan line it is, so that a recovering cost center has one counter line for each."""
    return Line(
        charge_month=month, cost_center=center, workflow_id=None, owner=None, provider="internal", model=plan.id, service_tier="",
        traffic_class=CLASS, route_status="", meter=METER, list_amount=None, list_per=None, contract_amount=None, contract_per=None,
        price_source="plan", quantity=1, calls=0, list_pico=pico, contracted_pico=pico, rule=f"{plan.id}/{plan.plan}", origin=f"plan/{payer}",
        origin_center=payer, method=plan.plan, arithmetic=words,
    )  # fmt: skip


def _percent(base: int, percent: str) -> int:
    with localcontext() as context:
        context.prec = DIGITS
        return _whole(Decimal(base) * Decimal(percent) / 100)


def _whole(exact: Decimal) -> int:
    with localcontext() as context:
        context.prec = DIGITS
        return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def _pico(text: str | None) -> int:
    return _whole(Decimal(text or "0") * PICO)


def _usd(pico: int) -> str:
    """To the cent, with all places where cents would hide something."""
    amount = Decimal(pico) / PICO
    return f"${amount:,.2f}" if amount == amount.quantize(Decimal("0.01")) else f"${amount.normalize():,f}"
