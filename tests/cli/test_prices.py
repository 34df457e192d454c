"""`governor prices` says who may, what stays, and from when prices hold."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from governor.cli.prices import app, read, show_difference
from governor.errors import Invalid
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


def test_prices_without_a_first_day_of_their_own_begin_when_they_are_said_to(tmp_path: Path) -> None:
    """A new list changed the prices of every call that was ever made, and nothing could say from when it holds."""
    path = tmp_path / "list.csv"
    path.write_text(
        "provider,model,meter,amount,per,valid_from,valid_to\n"
        "openai,a,input,1,1000,,\nopenai,b,input,1,1000,2026-12-01,\nopenai,c,input,1,1000,,2026-11-01\n"
    )
    assert read(str(path)).undated == 2
    found = read(str(path), "2026-11-15")
    assert [row.valid_from for row in found.rows] == [datetime(2026, 11, 15, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC), None]
    assert found.digest != read(str(path)).digest
    for wrong, said in (("soon", "--from 'soon'"), ("2026-11-15T00:00:00", "zone")):
        with pytest.raises(Invalid, match=said):
            read(str(path), wrong)
    path.write_text("provider,model,meter,amount,per,valid_from\nopenai,b,input,1,1000,2026-12-01\n")
    with pytest.raises(Invalid, match="names its own first day"):
        read(str(path), "2026-11-15")
