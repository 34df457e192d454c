"""The golden cases of a shadow run: asked of both routes after the sample, checked, never counted in it.

Owns: rows of the cases (positions after the sample's), their gate, requests and checks, the judge's questions about cases with only a rubric.
Does not own: checks (governor.shadow.golden), money (replay_rows.py), what it decides (governor.shadow.golden_measured).
Invariants: reserved like every call; policy is asked about the workflow's data class before a case leaves; a failed reply is a wrong answer; a reply is
checked when it arrives and its text is kept only as the workflow's capture mode lets it; not asked where the sample already decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert
from sqlmodel import col, select

from governor.actions.golden_lines import ARM_PREFIX, ARMS
from governor.actions.replay_budget import reserve, settle, settle_all
from governor.actions.replay_calls import WAVE, Replay, await_others, batches, beyond_budget, priced, served
from governor.actions.replay_gate import denied
from governor.actions.replay_inputs import Input, keep_output, measure_reply, read_document, read_input, redacted, request_of
from governor.actions.replay_judge import asked
from governor.actions.replay_rows import JUDGES, OPEN, SKIPPED, find_run, load
from governor.actions.replay_table import Result, Task, Written
from governor.ledger.canonical import canonical_json
from governor.ports import ModelReply, ModelRequest
from governor.shadow import judging
from governor.shadow.golden import Case
from governor.shadow.plan import Arm
from governor.store.rows.base import uuid7
from governor.store.rows.changes import ReplayResult


def ask_golden(job: Replay, retention_days: int | None) -> None:
    """Safe to run again: what is final stays."""
    golden = job.plan.golden
    if golden is None:
        return
    make_rows(job)
    first = job.plan.n
    places = {first + number: case for number, case in enumerate(golden.cases)}
    if any(pair.state == "skipped_decided" for pair in job.finished()):
        job.mark(dict.fromkeys(places, "skipped_decided"))
        return
    rows = {ARM_PREFIX + case.sha256: {"data_class": job.plan.data_class or None, "content_state": "full"} for case in golden.cases}
    refused = denied(job.ctx, job.plan, retention_days, rows)
    cases: dict[int, tuple[Case, Input]] = {}
    shut: dict[int, str] = {}
    for position, named in places.items():
        document, given = read_document(job.ctx, named.sha256), read_input(job.ctx, named.sha256)
        if ARM_PREFIX + named.sha256 in refused:
            shut[position] = "excluded_policy"
        elif given is None or not isinstance(document, Mapping) or "golden" not in document:
            shut[position] = "excluded_content"
        else:
            cases[position] = (Case.stored(document), redacted(given) if job.plan.redact else given)
    job.mark(shut)
    carry_out(job, cases)
    if job.plan.judge is not None:
        ask_about(job, {at: case for at, case in cases.items() if not case[0].check})
    job.table = load(job.ctx, job.run_id)


def make_rows(job: Replay) -> None:
    """Rows of cases that have none; under the run's lock, so that two workers make them once."""
    plan = job.plan
    with job.ctx.rows.session(write=True) as session:
        find_run(session, job.ctx.org, job.run_id, lock=True)
        query = select(ReplayResult.position, ReplayResult.arm).where(
            ReplayResult.run_id == job.run_id, col(ReplayResult.position) >= plan.n
        )
        known = set(session.exec(query))
        blank = {"org_id": job.ctx.org, "run_id": job.run_id, "state": "planned", "reserved_pico": 0, "reply": "", "output_sha256": ""}
        new = [
            {**blank, "id": uuid7(), "position": position, "record_id": ARM_PREFIX + case.sha256, "arm": arm}
            for position, case in enumerate(plan.golden.cases if plan.golden else (), start=plan.n)
            for arm in ARMS
            if (position, arm) not in known
        ]
        if new:
            session.connection().execute(insert(ReplayResult), new)
    job.table = load(job.ctx, job.run_id)


def carry_out(job: Replay, cases: Mapping[int, tuple[Case, Input]]) -> None:
    """Both routes side by side, some cases at a time, as long as the budget holds."""
    endpoint = job.endpoints(job.ctx, job.plan.endpoint)
    idle = 0
    while left := [at for at in sorted(cases) if any(job.table[at][arm].state in OPEN for arm in ARMS)]:
        ours = [at for at in left if any(job.table[at][arm].state == "planned" for arm in ARMS)]
        groups = [tasks_of(job, at, cases[at][1]) for at in ours[: job.plan.concurrency * WAVE]]
        granted = reserve(job.ctx, job.run_id, groups)
        for batch in batches(endpoint, granted, job.plan.concurrency):
            done = [(task, answered(job, task, reply, *cases[task.position])) for task, reply in batch]
            settle_all(job.ctx, job.run_id, done)
        job.table = load(job.ctx, job.run_id)  # what the budget did not reach is tried again: calls cost less than they might
        idle = 0 if granted else idle + 1
        if not granted and job.stopped():
            job.mark(dict.fromkeys(ours, SKIPPED))
        elif not granted and groups and beyond_budget(job, groups[0]):
            job.mark(dict.fromkeys(ours, "skipped_budget"))
        elif not granted:
            await_others(job, idle)


def tasks_of(job: Replay, position: int, given: Input) -> list[Task]:
    found = []
    for arm in ARMS:
        if job.table[position][arm].state == "planned":
            route = job.route(arm)
            request = request_of(job.plan, job.run_id, position, arm, route, given)
            worst = job.pricer.worst(route, job.ctx.now(), request.messages, request.params, request.max_output_tokens)
            found.append(Task(position, arm, request, route, worst, job.table[position][arm].row))
    return found


def answered(job: Replay, task: Task, reply: ModelReply, case: Case, given: Input) -> Written:
    if reply.status == "refused_params":
        return Written("excluded_params")
    reply = served(job, task, reply)
    facts = measure_reply(reply, job.plan.output_contract, given)
    right = reply.status == "ok" and bool(case.check) and case.right(reply.text, reply.tool_calls)
    address = keep_output(job.ctx, reply, job.capture_mode) if reply.status == "ok" else ""
    return priced(job, task, reply, Written("done", facts, output_sha256=address, pick=int(right)))


def ask_about(job: Replay, cases: Mapping[int, tuple[Case, Input]]) -> None:
    """The judge on cases without a check, in both orders, under the rubric of the case. What it could not be asked about stays unsaid."""
    judge = job.plan.judge
    if judge is None:
        return
    endpoint = job.endpoints(job.ctx, judge.endpoint)
    cap = int(judge.budget_pico) if judge.budget_pico else None
    todo = sorted(cases.items())
    for task, reply in asked(job, todo, lambda one: questions(job, one[0], *one[1], judge.arm), endpoint, cap):
        pick, criteria = judging.opinion(reply.text if reply.status == "ok" else "", cases[task.position][0].rubric)
        said = pick if reply.status == "ok" else None  # silence is no tie
        settle(job.ctx, job.run_id, task, priced(job, task, reply, Written("done", pick=said, criteria=criteria)))


def questions(job: Replay, position: int, case: Case, given: Input, judge: Arm) -> list[Task]:
    texts = [spoken(job, job.table[position][arm]) for arm in ARMS]
    if texts[0] is None or texts[1] is None:
        return []
    tasks = []
    for name in JUDGES:
        if name in job.table[position] and job.table[position][name].state not in OPEN:
            continue
        first, second = (texts[1], texts[0]) if name == JUDGES[0] else (texts[0], texts[1])
        request = ModelRequest(
            idempotency_key=f"{job.run_id}-{position}-{name}",
            model=judge.asked_model,
            messages=judging.messages(given.messages, first, second, case.rubric),
            params=judging.PARAMS,
            max_output_tokens=judging.longest(judge.model, rubric=True),
            timeout_s=job.plan.timeout_ms / 1000,
            metadata={"run": job.run_id, "model": judge.model},
        )
        worst = job.pricer.worst(judge, job.ctx.now(), request.messages, request.params, request.max_output_tokens)
        tasks.append(Task(position, name, request, judge, worst))
    return tasks


def spoken(job: Replay, found: Result) -> str | None:
    """What a route answered, as a judge reads it; None where it failed or may not be kept."""
    document: Any = read_document(job.ctx, found.output_sha256)
    if found.state != "done" or not isinstance(document, Mapping):
        return None
    message = document["message"]
    return canonical_json(message).decode() if message.get("tool_calls") else str(message.get("content") or "")
