"""How values are written for people."""

from datetime import UTC, datetime

import pytest
from markupsafe import escape

from governor.web import present


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1234.5", "$1,234.50"),
        ("-4180.004", "−$4,180.00"),
        ("0", "$0.00"),
        ("0.056", "$0.06"),
        ("0.00123", "$0.0012"),
        ("0.000000000001", "$0.000000000001"),
        (None, "—"),
        ("", "—"),
    ],
)
def test_money_is_rounded_for_reading_but_never_to_nothing(value: str | None, shown: str) -> None:
    assert present.money_text(value) == shown


def test_only_words_that_are_longer_than_any_ordinary_name_may_break() -> None:
    for name in (
        "gpt-4o-mini-2024-07-18",
        "the-longest-name-of-an-ordinary-one",
        "olga.of.the.claims.desk@acme.example",
        "1,234,567.89 USD <b>",
    ):
        assert present.breaks(name) == escape(name)
    assert present.breaks("to " + "a" * 37) == 'to <span class="long">' + "<wbr>".join(["aaaaaaaa"] * 4 + ["aaaaa"]) + "</span>"
    assert "<b>" not in present.breaks("<b>" * 20)
    assert present.breaks(None) == ""


def test_the_exact_amount_stays_in_the_title() -> None:
    assert 'title="255.08512345678 USD"' in present.money("255.08512345678")


def test_unknown_is_a_dash_and_zero_is_zero() -> None:
    assert (present.count(None), present.count(0), present.percent(None)) == ("—", "0", "—")
    assert (present.when(None), present.digest("")) == ("—", "—")


def test_times_are_utc_and_the_last_day_is_inclusive() -> None:
    assert "2026-10-31 23:30 UTC" in present.when("2026-11-01T00:30:00+01:00")
    assert ">2026-10-31<" in present.last_day(datetime(2026, 11, 1, tzinfo=UTC))


def test_a_day_of_the_billing_zone_is_named_as_the_zone_names_it() -> None:
    assert ">2026-11-01<" in present.day("2026-10-31T15:00:00Z", "Asia/Tokyo")
    assert ">2026-10-31<" in present.day("2026-10-31T15:00:00Z")


def test_text_in_a_title_is_escaped() -> None:
    assert "<b>" not in present.digest('"><b>x</b>' * 4)


def test_pico_and_plural() -> None:
    assert str(present.pico("3024917500000")) == "3.024917500000"
    assert (present.plural(1, "call"), present.plural(2, "call"), present.plural(2, "entry", "entries")) == (
        "1 call",
        "2 calls",
        "2 entries",
    )
    assert present.model_name("openai/gpt-4o", "openai") == "gpt-4o"


def test_a_span_is_in_a_unit_people_read() -> None:
    told = [present.span(seconds) for seconds in (0.4, 1, 90, 120, 7_199, 7_200, 172_799, 2_401_778.5)]
    assert told == ["0 seconds", "1 second", "90 seconds", "2 minutes", "120 minutes", "2 hours", "48 hours", "28 days"]
