"""The governed month: sums from the lake; each distinct way of using a model attributed, priced and judged once; joined back.

Owns: the order (group, attribute, price, judge, coverage) and the Group that usage, findings and close are made of.
Does not own: the rules of attribution, prices and policy (nouns), the grouping itself (store/lake).
Invariants: only cost-bearing calls; unattributed, unpriced and undecided are states with a reason; sums are exact pico-USD integers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from governor.actions.asked_month import AskedMonth, ask
from governor.actions.context import Context
from governor.actions.governed_rows import COLUMNS, TOKENS, decided_once, known_parts, many_at_once, part_of, remember_parts, rows_of
from governor.actions.import_prices import load_book
from governor.actions.judge import judge, prepare, revisions
from governor.actions.load_catalog import Timeline, catalog_as_of, load_timeline
from governor.actions.price_row import counted, price_row, reported_pico
from governor.attribution import Attribution, attribute, rules_of
from governor.catalog import Catalog
from governor.chargeback.coverage import Coverage, CoverageLine, coverage_of
from governor.chargeback.period import month_bounds
from governor.policy.catalog_data import rfc3339
from governor.policy.decision import Decision, no_decision
from governor.policy.question import CallQuestion
from governor.ports import PolicyEngine
from governor.prices.book import PriceBook
from governor.prices.exposure import Exposure
from governor.prices.rate import Rated, Usage

GATEWAY_COST = frozenset({"gateway_estimate", "gateway_billed"})


@dataclass(frozen=True, slots=True)
class Group:
    """Calls of one month that are alike in everything a rule can ask. Money in pico-USD; token sums null where no call knew its usage."""

    workflow_id: str | None
    owner: str | None
    cost_center: str | None
    rule_id: str | None
    attribution_reason: str
    day: str | None
    epoch_start: datetime
    source_kind: str | None
    provider: str | None
    model: str | None
    requested_model: str | None
    region: str | None
    service_tier: str | None
    environment: str | None
    data_class: str | None
    is_fallback: bool | None
    fallback_from: str | None
    traffic_class: str
    status: str
    gateway_cache: str | None
    calls: int
    usage_unknown_calls: int
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    rated: Rated
    exposure: Exposure
    decision: Decision
    cost_source: str | None = None
    reported_pico: int | None = None  # what the source itself says the calls cost, in USD
    examples: tuple[str, ...] = ()
    keys: dict[str, str | None] = field(default_factory=dict, compare=False)

    @property
    def list_pico(self) -> int:
        return self.rated.list_pico or 0

    @property
    def contracted_pico(self) -> int:
        return self.rated.contracted_pico or 0

    @property
    def gateway_pico(self) -> int | None:
        """What the gateway says: its estimate, or what it billed."""
        return self.reported_pico if self.cost_source in GATEWAY_COST else None

    @property
    def provider_pico(self) -> int | None:
        """What the provider says it charged."""
        return self.reported_pico if self.cost_source == "provider_billed" else None

    @property
    def price_status(self) -> str:
        return self.rated.status

    @property
    def unpriced_calls(self) -> int:
        return self.calls if self.rated.status == "unpriced" else 0

    @property
    def route_status(self) -> str:
        """What the route rules of policy said: approved | waived | unapproved | undecided."""
        return self.decision.route_status


@dataclass(frozen=True)
class GovernedMonth:
    """Everything a report of one window is computed from, and where each number came from."""

    start: datetime
    end: datetime
    groups: list[Group]
    coverage: Coverage
    snapshot: int
    price_book: str
    policy_revision: str
    catalog_digest: str
    book: PriceBook = field(repr=False)
    timeline: Timeline = field(repr=False)
    asked: AskedMonth = field(repr=False)


def govern_month(
    ctx: Context,
    period: str,
    *,
    as_of: str = "event",
    by_day: bool = False,
    snapshot: int | None = None,
    known_at: datetime | None = None,
    cut: Sequence[str] = (),
) -> GovernedMonth:
    """Govern the calendar month `YYYY-MM` of the organization's billing zone. Raises Invalid for a malformed period."""
    start, end = month_bounds(period, catalog_as_of(ctx, known_at=known_at).organization.billing_zone)
    return govern(ctx, start, end, as_of=as_of, by_day=by_day, snapshot=snapshot, known_at=known_at, cut=cut)


@many_at_once()
def govern(
    ctx: Context,
    start: datetime,
    end: datetime,
    *,
    as_of: str = "event",
    by_day: bool = False,
    snapshot: int | None = None,
    known_at: datetime | None = None,
    cut: Sequence[str] = (),
) -> GovernedMonth:
    """Govern [start, end). as_of="event": the catalog in force when a call happened; "now": today's catalog for all of them.
    cut: fields of a call that part the groups for one view; the sums stay what they are.
    """
    timeline = load_timeline(ctx, start, end, as_of=as_of, known_at=known_at)
    book = load_book(ctx, timeline.at(end), known_at=known_at)
    asked = ask(ctx, timeline, book, start, end, zone=None if by_day else "", snapshot=snapshot, cut=cut)
    epochs, columns = asked.epochs, list(dict.fromkeys((*COLUMNS, *asked.keys)))
    policy = revisions(ctx.engine(), ctx.bundle, [epoch.catalog for epoch in timeline.epochs])
    basis = (ctx.rows.url, ctx.org, tuple(columns), asked.zone, *epochs, timeline.digest, book.digest, *policy)
    known = known_parts(basis)
    days = asked.days(ctx, {day: part.made for day, part in known.items() if part.made})
    rows = {day: rows_of(table, columns) for day, (_, table) in days.items() if table is not None}
    before = {day: known[day].rows if day in known else {} for day in rows}
    new = list(dict.fromkeys(row for day, several in rows.items() for row in several if row not in before[day]))
    named = [dict(zip(columns, row, strict=True)) for row in new]
    found = zip(named, attribute_rows(timeline, named, asked.names, epochs), strict=True)
    at = [epochs[row["epoch"]] for row in named]
    ungoverned = [group_of(*one, timeline.at(since), book, since, asked.keys, asked.bands) for one, since in zip(found, at, strict=True)]
    judged = dict(zip(new, judge_groups(ctx, timeline, ungoverned), strict=True))
    parts = {day: part_of(made, rows[day], before[day], judged) if day in rows else known[day] for day, (made, _) in days.items()}
    remember_parts(basis, parts)
    groups = [group for part in parts.values() for group in part.groups]
    return GovernedMonth(
        start=start,
        end=end,
        groups=groups,
        coverage=coverage_of([coverage_line(group) for group in groups if group.traffic_class == "production"]),
        snapshot=asked.snapshot,
        price_book=book.digest,
        policy_revision=ctx.bundle.revision,
        catalog_digest=timeline.digest,
        book=book,
        timeline=timeline,
        asked=asked,
    )


def attribute_rows(
    timeline: Timeline, rows: Sequence[dict[str, Any]], names: Sequence[str], epochs: Sequence[datetime]
) -> list[Attribution]:
    """One attribution per row; each distinct key is asked once per catalog."""
    catalogs = [timeline.at(since) for since in epochs]
    keys = [(catalogs[row["epoch"]].digest, tuple(row[name] for name in names)) for row in rows]
    by_digest = {catalog.digest: catalog for catalog in catalogs}
    asked: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for digest, key in dict.fromkeys(keys):
        asked[digest].append(key)
    known: dict[tuple[str, tuple[Any, ...]], Attribution] = {}
    for digest, several in asked.items():
        answers = attribute(rules_of(by_digest[digest]), [dict(zip(names, key, strict=True)) for key in several])
        known.update(((digest, key), answer) for key, answer in zip(several, answers, strict=True))
    return [known[one] for one in keys]


def group_of(
    row: dict[str, Any],
    attribution: Attribution,
    catalog: Catalog,
    book: PriceBook,
    at: datetime,
    names: Sequence[str],
    bands: Sequence[int] | None = None,
) -> Group:
    """A row of sums with its workflow and its price; policy comes after."""
    workflow = catalog.workflows.get(attribution.workflow_id or "")
    usage = Usage(requests=row["calls"], counts=counted(row), **{name: row[name] for name in TOKENS})
    rated, exposed = price_row(row, book, at, usage, bands=bands)
    return Group(
        workflow_id=attribution.workflow_id,
        owner=workflow.owner if workflow else None,
        cost_center=(workflow.cost_center or None) if workflow else None,
        rule_id=attribution.rule_id,
        attribution_reason=attribution.reason,
        day=row["day"],
        epoch_start=at,
        source_kind=row["source_kind"],
        provider=row["provider"],
        model=row["model"],
        requested_model=row["requested_model"],
        region=row["region"],
        service_tier=row["service_tier"],
        environment=row["environment"] or (workflow.environment if workflow else None),
        data_class=row["data_class"] or (workflow.data_class if workflow else None),
        is_fallback=row["is_fallback"],
        fallback_from=row["fallback_from_model"],
        traffic_class=row["traffic_class"] or "production",
        status=row["status"] or "unknown",
        gateway_cache=row["gateway_cache"],
        calls=row["calls"],
        usage_unknown_calls=row["usage_unknown_calls"],
        input_tokens=row["input_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        cache_write_tokens=row["cache_write_tokens"],
        output_tokens=row["output_tokens"],
        reasoning_tokens=row["reasoning_tokens"],
        rated=rated,
        exposure=exposed,
        decision=no_decision("not judged yet"),
        cost_source=row["cost_source"],
        reported_pico=reported_pico(row),
        examples=tuple(row.get("examples") or ()),
        keys={name: row[name] for name in names},
    )


def judge_groups(ctx: Context, timeline: Timeline, groups: Sequence[Group]) -> list[Group]:
    """Each distinct question once, asked of the policy data in force at its epoch."""
    by_catalog: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        by_catalog[timeline.at(group.epoch_start).digest].append(index)
    engine: PolicyEngine = ctx.engine()
    judged = list(groups)
    for indexes in by_catalog.values():
        basis = (type(engine).__qualname__, prepare(engine, ctx.bundle, timeline.at(groups[indexes[0]].epoch_start)))
        found = decided_once(basis, [question(groups[index]) for index in indexes], partial(judge, engine))
        for index, decision in zip(indexes, found, strict=True):
            judged[index] = replace(groups[index], decision=decision)
    return judged


def question(group: Group) -> CallQuestion:
    return CallQuestion(
        workflow_id=group.workflow_id,
        attribution_status="mapped" if group.workflow_id else "unmapped",
        provider=group.provider,
        model=group.model,
        requested_model=group.requested_model,
        region=group.region,
        environment=group.environment,
        data_class=group.data_class,
        is_fallback=group.is_fallback,
        fallback_from=group.fallback_from,
        traffic_class=group.traffic_class,
        at=rfc3339(group.epoch_start),
    )


def coverage_line(group: Group) -> CoverageLine:
    return CoverageLine(
        calls=group.calls,
        contracted_pico=group.contracted_pico,
        exposure=group.exposure if group.rated.status == "unpriced" else None,
        has_workflow=group.workflow_id is not None,
        has_owner=group.owner is not None,
        approved=group.route_status in {"approved", "waived"},
        unpriced_calls=group.unpriced_calls,
    )
