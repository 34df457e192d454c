"""The price book: dated rows, looked up by provider, model, instant, service tier and region.

Owns: which rows hold for one way of calling a model. Does not own: arithmetic (rate.py), where rows come from (seed.py, contract.py, litellm.py).
Invariants: a pure function of its rows, in any order; contract prices win per meter, a meter missing in the contract is at list; a service tier
without a price of its own is unpriced, never standard; of amounts and terms for one meter the narrowest holds alone (terms.py); the digest names the exact set of rows.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

from governor.errors import Invalid
from governor.prices.match import dashed_dates, matches
from governor.prices.names import canonical_provider, canonical_tier, model_spellings
from governor.prices.price import EVER, RATED_IN, Price, price_of
from governor.prices.terms import ANY, Term, narrowest, width
from governor.prices.units import names_of

REASONS: Final = ("unknown_model", "unknown_provider", "no_meter_price", "unknown_usage", "currency")
CONTAINER: Final = "container"  # the entry under which a list says what a code interpreter's session costs, whichever model asked for it
SESSION: Final = "session"
BY_NAME: Final = -1  # before every rank of a list: an entry by its own name wins over a clause that also means it
Bands = tuple[Price, ...]  # one meter's prices; the first that covers a request holds, ascending by context_min where they do not overlap


@dataclass(frozen=True)
class Unpriced:
    """Why there is no price: a reason of REASONS, and words. meter: the one of which alone there is none."""

    reason: str
    detail: str
    meter: str = ""


@dataclass(frozen=True)
class Rates:
    """What holds for one way of calling a model at one instant. `entry` is the list entry that matched; empty where only a contract speaks."""

    provider: str
    model: str
    entry: str
    service_tier: str
    listed: Mapping[str, Bands]
    contracted: Mapping[str, Bands]
    notes: tuple[str, ...] = ()

    @cached_property
    def meters(self) -> frozenset[str]:
        """Those with a price."""
        return frozenset((*self.listed, *self.contracted))

    def price(self, meter: str, context_tokens: int, *, contract: bool) -> Price | None:
        """The price of a meter for a request of `context_tokens` input tokens; with `contract`, the contract's, else the list's."""
        tables = (self.contracted, self.listed) if contract else (self.listed, self.contracted)
        for table in tables:
            for price in table.get(meter, ()):
                if price.covers(context_tokens):
                    return price
        return None


@dataclass(frozen=True)
class Entry:
    """One model of one provider in the list: the references it speaks for, and its rows."""

    rank: int
    model: str
    clause: Mapping[str, Any]
    note: str
    rows: tuple[Price, ...]


class PriceBook:
    """Frozen after construction; lookups are remembered, so asking once per distinct way of calling is cheap."""

    def __init__(self, rows: Iterable[Price | Term | Mapping[str, Any]]) -> None:
        given = list(rows)
        self.terms: tuple[Term, ...] = tuple(row for row in given if isinstance(row, Term))
        self.rows: tuple[Price, ...] = tuple(row if isinstance(row, Price) else price_of(row) for row in given if not isinstance(row, Term))
        self._entries: dict[str, list[Entry]] = {}
        self._contracts: dict[tuple[str, str], list[Price]] = defaultdict(list)
        self._found: dict[tuple[str, str], Entry | None] = {}
        self._rates: dict[tuple[str, str, datetime, str, str], Rates | Unpriced] = {}
        grouped: dict[tuple[str, str, str], list[Price]] = defaultdict(list)
        for row in self.rows:
            if row.kind == "contract":
                self._contracts[(canonical_provider(row.provider), row.model.lower())].append(row)
            else:
                grouped[(row.provider, row.model, row.match)].append(row)
        by_provider: dict[str, list[Entry]] = defaultdict(list)
        for (provider, model, match), members in grouped.items():
            by_provider[provider].append(_entry(model, match, members))
        for provider, entries in by_provider.items():
            self._entries[provider] = sorted(entries, key=lambda entry: (entry.rank, entry.model))
        self._asked: dict[tuple[str, datetime, str], list[Fraction]] = {}
        self._digest = ""

    @property
    def digest(self) -> str:
        """Hex SHA-256 over the sorted row digests, terms included."""
        from governor.prices.seed import rows_digest

        self._digest = self._digest or rows_digest([*self.rows, *self.terms])
        return self._digest

    @property
    def contracts(self) -> frozenset[tuple[str, str]]:
        """(provider, model in lower case) of every contract."""
        return frozenset(self._contracts)

    @property
    def providers(self) -> list[str]:
        return sorted({*self._entries, *(provider for provider, _ in self.contracts)})

    def entries(self, provider: str | None = None) -> list[tuple[str, Entry]]:
        """(provider, entry) of one provider or of all, in book order."""
        wanted = [canonical_provider(provider)] if provider is not None else sorted(self._entries)
        return [(name, entry) for name in wanted for entry in self._entries.get(name, [])]

    def rates_of(self, meter: str, at: datetime, provider: str | None = None) -> list[Fraction]:
        """Exact pico-USD that the list asks for one unit, ascending and each once: the provider's models where one has a price, else all."""
        key = (meter, at, canonical_provider(provider))
        if key not in self._asked:
            found = [
                row
                for row in self.rows
                if row.meter in names_of(meter) and row.kind == "list" and row.currency == RATED_IN and row.holds_at(at)
            ]
            own = [row for row in found if row.provider == key[2]]
            self._asked[key] = sorted({row.pico for row in own or found})
        return self._asked[key]

    def bands(self) -> list[int]:
        """Every input-token count at which some price of the book changes (inclusive lower bounds), ascending."""
        return sorted({row.context_min for row in self.rows if row.context_min} | {row.context_max for row in self.rows if row.context_max})

    def boundaries(self, start: datetime, end: datetime) -> list[datetime]:
        """The instants inside (start, end) at which some price begins or ends."""
        dated: list[Price | Term] = [*self.rows, *self.terms]
        found = {moment for row in dated for moment in (row.valid_from, row.valid_to) if moment is not None}
        return sorted(moment for moment in found if start < moment < end)

    def lookup(
        self, provider: str | None, model: str | None, at: datetime, tier: str | None = None, region: str | None = None
    ) -> Rates | Unpriced:
        """Rates that hold at `at`, or why there are none."""
        key = (canonical_provider(provider), (model or "").strip(), at, canonical_tier(tier), region or "")
        if key not in self._rates:
            self._rates[key] = self._look(*key)
        return self._rates[key]

    def _look(self, provider: str, model: str, at: datetime, tier: str, region: str) -> Rates | Unpriced:
        entry = self.find(provider, model)
        contract_rows = self._contract_rows(provider, model, entry)
        called = model_spellings(provider, model)[-1]
        if entry is None and not contract_rows:
            known = provider in self.providers
            what = f"no price for model {called!r} of {provider}" if known else f"no prices of provider {provider!r}"
            return Unpriced("unknown_model" if known else "unknown_provider", what)
        listed = _holding(entry.rows if entry else (), at, tier, region)
        if entry is not None and (shared := self.find(provider, CONTAINER)) is not None:
            listed = _holding([row for row in shared.rows if row.meter == SESSION], at, "", region) | listed
        fees = (
            self._contracts.get((provider, ANY), []) if entry or contract_rows else []
        )  # what a tool costs, whichever model and tier used it
        contracted = _holding(fees, at, "", region) | _holding(contract_rows, at, tier, region)
        terms = [term for term in self.terms if canonical_provider(term.provider) == provider]
        if terms:
            contracted = _with_terms(contracted, listed, terms, self._names(provider, model, entry), (at, tier, region))
        if tier and not any(price.service_tier == tier for table in (listed, contracted) for bands in table.values() for price in bands):
            return Unpriced("no_meter_price", f"no price for service tier {tier!r} of {provider}/{called} was in force")
        if not listed and not contracted:
            return Unpriced("no_meter_price", f"no price of {provider}/{called} was in force")
        foreign = sorted({price.currency for table in (listed, contracted) for bands in table.values() for price in bands} - {RATED_IN})
        if foreign:
            return Unpriced("currency", f"{provider}/{called} is priced in {', '.join(foreign)}; only {RATED_IN} is rated")
        notes = (entry.note,) if entry and entry.note else ()
        return Rates(provider, model, entry.model if entry else "", tier, listed, contracted, notes)

    def find(self, provider: str | None, model: str | None) -> Entry | None:
        """The list entry a pair means. Decided once per pair; snapshot dates match with and without dashes."""
        pair = (canonical_provider(provider), (model or "").strip())
        if pair not in self._found:
            self._found[pair] = next(self._matching(*pair), None)
        return self._found[pair]

    def _matching(self, provider: str, model: str) -> Iterator[Entry]:
        for spelling in model_spellings(provider, model) if model else []:
            reference = spelling.lower()
            for form in dict.fromkeys((reference, dashed_dates(reference))):
                for entry in self._entries.get(provider, []):
                    if matches(entry.clause, form):
                        yield entry

    def _family(self, provider: str, model: str, entry: Entry | None) -> Entry | None:
        """The entry that would speak for a snapshot without a price entry of its own."""
        if entry is None or entry.rank != BY_NAME:
            return None
        return next((found for found in self._matching(provider, model) if found.rank != BY_NAME), None)

    def _contract_rows(self, provider: str, model: str, entry: Entry | None) -> list[Price]:
        """Contract rows written for the model as called; meters they lack come from a contract written for the list entry's own name."""
        rows: list[Price] = []
        for name in self._names(provider, model, entry):
            meters = {row.meter for row in rows}
            rows += [row for row in self._contracts.get((provider, name), []) if row.meter not in meters]
        return rows

    def _names(self, provider: str, model: str, entry: Entry | None) -> list[str]:
        """The names a contract for this model may be written under, nearest first, in lower case."""
        entries = [found for found in (entry, self._family(provider, model, entry)) if found]
        return list(dict.fromkeys(name.lower() for name in (*model_spellings(provider, model), *(found.model for found in entries))))


def _entry(model: str, match: str, members: list[Price]) -> Entry:
    rule: dict[str, Any] = json.loads(match) if match else {"clause": {"equals": model}}
    if not isinstance(rule.get("clause"), dict):
        raise Invalid(f"price row of {model}: match needs a clause")
    return Entry(rank_of(match), model, rule["clause"], str(rule.get("note", "")), tuple(members))


def _with_terms(
    fixed: dict[str, Bands], listed: Mapping[str, Bands], terms: list[Term], names: list[str], way: tuple[datetime, str, str]
) -> dict[str, Bands]:
    """The contract's prices where terms refer to the list: per meter the narrower of amount and term, then the other where the first has no band."""
    found = dict(fixed)
    for meter, bands in listed.items():
        term = narrowest((one for one in terms if one.model.lower() in {*names, ANY} and one.speaks_for(meter, *way)), names)
        if term is None:
            continue
        made, held = tuple(term.price(price) for price in bands), fixed.get(meter, ())
        first, then = (made, held) if not held or width(term, names) < width(held[0], names) else (held, made)
        found[meter] = (*first, *(price for price in then if not any(_inside(price, other) for other in first)))
    return found


def _inside(price: Price, other: Price) -> bool:
    high = other.context_max
    return other.context_min <= price.context_min and (high is None or (price.context_max is not None and price.context_max <= high))


def rank_of(match: str) -> int:
    return int(json.loads(match).get("rank", 0)) if match else BY_NAME


def _holding(rows: Iterable[Price], at: datetime, tier: str, region: str) -> dict[str, Bands]:
    """Per meter the prices that hold, most specific first: the tier asked for before standard, the region asked for before none."""
    best: dict[str, tuple[tuple[bool, bool], dict[tuple[int, int | None], Price]]] = {}
    for row in rows:
        if row.service_tier not in {tier, ""} or row.region not in {region, ""} or not row.holds_at(at):
            continue
        if tier and not row.service_tier and row.kind == "contract":
            continue  # a contract for the standard tier says nothing about another tier
        rank = (bool(row.service_tier), bool(row.region))
        known = best.get(row.meter)
        if known is None or rank > known[0]:
            best[row.meter] = known = (rank, {})
        if rank == known[0]:
            held = known[1].get((row.context_min, row.context_max))
            if held is None or (held.valid_from or EVER, held.digest) < (row.valid_from or EVER, row.digest):
                known[1][(row.context_min, row.context_max)] = row
    return {meter: tuple(sorted(bands.values(), key=lambda price: price.context_min)) for meter, (_, bands) in sorted(best.items())}
