"""No flipped bit and no truncation of a packet verifies, by any of the three verifiers. A sample here; every byte in `make check-long`."""

import os
import random
from collections.abc import Callable, Iterator

import pytest
from packet_story import Story, make_story, withdraw
from verifiers import by_program, in_node, ours

LONG = os.environ.get("GOVERNOR_LONG") == "1"
FLIPS, CUTS = (None, 500) if LONG else (60, 20)


def rejected(story: Story) -> None:
    digest = story.document["change"]["digest"]
    story.chapters[3:] = [
        type(story.chapters[3])("change:reject", story.chapters[3].actor, {"change": "RC-42", "digest": digest, "role": "owner"})
    ]
    story.document["change"]["state"] = "rejected"


def withheld(story: Story) -> None:
    story.show_personal = False


FIXTURES: dict[str, Callable[[Story], None]] = {
    "approved": lambda _: None,
    "withheld": withheld,
    "rejected": rejected,
    "withdrawn": withdraw,
}


def packet_of(name: str) -> tuple[bytes, bytes]:
    story = make_story()
    FIXTURES[name](story)
    return story.packet(), story.trust


def damaged(packet: bytes, seed: int) -> Iterator[bytes]:
    """One bit in each byte (or in a sample of them), then truncations."""
    chance = random.Random(seed)
    places = range(len(packet)) if FLIPS is None else sorted(chance.sample(range(len(packet)), FLIPS))
    for place in places:
        yield packet[:place] + bytes([packet[place] ^ 1 << chance.randrange(8)]) + packet[place + 1 :]
    for length in chance.sample(range(len(packet)), CUTS):
        yield packet[:length]


@pytest.mark.parametrize("name", sorted(FIXTURES))
@pytest.mark.parametrize("verifier", [ours, by_program])
def test_no_flip_and_no_cut_verifies(name: str, verifier: Callable[[bytes, bytes], dict[str, object]]) -> None:
    packet, trust = packet_of(name)
    assert verifier(packet, trust)["result"] == "VERIFIED"
    passed = [number for number, bad in enumerate(damaged(packet, 2026)) if verifier(bad, trust)["result"] != "FAILED"]
    assert not passed


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_no_flip_and_no_cut_verifies_in_the_page(name: str) -> None:
    packet, trust = packet_of(name)
    assert in_node([(packet, trust)])[0]["result"] == "VERIFIED"
    queue = list(damaged(packet, 2026))
    for start in range(0, len(queue), 2000):
        answers = in_node((bad, trust) for bad in queue[start : start + 2000])
        assert {answer["result"] for answer in answers} == {"FAILED"}
