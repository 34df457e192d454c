"""What the split says of a set that may move, with and without a golden set beside the sample."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from governor.actions.split_route import sentence


@pytest.mark.parametrize(("golden", "says"), [(None, False), (SimpleNamespace(name="hail"), True)])
def test_the_golden_set_is_named_as_no_part_of_the_split(golden: Any, says: bool) -> None:
    plan: Any = SimpleNamespace(candidate=SimpleNamespace(provider="openai", model="small"), workflow_id="triage", golden=golden)
    best: Any = SimpleNamespace(share=0.5, quality=-0.02, interval=SimpleNamespace(low=-0.04), savings=None)
    told = sentence(plan, best, [], Decimal(0), "recommended", 10)
    assert ("The golden set was asked of the whole route and is no part of this." in told) is says
    assert told.endswith("and kept every promise.") is not says
