"""What is remembered: never that of another state of the records, and only the newest state takes room."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from governor.actions import remembered as memory
from governor.actions.remembered import KEPT, REMEMBERED, older_told, one_state, remembered, settle, soon


class Records:
    """Stands for an opened organization; counts how often its state was looked at."""

    def __init__(self) -> None:
        self.org, self.settings, self.rows = "acme", SimpleNamespace(database=f"records {id(self)}"), self
        self.lake, self.snapshot, self.at, self.looked = self, 1, datetime(2026, 11, 1, tzinfo=UTC), 0

    def session(self) -> Any:
        return self

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def snapshot_id(self) -> int:
        self.looked += 1
        return self.snapshot

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(memory, "tree_size", lambda _session, _org: 7)
    monkeypatch.setattr(memory, "_memory", type(memory._memory)())
    return Records()


def test_an_older_state_is_neither_told_nor_kept(records: Any) -> None:
    assert [remembered(records, "month", lambda: "first") for _ in range(2)] == ["first", "first"]
    assert remembered(records, "month", lambda: "not asked") == "first"
    records.snapshot = 2
    assert remembered(records, "month", lambda: "second") == "second"
    assert [entry[2] for entry in memory._memory.values()] == ["second"]
    records.at += KEPT + timedelta(seconds=1)
    assert remembered(records, "month", lambda: "third") == "third"


def test_what_is_asked_for_stays(records: Any) -> None:
    remembered(records, "month", lambda: "kept")
    for number in range(REMEMBERED * 2):
        remembered(records, f"other {number}", lambda: "other")
        assert remembered(records, "month", lambda: "forgotten") == "kept"
    assert len(memory._memory) == REMEMBERED


def test_what_is_too_old_to_be_told_takes_no_room(records: Any) -> None:
    remembered(records, "a month that somebody looked at", lambda: "many groups")
    records.at += KEPT - timedelta(seconds=1)
    remembered(records, "another", lambda: "other")
    assert len(memory._memory) == 2
    records.at += timedelta(seconds=1)
    remembered(records, "a third", lambda: "third")
    assert [name for _, _, name in memory._memory] == ["another", "a third"]


def test_a_document_of_many_parts_looks_at_the_state_once(records: Any) -> None:
    with one_state(records):
        before = records.looked
        for number in range(5):
            remembered(records, f"part {number}", lambda: "part")
        assert records.looked == before
    records.snapshot = 2
    assert remembered(records, "part 1", lambda: "newer") == "newer"


def test_of_several_who_ask_at_once_one_has_it_made(records: Any) -> None:
    made: list[int] = []

    def compute() -> int:
        time.sleep(0.2)
        made.append(1)
        return len(made)

    with ThreadPoolExecutor(4) as people:
        assert list(people.map(lambda _: remembered(records, "month", compute), range(4))) == [1, 1, 1, 1]


def test_after_a_failure_the_next_who_asks_has_it_made(records: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        remembered(records, "month", lambda: 1 // 0)
    with ThreadPoolExecutor(1) as people:
        assert people.submit(remembered, records, "month", lambda: "made").result(5) == "made"


@pytest.fixture
def impatient(records: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A reader who waits a hundredth of a second, before records of which an answer is known and to which calls came."""
    monkeypatch.setattr(memory, "only_of_type", lambda *_: records.only_calls)
    records.only_calls = True
    remembered(records, "month", lambda: "older")
    records.snapshot, records.at = 2, records.at + timedelta(seconds=30)
    soon(0.01)
    yield records
    soon(None)


class Slow:
    """An answer that is not finished before it may be."""

    def __init__(self) -> None:
        self.begun, self.go = Event(), Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.go.wait(5)
        return "newer"

    def finish(self, records: Any) -> None:
        assert self.begun.wait(5)
        self.go.set()
        settle(records)


def test_who_will_not_wait_is_told_the_older_answer_and_of_when_it_is(impatient: Any) -> None:
    newer = Slow()
    assert remembered(impatient, "month", newer) == "older"
    assert older_told() == impatient.at - timedelta(seconds=30)
    newer.finish(impatient)
    soon(0.01)
    assert (remembered(impatient, "month", lambda: "not asked"), older_told()) == ("newer", None)


def test_what_was_made_of_an_older_answer_is_not_kept_as_the_newest(impatient: Any) -> None:
    """A page's own sums, asked for the first time, over a month that is being counted anew."""
    newer = Slow()
    assert remembered(impatient, "days", lambda: f"days of {remembered(impatient, 'month', newer)}") == "days of older"
    assert older_told() == impatient.at - timedelta(seconds=30)
    newer.finish(impatient)
    soon(None)
    assert remembered(impatient, "days", lambda: f"days of {remembered(impatient, 'month', lambda: 'not asked')}") == "days of newer"


def test_what_is_quick_is_told_as_it_is_now(impatient: Any) -> None:
    soon(30)
    assert (remembered(impatient, "month", lambda: "newer"), older_told()) == ("newer", None)


def test_an_older_answer_will_not_do_where_more_than_calls_came(impatient: Any) -> None:
    impatient.only_calls = False
    assert (remembered(impatient, "month", lambda: time.sleep(0.1) or "newer"), older_told()) == ("newer", None)


def test_an_older_answer_will_not_do_once_it_is_too_old(impatient: Any) -> None:
    impatient.at += KEPT
    assert (remembered(impatient, "month", lambda: time.sleep(0.1) or "newer"), older_told()) == ("newer", None)


def test_an_answer_is_made_once_at_a_time_however_fast_calls_come(impatient: Any) -> None:
    newer, again = Slow(), Slow()
    assert remembered(impatient, "month", newer) == "older"
    impatient.snapshot = 3
    assert remembered(impatient, "month", again) == "older"
    newer.finish(impatient)
    assert not again.begun.is_set()


def test_a_failure_nobody_waited_for_is_told_to_the_next(impatient: Any, caplog: pytest.LogCaptureFixture) -> None:
    newer = Slow()
    assert remembered(impatient, "month", lambda: newer() and 1 // 0) == "older"
    newer.finish(impatient)
    assert "month could not be counted anew" in caplog.text
    soon(30)
    with pytest.raises(ZeroDivisionError):
        remembered(impatient, "month", lambda: 1 // 0)
