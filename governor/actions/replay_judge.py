"""The judge of a shadow run: a second opinion on answers that differ, asked in both orders.

Owns: which pairs are asked about and the requests. Does not own: the prompt and its reading (governor.shadow.judging), money, the decision.
Invariants: its spend is reserved like every other; an opinion that could not be had is a tie.
"""

from __future__ import annotations

import logging

from governor.actions.replay_calls import WAVE, Replay, answers, priced
from governor.actions.replay_inputs import keep_output, read_document
from governor.actions.replay_rows import JUDGES, OPEN, Task, Written, load, reserve, settle
from governor.ledger.canonical import canonical_json
from governor.ports import ModelRequest
from governor.shadow import judging
from governor.shadow.plan import Arm

log = logging.getLogger(__name__)


def ask_judge(job: Replay) -> None:
    """Both orders, for pairs whose answers differ. An opinion that could not be had is a tie."""
    judge = job.plan.judge
    if judge is None:
        return
    arm = Arm(judge.provider, judge.model)
    endpoint = job.endpoints(job.ctx, judge.endpoint)
    todo = [
        pair.position
        for pair in job.pairs()
        if pair.equal == "no"
        and any(name not in job.table[pair.position] or job.table[pair.position][name].state in OPEN for name in JUDGES)
    ]
    for at in range(0, len(todo), job.plan.concurrency * WAVE):
        groups = [judge_tasks(job, position, arm) for position in todo[at : at + job.plan.concurrency * WAVE]]
        granted = reserve(job.ctx, job.run_id, [group for group in groups if group], create=True)
        for task, reply in answers(endpoint, granted, job.plan.concurrency):
            written = Written(
                "done",
                output_sha256=keep_output(job.ctx, reply, job.capture_mode) if reply.status == "ok" else "",
                pick=judging.read(reply.text),
            )
            settle(job.ctx, job.run_id, task, priced(job, task, reply, written))
        if any(groups) and not granted:
            log.warning("run %s: no budget left for the judge", job.run_id)
            job.mark(dict.fromkeys(todo[at:], "skipped_budget"))
            break
    job.table = load(job.ctx, job.run_id)


def judge_tasks(job: Replay, position: int, judge: Arm) -> list[Task]:
    given = job.input_of(position)
    compared = "baseline" if job.plan.baseline_arm == "replayed" else "recorded"
    texts = {name: read_document(job.ctx, job.table[position][name].output_sha256) for name in (compared, "candidate")}
    if given is None or not all(isinstance(text, dict) for text in texts.values()):
        return []
    words = {
        name: canonical_json(text["message"]).decode() if text["message"].get("tool_calls") else str(text["message"].get("content") or "")
        for name, text in texts.items()
    }
    tasks = []
    for name in JUDGES:
        if name in job.table[position] and job.table[position][name].state not in OPEN:
            continue
        first, second = (words["candidate"], words[compared]) if name == "judge_ab" else (words[compared], words["candidate"])
        request = ModelRequest(
            idempotency_key=f"{job.run_id}-{position}-{name}",
            model=judge.model,
            messages=judging.messages(given.messages, first, second),
            params=judging.PARAMS,
            max_output_tokens=judging.OUTPUT_TOKENS,
            timeout_s=job.plan.timeout_ms / 1000,
            metadata={"run": job.run_id},
        )
        worst = job.pricer.worst(judge, job.ctx.now(), request.messages, request.params, request.max_output_tokens)
        tasks.append(Task(position, name, request, judge, worst))
    return tasks
