"""Months closed one after the other while everything moves that moves in a company: after each close all files tie, and what was charged for a month is what it costs."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from sqlmodel import select

from governor.actions import statement_files
from governor.actions.charge_month import charge_month
from governor.actions.close_period import close, files_of, stored
from governor.actions.context import SYSTEM
from governor.actions.correct import charged_lines, closed_months, pending_corrections
from governor.actions.import_prices import import_prices
from governor.actions.reopen_period import reopen
from governor.actions.verify_ledger import verify_ledger
from governor.chargeback.lines import line_of
from governor.chargeback.period import month_bounds, next_month
from governor.prices.formats import read_prices
from governor.store.rows.periods import Period, PeriodLine
from tests.actions.test_close_period import calls, prices

WORKFLOW = """
kind: workflow
id: {id}
owner: olga@acme.example
cost_center: "{center}"
{since}
risk_tier: low
data_class: internal
match:
  - {{metadata.workflow: {id}}}
routes:
  - {{id: a, provider: openai, model: gpt-4o, approved_until: 2029-03-31}}
  - {{id: b, provider: openai, model: gpt-4o-mini, approved_until: 2029-03-31}}
"""
EVEN = """
kind: allocation
id: search-evenly
valid_from: 2026-10-01
order: 10
method: even
source: {{cost_center: CC-SHARED}}
targets: [{targets}]
"""
AHEAD = """
kind: commitment
id: mini
valid_from: 2026-10-01
provider: openai
models: [gpt-4o-mini]
starts: 2026-12-01
ends: 2027-08-16
monthly_amount: "{amount}"
unused: {{cost_center: CC-FIN}}
"""
FEE = """
kind: rate_plan
id: fee
valid_from: 2026-10-01
plan: platform_fee
percent: "{percent}"
cost_centers: [CC-1]
recovers_to: CC-FIN
"""
RATE = "kind: fx_rate\ncurrency: {currency}\nperiod: {month}\nrate: '{rate}'\nsource: ECB\ndate: {month}-28\n"
CURRENCY = "kind: organization\nmonth_end: {{currency: {currency}, corrections: {style}}}\nvalid_from: {since}\n"
PICO = 10**12
PER = {"gpt-4o": (2_500_000, 10_000_000), "gpt-4o-mini": (150_000, 600_000)}


class Books:
    """What should be, kept by hand: calls by month, prices, what is bought ahead."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.used: dict[str, list[tuple[str, str, int, int, int]]] = defaultdict(list)
        self.input_rate: dict[str, int] = {}  # month -> gpt-4o's input, where a list put it right
        self.ahead = Fraction(0)
        self.runs = 0

    def call(self, month: str, workflow: str, model: str, count: int, tokens: tuple[int, int]) -> None:
        self.runs += 1
        begin = month_bounds(month)[0] + timedelta(days=5)
        calls(self.world, f"{month}-{self.runs}", count=count, workflow=workflow, model=model, tokens=tokens, at=begin)
        self.used[month].append((workflow, model, count, *tokens))

    def worth(self, month: str, model: str) -> int:
        return sum(
            count * (a * (self.input_rate.get(month, PER[model][0]) if model == "gpt-4o" else PER[model][0]) + b * PER[model][1])
            for _, one, count, a, b in self.used[month]
            if one == model
        )

    def cost(self, month: str) -> int:
        """Of the month as it is known now: what its calls are worth, or what was paid ahead where that is more."""
        begin, end = month_bounds(month)
        first, last = max(begin, datetime(2026, 12, 1, tzinfo=UTC)), min(end, datetime(2027, 8, 16, tzinfo=UTC))
        part = Fraction(max(0, int((last - first).total_seconds())), int((end - begin).total_seconds()))
        return self.worth(month, "gpt-4o") + max(self.worth(month, "gpt-4o-mini"), round(self.ahead * PICO * part))


def lines_of(world: Any) -> list[tuple[str, Any]]:
    with world.ctx.rows.session() as session:
        return [(row.month, line_of(json.loads(row.body))) for row in session.exec(select(PeriodLine))]


def added(body: bytes, column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in csv.DictReader(io.StringIO(body.decode())) if row[column]), Decimal(0))


def tied(books: Books, month: str) -> dict[str, Any]:
    """Every file of the month says the same, and every closed month was charged what it costs, by statement and in the sum of its corrections."""
    world = books.world
    with world.ctx.rows.session() as session:
        files = {file.name: file.body for file in files_of(session, world.ctx.org, month)}
        answer = stored(session.get(Period, (world.ctx.org, month)))
    document, manifest = json.loads(files[f"statement-{month}.json"]), json.loads(files["manifest.json"])
    local = "local_total" in document["totals"]
    total = Decimal(document["totals"]["statement_total"])
    stated = Decimal(document["totals"]["local_total"]) if local else total
    mine = [line for name, line in lines_of(world) if name == month]
    exact = sum(line.contracted_pico for line in mine)
    assert total == round(Decimal(exact).scaleb(-12), 2), month
    if local:
        assert stated == round(total * Decimal(document["fx"]["rate"]), 0 if document["fx"]["currency"] == "JPY" else 2), month
    focus, journal = files[f"focus-{month}.csv"], files[f"journal-{month}.csv"]
    assert added(focus, "BilledCost") == stated, month
    assert (
        sum(added(body, "amount") for name, body in files.items() if name.startswith(f"statement-{month}-") and name.endswith(".csv"))
        == total
    )
    debit, credit = ("local_debit", "local_credit") if local else ("debit", "credit")
    assert added(journal, debit) == added(journal, credit), month
    posted = csv.DictReader(io.StringIO(journal.decode()))
    assert sum((Decimal(row[debit] or 0) - Decimal(row[credit] or 0) for row in posted if row["cost_center"]), Decimal(0)) == stated, month
    assert Decimal(manifest["total"]) == total
    entry = world.entries("period:close")[-1]["payload"]
    assert entry["totals"] == document["totals"] == answer["totals"]
    for center in document["cost_centers"]:
        members = [line for name in ("lines", "internal", "commitments", "corrections") for line in center[name]]
        assert sum(Decimal(line["amount"]) for line in members) == Decimal(center["total"])
    charged: dict[str, int] = defaultdict(int)
    for _, line in lines_of(world):
        charged[line.charge_month] += line.contracted_pico
    assert dict(charged) == {name: books.cost(name) for name in charged}, month
    return document


def late_calls(books: Books, month: str, before: str) -> None:
    books.call(before, "claims", "gpt-4o", 11, (5_003, 77))
    books.call(before, "search", "gpt-4o-mini", 2, (999_999, 1))


def bought_ahead(amount: str) -> Any:
    def happens(books: Books, month: str, before: str) -> None:
        books.world.apply(AHEAD.format(amount=amount), books.world.person("finn"))
        books.ahead = Fraction(amount)

    return happens


def price_put_right(books: Books, month: str, before: str) -> None:
    """It was wrong since November."""
    text = "provider,model,meter,amount,per,valid_from\nopenai,gpt-4o,input,2.0001,1000000,2026-11-01\n"
    import_prices(books.world.ctx, SYSTEM, read_prices(text, "put-right.csv"))
    books.input_rate = dict.fromkeys(["2026-11", "2026-12", *(f"2027-{number:02d}" for number in range(1, 13))], 2_000_100)


def renamed(books: Books, month: str, before: str) -> None:
    books.world.apply(WORKFLOW.format(id="ads", center="CC-2B", since="valid_from: 2026-12-01"))


def others_share(books: Books, month: str, before: str) -> None:
    books.world.apply(EVEN.format(targets="CC-1, CC-2B, CC-3"), books.world.person("finn"))


def in_currency(currency: str, style: str, rate: str) -> Any:
    def happens(books: Books, month: str, before: str) -> None:
        books.world.apply(CURRENCY.format(currency=currency, style=style, since=f"{month}-01"))
        books.world.apply(RATE.format(currency=currency, month=month, rate=rate), books.world.person("finn"))

    return happens


def closed_and_reopened(books: Books, month: str, before: str) -> None:
    world, finn = books.world, books.world.person("finn")
    close(world.ctx, finn, month)
    assert tied(books, month)["version"] == 1
    reopen(world.ctx, finn, month, "calls were missing")
    reopen(world.ctx, world.person("multi"), month)
    books.call(month, "ads", "gpt-4o-mini", 1, (123_456_789, 10))


def half_over(books: Books, month: str, before: str) -> None:
    books.world.now = month_bounds(month)[0] + timedelta(days=15)


MONTHS = (
    [],
    [],
    [late_calls, bought_ahead("0.9876543"), price_put_right],
    [renamed, in_currency("EUR", "ledger", "0.93637"), closed_and_reopened],
    [late_calls, in_currency("EUR", "ledger", "0.87731"), bought_ahead("1.25"), others_share],
    [half_over, in_currency("JPY", "delta", "151.37")],
    [late_calls, in_currency("JPY", "delta", "149.02"), bought_ahead("0.5")],
)


def test_what_months_in_a_row_charge_is_what_they_cost(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    printer = statement_files.renderer
    monkeypatch.setattr(
        statement_files, "renderer", lambda name: (lambda _: b"%PDF") if name == "statement_pdf" else printer(name)
    )  # half the time
    books, finn = Books(world), world.person("finn")
    for name, center in {"claims": "CC-1", "ads": "CC-2", "search": "CC-SHARED"}.items():
        world.apply(WORKFLOW.format(id=name, center=center, since="valid_from: 2026-10-01"))
    import_prices(world.ctx, SYSTEM, prices())
    world.apply(EVEN.format(targets="CC-1, CC-2"), finn)
    world.apply(FEE.format(percent="7.5"), finn)
    month = "2026-10"
    for number, happened in enumerate(MONTHS):
        after = month_bounds(next_month(month))[0]
        books.call(month, "claims", "gpt-4o", 7 + number, (10_007 + number, 333))
        books.call(month, "ads", "gpt-4o-mini", 5, (300_001 * (number + 1), 1_499))
        books.call(month, "search", "gpt-4o-mini", 3, (70_001, 9_999 + number))
        world.now = after + timedelta(days=3)
        for event in happened:
            event(books, month, (after - timedelta(days=75)).strftime("%Y-%m"))
        close(world.ctx, finn, month)
        tied(books, month)
        month = next_month(month)
    assert pending_corrections(world.ctx, month) == [], "nothing is left to put right"
    with world.ctx.rows.session() as session:
        charged = {name: charged_lines(session, world.ctx.org, name) for name in closed_months(session, world.ctx.org)}
    for name, lines in charged.items():
        assert sums(lines) == sums(charge_month(world.ctx, name).lines), f"{name}: each cost center bears what it would bear today"
    assert verify_ledger(world.ctx).problems == []


def sums(lines: list[Any]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for line in lines:
        found[line.cost_center] += line.contracted_pico
    return {name: pico for name, pico in found.items() if pico}
