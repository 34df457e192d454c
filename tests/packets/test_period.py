"""A period packet: nothing of the period can be left out, counted wrong or moved, and three programs say so in the same words."""

from collections.abc import Callable
from typing import Any

import period_packets
import pytest
from period_story import PeriodStory, Step, at
from verifiers import by_program, in_node, ours, portable

from governor.errors import Invalid
from governor.ledger import merkle
from governor.packets.period import RangeProof, parse_range, period_bounds

NAMES = sorted(period_packets.CASES)


def details(found: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["detail"] for check in found["checks"]}


def test_a_quarter_verifies_by_three_programs_in_the_same_words() -> None:
    story = PeriodStory()
    packet, trust = story.packet(), story.trust
    found = ours(packet, trust)
    assert found["exit_code"] == 0, found
    assert found["title"] == "2026-Q4 period packet, acme.example/ledger: 3 changes"
    said = details(found)
    assert said["range"].startswith("11 entries of 2026-Q4 (UTC), 3..13 in ledger acme.example/ledger, none missing, the whole period")
    assert said["changes"] == "3 changes (1 cutover, 1 draft, 1 rejected), each with its whole story; 7 types counted"
    assert said["approvals"].startswith("1 of 3 changes approved")
    assert found == by_program(packet, trust) == in_node([(packet, trust)])[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda story: vars(story).update(end=14, issued=at(12, 31)) or story.steps.pop(), "so far, until 2026-12-31T09:30:00.000000Z"),
        (lambda story: vars(story).update(end=14) or story.steps.pop(), "the whole period"),  # nothing was recorded since but the issue
        (lambda story: vars(story).update(name="2026", begin=0, earlier=()), "14 entries of 2026 (UTC), 0..13"),
        (lambda story: vars(story).update(name="2026-11", begin=8, end=13, earlier=(6,)), "3 entries of 2026-11 (UTC), 9..11"),
        (
            lambda story: vars(story).update(name="2026-11-02", begin=8, end=12, earlier=(6,)),
            "2 entries of 2026-11-02 (UTC), 9..10 in ledger",
        ),
        (lambda story: vars(story).update(name="2026-12", begin=11, earlier=()), "2 entries of 2026-12 (UTC), 12..13"),
    ],
)
def test_periods_under_way_days_months_and_years(change: Callable[[PeriodStory], object], says: str) -> None:
    story = PeriodStory()
    change(story)
    packet, trust = story.packet(), story.trust
    found = ours(packet, trust)
    assert found["exit_code"] == 0, found
    assert says in details(found)["range"]
    assert found == by_program(packet, trust) == in_node([(packet, trust)])[0]


def test_words_of_people_are_withheld_unless_shown() -> None:
    story = PeriodStory()
    assert "2 personal fields withheld, 0 shown" in details(ours(story.packet(), story.trust))["redactions"]
    story.show_personal = True
    packet, trust = story.packet(), story.trust
    assert details(ours(packet, trust))["redactions"] == "2 personal fields shown, each as committed"
    assert ours(packet, trust) == by_program(packet, trust) == in_node([(packet, trust)])[0]


@pytest.mark.parametrize("name", NAMES)
def test_refused_for_its_own_reason(name: str) -> None:
    build, check, reason = period_packets.CASES[name]
    packet, trust = build()
    found = ours(packet, trust)
    first = next(one for one in found["checks"] if one["status"] in {"fail", "undecided"})
    assert (found["exit_code"] != 0, first["name"], portable(first["detail"])) == (True, check, reason)
    assert portable(by_program(packet, trust)) == portable(found)


def test_the_page_says_the_same_of_every_one() -> None:
    built = [period_packets.CASES[name][0]() for name in NAMES]
    for name, (packet, trust), answer in zip(NAMES, built, in_node(built), strict=True):
        assert portable(answer) == portable(ours(packet, trust)), name


def test_the_proof_of_ten_thousand_entries_of_a_million_is_less_than_two_kilobytes() -> None:
    for begin, size in ((123_457, 1_000_000), (499_999, 1_048_577), (0, 1_000_000), (990_000, 1_000_000)):
        hashes = merkle.range_proof(lambda *_: bytes(32), begin, begin + 10_000, size)
        text = RangeProof(begin, begin + 10_000, tuple(hashes)).text
        assert len(text) <= 2_000
        assert parse_range(text) == RangeProof(begin, begin + 10_000, tuple(hashes))


def test_bounds_of_periods() -> None:
    assert period_bounds("2026-Q4") == ("2026-10-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z")
    assert period_bounds("2026-12") == ("2026-12-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z")
    assert period_bounds("2026-02")[1] == "2026-03-01T00:00:00.000000Z"
    assert period_bounds("2026") == ("2026-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z")
    assert period_bounds("2026-10-05") == ("2026-10-05T00:00:00.000000Z", "2026-10-06T00:00:00.000000Z")
    assert period_bounds("2028-02-29")[1] == "2028-03-01T00:00:00.000000Z"
    assert period_bounds("2026-12-31")[1] == "2027-01-01T00:00:00.000000Z"
    for wrong in ("2026-02-29", "2026-10-32", "2026-10-5", "2026-Q4-01", "2026-Q5", "2026-13", "26-Q1", "2026-q4", "", "2026-Q4 "):
        with pytest.raises(Invalid, match="not a period"):
            period_bounds(wrong)


def test_an_entry_of_another_stream_of_the_same_change_is_no_move() -> None:
    story = PeriodStory()
    story.steps[12] = Step("packet:issue", "change/RC-8", at(12, 1), {"change": "RC-8", "statement_sha256": "0" * 64})
    packet, trust = story.packet(), story.trust
    assert ours(packet, trust)["exit_code"] == 0
    assert ours(packet, trust) == by_program(packet, trust) == in_node([(packet, trust)])[0]
