"""What happens by the clock: approvals expire, batches are completed, forgotten jobs are offered again.

Owns: the visible list of chores and their pace. Does not own: what a chore does. Invariants: every chore is safe to run twice and beside itself;
one that fails is logged and tried again at its next turn, or after AGAIN_S where that is sooner.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Final

from governor.actions.context import Context

log = logging.getLogger(__name__)
AGAIN_S: Final = 300.0


@dataclass(frozen=True)
class Chore:
    """function: `module:name`, called with the context. apart: takes minutes where the home is old, so that nothing waits for it."""

    name: str
    function: str
    every_s: float
    apart: bool = False


CHORES: Final = (
    Chore("expire approvals", "governor.actions.expire:expire_changes", 60.0),
    Chore("drain spool", "governor.actions.drain:drain_due", 5.0),
    Chore("erase expired content", "governor.actions.erase:erase_expired", 86_400.0),
    Chore("sweep content", "governor.actions.erase:sweep_content", 86_400.0),
    Chore("watch budgets", "governor.actions.watch:watch", 300.0),
    Chore("compact lake", "governor.actions.compact:compact", 6 * 3600.0),
    Chore("compact lake of many files", "governor.actions.compact:compact_many", 300.0),
    Chore("revalidate routes", "governor.actions.route_checks:schedule", 3600.0),
    Chore("look at cutovers", "governor.actions.verify_change:watch_cutovers", 86_400.0, apart=True),
    Chore("verify the end of the ledger", "governor.actions.verify_ledger:watch_tail", 300.0),
    Chore("verify the whole ledger", "governor.actions.verify_ledger:watch_whole", 86_400.0, apart=True),
    Chore("watch anchors", "governor.actions.anchors:watch_anchors", 600.0),
    Chore("forget finished jobs", "governor.actions.forget:forget_finished", 86_400.0),
    Chore("complete batches", "governor.actions.ingest:complete_batches", 3600.0),
)


@dataclass
class Clock:
    """Runs the chores that are due; `tick` is called often, by a thread that has other work."""

    chores: tuple[Chore, ...] = CHORES
    clock: Callable[[], float] = time.monotonic
    apart: dict[str, threading.Thread] = field(default_factory=dict)
    _next: dict[str, float] = field(default_factory=dict)

    def tick(self, ctx: Context) -> list[str]:
        """Names of the chores that ran or began now."""
        ran: list[str] = []
        for chore in self.chores:
            if self.clock() < self._next.get(chore.name, 0.0) or self._is_under_way(chore):
                continue
            self._next[chore.name] = self.clock() + chore.every_s
            if chore.apart:
                self.apart[chore.name] = threading.Thread(target=self._run, args=(chore, ctx), name=chore.name, daemon=True)
                self.apart[chore.name].start()
                ran.append(chore.name)
            elif self._run(chore, ctx):
                ran.append(chore.name)
        return ran

    def _run(self, chore: Chore, ctx: Context) -> bool:
        """What is daily is not put off to tomorrow by a failure: a database that is down every night at that time would stop it for good."""
        if done(chore, ctx):
            return True
        self._next[chore.name] = self.clock() + min(chore.every_s, AGAIN_S)
        return False

    def _is_under_way(self, chore: Chore) -> bool:
        return chore.name in self.apart and self.apart[chore.name].is_alive()


def done(chore: Chore, ctx: Context) -> bool:
    """Whether it came to its end."""
    module, _, name = chore.function.partition(":")
    try:
        getattr(import_module(module), name)(ctx)
    except Exception:  # the clock goes on; the next turn tries again
        log.warning("chore %s failed", chore.name, exc_info=True)
        return False
    return True
