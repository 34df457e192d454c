"""What keeps failing in the same way, said once: when it begins, now and then while it lasts, and when it is over.

Owns: what was said last of each thing. Does not own: what is tried again, and when. Why: a loop that asks twice a second whether the database is back
wrote two lines a second, and never that it was.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

AGAIN_S: Final = 600.0


@dataclass
class Outages:
    log: logging.Logger
    clock: Callable[[], float] = time.monotonic
    _lasting: dict[Hashable, tuple[type[BaseException], float, float]] = field(default_factory=dict)  # kind, since when, last said

    def wrong(self, about: Hashable, error: BaseException, message: str) -> None:
        """It failed. Said where it did not just fail for a reason of the same kind."""
        now = self.clock()
        kind, since, said = self._lasting.get(about, (None, now, now))
        again = kind is type(error)
        if again and now - said < AGAIN_S:
            return
        self._lasting[about] = (type(error), since, now)
        self.log.warning("%s%s", message, f" (for {now - since:.0f} s now)" if again else "", exc_info=error)

    def right(self, about: Hashable, message: str) -> None:
        """It was done. Said where it had failed before."""
        if about in self._lasting:
            _, since, _ = self._lasting.pop(about)
            self.log.warning("%s again, after %.0f s", message, self.clock() - since)
