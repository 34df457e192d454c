"""Budgets over real days: reached is reached, told is told once, and causes of a difference sum to it."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlmodel import select

from governor.actions import load_catalog
from governor.actions.apply import apply
from governor.actions.context import OPERATOR, Context, open_context
from governor.actions.explain_spend import explain_spend
from governor.actions.findings import findings
from governor.actions.forecast_month import forecast_document
from governor.actions.ingest import ingest
from governor.actions.init_home import init_home
from governor.actions.notify import notices, notify_test
from governor.actions.show_budgets import show_budgets, tenths
from governor.actions.show_spend import show_spend
from governor.actions.usage import usage_report
from governor.actions.watch import watch
from governor.catalog import parse_documents
from governor.demo.catalog import catalog_yaml
from governor.demo.traffic import make_month
from governor.errors import Forbidden, Invalid, NotFound
from governor.settings import load_settings
from governor.store.rows.jobs import Job
from governor.store.rows.ledger import LedgerEntry
from governor.store.rows.periods import Period

MONTH = "2026-10"
HOOK = """
kind: notification
id: hook
channel: webhook
url: https://hooks.acme.example/in
secret: env:HOOK
events: [budget.threshold, budget.forecast]
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A month of traffic; the clock stands at noon of the 20th."""
    ctx = open_context(load_settings(home=tmp_path_factory.mktemp("budgets")), create=True)
    ctx.now = lambda: datetime(2026, 10, 20, 12, tzinfo=UTC)
    init_home(ctx, email="admin@acme.example", name="", billing_zone="UTC")
    documents = parse_documents(catalog_yaml("http://127.0.0.1:9/v1", "2027-03-31"))
    apply(ctx, OPERATOR, [one for one in documents if one.kind != "waiver"])
    month = make_month(tmp_path_factory.mktemp("traffic"), MONTH, calls=1500)
    ingest(ctx, OPERATOR, "litellm", [str(path) for path in month.files])
    yield ctx
    ctx.close()


def declare(ctx: Context, text: str) -> None:
    apply(ctx, OPERATOR, parse_documents(text))


def spent(ctx: Context) -> Decimal:
    return Decimal(forecast_document(ctx, MONTH)["spent"])


def test_spend_to_date_is_that_of_the_days(filled: Context) -> None:
    found = forecast_document(filled, MONTH)
    days = {row["day"]: Decimal(row["contracted_cost"]) for row in usage_report(filled, MONTH, ["day"])["rows"]}
    assert found["status"] == "forecast"
    assert found["unknown_from"] == "2026-10-20"
    assert {row["day"]: Decimal(row["spent"]) for row in found["days"]} == {day: cost for day, cost in days.items() if day < "2026-10-20"}
    assert spent(filled) == sum(cost for day, cost in days.items() if day <= "2026-10-20")
    assert Decimal(found["low"]) <= Decimal(found["forecast"]) <= Decimal(found["high"])


def test_many_budgets_read_the_catalog_as_often_as_few(filled: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    show_budgets(filled, MONTH)
    read = load_catalog.read_catalog
    times: list[str] = []
    monkeypatch.setattr(load_catalog, "read_catalog", lambda *asked: times.append("") or read(*asked))  # type: ignore[func-returns-value]
    rows = show_budgets(filled, MONTH)["rows"]
    assert len(times) < 5 < len(rows)


def test_many_crossings_at_once_read_the_catalog_as_often_as_one(filled: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    watch(filled)
    read = load_catalog.read_catalog
    times: list[str] = []
    monkeypatch.setattr(load_catalog, "read_catalog", lambda *asked: times.append("") or read(*asked))  # type: ignore[func-returns-value]

    def reads(name: str, budgets: int) -> int:
        one = "kind: budget\nid: {}-{}\nscope: {{organization: true}}\nmonthly: '0.01'\nthresholds: [50, 100]\n"
        declare(filled, "---\n".join(one.format(name, place) for place in range(budgets)))
        times.clear()
        assert watch(filled) == 2 * budgets
        return len(times)

    assert reads("one", 1) == reads("many", 20)


def test_as_of_looks_at_nothing_later(filled: Context) -> None:
    early = forecast_document(filled, MONTH, as_of=date(2026, 10, 5))
    assert (early["status"], early["forecast"], early["days"][-1]["day"]) == ("not_enough_history", None, "2026-10-04")
    with pytest.raises(Invalid, match="future"):
        forecast_document(filled, MONTH, as_of=date(2026, 10, 21))


def test_a_limit_is_reached_exactly_and_told_once(filled: Context) -> None:
    watch(filled)
    so_far = spent(filled)
    declare(filled, f"kind: budget\nid: exact\nscope: {{organization: true}}\nmonthly: '{so_far}'\nthresholds: [90, 100, 101]\n---{HOOK}")
    [row] = [one for one in show_budgets(filled, MONTH)["rows"] if one["budget"] == "exact"]
    assert (row["state"], row["percent"], row["left"], row["used_up_on"]) == ("over", "100.0", "0.00", "2026-10-20")
    assert [one["reached"] for one in row["thresholds"]] == [True, True, False]
    assert watch(filled) == 2
    assert watch(filled) == 0
    [row] = [one for one in show_budgets(filled, MONTH)["rows"] if one["budget"] == "exact"]
    assert [bool(one["told_at"]) for one in row["thresholds"]] == [True, True, False]
    with filled.rows.session() as session:
        entries = [one for one in session.exec(select(LedgerEntry)) if one.stream == "budget/exact"]
        jobs = list(session.exec(select(Job).where(Job.actor == "notify")))
    assert [one.type for one in entries] == ["budget:cross"] * 2
    assert not any(b"@" in one.leaf for one in entries)
    assert len(jobs) == 1  # the highest only
    told = [one for one in notices(filled) if one["data"]["budget"] == "exact"]
    assert sorted(one["data"]["threshold"] for one in told) == [90, 100]


def test_one_micro_below_the_limit_is_not_reached(filled: Context) -> None:
    limit = spent(filled) + Decimal("0.000000000001")
    declare(filled, f"kind: budget\nid: shy\nscope: {{organization: true}}\nmonthly: '{limit}'\nthresholds: [100]\nforecast: false\n")
    [row] = [one for one in show_budgets(filled, MONTH)["rows"] if one["budget"] == "shy"]
    assert (row["state"], row["percent"], row["left"]) == ("heading_over", "99.9", "0.000000000001")
    assert [one["reached"] for one in row["thresholds"]] == [False]
    watch(filled)
    assert not [one for one in notices(filled) if one["data"]["budget"] == "shy"]


def test_heading_over_is_told_once_and_a_raised_budget_is_a_new_limit(filled: Context) -> None:
    declare(filled, f"kind: budget\nid: ahead\nscope: {{organization: true}}\nmonthly: '{spent(filled) + 1}'\nthresholds: [100]\n")
    assert watch(filled) == 1
    assert watch(filled) == 0
    [told] = [one for one in notices(filled) if one["data"]["budget"] == "ahead"]
    assert (told["event"], told["path"]) == ("budget.forecast", f"/budgets?period={MONTH}")
    declare(filled, f"kind: budget\nid: ahead\nscope: {{organization: true}}\nmonthly: '{spent(filled) + 2}'\nthresholds: [100]\n")
    assert watch(filled) == 1


def test_a_workflows_monthly_budget_is_the_short_form(filled: Context) -> None:
    rows = {one["budget"]: one for one in show_budgets(filled, MONTH)["rows"]}
    row = rows["workflow:fnol-triage"]
    assert row["scope"] == {"workflow": "fnol-triage"}
    [used] = [
        one
        for one in usage_report(filled, MONTH, ["workflow", "day"])["rows"]
        if one["workflow"] == "fnol-triage" and one["day"] == "2026-10-20"
    ]
    assert Decimal(row["spent"]) < Decimal(row["limit"])
    assert Decimal(used["contracted_cost"]) > 0
    assert [one["percent"] for one in row["thresholds"]] == [50, 80, 100]


def test_causes_sum_to_the_difference(filled: Context) -> None:
    filled.now, now = (lambda: datetime(2026, 11, 3, tzinfo=UTC)), filled.now
    try:
        for only in ({}, {"owner": "dana@acme.example"}):
            found = explain_spend(filled, MONTH, only=only)
            assert Decimal(found["before"]) + sum(map(Decimal, found["terms"].values())) == Decimal(found["after"])
            assert Decimal(found["terms"]["new"]) == Decimal(found["after"]) > 0
        assert Decimal(explain_spend(filled, MONTH)["after"]) == Decimal(show_spend(filled, MONTH)["totals"]["contracted_cost"])
        same = explain_spend(filled, MONTH, against=MONTH)
        assert set(map(Decimal, same["terms"].values())) == {Decimal(0)}
    finally:
        filled.now = now


def test_a_running_month_is_compared_with_as_many_days(filled: Context) -> None:
    found = explain_spend(filled, MONTH)
    assert found["days"] == 19
    today = sum(Decimal(row["contracted_cost"]) for row in usage_report(filled, MONTH, ["day"])["rows"] if row["day"] == "2026-10-20")
    assert Decimal(found["after"]) == spent(filled) - today


def test_what_comes_after_the_newest_call_is_unknown_and_not_zero(filled: Context) -> None:
    filled.now, now = (lambda: datetime(2026, 11, 15, tzinfo=UTC)), filled.now
    try:
        found = forecast_document(filled, "2026-11")
        assert (found["unknown_from"], found["spent"]) == ("2026-10-22", "0.00")  # later calls were refused: they lay in the future
        assert Decimal(found["forecast"]) > 0
    finally:
        filled.now = now


def test_of_a_closed_month_nothing_more_is_expected(filled: Context) -> None:
    filled.now, now = (lambda: datetime(2026, 11, 15, tzinfo=UTC)), filled.now
    try:
        open_still = forecast_document(filled, MONTH)
        with filled.rows.session(write=True) as session:
            session.add(Period(org_id=filled.org, month=MONTH, state="closed"))
        found = forecast_document(filled, MONTH)
        assert Decimal(open_still["forecast"]) > Decimal(open_still["spent"]) == Decimal(found["spent"])
        assert (found["unknown_from"], found["forecast"], found["high"]) == ("2026-11-01", found["spent"], found["spent"])
    finally:
        filled.now = now
        with filled.rows.session(write=True) as session:
            session.delete(session.get_one(Period, (filled.org, MONTH)))


def test_a_test_notice_says_what_stands_in_the_way(filled: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    declare(filled, HOOK)
    with pytest.raises(Invalid, match="env:HOOK"):
        notify_test(filled, OPERATOR, "hook")
    monkeypatch.setenv("HOOK", "whsec_" + base64.b64encode(b"k" * 32).decode())
    with pytest.raises(NotFound, match="pager"):
        notify_test(filled, OPERATOR, "pager")


def test_only_an_admin_sends_a_test(filled: Context) -> None:
    from governor.actions.context import Actor

    with pytest.raises(Forbidden):
        notify_test(filled, Actor("p1", "finn@acme.example", roles=frozenset({"finance"})), "hook")


def test_percent_is_cut_and_not_rounded() -> None:
    assert (tenths(999), tenths(1000), tenths(5)) == ("99.9", "100.0", "0.5")


def test_new_violations_are_told_once(filled: Context) -> None:
    declare(filled, "kind: notification\nid: findings\nchannel: apprise\nsecret: env:CHAT\nevents: [finding.violation]\n")
    wanted = [one for one in findings(filled, MONTH) if one.status == "violation"]
    assert 0 < len(wanted) <= 50
    assert watch(filled) == len(wanted)
    assert watch(filled) == 0
    told = [one for one in notices(filled) if one["event"] == "finding.violation"]
    assert {(one["data"]["rule"], one["workflow"]) for one in told} == {(one.rule, one.workflow or None) for one in wanted}


def test_a_month_that_is_too_slow_is_told_once_though_its_numbers_move(
    filled: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each batch moved the p95 and the spend of the message, so that the same excess was told every five minutes; and after midnight of the first nobody
    heard of the last day any more.
    """
    declare(filled, "kind: notification\nid: findings\nchannel: apprise\nsecret: env:CHAT\nevents: [finding.violation]\n")
    declare(filled, re.sub(r"latency_target_ms: \d+", "latency_target_ms: 1", catalog_yaml("http://127.0.0.1:9/v1", "2027-03-31")))
    monkeypatch.setattr(filled, "now", lambda: datetime(2026, 10, 21, tzinfo=UTC))
    watch(filled)
    before = {one.message for one in findings(filled, MONTH) if one.status == "violation" and one.window}
    ingest(filled, OPERATOR, "litellm", [str(path) for path in make_month(tmp_path / "more", MONTH, calls=900, seed=7).files])
    monkeypatch.setattr(filled, "now", lambda: datetime(2026, 10, 25, tzinfo=UTC))
    watch(filled)
    after = {one.message for one in findings(filled, MONTH) if one.status == "violation" and one.window}
    assert before - after, "the numbers moved"
    late = make_month(tmp_path / "late", MONTH, calls=300, seed=8).files[-1]
    late.write_text(late.read_text().replace("gpt-4o", "gpt-odd"))
    monkeypatch.setattr(filled, "now", lambda: datetime(2026, 11, 1, 6, tzinfo=UTC))
    ingest(filled, OPERATOR, "litellm", [str(late)])
    watch(filled)
    told = [one for one in notices(filled) if one["event"] == "finding.violation"]
    assert {
        count for (rule, _), count in Counter((one["data"]["rule"], one["workflow"]) for one in told).items() if rule == "latency.target"
    } == {1}
    assert any("gpt-odd" in one["text"] and one["data"]["month"] == MONTH for one in told)
