"""How often somebody may try to sign in."""

from datetime import UTC, datetime, timedelta

from governor.web.attempts import PER_ADDRESS, PER_NAME, REMEMBERED, WINDOW, Attempts

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_name_is_shut_after_its_failures_and_opens_again() -> None:
    attempts = Attempts()
    for number in range(PER_NAME):
        assert attempts.wait_seconds("dana", f"10.0.0.{number}", NOW) == 0
        attempts.failed("Dana", f"10.0.0.{number}", NOW)
    assert 0 < attempts.wait_seconds("dana", "10.0.9.9", NOW) <= WINDOW.total_seconds() + 1
    assert attempts.wait_seconds("rae", "10.0.9.9", NOW) == 0
    assert attempts.wait_seconds("dana", "10.0.9.9", NOW + WINDOW) == 0


def test_an_address_that_tries_many_names_is_shut() -> None:
    attempts = Attempts()
    for number in range(PER_ADDRESS):
        attempts.failed(f"person{number}", "10.0.0.1", NOW)
    assert attempts.wait_seconds("somebody", "10.0.0.1", NOW + timedelta(seconds=1)) > 0
    assert attempts.wait_seconds("somebody", "10.0.0.2", NOW) == 0


def test_success_forgets_the_name_only() -> None:
    attempts = Attempts()
    for _ in range(PER_NAME):
        attempts.failed("dana", "10.0.0.1", NOW)
    attempts.succeeded("dana")
    assert attempts.wait_seconds("dana", "10.0.0.1", NOW) == 0


def test_memory_is_bounded() -> None:
    attempts = Attempts()
    for number in range(REMEMBERED + 100):
        attempts.failed(f"person{number}", "10.0.0.1", NOW)
    assert len(attempts._failures) <= REMEMBERED
