"""Many small files of calls become few: by the clock, and as soon as many came.

Owns: when. Does not own: the merge (store/lake.py). Invariants: every snapshot stays readable; beside a rival nothing is done twice that costs anything.
"""

from __future__ import annotations

from typing import Final

from governor.actions.context import Context

MANY_FILES: Final = 1_000  # each read of all calls opens every file: a thousand small ones cost an ingest half a second, and the next thousand as much again
_left: Final[dict[tuple[str, str], int]] = {}  # files after the last merge of a lake


def compact(ctx: Context) -> None:
    ctx.lake.compact()
    _left[_lake_of(ctx)] = files(ctx)


def compact_many(ctx: Context) -> bool:
    """Merge before it is time, where many files came since the last merge. Returns whether."""
    now = files(ctx)
    _left[_lake_of(ctx)] = least = min(now, _left.get(_lake_of(ctx), 0))  # another process may have merged
    if now - least < MANY_FILES:
        return False
    compact(ctx)
    return True


def files(ctx: Context) -> int:
    found = ctx.lake.query("SELECT file_count FROM ducklake_table_info('lake') WHERE table_name = 'calls'")
    return int(found["file_count"][0].as_py())


def _lake_of(ctx: Context) -> tuple[str, str]:
    return ctx.lake.place.catalog, ctx.org
