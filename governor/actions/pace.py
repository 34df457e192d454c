"""How often what a source pushes becomes a batch: at once while pushes are rare, once a minute where they never stop.

Owns: the allowance of each source in this process. Does not own: bodies that wait (spool.py), storing them (push.py, drain.py).
Each batch is a ledger entry, a snapshot of the lake and a file. A sender of every five seconds would make half a million of them in a month, five times
what a period packet holds; so a source that has had BURST batches gets one more each EVERY_S seconds, with all that came in between (a token bucket).
"""

from __future__ import annotations

import threading
from pathlib import Path
from time import monotonic
from typing import Final

BURST: Final = 60
EVERY_S: Final = 60.0
_left: dict[tuple[Path, str], tuple[float, float]] = {}  # batches left, and when that was reckoned
_lock = threading.Lock()


def may_store(spool: Path, source: str) -> bool:
    """Whether what waits of `source` may become a batch now."""
    with _lock:
        return _allowance(spool, source, monotonic()) >= 1


def stored(spool: Path, source: str) -> None:
    """One batch of `source` was stored."""
    now = monotonic()
    with _lock:
        _left[spool, source] = (max(_allowance(spool, source, now) - 1, 0.0), now)


def _allowance(spool: Path, source: str, now: float) -> float:
    left, at = _left.get((spool, source), (float(BURST), now))
    return min(left + (now - at) / EVERY_S, float(BURST))
