"""A change as people read it: one sentence, what must be decided by whom and why, the evidence, and what was decided.

Owns: the document behind `change show`, the API and the page. Does not own: any rule. Invariants: reads only; says for each need who may answer,
and to the reader why they may not.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, TypedDict

from sqlmodel import Session, col, select

from governor.actions.asked_before import asked_before
from governor.actions.assess import Assessment, assess, find_change, since_review
from governor.actions.context import Actor, Context
from governor.actions.shadow_progress import failures_of, shadow_progress
from governor.actions.show_golden import report_of
from governor.actions.withdrawal import withdrawal_of
from governor.changes import NEXT, Person, State, may_decide, may_withdraw, next_step, of_change, who_may
from governor.errors import GovernorError, Invalid
from governor.shadow.scope import planned_shares
from governor.shadow.sentence import after_others
from governor.store.rows import people
from governor.store.rows.changes import Change, ShadowRun
from governor.store.rows.jobs import Job

VOID: Final = "leave the route as it is: what was approved has changed or an approval ran out; `governor change cutover ID` refuses and says who decides again"
OVER: Final = frozenset({State.REJECTED, State.WITHDRAWN})  # nobody is asked any more
STOPPED: Final = "the shadow run stopped: mend the problem it names, then run `governor change shadow ID` again; what was answered is kept"


def show_change(ctx: Context, change_id: str, actor: Actor | None = None) -> dict[str, Any]:
    """Everything about one change. `digest` is what a decision must name; `you` says what `actor` may do. Raises NotFound."""
    now = ctx.now()
    with ctx.rows.session() as session:
        change = find_change(session, ctx.org, change_id)
        found = assess(ctx, session, change, now)
        persons = read_persons(session, ctx.org)
        errors, given_up = job_errors(session, ctx.org, found)
        before = asked_before(session, change)
        withdrawal = withdrawal_of(session, change)
        names = dict(session.exec(select(people.Person.id, people.Person.email).where(people.Person.org_id == ctx.org)).all())
    request = json.loads(change.request)
    return {
        "id": change.id,
        "state": change.state,
        "next": next_words(found, given_up, now),
        "sentence": sentence(request, found),
        "workflow": change.workflow_id,
        "owner": found.docket.owner,
        "requester": change.requester_email,
        "reason": request["reason"],
        "baseline": request["baseline"],
        "candidate": request["candidate"],
        "endpoint": request["endpoint"],
        "digest": found.digest,
        "reviewed_digest": change.digest,
        "stale": found.stale,
        "needs": [need_document(need, found, persons, names, now) for need in found.needs()],
        "policy": {
            "bundle": ctx.bundle.revision,
            "allow": found.decision.allow,
            "violations": [
                {"rule": one.rule, "severity": one.severity, "message": one.message, "solution": one.solution}
                for one in found.decision.violations
            ],
            "undecided": [one.reason for one in found.decision.undecided],
        },
        "progress": progress_of(ctx, found.runs[-1] if found.runs and found.runs[-1].id not in given_up else None, now),
        "representativeness": representativeness(json.loads(change.plan) if change.plan else {}, found.verdict),
        "plan": plan_document(json.loads(change.plan) if change.plan else {}, request),
        "runs": [
            run_document(run, names) | {"error": errors.get(run.id), "given_up": run.id in given_up, "failures": failures_of(ctx, run)}
            for run in found.runs
        ],
        "verdict": found.verdict or None,
        "earlier_runs": after_others(earlier_words(found)),
        "asked_before": before,
        "golden": report_of(found.files),
        "evidence": [item.reference() for item in found.files],
        "approvals": [
            {
                "person": vote.person_email,
                "role": vote.role,
                "decision": vote.decision,
                "digest": vote.digest,
                "reason": vote.reason,
                "decided_at": vote.decided_at.isoformat(),
                "expires_at": vote.expires_at.isoformat() if vote.expires_at else None,
                "auth": vote.auth,
                "counts": vote.digest == found.digest
                and since_review(change, vote.decided_at)
                and (vote.expires_at is None or now < vote.expires_at),
            }
            for vote in found.approvals
        ],
        "you": {**standing_of(actor, found, now), "may_reject": may_reject(actor, found, now), "may_withdraw": may_take_back(actor, change)}
        if actor is not None
        else None,
        "created_at": change.created_at.isoformat(),
        "updated_at": change.updated_at.isoformat(),
        "submitted_at": change.submitted_at.isoformat() if change.submitted_at else None,
        "decided_at": change.decided_at.isoformat() if change.decided_at else None,
        "cutover_at": change.cutover_at.isoformat() if change.cutover_at else None,
        "expires_at": runs_out(found) if change.state in {State.IN_REVIEW, State.APPROVED} else None,
        "verification": json.loads(change.verification) if change.verification else None,
        "withdrawal": withdrawal,
    }


def next_words(found: Assessment, given_up: Collection[str], now: datetime) -> str:
    last, change = found.runs[-1] if found.runs else None, found.change
    if change.state == State.SHADOWING and last is not None and last.id in given_up:
        words = STOPPED
    elif change.state == State.APPROVED and not found.docket.approved(now):
        words = VOID
    elif change.state == State.IN_REVIEW and found.outlived(now):
        words = NEXT[State.EXPIRED]
    else:
        words = next_step(change.state, last.status if last else "", str(found.verdict.get("verdict", "")))
    return of_change(words, change.id)


class ChangeRow(TypedDict):
    """needs: roles that must approve; submitted_at: put before them with its evidence, last; decided_at: approved or rejected, as it stands."""

    id: str
    state: str
    workflow: str
    baseline: str
    candidate: str
    requester: str
    reason: str
    digest: str
    needs: list[str]
    created_at: str
    submitted_at: str | None
    decided_at: str | None
    updated_at: str


def list_changes(ctx: Context, *, state: str = "", workflow: str = "") -> list[ChangeRow]:
    """Newest first; short rows from what is stored (no policy is asked)."""
    if state and state not in set(State):
        raise Invalid(f"unknown state {state!r}", hint=f"states: {', '.join(State)}")
    with ctx.rows.session() as session:
        query = select(Change).where(Change.org_id == ctx.org).order_by(col(Change.number).desc())
        if state:
            query = query.where(Change.state == state)
        if workflow:
            query = query.where(Change.workflow_id == workflow)
        return [row_document(change) for change in session.exec(query)]


def row_document(change: Change) -> ChangeRow:
    request = json.loads(change.request)
    return {
        "id": change.id,
        "state": change.state,
        "workflow": change.workflow_id,
        "baseline": route_text(request["baseline"]),
        "candidate": route_text(request["candidate"]),
        "requester": change.requester_email,
        "reason": request["reason"],
        "digest": change.digest,
        "needs": [need["role"] for need in json.loads(change.needs)],
        "created_at": change.created_at.isoformat(),
        "submitted_at": change.submitted_at.isoformat() if change.submitted_at else None,
        "decided_at": change.decided_at.isoformat() if change.decided_at else None,
        "updated_at": change.updated_at.isoformat(),
    }


def read_persons(session: Session, org: str) -> list[Person]:
    rows = session.exec(select(people.Person).where(people.Person.org_id == org).order_by(col(people.Person.email)))
    return [Person(row.id, row.email, frozenset(role for role in row.roles.split(",") if role)) for row in rows if not row.disabled]


def need_document(need: dict[str, Any], found: Assessment, persons: list[Person], names: dict[str, str], now: datetime) -> dict[str, Any]:
    vote = next((one for one in found.docket.standing(now) if one.role == need["role"]), None)
    giver = next((one for one in persons if vote is not None and one.id == vote.person_id), None)
    return {
        **need,
        "strength": need.get("strength", ""),
        "status": "answered" if vote else "open",
        "by": names.get(vote.person_id, vote.person_id) if vote else None,
        "by_holds_role": (giver is not None and need["role"] in giver.roles) if vote else None,
        "may": [] if vote or found.change.state in OVER else who_may(found.docket, persons, need["role"], now),
    }


def standing_of(actor: Actor, found: Assessment, now: datetime) -> dict[str, Any]:
    """{"may_approve","role","why_not","code"}: what the reader may do now, and why not."""
    try:
        if actor.kind != "person":
            return {"may_approve": False, "role": None, "why_not": "only a person can decide on a change", "code": "unauthenticated"}
        person = Person(actor.id, actor.email, actor.roles)
        role = may_decide(person, found.docket, digest=found.digest, decision="approve", now=now)
    except GovernorError as error:
        return {"may_approve": False, "role": None, "why_not": error.message, "code": error.code}
    if not found.decision.allow:
        problems = "; ".join(one.message for one in found.decision.violations) or "policy is undecided"
        return {"may_approve": False, "role": role, "why_not": f"policy does not allow it: {problems}", "code": "policy_refused"}
    return {"may_approve": True, "role": role, "why_not": None, "code": None}


def may_reject(actor: Actor, found: Assessment, now: datetime) -> bool:
    """Whoever answers a need may say no, also where policy would not let them say yes."""
    try:
        may_decide(Person(actor.id, actor.email, actor.roles), found.docket, digest=found.digest, decision="reject", now=now)
    except GovernorError:
        return False
    return actor.kind == "person"


def runs_out(found: Assessment) -> str | None:
    """When the first approval of what is shown runs out, and the change with it; past, where the sweep has not come yet."""
    first = min((vote.expires_at for vote in found.docket.on_digest() if vote.expires_at is not None), default=None)
    return first.isoformat() if first is not None else None


def may_take_back(actor: Actor, change: Change) -> bool:
    try:
        may_withdraw(Person(actor.id, actor.email, actor.roles), change.id, change.state, change.requester_id)
    except GovernorError:
        return False
    return actor.kind == "person"


def plan_document(plan: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """The plan without its list of draws."""
    shown = {name: value for name, value in plan.items() if name != "sample"}
    return {**shown, "sample": len(plan.get("sample", [])), "budget_usd": request["budget_usd"], "margins": request["margins"]}


def progress_of(ctx: Context, run: ShadowRun | None, now: datetime) -> dict[str, Any] | None:
    """Of the newest run, while it is under way."""
    return shadow_progress(ctx, run.id, now).document() if run is not None and run.status in {"planned", "running"} else None


def representativeness(plan: dict[str, Any], verdict: dict[str, Any]) -> dict[str, Any] | None:
    """What the evidence speaks for; before there is any, what the plan can speak for."""
    spoken: dict[str, Any] | None = verdict.get("representativeness")
    return spoken or planned_shares(plan.get("population", {}).get("coverage", {}))


def earlier_words(found: Assessment) -> list[str]:
    """Verdicts of the runs before the one that counts."""
    ended = [run for run in found.runs if run.status == "done" and run.verdict]
    return [str(json.loads(run.verdict)["verdict"]) for run in ended[:-1]]


def run_document(run: ShadowRun, names: dict[str, str]) -> dict[str, Any]:
    return {
        "id": run.id,
        "status": run.status,
        "planned": run.planned,
        "budget_pico": str(run.budget_pico),
        "reserved_pico": str(run.reserved_pico),
        "spent_pico": str(run.spent_pico),
        "author": names.get(run.author, run.author),
        "started_at": run.started_at.isoformat() if run.started_at else None,
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "verdict": json.loads(run.verdict).get("verdict") if run.verdict else None,
        "sentence": json.loads(run.verdict).get("sentence") if run.verdict else None,
    }


def job_errors(session: Session, org: str, found: Assessment) -> tuple[dict[str, str], set[str]]:
    """What went wrong last with the job of a run; and the runs whose job was given up, so that nothing goes on by itself."""
    wished = {f"{org}:replay:{run.id}": run.id for run in found.runs}
    rows = session.exec(select(Job).where(Job.org_id == org, col(Job.dedupe).in_(list(wished)))).all()
    return {wished[job.dedupe]: job.error for job in rows if job.error}, {wished[job.dedupe] for job in rows if job.state == "failed"}


def route_text(route: dict[str, Any]) -> str:
    region = f"@{route['region']}" if route.get("region") else ""
    return f"{route['provider']}/{route['model']}{region}"


def sentence(request: dict[str, Any], found: Assessment) -> str:
    return (
        f"{found.change.requester_email} asks to move {found.change.workflow_id} from {route_text(request['baseline'])} "
        f"to {route_text(request['candidate'])}: {request['reason']}"
    )
