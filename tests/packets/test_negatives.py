"""Every named negative packet is refused for its own reason, and three verifiers that share no code say so in the same words.

The reasons are frozen in tests/vectors/packets/negatives.json; `python tests/vectors/generate.py` writes them again, for a person to read.
"""

import json
from pathlib import Path
from typing import Any

import negative_packets
import pytest
from verifiers import by_program, in_node, ours, portable

FROZEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors/packets/negatives.json").read_text())
NAMES = sorted(negative_packets.CASES)


def test_there_are_more_than_a_hundred_and_each_is_frozen() -> None:
    assert len(NAMES) >= 100
    assert sorted(FROZEN) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_refused_for_its_own_reason(name: str) -> None:
    packet, trust = negative_packets.build(name)
    found = ours(packet, trust)
    assert found["exit_code"] != 0
    first = next(check for check in found["checks"] if check["status"] in {"fail", "undecided"})
    assert {"result": found["result"], "check": first["name"], "reason": portable(first["detail"])} == FROZEN[name]
    assert portable(by_program(packet, trust)) == portable(found)


def test_the_page_says_the_same_of_every_one() -> None:
    built = [negative_packets.build(name) for name in NAMES]
    answers = in_node(built)
    for name, (packet, trust), answer in zip(NAMES, built, answers, strict=True):
        assert portable(answer) == portable(ours(packet, trust)), name
