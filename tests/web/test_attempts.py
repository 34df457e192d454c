"""How often somebody may try to sign in."""

from datetime import UTC, datetime, timedelta

from governor.web.attempts import PER_ADDRESS, PER_NAME, REMEMBERED, WINDOW, Attempts

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_name_is_shut_after_its_failures_and_opens_again() -> None:
    attempts = Attempts()
    for number in range(PER_NAME):
        assert attempts.begin("Dana", f"10.0.0.{number}", NOW) == 0
    assert 0 < attempts.begin("dana", "10.0.9.9", NOW) <= WINDOW.total_seconds() + 1
    assert attempts.begin("rae", "10.0.9.9", NOW) == 0
    assert attempts.begin("dana", "10.0.9.9", NOW + WINDOW) == 0


def test_an_address_that_tries_many_names_is_shut() -> None:
    attempts = Attempts()
    for number in range(PER_ADDRESS):
        attempts.begin(f"person{number}", "10.0.0.1", NOW)
    assert attempts.begin("somebody", "10.0.0.1", NOW + timedelta(seconds=1)) > 0
    assert attempts.begin("", "10.0.0.1", NOW + timedelta(seconds=1)) > 0, "by a token too"
    assert attempts.begin("somebody", "10.0.0.2", NOW) == 0


def test_success_forgets_the_name_and_is_no_failure_of_its_address() -> None:
    attempts = Attempts()
    for _ in range(PER_ADDRESS * 2):
        assert attempts.begin("dana", "10.0.0.1", NOW) == 0
        attempts.succeeded("dana", "10.0.0.1")
    for _ in range(PER_ADDRESS - 1):
        attempts.begin("", "10.0.0.1", NOW)
    attempts.begin("dana", "10.0.0.1", NOW)
    attempts.succeeded("dana", "10.0.0.1")
    assert attempts.begin("", "10.0.0.1", NOW) == 0
    assert attempts.begin("", "10.0.0.1", NOW) > 0


def test_memory_is_bounded() -> None:
    attempts = Attempts()
    for number in range(REMEMBERED + 100):
        attempts.begin(f"person{number}", f"10.0.{number >> 8}.{number & 255}", NOW)
    assert len(attempts._failures) <= REMEMBERED
    attempts.begin("a" * 10_000, "10.9.9.9", NOW)
    assert max(map(len, attempts._failures)) < 300


def test_a_clock_that_is_set_back_shuts_nobody_out() -> None:
    attempts = Attempts()
    for _ in range(PER_NAME):
        attempts.begin("dana", "10.0.0.1", NOW + timedelta(days=30))
    assert attempts.begin("dana", "10.0.0.1", NOW) == 0
