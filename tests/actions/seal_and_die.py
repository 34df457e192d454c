"""Run by test_sequencer_killed.py: processes that append, then die inside the sequencer's batch or between its two transactions."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from append_and_die import context

from governor.actions import context as opened
from governor.actions.context import OPERATOR
from governor.ledger.entry import EntryDraft
from governor.settings import load_settings
from governor.store import ledger, sequencer
from governor.store.build import producer

WAITING = 7
STAGES: dict[str, tuple[Any, str, int]] = {  # what was just done when the process dies: the n-th call
    "head held, nothing moved": (sequencer, "hold", 1),
    "all moved, no tree": (sequencer, "_moved", 1),
    "tree written": (sequencer, "grow", 1),
    "placed and committed": (sequencer, "settle", 1),
    "signature written": (ledger, "sign_checkpoint", 1),
    "note kept, signature not committed": (opened, "keep_note", 1),
}


def dying(work: Callable[..., Any], at: int) -> Callable[..., Any]:
    calls = 0

    def called(*args: Any, **options: Any) -> Any:
        nonlocal calls
        found, calls = work(*args, **options), calls + 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return called


def work(settings: Any, acks: Path, tag: str, stage: str) -> None:
    ctx, (place, name, at) = context(settings), STAGES[stage]
    setattr(place, name, dying(getattr(place, name), at))
    with acks.open("ab", buffering=0) as told:
        for number in range(WAITING):
            idem = f"{tag}-{number}"
            with ctx.rows.session(write=True) as session:
                stream = f"source/s{number % 3}"
                ctx.writing(session).append(EntryDraft("source:ingest", stream, {"batch": idem}, OPERATOR.ledger_ref(), idem, ctx.now()))
            told.write(f"{idem}\n".encode())
    ctx.seal()


def main() -> None:
    home, url, turns = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    settings = load_settings(home=home, database_url=url or None)
    warm = context(settings)  # what is loaded once is loaded before the forks
    warm.seal()
    warm.rows.close()
    producer()
    for turn in range(turns):
        for number, stage in enumerate(STAGES):
            if (child := os.fork()) == 0:
                try:
                    work(settings, home / "acks", f"{turn}-{number}", stage)
                finally:
                    os._exit(1)  # nobody died: the stage was not reached
            if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
                raise SystemExit(f"turn {turn}: {stage} was not reached")


if __name__ == "__main__":
    main()
