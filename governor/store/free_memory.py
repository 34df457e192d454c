"""Memory that was freed, back to the system.

Owns: asking the C library for it. Does not own: when (the bulk ingest, between its steps). Invariant: where the library cannot, nothing happens.
glibc keeps what threads have freed, in an arena for each; after reading a chunk of a large file that is more than what is in use.
"""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
