"""`route:revalidate`: approved routes are asked again, on the cadence their workflow sets or when somebody asks; what is seen is a finding.

Owns: the order of a check, its money, its one ledger entry. Does not own: which routes are due (route_checks.py), what a check says (shadow/recheck.py),
sending (adapters/model_endpoint.py).
Invariants: no route is changed; policy is asked about each prompt before it is sent; money is reserved in the transaction before a wave and settled after it, and a
reservation that outlived its worker counts as spent; killed and run again it asks nothing twice that it has answers to; texts are stored nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlmodel import col, select

from governor.actions.assess import find_change
from governor.actions.context import SYSTEM, Context
from governor.actions.import_prices import load_book
from governor.actions.load_catalog import catalog_as_of
from governor.actions.replay import NO_CALL, http_endpoint
from governor.actions.replay_calls import Endpoints
from governor.actions.replay_gate import denied
from governor.actions.replay_inputs import THIRD_MODEL, Input, measure_reply, request_of
from governor.actions.replay_price import Pricer
from governor.actions.replay_rows import load
from governor.actions.replay_table import Table
from governor.actions.revalidate_golden import golden_again, golden_line, golden_row, input_again, record_of
from governor.actions.route_checks import RouteCheckDocument, document, find_check
from governor.actions.usage import usd
from governor.actions.workflow_calls import calls_by_id
from governor.adapters.model_endpoint import NOT_SENT
from governor.errors import NotFound
from governor.ledger.canonical import canonical_json
from governor.ledger.entry import EntryDraft
from governor.ports import ModelReply, ModelRequest
from governor.shadow.plan import ReplayPlan
from governor.shadow.recheck import Line, chosen, line_of, result
from governor.store.rows.changes import ShadowRun

WAVE: Final = 8  # prompts between two looks at the budget
ARMS: Final = ("now", "again")


def revalidate(ctx: Context, check_id: str, *, endpoints: Endpoints = http_endpoint) -> RouteCheckDocument:
    """The job: carry a check out from wherever it stands; a finished one answers what it found."""
    with ctx.rows.session(write=True) as session:
        check = find_check(session, ctx.org, check_id)
        if check.status == "done":
            return document(check)
        check.status, check.spent_pico, check.reserved_pico = "running", check.spent_pico + check.reserved_pico, 0
        session.add(check)
        change = find_change(session, ctx.org, check.change_id)
        runs = select(ShadowRun.id).where(ShadowRun.org_id == ctx.org, ShadowRun.change_id == change.id, ShadowRun.status == "done")
        run_id = session.exec(runs.order_by(col(ShadowRun.id).desc())).first()
    if run_id is None:
        raise NotFound(f"{change.id} has no evidence to be asked again on")
    plan = replace(ReplayPlan.parse(json.loads(change.plan)), judge=None)
    table = load(ctx, run_id)
    usable = [
        at for at in range(plan.n) if table[at]["candidate"].state == "done" and (facts := table[at]["candidate"].facts) and facts.usable
    ]
    todo = chosen(plan, usable, check_id, check.planned)
    catalog = catalog_as_of(ctx)
    pricer = Pricer(load_book(ctx, catalog))
    calls = calls_by_id(ctx, [plan.sample[at].record_id for at in todo])
    todo += golden_again(plan, table, check_id)
    retention = json.loads(change.request)["candidate"].get("retention_days")
    rows = {record_of(plan, at): calls.get(record_of(plan, at), NO_CALL) if at < plan.n else golden_row(plan) for at in todo}
    refused = denied(ctx, plan, retention, rows)
    endpoint = endpoints(ctx, plan.endpoint)
    while todo := [at for at in todo if at not in {line.position for line in lines_of(ctx, check_id)}]:
        wave, made = todo[:WAVE], []
        inputs: dict[int, Input] = {}
        for at in wave:
            record = record_of(plan, at)
            given = None if record in refused else input_again(ctx, plan, at, calls.get(record))
            if given is None:
                made.append(Line(at, record, "excluded_policy" if record in refused else "excluded_content"))
            else:
                inputs[at] = given
        asked, worst = requests_of(plan, check_id, inputs, pricer, ctx.now())
        granted = reserve(ctx, check_id, {at: sum(cost for (one, _), cost in worst.items() if one == at) for at in inputs})
        if inputs and not granted:
            settle(
                ctx,
                check_id,
                0,
                0,
                made + [Line(at, record_of(plan, at), "skipped_budget") for at in todo if at in inputs or at not in wave],
            )
            break
        asked = {
            key: request for key, request in asked.items() if key[0] in granted
        }  # the others' turn comes: calls cost less than they might
        replies = {
            request.idempotency_key: answered(reply)
            for request, reply in endpoint.call_many(list(asked.values()), concurrency=plan.concurrency)
        }
        spent = sum(cost_of(pricer, plan, ctx.now(), replies[request.idempotency_key], worst[key]) for key, request in asked.items())
        first = {at: replies[asked[at, ARMS[0]].idempotency_key] for at in granted}
        made += [
            compared(plan, table, at, given, asked, replies, pricer, ctx.now())
            if at < plan.n
            else golden_line(ctx, plan, table, at, first[at], pricer.reply(plan.candidate, ctx.now(), first[at]))
            for at, given in inputs.items()
            if at in granted
        ]
        settle(ctx, check_id, spent, sum(worst[key] for key in asked), made)
    return finish(ctx, check_id, plan)


def requests_of(
    plan: ReplayPlan, check_id: str, inputs: Mapping[int, Input], pricer: Pricer, now: datetime
) -> tuple[dict[tuple[int, str], ModelRequest], dict[tuple[int, str], int]]:
    """The calls of a wave and the most each may cost: the approved route twice, as it was asked then; a golden case once, its right answer is known."""
    asked = {
        (at, arm): request_of(plan, check_id, at, arm, plan.candidate, given)
        for at, given in inputs.items()
        for arm in (ARMS if at < plan.n else ARMS[:1])
    }
    worst = {
        key: pricer.worst(plan.candidate, now, request.messages, request.params, request.max_output_tokens)
        for key, request in asked.items()
    }
    return asked, worst


def answered(reply: ModelReply) -> ModelReply:
    """A gateway that says it fell back did not ask the route."""
    return replace(reply, status="error", error=THIRD_MODEL, response_model="") if reply.passed_on else reply


def cost_of(pricer: Pricer, plan: ReplayPlan, now: datetime, reply: ModelReply, worst: int) -> int:
    """What cannot be known is spent in full; a refusal that the server stated costs nothing."""
    cost = pricer.reply(plan.candidate, now, reply)
    refused = reply.status == "refused_params" or (
        reply.status == "error" and (reply.http_status not in {0, 200} or reply.error.startswith(NOT_SENT))
    )
    return cost if cost is not None else 0 if refused else worst


def compared(
    plan: ReplayPlan,
    table: Table,
    at: int,
    given: Input,
    asked: Mapping[tuple[int, str], ModelRequest],
    replies: Mapping[str, ModelReply],
    pricer: Pricer,
    now: datetime,
) -> Line:
    approved, (first, again) = table[at]["candidate"], (replies[asked[at, arm].idempotency_key] for arm in ARMS)
    assert approved.facts is not None  # noqa: S101 - only such positions are chosen
    facts = [measure_reply(reply, plan.output_contract, given) for reply in (first, again)]
    costs = approved.cost_pico, pricer.reply(plan.candidate, now, first)
    return line_of(at, plan.sample[at].record_id, approved.facts, facts[0], facts[1], costs)


def reserve(ctx: Context, check_id: str, worst: Mapping[int, int]) -> list[int]:
    """Positions that may be asked, in order, as far as the budget reaches now. worst: the most that each may cost."""
    granted: list[int] = []
    with ctx.rows.session(write=True) as session:
        check = find_check(session, ctx.org, check_id)
        for at, cost in worst.items():
            if check.spent_pico + check.reserved_pico + cost > check.budget_pico:
                break
            check.reserved_pico += cost
            granted.append(at)
        session.add(check)
    return granted


def settle(ctx: Context, check_id: str, spent: int, reserved: int, lines: Sequence[Line]) -> None:
    """What a wave reserved becomes what it cost. A prompt that another worker asked as well has its line already; the second bill is counted."""
    with ctx.rows.session(write=True) as session:
        check = find_check(session, ctx.org, check_id)
        known = {json.loads(line)["position"] for line in check.lines.splitlines()}
        check.spent_pico, check.reserved_pico = check.spent_pico + spent, max(check.reserved_pico - reserved, 0)
        check.lines += "".join(canonical_json(line.document()).decode() + "\n" for line in lines if line.position not in known)
        session.add(check)


def lines_of(ctx: Context, check_id: str) -> list[Line]:
    with ctx.rows.session() as session:
        return [Line.parse(json.loads(line)) for line in find_check(session, ctx.org, check_id).lines.splitlines()]


def finish(ctx: Context, check_id: str, plan: ReplayPlan) -> RouteCheckDocument:
    found = result(plan, lines_of(ctx, check_id))
    with ctx.transaction(SYSTEM) as tx:
        check = find_check(tx.session, ctx.org, check_id)
        if check.status == "done":
            return document(check)  # another worker was first
        check.status, check.result, check.verdict, check.finished_at = "done", canonical_json(found).decode(), found["verdict"], tx.now
        tx.session.add(check)
        tx.append(
            EntryDraft(
                type="route:revalidate",
                stream=f"route/{check.workflow_id}",
                payload={
                    "change": check.change_id,
                    "workflow": check.workflow_id,
                    "check": check.id,
                    "verdict": check.verdict,
                    "prompts": found["n"],
                    "spent": usd(check.spent_pico),
                },
                actor=SYSTEM.ledger_ref(),
                idem=f"route:revalidate:{check.id}",
                occurred_at=tx.now,
            )
        )
        return document(check)
