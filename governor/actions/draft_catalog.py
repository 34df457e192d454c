"""A first catalog from the calls of a month that belong to no workflow: a document for each that could be one, for people to complete.

Owns: which calls become a document, what was seen of them. Does not own: the text (catalog/draft.py), what tells calls apart (attribution), money (govern.py).
Invariants: reads only; calls of production alone, as coverage counts them; what is left out is counted in the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from governor.actions.context import Context
from governor.actions.govern import GovernedMonth, Group, coverage_line, govern_month
from governor.actions.load_catalog import catalog_as_of
from governor.actions.suggest_rules import asked_of
from governor.actions.usage import usd
from governor.attribution import SAID_OF_OWNERS, TELLING, resembling, telling_of
from governor.catalog import Catalog
from governor.catalog.draft import SeenCaller, SeenRoute, calls_of, written
from governor.catalog.fields import check_match, is_person_email
from governor.catalog.yaml_text import TO_FILL_IN, on_one_line
from governor.chargeback.amounts import percent
from governor.errors import Invalid
from governor.policy.catalog_data import serves

MOST: Final = 500  # documents; a person reads them all
LONGEST: Final = 500  # of what a rule may ask for
LONGEST_MODEL: Final = 200
NAMED: Final = 10  # people in the text


@dataclass(frozen=True)
class CatalogDraft:
    """text: YAML. workflows, rules: documents in it; spend, total: USD of its calls and of all that belong to no workflow; left_out: what has no document."""

    text: str
    period: str
    workflows: int
    rules: int
    spend: str
    total: str
    left_out: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "period": self.period, "workflows": self.workflows, "rules": self.rules, "spend": self.spend,
            "unattributed_spend": self.total, "left_out": self.left_out, "catalog": self.text,
        }  # fmt: skip


def draft_catalog(ctx: Context, period: str, *, at_least: str = "0", by: str = "") -> CatalogDraft:
    """at_least: USD that the calls of a document cost; by: the field of calls that tells workflows apart, where it is known, else what tells most.

    Raises Invalid for a malformed period or amount, a field that calls do not have, and for a month in which every call has a workflow.
    """
    least = pico_of(at_least)
    if by:
        check_field(by)
    month = govern_month(ctx, period, cut=(TELLING, *SAID_OF_OWNERS, *([by] if by else [])))
    catalog = catalog_as_of(ctx)
    orphans = [group for group in month.groups if group.workflow_id is None and group.traffic_class == "production"]
    if not orphans:
        if not month.groups:
            raise Invalid(f"{period}: there are no calls", hint="name a month of which calls were ingested")
        raise Invalid(f"{period}: every call belongs to a workflow already", hint="`governor period status` says what else is missing")
    found, silent = callers(month, orphans, catalog, by)
    ranked = sorted(found, key=lambda one: (-one.pico, -one.calls, one.name, one.value))
    kept = [one for one in ranked if one.pico >= least][:MOST]
    if not kept:
        raise Invalid(
            f"{period}: no calls without a workflow that could be told apart{f' cost {at_least} USD or more' if least else ''}",
            hint="give a smaller amount" if least else "ask the gateway's owner to say who calls",
        )
    below = ranked[len(kept) :]
    total = sum(spent(group) for group in orphans)
    people = sorted(email for email, person in catalog.people.items() if not person.disabled)
    known = ", ".join(map(on_one_line, people[:NAMED])) or "nobody"
    more = f" and {len(people) - NAMED:,} more" if len(people) > NAMED else ""
    drafted = cents(sum(one.pico for one in kept))
    notes = [
        f"Drafted from the calls of {period} that belong to no workflow: {len(kept):,} of {len(ranked):,} callers, {drafted} of {cents(total)} USD.",
        f"Fill in every {TO_FILL_IN}; `governor apply -f FILE --dry-run` says by line what is left. Remove what you do not want.",
        "Nothing is approved yet: whoever writes `approved_until` of a route and applies the file approves it, and without",
        "`approved_from` for the calls of before too.",
        f"Owners are people of the catalog, which knows {known}{more}. Others are added by",
        "`kind: person`, `email: ...`, `roles: [owner]` in a document of their own.",
    ]
    if below:
        notes.append(
            f"Not here: {len(below):,} callers below, {calls_of(sum(one.calls for one in below))}, {cents(sum(one.pico for one in below))} USD."
        )
    if silent.calls:
        notes.append(f"Not here: {silent.told()}, that carry nothing a rule could ask for.")
    text = written(kept, people, list(catalog.workflows), notes, shares(month, kept))
    rules = sum(one.known is not None for one in kept)
    return CatalogDraft(text, period, len(kept) - rules, rules, usd(sum(one.pico for one in kept)), usd(total), len(below))


def callers(month: GovernedMonth, orphans: list[Group], catalog: Catalog, by: str) -> tuple[list[SeenCaller], SeenCaller]:
    """What could be a workflow each, and the calls that carry nothing to tell them by."""
    found: dict[tuple[str, str], SeenCaller] = {}
    silent = SeenCaller()
    for group in orphans:
        told = telling_of({by: group.keys.get(by)} if by else {}) or telling_of(asked_of(month, group))
        name, value = (told[0], told[1].strip()) if told else ("", "")
        one = silent
        if 0 < len(value) <= LONGEST:
            one = found.setdefault((name, value), SeenCaller(name=name, value=value, known=resembling(value, catalog)))
        see(one, group)
    return list(found.values()), silent


def see(one: SeenCaller, group: Group) -> None:
    pico = spent(group)
    one.add(group.calls, pico, group.unpriced_calls)
    if group.environment:
        one.environments[group.environment] += group.calls
    owner = next((value for name in SAID_OF_OWNERS[:2] if (value := group.keys.get(name))), "")
    if is_person_email(owner):
        one.owners[owner.lower()] += group.calls
    if (cost_center := group.keys.get(SAID_OF_OWNERS[2]) or "") and len(cost_center) <= 100:  # noqa: PLR2004 - as the document
        one.cost_centers[cost_center] += group.calls
    if not group.provider or not group.model or max(len(group.provider), len(group.model)) > LONGEST_MODEL:
        one.nameless += group.calls
        return
    asked, answered = group.requested_model or group.model, group.model.removeprefix(f"{group.provider}/")
    named = asked.removeprefix(f"{group.provider}/") if serves(asked, group.model) and len(asked) <= LONGEST_MODEL else answered
    route = one.routes.setdefault((group.provider, named), SeenRoute())
    route.add(group.calls, pico, group.unpriced_calls)
    one.mappable += 0 if group.unpriced_calls else pico
    route.names |= {answered} - {named}
    route.regions |= {group.region} if group.region else set()


def spent(group: Group) -> int:
    """As coverage counts it: a call without a price at its middle."""
    line = coverage_line(group)
    return line.exposure.middle_pico if line.exposure else line.contracted_pico


def shares(month: GovernedMonth, kept: list[SeenCaller]) -> list[str]:
    """What each is of the month's spend, and what coverage comes to with it and all above it: without what has no price or no route."""
    mapped, whole = month.coverage.mapped_pico, month.coverage.denominator_pico
    said = []
    for one in kept:
        mapped += one.mappable if one.known is None else 0
        said.append(f"{percent(one.pico, whole)}% of the month; coverage once filled in, with all above: {percent(mapped, whole)}%")
    return said


def pico_of(text: str) -> int:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount < Decimal(10) ** 12:
        raise Invalid(f"{text[:40]!r} is no amount of US dollars", hint="such as 10 or 0.50")
    return int(amount.scaleb(12))


def check_field(name: str) -> None:
    """Raises Invalid for a field that no rule can ask for."""
    try:
        check_match({name: "x"})
    except ValueError as error:
        raise Invalid(str(error)) from None


def cents(pico: int) -> str:
    return f"{Decimal(pico).scaleb(-12):,.2f}"
