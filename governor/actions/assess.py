"""A change as it stands now: what a decision would bind, what policy says, who answered what.

Owns: recomputing the binding digest from current state, the question asked of policy. Does not own: the rules (governor.changes), writing anything.
Invariants: reads only; nothing stored is believed where it can be computed (evidence digests come from the bytes); after the cutover the stored digest stands.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, Final

from sqlmodel import Session, col, select

from governor.actions.context import Context
from governor.actions.evidence_files import evidence_files
from governor.actions.import_prices import load_book
from governor.actions.judge import judge, prepare
from governor.actions.load_catalog import read_catalog
from governor.catalog import Catalog
from governor.changes import Binding, Docket, State, Vote
from governor.errors import NotFound
from governor.evidence import EvidenceItem, evidence_digest
from governor.ledger.canonical import digest as canonical_digest
from governor.ledger.canonical import sha256_hex, timestamp
from governor.policy.catalog_data import catalog_data, rfc3339
from governor.policy.decision import Decision
from governor.policy.question import ChangeQuestion, CostFacts, EvidenceFacts, Target
from governor.prices.price import PICO
from governor.store.rows.changes import Approval, Change, ShadowRun
from governor.store.rows.people import Person
from governor.store.rows.reviews import ReviewLabel

FROZEN: Final = frozenset({State.REJECTED, State.CUTOVER, State.VERIFIED, State.DRIFTED, State.WITHDRAWN})
MICRO: Final = Decimal(1_000_000)
MONTH_DAYS: Final = Decimal(30)


@dataclass(frozen=True)
class Assessment:
    """`digest` is what to decide on. `run` is the newest finished run, `runs` all, oldest first."""

    change: Change
    catalog: Catalog
    binding: Binding
    decision: Decision
    docket: Docket
    run: ShadowRun | None
    runs: tuple[ShadowRun, ...]
    approvals: tuple[Approval, ...]
    files: tuple[EvidenceItem, ...]
    evidence_until: datetime | None  # None: there is none, or what it was for is over
    verdict: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return self.docket.digest

    @property
    def stale(self) -> bool:
        """A bound part changed since the digest was last put before the deciders."""
        return self.digest != self.change.digest

    @property
    def again(self) -> str:
        return moved_at(self.change, self.run)

    def outlived(self, now: datetime) -> bool:
        """Is the evidence too old to decide on?"""
        return self.evidence_until is not None and self.evidence_until <= now

    def needs(self) -> list[dict[str, Any]]:
        return [{"role": need.role, "reason": need.reason, "reasons": list(need.reasons), **need.asked} for need in self.decision.needs]


def find_change(session: Session, org: str, change_id: str, *, lock: bool = False) -> Change:
    """Raises NotFound. `lock` keeps rivals out until the transaction ends."""
    query = select(Change).where(Change.org_id == org, Change.id == change_id.strip())
    change = session.exec(query.with_for_update() if lock else query).first()
    if change is None:
        raise NotFound(f"no change {change_id}", hint="`governor change list` shows them")
    return change


def assess(ctx: Context, session: Session, change: Change, now: datetime) -> Assessment:
    """Read everything a decision depends on, inside the caller's transaction."""
    catalog = read_catalog(session, ctx.org, now)
    runs = tuple(
        session.exec(select(ShadowRun).where(ShadowRun.org_id == ctx.org, ShadowRun.change_id == change.id).order_by(col(ShadowRun.id)))
    )
    run = next((found for found in reversed(runs) if found.status == "done"), None)
    approvals = tuple(
        session.exec(select(Approval).where(Approval.org_id == ctx.org, Approval.change_id == change.id).order_by(col(Approval.id)))
    )
    files = tuple(evidence_files(session, ctx.org, change.id))
    verdict: dict[str, Any] = json.loads(run.verdict) if run is not None and run.verdict else {}
    binding = bind(ctx, catalog, change, run, files)
    until = evidence_until(ctx, change, run)
    decision = ask(ctx, catalog, change, verdict, until, now)
    owner = catalog.workflows[change.workflow_id].owner if change.workflow_id in catalog.workflows else ""
    docket = Docket(
        id=change.id,
        state=change.state,
        digest=change.digest if State(change.state) in FROZEN else binding.digest,
        requester_id=change.requester_id,
        owner=owner,
        owner_id=person_id(session, ctx.org, owner),
        authors=frozenset(found.author for found in runs if found.author) | labellers(session, ctx.org, change.id),
        needs=tuple(need.role for need in decision.needs),
        has_evidence=run is not None and bool(files),
        votes=tuple(
            Vote(vote.person_id, vote.role, vote.decision, vote.digest, vote.expires_at)
            for vote in approvals
            if since_review(change, vote.decided_at)
        ),
    )
    return Assessment(change, catalog, binding, decision, docket, run, runs, approvals, files, until, verdict)


def evidence_until(ctx: Context, change: Change, run: ShadowRun | None) -> datetime | None:
    """Until when the newest evidence may carry a decision or a cutover: models and traffic move on under names that stay."""
    if run is None or run.finished_at is None or State(change.state) in FROZEN:
        return None
    return run.finished_at + timedelta(days=ctx.settings.evidence_days)


def bind(ctx: Context, catalog: Catalog, change: Change, run: ShadowRun | None, files: Sequence[EvidenceItem]) -> Binding:
    plan = json.loads(change.plan) if change.plan else {}
    return Binding(
        request=json.loads(change.request),
        workflow=workflow_digest(catalog, change.workflow_id),
        plan=canonical_digest(plan),
        sample=canonical_digest(plan.get("sample", [])),
        evidence="" if run is None else canonical_digest([run.id, run.verdict, evidence_digest(files)]),
        policy_bundle=ctx.bundle.revision,
        price_book=load_book(ctx, catalog).digest,
    )


def workflow_digest(catalog: Catalog, workflow_id: str) -> str:
    """What policy is told about the workflow, and the organization's own policy rows."""
    found = catalog.workflows.get(workflow_id)
    data = catalog_data({"workflows": {workflow_id: found} if found else {}, "organization": catalog.organization})
    text = json.dumps({name: data[name] for name in ("workflows", "providers", "tables")}, sort_keys=True, ensure_ascii=False)
    return sha256_hex(text.encode())


def ask(ctx: Context, catalog: Catalog, change: Change, verdict: dict[str, Any], until: datetime | None, now: datetime) -> Decision:
    """Who must approve and what refuses, as policy says now."""
    request = json.loads(change.request)
    question = ChangeQuestion(
        workflow_id=change.workflow_id,
        baseline=target(request["baseline"]),
        candidate=target(request["candidate"]),
        at=rfc3339(now.replace(microsecond=0)),
        requester=change.requester_id,
        stage="decide" if verdict else "propose",
        change=change.id,
        evidence=EvidenceFacts(verdict.get("verdict"), verdict.get("n_pairs"), "done") if verdict else EvidenceFacts(),
        cost=cost_facts(json.loads(change.plan) if change.plan else {}, verdict),
        plan_expires_at=rfc3339(until.replace(microsecond=0)) if until is not None else None,
    )
    engine = ctx.engine()
    prepare(engine, ctx.bundle, catalog)
    return judge(engine, [question])[0]


def target(route: dict[str, Any]) -> Target:
    return Target(route.get("provider"), route.get("model"), route.get("region") or None, route.get("retention_days"))


def cost_facts(plan: dict[str, Any], verdict: dict[str, Any]) -> CostFacts:
    """Projection from the evidence: production's spend of the population scaled to 30 days, less the measured saving. Unknown stays unknown."""
    try:
        saving = Decimal(verdict["cost"]["monthly_savings_usd"])
        population = plan["population"]
        monthly = Decimal(population["cost_pico"]) / PICO * MONTH_DAYS / max(Decimal(population["days"]), Decimal(1))
    except (KeyError, TypeError, InvalidOperation):
        return CostFacts()
    return CostFacts(up(-saving), up(monthly - saving))


def up(usd: Decimal) -> int:
    return int((usd * MICRO).to_integral_value(ROUND_CEILING))


def labellers(session: Session, org: str, change_id: str) -> frozenset[str]:
    """Everyone who labelled answers of this change, or entered labels for somebody: they made its evidence."""
    rows = session.exec(
        select(ReviewLabel.person_id, ReviewLabel.reviewer).where(
            ReviewLabel.org_id == org, ReviewLabel.change_id == change_id, ReviewLabel.state == "submitted"
        )
    ).all()
    named = session.exec(select(Person.id).where(Person.org_id == org, col(Person.email).in_({reviewer for _, reviewer in rows}))).all()
    return frozenset(person for person, _ in rows) | frozenset(named)


def moved_at(change: Change, run: ShadowRun | None) -> str:
    """Empty until a bound part moves, then its moment: the end of a wish's name, because parts may move back to a digest that was reviewed before."""
    at = change.submitted_at
    return "" if at is None or run is None or at == run.finished_at else f":{timestamp(at)}"


def newest_done(session: Session, org: str, change_id: str) -> ShadowRun | None:
    query = select(ShadowRun).where(ShadowRun.org_id == org, ShadowRun.change_id == change_id, ShadowRun.status == "done")
    return session.exec(query.order_by(col(ShadowRun.id).desc())).first()


def since_review(change: Change, decided_at: datetime) -> bool:
    """What was decided before the newest review is void, also where the parts have moved back to what it was about."""
    return change.submitted_at is None or decided_at >= change.submitted_at


def person_id(session: Session, org: str, email: str) -> str:
    row = session.exec(select(Person).where(Person.org_id == org, Person.email == email)).first() if email else None
    return row.id if row else ""
