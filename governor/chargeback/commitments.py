"""Commitments and provisioned capacity: what they cost in a month, what of it was used, and who pays for the rest.

Owns: which use a commitment covers, the used part, its shares, the charge lines. Does not own: the document (catalog/commitment), shared costs (allocate.py), cents.
Invariants: covered use is charged nothing; the charge lines of a commitment, used and unused, sum to its cost of the month exactly; used shares go to covered lines by
largest remainder and follow them when a rule shares them out; a commitment of money covers no more than its amount, the rest is charged as ever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Any, Final

from governor.catalog.commitment import CommitmentDocument
from governor.chargeback.amounts import percent, usd
from governor.chargeback.lines import GovernedGroup, Line
from governor.chargeback.shares import split
from governor.prices.names import canonical_provider, canonical_tier
from governor.prices.price import PICO

CLASS: Final = "commitment"
COVERED: Final = "commitment"  # price source of a line that a commitment covers
USED, UNUSED = "commitment_used", "commitment_unused"
HOUR: Final = timedelta(hours=1)
SpeaksFor = Callable[[str, str], str]  # (provider, model as called) -> the model of the price book it means


@dataclass(frozen=True)
class Settled:
    """A commitment in one month, in pico-USD. value: what the covered use would have cost by contract; hours: of the month it held."""

    document: CommitmentDocument
    cost_pico: int
    used_pico: int
    value_pico: int
    hours: Fraction
    words: str

    @property
    def unused_pico(self) -> int:
        return self.cost_pico - self.used_pico


def covering(commitments: Iterable[CommitmentDocument], model_of: SpeaksFor, zone: str) -> Callable[[GovernedGroup], str]:
    """Which commitment pays for a group of calls, by its mark; empty for none. Capacity is asked before money, then by id."""
    ordered = [(one, *one.held(zone)) for one in sorted(commitments, key=lambda one: (one.provisioned is None, one.id))]

    def mark(group: GovernedGroup) -> str:
        if group.traffic_class != "production" or group.rated.status != "priced":
            return ""
        return next((one.mark for one, begin, end in ordered if begin <= group.epoch_start < end and _covers(one, group, model_of)), "")

    return mark


def _covers(one: CommitmentDocument, group: GovernedGroup, model_of: SpeaksFor) -> bool:
    if canonical_provider(group.provider) != canonical_provider(one.provider):
        return False
    if one.service_tiers and canonical_tier(group.service_tier) not in {canonical_tier(tier) for tier in one.service_tiers}:
        return False
    wanted = {name.lower() for name in one.models}
    return not wanted or bool({(group.model or "").lower(), model_of(group.provider or "", group.model or "").lower()} & wanted)


def settle(
    lines: Sequence[Line], commitments: Iterable[CommitmentDocument], start: datetime, end: datetime, zone: str
) -> tuple[list[Line], list[Settled]]:
    """Lines with what is covered at nothing, and what each commitment comes to in [start, end)."""
    marked: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        marked[line.commitment].append(line)
    made = list(marked.pop("", []))
    settled = []
    for one in sorted(commitments, key=lambda one: one.mark):
        first, last = one.held(zone)
        held = min(last, end) - max(first, start)
        members = marked.pop(one.mark, [])
        if held <= timedelta(0):
            made += members
            continue
        result = _month_of(one, members, held, end - start)
        settled.append(result)
        made += _covered(one, members, result)
    return [*made, *(line for members in marked.values() for line in members)], settled


def _month_of(one: CommitmentDocument, members: Sequence[Line], held: timedelta, month: timedelta) -> Settled:
    hours, value = _ratio(held, HOUR), sum(line.contracted_pico for line in members)
    if one.provisioned is None:
        cost = round(Fraction(Decimal(one.monthly_amount or "0")) * PICO * _ratio(held, month))
        used = min(cost, value)
        return Settled(one, cost, used, value, hours, f"{usd(value)} USD of use against {usd(cost)} USD committed")
    capacity = one.provisioned
    cost = round(Fraction(Decimal(capacity.hourly_rate)) * PICO * capacity.units * hours)
    bought = f"{capacity.units:,} {capacity.unit} x {_hours(hours)} h x {capacity.hourly_rate} USD"
    if capacity.tokens_per_minute is None:
        return Settled(
            one, cost, min(cost, value), value, hours, f"{bought}; used as far as its calls are worth {usd(value)} USD by contract"
        )
    weighed, room = sum(_weights(one, members), Fraction(0)), Fraction(capacity.tokens_per_minute * capacity.units) * hours * 60
    used = cost if weighed >= room else round(cost * weighed / room)
    share = "all of it" if weighed >= room else f"{percent(int(weighed), int(room) or 1)} % of it"
    return Settled(one, cost, used, value, hours, f"{bought}; {share} used: {int(weighed):,} of {int(room):,} weighted tokens")


def _weights(one: CommitmentDocument, members: Sequence[Line]) -> list[Fraction]:
    """What a commitment is used up by, line by line."""
    capacity = one.provisioned
    if capacity is None or capacity.tokens_per_minute is None:
        return [Fraction(line.contracted_pico) for line in members]
    return [
        line.quantity * Fraction(Decimal(capacity.weights.get(line.meter, "1"))) if line.unit == "Tokens" else Fraction(0)
        for line in members
    ]


def _covered(one: CommitmentDocument, members: Sequence[Line], result: Settled) -> list[Line]:
    """The lines at nothing, each with its share of the used part; beyond a commitment of money the rest of each line as ever."""
    ordered = sorted(members, key=lambda line: line.line_id)
    weights = _weights(one, ordered)
    scale = lcm(*(weight.denominator for weight in weights))
    shares = _split(result.used_pico, [int(weight * scale) for weight in weights])
    over = one.provisioned is None and result.value_pico > result.cost_pico
    covered = _split(result.cost_pico, [line.contracted_pico for line in ordered]) if over else [line.contracted_pico for line in ordered]
    made: list[Line] = []
    for line, share, part in zip(ordered, shares, covered, strict=True):
        rest = line.contracted_pico - part
        quantity, listed = (
            _split(whole, [part, rest]) if rest else [whole, 0] for whole in (line.quantity, line.list_pico)
        )  # a line that costs nothing is covered whole
        made.append(
            replace(
                line,
                quantity=quantity[0],
                list_pico=listed[0],
                contracted_pico=0,
                covered_pico=part,
                effective_pico=share,
                price_source=COVERED,
            )
        )
        if rest:
            made.append(replace(line, quantity=quantity[1], list_pico=listed[1], contracted_pico=rest, calls=0))
    return made


def charge_lines(lines: Sequence[Line], settled: Iterable[Settled], month: str) -> list[Line]:
    """What each commitment costs each cost center: the part its covered lines used, and the unused part. They sum to its cost."""
    used: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for line in lines:
        if line.effective_pico:
            used[line.commitment][line.cost_center] += line.effective_pico
    made = []
    for one in settled:
        by_center = used.get(one.document.mark, {})
        made += [_line(month, center, one, USED, pico) for center, pico in sorted(by_center.items()) if pico]
        rest = one.cost_pico - sum(by_center.values())
        made += [_line(month, center, one, UNUSED, pico) for center, pico in sorted(_bears(one.document, by_center, rest).items()) if pico]
    return made


def _bears(one: CommitmentDocument, used: Mapping[str, int], unused: int) -> dict[str, int]:
    rule = one.unused
    if rule.percents:
        return split(unused, {name: int(Decimal(text) * 10**12) for name, text in rule.percents.items()})
    return split(unused, used) if rule.by == "use" and any(used.values()) else {rule.cost_center or "": unused}


def _line(month: str, center: str, one: Settled, meter: str, pico: int) -> Line:
    """list_pico is zero: what the use would cost at list stands on the lines that the commitment covers."""
    document = one.document
    return Line(
        charge_month=month, cost_center=center, workflow_id=None, owner=None, provider=canonical_provider(document.provider), model=document.id,
        service_tier="", traffic_class=CLASS, route_status="", meter=meter, list_amount=None, list_per=None, contract_amount=None, contract_per=None,
        price_source=COVERED, quantity=1, calls=0, list_pico=0, contracted_pico=pico, commitment=document.mark, arithmetic=one.words,
    )  # fmt: skip


def commitments_document(settled: Iterable[Settled]) -> list[dict[str, Any]]:
    """What the statement says of each commitment of the month."""
    found = []
    for one in settled:
        document, capacity = one.document, one.document.provisioned
        found.append(
            {
                "id": document.id,
                "mark": document.mark,
                "name": document.name or document.id,
                "provider": canonical_provider(document.provider),
                "models": document.models,
                "unit": f"{capacity.unit}-Hours" if capacity else "USD",
                "rate": capacity.hourly_rate if capacity else None,
                "quantity": _hours(one.hours * capacity.units) if capacity else usd(one.cost_pico),
                "cost": usd(one.cost_pico),
                "used": usd(one.used_pico),
                "unused": usd(one.unused_pico),
                "used_percent": percent(one.used_pico, one.cost_pico),
                "covered_value": usd(min(one.value_pico, one.cost_pico) if capacity is None else one.value_pico),
                "words": one.words,
            }
        )
    return found


def _split(amount: int, weights: Sequence[int]) -> list[int]:
    if not any(weights):
        return [amount if place == 0 else 0 for place in range(len(weights))]
    parts = split(amount, {f"{place:09d}": weight for place, weight in enumerate(weights)})
    return [parts[f"{place:09d}"] for place in range(len(weights))]


def _ratio(part: timedelta, whole: timedelta) -> Fraction:
    return Fraction(part // timedelta(microseconds=1), whole // timedelta(microseconds=1))


def _hours(hours: Fraction) -> str:
    return str(hours.numerator) if hours.denominator == 1 else f"{Decimal(hours.numerator) / Decimal(hours.denominator):.4f}"
