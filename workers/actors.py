"""The actors: each takes an id from a message and calls one action.

Owns: the visible list. Does not own: what a job does. Invariants: ten lines each; a message that comes twice does no harm, because the outbox lets one holder in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dramatiq

from governor.actions.context import Context
from governor.actions.jobs import ACTORS, run_one
from governor.adapters.broker import queue_of


def declare(broker: dramatiq.Broker, org: str, context: Callable[[], Context]) -> list[dramatiq.Actor[..., Any]]:
    """One actor per job name. `context` gives the calling thread its own."""

    def doer(job_id: str) -> None:
        run_one(context(), job_id)

    return [dramatiq.actor(actor_name=name, queue_name=queue_of(org), broker=broker)(doer) for name in sorted(ACTORS)]
