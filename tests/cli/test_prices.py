"""`governor prices` says who may, and what stays."""

import pytest
import typer
from typer.testing import CliRunner

from governor.cli.prices import app, show_difference
from governor.prices.difference import Difference


def test_import_says_who_may() -> None:
    told = " ".join(typer.main.get_command(app).commands["import"].help.split())  # type: ignore[attr-defined]
    assert "finance or admin" in told
    assert "until a person of finance approves" in told
    assert "without a token the operator of an embedded home" in told
    assert CliRunner().invoke(app, ["import", "--help"]).exit_code == 0


def test_diff_says_what_stays(capsys: pytest.CaptureFixture[str]) -> None:
    show_difference(Difference(kept=7).document())
    assert "7 prices inside named entries that this source lacks (they stay)" in capsys.readouterr().out
