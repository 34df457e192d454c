"""What people see: numbers whole, unknown as a dash, and words from traffic never read as markup or as terminal commands."""

from __future__ import annotations

from typing import Any

import pytest

from governor.cli.findings import show as show_findings
from governor.cli.ingest import show_quarantine
from governor.cli.period import show as show_period
from governor.cli.usage import show as show_usage

NASTY = "gpt[/]4 [red]o\x1b[31m"
PART = {"workflow": "0.00", "owner": "0.00", "approved_policy": "0.00"}


def report(**row: Any) -> dict[str, Any]:
    known = {
        "model": NASTY,
        "workflow": None,
        "owner": "somebody.with.a.long.name@department.of.a.large.company.example",
        "calls": 1_234_567,
    }
    costs = {"input_tokens": 98_765_432_109, "output_tokens": None, "list_cost": "1234567.891", "contracted_cost": "1", "unpriced_calls": 0}
    coverage = {"mapped_spend": "0", "total_spend": "1", "percent": "0.00", "parts": PART, "unpriced_calls": 0}
    hint = {"calls": 1, "spend": "1", "match": {"api_key_alias": NASTY}}
    return {"period": "2026-10", "snapshot": 1, "rows": [known | costs | row], "coverage": coverage, "suggestions": [hint]}


def test_usage_in_a_pipe_shows_every_digit_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_usage(report())
    text = capsys.readouterr().out
    (line,) = [line for line in text.splitlines() if "somebody.with" in line]
    for shown in ("98,765,432,109", "1,234,567.8910", "1,234,567", "somebody.with.a.long.name@department.of.a.large.company.example"):
        assert shown in line
    assert [part.strip() for part in line.strip("│").split("│")][5] == "-", "unknown output tokens are not zero"


def test_a_closed_month_says_its_total_in_the_currency_of_its_statement_too(capsys: pytest.CaptureFixture[str]) -> None:
    totals = {"statement_total": "77.21", "contracted_cost": "77.212857118331"}
    month = {"period": "2026-10", "state": "closed", "snapshot": 8, "coverage": {"nothing_to_cover": True, "calls": 0}, "warnings": []}
    show_period(month | {"corrections": [], "files": [], "totals": totals | {"local_total": "71.30", "local_currency": "EUR"}})
    assert "  statement 77.21 USD, stated at 71.30 EUR\n" in capsys.readouterr().out
    show_period(month | {"corrections": [], "files": [], "totals": totals})
    assert "  statement 77.21 USD\n" in capsys.readouterr().out


@pytest.mark.parametrize("width", ["80", "40"])
def test_a_narrow_terminal_folds_words_and_keeps_numbers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setenv("FORCE_COLOR", "1")
    show_usage(report())
    text = capsys.readouterr().out
    assert "…" not in text


def test_words_from_traffic_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show_usage(report())
    finding = {
        "status": "violation", "severity": "high", "rule": "r", "workflow": NASTY, "message": NASTY, "waiver": "", "calls": 1,
        "cost_at_risk": "1.00", "example_record_ids": [], "solution": NASTY,
    }  # fmt: skip
    show_findings({"period": "2026-10", "findings": [finding]})
    show_quarantine(
        {
            "quarantine": [{"id": "a" * 64, "source": "s", "ingest_uri": f"/x/{NASTY}.jsonl", "ingest_row": 1, "reason": NASTY}],
            "more": False,
        }
    )
    text = capsys.readouterr().out
    assert text.count("gpt[/]4 [red]o") >= 6
    assert "\x1b" not in text
