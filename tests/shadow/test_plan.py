"""What may be registered: nothing the sample could not decide."""

import pytest

from governor.errors import Invalid, Refused
from governor.shadow.plan import choose_metrics, plain, unplain


def test_guards_default_to_two_points_where_the_sample_allows_it() -> None:
    margins = {metric.name: metric.margin for metric in choose_metrics(("error", "quality"), {"quality": "0.03"}, 300)}
    assert margins == {"error": "0.02", "quality": "0.03"}
    assert {metric.margin for metric in choose_metrics(("error", "quality"), {"quality": "0.05"}, 100)} == {"0.05"}


def test_a_sample_that_cannot_decide_is_refused_with_the_number_it_needs() -> None:
    with pytest.raises(Refused, match="needs 304"):
        choose_metrics(("error", "quality"), {"error": "0.01"}, 300)
    with pytest.raises(Refused, match="needs 100"):
        choose_metrics(("error", "quality"), {}, 99)


@pytest.mark.parametrize("margins", [{"quality": "3"}, {"quality": "-0.01"}, {"quality": "x"}, {"quality": "0"}, {"beauty": "0.03"}])
def test_nonsense_margins_are_refused(margins: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        choose_metrics(("error", "quality"), margins, 300)


def test_recorded_parameters_survive_a_document_without_floats() -> None:
    params = {"temperature": 0.2, "stop": ["a"], "response_format": {"type": "json_object"}}
    assert unplain(plain(params)) == params
