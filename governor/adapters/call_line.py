"""Calls that run in a thread of their own while the caller prepares the next ones and writes down the last ones.

Owns: the thread, the two queues, leaving early. Does not own: how one call is made (model_endpoint.py).
Invariants: requests are taken from the caller's iterable in the caller's thread, a few ahead of what is in flight; every request taken is answered once;
leaving early cancels what is in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Final

from governor.ports import ModelReply, ModelRequest

LEAST_AHEAD: Final = 2  # requests taken per connection: one in flight, one ready when it comes back
MOST_AHEAD: Final = 32  # where the caller is too late with two, because calls are fast or it has much to write down
LINGER_S: Final = 0.1  # answers of so long are handed over together, so that a fast endpoint does not cost a transaction each
Answer = tuple[ModelRequest, ModelReply]
Call = Callable[[ModelRequest], Awaitable[ModelReply]]


class CallLine:
    """`open_calls` gives, inside the thread's event loop, the function that makes one call."""

    def __init__(self, open_calls: Callable[[], AbstractAsyncContextManager[Call]], concurrency: int) -> None:
        self._open = open_calls
        self._concurrency = max(concurrency, 1)
        self._waiting: deque[ModelRequest | None] = deque()
        self._answers: deque[Answer] = deque()
        self._news = threading.Condition()
        self._error: BaseException | None = None
        self._over = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drive: asyncio.Task[None] | None = None
        self._idle = True
        self._wake = asyncio.Event()  # binds to the thread's loop when first waited for

    def run(self, requests: Iterable[ModelRequest]) -> Iterator[list[Answer]]:
        """Answers as they come, all that are there at a time."""
        source = iter(requests)
        thread = threading.Thread(target=self._thread, name="model-endpoint", daemon=True)
        thread.start()
        open_calls, more = 0, True
        ahead, least, most = (self._concurrency * factor for factor in (LEAST_AHEAD, LEAST_AHEAD, MOST_AHEAD))
        try:
            while True:
                while more and open_calls < ahead:
                    request = next(source, None)
                    if request is None:
                        more = False
                    else:
                        open_calls += 1
                    self._give(request)
                if not more and not open_calls:
                    return
                enough = min(ahead // 2, open_calls)
                late = len(self._answers) >= enough  # they waited for us
                found = self._take(enough)
                open_calls -= len(found)
                if late:
                    ahead = min(ahead * 2, most)
                elif len(found) < enough:
                    ahead = max(ahead // 2, least)
                yield found
        finally:
            self._leave()
            thread.join(timeout=10)

    def _give(self, request: ModelRequest | None) -> None:
        self._waiting.append(request)
        if self._loop is not None and self._idle:
            with contextlib.suppress(RuntimeError):  # it closed meanwhile
                self._loop.call_soon_threadsafe(self._wake.set)

    def _take(self, enough: int) -> list[Answer]:
        with self._news:
            while not self._answers and not self._over:
                self._news.wait()
            self._news.wait_for(lambda: len(self._answers) >= enough or self._over, LINGER_S)
            found = list(self._answers)
            self._answers.clear()
        if not found:
            raise self._error or RuntimeError("the calls ended before their answers")
        return found

    def _leave(self) -> None:
        loop, drive = self._loop, self._drive
        if loop is not None and drive is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(drive.cancel)

    def _thread(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            self._error = error
        with self._news:
            self._over = True
            self._news.notify()

    async def _main(self) -> None:
        self._drive = asyncio.create_task(self._calls())
        self._loop = asyncio.get_running_loop()
        self._wake.set()  # what was given before the loop stood
        with contextlib.suppress(asyncio.CancelledError):
            await self._drive

    async def _calls(self) -> None:
        async with self._open() as call:
            requests = self._requests()
            turn = asyncio.Lock()

            async def work() -> None:
                while True:
                    async with turn:
                        request = await anext(requests, None)
                    if request is None:
                        return
                    answer = (request, await call(request))
                    with self._news:
                        self._answers.append(answer)
                        self._news.notify()

            await asyncio.gather(*(work() for _ in range(self._concurrency)))

    async def _requests(self) -> AsyncIterator[ModelRequest]:
        while True:
            while self._waiting:
                request = self._waiting.popleft()
                if request is None:
                    return
                yield request
            self._wake.clear()
            self._idle = True  # said before the last look: who gives after that look wakes us
            if not self._waiting:
                await self._wake.wait()
            self._idle = False
