"""Month end on the pages: what a close would write is what it writes, nobody closes by accident, the files are the bytes the ledger names."""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from page_text import plain
from sqlmodel import select

from governor.actions.accruals import accrual_of
from governor.actions.browse_periods import list_periods, show_period
from governor.actions.context import OPERATOR
from governor.actions.coverage_gaps import advice
from governor.actions.export_month import export_month, exported, formats_known
from governor.actions.ingest import ingest
from governor.actions.month_view import newest_month
from governor.actions.verify_ledger import verify_ledger
from governor.chargeback.period import month_of, next_month
from governor.demo.traffic import make_month
from governor.errors import Invalid
from governor.store import ledger
from governor.store.rows.periods import Period, PeriodFile
from governor.web.periods import end_of, kind_of
from governor.web.present import money_text

MONTH = "2026-10"
FINN, DANA = "finn@acme.example", "dana@acme.example"


@pytest.fixture(scope="module")
def books(open_site: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A home of its own: these tests close its month, in the order in which they stand."""
    with open_site(tmp_path_factory.mktemp("books"), traffic=tmp_path_factory.mktemp("traffic")) as site:
        yield site


def state(site: Any) -> str:
    with site.ctx.rows.session() as session:
        row = session.get(Period, (site.ctx.org, MONTH))
        return row.state if row else "open"


def test_the_list_has_the_month_and_the_running_one(books: Any) -> None:
    rows = {row["month"]: row for row in list_periods(books.ctx)}
    assert set(rows) == {MONTH, month_of(books.ctx.now())}
    assert rows[MONTH]["calls"] == books.ctx.lake.query("SELECT count(*) AS n FROM {calls} AS c WHERE cost_bearing").to_pylist()[0]["n"]
    assert newest_month(books.ctx) == MONTH
    with books.at(FINN) as finn:
        seen = plain(finn.get("/periods").text)
    assert f"{rows[MONTH]['status']['coverage']['percent']}%" in seen
    assert "Ready to close" in seen


def test_who_may_not_close_reads_why(books: Any) -> None:
    with books.at(DANA) as dana:
        text = dana.get(f"/periods/{MONTH}").text
        assert "Closing needs role finance or admin; you hold owner" in plain(text)
        assert 'name="confirm"' not in text
        size = verify_ledger(books.ctx).size
        assert dana.post(f"/periods/{MONTH}/close", {"confirm": MONTH}).status_code == 403
        assert dana.post(f"/periods/{MONTH}/except", {"reason": "r", "control": "c"}).status_code == 403
    assert (state(books), verify_ledger(books.ctx).size) == ("open", size)


@pytest.mark.parametrize("typed", ["", "yes", "2026-11", "2026-1"])
def test_nothing_closes_without_the_month_typed(books: Any, typed: str) -> None:
    with books.at(FINN) as finn:
        answer = finn.post(f"/periods/{MONTH}/close", {"confirm": typed}, page=f"/periods/{MONTH}")
        assert answer.status_code == 422
        assert f"To close the month, type {MONTH}" in answer.text
    assert state(books) == "open"


def test_closing_writes_what_the_page_said_it_would(books: Any) -> None:
    before = show_period(books.ctx, MONTH)
    planned = before["would_write"]
    with books.at(FINN) as finn:
        seen = plain(finn.get(f"/periods/{MONTH}").text)
        for center in planned["cost_centers"]:
            assert center["cost_center"] in seen
        answer = finn.post(f"/periods/{MONTH}/close", {"confirm": MONTH}, page=f"/periods/{MONTH}")
        assert answer.status_code == 303, answer.text
        text = finn.get(f"/periods/{MONTH}").text
    after = show_period(books.ctx, MONTH)
    assert after["state"] == "closed"
    assert after["totals"]["statement_total"] == planned["total"]
    assert [file["name"] for file in after["files"]] == [
        *(name for one in planned["cost_centers"] for name in one["files"]),
        *planned["month"],
    ]
    totals = {file["name"]: file["total"] for file in after["files"]}
    assert all(totals[name] == one["total"] for one in planned["cost_centers"] for name in one["files"])
    assert (after["closed_by"], after["coverage"]) == (FINN, before["coverage"])
    assert f"{MONTH} is closed" in text
    assert 'name="confirm"' not in text
    assert f'href="/ledger/entries/{after["ledger_entry"]["idx"]}"' in text


def test_the_files_are_the_bytes_the_ledger_names(books: Any) -> None:
    period = show_period(books.ctx, MONTH)
    with books.at(DANA) as dana:
        text = dana.get(f"/periods/{MONTH}").text
        links = re.findall(r'<a href="(/periods/[^"]+)" download', text)
        assert len(links) == len(period["files"])
        bodies = {}
        for link, file in zip(links, period["files"], strict=True):
            answer = dana.get(link)
            assert hashlib.sha256(answer.content).hexdigest() == file["sha256"] == answer.headers["governor-sha256"]
            assert answer.headers["content-disposition"] == f'attachment; filename="{file["name"]}"'
            assert f'title="{file["sha256"]}"' in text
            bodies[file["name"]] = answer.content
        assert dana.get(f"/periods/{MONTH}/files/..%2Fgovernor.db").status_code == 404
    manifest = json.loads(bodies["manifest.json"])
    assert {one["name"]: one["sha256"] for one in manifest["files"]} == {
        name: hashlib.sha256(body).hexdigest() for name, body in bodies.items() if name != "manifest.json"
    }
    with books.ctx.rows.session() as session:
        entry = next(parsed for row in ledger.entries(session, books.ctx.org) if (parsed := ledger.parsed(row))["type"] == "period:close")
    assert entry["payload"]["manifest_sha256"] == hashlib.sha256(bodies["manifest.json"]).hexdigest()
    assert bodies[f"statement-{MONTH}-CC-4100.pdf"].startswith(b"%PDF")


def test_closing_again_changes_nothing(books: Any) -> None:
    first, size = show_period(books.ctx, MONTH), verify_ledger(books.ctx).size
    with books.at(FINN) as finn:
        assert finn.post(f"/periods/{MONTH}/close", {"confirm": MONTH}).status_code == 303
    assert show_period(books.ctx, MONTH)["files"] == first["files"]
    assert verify_ledger(books.ctx).size == size


def test_a_closed_month_is_handed_out_for_other_systems(books: Any, tmp_path: Path) -> None:
    """As the command writes it: the same bytes, the same digest, for whoever may read the month."""
    with books.at(DANA) as dana:
        text = dana.get(f"/periods/{MONTH}").text
        links = re.findall(r'<a download href="(/periods/[^"]+)"', text)
        assert len(links) == 2 * (len(formats_known()) + 2 - 1), "FOCUS twice, as CSV and as Parquet; Stripe has no customers yet"
        assert f'href="/periods/{MONTH}/mapping?start=stripe"' in text
        for name in ("netsuite", "lago", "focus-1.3"):
            made = export_month(books.ctx, OPERATOR, MONTH, name, out=tmp_path / f"{MONTH}-{name}.out")
            file, digest = (f"/periods/{MONTH}/exports/{name}{end}" for end in ("", "/sha256"))
            assert {file, digest} <= set(links)
            answer = dana.get(file)
            assert hashlib.sha256(answer.content).hexdigest() == made["sha256"] == answer.headers["governor-sha256"]
            named = re.fullmatch(r'attachment; filename="([\w.-]+)"', answer.headers["content-disposition"])
            assert named is not None
            assert dana.get(digest).text == f"{made['sha256']}  {named[1]}\n"
        parquet = dana.get(f"/periods/{MONTH}/exports/focus-1.2?parquet=true")
        assert parquet.content.startswith(b"PAR1")
        assert dana.get(f"/periods/{MONTH}/exports/nothing").status_code == 422
        assert dana.get(f"/periods/{MONTH}/exports/netsuite?accrual=true").status_code == 403
    with books.visitor() as stranger:
        assert stranger.get(f"/periods/{MONTH}/exports/netsuite").status_code in {303, 401}


def test_an_own_mapping_file_is_tried_and_used_from_the_page(books: Any) -> None:
    path = f"/periods/{MONTH}/mapping"
    with books.at(DANA) as dana:
        text = html.unescape(re.search(r"<textarea[^>]*>(.*?)</textarea>", dana.get(f"{path}?start=stripe").text, re.DOTALL)[1])
        assert "extends: stripe" in text
        assert '"CC-4100": {customer: }' in text, "every cost center of the month, to fill in"
        refused = dana.post(path, {"mapping": text, "do": "download"}, page=path)
        assert refused.status_code == 422
        assert "no customer for" in plain(refused.text)
        assert "extends: stripe" in refused.text, "the text stays in the form"
        wrong = dana.post(path, {"mapping": "extends: stripe\n<b>: 1\n", "do": "try"}, page=path)
        assert "no such key" in plain(wrong.text)
        assert "<b>" not in wrong.text
        filled = text.replace("{customer: }", "{customer: cus_1}")
        assert "It works: 2026-10-stripe.jsonl" in plain(dana.post(path, {"mapping": filled, "do": "try"}, page=path).text)
        answer = dana.post(path, {"mapping": filled.replace("\n", "\r\n"), "do": "download"}, page=path)
        made = exported(books.ctx, OPERATOR, MONTH, "", mapping=filled)
        assert (answer.status_code, answer.content) == (200, made.body)
        assert answer.headers["content-disposition"] == 'attachment; filename="2026-10-stripe.jsonl"'
        assert dana.post(path, {"mapping": filled, "do": "download", "accrual": "true"}, page=path).status_code == 403
        assert dana.post(path, {"mapping": "#" + "x" * (1 << 20), "do": "try"}, page=path).status_code == 413
        assert dana.get(f"{path}?start=nothing").status_code == 422


def test_the_journals_of_a_soft_close_are_offered_to_those_who_may(books: Any) -> None:
    running = month_of(books.ctx.now())
    with books.at(FINN) as finn:
        assert finn.get(f"/periods/{running}/exports/netsuite").status_code == 404
        assert finn.get(f"/periods/{running}/exports/netsuite?accrual=true").status_code == 409, "not soft closed"
        assert "Accrual of the soft close" not in finn.get(f"/periods/{running}").text
        assert finn.post(f"/periods/{running}/soft-close", {}, page=f"/periods/{running}/checklist").status_code == 303
        text = finn.get(f"/periods/{running}").text
        assert re.search(r'aria-current="step"><th scope="row">soft close', text)
        link = f"/periods/{running}/exports/netsuite?accrual=true"
        assert f'href="{link}"' in text
        booked = finn.get(f"/periods/{running}/exports/generic?accrual=true").content
        assert hashlib.sha256(booked).hexdigest() == accrual_of(books.ctx, running)["journal_sha256"]
    with books.at(DANA) as dana:
        seen = dana.get(f"/periods/{running}").text
        assert "Accrual of the soft close" in seen
        assert link not in seen
        assert dana.get(link).status_code == 403


def test_late_calls_become_corrections_of_the_running_month(books: Any, tmp_path: Path) -> None:
    ingest(books.ctx, OPERATOR, "litellm", [str(make_month(tmp_path, MONTH, calls=1500).late)])
    running = month_of(books.ctx.now())
    period = show_period(books.ctx, running)
    [correction] = period["corrections"]
    assert correction["charge_month"] == MONTH
    assert Decimal(correction["contracted_cost"]) > 0
    with books.at(FINN) as finn:
        seen = plain(finn.get(f"/periods/{running}").text)
        assert "Corrections of earlier months" in seen
        assert "The month is not over" in seen
        spend = plain(finn.get(f"/spend?period={MONTH}").text)
        assert f"{MONTH} is closed: the statement charged ${show_period(books.ctx, MONTH)['totals']['statement_total']}" in spend
        assert "The month cannot close" not in spend
        assert "cannot close" not in seen.lower()
        future = finn.get(f"/periods/{next_month(running)}").text
        assert "The month has not begun" in future
        assert 'name="confirm"' not in future


def test_a_changed_file_is_not_handed_out(books: Any) -> None:
    with books.ctx.rows.session(write=True) as session:
        file = session.exec(select(PeriodFile).where(PeriodFile.name == f"journal-{MONTH}.csv")).one()
        kept, file.body = file.body, file.body + b"one more line\n"
        session.add(file)
    try:
        with books.at(FINN) as finn:
            answer = finn.get(f"/periods/{MONTH}/files/journal-{MONTH}.csv")
        assert answer.status_code == 409
        assert "one more line" not in answer.text
    finally:
        with books.ctx.rows.session(write=True) as session:
            row = session.get(PeriodFile, file.id)
            row.body = kept
            session.add(row)


def test_a_closed_month_says_what_its_corrections_come_to(books: Any) -> None:
    """It said "on the statement" where the open month had named the amount."""
    running = month_of(books.ctx.now())
    would = show_period(books.ctx, running)["corrections"]
    with books.at(FINN) as finn:
        finn.post(f"/periods/{running}/close", {"confirm": running}, page=f"/periods/{running}")
        assert show_period(books.ctx, running)["state"] == "closed"
        assert show_period(books.ctx, running)["corrections"] == would
        seen = plain(finn.get(f"/periods/{running}").text)
    assert money_text(would[0]["contracted_cost"]) in seen.partition("Corrections of earlier months")[2]


def test_below_the_gate_only_a_signed_exception_lets_it_close(open_site: Any, tmp_path: Path) -> None:
    admin = "admin@acme.example"
    with open_site(tmp_path / "home") as site:
        ingest(site.ctx, OPERATOR, "litellm", [str(path) for path in make_month(tmp_path / "traffic", MONTH, calls=60).files])
        with site.at(admin) as person:
            page = f"/periods/{MONTH}"
            seen = plain(person.get(page).text)
            assert "Coverage is below 95% and no signed exception is in force." in seen
            assert "Sign an exception" in seen
            missing = show_period(site.ctx, MONTH)["gaps"]
            assert missing[0]["percent_then"] != "100.00"
            assert missing[-1]["percent_then"] == "100.00"
            assert all(one["text"] in seen for one in missing)
            assert all(seen.count(words.replace("`", "")) == 1 for words in advice(missing)), "what to do is said once"
            assert seen.index("What is missing, the biggest first") < seen.index(missing[0]["text"]) < seen.index(missing[-1]["text"])
            assert 'name="confirm"' not in person.get(page).text
            refused = person.post(f"{page}/close", {"confirm": MONTH}, page=page)
            assert refused.status_code == 409
            assert "95% is needed" in refused.text
            assert state(site) == "open"
            for fields in ({"reason": "first month"}, {"reason": "first month", "control": "review", "expires": "soon"}):
                assert person.post(f"{page}/except", fields, page=page).status_code == 422
            signed = person.post(f"{page}/except", {"reason": "first month", "control": "every call reviewed"}, page=page)
            assert signed.status_code == 303, signed.text
            seen = plain(person.get(page).text)
            assert "below 95%, exception signed" in seen
            assert "first month every call reviewed" in seen
            assert person.post(f"{page}/close", {"confirm": MONTH}, page=page).status_code == 303
            text = plain(person.get(page).text)
            assert "used" in text
            assert "0.00%" in text, "the exception does not change the coverage"
        assert state(site) == "closed"


def test_a_home_without_calls_has_no_months(bare_site: Any) -> None:
    assert list_periods(bare_site.ctx) == []
    with bare_site.at("admin@acme.example") as admin:
        assert "No month has calls yet" in admin.get("/periods").text


def test_an_exception_holds_to_the_end_of_its_day() -> None:
    moment = end_of("2026-11-15")
    assert moment is not None
    assert moment.isoformat() == "2026-11-15T23:59:59+00:00"
    assert end_of("") is None
    with pytest.raises(Invalid):
        end_of("2026-02-30")


def test_every_file_says_what_it_is_for() -> None:
    for name in (
        "statement-2026-10-CC.csv",
        "statement-2026-10-CC.pdf",
        "focus-2026-10.csv",
        "focus-2026-10.parquet",
        "journal-2026-10.csv",
        "statement-2026-10.json",
        "manifest.json",
    ):
        assert kind_of(name)
