"""Closing a month: who may, what stops it, what it writes, what happens after it, and what a crash leaves."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlmodel import select

from governor.actions.close_period import close, files_of, hand_out, status
from governor.actions.context import OPERATOR, SYSTEM
from governor.actions.correct import pending_corrections
from governor.actions.except_coverage import except_coverage
from governor.actions.import_prices import import_prices
from governor.actions.statement_files import Pin, compute, file_names, print_files
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.cli.period import show
from governor.errors import CoverageTooLow, Forbidden, Invalid, NotFound, PeriodClosed, Unauthenticated, WrongState
from governor.ports import Batch
from governor.prices.price import price_of
from governor.prices.seed import Seed
from governor.store.rows.periods import Period, PeriodFile, PeriodLine

OCTOBER, NOVEMBER, DECEMBER = "2026-10", "2026-11", "2026-12"
AFTER = datetime(2026, 11, 3, 9, tzinfo=UTC)
MORE = """
kind: workflow
id: ad-copy
owner: olga@acme.example
cost_center: "CC 52/00"
risk_tier: low
data_class: internal
match:
  - {metadata.workflow: ad-copy}
routes:
  - {id: current, provider: openai, model: gpt-4o-mini, regions: [us-east-1], approved_until: 2027-03-31}
"""
CONTRACT = """
kind: contract_price
provider: openai
model: gpt-4o
meter: input
price: {amount: "2.10"}
valid_from: 2026-10-01
"""
LIST = {"gpt-4o": ("2.5", "10"), "gpt-4o-mini": ("0.15", "0.6")}


def prices() -> Seed:
    rows = [
        price_of({"kind": "list", "provider": "openai", "model": model, "meter": meter, "amount": amount, "per": 1_000_000})
        for model, amounts in LIST.items()
        for meter, amount in zip(("input", "output"), amounts, strict=True)
    ]
    return Seed("csv", "test", tuple(rows), ())


def calls(world: Any, name: str, *, count: int = 1, workflow: str | None = "fnol-triage", model: str = "gpt-4o", tokens: tuple[int, int] = (1000, 100),
          at: datetime = datetime(2026, 10, 5, 12, tzinfo=UTC), **columns: Any) -> None:  # fmt: skip
    """Store calls that are alike, straight into the lake."""
    rows = []
    for number in range(count):
        key = f"{name}-{number}"
        rows.append(
            {
                "record_id": key, "source_record_id": key, "raw_sha256": key, "dup_group_key": f"response:{key}", "revision": 0,
                "source_kind": "litellm.generic_api", "source_instance": "prod", "ingest_uri": "a.jsonl", "grain": "attempt", "cost_bearing": True,
                "sample_rate": 1.0, "start_time": at + timedelta(seconds=number), "provider": "openai", "requested_model": model, "response_model": model,
                "region": "us-east-1", "status": "ok", "input_tokens": tokens[0], "output_tokens": tokens[1], "traffic_class": "production",
                "duration_ms": 10.0, "metadata": [("workflow", workflow)] if workflow else [],
            }
            | columns
        )  # fmt: skip
    empty = [schema.empty_table() for schema in (REJECT_SCHEMA, SPAN_SCHEMA, CONTENT_SCHEMA)]
    batch = Batch(pa.Table.from_pylist(rows, schema=CALL_SCHEMA), *empty)
    counts = world.ctx.lake.ingest(f"batch-{name}", [batch], world.now + timedelta(days=40))
    assert counts.stored == count, counts


@pytest.fixture
def month(world: Any) -> Any:
    """October: two workflows in two cost centers, everything attributed, priced and approved; it is 3 November."""
    world.apply(MORE)
    import_prices(world.ctx, SYSTEM, prices())
    calls(world, "fnol", count=40, tokens=(10_007, 333))
    calls(world, "ads", count=25, workflow="ad-copy", model="gpt-4o-mini", tokens=(3_001, 1_499))
    world.now = AFTER
    return world


def amounts(month: Any, name: str = OCTOBER) -> dict[str, Decimal]:
    """What each file of a closed month sums to, read from its bytes."""
    with month.ctx.rows.session() as session:
        files = {file.name: file.body.decode() for file in files_of(session, month.ctx.org, name) if file.name.endswith(".csv")}
    found: dict[str, Decimal] = {}
    for file, body in files.items():
        rows = list(csv.DictReader(io.StringIO(body)))
        column = "BilledCost" if file.startswith("focus") else "debit" if file.startswith("journal") else "amount"
        found[file] = sum((Decimal(row[column]) for row in rows if row[column]), Decimal(0))
    return found


def test_totals_of_every_file_agree_to_the_cent(month: Any, tmp_path: Path) -> None:
    closed = close(month.ctx, month.person("finn"), OCTOBER, tmp_path / "out")
    exact = 40 * (10_007 * 2_500_000 + 333 * 10_000_000) + 25 * (3_001 * 150_000 + 1_499 * 600_000)
    assert Decimal(closed["totals"]["contracted_cost"]) == Decimal(exact) / 10**12
    total = Decimal(closed["totals"]["statement_total"])
    assert total == round(Decimal(exact) / 10**12, 2)
    found = amounts(month)
    assert found.pop("focus-2026-10.csv") == total
    assert found.pop("journal-2026-10.csv") == total
    assert sum(found.values()) == total
    assert len(found) == 2
    for file in closed["files"]:
        path = tmp_path / "out" / file["name"]
        assert path.stat().st_size == file["bytes"]
        assert (tmp_path / "out" / f"{file['name']}.sha256").read_text() == f"{file['sha256']}  {file['name']}\n"
        if file["name"].startswith("statement-2026-10-"):
            assert file["total"] == f"{found[file['name'].replace('.pdf', '.csv')]:.2f}"
    assert (
        subprocess.run(
            ["sha256sum", "-c", "--quiet", *[f"{file['name']}.sha256" for file in closed["files"]]], cwd=tmp_path / "out", check=False
        ).returncode
        == 0
    )


def test_the_pdf_says_the_same_total(month: Any, tmp_path: Path) -> None:
    import shutil

    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    closed = close(month.ctx, month.person("finn"), OCTOBER, tmp_path)
    pages = [file for file in closed["files"] if file["name"].endswith(".pdf")]
    assert pages
    for file in pages:
        text = subprocess.run(["pdftotext", "-layout", tmp_path / file["name"], "-"], capture_output=True, text=True, check=True).stdout
        assert f"${file['total']}" in text


def test_the_close_is_one_entry_that_names_the_manifest(month: Any) -> None:
    closed = close(month.ctx, month.person("finn"), OCTOBER)
    (entry,) = month.entries("period:close")
    assert entry["payload"]["snapshot"] == closed["snapshot"]
    assert entry["payload"]["totals"]["statement_total"] == closed["totals"]["statement_total"]
    (manifest,) = [file for file in closed["files"] if file["name"] == "manifest.json"]
    assert entry["payload"]["manifest_sha256"] == manifest["sha256"] == entry["evidence"][0]["sha256"]
    with month.ctx.rows.session() as session:
        body = session.exec(select(PeriodFile).where(PeriodFile.name == "manifest.json")).one().body
    named = json.loads(body)["files"]
    assert [(file["name"], file["sha256"]) for file in named] == [(file["name"], file["sha256"]) for file in closed["files"][:-1]]
    assert "acme.example" not in json.dumps(entry), "no person's address enters the ledger"


@pytest.mark.parametrize(("who", "error"), [("rae", Forbidden), ("sol", Forbidden), ("ada", Forbidden)])
def test_only_finance_closes(month: Any, who: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        close(month.ctx, month.person(who), OCTOBER)
    assert status(month.ctx, OCTOBER)["state"] == "open"


def test_the_operator_cannot_close(month: Any) -> None:
    with pytest.raises(Unauthenticated):
        close(month.ctx, OPERATOR, OCTOBER)


def test_a_month_that_has_not_begun_is_refused(month: Any) -> None:
    with pytest.raises(WrongState, match="has not begun"):
        close(month.ctx, month.person("finn"), DECEMBER)


def test_a_close_that_cannot_be_recorded_leaves_the_month_open(month: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_args: Any) -> None:
        raise Invalid("not an entry")

    month.now = AFTER
    with monkeypatch.context() as patched:
        patched.setattr("governor.actions.close_period.EntryDraft", lambda **_fields: refused())
        with pytest.raises(Invalid, match="not an entry"):
            close(month.ctx, month.person("finn"), OCTOBER)
    with month.ctx.rows.session() as session:
        assert session.get(Period, (month.ctx.org, OCTOBER)).state == "open"
    assert close(month.ctx, month.person("finn"), OCTOBER)["state"] == "closed"


def test_a_running_month_closes_with_a_warning_that_the_statement_repeats(month: Any) -> None:
    month.now = datetime(2026, 11, 21, tzinfo=UTC)
    calls(month, "november", at=datetime(2026, 11, 9, tzinfo=UTC))
    closed = close(month.ctx, month.person("finn"), NOVEMBER)
    assert "closed before it was over" in closed["warnings"][0]
    assert month.entries("period:close")[0]["payload"]["closed_early"] is True


def orphans(month: Any) -> None:
    """Unattributed spend of exactly 5% of the month: mapped spend is filled up to nineteen times one part, the orphan is the twentieth."""
    gpt_4o, mini = 2_500_000, 150_000  # pico-USD an input token
    mapped = 40 * (10_007 * gpt_4o + 333 * 10_000_000) + 25 * (3_001 * mini + 1_499 * 600_000)
    part = (mapped // 19 // gpt_4o + 1) * gpt_4o
    missing = 19 * part - mapped
    small = next(tokens for tokens in range(50) if (missing - tokens * mini) % gpt_4o == 0)
    calls(month, "fill-small", workflow="ad-copy", model="gpt-4o-mini", tokens=(small, 0))
    calls(month, "fill", tokens=((missing - small * mini) // gpt_4o, 0))
    calls(month, "orphan", workflow=None, tokens=(part // gpt_4o, 0))


def test_exactly_95_percent_closes_and_one_token_less_does_not(month: Any) -> None:
    orphans(month)
    found = status(month.ctx, OCTOBER)
    assert found["can_close"] is True, found["coverage"]
    calls(month, "one-more", workflow=None, tokens=(1, 0))
    with pytest.raises(CoverageTooLow, match=r"94\.99%") as refused:
        close(month.ctx, month.person("finn"), OCTOBER)
    assert refused.value.code == "coverage_too_low"
    again = status(month.ctx, OCTOBER)
    assert (again["state"], again["can_close"]) == ("open", False)
    assert month.entries("period:close") == []


def test_an_empty_month_says_that_there_is_nothing_to_cover_and_closes(month: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = status(month.ctx, "2026-09")
    assert (found["coverage"]["nothing_to_cover"], found["coverage"]["calls"], found["can_close"]) == (True, 0, True)
    show(found)
    printed = capsys.readouterr().out
    assert "nothing to cover: no spend this month (0 calls)" in printed
    assert "enough" not in printed
    assert close(month.ctx, month.person("finn"), "2026-09")["coverage"] == found["coverage"]
    assert status(month.ctx, OCTOBER)["coverage"]["nothing_to_cover"] is False


def test_a_call_that_knows_half_of_its_usage_is_unpriced_among_calls_that_know_all(month: Any) -> None:
    before = status(month.ctx, OCTOBER)
    calls(month, "half", count=2, tokens=(10_007, 0), output_tokens=None)
    after = status(month.ctx, OCTOBER)
    assert (before["coverage"]["unpriced_calls"], after["coverage"]["unpriced_calls"]) == (0, 2)
    assert after["totals"]["contracted_cost"] == before["totals"]["contracted_cost"], "half a call is never charged as a whole one"


def test_a_signed_exception_lets_it_close_and_stands_on_the_statement(month: Any) -> None:
    calls(month, "orphan", count=30, workflow=None, tokens=(10_000, 0))
    with pytest.raises(CoverageTooLow):
        close(month.ctx, month.person("finn"), OCTOBER)
    with pytest.raises(Forbidden):
        except_coverage(month.ctx, month.person("sol"), OCTOBER, reason="r", compensating_control="c")
    with pytest.raises(Invalid, match="compensating control"):
        except_coverage(month.ctx, month.person("finn"), OCTOBER, reason="new gateway", compensating_control=" ")
    signed = except_coverage(month.ctx, month.person("finn"), OCTOBER, reason="new gateway", compensating_control="reviewed by hand")
    closed = close(month.ctx, month.person("finn"), OCTOBER)
    assert closed["exception"]["id"] == signed["id"]
    assert closed["coverage"]["sufficient"] is False
    assert month.entries("period:close")[0]["payload"]["exception"] == signed["id"]
    assert month.entries("period:except")[0]["payload"]["compensating_control"] == "reviewed by hand"
    with pytest.raises(PeriodClosed):
        except_coverage(month.ctx, month.person("finn"), OCTOBER, reason="again", compensating_control="too late")


def test_an_expired_exception_does_not_count(month: Any) -> None:
    calls(month, "orphan", count=30, workflow=None, tokens=(10_000, 0))
    except_coverage(
        month.ctx,
        month.person("finn"),
        OCTOBER,
        reason="new gateway",
        compensating_control="by hand",
        expires_at=month.now + timedelta(hours=1),
    )
    month.later(hours=2)
    with pytest.raises(CoverageTooLow):
        close(month.ctx, month.person("finn"), OCTOBER)


def test_an_unpriced_call_is_shown_counted_and_never_charged(month: Any) -> None:
    calls(month, "odd", count=2, workflow="ad-copy", model="mystery-x1", tokens=(1_000, 10))
    closed = close(month.ctx, month.person("finn"), OCTOBER)
    assert closed["coverage"]["unpriced_calls"] == 2
    assert Decimal(closed["coverage"]["unpriced_exposure"]["middle"]) > 0
    with month.ctx.rows.session() as session:
        focus = session.exec(select(PeriodFile).where(PeriodFile.name == "focus-2026-10.csv")).one().body.decode()
    rows = [row for row in csv.DictReader(io.StringIO(focus)) if row["x_PriceSource"] == "unpriced"]
    assert {(row["x_UnpricedReason"], row["x_CostCenter"]) for row in rows} == {("unknown_model", "CC 52/00")}


def test_closing_again_changes_nothing_and_hands_out_the_same_bytes(month: Any, tmp_path: Path) -> None:
    first = close(month.ctx, month.person("finn"), OCTOBER, tmp_path / "a")
    somebody_else = month.person("multi")
    entries = len(month.entries())
    month.later(days=5)
    calls(month, "late", count=3)
    second = close(month.ctx, somebody_else, OCTOBER, tmp_path / "b")
    assert first["files"] == second["files"]
    assert all((tmp_path / "a" / file["name"]).read_bytes() == (tmp_path / "b" / file["name"]).read_bytes() for file in first["files"])
    assert len(month.entries()) == entries
    assert status(month.ctx, OCTOBER)["totals"] == first["totals"]


def test_files_of_an_open_month_do_not_exist(month: Any) -> None:
    with pytest.raises(NotFound):
        hand_out(month.ctx, OCTOBER)


def correction_sum(month: Any) -> int:
    return sum(line.contracted_pico for line in pending_corrections(month.ctx, NOVEMBER))


def test_late_calls_are_corrections_of_the_open_month_once(month: Any) -> None:
    closed = close(month.ctx, month.person("finn"), OCTOBER)
    assert pending_corrections(month.ctx, NOVEMBER) == []
    calls(month, "late", count=4, tokens=(1_000_000, 0))
    assert correction_sum(month) == 10 * 10**12
    (shown,) = status(month.ctx, NOVEMBER)["corrections"]
    assert shown == {"charge_month": OCTOBER, "lines": 1, "contracted_cost": "10.00"}
    month.now = datetime(2026, 12, 2, tzinfo=UTC)
    calls(month, "november", at=datetime(2026, 11, 9, tzinfo=UTC), tokens=(400_000, 0))
    november = close(month.ctx, month.person("finn"), NOVEMBER)
    assert (november["totals"]["usage_total"], november["totals"]["corrections_total"], november["totals"]["statement_total"]) == (
        "1.00",
        "10.00",
        "11.00",
    )
    assert november["corrections"] == [{"charge_month": OCTOBER, "lines": 1}]
    assert status(month.ctx, OCTOBER)["totals"] == closed["totals"]
    assert pending_corrections(month.ctx, DECEMBER) == [], "what was corrected is not corrected again"
    assert amounts(month, NOVEMBER)["focus-2026-11.csv"] == Decimal("11.00")
    with month.ctx.rows.session() as session:
        lines = session.exec(select(PeriodLine).where(PeriodLine.charge_month == OCTOBER)).all()
    assert {line.month for line in lines} == {OCTOBER, NOVEMBER}


def test_a_contract_that_arrives_late_gives_back_the_difference(month: Any) -> None:
    close(month.ctx, month.person("finn"), OCTOBER)
    month.later(hours=1)
    month.apply(CONTRACT)
    found = pending_corrections(month.ctx, NOVEMBER)
    assert sum(line.contracted_pico for line in found) == -40 * 10_007 * 400_000
    assert sorted(line.quantity for line in found) == [-40 * 10_007, 40 * 10_007], (
        "taken back whole at the old price, charged again at the new"
    )
    assert {line.charge_month for line in found} == {OCTOBER}


def test_a_price_import_after_the_close_corrects_and_leaves_the_closed_bytes_alone(month: Any) -> None:
    before = close(month.ctx, month.person("finn"), OCTOBER)
    month.later(hours=1)
    LIST["gpt-4o-mini"] = ("0.30", "0.6")
    try:
        import_prices(month.ctx, SYSTEM, prices())
    finally:
        LIST["gpt-4o-mini"] = ("0.15", "0.6")
    assert correction_sum(month) == 25 * 3_001 * 150_000
    with month.ctx.rows.session() as session:
        period = session.get(Period, (month.ctx.org, OCTOBER))
        assert period is not None
        assert period.snapshot is not None
        assert period.catalog_as_of is not None
        pin = Pin(OCTOBER, period.snapshot, period.catalog_as_of, period.closed_by)
    again = print_files(compute(month.ctx, pin).document)
    assert [file.describe() for file in again] == before["files"], "the same pin gives the same bytes, whatever was learnt since"


def test_cost_centers_that_look_alike_get_files_of_their_own() -> None:
    names = file_names(["CC-1", "cc 1", "cc/1", "../x", "ß"])
    assert len({name.lower() for name in names}) == 5
    assert all("/" not in name and not name.startswith(".") for name in names)


def test_killed_ten_times_it_is_never_half_closed(month: Any, tmp_path: Path) -> None:
    home = month.ctx.settings.home
    script = Path(__file__).with_name("close_and_die.py")

    def run(point: str) -> int:
        command = [sys.executable, str(script), str(home), OCTOBER, "finn@acme.example", AFTER.isoformat(), point]
        return subprocess.run(command, capture_output=True, check=False).returncode

    manifests: set[str] = set()
    for point in ("pinned", "computed", "printed", "adding", "before_commit", "0.9", "1.6", "committed", "half_handed_out", "2.5"):
        assert run(point) in {-9, 0}, point
        with month.ctx.rows.session() as session:
            period = session.get(Period, (month.ctx.org, OCTOBER))
            files, lines = (session.exec(select(table)).all() for table in (PeriodFile, PeriodLine))
        if period is None or period.state != "closed":
            assert (len(files), len(lines)) == (0, 0), f"half closed after {point}"
            assert month.entries("period:close") == []
        else:
            assert len(month.entries("period:close")) == 1
            manifests.add(next(file.sha256 for file in files if file.name == "manifest.json"))
    final = close(month.ctx, month.person("finn"), OCTOBER, tmp_path / "final")
    assert manifests == {next(file["sha256"] for file in final["files"] if file["name"] == "manifest.json")}
    assert status(month.ctx, OCTOBER)["state"] == "closed"
    pin = Pin(OCTOBER, final["snapshot"], AFTER, "finn@acme.example")
    assert [file.describe() for file in print_files(compute(month.ctx, pin).document)] == final["files"]


def test_rivals_close_once(month: Any) -> None:
    import threading

    results: list[Any] = []

    def one() -> None:
        try:
            results.append(close(month.ctx, month.person("finn"), OCTOBER))
        except Exception as error:  # noqa: BLE001 - the assertion below shows it
            results.append(error)

    threads: list[threading.Thread] = [threading.Thread(target=one) for _ in range(2)]
    run: Callable[[threading.Thread], None] = threading.Thread.start
    for thread in threads:
        run(thread)
    for thread in threads:
        thread.join()
    assert [isinstance(result, dict) for result in results] == [True, True], results
    assert results[0]["files"] == results[1]["files"]
    assert len(month.entries("period:close")) == 1


def test_on_postgres_organizations_close_apart_and_rivals_once(two_worlds: tuple[Any, Any]) -> None:
    import threading

    for world in two_worlds:
        world.apply(MORE)
        import_prices(world.ctx, world.person("finn"), prices())
        world.now = AFTER
    acme, globex = two_worlds
    calls(acme, "fnol", count=3, tokens=(1_000_000, 0))
    calls(globex, "fnol", count=5, tokens=(1_000_000, 0))
    results: list[Any] = []
    finn = acme.person("finn")

    def one() -> None:
        try:
            results.append(close(acme.ctx, finn, OCTOBER))
        except Exception as error:  # noqa: BLE001 - the assertion below shows it
            results.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result["totals"]["statement_total"] for result in results if isinstance(result, dict)] == ["7.50", "7.50"], results
    assert len(acme.entries("period:close")) == 1
    assert status(globex.ctx, OCTOBER)["state"] == "open"
    assert close(globex.ctx, globex.person("finn"), OCTOBER)["totals"]["statement_total"] == "12.50"


def test_a_call_of_no_tokens_is_counted(month: Any) -> None:
    """It costs nothing and stands on no line: the statement had fewer calls than the usage of the month."""
    calls(month, "none", tokens=(0, 0), at=datetime(2026, 11, 5, tzinfo=UTC))
    month.now = datetime(2026, 12, 3, tzinfo=UTC)
    close(month.ctx, month.person("finn"), OCTOBER)
    closed = close(month.ctx, month.person("finn"), NOVEMBER)
    assert closed["totals"]["calls"] == 1
    assert closed["totals"]["statement_total"] == "0.00"
