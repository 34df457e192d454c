"""`period export`: a closed month in other systems' formats, from the bytes its close sealed; an open one only as an accrual."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from governor.actions.check_focus import check_focus
from governor.actions.close_period import close, hand_out
from governor.actions.context import OPERATOR
from governor.actions.export_month import export_month, formats_known
from governor.actions.soft_close import soft_close
from governor.cli.focus import show
from governor.errors import Forbidden, Invalid, NotFound, WrongState
from tests.actions.test_close_period import month as october  # noqa: F401 - a fixture

OCTOBER = "2026-10"
MAPPING = "extends: stripe\ncost_centers: {CC-4100: {customer: cus_1}, 'CC 52/00': {customer: cus_2}}\n"


def test_every_format_agrees_with_the_closed_month_to_the_cent(october: Any, tmp_path: Path) -> None:  # noqa: F811
    closed = close(october.ctx, october.person("finn"), OCTOBER, tmp_path)
    total = Decimal(closed["totals"]["statement_total"])
    for name in formats_known():
        mapping = MAPPING if name == "stripe" else None
        out = tmp_path / f"x-{name}"
        made = export_month(october.ctx, OPERATOR, OCTOBER, name, out=out, mapping=mapping)
        first = out.read_bytes()
        assert export_month(october.ctx, OPERATOR, OCTOBER, name, out=out, mapping=mapping)["sha256"] == made["sha256"]
        assert out.read_bytes() == first
        assert (tmp_path / f"x-{name}.sha256").read_text() == f"{hashlib.sha256(first).hexdigest()}  x-{name}\n"
        control = json.loads((tmp_path / f"x-{name}.control.json").read_text())
        assert Decimal(control["statement_total"]) == total
        assert Decimal(control.get("credit") or control.get("amount") or control["billed_cost"]) == total
    statement = sum(
        Decimal(row["amount"])
        for file in tmp_path.glob("statement-*.csv")
        for row in csv.DictReader(io.StringIO(file.read_text()))
        if row["amount"]
    )
    assert statement == total


@pytest.mark.parametrize(("count", "words"), [(0, "f.csv: no problem\n"), (1, "f.csv: 1 problem\n"), (2, "f.csv: 2 problems\n")])
def test_problems_are_counted_in_words(count: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    show({"file": "f.csv", "statement": None, "ok": not count, "problems": [{"row": 1, "column": "SkuId", "what": "is padded"}] * count})
    assert capsys.readouterr().out.startswith(words)


def test_focus_parquet_of_a_closed_month_passes_the_check_beside_its_statement(october: Any, tmp_path: Path) -> None:  # noqa: F811
    close(october.ctx, october.person("finn"), OCTOBER, tmp_path)
    for version in ("1.2", "1.3"):
        file = tmp_path / f"focus-{version}-{OCTOBER}.parquet"
        export_month(october.ctx, OPERATOR, OCTOBER, f"focus-{version}", out=file)
        found = check_focus(file)
        assert found["ok"], found
        assert found["statement"] == str(tmp_path / f"statement-{OCTOBER}.json")
    assert check_focus(tmp_path / f"focus-{OCTOBER}.csv")["ok"]
    assert not check_focus(tmp_path / f"focus-{OCTOBER}.csv", total="1.00")["ok"]
    assert hand_out(october.ctx, OCTOBER, tmp_path)["state"] == "closed"


def test_an_accrual_is_that_of_the_soft_close_in_every_format(october: Any, tmp_path: Path) -> None:  # noqa: F811
    finn = october.person("finn")
    with pytest.raises(NotFound, match="is not closed"):
        export_month(october.ctx, finn, OCTOBER, "netsuite", out=tmp_path / "a.csv")
    with pytest.raises(WrongState, match="not soft closed"):
        export_month(october.ctx, finn, OCTOBER, "netsuite", out=tmp_path / "a.csv", accrual=True)
    booked = soft_close(october.ctx, finn, OCTOBER)
    made = export_month(october.ctx, finn, OCTOBER, "netsuite", out=tmp_path / "a.csv", accrual=True)
    again = export_month(october.ctx, finn, OCTOBER, "netsuite", out=tmp_path / "b.csv", accrual=True)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert {row["Date"] for row in rows} == {"10/31/2026", "11/01/2026"}
    assert sum(Decimal(row["Debit"] or 0) for row in rows) == sum(Decimal(row["Credit"] or 0) for row in rows)
    assert [row["External ID"] for row in rows] == [
        row["External ID"] for row in csv.DictReader(io.StringIO((tmp_path / "b.csv").read_text()))
    ]
    assert made["control"]["entries"] == again["control"]["entries"] == 2
    with pytest.raises(Forbidden):
        export_month(october.ctx, october.person("rae"), OCTOBER, "netsuite", out=tmp_path / "a.csv", accrual=True)
    assert made["control"]["statement_total"] == booked["accrued"]
    assert export_month(october.ctx, finn, OCTOBER, "sap", out=tmp_path, accrual=True)["file"] == str(
        tmp_path / f"{OCTOBER}-sap-accrual.csv"
    )
    close(october.ctx, finn, OCTOBER, tmp_path)
    assert export_month(october.ctx, finn, OCTOBER, "netsuite", out=tmp_path / "a.csv", accrual=True)["sha256"] == made["sha256"]


def test_wrong_requests_are_named(october: Any, tmp_path: Path) -> None:  # noqa: F811
    close(october.ctx, october.person("finn"), OCTOBER, tmp_path)
    for name, words in (("", "name a format"), ("lawson", "no format 'lawson'"), ("focus-2.0", "FOCUS 2.0 is not written")):
        with pytest.raises(Invalid, match=words):
            export_month(october.ctx, OPERATOR, OCTOBER, name, out=tmp_path / "a")
    with pytest.raises(Invalid, match="not written as Parquet"):
        export_month(october.ctx, OPERATOR, OCTOBER, "sap", out=tmp_path / "a.parquet")
    with pytest.raises(NotFound, match="no folder"):
        export_month(october.ctx, OPERATOR, OCTOBER, "sap", out=tmp_path / "none" / "a.csv")
