"""Answers that are computed once per state of the records, then remembered by this process.

Owns: the memory. Does not own: any answer. Invariants: an answer is told only for the state it was made of (lake snapshot, length of the log, which
every change of catalog or prices lengthens); nothing remembered is older than KEPT; of each name only the newest answer takes room; who asks
while somebody else has it made waits for that answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from threading import Lock, RLock
from typing import Any, Final
from weakref import WeakValueDictionary

from governor.actions.context import Context
from governor.store.sequencer import tree_size

KEPT: Final = timedelta(minutes=5)
REMEMBERED: Final = 48  # names; what an older state of the records gave makes room at once
Name = tuple[str, str, str]
State = tuple[str, str, int, int]
_memory: OrderedDict[Name, tuple[State, datetime, Any]] = OrderedDict()
_lock = Lock()
_turns: WeakValueDictionary[Name, RLock] = WeakValueDictionary()  # one maker of an answer at a time; gone with the last who waits
_held: ContextVar[State | None] = ContextVar("held", default=None)


def remembered(ctx: Context, name: str, compute: Callable[[], Any]) -> Any:
    """What `compute` gave for the same state of the records, or its answer now."""
    state, place = state_of(ctx), (ctx.settings.database, ctx.org, name)
    with _lock:
        turn = _turns.setdefault(place, RLock())
    with turn:
        now = ctx.now()
        with _lock:
            known = _memory.get(place)
            if known is not None:
                _memory.move_to_end(place)
        if known is not None and known[0] == state and timedelta(0) <= now - known[1] < KEPT:
            return known[2]
        found = compute()
        with _lock:
            _memory[place] = (state, now, found)
            _memory.move_to_end(place)
            while len(_memory) > REMEMBERED:
                _memory.popitem(last=False)
        return found


def state_of(ctx: Context) -> State:
    """Database, organization, length of the log, snapshot of the lake."""
    held = _held.get()
    if held is not None and held[:2] == (ctx.settings.database, ctx.org):
        return held
    with ctx.rows.session() as session:
        size = tree_size(session, ctx.org)
    return (ctx.settings.database, ctx.org, size, ctx.lake.snapshot_id())


@contextmanager
def one_state(ctx: Context) -> Iterator[None]:
    """A document that asks for many remembered parts looks at the state of the records once; for reading only."""
    token = _held.set(state_of(ctx))
    try:
        yield
    finally:
        _held.reset(token)
