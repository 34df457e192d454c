"""How often somebody may try to sign in. Kept in memory: a restart forgives, a second process counts for itself.

Invariants: a try counts as failed from its beginning, so that many at once are no more than one after the other; failures are counted per e-mail and per
address; success forgets the e-mail's failures; `now` is a parameter.
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
LONGEST_NAME: Final = 200  # as an e-mail of the catalog; more of a name is not kept


class Attempts:
    def __init__(self) -> None:
        self._failures: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._lock = Lock()

    def begin(self, name: str, address: str, now: datetime) -> int:
        """0 when this try may go on, and it counts until `succeeded`; else the seconds until another may. Without a name only the address counts."""
        keys = self._keys(name, address)
        with self._lock:
            if wait := max(self._wait(key, limit, now) for key, limit in keys.items()):
                return wait
            for key in keys:
                self._failures.setdefault(key, deque(maxlen=PER_ADDRESS)).append(now)
                self._failures.move_to_end(key)
            while len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)
        return 0

    def succeeded(self, name: str, address: str) -> None:
        """The name's failures are forgotten; of the address's only this try, which was none."""
        with self._lock:
            for key, limit in self._keys(name, address).items():
                if limit == PER_NAME:
                    self._failures.pop(key, None)
                elif tries := self._failures.get(key):
                    tries.pop()

    def _keys(self, name: str, address: str) -> dict[str, int]:
        named = {f"name:{name[:LONGEST_NAME].lower()}": PER_NAME} if name else {}
        return {**named, f"address:{address}": PER_ADDRESS}

    def _wait(self, key: str, limit: int, now: datetime) -> int:
        # to either side: a clock that was set back shuts nobody out
        recent = [instant for instant in self._failures.get(key, ()) if abs(now - instant) < WINDOW]
        return 0 if len(recent) < limit else int((recent[-limit] + WINDOW - now).total_seconds()) + 1
