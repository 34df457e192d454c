"""A body that does not come is not waited for; one that comes slowly is, and so is the end of one that came."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from governor.api.slow_senders import in_time

GONE = {"type": "http.disconnect"}


def part(size: int, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


def received(parts: Sequence[dict[str, Any]], left: float) -> list[dict[str, Any]]:
    """What is read of a sender who sends these and then nothing more; at most as many messages as it sends, and one."""

    async def reads() -> list[dict[str, Any]]:
        waiting = list(parts)

        async def receive() -> Any:
            return waiting.pop(0) if waiting else await asyncio.get_running_loop().create_future()

        piece = in_time(receive, left)
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(5):
            while not found or (found[-1] != GONE and found[-1]["more_body"]):
                found.append(dict(await piece()))
        return found

    return asyncio.run(reads())


@pytest.mark.parametrize("sent", [[], [part(1, more=True)], [part(0, more=True)] * 3], ids=["nothing", "a byte", "empty pieces"])
def test_a_sender_who_sends_no_more_is_gone(sent: list[dict[str, Any]]) -> None:
    assert received(sent, 0.02) == [*sent, GONE]


def test_a_whole_body_is_read() -> None:
    sent = [part(50_000, more=True), part(0, more=False)]
    assert received(sent, 0.02) == sent


def test_what_came_buys_time() -> None:
    async def reads() -> Any:
        gate = asyncio.Event()
        parts = [part(50_000, more=True), part(1, more=False)]

        async def receive() -> Any:
            if len(parts) == 1:
                await gate.wait()
            return parts.pop(0)

        piece = in_time(receive, 0.001)
        await piece()
        asyncio.get_running_loop().call_later(0.05, gate.set)
        return await piece()

    assert asyncio.run(reads())["more_body"] is False


def test_after_the_body_the_answer_may_take_its_time() -> None:
    async def waits() -> None:
        came = asyncio.Event()

        async def receive() -> Any:
            if not came.is_set():
                came.set()
                return part(1, more=False)
            return await asyncio.get_running_loop().create_future()

        piece = in_time(receive, 0.02)
        await piece()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(piece(), 0.1)

    asyncio.run(waits())
