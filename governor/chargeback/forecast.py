"""What a month will come to: a point from three simple methods, and an interval that past errors have earned.

Owns: the methods, their median, the calibrated interval, the day on which a budget is used up. Does not own: reading days (actions/forecast_month.py), budgets
(budget.py), charts. Invariants: what is spent is exact and never estimated; under seven known days there is no forecast and it says so; no interval without
enough past errors to earn it; statistics use floats inside, every result is a whole number of pico-USD, rounded to the micro-USD and never below what is spent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import ceil, exp, floor, inf, log
from statistics import fmean, median
from typing import Final

ENOUGH_DAYS: Final = 7
LOOKED_AT: Final = 28  # days of a weekday profile: older habits no longer count
SHRINKAGE: Final = 2.0  # a weekday seen twice counts as much as the mean of all days
EXTREME: Final = 3.0  # a day counts at most this many times the median day in the weekday profile
LEVEL: Final = Fraction(4, 5)  # exact: the float tail is a hair below a tenth, and would take the next place outwards at every tenth error
ENOUGH_ERRORS: Final = 9  # below this an 80% interval of errors would have no end
MOST_ORIGINS: Final = 12
SHORTEST: Final = 4  # spans to calibrate on are at least this part of the period
MICRO: Final = 1_000_000  # pico-USD
METHOD: Final = "median of run-rate, last 7 days and weekday profile"
INTERVAL_METHOD: Final = "split-conformal on log(actual/forecast) by spend tercile"


@dataclass(frozen=True)
class Series:
    """Spend of consecutive complete days, the first on `first`; a day without calls is a day of zero."""

    first: date
    pico: tuple[int, ...]

    @property
    def end(self) -> date:
        """The day after the last."""
        return self.first + timedelta(days=len(self.pico))

    def between(self, start: date, end: date) -> tuple[int, ...]:
        return self.pico[max(0, (start - self.first).days) : max(0, (end - self.first).days)]

    def until(self, end: date) -> Series:
        """As it was known when `end` began."""
        return Series(self.first, self.pico[: max(0, (end - self.first).days)])


@dataclass(frozen=True)
class Error:
    """One past forecast of the same shape: what it said, and log(actual/forecast)."""

    forecast: float
    ratio: float


@dataclass(frozen=True)
class Past:
    """Errors put in order once: thousands of budgets are judged by the same ones."""

    errors: Sequence[Error] = ()

    @cached_property
    def groups(self) -> list[tuple[float, list[float]]]:
        """(forecasts below this belong to it, its ratios in order), by spend tercile; one of all sizes where terciles are too few."""
        ordered = sorted(self.errors, key=lambda error: error.forecast)
        third = len(ordered) // 3
        cuts = [third, 2 * third] if third >= ENOUGH_ERRORS else []
        ends = [ordered[cut].forecast for cut in cuts] + [inf]
        parts = [ordered[begin:end] for begin, end in pairwise([0, *cuts, len(ordered)])]
        return [(end, sorted(error.ratio for error in part)) for end, part in zip(ends, parts, strict=True)]

    def alike(self, total: float) -> list[float]:
        """Ratios of the spend tercile that `total` falls into."""
        return next(ratios for end, ratios in self.groups if total < end)


NOTHING_PAST: Final = Past()


@dataclass(frozen=True)
class Forecast:
    """status: forecast | complete | not_enough_history. Money in pico-USD; low and high are null where no interval was earned.

    days: the expected spend of each day to come.
    """

    status: str
    spent: int
    known_days: int
    total: int | None = None
    low: int | None = None
    high: int | None = None
    days: tuple[tuple[date, int], ...] = ()
    methods: Mapping[str, int] | None = None
    calibrated_on: int = 0


def forecast(series: Series, start: date, end: date, *, today_pico: int = 0, past: Past = NOTHING_PAST) -> Forecast:
    """The period [start, end) from the complete days of `series`, which ends where the unknown begins. `today_pico`: spent on the day after them so far."""
    spent = sum(series.between(start, end)) + today_pico
    known = len(series.pico) if any(series.pico) else 0
    if series.end >= end:
        return Forecast("complete", spent, known, spent, spent, spent)
    if known < ENOUGH_DAYS:
        return Forecast("not_enough_history", spent, known)
    methods, shape = rest(series, start, end)
    chosen = median(methods.values())
    whole = sum(shape.values())
    days = {day: value / whole * chosen if whole else chosen / len(shape) for day, value in shape.items()}
    if series.end in days:
        days[series.end] = max(days[series.end], float(today_pico))
    done = sum(series.between(start, end))
    total = max(spent, rounded(done + sum(days.values())))
    low, high, used = interval(float(total), past)
    return Forecast(
        "forecast",
        spent,
        known,
        total,
        None if low is None else max(spent, min(total, rounded(low))),
        None if high is None else max(total, rounded(high)),
        tuple((day, rounded(value)) for day, value in sorted(days.items())),
        {name: max(spent, rounded(done + value)) for name, value in methods.items()},
        used,
    )


def rest(series: Series, start: date, end: date) -> tuple[dict[str, float], dict[date, float]]:
    """What each method expects of the days to come, and the shape of those days by weekday."""
    coming = [max(start, series.end) + timedelta(days=place) for place in range((end - max(start, series.end)).days)]
    elapsed = max(ENOUGH_DAYS, (series.end - start).days)
    week = [float(value) for value in series.pico[-ENOUGH_DAYS:]]
    weekday = profile(series)
    shape = {day: weekday[day.weekday()] for day in coming}
    return {
        "run_rate": fmean(map(float, series.pico[-elapsed:])) * len(coming),
        "last_7": fmean(week) * len(coming),
        "weekday_profile": sum(shape.values()),
    }, shape


def profile(series: Series) -> list[float]:
    """Expected spend by weekday: extreme days cut, each weekday drawn to the mean of all."""
    known = [float(value) for value in series.pico[-LOOKED_AT:]]
    first = series.end - timedelta(days=len(known))
    middle = median(known)
    cut = [min(value, EXTREME * middle) if middle else value for value in known]
    mean = fmean(cut)
    of: list[list[float]] = [[] for _ in range(7)]
    for place, value in enumerate(cut):
        of[(first + timedelta(days=place)).weekday()].append(value)
    return [(sum(values) + SHRINKAGE * mean) / (len(values) + SHRINKAGE) for values in of]


def past_errors(every: Sequence[Series], elapsed: int, remaining: int) -> list[Error]:
    """Forecasts that could have been made before, `elapsed` days into a period with `remaining` to come, with how wrong they were.

    Origins step back by the days to come, so that what one forecast is judged by, the next of the same owner is not.
    """
    found = []
    for series in every:
        for turn in range(MOST_ORIGINS):
            origin = len(series.pico) - remaining * (turn + 1)
            if remaining < 1 or origin < max(ENOUGH_DAYS, elapsed):
                break
            seen = Series(series.first, series.pico[:origin])
            made = forecast(seen, seen.end - timedelta(days=elapsed), seen.end + timedelta(days=remaining))
            actual = sum(series.pico[origin - elapsed : origin + remaining])
            if made.total and actual:
                found.append(Error(float(made.total), log(actual / made.total)))
    return found


def calibrate(every: Sequence[Series], elapsed: int, remaining: int) -> tuple[Past, int]:
    """(past errors, how many times shorter than this period the spans they come from are): 1 wherever history holds enough whole periods."""
    found: list[Error] = []
    for shorter in range(1, SHORTEST + 1):
        found = past_errors(every, elapsed // shorter, -(-remaining // shorter))
        if len(found) >= ENOUGH_ERRORS:
            return Past(found), shorter
    return Past(found), SHORTEST


def interval(total: float, past: Past) -> tuple[float | None, float | None, int]:
    """(low, high, errors used): the errors of forecasts of like size, of all sizes where those are too few; nothing below ENOUGH_ERRORS."""
    if len(past.errors) < ENOUGH_ERRORS or total <= 0:
        return None, None, len(past.errors)
    ratios = past.alike(total)
    tail = (1 - LEVEL) / 2
    low = floor(tail * (len(ratios) + 1)) - 1
    high = ceil((1 - tail) * (len(ratios) + 1)) - 1
    return total * exp(ratios[max(0, low)]), total * exp(ratios[min(high, len(ratios) - 1)]), len(ratios)


def used_up(made: Forecast, budget: int, series: Series, start: date, *, end_pico: int | None = None) -> date | None:
    """The day on which spend reaches the budget (`>=`), spent or expected; None: not in this period. `end_pico`: another end of the month, such as `high`."""
    running, first = 0, max(start, series.first)  # what began within the month has no days before
    for place, value in enumerate(series.between(start, series.end)):
        running += value
        if running >= budget:
            return first + timedelta(days=place)
    if made.spent >= budget:
        return series.end  # reached today
    wanted = made.total if end_pico is None else end_pico
    if made.status != "forecast" or wanted is None or wanted < budget:
        return None
    expected = sum(value for _, value in made.days)
    passed = 0
    for day, value in made.days:
        passed += value
        if expected and running + passed * (wanted - running) // expected >= budget:
            return day
    return made.days[-1][0]


def rounded(value: float) -> int:
    """To the micro-USD, half to even."""
    return round(value / MICRO) * MICRO
