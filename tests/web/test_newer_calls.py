"""A page of sums does not wait long for calls that have just come, and says what it does not count yet."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from governor.actions import month_view
from governor.actions.context import OPERATOR
from governor.actions.findings import findings_of
from governor.actions.ingest import ingest
from governor.actions.remembered import settle
from governor.demo.traffic import make_month

MONTH = "2026-10"
NOTE = "Newer calls are being counted"


def test_older_numbers_are_shown_until_newer_are_counted(open_site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, begun, go = f"/findings?period={MONTH}", Event(), Event()

    def slowly(*rest: Any) -> Any:
        begun.set()
        assert go.wait(30)
        return findings_of(*rest)

    with open_site(tmp_path / "home", traffic=tmp_path / "first") as site, site.at("rae@acme.example") as rae:
        first = rae.get(page)
        assert (first.status_code, NOTE in first.text) == (200, False)
        monkeypatch.setattr("governor.web.newer_calls.WAITS_SECONDS", 0.01)
        monkeypatch.setattr(month_view, "findings_of", slowly)
        assert ingest(site.ctx, OPERATOR, "litellm", [str(path) for path in make_month(tmp_path / "more", "2026-09", calls=40).files])[
            "stored"
        ]
        older = rae.get(page)
        assert (older.status_code, NOTE in older.text, f'href="{page}">Look again' in older.text) == (200, True, True)
        assert begun.wait(30)
        go.set()
        settle(site.ctx)
        assert NOTE not in rae.get(page).text
