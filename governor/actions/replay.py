"""`replay`: carry out a shadow run, from wherever it stands to its end.

Owns: the order of things: gate, measure production's replies, reserve, call, settle, stop, judge, finish. Does not own: each of them.
Invariants: nothing is sent that policy denies; nothing is sent without a reservation; killed anywhere and run again it ends with one result per arm and position
and every reservation accounted for; the verdict does not depend on the order in which replies came.
"""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlmodel import select

from governor.actions.context import Context
from governor.actions.import_prices import load_book
from governor.actions.load_catalog import catalog_as_of
from governor.actions.replay_budget import reserve, settle_all
from governor.actions.replay_calls import WAVE, Endpoints, Replay, await_others, batches, beyond_budget, priced, served
from governor.actions.replay_evidence import finish
from governor.actions.replay_gate import denied
from governor.actions.replay_golden import ask_golden
from governor.actions.replay_inputs import keep_output, measure_recorded_reply, measure_reply, recorded_reply, request_of
from governor.actions.replay_judge import ask_judge
from governor.actions.replay_price import Pricer, most_tokens
from governor.actions.replay_rows import SKIPPED, UNDER_WAY, find_run, load, start, write_recorded
from governor.actions.replay_table import Result, Task, Written
from governor.actions.review import ensure_review
from governor.actions.workflow_calls import calls_by_id
from governor.adapters.model_endpoint import HttpModelEndpoint
from governor.errors import IntegrityError
from governor.ports import ModelEndpoint, ModelReply
from governor.shadow.plan import ReplayPlan
from governor.store.rows.changes import Change

log = logging.getLogger(__name__)
WAVES: Final = 50  # large runs look at their evidence about this often


def http_endpoint(ctx: Context, endpoint_id: str) -> ModelEndpoint:
    """The endpoint of the catalog, over HTTP."""
    found = catalog_as_of(ctx).endpoint(endpoint_id)
    return HttpModelEndpoint(
        found.protocol,
        found.base_url,
        found.secret,
        allow_private=ctx.settings.allow_private_endpoints,
        per_minute=found.requests_per_minute,
    )


def replay(ctx: Context, run_id: str, *, endpoints: Endpoints = http_endpoint) -> dict[str, Any]:
    """{"run","status","verdict"}. Safe to run again at any time; a finished run answers what it found."""
    with ctx.rows.session() as session:
        run = find_run(session, ctx.org, run_id)
        change = session.exec(select(Change).where(Change.org_id == ctx.org, Change.id == run.change_id)).one()
    if run.status not in UNDER_WAY and not run.reserved_pico:
        ensure_review(ctx, change.id)
        return outcome_of(ctx, run_id)
    plan = ReplayPlan.parse(json.loads(change.plan))
    if plan.digest != run.plan_digest:
        raise IntegrityError(f"the plan of {change.id} is not the one run {run_id} was started with")
    if not start(ctx, run_id, plan):
        return outcome_of(ctx, run_id)
    catalog = catalog_as_of(ctx)
    job = Replay(
        ctx=ctx,
        run_id=run_id,
        plan=plan,
        pricer=Pricer(load_book(ctx, catalog)),
        capture_mode=str(catalog.capture(plan.workflow_id)),
        endpoints=endpoints,
        calls=calls_by_id(ctx, [pick.record_id for pick in plan.sample]),
        table=load(ctx, run_id),
    )
    retention_days = json.loads(change.request)["candidate"].get("retention_days")
    exclude(job, retention_days)
    measure_recorded(job)
    carry_out(job)
    if not job.stopped():
        ask_golden(job, retention_days)
    if plan.judge is not None and not job.stopped():
        ask_judge(job)
    if not job.stopped():
        finish(ctx, run_id, plan, load(ctx, run_id))
    return outcome_of(ctx, run_id)


def outcome_of(ctx: Context, run_id: str) -> dict[str, Any]:
    with ctx.rows.session() as session:
        run = find_run(session, ctx.org, run_id)
        return {"run": run_id, "status": run.status, "verdict": json.loads(run.verdict) if run.verdict else None}


def exclude(job: Replay, retention_days: int | None) -> None:
    """Policy and content, before anything is sent; every position that cannot be replayed gets its counted state."""
    open_positions = job.open_positions()
    refused = denied(
        job.ctx,
        job.plan,
        retention_days,
        {job.plan.sample[at].record_id: job.calls.get(job.plan.sample[at].record_id, NO_CALL) for at in open_positions},
    )
    states: dict[int, str] = {}
    for position in open_positions:
        record_id = job.plan.sample[position].record_id
        if record_id in refused:
            states[position] = "excluded_policy"
        elif record_id not in job.calls or not job.ctx.content.exists(job.calls[record_id]["input_sha256"] or "0" * 64):
            states[position] = "excluded_content"
    job.mark(states)


NO_CALL: Final[dict[str, Any]] = {"data_class": None, "content_state": None}


def measure_recorded(job: Replay) -> None:
    """Production's replies as facts. Where the output was not kept a replayed baseline can still be compared; a recorded one cannot."""
    found: dict[int, Written] = {}
    for position in range(job.plan.n):
        if job.table[position]["recorded"].state != "planned":
            continue
        row, given = job.calls[job.plan.sample[position].record_id], job.input_of(position)
        reply = recorded_reply(job.ctx, row)
        if given is None:
            continue  # found by build()
        facts = measure_recorded_reply(job.ctx, job.plan, row, reply, given) if reply is not None else None
        state = "done" if facts is not None or job.plan.baseline_arm == "replayed" else "excluded_content"
        found[position] = Written(state, facts, job.pricer.recorded(row), output_sha256=row["output_sha256"] or "")
    write_recorded(job.ctx, job.run_id, found)
    for position, written in found.items():
        job.table[position]["recorded"] = Result(written.state, written.facts, written.cost_pico, output_sha256=written.output_sha256)


def carry_out(job: Replay) -> None:
    """Positions in the registered order, until all are final, the budget is gone or harm is certain."""
    endpoint = job.endpoints(job.ctx, job.plan.endpoint)
    with kept_in_mind():
        rounds(job, endpoint)


@contextmanager
def kept_in_mind() -> Iterator[None]:
    """What stands before the calls (modules, plan, table) outlives them, as nearly all that they add: the collector looks through neither again and again."""
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(max(usual[0], 20_000), *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def rounds(job: Replay, endpoint: ModelEndpoint) -> None:
    idle = 0
    while todo := job.open_positions():
        sent = send(job, endpoint, leases(job, todo))
        idle = 0 if sent or len(job.open_positions()) < len(todo) else idle + 1
        if idle:
            await_others(job, idle)


def leases(job: Replay, todo: Sequence[int]) -> Iterator[Task]:
    """Calls that may be sent: reserved some positions at a time, while the calls before them are under way. Ends where the budget does not reach for now."""
    size = max(job.plan.concurrency * WAVE, job.plan.block, job.plan.n // WAVES)
    held = False  # is anything of this round under way?
    for at in range(0, len(todo), size):
        if job.stopped():
            job.mark(dict.fromkeys(todo[at:], SKIPPED))
            return
        if job.decided():
            job.mark(dict.fromkeys(todo[at:], "skipped_decided"))
            return
        groups, unusable = build(job, todo[at : at + size])
        job.mark(unusable)
        granted = reserve(job.ctx, job.run_id, groups)
        for task in granted:
            job.table[task.position][task.arm].state = "reserved"
        for number, task in enumerate(granted):
            if job.stopped():  # what is not sent yet is not sent
                give_back(job, granted[number:])
                break
            yield task
        held = held or bool(granted)
        if len(granted) < sum(map(len, groups)) and not job.stopped():
            if not held and beyond_budget(job, groups[0]):
                job.mark(dict.fromkeys(todo[at:], "skipped_budget"))
            return


def give_back(job: Replay, tasks: Sequence[Task]) -> None:
    """What was reserved for calls that are not made costs nothing."""
    results = settle_all(job.ctx, job.run_id, [(task, Written(SKIPPED, cost_pico=0)) for task in tasks])
    for task, result in zip(tasks, results, strict=True):
        job.table[task.position][task.arm] = result


def build(job: Replay, positions: Sequence[int]) -> tuple[list[list[Task]], dict[int, str]]:
    """(tasks per position, positions that turn out not to be replayable). All arms of a position stand next to each other in time."""
    groups: list[list[Task]] = []
    unusable: dict[int, str] = {}
    now = job.ctx.now()
    for position in positions:
        given = job.input_of(position)
        if given is None:
            unusable[position] = "excluded_content"
            continue
        group: list[Task] = []
        for arm in ("baseline", "candidate", "repeat"):
            stands = job.table[position].get(arm)
            if stands is not None and stands.state == "planned":
                route = job.route(arm)
                request = request_of(job.plan, job.run_id, position, arm, route, given)
                into = most_tokens(request.messages, request.params, route.model) if job.plan.params else given.bound(route.model)
                worst = job.pricer.tokens(route, now, input_tokens=into, output_tokens=request.max_output_tokens) or 0
                group.append(Task(position, arm, request, route, worst, stands.row))
        if group:
            groups.append(group)
    return groups, unusable


def send(job: Replay, endpoint: ModelEndpoint, tasks: Iterable[Task]) -> int:
    """How many were sent; each group of answers is measured and settled in one transaction while the next are under way."""
    sent = 0
    for batch in batches(endpoint, tasks, job.plan.concurrency):
        done = [(task, outcome(job, task, reply)) for task, reply in batch]
        for (task, _), result in zip(done, settle_all(job.ctx, job.run_id, done), strict=True):
            job.table[task.position][task.arm] = result
        sent += len(batch)
    return sent


def outcome(job: Replay, task: Task, reply: ModelReply) -> Written:
    if reply.status == "refused_params":
        return Written("excluded_params")
    reply = served(job, task, reply)
    given = job.input_of(task.position)
    facts = measure_reply(reply, job.contract, given) if given is not None else None
    address = keep_output(job.ctx, reply, job.capture_mode, job.kept) if reply.status == "ok" else ""
    return priced(job, task, reply, Written("done" if facts else "excluded_content", facts, output_sha256=address))
