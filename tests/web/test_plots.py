"""Small plots: where things are drawn."""

import re
from decimal import Decimal

import pytest

from governor.web.allocation_chart import PARTS, allocation_spec
from governor.web.charts import daily_spec, svg
from governor.web.plots import WIDTH, Interval, interval_plot, reach, share_bar, spark


def interval(estimate: str, low: str, high: str, margin: str = "0.03", status: str = "pass") -> Interval:
    return Interval(Decimal(estimate), Decimal(low), Decimal(high), Decimal(margin), status)


def test_zero_is_in_the_middle_and_order_is_kept() -> None:
    svg = interval_plot(interval("0", "-0.02", "0.02"), Decimal("0.1"))
    assert f'cx="{WIDTH / 2:.1f}"' in svg
    zero, margin = re.findall(r'class="plot-(?:axis|margin)" d="M([\d.]+)', svg)
    low, high = re.findall(r'class="plot-range" d="M([\d.]+) \d+H([\d.]+)', svg)[0]
    assert float(margin) < float(low) < float(zero) < float(high)
    assert 'aria-label="+0.000, interval -0.020 to +0.020' in svg


def test_what_leaves_the_axis_is_drawn_at_its_end() -> None:
    svg = interval_plot(interval("0.5", "-0.9", "0.9"), Decimal("0.1"))
    places = [float(text) for text in re.findall(r'(?:cx="|M|H)(-?[\d.]+)', svg)]
    assert len(places) >= 3  # both ends of the range and the point between them
    assert all(0 <= place <= WIDTH for place in places)


def test_every_interval_fits_the_shared_axis() -> None:
    every = [interval("0", "-0.2", "0.1"), interval("0", "-0.01", "0.01", margin="0.4")]
    assert reach(every) > Decimal("0.4")
    assert reach([]) > 0


def test_a_bar_never_leaves_its_ground() -> None:
    assert 'width="100.00"' in share_bar(Decimal("1.7"), "bad", "over")
    assert 'width="0.00"' in share_bar(Decimal(-1), "bad", "under")
    assert "&lt;b&gt;" in share_bar(Decimal(0), "good", "<b>")


def test_one_value_is_no_line() -> None:
    assert spark([Decimal(1)], "x") == ""
    assert "NaN" not in spark([Decimal(0), Decimal(0)], "nothing spent")


@pytest.mark.parametrize(
    ("amount", "label"), [("0.0004", "$0.0001"), ("0.5", "$0.1"), ("800", "$200"), ("3500000", "$1M"), ("4200000000", "$1B")]
)
def test_an_axis_of_money_writes_small_amounts_out_and_a_billion_as_one(amount: str, label: str) -> None:
    """Half a dollar was $500m, a billion $1G, and a hundredth of a cent $0 on every line."""
    center = {"cost_center": "CC-1", **{name: "0" for name, _, _ in PARTS}, "direct": amount}
    days = daily_spec([{"day": "2026-10-01", "name": "a", "cost": amount}], "workflow", ["2026-10-01"], width=600, height=200)
    for spec in (days, allocation_spec([center], width=600)):
        labels = re.findall(r">(\$[^<]*)<", svg(spec))
        assert label in labels
        assert len(set(labels)) == len(labels)
