"""Charge lines: what one cost center owes for one meter of one way of using a model, in exact pico-USD.

Owns: the line, its identity, how governed groups and shadow spend become lines. Does not own: cents (allocation.py), documents (statement.py),
corrections (corrections.py). Invariants: a line's key holds every price it was rated at, so cost = quantity x unit price holds exactly per line,
but for parts (a share of a line, either part of a line that a commitment of money covers in part): their cost is exact, their quantity rounded to whole units;
equal input, equal ids; a line is charged to a cost center or to UNALLOCATED, never dropped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, Protocol

from governor.ledger.canonical import counted
from governor.prices.exposure import Exposure
from governor.prices.rate import Rated
from governor.prices.units import base_of

UNALLOCATED: Final = "UNALLOCATED"
NO_USE: Final = "without_use"  # priced, but of no tokens; or charged nothing by the provider
UNITS: Final = {
    "request": "Requests",
    "replay": "Requests",
    "reported_cost": "Pico-USD",
    "image": "Images",
    "input_image": "Images",
    "second": "Seconds",
    "millisecond": "Milliseconds",
    "video_second": "Seconds",
    "video_millisecond": "Milliseconds",
    "input_video_second": "Seconds",
    "input_video_millisecond": "Milliseconds",
    "character": "Characters",
    "page": "Pages",
    "annotated_page": "Pages",
    "search_unit": "Search Units",
    "message": "Messages",
    "web_search": "Searches",
    "grounded_prompt": "Prompts",
    "maps_search": "Searches",
    "maps_prompt": "Prompts",
    "file_search": "Searches",
    "session": "Sessions",
    "source": "Sources",
    "storage_token_hour": "Token-Hours",
    "ptu_hour": "PTU-Hours",
    "commitment_used": "Commitments",
    "commitment_unused": "Commitments",
    "rate_plan": "Rate Plans",
}


class GovernedGroup(Protocol):
    """What a line needs of actions.govern.Group."""

    @property
    def workflow_id(self) -> str | None: ...
    @property
    def owner(self) -> str | None: ...
    @property
    def cost_center(self) -> str | None: ...
    @property
    def provider(self) -> str | None: ...
    @property
    def model(self) -> str | None: ...
    @property
    def service_tier(self) -> str | None: ...
    @property
    def traffic_class(self) -> str: ...
    @property
    def route_status(self) -> str: ...
    @property
    def epoch_start(self) -> datetime: ...
    @property
    def calls(self) -> int: ...
    @property
    def input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...
    @property
    def rated(self) -> Rated: ...
    @property
    def exposure(self) -> Exposure: ...


@dataclass(frozen=True)
class Line:
    """`calls` is carried by one line per call, so that it can be summed. Prices are decimal text per block; null where spend came without a rate."""

    charge_month: str
    cost_center: str
    workflow_id: str | None
    owner: str | None
    provider: str
    model: str
    service_tier: str
    traffic_class: str
    route_status: str
    meter: str
    list_amount: str | None
    list_per: int | None
    contract_amount: str | None
    contract_per: int | None
    price_source: str  # list | contract | measured | reported
    quantity: int
    calls: int
    list_pico: int
    contracted_pico: int
    corrects: str = ""  # the line id of the closed month that this correction changes
    rule: str = ""  # allocation rule and version, or rate plan, that put it here
    origin: str = ""  # the line this is a part of; several cost centers may hold parts of it
    style: str = ""  # of a correction that is no difference: reversal (the charge taken back whole) | restated (charged again)
    origin_center: str = ""  # the cost center the origin stood in
    method: str = ""  # how the rule shares out
    ratio: str = ""  # this part of the origin, as decimal text
    arithmetic: str = ""  # of a rate plan's line: how the amount came about
    commitment: str = ""  # of a line it covers, or charges: capacity/ID or spend/ID
    covered_pico: int = 0  # of a covered line: what it would have cost by contract
    effective_pico: int = 0  # of a covered line: its share of the commitment's used part, charged by a line of its own
    terms: str = ""  # how the contract price follows from the list price, where it does

    @cached_property
    def line_id(self) -> str:
        """Identity by key: the same use at the same prices has the same id in every computation of the month."""
        key = {name: getattr(self, name) for name in KEY if name not in LATER or getattr(self, name)}
        text = json.dumps(key, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    @property
    def unit(self) -> str:
        return UNITS.get(base_of(self.meter), "Tokens")

    def record(self) -> dict[str, Any]:
        """Canonical JSON values: amounts of money as decimal text of pico-USD, because they outgrow 2^53."""
        return asdict(self) | {name: str(getattr(self, name)) for name in PICO} | {"quantity": counted(self.quantity)}

    @property
    def cost_pico(self) -> int:
        """What its use comes to: the charge, or the share of the commitment that covers it."""
        return self.contracted_pico + self.effective_pico


PICO: Final = ("list_pico", "contracted_pico", "covered_pico", "effective_pico")
MEASURES: Final = ("quantity", "calls", *PICO)
TOLD: Final = (
    "origin_center",
    "method",
    "ratio",
    "arithmetic",
    "terms",
)  # follow from the rest: a line whose share changed is the same line
LATER: Final = ("rule", "origin", "style", "commitment")  # named only where they say something, so that lines of older months keep their id
KEY: Final = tuple(field.name for field in fields(Line) if field.name not in (*MEASURES, *TOLD))
KEY_OF: Final = attrgetter(*KEY)


def line_of(record: dict[str, Any]) -> Line:
    """A line back from its record."""
    return Line(**record | {name: int(record.get(name, 0)) for name in ("quantity", *PICO)})


def usage_lines(groups: Iterable[GovernedGroup], month: str, covered: Callable[[GovernedGroup], str] | None = None) -> list[Line]:
    """One line per part of every priced group, alike ones added up. covered: the mark of the commitment that pays for a group."""
    lines = []
    for group in groups:
        mark = covered(group) if covered else ""
        for position, part in enumerate(group.rated.parts):
            lines.append(
                Line(
                    charge_month=month,
                    cost_center=group.cost_center or UNALLOCATED,
                    workflow_id=group.workflow_id,
                    owner=group.owner,
                    provider=group.provider or "unknown",
                    model=group.model or "unknown",
                    service_tier=group.service_tier or "",
                    traffic_class=group.traffic_class,
                    route_status=group.route_status,
                    meter=part.meter,
                    list_amount=part.list_price.amount,
                    list_per=part.list_price.per,
                    contract_amount=part.contract_price.amount,
                    contract_per=part.contract_price.per,
                    price_source=part.contract_price.kind,
                    quantity=part.quantity,
                    calls=group.calls if position == 0 else 0,
                    list_pico=part.list_pico,
                    contracted_pico=part.contracted_pico,
                    commitment=mark,
                    terms=part.contract_price.terms,
                )
            )
    return add_up(lines)


def add_up(lines: Iterable[Line]) -> list[Line]:
    """Lines of one key become one; in a stable order."""
    alike: dict[tuple[object, ...], list[Line]] = {}
    for line in lines:
        alike.setdefault(KEY_OF(line), []).append(line)
    return sorted(map(_as_one, alike.values()), key=order)


def _as_one(alike: list[Line]) -> Line:
    first, *more = alike
    return replace(first, **{name: sum(getattr(line, name) for line in alike) for name in MEASURES}) if more else first


def order(line: Line) -> tuple[str, ...]:
    """Reading order: who, what, at which price."""
    return (
        line.cost_center,
        line.corrects and line.charge_month,
        line.traffic_class,
        line.workflow_id or "~",
        line.provider,
        line.model,
        line.service_tier,
        METER_ORDER.get(line.meter, line.meter),
        "0" if (line.quantity or line.contracted_pico) < 0 else "1",  # what is taken back, before what is charged instead
        line.line_id,
    )


METER_ORDER: Final = {
    meter: f"{place:02d}" for place, meter in enumerate(("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning"))
}


@dataclass(frozen=True)
class UnpricedUse:
    """Calls without a cost, and why. They are shown beside the total, never inside it."""

    cost_center: str
    workflow_id: str | None
    provider: str
    model: str
    reason: str
    detail: str
    calls: int
    input_tokens: int | None
    output_tokens: int | None
    exposure_low_pico: int
    exposure_mid_pico: int
    exposure_high_pico: int


def unpriced_uses(groups: Iterable[GovernedGroup]) -> list[UnpricedUse]:
    sums: dict[tuple[str, ...], UnpricedUse] = {}
    for group in groups:
        if group.rated.status != "unpriced":
            continue
        names = (group.cost_center or UNALLOCATED, group.workflow_id, group.provider or "unknown", group.model or "unknown")
        use = UnpricedUse(
            *names, group.rated.reason, group.rated.detail, group.calls, group.input_tokens, group.output_tokens,
            group.exposure.low_pico, group.exposure.middle_pico, group.exposure.high_pico,
        )  # fmt: skip
        key = (*map(str, names), use.reason, use.detail)
        known = sums.get(key)
        sums[key] = use if known is None else _more(known, use)
    return [sums[key] for key in sorted(sums)]


def _more(known: UnpricedUse, use: UnpricedUse) -> UnpricedUse:
    return replace(
        known,
        calls=known.calls + use.calls,
        input_tokens=_known_sum(known.input_tokens, use.input_tokens),
        output_tokens=_known_sum(known.output_tokens, use.output_tokens),
        exposure_low_pico=known.exposure_low_pico + use.exposure_low_pico,
        exposure_mid_pico=known.exposure_mid_pico + use.exposure_mid_pico,
        exposure_high_pico=known.exposure_high_pico + use.exposure_high_pico,
    )


def _known_sum(left: int | None, right: int | None) -> int | None:
    return None if left is None and right is None else (left or 0) + (right or 0)


def free_calls(groups: Iterable[GovernedGroup]) -> dict[str, dict[str, int]]:
    """Calls that are on no line because they cost nothing, by cost center and reason: rated zero, or of no use at all."""
    found: dict[str, dict[str, int]] = {}
    for group in groups:
        if group.rated.status != "unpriced" and not group.rated.parts:
            reason = group.rated.reason if group.rated.status == "zero_rated" else NO_USE
            reasons = found.setdefault(group.cost_center or UNALLOCATED, {})
            reasons[reason] = reasons.get(reason, 0) + group.calls
    return found
