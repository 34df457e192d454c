"""What a change says comes next: it depends on how its newest run ended, not on its state alone."""

import pytest

from governor.changes import next_step
from governor.cli.change_text import of_change
from governor.errors import Refused
from governor.shadow.plan import choose_metrics


@pytest.mark.parametrize(
    ("state", "last_run", "verdict", "says"),
    [
        ("draft", "", "", "run `governor change shadow ID`"),
        ("draft", "aborted_budget", "", "with a larger budget"),
        ("draft", "aborted_policy", "", "a candidate that policy allows"),
        ("draft", "invalid_baseline", "", "mend what the run says"),
        ("in_review", "done", "pass", "whose decision is missing"),
        ("in_review", "done", "fail", "governor change split ID"),
        ("in_review", "done", "inconclusive", "settle what is open"),
        ("shadowing", "aborted_budget", "", "under way"),
        ("approved", "done", "inconclusive", "cutover"),
    ],
)
def test_the_next_step_fits_how_the_run_ended(state: str, last_run: str, verdict: str, says: str) -> None:
    assert says in next_step(state, last_run, verdict)


def test_a_sample_that_is_too_small_is_told_what_all_promises_need() -> None:
    with pytest.raises(Refused) as refused:
        choose_metrics(("error", "timeout", "quality"), {"quality": "0.01"}, 50)
    assert (
        "50 traces cannot decide quality at a margin of 0.01, as 2 other promises: even perfect agreement needs 304"
        in refused.value.message
    )
    assert choose_metrics(("error", "timeout", "quality"), {"quality": "0.01"}, 304)


def test_on_a_terminal_the_next_command_names_the_change() -> None:
    said = of_change(next_step("in_review", "done", "pass"), "RC-12")
    assert said.startswith("`governor change show RC-12` says")
    assert "`governor change approve RC-12 --digest DIGEST" in said
