"""The judge of a shadow run: a second opinion on answers that differ, asked in both orders, with known-bad answers planted among the questions.

Owns: which pairs are asked about and the requests. Does not own: the prompt and its reading (governor.shadow.judging), money, the decision.
Invariants: its spend is reserved like every other, from the run's budget and under its own cap; an opinion that could not be had is none; canaries are
asked first, so that no judge runs out of money before it was tested.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from governor.actions.replay_budget import reserve, settle
from governor.actions.replay_calls import WAVE, Replay, answers, priced, served
from governor.actions.replay_evidence import pairs_of
from governor.actions.replay_inputs import answer_document, keep_output
from governor.actions.replay_rows import CANARIES, JUDGES, OPEN, OPINIONS, load
from governor.actions.replay_table import Task, Written
from governor.ledger.canonical import canonical_json
from governor.ports import ModelEndpoint, ModelReply, ModelRequest
from governor.shadow import judging
from governor.shadow.comparison import Pair
from governor.shadow.labels import lot
from governor.shadow.plan import Arm

log = logging.getLogger(__name__)
Question = TypeVar("Question")


def ask_judge(job: Replay) -> None:
    """Both orders, for pairs whose answers differ, after the canaries."""
    judge = job.plan.judge
    if judge is None:
        return
    pairs = unjudged(job)
    differing = [pair.position for pair in pairs if pair.equal == "no"]
    if not differing:
        return
    bad = canary_places(job.plan.seed, pairs, judge.canaries)
    questions = [(position, CANARIES, others(pairs, position)) for position in bad] + [(position, JUDGES, None) for position in differing]
    todo = [one for one in questions if any(name not in job.table[one[0]] or job.table[one[0]][name].state in OPEN for name in one[1])]
    endpoint = job.endpoints(job.ctx, judge.endpoint)
    cap = int(judge.budget_pico) if judge.budget_pico else None

    def tasks_of(question: tuple[int, Sequence[str], int | None]) -> list[Task]:
        position, names, other = question
        return judge_tasks(job, position, judge.arm, names, bad.index(position) if other is not None else 0, other)

    for task, reply in asked(job, todo, tasks_of, endpoint, cap):
        pick, criteria = judging.opinion(reply.text if reply.status == "ok" else "", judge.rubric)
        kept = keep_output(job.ctx, reply, job.capture_mode) if reply.status == "ok" else ""
        # silence is no opinion; of a known-bad answer it is a test that was not passed
        said = pick if reply.status == "ok" or task.arm in CANARIES else None
        written = Written("done", output_sha256=kept, pick=said, criteria=criteria)
        settle(job.ctx, job.run_id, task, priced(job, task, reply, written))
    job.table = load(job.ctx, job.run_id)
    left = [at for at, found in job.table.items() if any(found[name].state == "planned" for name in OPINIONS & found.keys())]
    job.mark(dict.fromkeys(left, "skipped_budget"))  # rows of a worker that died: what is not asked again is closed


def asked(
    job: Replay, questions: Sequence[Question], tasks_of: Callable[[Question], list[Task]], endpoint: ModelEndpoint, cap: int | None
) -> Iterator[tuple[Task, ModelReply]]:
    """Replies, some questions at a time, as long as the budget holds. What it did not reach is tried again: calls cost less than they might."""
    todo = list(questions)
    while todo:
        wave, todo = todo[: job.plan.concurrency * WAVE], todo[job.plan.concurrency * WAVE :]
        groups = [(one, group) for one in wave if (group := tasks_of(one))]
        granted = reserve(job.ctx, job.run_id, [group for _, group in groups], create=True, judge_cap=cap)
        if groups and not granted:
            log.warning("run %s: no budget left for the judge", job.run_id)
            return
        yield from ((task, served(job, task, reply)) for task, reply in answers(endpoint, granted, job.plan.concurrency))
        reached = {(task.position, task.arm) for task in granted}
        todo = [one for one, group in groups if not reached & {(task.position, task.arm) for task in group}] + todo


def unjudged(job: Replay) -> list[Pair]:
    """The pairs as they were before anybody was asked about them: a worker that died among its questions asks the same ones again."""
    arms = {at: {name: one for name, one in found.items() if name not in OPINIONS} for at, found in job.table.items()}
    return pairs_of(job.plan, arms)


def canary_places(seed: str, pairs: Sequence[Pair], count: int) -> list[int]:
    """Positions at which a known-bad answer is set against the baseline's, drawn by the seed."""
    usable = [pair.position for pair in pairs if pair.state == "done" and pair.baseline_usable]
    return sorted(usable, key=lambda position: lot(seed, position, "canary"))[:count]


def others(pairs: Sequence[Pair], position: int) -> int:
    """A position whose baseline answered something else: its answer is wrong here; the position itself where all answers are one."""
    here = next(pair.baseline_text for pair in pairs if pair.position == position)
    return next(
        (pair.position for pair in (*pairs[position + 1 :], *pairs[:position]) if pair.state == "done" and pair.baseline_text != here),
        position,
    )


def judge_tasks(job: Replay, position: int, judge: Arm, names: Sequence[str], turn: int = 0, elsewhere: int | None = None) -> list[Task]:
    """The open questions of a position. elsewhere: a canary is asked, and this position's answer may be the one planted."""
    given = job.input_of(position)
    rubric = job.plan.judge.rubric if job.plan.judge is not None else ()
    compared = "baseline" if job.plan.baseline_arm == "replayed" else "recorded"
    real = words(job, position, compared)
    if elsewhere is None:
        other = words(job, position, "candidate")
    else:
        foreign = words(job, elsewhere, compared) if elsewhere != position else None
        other = judging.planted(turn, foreign if foreign is not None else judging.CONSTANT)
    if given is None or real is None or other is None:
        return []
    tasks = []
    for name in names:
        if name in job.table[position] and job.table[position][name].state not in OPEN:
            continue
        first, second = (other, real) if name == names[0] else (real, other)
        request = ModelRequest(
            idempotency_key=f"{job.run_id}-{position}-{name}",
            model=judge.asked_model,
            messages=judging.messages(given.messages, first, second, rubric),
            params=judging.PARAMS,
            max_output_tokens=judging.longest(judge.model, rubric=bool(rubric)),
            timeout_s=job.plan.timeout_ms / 1000,
            metadata={"run": job.run_id, "model": judge.model},
        )
        worst = job.pricer.worst(judge, job.ctx.now(), request.messages, request.params, request.max_output_tokens)
        tasks.append(Task(position, name, request, judge, worst))
    return tasks


def words(job: Replay, position: int, arm: str) -> str | None:
    """What an arm answered, as the judge reads it; None where the text is not held."""
    found = job.table[position].get(arm)
    document = answer_document(job.ctx, job.plan, arm, found.output_sha256) if found is not None else None
    if not isinstance(document, dict):
        return None
    message = document["message"]
    return canonical_json(message).decode() if message.get("tool_calls") else str(message.get("content") or "")
