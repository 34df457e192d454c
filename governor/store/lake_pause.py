"""An object store that keeps silent is left alone: who asks meanwhile is refused at once, instead of waiting for the same silence with a thread.

Owns: when a store is silent, when it is asked again. Does not own: how long one request waits for it (lake_attach.py).
Invariants: only a wait that ended in nothing begins a pause; at its end one caller looks whether the store answers, and the others are refused until it does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Final

import duckdb

from governor.errors import StoreAway
from governor.store.lake_attach import Place, reaching

SILENT_SECONDS: Final = 5.0  # an answer that the store does not have comes sooner, and costs nobody a wait
PAUSE_SECONDS: Final = 5.0


class Pause:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._why: StoreAway | None = None
        self._until = 0.0

    @contextmanager
    def heeded(self, lake: Callable[[], duckdb.DuckDBPyConnection]) -> Iterator[None]:
        """Around every use of the store. Raises StoreAway in a pause. `lake`: where the one who looks asks."""
        if self._to_look():
            self._look(lake)
        began = time.monotonic()
        try:
            yield
        except StoreAway as error:
            if self._place.on_object_store and time.monotonic() - began >= SILENT_SECONDS:
                self._begin(error)
            raise

    def _begin(self, why: StoreAway) -> None:
        with self._lock:
            self._why, self._until = why, time.monotonic() + PAUSE_SECONDS

    def _to_look(self) -> bool:
        with self._lock:
            if self._why is None:
                return False
            if time.monotonic() < self._until:
                raise StoreAway(f"{self._why.message}. It kept silent and is asked again in a moment", abroad=self._why.abroad)
            self._until = float("inf")  # the others are refused until this one knows
            return True

    def _look(self, lake: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        why = self._why
        try:
            with reaching(self._place), closing(lake().cursor()) as connection:
                connection.execute("SELECT file FROM glob($none)", {"none": f"{self._place.data_path}no-such-*"}).fetchall()
            why = None
        except StoreAway as error:
            why = error
            raise
        finally:
            with self._lock:
                self._why, self._until = why, time.monotonic() + PAUSE_SECONDS
