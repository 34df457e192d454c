"""A run in memory, and calls made for it: what both the arms and the judge need.

Owns: the Replay object, answers by task, what a reply cost. Does not own: the order of things (replay.py), the judge (replay_judge.py), rows.
Invariants: what a call may have cost and nobody can know is counted in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from governor.actions.context import Context
from governor.actions.replay_evidence import pair_of
from governor.actions.replay_inputs import Input, read_input
from governor.actions.replay_price import Pricer
from governor.actions.replay_rows import OPEN, OPINIONS, Table, Task, Written, load, mark
from governor.adapters.model_endpoint import NOT_SENT
from governor.ports import ModelEndpoint, ModelReply, ModelRequest
from governor.shadow.comparison import Pair
from governor.shadow.plan import Arm, ReplayPlan

WAVE: Final = 4  # positions per connection and wave: wide enough to keep connections busy, small enough to stop in time
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

    def input_of(self, position: int) -> Input | None:
        row = self.calls.get(self.plan.sample[position].record_id)
        return read_input(self.ctx, row["input_sha256"]) if row else None

    def route(self, arm: str) -> Arm:
        return self.plan.candidate if arm == "candidate" else self.plan.baseline

    def open_positions(self) -> list[int]:
        """Positions with a call still to make (a judge's opinion is asked for later)."""
        return [at for at in range(self.plan.n) if any(one.state in OPEN for name, one in self.table[at].items() if name not in OPINIONS)]

    def mark(self, states: Mapping[int, str]) -> None:
        mark(self.ctx, self.run_id, states)
        if states:
            self.table = load(self.ctx, self.run_id)

    def pairs(self) -> list[Pair]:
        return [pair_of(self.plan, position, self.table[position]) for position in range(self.plan.n)]


def answers(endpoint: ModelEndpoint, tasks: Sequence[Task], concurrency: int) -> Iterator[tuple[Task, ModelReply]]:
    by_key = {task.request.idempotency_key: task for task in tasks}
    requests: list[ModelRequest] = [task.request for task in tasks]
    if requests:
        for request, reply in endpoint.call_many(requests, concurrency=concurrency):
            yield by_key[request.idempotency_key], reply


def priced(job: Replay, task: Task, reply: ModelReply, written: Written) -> Written:
    """Cost of the reply. What we cannot know (no usage, a timeout, a lost connection) is spent in full as reserved; a plain refusal by the server costs nothing."""
    cost = job.pricer.reply(task.route, job.ctx.now(), reply)
    if cost is None and reply.status == "error" and (reply.http_status not in {0, 200} or reply.error.startswith(NOT_SENT)):
        cost = 0
    written.cost_pico = cost
    written.unknown_cost = cost is None
    return written
