"""Worker threads inside this process: they poll the outbox and do what is due.

Owns: starting, stopping, waking. Does not own: the job's life (jobs.py), brokers (workers/). Invariants: each thread has its own context; stopping waits for the
job in hand, and a job that is cut off anyway comes back when its lease runs out.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Self

from governor.actions.chores import Clock
from governor.actions.context import Context, open_context
from governor.actions.jobs import LEASE_SECONDS, due, run_one
from governor.actions.outages import Outages
from governor.settings import Settings

log = logging.getLogger(__name__)


class Workforce:
    """`with Workforce(settings): ...` or start() and stop(). One of the threads also keeps the clock's chores."""

    def __init__(self, settings: Settings, *, threads: int = 1, poll_s: float = 0.5, lease_seconds: float = LEASE_SECONDS) -> None:
        self._settings, self._poll_s, self._lease = settings, poll_s, lease_seconds
        self._stop, self._wake = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(number == 0,), name=f"worker-{number}", daemon=True) for number in range(threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Whether every thread finished in time."""
        self._stop.set()
        self._wake.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def wake(self, _job_ids: list[str] | None = None) -> None:
        """There is a new job; fits `Context.after_commit`."""
        self._wake.set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _work(self, keeps_clock: bool) -> None:
        clock, outages = Clock(), Outages(log)
        ctx: Context | None = None
        while not self._stop.is_set():
            try:
                ctx = ctx or open_context(self._settings)
                if keeps_clock:
                    clock.tick(ctx)
                waiting = due(ctx, limit=1)
                outages.right("jobs", "worker looks for jobs")
                if waiting:
                    run_one(ctx, waiting[0][0], lease_seconds=self._lease)
                    continue
            except Exception as error:  # noqa: BLE001 - the database may be away; keep trying, slowly
                outages.wrong("jobs", error, "worker could not look for jobs")
            self._wake.wait(self._poll_s)
            self._wake.clear()
        if ctx is not None:
            ctx.close()
