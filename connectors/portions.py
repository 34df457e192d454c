"""How much of an input is in memory at once, by the cores of the machine.

Owns: how many workers read, what is read at a time, what one run of a statement is given. Does not own: who reads what and when (side_by_side).
Invariant: a large file takes less than a gigabyte on any machine, so more workers hold less each.
"""

from __future__ import annotations

import os
from typing import Final

_CORES: Final = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
WORKERS: Final = min(3, _CORES)  # a fourth would wait for the lake, which takes what they read in one thread
_FEW: Final = WORKERS <= 2  # noqa: PLR2004
CHUNK: Final = (4 if _FEW else 2) << 20  # bytes read at a time; also what the engine looks at together
FLUSH_BYTES: Final = (8 if _FEW else 4) << 20  # of one work; running a planned query costs as much as reading 1 MB
