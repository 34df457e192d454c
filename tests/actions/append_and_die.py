"""Run by test_append_killed.py: rounds of rival writers that are killed at a random moment. Each line of the acks file is an entry that was promised."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from governor.actions.anchors import publish_anchor
from governor.actions.context import OPERATOR, Context
from governor.adapters.keys import FileKeys
from governor.ledger.entry import EntryDraft
from governor.settings import load_settings
from governor.store.database import Database

WRITERS = 2


def context(settings: Any) -> Context:
    """What appending needs: no lake, no content."""
    nothing: Any = None
    keys = FileKeys(settings.home, domain=settings.log_domain)
    return Context(settings=settings, rows=Database(settings.database, settings.org), lake=nothing, content=nothing, keys=keys)


def write(settings: Any, acks: Path, tag: str) -> None:
    ctx = context(settings)
    with acks.open("ab", buffering=0) as told:
        for number in range(10_000):
            idem = f"{tag}-{number}"
            with ctx.transaction(OPERATOR) as tx:
                tx.append(EntryDraft("source:ingest", f"source/s{number % 3}", {"batch": idem}, OPERATOR.ledger_ref(), idem, ctx.now()))
            told.write(f"{idem}\n".encode())
            if number % 4 == 3:
                publish_anchor(ctx, "audit")


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def main() -> None:
    home, url, outside, rounds, seed = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    anchor = {"name": "audit", "kind": "directory", "target": outside, "outside": True, "run_by": "audit"}
    settings = load_settings(home=home, database_url=url or None, anchors=(anchor,))
    dice, longest = random.Random(seed), 0.2
    warm = context(settings)  # drivers are loaded once, so that a round is work and not imports
    warm.seal()
    warm.rows.close()
    for turn in range(rounds):
        children = []
        for writer in range(WRITERS):
            child = os.fork()
            if child == 0:
                try:
                    write(settings, home / "acks", f"{seed}-{turn}-{writer}")
                finally:
                    os._exit(1)  # a writer that ends by itself has failed
            children.append(child)
        before = size_of(home / "acks")
        time.sleep(dice.uniform(0.02, longest))
        while turn % 2 and size_of(home / "acks") == before:
            time.sleep(0.005)  # every other round is killed at work, the rest wherever they are, start-up included
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
                raise SystemExit(f"writer of round {turn} ended by itself")


if __name__ == "__main__":
    main()
