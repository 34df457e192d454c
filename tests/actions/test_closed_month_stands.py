"""Nothing that is learnt after a close changes its bytes: price imports of every kind, late calls and another owner become corrections of the open month only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import select

from governor.actions.close_period import close, closed_files, status
from governor.actions.context import SYSTEM
from governor.actions.correct import pending_corrections
from governor.actions.import_prices import import_prices
from governor.actions.statement_files import Pin, compute, print_files
from governor.ledger.canonical import canonical_json, sha256_hex
from governor.prices.formats import read_prices
from governor.store.rows.periods import Period, PeriodLine
from tests.actions.test_close_period import LIST, MORE, NOVEMBER, OCTOBER, calls, prices
from tests.actions.test_close_period import month as open_month  # noqa: F401 - a fixture

HEAD = "provider,model,meter,amount,per,valid_from\n"
BACKDATED = datetime(2026, 10, 10, tzinfo=UTC)
REMAPPED = MORE.replace('cost_center: "CC 52/00"', "cost_center: CC-77\nvalid_from: 2026-10-01")
FNOL_IN = 40 * 10_007  # input tokens of October at gpt-4o, all on the 5th
ADS_IN = 25 * 3_001
MICRO = 10**6  # pico-USD a token for a dollar a million


@pytest.fixture
def month(open_month: Any) -> Any:  # noqa: F811 - the fixture
    """October is closed, an hour ago."""
    close(open_month.ctx, open_month.person("finn"), OCTOBER)
    open_month.later(hours=1)
    return open_month


def imported(text: str) -> Callable[[Any], None]:
    def happens(month: Any) -> None:
        import_prices(month.ctx, month.person("finn"), read_prices(HEAD + text, "later.csv"))

    return happens


def late(month: Any) -> None:
    calls(month, "late", count=4, tokens=(1_000_000, 0), at=datetime(2026, 10, 30, tzinfo=UTC))


def remapped(month: Any) -> None:
    month.apply(REMAPPED)


# what happens after the close -> pico-USD that the open month corrects
EVENTS: dict[str, tuple[Callable[[Any], None], int]] = {
    "raise": (imported("openai,gpt-4o,input,3.1,1000000,\n"), FNOL_IN * 600_000),
    "cut": (imported("openai,gpt-4o-mini,input,0.05,1000000,\n"), -ADS_IN * 100_000),
    "new SKU": (imported("openai,gpt-9,input,7,1000000,\nopenai,gpt-9,output,9,1000000,\n"), 0),
    "backdated row of a day after the calls": (imported("openai,gpt-4o,input,9,1000000,2026-10-10\n"), 0),
    "backdated row of a day before the calls": (imported("openai,gpt-4o,input,9,1000000,2026-10-02\n"), FNOL_IN * 6_500_000),
    "row of a later month": (imported("openai,gpt-4o,input,1,1000000,2026-12-01\n"), 0),
    "late calls": (late, 4 * 1_000_000 * 2_500_000),
    "another cost center": (remapped, 0),
}


def again(month: Any) -> dict[str, Any]:
    """The document of October, computed once more from what its close was pinned to; every file is a function of it."""
    with month.ctx.rows.session() as session:
        period = session.get(Period, (month.ctx.org, OCTOBER))
        assert period is not None
        assert period.snapshot is not None
        assert period.catalog_as_of is not None
        pin = Pin(OCTOBER, period.snapshot, period.catalog_as_of, period.closed_by)
    return compute(month.ctx, pin).document


def printed(month: Any) -> dict[str, str]:
    return {file.name: file.sha256 for file in print_files(again(month))}


def sealed(month: Any) -> dict[str, str]:
    """Name -> digest of October's stored files, each hashed anew."""
    files = closed_files(month.ctx, OCTOBER)[1]
    assert all(sha256_hex(file.body) == file.sha256 for file in files)
    return {file.name: file.sha256 for file in files}


def lines(month: Any) -> list[str]:
    with month.ctx.rows.session() as session:
        return sorted(session.exec(select(PeriodLine.body).where(PeriodLine.month == OCTOBER)))


@pytest.mark.parametrize("event", EVENTS)
def test_after_each_event_a_close_prints_the_same_bytes(event: str, month: Any) -> None:
    happens, expected = EVENTS[event]
    before, charged, answer = sealed(month), lines(month), status(month.ctx, OCTOBER)
    happens(month)
    assert sealed(month) == before
    document = sha256_hex(canonical_json(again(month)))
    assert document == before[f"statement-{OCTOBER}.json"], "re-priced from the pin: the book, the catalog and the lake as they were known"
    assert (lines(month), status(month.ctx, OCTOBER)) == (charged, answer)
    assert close(month.ctx, month.person("finn"), OCTOBER)["files"] == answer["files"]
    found = pending_corrections(month.ctx, NOVEMBER)
    assert sum(line.contracted_pico for line in found) == expected
    assert {line.charge_month for line in found} <= {OCTOBER}
    assert all(line.corrects or event == "late calls" for line in found)
    moved = {
        center: sum(line.contracted_pico for line in found if line.cost_center == center) for center in {line.cost_center for line in found}
    }
    if event == "another cost center":
        whole = ADS_IN * 150_000 + 25 * 1_499 * 600_000
        assert moved == {"CC 52/00": -whole, "CC-77": whole}, "taken from one, charged to the other, nothing made"
    elif expected == 0:
        assert found == []
    assert pending_corrections(month.ctx, OCTOBER) == [], "a month is never corrected in a statement of its own"


def test_all_of_them_together_are_corrected_once(month: Any) -> None:
    before = sealed(month)
    for happens, _ in EVENTS.values():
        month.later(minutes=5)
        happens(month)
    found = pending_corrections(month.ctx, NOVEMBER)
    exact = sum(line.contracted_pico for line in found)
    # gpt-4o input: 9 from 2 October until 10 October, when the later import's own row begins; the calls are of the 5th and the 30th
    assert exact == FNOL_IN * 6_500_000 + 4 * 1_000_000 * 9 * MICRO - ADS_IN * 100_000
    assert printed(month) == sealed(month) == before
    month.now = datetime(2026, 12, 2, tzinfo=UTC)
    november = close(month.ctx, month.person("finn"), NOVEMBER)
    assert Decimal(november["totals"]["corrections_total"]) == round(Decimal(exact).scaleb(-12), 2)
    assert pending_corrections(month.ctx, "2026-12") == [], "once"
    month.later(hours=1)
    import_prices(month.ctx, SYSTEM, prices())  # back to the list of before
    assert printed(month) == sealed(month) == before
    assert LIST["gpt-4o"] == ("2.5", "10")
