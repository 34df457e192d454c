"""The statement: amounts that foot, text that cannot be run, the same bytes every time."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from governor.chargeback.statement import for_cost_center
from reports.amounts import usd
from reports.charge_parts import charge_parts
from reports.packet import usd as packet_usd
from reports.statement import render_csv, render_html, render_pdf
from reports.table import safe_text

CENTERS = ("CC-4100", "CC-5200", "UNALLOCATED")


def rows(month: dict[str, Any], center: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render_csv(for_cost_center(month, center)).decode())))


@pytest.mark.parametrize("center", CENTERS)
def test_the_amounts_of_a_cost_center_sum_to_its_total(month: dict[str, Any], center: str) -> None:
    document = for_cost_center(month, center)["cost_center"]
    found = rows(month, center)
    assert sum(Decimal(row["amount"] or 0) for row in found) == Decimal(document["total"])
    assert sum(Decimal(row["contracted_cost"] or 0) for row in found) == Decimal(document["contracted_cost"])
    production = sum((Decimal(row["amount"]) for row in document["workflows"]), Decimal(0))
    assert production + Decimal(document["corrections_total"]) == Decimal(document["total"])


def test_unpriced_use_is_listed_without_an_amount(month: dict[str, Any]) -> None:
    found = [row for row in rows(month, "CC-5200") if row["kind"] == "unpriced"]
    assert [(row["model"], row["meter"], row["quantity"], row["amount"]) for row in found] == [
        ("mystery-x1", "input", "120000", ""), ("mystery-x1", "output", "31000", ""),
    ]  # fmt: skip


def test_a_formula_in_a_name_is_defused_and_negative_amounts_stay_numbers(month: dict[str, Any]) -> None:
    found = rows(month, "CC-5200")
    assert {row["workflow"] for row in found if "HYPERLINK" in row["workflow"]} == {"'=HYPERLINK(1)"}
    assert any(row["amount"].startswith("-") for row in found)
    page = render_html(for_cost_center(month, "CC-5200") | {"warnings": ["<script>alert(1)</script>"]})
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("text", "safe"),
    [("=1+1", "'=1+1"), (" +1", "' +1"), ("\t=1", "'\t=1"), ("@x", "'@x"), ("-1", "'-1"), ("＝1", "'＝1"), ("\u00a0=1", "'\u00a0=1"), ("a\n=1", "a\n'=1"),
     ("a-b", "a-b")],
)  # fmt: skip
def test_cells_that_a_spreadsheet_would_run(text: str, safe: str) -> None:
    assert safe_text(text) == safe


@pytest.mark.parametrize(("value", "shown"), [("1234567.5", "$1,234,567.50"), ("-0.01", "($0.01)"), ("0", "$0.00")])
def test_money_is_shown_with_negatives_in_parentheses(value: str, shown: str) -> None:
    assert usd(value) == shown


def test_a_name_cannot_turn_around_what_stands_behind_it(month: Any) -> None:
    """With U+202E in a model's name `CC-4100` behind it read 0014-CC."""
    page = render_html(for_cost_center(month, "CC-5200") | {"warnings": ["a\u202eb \u2066c", "עברית \u200f ok"]})
    assert "a\ufffdb \ufffdc" in page
    assert "עברית \u200f ok" in page


def test_the_page_says_what_a_controller_asks(month: dict[str, Any]) -> None:
    page = render_html(for_cost_center(month, "CC-4100"))
    for words in (
        "$431.43",
        "+$252.93",
        "route not approved",
        "Shadow tests and evaluation",
        "period:close",
        "98.67 %",
        "$6.69",
        "line_id",
        "cache, nothing charged",
    ):
        assert words in page, words
    assert "Over budget: contract-review ($105.09 of $100.00)" in render_html(for_cost_center(month, "CC-5200"))
    assert "under a waiver" in render_html(for_cost_center(month, "CC-5200"))


def test_more_tokens_than_2_to_53_are_summed(month: dict[str, Any]) -> None:
    document = for_cost_center(month, "CC-5200")
    first, *rest = document["cost_center"]["lines"]
    document["cost_center"] |= {"lines": [first | {"quantity": str(2**53 + 1), "unit": "Tokens"}, *rest]}
    every = 2**53 + 1 + sum(line["quantity"] for line in rest if line["unit"] == "Tokens")
    assert f"{every:,}" in render_html(document)


def lead(document: dict[str, Any]) -> str:
    return " ".join(re.sub(r"<[^>]+>", "", render_html(document).split('<p class="lead">')[1].split("</p>")[0]).split())


@pytest.mark.parametrize("center", CENTERS)
def test_the_parts_that_the_first_sentence_names_sum_to_the_total(month: dict[str, Any], center: str) -> None:
    document = for_cost_center(month, center)
    parts = charge_parts(document["cost_center"], document["cost_center"]["workflows"])
    assert sum(amount for amount, _ in parts) == Decimal(document["cost_center"]["total"])
    assert len(parts) == 1 or all(f"{usd(amount)} for {words}" in lead(document) for amount, words in parts)


def test_the_first_sentence_says_only_of_calls_whose_they_are(month: dict[str, Any]) -> None:
    document = for_cost_center(month, "CC-4100")
    row = next(row for row in document["cost_center"]["workflows"] if row["workflow"] == "claims-letter")
    found = {"workflows": [row], "corrections_total": "0.74", "corrections": document["cost_center"]["lines"][:1], "total": "3.00"}
    words = lead(document | {"cost_center": document["cost_center"] | found})
    assert (
        f"{usd(row['amount'])} for 9,031 model calls and $0.74 for corrections of earlier months. The calls are those of claims-letter."
        in words
    )
    assert "All of it" not in words


def test_a_share_of_a_cost_that_commitments_pay_for_says_where_the_rest_of_it_stands(month: dict[str, Any]) -> None:
    """Half of $3.40 was an amount of $0.88: the rest is in the commitment's line, and nothing said so."""
    document = for_cost_center(month, "CC-4100")
    shared = {"rule": "pool@1", "origin_cost_center": "CC-S", "method": "even", "ratio": "0.5"}
    parts = [("0.88", "0.00", "0.88"), ("0.00", "0.82", "0.00")]
    lines = [
        document["cost_center"]["lines"][0] | shared | {"amount": one, "amortized_cost": two, "contracted_cost": three}
        for one, two, three in parts
    ]
    flow = {"rule": "pool@1", "source": "CC-S", "target": "CC-4100", "origin": "3.40", "percent": "50.00"}
    center = document["cost_center"] | {"lines": [*document["cost_center"]["lines"], *lines]}
    page = render_html(document | {"cost_center": center, "allocation": {"flows": [flow], "left": []}})
    assert "<b>$0.88</b><br><small>and $0.82 by commitments, below</small>" in page
    whole = center | {"lines": [*document["cost_center"]["lines"], lines[0]]}
    assert "by commitments, below" not in render_html(document | {"cost_center": whole, "allocation": {"flows": [flow], "left": []}})


def test_a_credit_memo_gets_back_what_its_table_sums_to(month: dict[str, Any]) -> None:
    document = for_cost_center(month, "CC-4100")
    line = document["cost_center"]["lines"][0] | {
        "workflow": None,
        "owner": None,
        "model": "mini",
        "price_source": "commitment",
        "commitment": "spend/mini",
    }
    bought = line | {
        "traffic_class": "commitment",
        "meter": "commitment_used",
        "amount": "0.10",
        "list_price": None,
        "contract_price": None,
    }
    center = document["cost_center"] | {
        "workflows": [], "lines": [], "commitments": [bought | {"arithmetic": "all of it"}], "commitment_total": "0.10",
        "corrections": [bought | {"amount": "-0.13", "charge_month": "2026-09"}], "corrections_total": "-0.13", "total": "-0.03",
    }  # fmt: skip
    memo = document | {"cost_center": center}
    assert lead(memo).startswith(
        "Cost center CC-4100 gets back $0.03 for October 2026: $0.10 for commitments and provisioned capacity and ($0.13) for corrections of earlier months."
    )
    page = render_html(memo)
    assert "No calls of its own in October 2026." in page
    assert "<th>Lines</th><td>2</td>" in page, "the lines of its CSV"
    assert "Commitments and provisioned capacity</th>" in page.split("Corrections of earlier months</h2>")[1]
    assert "Not attributed to a workflow" not in page
    assert "as measured" not in page


def test_a_statement_without_anything_special_renders(month: dict[str, Any]) -> None:
    document = for_cost_center(month, "UNALLOCATED") | {"previous": None}
    document["cost_center"] = document["cost_center"] | {"previous_total": None}
    page = render_html(document)
    assert "no closed month before this one" in page
    assert "nobody has been charged" in page


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_the_pdf_is_the_same_bytes_in_another_process(month: dict[str, Any], paper: str, tmp_path: Path) -> None:
    document = for_cost_center(month, "CC-5200") | {"paper": paper}
    (tmp_path / "document.json").write_text(json.dumps(document))
    program = "import hashlib,json,sys; from reports.statement import render_pdf; print(hashlib.sha256(render_pdf(json.load(open(sys.argv[1])))).hexdigest())"
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", program, str(tmp_path / "document.json")]
    other = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, cwd=Path(__file__).parents[2]
    ).stdout.strip()
    assert hashlib.sha256(render_pdf(document)).hexdigest() == other


def test_the_csv_is_inside_the_pdf(month: dict[str, Any], tmp_path: Path) -> None:
    if shutil.which("pdfdetach") is None:
        pytest.skip("pdfdetach (poppler-utils) is not installed")
    document = for_cost_center(month, "CC-4100")
    (tmp_path / "s.pdf").write_bytes(render_pdf(document))
    subprocess.run(["pdfdetach", "-save", "1", "-o", "inside.csv", "s.pdf"], cwd=tmp_path, check=True)
    assert (tmp_path / "inside.csv").read_bytes() == render_csv(document)


@pytest.mark.parametrize(
    ("amount", "shown"), [("-0.004", "$0.00"), ("0.004", "$0.00"), ("-0.006", "($0.01)"), ("-1234.5", "($1,234.50)"), ("0", "$0.00")]
)
def test_what_rounds_to_zero_has_no_sign(amount: str, shown: str) -> None:
    assert usd(amount) == shown
    assert (
        packet_usd(amount).replace("\u2212", "-")
        == str(shown.replace("$", "").strip("()") if "(" not in shown else f"-{shown[2:-1]}") + " USD"
    )
