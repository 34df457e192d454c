"""The way to a close and back: accrual, two people, reopening, corrections in both styles, disputes, who pays for shadow spend."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from sqlmodel import select

from governor.actions import close_period as close_module
from governor.actions import dispute_line as disputes_module
from governor.actions import sign_close as sign_module
from governor.actions import soft_close as soft_close_module
from governor.actions.accruals import accrual_document, accrual_of
from governor.actions.browse_periods import period_status
from governor.actions.charge_month import shadow_payer
from governor.actions.close_checklist import close_checklist
from governor.actions.close_period import close, files_of, finish, status
from governor.actions.correct import pending_corrections
from governor.actions.dispute_line import _of as disputes_of
from governor.actions.dispute_line import answer_dispute, dispute_line, list_disputes
from governor.actions.export_month import exported
from governor.actions.forecast_month import forecast_document
from governor.actions.import_prices import import_prices
from governor.actions.reopen_period import reopen, version_file, versions
from governor.actions.sign_close import signature, step, steps, withdraw
from governor.actions.soft_close import soft_close
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.catalog.organization import MonthEnd
from governor.errors import Forbidden, Invalid, NotFound, SeparationOfDuties, WrongState
from governor.ledger.canonical import canonical_json, sha256_hex
from governor.ports import Batch
from governor.store.rows.bills import Reconciliation
from governor.store.rows.periods import PeriodStep
from reports.focus_rules import check
from tests.actions.test_allocation import SEATS, SHARED, month  # noqa: F401 - a fixture
from tests.actions.test_close_period import AFTER, DECEMBER, MORE, NOVEMBER, OCTOBER, calls, prices

POLICY = "kind: organization\nmonth_end: {%s}\n"


@pytest.fixture
def ready(month: Any) -> Any:  # noqa: F811 - the fixture
    month.apply(SEATS, month.person("finn"))
    return month


def bodies(world: Any, name: str = OCTOBER) -> dict[str, bytes]:
    with world.ctx.rows.session() as session:
        return {file.name: file.body for file in files_of(session, world.ctx.org, name)}


def table(body: bytes | str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body if isinstance(body, str) else body.decode())))


def test_one_person_closes_by_default_and_two_where_asked_for(ready: Any) -> None:
    ready.apply(POLICY % "two_people: true")
    waiting = close(ready.ctx, ready.person("finn"), OCTOBER)
    assert waiting["state"] == "awaiting_second_person"
    assert close(ready.ctx, ready.person("finn"), OCTOBER)["state"] == "awaiting_second_person", "the same person twice is one person"
    assert bodies(ready) == {}
    assert close_checklist(ready.ctx, OCTOBER)["stage"] == "awaiting_second_person"
    calls(ready, "meanwhile", workflow="search", model="gpt-4o-mini")
    closed = close(ready.ctx, ready.person("multi"), OCTOBER)
    assert closed["state"] == "closed"
    assert closed["totals"] == waiting["totals"], "the second closes what the first signed"
    (entry,) = ready.entries("period:close")
    assert entry["payload"]["signed_by"] == [ready.person("finn").id, ready.person("multi").id]
    (signed,) = ready.entries("period:sign")
    assert signed["payload"]["manifest_sha256"] == entry["payload"]["manifest_sha256"]
    assert close(ready.ctx, ready.person("finn"), OCTOBER)["ledger_entry"] == closed["ledger_entry"]


def test_a_close_that_broke_off_can_be_taken_back(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    finn = ready.person("finn")
    with monkeypatch.context() as broken:
        broken.setattr(close_module, "print_files", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            close(ready.ctx, finn, OCTOBER)
    assert period_status(ready.ctx, OCTOBER)["state"] == "closing"
    calls(ready, "meanwhile", workflow="search", model="gpt-4o-mini")
    assert withdraw(ready.ctx, finn, OCTOBER, "not from these records")["state"] == "open"
    assert len(ready.entries("period:withdraw")) == 1
    before = status(ready.ctx, OCTOBER)["totals"]["contracted_cost"]
    assert close(ready.ctx, finn, OCTOBER)["totals"]["contracted_cost"] == before, "with the calls that came meanwhile"


def test_a_signature_can_be_withdrawn(ready: Any) -> None:
    ready.apply(POLICY % "two_people: true")
    with pytest.raises(WrongState, match="no close waits"):
        withdraw(ready.ctx, ready.person("finn"), OCTOBER)
    first = close(ready.ctx, ready.person("finn"), OCTOBER)
    calls(ready, "meanwhile", count=4000, workflow="search", model="gpt-4o-mini")
    withdraw(ready.ctx, ready.person("multi"), OCTOBER, "calls were missing")
    assert status(ready.ctx, OCTOBER)["state"] == "open"
    again = close(ready.ctx, ready.person("multi"), OCTOBER)
    assert again["state"] == "awaiting_second_person"
    assert Decimal(again["totals"]["contracted_cost"]) > Decimal(first["totals"]["contracted_cost"])
    assert close(ready.ctx, ready.person("finn"), OCTOBER)["state"] == "closed"


def test_reopening_takes_two_people_and_keeps_the_old_version(ready: Any) -> None:
    first = close(ready.ctx, ready.person("finn"), OCTOBER)
    before = bodies(ready)
    finn, multi = ready.person("finn"), ready.person("multi")
    with pytest.raises(Forbidden):
        reopen(ready.ctx, ready.person("dana"), OCTOBER, "x")
    with pytest.raises(Invalid, match="needs a reason"):
        reopen(ready.ctx, finn, OCTOBER)
    assert reopen(ready.ctx, finn, OCTOBER, "a whole source was missing")["state"] == "closed"
    with pytest.raises(SeparationOfDuties):
        reopen(ready.ctx, finn, OCTOBER)
    assert bodies(ready) == before
    assert reopen(ready.ctx, multi, OCTOBER)["state"] == "open"
    assert bodies(ready) == {}
    calls(ready, "late", count=3, workflow="search", model="gpt-4o-mini", tokens=(1_000_001, 7))
    second = close(ready.ctx, multi, OCTOBER)
    grown = Decimal(second["totals"]["contracted_cost"]) - Decimal(first["totals"]["contracted_cost"])
    assert grown == Decimal(3 * (1_000_001 * 150_000 + 7 * 600_000)) / 10**12, "the new version holds the late calls itself"
    assert second["version"] == 2
    assert json.loads(bodies(ready)["statement-2026-10.json"])["statement_number"].endswith("2026-10-v2")
    (kept,) = versions(ready.ctx, OCTOBER)
    assert (kept["version"], kept["reason"], kept["asked_by"], kept["agreed_by"]) == (
        1,
        "a whole source was missing",
        finn.email,
        multi.email,
    )
    assert {file["name"]: version_file(ready.ctx, OCTOBER, 1, file["name"]).body for file in kept["files"]} == before
    with pytest.raises(NotFound):
        version_file(ready.ctx, OCTOBER, 2, "manifest.json")
    assert [entry["payload"]["version"] for entry in ready.entries("period:close")] == [1, 2]
    assert pending_corrections(ready.ctx, NOVEMBER) == []


def test_a_month_is_not_reopened_while_a_later_one_that_corrects_it_is_being_closed(ready: Any) -> None:
    """Its late calls stood in the later month's corrections, and in its own new version as well."""
    finn, multi = ready.person("finn"), ready.person("multi")
    close(ready.ctx, finn, OCTOBER)
    calls(ready, "late", count=3, workflow="search", model="gpt-4o-mini", tokens=(1_000_001, 7))
    ready.later(days=30)
    reopen(ready.ctx, finn, OCTOBER, "late calls")
    ready.apply(POLICY % "two_people: true")
    assert close(ready.ctx, finn, NOVEMBER)["state"] == "awaiting_second_person"
    with pytest.raises(WrongState, match="2026-11 is being closed and may carry corrections of 2026-10"):
        reopen(ready.ctx, multi, OCTOBER)
    withdraw(ready.ctx, finn, NOVEMBER, "October first")
    assert reopen(ready.ctx, multi, OCTOBER)["state"] == "open"


def test_only_the_newest_closed_month_is_reopened(ready: Any) -> None:
    close(ready.ctx, ready.person("finn"), OCTOBER)
    ready.later(days=30)
    close(ready.ctx, ready.person("finn"), NOVEMBER)
    with pytest.raises(WrongState, match="2026-11 is closed too"):
        reopen(ready.ctx, ready.person("finn"), OCTOBER, "x")
    with pytest.raises(WrongState, match="is not closed"):
        reopen(ready.ctx, ready.person("finn"), "2026-09", "x")


def test_a_soft_close_books_an_accrual_and_its_reversal_once(ready: Any) -> None:
    made = soft_close(ready.ctx, ready.person("finn"), OCTOBER)
    assert Decimal(made["accrued"]) == Decimal(made["captured"]) + Decimal(made["expected"])
    assert made["captured"] == status(ready.ctx, OCTOBER)["would_write"]["total"]
    journal = exported(ready.ctx, ready.person("finn"), OCTOBER, "generic", accrual=True)
    booked, taken = ([row for row in table(journal.body) if row["posting_date"] == day] for day in ("2026-10-31", "2026-11-01"))
    assert len(booked) + len(taken) == len(table(journal.body))
    for rows in (booked, taken):
        sums = [sum(Decimal(row[side] or 0) for row in rows) for side in ("debit", "credit")]
        assert sums[0] == sums[1]
    assert [row["credit"] for row in booked if not row["cost_center"]] == [made["accrued"]], "against what is owed"
    (entry,) = ready.entries("period:soft_close")
    assert entry["payload"]["journal_sha256"] == journal.sha256
    document = accrual_document(ready.ctx, OCTOBER)
    assert {row["packet_sha256"] for row in booked} == {entry["payload"]["digest"]} == {sha256_hex(canonical_json(document))}
    sides = {(row["cost_center"], row["debit"], row["credit"]) for row in booked}
    assert {(row["cost_center"], row["credit"], row["debit"]) for row in taken} == sides
    assert not {row["external_id"] for row in booked} & {row["external_id"] for row in taken}
    with pytest.raises(WrongState, match="soft closed already"):
        soft_close(ready.ctx, ready.person("finn"), OCTOBER)
    assert accrual_of(ready.ctx, OCTOBER)["accrued"] == made["accrued"]
    assert close_checklist(ready.ctx, OCTOBER)["stage"] == "soft_closed"
    calls(ready, "later", count=4000, workflow="search", model="gpt-4o-mini")
    assert exported(ready.ctx, ready.person("finn"), OCTOBER, "generic", accrual=True).body == journal.body, "later calls change no accrual"
    assert close(ready.ctx, ready.person("finn"), OCTOBER)["state"] == "closed"
    assert exported(ready.ctx, ready.person("finn"), OCTOBER, "generic", accrual=True).body == journal.body, "nor does the close"


@pytest.mark.parametrize("order", [(NOVEMBER, DECEMBER), (DECEMBER, NOVEMBER)], ids=["in_order", "the_later_first"])
def test_a_correction_is_accrued_with_the_first_open_month_alone(ready: Any, order: tuple[str, str]) -> None:
    """Two months open at once: each one's close would carry what October's late calls cost, the books must hold it once."""
    finn = ready.person("finn")
    close(ready.ctx, finn, OCTOBER)
    calls(ready, "late", count=900)
    late = Decimal("3.15")  # 900 x (1000 x 2.50 + 100 x 10) / 1,000,000
    ready.now = datetime(2027, 1, 3, 9, tzinfo=UTC)
    ready.apply(SEATS.replace(OCTOBER, NOVEMBER) + "---" + SEATS.replace(OCTOBER, DECEMBER), finn)
    captured = {name: Decimal(soft_close(ready.ctx, finn, name)["captured"]) for name in order}
    assert captured == {NOVEMBER: late, DECEMBER: 0}
    close(ready.ctx, finn, NOVEMBER)
    assert status(ready.ctx, DECEMBER)["would_write"]["total"] == "0.00"


def test_what_is_expected_goes_the_way_of_what_is_charged(ready: Any) -> None:
    """A fee instead of usage stays the fee, and who recovers it bears the rest; a shared cost is expected of who bears it; a percentage grows along."""
    finn = ready.person("finn")
    ready.apply(SHARED.replace("CC-SHARED", "CC-FLAT").replace("search", "flat"))
    ready.apply(
        "kind: rate_plan\nid: flat\nvalid_from: 2026-10-01\nplan: fixed_fee\namount: '50'\ncost_centers: [CC-FLAT]\nrecovers_to: CC-PLATFORM\n",
        finn,
    )
    spends = {"fnol-triage": "CC-4100", "search": "CC-SHARED", "ad-copy": "CC 52/00", "flat": "CC-FLAT"}
    for day in range(1, 22):
        for place, name in enumerate(spends, start=1):
            at = datetime(2026, 10, day, 12, tzinfo=UTC)
            calls(ready, f"{name}{day}", workflow=name, model="gpt-4o-mini", tokens=(30_000_000 * place, 100_000 * day), at=at)
    said = {name: forecast_document(ready.ctx, OCTOBER, "cost_center", name) for name in spends.values()}
    still = {name: Decimal(one["forecast"]) - Decimal(one["spent"]) for name, one in said.items()}
    assert min(still.values()) > 1
    rows = {row["cost_center"]: Decimal(row["expected"]) for row in soft_close(ready.ctx, finn, OCTOBER)["cost_centers"]}
    shared = {"CC-4100": Decimal(70) / 107, "CC 52/00": Decimal(35) / 107, "CC-9": Decimal(2) / 107}
    borne = {name: still.get(name, Decimal(0)) + still["CC-SHARED"] * part for name, part in shared.items()}
    fees = {name: borne[name] * Decimal("0.075") for name in ("CC-4100", "CC 52/00")}
    want = {name: amount + fees.get(name, Decimal(0)) for name, amount in borne.items()}
    want |= {"CC-FLAT": Decimal(0), "CC-PLATFORM": still["CC-FLAT"] - sum(fees.values())}
    assert rows.keys() == want.keys()
    assert all(abs(rows[name] - amount) <= Decimal("0.02") for name, amount in want.items()), (rows, want)
    assert abs(sum(rows.values()) - sum(still.values())) <= Decimal("0.01"), "fees cancel out: what is expected is the forecast"


def test_an_accrued_month_is_posted_on_the_day_that_takes_the_accrual_back(ready: Any) -> None:
    made = soft_close(ready.ctx, ready.person("finn"), OCTOBER)
    close(ready.ctx, ready.person("finn"), OCTOBER)
    posted = table(exported(ready.ctx, ready.person("finn"), OCTOBER, "generic").body)
    assert {row["posting_date"] for row in posted} == {"2026-11-01"}, "October holds the accrual alone, November its reversal and the month"
    accrued = table(exported(ready.ctx, ready.person("finn"), OCTOBER, "generic", accrual=True).body)
    net: dict[str, Decimal] = {}
    for row in (*accrued, *posted):
        net[row["posting_date"][:7]] = net.get(row["posting_date"][:7], Decimal(0)) + (
            Decimal(row["debit"] or 0) - Decimal(row["credit"] or 0) if row["cost_center"] else 0
        )
    total = Decimal(json.loads(bodies(ready)["statement-2026-10.json"])["totals"]["statement_total"])
    assert net == {"2026-10": Decimal(made["accrued"]), "2026-11": total - Decimal(made["accrued"])}
    assert json.loads(bodies(ready)["statement-2026-10.json"])["accrual"]["digest"] == made["digest"]


def test_an_accrual_that_was_altered_is_refused(ready: Any) -> None:
    soft_close(ready.ctx, ready.person("finn"), OCTOBER)
    with ready.ctx.rows.session(write=True) as session:
        row = session.exec(select(PeriodStep).where(PeriodStep.step == "soft_close")).one()
        row.body = row.body.replace('"amount":"', '"amount":"1', 1)
        session.add(row)
    with pytest.raises(WrongState, match="does not hash"):
        exported(ready.ctx, ready.person("finn"), OCTOBER, "netsuite", accrual=True)


def test_every_stage_of_the_way_is_told(ready: Any) -> None:
    def told() -> tuple[str, list[str]]:
        found = period_status(ready.ctx, OCTOBER)
        assert [one["name"] for one in found["way"]] == ["open", "soft_closed", "reconciled", "closed", "reopened"]
        assert close_checklist(ready.ctx, OCTOBER)["stage"] == found["stage"]
        return found["stage"], [one["state"] for one in found["way"]]

    finn, multi = ready.person("finn"), ready.person("multi")
    assert told() == ("open", ["now", "ahead", "ahead", "ahead", "ahead"])
    soft_close(ready.ctx, finn, OCTOBER)
    assert told() == ("soft_closed", ["done", "now", "ahead", "ahead", "ahead"])
    compared(ready, "reconciled")
    assert told() == ("reconciled", ["done", "done", "now", "ahead", "ahead"])
    ready.later(hours=1)
    ready.apply(POLICY % "two_people: true")
    close(ready.ctx, finn, OCTOBER)
    assert told() == ("awaiting_second_person", ["done", "done", "done", "now", "ahead"])
    with pytest.raises(WrongState, match="soft closed already"):
        soft_close(ready.ctx, finn, OCTOBER)
    close(ready.ctx, multi, OCTOBER)
    assert told() == ("closed", ["done", "done", "done", "now", "ahead"])
    ready.later(hours=1)
    reopen(ready.ctx, finn, OCTOBER, "a source was missing")
    reopen(ready.ctx, multi, OCTOBER)
    assert told() == ("reopened", ["done", "ahead", "ahead", "ahead", "now"]), "bills compared before do not count for the new version"
    ready.apply(POLICY % "reconciled: true")
    assert close_checklist(ready.ctx, OCTOBER)["blocks"] == ["Reconciled with bills"]
    with pytest.raises(WrongState, match="has not been compared"):
        close(ready.ctx, finn, OCTOBER)
    ready.apply(POLICY % "reconciled: false")
    close(ready.ctx, finn, OCTOBER)
    assert json.loads(bodies(ready)["statement-2026-10.json"])["reconciliation"] is None
    ready.later(hours=1)
    reopen(ready.ctx, finn, OCTOBER, "once more")
    reopen(ready.ctx, multi, OCTOBER)
    compared(ready, "reconciled")
    assert told()[0] == "reconciled"


def compared(world: Any, status: str) -> None:
    """As if the month had been compared with bills: what is told here is the way alone."""
    error = {"amount": "0.00", "percent": "0.00"}
    amounts = dict.fromkeys(("ours", "invoice", "difference", "unexplained_percent"), "0.00") | {"net": error, "gross": error}
    body = json.dumps(amounts | {"status": status, "without_bill": [], "pending_days": [], "issuers": [], "bridge": {}})
    with world.ctx.rows.session(write=True) as session:
        session.add(Reconciliation(org_id=world.ctx.org, month=OCTOBER, status=status, digest="", body=body, created_at=world.ctx.now()))


def test_ledger_style_takes_back_whole_and_charges_again(ready: Any) -> None:
    close(ready.ctx, ready.person("finn"), OCTOBER)
    before = bodies(ready)
    calls(ready, "late", count=3, workflow="search", model="gpt-4o-mini", tokens=(1_001, 7))
    delta = pending_corrections(ready.ctx, NOVEMBER)
    ready.apply(POLICY % "corrections: ledger")
    whole = pending_corrections(ready.ctx, NOVEMBER)
    assert sum(line.contracted_pico for line in whole) == sum(line.contracted_pico for line in delta)
    assert {line.corrects for line in whole} == {line.corrects for line in delta}
    assert {line.style for line in whole} == {"reversal", "restated"}
    assert len({line.line_id for line in whole}) == len(whole)
    ready.later(days=30)
    close(ready.ctx, ready.person("finn"), NOVEMBER)
    assert bodies(ready) == before
    assert check(bodies(ready, NOVEMBER)["focus-2026-11.csv"]) == []
    assert pending_corrections(ready.ctx, "2026-12") == [], "what was restated is charged"


def test_a_month_that_gives_back_is_a_credit_memo_and_large_corrections_are_told(ready: Any) -> None:
    calls(ready, "big", count=2, tokens=(90_000_000, 0))
    close(ready.ctx, ready.person("finn"), OCTOBER)
    ready.apply('kind: contract_price\nprovider: openai\nmodel: gpt-4o\nmeter: input\nprice: {amount: "1"}\nvalid_from: 2026-10-01\n')
    ready.later(days=30)
    close(ready.ctx, ready.person("finn"), NOVEMBER)
    document = json.loads(bodies(ready, NOVEMBER)["statement-2026-11.json"])
    center = next(one for one in document["cost_centers"] if one["id"] == "CC-4100")
    assert center["document"] == "credit_memo"
    assert center["material"]["corrections"] is True
    assert center["material"]["limit"] == "100.00"


def test_a_dispute_and_its_answer(ready: Any) -> None:
    with pytest.raises(WrongState, match="not closed"):
        dispute_line(ready.ctx, ready.person("dana"), OCTOBER, "x", "not ours")
    close(ready.ctx, ready.person("finn"), OCTOBER)
    line = table(bodies(ready)["statement-2026-10-CC-4100.csv"])[0]["line_id"]
    with pytest.raises(NotFound):
        dispute_line(ready.ctx, ready.person("dana"), OCTOBER, "0" * 24, "not ours")
    with pytest.raises(Forbidden):
        dispute_line(ready.ctx, ready.person("ada"), OCTOBER, line, "an auditor only reads")
    made = dispute_line(ready.ctx, ready.person("finn"), OCTOBER, line, "not ours")
    assert (made["state"], made["cost_center"], made["late"]) == ("open", "CC-4100", False)
    with pytest.raises(SeparationOfDuties):
        answer_dispute(ready.ctx, ready.person("finn"), made["id"], "upheld", "yes")
    answered = answer_dispute(ready.ctx, ready.person("multi"), made["id"], "rejected", "the key is yours")
    assert (answered["state"], answered["answer"]) == ("rejected", "the key is yours")
    with pytest.raises(WrongState, match="rejected already"):
        answer_dispute(ready.ctx, ready.person("multi"), made["id"], "upheld", "again")
    assert [entry["payload"]["dispute"] for entry in ready.entries() if entry["type"] in {"period:dispute", "period:answer"}] == [
        made["id"]
    ] * 2
    ready.later(days=60)
    assert dispute_line(ready.ctx, ready.person("dana"), OCTOBER, line, "still not ours")["late"] is True
    assert [one["state"] for one in list_disputes(ready.ctx, OCTOBER)] == ["open", "rejected"]


def test_records_that_are_in_no_sum_are_on_the_checklist(ready: Any) -> None:
    """Full coverage of what was read says nothing about what was not."""

    def told(name: str = OCTOBER) -> tuple[str, str]:
        [found] = [one for one in close_checklist(ready.ctx, name)["items"] if one["name"] == "Records are read"]
        return found["state"], found["text"]

    assert told() == ("done", "nothing waits in quarantine, no call came again with other content")
    refused = [
        {"source": "prod", "ingest_uri": "b.jsonl", "ingest_row": row, "reason": "bad_time: none", "raw": bytes([row])} for row in (1, 2)
    ]
    again = [ready.ctx.lake.calls(["fnol-0"]).select(CALL_SCHEMA.names).to_pylist()[0] | {"raw_sha256": "other", "input_tokens": 1}]
    tables = (pa.Table.from_pylist(again, schema=CALL_SCHEMA), pa.Table.from_pylist(refused, schema=REJECT_SCHEMA))
    batch = Batch(*tables, SPAN_SCHEMA.empty_table(), CONTENT_SCHEMA.empty_table())
    counts = ready.ctx.lake.ingest("batch-again", [batch], ready.now)
    assert (counts.conflicts, counts.quarantined) == (1, 2)
    words = "2 records wait in quarantine and 1 call came again with other content: what they say is in no sum and in no coverage"
    assert told() == ("look", words)
    assert told("2026-09") == ("look", "2 records wait in quarantine: what they say is in no sum and in no coverage")
    assert told("2026-12")[0] == "done", "they came before it began"
    assert close_checklist(ready.ctx, OCTOBER)["blocks"] == []


def test_the_checklist_blocks_exactly_where_the_close_refuses(ready: Any) -> None:
    assert close_checklist(ready.ctx, OCTOBER)["blocks"] == []
    ready.apply(POLICY % "reconciled: true")
    assert close_checklist(ready.ctx, OCTOBER)["blocks"] == ["Reconciled with bills"]
    with pytest.raises(WrongState, match="has not been compared"):
        close(ready.ctx, ready.person("finn"), OCTOBER)
    ready.apply(POLICY % "reconciled: false")
    assert close_checklist(ready.ctx, OCTOBER)["blocks"] == []
    close(ready.ctx, ready.person("finn"), OCTOBER)
    assert close_checklist(ready.ctx, OCTOBER)["stage"] == "closed"


def test_who_pays_for_shadow_spend() -> None:
    named = {"rae@acme.example": "CC-1"}
    assert shadow_payer(MonthEnd.model_validate({"people": named}), "rae@acme.example", "CC-4100") == "CC-1"
    assert shadow_payer(MonthEnd(), "rae@acme.example", "CC-4100") == "CC-4100", (
        "a requester without a cost center pays from the workflow's"
    )
    assert (
        shadow_payer(MonthEnd.model_validate({"people": named, "shadow_charged_to": "workflow_owner"}), "rae@acme.example", "CC-4100")
        == "CC-4100"
    )
    platform = {"shadow_charged_to": "platform", "platform_cost_center": "CC-P"}
    assert shadow_payer(MonthEnd.model_validate(platform), "rae@acme.example", "CC-4100") == "CC-P"
    with pytest.raises(ValueError, match="platform_cost_center"):
        MonthEnd.model_validate({"shadow_charged_to": "platform"})


@pytest.fixture
def shared(two_worlds: Any) -> Any:
    """A month to close on Postgres."""
    world, _ = two_worlds
    world.apply(MORE)
    import_prices(world.ctx, world.person("finn"), prices())
    calls(world, "fnol", count=3)
    world.now = AFTER
    return world


def both(world: Any, verb: Callable[[Any], str]) -> list[str]:
    """What finn and multi hear who do the same at the same moment."""

    def told(person: Any) -> str:
        try:
            return verb(person)
        except WrongState as error:
            return error.message

    people = [world.person(name) for name in ("finn", "multi")]
    with ThreadPoolExecutor(2) as pool:
        return sorted(pool.map(told, people))


def test_of_two_who_dispute_a_line_at_once_one_opens_the_dispute(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    close(shared.ctx, shared.person("finn"), OCTOBER)
    line = table(bodies(shared)["statement-2026-10-CC-4100.csv"])[0]["line_id"]
    monkeypatch.setattr(disputes_module, "_of", lambda *given: (disputes_of(*given), time.sleep(0.5))[0])
    heard = both(shared, lambda person: dispute_line(shared.ctx, person, OCTOBER, line, "not ours")["state"])
    assert heard == [f"line {line} is in dispute already", "open"]
    assert len(shared.entries("period:dispute")) == 1


def test_of_two_who_close_at_once_one_signs_and_the_other_closes(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.apply(POLICY % "two_people: true")
    monkeypatch.setattr(sign_module, "signature", lambda *given: (signature(*given), time.sleep(0.5))[0])
    assert both(shared, lambda person: close(shared.ctx, person, OCTOBER)["state"]) == ["awaiting_second_person", "closed"]
    assert len(shared.entries("period:sign")) == 1


def test_of_two_who_soft_close_at_once_one_books_the_accrual(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = shared
    monkeypatch.setattr(soft_close_module, "steps", lambda *given: (steps(*given), time.sleep(0.5))[0])

    heard = both(world, lambda person: str(soft_close(world.ctx, person, OCTOBER)["stage"]))
    assert heard == [f"{OCTOBER} is soft closed already", "soft_closed"]
    assert len(world.entries("period:soft_close")) == 1


def test_of_two_who_close_and_withdraw_at_once_one_is_first(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.apply(POLICY % "two_people: true")
    finn, holds = shared.person("finn"), threading.Event()
    close(shared.ctx, finn, OCTOBER)
    monkeypatch.setattr(sign_module, "step", lambda *given: (holds.set(), time.sleep(0.5), step(*given))[2])  # it has the month's row

    with ThreadPoolExecutor(1) as pool:

        def rival(*given: Any) -> None:
            withdrawn.append(pool.submit(withdraw, shared.ctx, finn, OCTOBER))
            holds.wait(10)
            finish(*given)

        withdrawn: list[Any] = []
        monkeypatch.setattr(close_module, "finish", rival)
        with pytest.raises(WrongState, match="another close of 2026-10 began meanwhile"):
            close(shared.ctx, shared.person("multi"), OCTOBER)
    assert withdrawn[0].result()["state"] == "open"
    assert shared.entries("period:close") == []
