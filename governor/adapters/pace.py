"""How fast an endpoint may be asked: a token bucket of requests a minute, and the pause that the endpoint itself asked for.

Owns: when the next call may leave. Does not own: how many run at once (model_endpoint.py), what a pause was asked with (Retry-After).
Invariants: a pause of one call holds all of them; calls leave in the order they asked;
the bucket never holds more than one second's worth, so a quiet minute is no licence for a burst.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Pace:
    """per_minute None: no limit of ours. `clock` is monotonic seconds. One Pace belongs to one endpoint and lives as long as it."""

    def __init__(self, per_minute: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._slack = max(1.0 - self._gap, 0.0) if per_minute else 0.0
        self._due = 0.0  # when the calls that left so far would have left, had they come evenly
        self._not_before = 0.0

    def hold(self, seconds: float) -> None:
        """Nobody leaves for so long."""
        self._not_before = max(self._not_before, self._clock() + seconds)

    def claim(self) -> float:
        """Take the next place; seconds until it comes."""
        now = self._clock()
        at = max(now, self._not_before, self._due - self._slack)
        self._due = max(self._due, at) + self._gap
        return at - now

    async def leave(self) -> None:
        """Wait for a place. A pause asked for meanwhile is kept too."""
        if (wait := self.claim()) > 0:
            await asyncio.sleep(wait)
        while (rest := self._not_before - self._clock()) > 0:  # noqa: ASYNC110 - a pause that grew while we slept, not an event
            await asyncio.sleep(rest)
