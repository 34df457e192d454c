"""What keeps a month's spend from being mapped, the biggest first: what is missing, of which calls, and what coverage comes to once it is mended.

Owns: telling gaps apart, their order, what to do about each. Does not own: coverage (chargeback/coverage), ready rules (attribution, on the spend page).
Invariants: a call is in one gap, which names everything that it lacks; the amounts of all gaps and what is mapped add up to what coverage is a share of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from governor.actions.context import Context
from governor.actions.govern import GovernedMonth, Group, coverage_line
from governor.actions.suggest_rules import asked_of, told_apart
from governor.actions.usage import usd
from governor.attribution import telling_of
from governor.chargeback.amounts import percent
from governor.prices.names import canonical_tier
from governor.prices.units import UNIT_METERS, base_of

SHOWN: Final = 20
TO_DO: Final = {
    "usage": "its source did not say how much was used: `governor sources scorecard` says what to send",
    "price": "give the model a price: `kind: contract_price`, or a list by `governor prices import`",
    "fee": 'give what was used beside tokens a price: `kind: contract_price` with that `meter`, where of a tool `model: "*"` is for all models of the provider',
    "workflow": "map it: `governor catalog draft` and the spend page write the documents",
    "owner": "name an owner of the workflow",
    "route": "approve the route: `governor change propose`, a route of the workflow, or a waiver",
}

NAMELESS: Final = "no rule is suggested for them: have the gateway say who calls (a key alias, a tag), or sign an exception for this month"


class Gap(NamedTuple):
    """needs: keys of TO_DO, in the order in which they are mended. field: what a rule could ask for, where there is no workflow.

    What lacks a price alone is of no workflow here: one price is for all of them.
    """

    needs: tuple[str, ...]
    workflow: str
    field: str
    provider: str
    model: str
    service_tier: str
    meter: str = ""  # the one unit that lacks a price, where its model has one

    @property
    def text(self) -> str:
        whose = self.workflow or self.field or ("calls that carry nothing a rule could ask for" if "workflow" in self.needs else "")
        model = f"{self.provider}/{self.model}{f' ({self.service_tier})' if self.service_tier else ''}" if self.model else ""
        lacks = {
            "usage": "no token counts",
            "price": f"no price of {self.meter.replace('_', ' ')}" if self.meter else "no price",
            "workflow": "no workflow",
            "owner": "no owner",
            "route": "no approved route",
        }
        return f"{': '.join(filter(None, (whose, model)))}: {', '.join(lacks[need] for need in self.needs)}"

    @property
    def do(self) -> str:
        told = TO_DO if self.workflow or self.field else {**TO_DO, "workflow": NAMELESS}
        return "; ".join(told["fee" if need == "price" and self.meter else need] for need in self.needs)


def gaps(month: GovernedMonth) -> list[dict[str, Any]]:
    """Dearest first: {"needs","text","workflow","field","provider","model","service_tier","meter","calls","amount","percent",
    "percent_then","do"}.

    percent: of the spend that is to be mapped; percent_then: coverage once this gap and all before it are mended. A call without a price counts at its middle.
    """
    sums: dict[Gap, list[int]] = defaultdict(lambda: [0, 0])
    for group in month.groups:
        gap = gap_of(group, asked_of(month, group)) if group.traffic_class == "production" else None
        if gap is not None:
            line = coverage_line(group)
            sums[gap][0] += group.calls
            sums[gap][1] += line.exposure.middle_pico if line.exposure else line.contracted_pico
    mapped, whole = month.coverage.mapped_pico, month.coverage.denominator_pico
    found = []
    for gap, (calls, pico) in sorted(sums.items(), key=lambda one: (-one[1][1], -one[1][0], one[0])):
        if not pico and not {"price", "usage"} & set(gap.needs):
            continue
        mapped += pico
        found.append(
            {
                **{name: value or None for name, value in gap._asdict().items()},
                "needs": list(gap.needs),
                "text": gap.text,
                "calls": calls,
                "amount": usd(pico),
                "percent": percent(pico, whole),
                "percent_then": percent(mapped, whole),
                "do": gap.do,
            }
        )
    return found


def advice(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to do about these gaps, each said once."""
    return list(dict.fromkeys(words for gap in found for words in gap["do"].split("; ")))


def gap_of(group: Group, asked: Mapping[str, str | None]) -> Gap | None:
    """asked: what rules could ask of it. None for what is mapped. Whoever has no workflow has no owner and no route either: mapping it is what is missing."""
    line = coverage_line(group)
    unpriced, uncounted = line.exposure is not None, group.rated.reason == "unknown_usage"
    lacks = {"usage": unpriced and uncounted, "price": unpriced and not uncounted, "workflow": not line.has_workflow}
    lacks |= {"owner": line.has_workflow and not line.has_owner, "route": line.has_workflow and not line.approved}
    needs = tuple(name for name in TO_DO if lacks.get(name))
    if not needs:
        return None
    by_model = unpriced or lacks["route"]
    told = None if line.has_workflow else telling_of(asked)
    return Gap(
        needs,
        workflow="" if needs == ("price",) else group.workflow_id or "",
        field=": ".join(told) if told else "",
        provider=(group.provider or "unknown") if by_model else "",
        model=(group.model or "unknown") if by_model else "",
        service_tier=canonical_tier(group.service_tier) if unpriced else "",
        meter=group.rated.missing if base_of(group.rated.missing) in UNIT_METERS else "",
    )


def first_gaps(ctx: Context, month: GovernedMonth) -> Sequence[dict[str, Any]]:
    return [] if month.coverage.sufficient else gaps(told_apart(ctx, month))[:SHOWN]
