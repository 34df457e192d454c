"""The forecast: what it refuses to say, what it may never contradict, and how wrong it was on two weeks of real traffic."""

from __future__ import annotations

import random
from datetime import date, timedelta
from math import exp, log
from pathlib import Path
from typing import Any

import duckdb
import pytest

from governor.chargeback.forecast import ENOUGH_ERRORS, Error, Past, Series, calibrate, forecast, interval, past_errors, profile, used_up

USD = 10**12
START, END = date(2026, 10, 1), date(2026, 11, 1)
VOLUME = Path(__file__).parents[3] / "shared" / "data" / "volume"


def flat(days: int, usd: int = 10, first: date = START) -> Series:
    return Series(first, (usd * USD,) * days)


def test_six_days_are_not_enough_and_seven_are() -> None:
    short = forecast(flat(6), START, END)
    assert (short.status, short.spent, short.total, short.low) == ("not_enough_history", 60 * USD, None, None)
    made = forecast(flat(7), START, END)
    assert (made.status, made.total, made.low, made.high) == ("forecast", 310 * USD, None, None)


def test_history_before_the_month_counts_and_days_of_nothing_do_not() -> None:
    made = forecast(flat(9, first=START - timedelta(days=8)), START, END)
    assert (made.status, made.spent, made.total) == ("forecast", 10 * USD, 310 * USD)
    assert forecast(Series(START, (0,) * 20), START, END).status == "not_enough_history"


def test_a_month_that_is_over_is_not_estimated() -> None:
    done = forecast(flat(31), START, END, past=Past([Error(1.0, 0.5)] * 50))
    assert (done.status, done.spent, done.total, done.low, done.high) == ("complete", *(310 * USD,) * 4)


def test_the_median_takes_neither_extreme() -> None:
    made = forecast(Series(START, (10 * USD,) * 7 + (40 * USD,) * 7), START, END)
    assert made.methods is not None
    assert made.total == sorted(made.methods.values())[1]
    assert made.methods["run_rate"] == (350 + 17 * 25) * USD
    assert made.methods["last_7"] == (350 + 17 * 40) * USD


def test_weekends_are_told_from_weekdays() -> None:
    first = date(2026, 9, 7)  # a Monday
    series = Series(first, tuple((2 if (first + timedelta(days=place)).weekday() >= 5 else 20) * USD for place in range(28)))
    made = forecast(series, date(2026, 10, 1), END)
    expected = dict(made.days)
    assert expected[date(2026, 10, 10)] < expected[date(2026, 10, 12)] / 2
    assert 44 * USD + sum(expected.values()) == pytest.approx(made.total)


def test_today_counts_once_and_never_less_than_it_is() -> None:
    calm = forecast(flat(10), START, END, today_pico=4 * USD)
    assert (calm.spent, calm.total) == (104 * USD, 310 * USD)
    burst = forecast(flat(10), START, END, today_pico=500 * USD)
    assert (burst.spent, burst.total) == (600 * USD, 800 * USD)


def test_the_interval_never_lies_below_what_is_spent_and_holds_the_point() -> None:
    random.seed(4)
    held = 0
    for _ in range(200):
        days = random.randint(7, 30)
        series = Series(START, tuple(random.choice((0, 1, 5, 90)) * USD // 7 for _ in range(days)))
        errors = [Error(random.uniform(1, 1e15), random.gauss(0, 0.6)) for _ in range(random.randint(9, 60))]
        made = forecast(series, START, END, today_pico=random.randint(0, USD), past=Past(errors))
        if made.status == "forecast" and made.low is not None and made.high is not None and made.total is not None:
            assert made.spent <= made.low <= made.total <= made.high
            held += 1
    assert held > 50


def test_eight_errors_earn_no_interval() -> None:
    errors = [Error(100.0, place / 10 - 0.4) for place in range(ENOUGH_ERRORS)]
    assert interval(100.0, Past(errors[:-1]))[:2] == (None, None)
    low, high, used = interval(100.0, Past(errors))
    assert (used, low, high) == (9, pytest.approx(100 * 2.718281828**-0.4), pytest.approx(100 * 2.718281828**0.4))


def test_each_size_has_its_own_errors() -> None:
    errors = [Error(float(size), spread) for size in (1, 100, 10_000) for spread in [size / 20_000 * place for place in range(-9, 10)]]
    narrow, wide = interval(1.0, Past(errors)), interval(10_000.0, Past(errors))
    assert (narrow[2], wide[2]) == (19, 19)
    assert narrow[1] is not None
    assert wide[1] is not None
    assert narrow[1] / 1.0 < wide[1] / 10_000.0


def test_past_errors_look_only_at_what_was_known_then() -> None:
    history = flat(60)
    assert [error.ratio for error in past_errors([history], 10, 20)] == [0.0, 0.0]
    jumped = Series(history.first, (*history.pico[:40], *(2 * value for value in history.pico[40:])))
    newest, older = past_errors([jumped], 10, 20)
    assert (newest.ratio, older.ratio) == (pytest.approx(log(500 / 300)), 0.0)


def test_a_budget_is_used_up_on_the_day_it_is_reached() -> None:
    made = forecast(flat(10), START, END)
    assert used_up(made, 100 * USD, flat(10), START) == date(2026, 10, 10)  # reached exactly
    assert used_up(made, 100 * USD + 1, flat(10), START) == date(2026, 10, 11)
    assert used_up(made, 310 * USD, flat(10), START) == date(2026, 10, 31)
    assert used_up(made, 310 * USD + 1, flat(10), START) is None
    assert used_up(made, 310 * USD + 1, flat(10), START, end_pico=620 * USD) == date(2026, 10, 19)
    assert used_up(forecast(flat(10), START, END, today_pico=USD), 101 * USD, flat(10), START) == date(2026, 10, 11)
    late = flat(10, first=START + timedelta(days=14))  # its first call is of the 15th
    assert used_up(forecast(late, START, END), 20 * USD, late, START) == date(2026, 10, 16)


@pytest.mark.parametrize(("count", "low", "high"), [(9, 1, 9), (18, 1, 18), (19, 2, 18), (26, 2, 25), (29, 3, 27), (39, 4, 36)])
def test_the_ends_of_the_interval_are_order_statistics_of_split_conformal(count: int, low: int, high: int) -> None:
    """Of n errors the floor(0.1(n+1))-th and the ceil(0.9(n+1))-th, so that a next one lies between them in at least 80 of 100."""
    same_size = Past([Error(100.0, place / 100) for place in range(1, count + 1)])
    assert len(same_size.groups) == (3 if count >= 27 else 1)
    errors = Past([Error(float(10**9 * part), place / 100) for part in (1, 2, 3) for place in range(1, count + 1)])
    assert interval(1.0, errors) == (pytest.approx(exp(low / 100)), pytest.approx(exp(high / 100)), count)


def test_a_forecast_of_the_size_at_which_a_tercile_ends_belongs_to_the_next() -> None:
    errors = Past([Error(float(size), size / 1000) for size in range(1, 28)])  # just enough for terciles of nine
    assert errors.alike(9.5) == errors.alike(1.0) == [size / 1000 for size in range(1, 10)]
    assert errors.alike(10.0) == [size / 1000 for size in range(10, 19)]
    assert len(Past(errors.errors[:-1]).groups) == 1
    assert interval(0.0, errors) == (None, None, 27)


def test_no_more_history_is_needed_than_a_forecast_has_and_shorter_spans_are_taken_where_whole_ones_are_too_few() -> None:
    assert len(past_errors([flat(8)], 7, 1)) == 1
    assert past_errors([flat(8)], 8, 1) == []
    assert past_errors([flat(8)], 7, 0) == []
    assert past_errors([Series(START, (USD,) * 7 + (0,) * 5)], 2, 3) == []  # nothing was spent: no logarithm
    assert past_errors([Series(START, (0,) * 9 + (USD,) * 3)], 2, 3) == []  # nothing was forecast
    grown = [Series(START, tuple((7 + place * salt % 11) * USD for place in range(64))) for salt in (3, 5, 8)]
    for elapsed, remaining, shorter in ((17, 15, 1), (17, 31, 2), (31, 47, 3), (31, 63, 4)):
        past, times = calibrate(grown, elapsed, remaining)
        assert times == shorter
        assert list(past.errors) == past_errors(grown, elapsed // shorter, -(-remaining // shorter))
        assert all(len(past_errors(grown, elapsed // less, -(-remaining // less))) < ENOUGH_ERRORS for less in range(1, shorter))


def test_the_weekday_profile_cuts_one_burst_and_knows_its_weekdays() -> None:
    first = date(2026, 9, 30)  # a Wednesday; ten days, so Wednesday to Friday twice
    usd = [10, 10, 10, 10, 10, 10, 10, 1000, 10, 10]
    cut = [10, 10, 10, 10, 10, 10, 10, 30, 10, 10]
    mean = sum(cut) / 10
    assert profile(Series(first, tuple(value * USD for value in usd))) == pytest.approx(
        [
            USD * value
            for value in (*((10 + 2 * mean) / 3,) * 2, (40 + 2 * mean) / 4, *((20 + 2 * mean) / 4,) * 2, *((10 + 2 * mean) / 3,) * 2)
        ]
    )
    most_days_of_nothing = profile(Series(first, (*(0,) * 9, 100 * USD)))
    assert max(most_days_of_nothing) == most_days_of_nothing[4] == pytest.approx((100 + 2 * 10) / 4 * USD)


def test_a_budget_reached_today_needs_no_forecast_and_one_that_only_the_high_end_reaches_without_any_day_expected_falls_on_the_last() -> (
    None
):
    young = flat(3)
    made = forecast(young, START, END, today_pico=5 * USD)
    assert made.status == "not_enough_history"
    assert used_up(made, 35 * USD, young, START) == date(2026, 10, 4)
    assert used_up(made, 35 * USD + 1, young, START) is None
    stopped = Series(START, (10 * USD,) * 3 + (0,) * 20)
    quiet = forecast(stopped, START, END)
    over = used_up(quiet, (quiet.total or 0) + USD, stopped, START, end_pico=(quiet.total or 0) + 2 * USD)
    assert over is not None
    assert over > date(2026, 10, 24)


def servegen() -> dict[tuple[str, int], list[int]]:
    """Fourteen days of each language client of the ServeGen traces at 1.25 and 10 USD per million tokens, in pico-USD."""
    if not VOLUME.is_dir():
        pytest.skip("../shared/data/volume is not here")
    rows = duckdb.sql(f"""WITH t AS (SELECT model, client_id, window_start_s // 21600 AS w, input_tokens_mean AS i, output_tokens_mean AS o
            FROM '{VOLUME}/servegen_client_token_stats_6h.parquet' WHERE category = 'language'),
        c AS (SELECT model, client_id, avg(i) AS i, avg(o) AS o FROM t GROUP BY ALL), m AS (SELECT model, avg(i) AS i, avg(o) AS o FROM t GROUP BY ALL)
        SELECT r.model, r.client_id, r.window_start_s // 86400 AS day,
            sum(round(expected_requests) * (coalesce(t.i, c.i, m.i) * 1250000 + coalesce(t.o, c.o, m.o) * 10000000))::HUGEINT
        FROM '{VOLUME}/servegen_client_windows_600s.parquet' r
        LEFT JOIN t ON t.model = r.model AND t.client_id = r.client_id AND t.w = r.window_start_s // 21600
        LEFT JOIN c ON c.model = r.model AND c.client_id = r.client_id LEFT JOIN m ON m.model = r.model
        WHERE category = 'language' GROUP BY ALL""").fetchall()
    found: dict[tuple[str, int], list[int]] = {}
    for model, client, day, pico in rows:
        found.setdefault((model, client), [0] * 14)[day] = int(pico or 0)
    return found


def test_backtest_on_servegen() -> None:
    """Numbers of docs/budgets.md: at mid-period, the sum within 6%; 80% intervals of clients not calibrated on cover 75-90%."""
    clients = servegen()
    start, end = START, START + timedelta(days=14)
    assert len(clients) == 313

    def known(days: list[int], count: int) -> Series:
        return Series(start, tuple(days[:count]))

    for count, within in ((7, 0.06), (8, 0.06), (10, 0.06), (12, 0.01)):
        days = [sum(values) for values in zip(*clients.values(), strict=True)]
        assert abs((forecast(known(days, count), start, end).total or 0) / sum(days) - 1) <= within
        names = sorted(clients)
        random.Random(7).shuffle(names)
        hits = []
        for fold in range(5):
            tested = names[fold::5]
            others = [clients[name] for name in names if name not in set(tested)]
            made = [(forecast(known(days, count), start, end).total, sum(days)) for days in others]
            errors = [Error(float(total), log(actual / total)) for total, actual in made if total and actual]
            for name in tested:
                one = forecast(known(clients[name], count), start, end, past=Past(errors))
                if one.low is not None and one.high is not None:
                    hits.append(one.low <= sum(clients[name]) <= one.high)
        assert len(hits) > 250
        assert 0.75 <= sum(hits) / len(hits) <= 0.90


def test_past_errors_are_put_in_order_once_for_all_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of 2,500 budgets sorted the same thousands of errors 5,000 times, for more than a minute."""
    sorts = []

    def counted(values: Any, **rest: Any) -> Any:
        sorts.append(1)
        return sorted(values, **rest)

    monkeypatch.setattr("governor.chargeback.forecast.sorted", counted, raising=False)
    past = Past([Error(float(size), size / 1000) for size in range(90)])
    low, high, used = zip(*(interval(float(size), past) for size in range(1, 90)), strict=True)
    assert set(used) == {30}
    assert None not in low + high
    assert len(sorts) == 1 + 3
