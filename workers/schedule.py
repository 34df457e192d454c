"""What a worker process does by the clock: the chores, and a sweep that offers waiting jobs to the broker again.

Owns: the pace of the sweep. Does not own: chores (governor.actions.chores). Invariants: a flushed or restarted broker loses nothing for longer than one sweep.
"""

from __future__ import annotations

import logging
import threading

from governor.actions.chores import Clock
from governor.actions.context import Context
from governor.actions.jobs import due
from governor.actions.outages import Outages
from governor.adapters.broker import backlog, offer

log = logging.getLogger(__name__)
SWEEP_SECONDS = 5.0


def sweep(ctx: Context) -> int:
    """Offer due jobs again where the broker has forgotten some; how many. Jobs that a worker holds are not due."""
    waiting = due(ctx, limit=200)
    if not waiting or backlog(ctx.settings.broker_url, ctx.org) >= len(waiting):
        return 0  # they are announced already; more messages would only pile up
    offer(ctx.settings.broker_url, ctx.org, waiting)
    return len(waiting)


def keep(ctx: Context, stop: threading.Event, *, sweep_s: float = SWEEP_SECONDS) -> None:
    """Until `stop`: chores when they are due, a sweep every few seconds."""
    clock, outages = Clock(), Outages(log)
    while not stop.is_set():
        clock.tick(ctx)
        try:
            sweep(ctx)
            outages.right("sweep", "jobs are offered")
        except Exception as error:  # noqa: BLE001 - the broker may be away; the jobs wait in the outbox
            outages.wrong("sweep", error, "sweep failed")
        stop.wait(sweep_s)
