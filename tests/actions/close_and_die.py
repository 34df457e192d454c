"""Closes a month in a process of its own and kills it (-9) where it is told to. Run by test_close_period.py.

python close_and_die.py HOME MONTH E-MAIL NOW POINT, POINT being one of POINTS, or a number of seconds.
"""

import os
import signal
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from governor.actions import close_period
from governor.actions.context import Actor, open_context
from governor.settings import load_settings

POINTS = ("pinned", "computed", "printed", "adding", "before_commit", "committed", "half_handed_out")


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(name: str, times: int = 1) -> None:
    """Die when the named function of close_period has returned that often."""
    original = getattr(close_period, name)
    seen = 0

    def wrapped(*arguments: Any, **options: Any) -> Any:
        nonlocal seen
        result = original(*arguments, **options)
        seen += 1
        if seen == times:
            die()
        return result

    setattr(close_period, name, wrapped)


def arm(point: str, ctx: Any) -> None:
    if point == "pinned":
        after("take_pin")
    elif point == "computed":
        after("compute")
    elif point == "printed":
        after("print_files")
    elif point == "adding":
        after("period_line", 2)
    elif point == "before_commit":
        after("correction_summary")
    elif point == "committed":
        ctx.seal = die  # committed, not yet sealed
    elif point == "half_handed_out":
        after("write_whole", 3)
    else:
        threading.Timer(float(point), die).start()


if __name__ == "__main__":
    home, month, email, now, point = sys.argv[1:]
    context = open_context(load_settings(home=Path(home)))
    context.now = lambda: datetime.fromisoformat(now)
    arm(point, context)
    close_period.close(context, Actor(id="finn", email=email, roles=frozenset({"finance"})), month, Path(home) / "out")
    os._exit(0)
