"""The token bucket: how many calls leave in a minute, and a pause that holds all of them."""

from datetime import UTC, datetime

import pytest

from governor.adapters.model_endpoint import retry_after
from governor.adapters.pace import Pace


@pytest.mark.parametrize("per_minute", [1, 30, 60, 600, 6000])
def test_no_minute_lets_more_calls_out_than_it_may(per_minute: int) -> None:
    now = [0.0]
    pace = Pace(per_minute, clock=lambda: now[0])
    left = []
    for _ in range(per_minute * 2):
        now[0] += pace.claim()
        left.append(now[0])
    burst = max(per_minute // 60, 1)
    for at in (left[0], left[len(left) // 2]):
        assert sum(at <= one < at + 60 for one in left) <= per_minute + burst
    assert left[-1] >= 60 - 60 / per_minute


def test_a_quiet_hour_is_no_licence_for_a_burst() -> None:
    now = [0.0]
    pace = Pace(600, clock=lambda: now[0])
    pace.claim()
    now[0] = 3600.0
    assert sum(pace.claim() == 0 for _ in range(100)) <= 11


def test_without_a_limit_nobody_waits_and_a_pause_holds_everybody() -> None:
    now = [10.0]
    pace = Pace(clock=lambda: now[0])
    assert [pace.claim() for _ in range(50)] == [0.0] * 50
    pace.hold(4)
    assert {pace.claim() for _ in range(5)} == {4.0}
    now[0] = 14.0
    assert pace.claim() == 0


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
    assert retry_after("7", now) == 7
    assert retry_after("Mon, 02 Nov 2026 12:00:30 GMT", now) == 30
    assert retry_after("Mon, 02 Nov 2026 11:00:00 GMT", now) == 0
    assert [retry_after(text, now) for text in ("", "soon", "-3", "nan")] == [0, 0, 0, 0]
