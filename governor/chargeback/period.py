"""Billing months: `YYYY-MM` as the half-open interval of instants it covers in the organization's zone.

Owns: bounds, days, the month of an instant, next and previous. Invariants: intervals of consecutive months touch and never overlap, daylight saving included.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from governor.errors import Invalid

MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


def month_bounds(month: str, zone: str = "UTC") -> tuple[datetime, datetime]:
    """First instant of the month and of the one after, in UTC. Raises Invalid for anything but `YYYY-MM` and a known zone."""
    year, number = _parts(month)
    following = (year, number + 1) if number < 12 else (year + 1, 1)  # noqa: PLR2004 - December
    try:
        local = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise Invalid(f"unknown billing zone {zone!r}", hint="use an IANA name such as Europe/Berlin") from None
    return datetime(year, number, 1, tzinfo=local).astimezone(UTC), datetime(*following, 1, tzinfo=local).astimezone(UTC)


def month_days(month: str) -> list[str]:
    """Its days as the zone's calendar names them, whatever instants they begin at."""
    return [f"{month}-{day:02d}" for day in range(1, monthrange(*_parts(month))[1] + 1)]


def month_of(instant: datetime, zone: str = "UTC") -> str:
    """The month an instant belongs to."""
    return instant.astimezone(ZoneInfo(zone)).strftime("%Y-%m")


def next_month(month: str) -> str:
    year, number = _parts(month)
    return f"{year:04d}-{number + 1:02d}" if number < 12 else f"{year + 1:04d}-01"  # noqa: PLR2004 - December


def previous_month(month: str) -> str:
    year, number = _parts(month)
    return f"{year:04d}-{number - 1:02d}" if number > 1 else f"{year - 1:04d}-12"


def _parts(month: str) -> tuple[int, int]:
    found = MONTH.fullmatch(month)
    if found is None or not 1970 <= int(found[1]) < 9999:  # noqa: PLR2004 - what datetime can hold on both sides
        raise Invalid(f"not a month: {month!r}", hint="write it as YYYY-MM, such as 2026-10")
    return int(found[1]), int(found[2])
