"""A first catalog as text, from traffic that belongs to no workflow: documents that a person completes and applies.

Owns: the text, what is left to fill in, names made from what calls carry. Does not own: what was seen (actions/draft_catalog.py), what a document means.
Invariants: nothing is approved: every route lacks its `approved_until`, and a draft is refused until somebody wrote one; what callers say of themselves
is marked as their word; no text of theirs leaves its line.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from governor.catalog.fields import CREDENTIAL_FIELDS
from governor.catalog.yaml_text import TO_FILL_IN, on_one_line, quoted

LONGEST_NAME: Final = 60
SEVERAL: Final = 5  # names of a kind that a comment lists


@dataclass
class Seen:
    """Calls alike, in pico-USD. unpriced: calls without a price, which no document here gives them."""

    calls: int = 0
    pico: int = 0
    unpriced: int = 0

    def add(self, calls: int, pico: int, unpriced: int) -> None:
        self.calls += calls
        self.pico += pico
        self.unpriced += unpriced

    def told(self) -> str:
        """Its spend cut to cents for reading."""
        spend = Decimal(self.pico).scaleb(-12)
        money = f"{spend:,.2f} USD" if not self.pico or spend >= Decimal("0.01") else "under 0.01 USD"
        return f"{calls_of(self.calls)}, {money}{f', {self.unpriced:,} without a price' if self.unpriced else ''}"


@dataclass
class SeenRoute(Seen):
    """names: what answered, where it differs from the model that was asked for."""

    regions: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)


@dataclass
class SeenCaller(Seen):
    """What could be one workflow: its calls carry `name: value`. known: a workflow of the catalog that the value names. routes: by (provider, model)."""

    name: str = ""
    value: str = ""
    known: str | None = None
    routes: dict[tuple[str, str], SeenRoute] = field(default_factory=dict)
    mappable: int = 0  # of the spend, what an owner and approved routes would map
    nameless: int = 0  # calls that do not say provider and model
    environments: Counter[str] = field(default_factory=Counter)
    owners: Counter[str] = field(default_factory=Counter)
    cost_centers: Counter[str] = field(default_factory=Counter)


def calls_of(number: int) -> str:
    return f"{number:,} call{'' if number == 1 else 's'}"


def written(
    callers: Sequence[SeenCaller], people: Collection[str], taken: Collection[str], notes: Sequence[str], shares: Sequence[str]
) -> str:
    """The text. people: of the catalog; taken: names of workflows that are not free; notes: what stands at its top; shares: what is said of each caller."""
    used = {name.casefold() for name in taken}
    said = sorted({one.owners.most_common(1)[0][0] for one in callers if one.known is None and len(one.owners) == 1} - set(people))
    parts = ["\n".join(f"# {line}" if line else "#" for line in notes)]
    parts += ["\n".join(_person(email)) for email in said]
    for one, share in zip(callers, shares, strict=True):
        head = [f"# {one.told()}; {share}", *_carried(one)]
        parts.append("\n".join([*head, *(_rule(one) if one.known else _workflow(one, _free(one, used), people))]))
    return "\n---\n".join(parts) + "\n"


def _person(email: str) -> Iterator[str]:
    yield "kind: person"
    yield f"email: {quoted(email)}   # calls name them as their owner, which is the callers' word"
    yield f"roles: [{TO_FILL_IN}]   # owner, if they are; an owner is asked about changes"


def _carried(one: SeenCaller) -> Iterator[str]:
    whose = "which the gateway knows from the key" if one.name in CREDENTIAL_FIELDS else "which the caller or the configuration says"
    yield f"# told by {one.name}, {whose}"
    yield from wider_than(one.value).splitlines()
    if one.nameless:
        yield f"# {calls_of(one.nameless)} name no provider and model, so that no route can be approved for them"


def _rule(one: SeenCaller) -> Iterator[str]:
    """For calls that a known workflow's name stands in."""
    yield "kind: attribution"
    yield f"id: {suggested_id(one.name, one.value)}"
    yield f"rules:\n  - {{workflow: {quoted(one.known or '')}, match: {{{quoted(one.name)}: {quoted(one.value)}}}}}   # a guess by the name; remove it if it is wrong"
    for (provider, model), route in _dearest(one):
        yield f"# used {on_one_line(f'{provider}/{model}')}: {route.told()}"


def _workflow(one: SeenCaller, name: str, people: Collection[str]) -> Iterator[str]:
    yield "kind: workflow"
    yield f"id: {quoted(name)}   # a name to keep; it stands in statements and packets"
    owner, words = _claimed(one, one.owners, "e-mail of the person who answers for it, who is in the catalog")
    yield f"owner: {owner}   # {words}{', who is in the catalog' if owner in people else ''}"
    yield "cost_center: {}   # {}".format(*_claimed(one, one.cost_centers, "who is charged; without this line nobody"))
    if len(one.environments) == 1:
        yield f"environment: {quoted(next(iter(one.environments)))}   # as the calls say"
    elif one.environments:
        yield f"# environments seen: {_several(one.environments)}; a workflow has one"
    yield "data_class: confidential   # as calls of no workflow are treated; public | internal | confidential | restricted says what is kept of prompts"
    yield f"match:\n  - {{{quoted(one.name)}: {quoted(one.value)}}}"
    if one.routes:
        yield "routes:   # as seen; remove what is not to be used"
    ids: set[str] = set()
    for (provider, model), route in _dearest(one):
        regions = f", regions: [{', '.join(quoted(region) for region in sorted(route.regions))}]" if route.regions else ""
        answered = f"; answered as {_several(Counter(route.names))}" if route.names else ""
        named = f"id: {quoted(_free_name(slug(model), ids))}, provider: {quoted(provider)}, model: {quoted(model)}{regions}"
        yield f"  - {{{named}, approved_until: {TO_FILL_IN}}}   # {route.told()}{answered}"


def _dearest(one: SeenCaller) -> list[tuple[tuple[str, str], SeenRoute]]:
    return sorted(one.routes.items(), key=lambda route: (-route[1].pico, -route[1].calls, route[0]))


def _claimed(one: SeenCaller, values: Counter[str], words: str) -> tuple[str, str]:
    """(value, comment): what all calls agree on that say it, else what is to be filled in."""
    if len(values) == 1:
        value, calls = next(iter(values.items()))
        return quoted(value), f"said by {calls:,} of {calls_of(one.calls)}: the callers' word, check it"
    return TO_FILL_IN, words + (f"; calls say {_several(values)}" if values else "")


def _several(values: Counter[str]) -> str:
    more = f" and {len(values) - SEVERAL:,} more" if len(values) > SEVERAL else ""
    return ", ".join(on_one_line(value) for value, _ in sorted(values.items(), key=lambda one: (-one[1], one[0]))[:SEVERAL]) + more


def wider_than(value: str) -> str:
    """A comment where a rule that asks for the value takes calls with other values too: callers choose their names, and nothing takes the meaning from a `*`."""
    return "# a `*` stands for any text in a rule: calls with other values that fit match too\n" if "*" in value else ""


def suggested_id(name: str, value: str) -> str:
    """One id for all would let the second rule replace the first."""
    return f"suggested-{hashlib.sha256(f'{name}: {value}'.encode()).hexdigest()[:8]}"


def _free(one: SeenCaller, used: set[str]) -> str:
    last = [part for part in one.value.split("/") if part not in ("", "*")] if one.value.startswith("arn:") else []
    return _free_name(slug(last[-1] if last else one.value), used)


def _free_name(name: str, used: set[str]) -> str:
    """The name, with a number where it is taken: of a workflow that is there already another text would take its place."""
    number, found = 1, name
    while found.casefold() in used:
        number += 1
        found = f"{name}-{number}"
    used.add(found.casefold())
    return found


def slug(text: str) -> str:
    """An identifier that resembles the text."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[:LONGEST_NAME] or f"workflow-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
