"""What a date in a document means: its zone, and dates that mean "ever"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from governor.catalog.moments import FIRST, LAST, begins, ends, moment_text


@pytest.mark.parametrize(
    ("day", "zone", "instant"),
    [
        ("2026-11-01", "UTC", "2026-11-01T00:00:00+00:00"),
        ("2026-11-01", "America/New_York", "2026-11-01T04:00:00+00:00"),
        ("2026-11-02", "America/New_York", "2026-11-02T05:00:00+00:00"),  # the clocks went back
        ("2026-11-01", "Europe/Berlin", "2026-10-31T23:00:00+00:00"),
    ],
)
def test_a_plain_date_is_a_day_of_the_zone(day: str, zone: str, instant: str) -> None:
    assert begins(day, zone).isoformat() == instant
    assert ends((begins(day, zone) - timedelta(hours=1)).date().isoformat(), "UTC").tzinfo is UTC


def test_an_end_counts_its_whole_day_also_when_that_has_25_hours() -> None:
    assert ends("2026-11-01", "America/New_York") - begins("2026-11-01", "America/New_York") == timedelta(hours=25)


def test_an_instant_says_its_zone_itself() -> None:
    assert (
        begins("2026-11-01T00:00:00Z", "America/New_York")
        == datetime(2026, 11, 1, tzinfo=UTC)
        == ends("2026-11-01T00:00:00Z", "Asia/Tokyo")
    )


@pytest.mark.parametrize("text", ["9999-12-31", "9999-12-30", "2999-01-01", "9999-12-31T23:59:59-05:00", "2262-01-02"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_a_date_that_means_no_end_is_one(text: str, zone: str) -> None:
    assert ends(moment_text(text), zone) == LAST
    assert begins(moment_text(text), zone) == LAST


@pytest.mark.parametrize("text", ["0001-01-01", "1900-01-01", "0001-01-01T00:00:00+14:00"])
def test_a_date_before_there_were_any_is_the_first(text: str) -> None:
    assert begins(moment_text(text), "Asia/Tokyo") == FIRST
