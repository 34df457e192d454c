"""Answers that are computed once per state of the records, then remembered by this process.

Owns: the memory. Does not own: any answer. Invariants: an answer is told only for the state it was made of (lake snapshot, length of the log, which
every change of catalog or prices lengthens); nothing remembered is older than KEPT; of each name only the newest answer takes room; who asks
while somebody else has it made waits for that answer. The one exception asks for it: who is `soon` satisfied with an older answer gets one when the
new takes longer, provided that nothing but calls came since, and is told of when it is.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock, RLock
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

from governor.actions.context import Context
from governor.store.ledger import only_of_type
from governor.store.sequencer import tree_size

log = logging.getLogger(__name__)
KEPT: Final = timedelta(minutes=5)
REMEMBERED: Final = 48  # names; what an older state of the records gave makes room at once
Name = tuple[str, str, str]
State = tuple[str, str, int, int]


class Answer(NamedTuple):
    state: State
    at: datetime  # it was begun
    found: Any


@dataclass
class Patience:
    """Of one reader. older: when the oldest answer was begun that was told in place of a newer one."""

    until: float  # by time.monotonic()
    older: datetime | None = None

    def told(self, answer: Answer) -> Any:
        self.older = min(answer.at, self.older or answer.at)
        return answer.found


_memory: OrderedDict[Name, Answer] = OrderedDict()
_lock = Lock()
_turns: WeakValueDictionary[Name, RLock] = WeakValueDictionary()  # one maker of an answer at a time; gone with the last who waits
_held: ContextVar[State | None] = ContextVar("held", default=None)
_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)
_aside = ThreadPoolExecutor(1, thread_name_prefix="answers")  # one: who reads meanwhile needs the processor too
_coming: dict[Name, Future[Answer]] = {}


def remembered(ctx: Context, name: str, compute: Callable[[], Any]) -> Any:
    """What `compute` gave for the same state of the records, or its answer now; see `soon` for the exception."""
    state, place, patience = state_of(ctx), (ctx.settings.database, ctx.org, name), _patience.get()
    older = _older(ctx, place, state) if patience else None
    if patience is None or older is None:
        return _made(ctx, place, state, compute).found
    coming = _made_aside(ctx, place, state, compute)
    wait([coming], max(0.0, patience.until - time.monotonic()))
    answer = coming.result() if coming.done() else older
    return answer.found if answer.state == state else patience.told(answer)


def soon(seconds: float | None) -> None:
    """From here on, in this request, older answers will do when new ones take longer than this all together. None: never."""
    _patience.set(None if seconds is None else Patience(time.monotonic() + seconds))


def older_told() -> datetime | None:
    """When the oldest answer was begun that this request was told in place of a newer one."""
    patience = _patience.get()
    return patience.older if patience else None


def _known(place: Name) -> Answer | None:
    with _lock:
        known = _memory.get(place)
        if known is not None:
            _memory.move_to_end(place)
    return known


def _older(ctx: Context, place: Name, state: State) -> Answer | None:
    """The remembered answer, where it is of another state and nothing but calls came since."""
    known = _known(place)
    if known is None or known.state == state or not timedelta(0) <= ctx.now() - known.at < KEPT:
        return None
    with ctx.rows.session() as session:
        return known if only_of_type(session, ctx.org, "source:ingest", known.state[2], state[2]) else None


def _made(ctx: Context, place: Name, state: State, compute: Callable[[], Any]) -> Answer:
    with _lock:
        turn = _turns.setdefault(place, RLock())
    with turn:
        now, known = ctx.now(), _known(place)
        if known is not None and known.state == state and timedelta(0) <= now - known.at < KEPT:
            return known
        made, whole = _computed(state, now, compute)
        if not whole:  # the next who asks, and whoever waits for the newest numbers, must not be told it as an answer of this state
            return made
        with _lock:
            _memory[place] = made
            _memory.move_to_end(place)
            for old in [name for name, answer in _memory.items() if not timedelta(0) <= now - answer.at < KEPT]:
                del _memory[
                    old
                ]  # it is told no more: of a month with many workflows it would hold a hundred megabytes until 48 others were asked for
            while len(_memory) > REMEMBERED:
                _memory.popitem(last=False)
        return made


def _computed(state: State, now: datetime, compute: Callable[[], Any]) -> tuple[Answer, bool]:
    """The answer, and whether all that it is made of is of this state too: whoever is satisfied with older answers may have been given such parts."""
    patience = _patience.get()
    if patience is None:
        return Answer(state, now, compute()), True
    parts = Patience(patience.until)
    token = _patience.set(parts)
    try:
        made = Answer(state, now, compute())
    finally:
        _patience.reset(token)
    if parts.older is not None:
        patience.older = min(parts.older, patience.older or parts.older)
    return made, parts.older is None


def _made_aside(ctx: Context, place: Name, state: State, compute: Callable[[], Any]) -> Future[Answer]:
    """In a thread of its own; one at a time of each name, also where calls come faster than they are counted."""

    def work() -> Answer:
        _patience.set(None)
        try:
            return _made(ctx, place, state, compute)
        except Exception:  # who asked may be gone
            log.warning("%s could not be counted anew", place[2], exc_info=True)
            raise
        finally:
            with _lock:
                del _coming[place]

    with _lock:
        if place not in _coming:
            _coming[place] = _aside.submit(copy_context().run, work)
        return _coming[place]


def settle(ctx: Context) -> None:
    """Before an organization is closed: what is being made for it is waited for, what has not begun is not."""
    with _lock:
        mine = {place: coming for place, coming in _coming.items() if place[:2] == (ctx.settings.database, ctx.org)}
        for place in [place for place, coming in mine.items() if coming.cancel()]:
            del _coming[place]
    wait(mine.values())


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
