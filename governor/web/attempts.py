"""How often somebody may try to sign in. Kept in memory: a restart forgives, a second process counts for itself.

Invariants: failures are counted per e-mail and per address; success forgets the e-mail's failures; `now` is a parameter.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

WINDOW: Final = timedelta(minutes=10)
PER_NAME: Final = 8
PER_ADDRESS: Final = 60
REMEMBERED: Final = 20_000


class Attempts:
    def __init__(self) -> None:
        self._failures: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._lock = Lock()

    def wait_seconds(self, name: str, address: str, now: datetime) -> int:
        """0 when another try is allowed, else the seconds until it is."""
        with self._lock:
            waits = [self._wait(f"name:{name.lower()}", PER_NAME, now), self._wait(f"address:{address}", PER_ADDRESS, now)]
        return max(waits)

    def failed(self, name: str, address: str, now: datetime) -> None:
        with self._lock:
            for key in (f"name:{name.lower()}", f"address:{address}"):
                self._failures.setdefault(key, deque(maxlen=PER_ADDRESS)).append(now)
                self._failures.move_to_end(key)
            while len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        with self._lock:
            self._failures.pop(f"name:{name.lower()}", None)

    def _wait(self, key: str, limit: int, now: datetime) -> int:
        recent = [instant for instant in self._failures.get(key, ()) if now - instant < WINDOW]
        return 0 if len(recent) < limit else int((recent[-limit] + WINDOW - now).total_seconds()) + 1
