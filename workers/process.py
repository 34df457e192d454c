"""A worker process: Dramatiq on Redis where a broker is configured, else threads that poll the outbox.

Owns: start, signals, stop. Does not own: jobs and chores. Invariants: SIGTERM and SIGINT let the job in hand finish; kill -9 loses nothing but time.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from typing import Any

from dramatiq import Worker

from governor.actions.context import Context, open_context
from governor.actions.outages import AGAIN_S
from governor.actions.workforce import Workforce
from governor.settings import Settings
from workers.actors import declare
from workers.broker import worker_broker
from workers.schedule import SWEEP_SECONDS, keep


def main(settings: Settings, *, threads: int = 2, sweep_s: float = SWEEP_SECONDS) -> None:
    """Serve jobs until a signal says stop."""
    stop = threading.Event()

    def leave(_number: int, _frame: Any) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    if settings.broker_url:
        serve_broker(settings, stop, threads=threads, sweep_s=sweep_s)
    else:
        workforce = Workforce(settings, threads=threads)
        workforce.start()
        while not stop.wait(1.0):
            pass  # a signal that another thread received is handled when this one wakes
        if not workforce.stop():
            os.write(2, b"a job did not finish in time; it comes back when its lease runs out\n")
        os._exit(0)  # what is committed is safe; a thread inside a database could keep the interpreter from ending


class Seldom(logging.Filter):
    """Each of Dramatiq's complaints once in a while: each of its consumers says every three seconds that the broker is away."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("dramatiq."):
            return True
        about, now = (record.name, str(record.msg)), time.monotonic()
        if about in self._said and now - self._said[about] < AGAIN_S:
            return False
        self._said[about] = now
        return True


def serve_broker(settings: Settings, stop: threading.Event, *, threads: int, sweep_s: float) -> None:
    contexts: list[Context] = []
    mine = threading.local()

    def context() -> Context:
        if not hasattr(mine, "context"):
            mine.context = open_context(settings)
            contexts.append(mine.context)
        found: Context = mine.context
        return found

    for handler in logging.getLogger().handlers:
        handler.addFilter(Seldom())
    broker = worker_broker(settings.broker_url)
    declare(broker, settings.org, context)
    worker = Worker(broker, worker_threads=threads, worker_timeout=200)
    worker.start()
    try:
        keep(context(), stop, sweep_s=sweep_s)
    finally:
        worker.stop(timeout=30_000)
        broker.close()
        for opened in contexts:
            opened.close()
