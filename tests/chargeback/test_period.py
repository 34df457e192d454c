"""Months in a billing zone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governor.chargeback.period import month_bounds, month_days, month_of, next_month, previous_month
from governor.errors import Invalid

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "America/Sao_Paulo"]


def test_a_month_begins_at_local_midnight() -> None:
    assert month_bounds("2026-10", "Europe/Berlin") == (datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC))
    assert month_bounds("2026-12") == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@given(st.dates(min_value=datetime(1990, 1, 1).date(), max_value=datetime(2090, 1, 1).date()), st.sampled_from(ZONES))  # noqa: DTZ001
def test_months_touch_and_every_instant_has_one(day: object, zone: str) -> None:
    month = f"{day:%Y-%m}"
    start, end = month_bounds(month, zone)
    assert month_bounds(next_month(month), zone)[0] == end
    assert month_bounds(previous_month(month), zone)[1] == start
    assert month_of(start, zone) == month
    assert month_of(end - timedelta(microseconds=1), zone) == month
    assert month_of(end, zone) == next_month(month)


@pytest.mark.parametrize(
    "wrong",
    [
        "2026-13",
        "2026-1",
        "26-10",
        "2026-10-01",
        "",
        "2026-00",
        "\uff12\uff10\uff12\uff16-10",
        "2026-\u0661\u0660",
        "\u0662\u0660\u0662\u0666-10",
    ],
)
def test_what_is_not_a_month_is_refused(wrong: str) -> None:
    with pytest.raises(Invalid, match="not a month"):
        month_bounds(wrong)


@pytest.mark.parametrize(("month", "known"), [("1969-12", False), ("1970-01", True), ("9998-12", True), ("9999-01", False)])
def test_months_are_those_whose_both_ends_a_clock_can_hold(month: str, known: bool) -> None:
    if known:
        assert month_bounds(month)[1] == month_bounds(month)[0] + timedelta(days=31)
    else:
        with pytest.raises(Invalid, match="not a month"):
            month_bounds(month)


def test_the_days_of_a_month_are_those_of_its_calendar() -> None:
    days = month_days("2028-02")
    assert (days[0], days[-1], len(days)) == ("2028-02-01", "2028-02-29", 29)
    assert len(month_days("2026-12")) == 31


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(Invalid, match="unknown billing zone"):
        month_bounds("2026-10", "Mars/Olympus")
