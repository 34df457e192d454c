"""What may be registered: nothing the sample could not decide."""

from decimal import Decimal

import pytest

from governor.errors import Invalid, Refused
from governor.shadow.plan import choose_metrics, plain, refuse_underpowered, unplain


def test_guards_default_to_two_points_where_the_sample_allows_it() -> None:
    margins = {metric.name: metric.margin for metric in choose_metrics(("error", "quality"), {"quality": "0.03"}, 300)}
    assert margins == {"error": "0.02", "quality": "0.03"}
    assert {metric.margin for metric in choose_metrics(("error", "quality"), {"quality": "0.05"}, 100)} == {"0.05"}


def test_a_sample_that_cannot_decide_is_refused_with_the_number_it_needs() -> None:
    with pytest.raises(Refused, match="needs 304"):
        choose_metrics(("error", "quality"), {"error": "0.01"}, 300)
    with pytest.raises(Refused, match="needs 100"):
        choose_metrics(("error", "quality"), {}, 99)


def test_a_sample_is_counted_as_it_weighs() -> None:
    names = ("error", "quality")
    assert {one.margin for one in choose_metrics(names, {}, 170, weigh=150.0)} == {"0.03"}  # two points need 151 equal draws
    assert {one.margin for one in choose_metrics(names, {}, 170, weigh=151.0)} == {"0.02", "0.03"}
    with pytest.raises(Refused, match="100 traces as they were drawn count as 88 equal ones and cannot decide") as refused:
        choose_metrics(names, {}, 100, weigh=88.9)
    assert "replay 119 or more" in str(refused.value.hint)
    with pytest.raises(Refused, match="900 traces as they were drawn count as 800"):
        refuse_underpowered(choose_metrics(names, {}, 900, weigh=800.0), 900, Decimal("0.12"), weigh=800.0)
    refuse_underpowered(choose_metrics(names, {}, 900, weigh=897.0), 900, Decimal("0.12"), weigh=897.0)


@pytest.mark.parametrize("margins", [{"quality": "3"}, {"quality": "-0.01"}, {"quality": "x"}, {"quality": "0"}, {"beauty": "0.03"}])
def test_nonsense_margins_are_refused(margins: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        choose_metrics(("error", "quality"), margins, 300)


def test_recorded_parameters_survive_a_document_without_floats() -> None:
    params = {"temperature": 0.2, "stop": ["a"], "response_format": {"type": "json_object"}}
    assert unplain(plain(params)) == params
