"""What keeps failing in the same way is said once, now and then, and when it is over."""

from __future__ import annotations

import logging

import pytest

from governor.actions.outages import AGAIN_S, Outages


def test_a_loop_that_fails_says_so_once_and_when_it_works_again(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    outages = Outages(logging.getLogger("governor.loop"), lambda: now[0])
    for _ in range(60):
        outages.wrong("jobs", OSError("away"), "cannot look")
        outages.right("other", "the other works")
        now[0] += 0.5
    outages.wrong("jobs", ValueError("bad"), "cannot look")  # of another kind: news
    now[0] += AGAIN_S
    outages.wrong("jobs", ValueError("bad"), "cannot look")
    outages.right("jobs", "looks")
    outages.right("jobs", "looks")
    outages.wrong("jobs", ValueError("bad"), "cannot look")
    assert caplog.messages == ["cannot look", "cannot look", "cannot look (for 630 s now)", "looks again, after 630 s", "cannot look"]
    assert {record.levelname for record in caplog.records} == {"WARNING"}
