"""Pages of sums over a month show what they know while newer calls are being counted, and say so.

Owns: which pages may, and how long each waits for the newest numbers. Does not own: the counting (actions/remembered.py), the words (templates/layout.html).
Invariants: only pages to look at; what is decided, closed, exported or asked for by REST always waits for the newest numbers.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Request

from governor.actions.remembered import soon

OLDER_WILL_DO: Final = "older_numbers_will_do"
SHOWS_SUMS: Final = {OLDER_WILL_DO: True}  # `opt` of such a page
WAITS_SECONDS: Final = 0.4


def begin_patience(request: Request[Any, Any, Any]) -> None:
    """Runs before every page."""
    soon(WAITS_SECONDS if request.route_handler.opt.get(OLDER_WILL_DO) else None)
