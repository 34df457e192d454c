"""A run in memory, and calls made for it: what both the arms and the judge need.

Owns: the Replay object, answers by task, what a reply cost. Does not own: the order of things (replay.py), the judge (replay_judge.py), rows.
Invariants: a reply is one of the route that was asked, or it is none; what a call may have cost and nobody can know is counted in full.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, Final, Protocol, runtime_checkable

from msgspec.structs import replace

from governor.actions.context import Context
from governor.actions.replay_evidence import alike, compared_of, pair_of, state_of
from governor.actions.replay_inputs import OTHER_ROUTE, THIRD_MODEL, Input, read_input, redacted
from governor.actions.replay_price import Pricer
from governor.actions.replay_rows import OPEN, OPINIONS, UNDER_WAY, find_run, load, mark
from governor.actions.replay_table import Table, Task, Written
from governor.adapters.model_endpoint import NOT_SENT
from governor.errors import Unavailable
from governor.policy.catalog_data import serves
from governor.ports import ModelEndpoint, ModelReply, ModelRequest
from governor.shadow.baseline import AA_LEAST
from governor.shadow.comparison import Pair
from governor.shadow.guards import Contract
from governor.shadow.measured import harmed_after
from governor.shadow.plan import Arm, ReplayPlan

log = logging.getLogger(__name__)
USAGE: Final = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
IMPOSSIBLE: Final = "impossible_usage"  # a token is at least a byte, and the answer no longer than was allowed
WAVE: Final = 4  # positions per connection and wave: wide enough to keep connections busy, small enough to stop in time
PATIENCE: Final = 120  # half seconds
LOOK_S: Final = 0.5
INPUTS_KEPT: Final = 2000  # prompts in memory at a time
Endpoints = Callable[[Context, str], ModelEndpoint]


@dataclass
class Replay:
    """What a run needs in memory. `calls` are the lake's rows of the sample by record id."""

    ctx: Context
    run_id: str
    plan: ReplayPlan
    pricer: Pricer
    endpoints: Endpoints
    calls: dict[str, dict[str, Any]]
    capture_mode: str = "full"
    table: Table = field(default_factory=dict)
    _inputs: dict[str, Input | None] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)  # addresses of replies that were put away already
    _prefix: list[Pair] = field(default_factory=list)
    _ended: int = 0  # positions of the prefix
    _answered: int = 0  # those with both answers, and what was seen in them
    _broken: int = 0
    _lost: bool = False
    _stopped: bool = False
    _looked: float = -LOOK_S

    @cached_property
    def contract(self) -> Contract:
        return self.plan.output_contract

    def input_of(self, position: int) -> Input | None:
        """Read once while it is in use by several arms."""
        row = self.calls.get(self.plan.sample[position].record_id)
        address = str(row["input_sha256"] or "") if row else ""
        if address not in self._inputs:
            if len(self._inputs) >= INPUTS_KEPT:
                self._inputs.clear()
            given = read_input(self.ctx, address)
            self._inputs[address] = redacted(given) if given is not None and self.plan.redact else given
        return self._inputs[address]

    def finished(self) -> list[Pair]:
        """The finished prefix of the registered order; it only grows."""
        self._go_on()
        self._prefix += [pair_of(self.plan, position, self.table[position]) for position in range(len(self._prefix), self._ended)]
        return self._prefix

    def _go_on(self) -> None:
        """To the end of the prefix as it is now. Pairs are made where something may be lost, which is rare."""
        while self._ended < self.plan.n and (state := state_of(self.plan, self.table[self._ended])) not in OPEN:
            if state == "done":
                arms = self.table[self._ended]
                compared = compared_of(self.plan, arms)
                self._answered += 1
                self._broken += compared is not None and compared.facts is not None and not compared.facts.usable
                if not self._lost and not alike(self.plan, arms):
                    pair = pair_of(self.plan, self._ended, arms)
                    self._lost = pair.quality[1] < 0 or any(value < 0 for value in pair.d.values())
            self._ended += 1

    def decided(self) -> bool:
        """Is there no point in sending more: harm is certain, or the baseline itself hardly works?"""
        self._go_on()
        if self._answered >= AA_LEAST and (self._answered - self._broken) * 10 < self._answered:
            return True
        if not self._lost:
            return False  # without one lost pair there is no harm to weigh
        prefix = self.finished()
        weights = [float(self.plan.sample[pair.position].weight) if pair.state == "done" else 0.0 for pair in prefix]
        return harmed_after(self.plan, prefix, weights) is not None

    def stopped(self) -> bool:
        """Was the run ended meanwhile, because its change was withdrawn? Looked up once in a while, because it is asked before each call."""
        if not self._stopped and time.monotonic() - self._looked >= LOOK_S:
            self._looked = time.monotonic()
            with self.ctx.rows.session() as session:
                self._stopped = find_run(session, self.ctx.org, self.run_id).status not in UNDER_WAY
        return self._stopped

    def route(self, arm: str) -> Arm:
        return self.plan.candidate if arm == "candidate" else self.plan.baseline

    def open_positions(self) -> list[int]:
        """Positions with a call still to make (a judge's opinion is asked for later)."""
        return [at for at in range(self.plan.n) if any(one.state in OPEN for name, one in self.table[at].items() if name not in OPINIONS)]

    def mark(self, states: Mapping[int, str]) -> None:
        mark(self.ctx, self.run_id, states)
        for position, state in states.items():
            for one in self.table[position].values():
                one.state = state if one.state == "planned" else one.state


@runtime_checkable
class BatchEndpoint(Protocol):
    """An endpoint that takes requests when it has a place for them and answers as many at a time as have come."""

    def call_batches(self, requests: Iterable[ModelRequest], *, concurrency: int) -> Iterator[list[tuple[ModelRequest, ModelReply]]]: ...


def answers(endpoint: ModelEndpoint, tasks: Sequence[Task], concurrency: int) -> Iterator[tuple[Task, ModelReply]]:
    for batch in batches(endpoint, tasks, concurrency):
        yield from batch


def batches(endpoint: ModelEndpoint, tasks: Iterable[Task], concurrency: int) -> Iterator[list[tuple[Task, ModelReply]]]:
    """Answers in groups that are written down together; tasks are taken a little ahead of the calls."""
    by_key: dict[str, Task] = {}

    def requests(some: Iterable[Task]) -> Iterator[ModelRequest]:
        for task in some:
            by_key[task.request.idempotency_key] = task
            yield task.request

    if isinstance(endpoint, BatchEndpoint):
        for found in endpoint.call_batches(requests(tasks), concurrency=concurrency):
            yield [(by_key.pop(request.idempotency_key), reply) for request, reply in found]
        return
    source = iter(tasks)
    while some := list(islice(source, concurrency * WAVE)):
        for request, reply in endpoint.call_many(list(requests(some)), concurrency=concurrency):
            yield [(by_key.pop(request.idempotency_key), reply)]


def beyond_budget(job: Replay, group: Sequence[Task]) -> bool:
    """Nothing was granted: is it the budget, or another worker that was faster? What others hold reserved may come back."""
    with job.ctx.rows.session() as session:
        run = find_run(session, job.ctx.org, job.run_id)
        return sum(task.worst_pico for task in group) > run.budget_pico - run.spent_pico


def await_others(job: Replay, rounds: int) -> None:
    """Another worker is at what is left: look again soon. Raises Unavailable where it has not finished for that many rounds."""
    if rounds > PATIENCE:
        raise Unavailable(f"another worker holds positions of run {job.run_id} and does not finish them")
    time.sleep(0.5)
    job.table = load(job.ctx, job.run_id)


def served(job: Replay, task: Task, reply: ModelReply) -> ModelReply:
    """The reply, failed where another model than the one asked gave it: a gateway that falls back would make one route look like another."""
    if answering(job, task, reply) is not task.route:
        return dataclasses.replace(reply, status="error", error=OTHER_ROUTE)
    if reply.passed_on or job.pricer.other(task.route, reply.response_model):
        return dataclasses.replace(reply, status="error", error=THIRD_MODEL)
    return reply


def answering(job: Replay, task: Task, reply: ModelReply) -> Arm:
    """The route that answered. The other one only where the reply names its model and none of the names that the route asked goes by."""
    routes = (job.plan.baseline, job.plan.candidate)
    other = next((route for route in routes if route != task.route), task.route)
    own = any(serves(name, reply.response_model) for name in (task.route.model, task.route.asked_model))
    return other if task.route in routes and not own and serves(other.model, reply.response_model) else task.route


def priced(job: Replay, task: Task, reply: ModelReply, written: Written) -> Written:
    """Cost of the reply. What we cannot know (no usage, a timeout, a lost connection, more than the call could cost) is spent in full as reserved; a plain
    refusal by the server costs nothing.
    """
    route, now = answering(job, task, reply), job.ctx.now()
    third = route is task.route and job.pricer.other(route, reply.response_model)
    cost = job.pricer.dearest(reply.response_model, now, reply) if third else job.pricer.reply(route, now, reply)
    if cost is not None and cost > task.worst_pico and route is task.route and not third:
        log.warning(
            "run %s, position %d, %s: usage above what the call could take; it counts as unknown", job.run_id, task.position, task.arm
        )
        cost = None
        if written.facts is not None:
            written.facts = replace(written.facts, **dict.fromkeys(USAGE), error=IMPOSSIBLE)
    if cost is None and reply.status == "error" and (reply.http_status not in {0, 200} or reply.error.startswith(NOT_SENT)):
        cost = 0
    written.cost_pico = cost
    written.unknown_cost = cost is None
    return written
