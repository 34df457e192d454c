"""The endpoint that plays two models: the same every time, and labelled as what it is."""

from typing import Any

import httpx
import pytest

from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.simulated_model import Behaviour, answer

NOTICE = "Notice 5: hail at a farm. Estimated damage 15000 EUR."
BODY: dict[str, Any] = {"model": "sim-baseline", "messages": [{"role": "user", "content": NOTICE}], "max_tokens": 100}


@pytest.mark.parametrize("path", ["chat/completions", "messages"])
def test_every_answer_says_that_it_is_simulated(path: str) -> None:
    with SimulatedEndpoint() as endpoint:
        response = httpx.post(f"{endpoint.base_url}/{path}", json=BODY)
        assert response.headers["X-Simulated"] == "true"
        assert response.json()["simulated"] is True
        assert endpoint.base_url.startswith("http://127.0.0.1:")


def test_the_same_seed_says_the_same_and_warts_come_as_often_as_asked() -> None:
    bodies = [{**BODY, "messages": [{"role": "user", "content": f"{NOTICE} {number}"}]} for number in range(2000)]
    behaviour = Behaviour(differ=0.1, refuse=0.05, break_json=0.02)
    first = [answer("m", body, behaviour, 3) for body in bodies]
    assert first == [answer("m", body, behaviour, 3) for body in bodies]
    assert sum(one.text.startswith("I'm sorry") for one in first) == pytest.approx(100, abs=35)
    assert sum(one.text.startswith("```") for one in first) == pytest.approx(40, abs=25)
    assert sum('"high"' not in one.text for one in first) == pytest.approx(290, abs=60)


def test_an_answer_longer_than_allowed_is_cut_off() -> None:
    found = answer("m", {**BODY, "max_tokens": 3}, Behaviour(), 1)
    assert found.finish_reason == "length"
