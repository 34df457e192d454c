"""Pulls a source's API by windows of time: pages, caps, holes, and a place to go on from after a crash.

Owns: the windows, the cursor, noticing a cap. Does not own: an API's questions and answers (connectors/pulls), HTTP (ports.SourceDoor), reading records.
Invariants: the cursor passes a window only with the batch that completes it; a window that a source cuts off is read again in narrower ones; one that cannot
be narrowed is reported as a hole, never passed in silence; what is read twice has the same ids, so the lake stores it once.

A source may stop at 10,000 rows and say nothing. A window counts as cut off when it reached the source's known cap, when fewer rows came than the source
itself counted, or when a source without a count ended on exactly a round number. A count that is the same whatever window is asked for is no count of a
window and is left out. Rows arrive late, so each pull begins `overlap_seconds` before its cursor.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Protocol

from connectors.batches import empty_batch
from governor.errors import Invalid, TooLarge, Unavailable
from governor.ports import Batch, Payload, ReadOptions, SeenWindow

log = logging.getLogger(__name__)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# seconds; each step divides the one before, so that windows never cross an hour
LADDER: Final = (86_400.0, 21_600.0, 3_600.0, 1_800.0, 900.0, 300.0, 60.0, 30.0, 15.0, 5.0, 1.0, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001)
FIRST_STEP: Final = LADDER.index(3_600.0)
ROUND: Final = frozenset({500, 1_000, 2_000, 5_000, 10_000, 20_000, 25_000, 50_000, 100_000, 500_000, 1_000_000})
OVERLAP_S: Final = 7_200.0
FIRST_DAYS: Final = 30.0
HELD_BYTES: Final = 32 << 20
HELD_ROWS: Final = 20_000

Read = Callable[[Iterable[Payload], ReadOptions], Iterator[Batch]]


@dataclass(frozen=True)
class Window:
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Page:
    """body: what the connector reads; rows: how many records are in it; following: asks for the next page, empty on the last one;
    said: how many records the source counts in the window; open_ended: `said` is a floor, there may be more; ids: of the records, where pages are
    told apart by a number only and may move while they are read.
    """

    body: bytes
    rows: int
    following: str = ""
    said: int | None = None
    open_ended: bool = False
    ids: tuple[str, ...] = ()


class Paged(Protocol):
    """One API. cap: rows after which it stops in silence, 0 for none known; finest_s: the shortest window it can tell apart."""

    @property
    def name(self) -> str: ...
    @property
    def cap(self) -> int: ...
    @property
    def page_rows(self) -> int: ...
    @property
    def finest_s(self) -> float: ...

    def page(self, window: Window, token: str) -> Page:
        """The page that `token` asks for, empty for the first."""
        ...


@dataclass(frozen=True)
class Place:
    """How far a pull came: all before `reached` is stored; `token` is the next page of the window that ends at `end`, first asked for `asked`."""

    reached: datetime
    end: datetime | None = None
    token: str = ""
    rows: int = 0
    asked: datetime | None = None

    @classmethod
    def parse(cls, cursor: str) -> Place:
        try:
            if not cursor.startswith("{"):
                return cls(moment(cursor))
            found = json.loads(cursor)
            asked = moment(found.get("asked", found["end"]))
            return cls(moment(found["reached"]), moment(found["end"]), str(found["token"]), int(found["rows"]), asked)
        except (KeyError, TypeError, ValueError) as error:
            raise Invalid(f"cursor {cursor[:80]!r} is none of a paged pull") from error

    def text(self) -> str:
        if not self.token or self.end is None:
            return iso(self.reached)
        place = {"reached": iso(self.reached), "end": iso(self.end), "token": self.token, "rows": self.rows}
        return json.dumps(place | ({"asked": iso(self.asked)} if self.asked else {}))


def pull(cursor: str | None, options: ReadOptions, source: Paged, read: Read) -> Iterator[tuple[Batch, str]]:
    """Every window from the cursor to now. Options: `since` (first pull), `overlap_seconds`, `settle_seconds` (how fresh is not asked yet)."""
    config = options.config
    until = config["now"].astimezone(UTC).replace(microsecond=0) - timedelta(seconds=number(config, "settle_seconds", 0.0))
    resumed = Place.parse(cursor) if cursor else None
    at = begin(resumed, config, until)
    step, counts = FIRST_STEP, True
    while at < until:
        if resumed is not None and resumed.token and resumed.end is not None:
            window = Window(resumed.reached, resumed.end)
        else:
            resumed = None
            while step + 1 < len(LADDER) and (at - EPOCH) % timedelta(seconds=LADDER[step]):  # a window begins where one of its kind begins
                step += 1
            window = Window(at, min(at + timedelta(seconds=LADDER[step]), until))
        outcome = _Outcome()
        last = step + 1 >= len(LADDER) or LADDER[step + 1] < source.finest_s
        yield from _window(window, resumed, source, read, options, outcome, narrowest=last, counts=counts)
        if outcome.cut and not last and resumed is None:
            if outcome.said and _whatever_window(source, window, outcome.said):
                log.warning("%s counts %s rows whatever window it is asked for: its count is left out", source.name, f"{outcome.said:,}")
                counts = False
            else:
                step += 1
            continue
        if resumed is not None:  # its first pages belong to an earlier run: the whole window again, or what came late since that run
            late = begin(Place(resumed.asked or resumed.reached), config, until)
            at, resumed = min(window.start if outcome.cut else window.end, late), None
            step = min(step + 1, len(LADDER) - 1) if outcome.cut else step
            continue
        at = window.end
        step = _wider(step, at, outcome.rows, source)


def _whatever_window(source: Paged, window: Window, said: int) -> bool:
    """Whether a count is of more than the window: each of its halves counts as much. Narrower windows would come short down to the last one."""
    middle = window.start + (window.end - window.start) / 2
    return all(source.page(half, "").said == said for half in (Window(window.start, middle), Window(middle, window.end)))


def _wider(step: int, at: datetime, rows: int, source: Paged) -> int:
    """One step wider where little came and the wider window would begin where one of its kind begins."""
    little = rows * 8 <= (source.cap or 10_000)
    aligned = step > 0 and (at - EPOCH) % timedelta(seconds=LADDER[step - 1]) == timedelta(0)
    return step - 1 if little and aligned else step


@dataclass
class _Outcome:
    rows: int = 0
    cut: bool = False
    said: int | None = None


def _window(
    window: Window,
    resumed: Place | None,
    source: Paged,
    read: Read,
    options: ReadOptions,
    outcome: _Outcome,
    *,
    narrowest: bool,
    counts: bool,
) -> Iterator[tuple[Batch, str]]:
    """The pages of one window. Whole batches of pages go out on the way; the last batch passes the window."""
    token, outcome.rows = (resumed.token, resumed.rows) if resumed else ("", 0)
    first, held, said, more, seen = True, _Held(), None, False, set[bytes]()
    known, moved = set[str](), False
    while True:
        try:
            page = source.page(window, token)
        except Invalid as error:
            if not (first and resumed) and (narrowest or not isinstance(error, TooLarge)):
                raise
            outcome.cut = True  # the source has forgotten this page, or it is too large: the window again, or a narrower one
            return
        first = False
        if _again(page, seen, source.name, complete=said is not None and outcome.rows >= said and not more):
            break
        outcome.rows += page.rows
        moved = moved or not known.isdisjoint(page.ids)
        known.update(page.ids)
        # where rows are deleted meanwhile, pages move up past what was not read: only the count of before shows it
        said, more = (max(page.said, said or 0), page.open_ended) if counts and page.said is not None else (said, more)
        if not narrowest and said is not None and source.cap and said >= source.cap:
            outcome.cut = True  # it will not show all of them: no need to read on
            return
        held.add(page)
        if not page.following or not page.rows:
            break
        token = page.following
        if held.full:
            asked = resumed.asked if resumed else options.config["now"]
            place = Place(window.start, window.end, token, outcome.rows, asked)
            yield from held.batches(f"{source.name}:{iso(window.start)}", read, options, before=Place(window.start), after=place)
    why = cut_off(source, outcome.rows, said, open_ended=more)
    why = why or ("a row came on two pages: as they moved, another may have been passed over" if moved else "")
    if why and not narrowest:
        outcome.cut, outcome.said = True, None if more else said
        return
    if options.saw is not None:
        options.saw(SeenWindow(window.start, window.end, outcome.rows, said if not more else None, why))
    place = Place(window.end)
    yield from held.batches(f"{source.name}:{iso(window.start)}", read, options, before=Place(window.start), after=place)


def _again(page: Page, seen: set[bytes], name: str, *, complete: bool) -> bool:
    """Asked for a page behind the last one, some sources give the last one again. Raises Unavailable where it is not the last one."""
    digest = sha256(page.body).digest()
    if digest in seen and not complete:
        raise Unavailable(f"{name} gave the same page twice", hint="does a proxy drop its number? Nothing was passed over")
    came = digest in seen
    seen.add(digest)
    return came


def cut_off(source: Paged, rows: int, said: int | None, *, open_ended: bool) -> str:
    """Why a window cannot be taken for whole; empty when it can."""
    if source.cap and rows == source.cap:
        return f"the source stops at {source.cap:,} rows"
    if said is not None and rows < said and not open_ended:
        return f"the source counts {said:,} rows and gave {rows:,}"
    if said is None and rows > source.page_rows and rows in ROUND:
        return f"exactly {rows:,} rows came: the source may stop there"
    return ""


class _Held:
    """Pages until they are worth a batch."""

    def __init__(self) -> None:
        self._pages: list[Page] = []

    def add(self, page: Page) -> None:
        if page.rows:
            self._pages.append(page)

    @property
    def full(self) -> bool:
        return sum(page.rows for page in self._pages) >= HELD_ROWS or sum(len(page.body) for page in self._pages) >= HELD_BYTES

    def batches(self, uri: str, read: Read, options: ReadOptions, *, before: Place, after: Place) -> Iterator[tuple[Batch, str]]:
        """Only the last batch moves the cursor to `after`; an empty one does where nothing came."""
        payloads = [Payload(uri=f"{uri}#{number}", body=page.body) for number, page in enumerate(self._pages)]
        self._pages = []
        waiting: Batch | None = None
        for batch in read(payloads, replace(options, saw=None, door=None)) if payloads else ():
            if waiting is not None:
                yield waiting, before.text()
            waiting = batch
        yield waiting if waiting is not None else empty_batch(), after.text()


def begin(resumed: Place | None, config: Any, until: datetime) -> datetime:
    """Where a pull starts, on a full hour so that windows and hours agree."""
    if resumed is not None:
        at = resumed.reached - timedelta(seconds=number(config, "overlap_seconds", OVERLAP_S))
    elif config.get("since"):
        at = moment(str(config["since"]))
    else:
        at = until - timedelta(days=FIRST_DAYS)
    return at.replace(minute=0, second=0, microsecond=0)


def number(config: Any, name: str, default: float) -> float:
    try:
        found = float(config.get(name, default))
    except (TypeError, ValueError):
        found = -1.0
    if not 0 <= found <= 1e9:  # noqa: PLR2004 - 30 years; a time less infinity is none
        raise Invalid(f"config.{name} is no number of seconds from 0 up")
    return found


def setting(config: Any, name: str, example: str) -> str:
    """A setting that a pull cannot do without. Raises Invalid naming it."""
    found = config.get(name)
    if not isinstance(found, str) or not found:
        raise Invalid(f"the source has no `{name}`", hint=f"config: {{{name}: {example}}} in the source document")
    return found


def moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"{text[:80]!r} is no time", hint="an ISO 8601 instant such as 2026-10-01T00:00:00Z") from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def iso(at: datetime) -> str:
    """RFC 3339 in UTC, with microseconds only where there are some."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
