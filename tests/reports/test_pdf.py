"""The same document gives the same PDF, whatever cuts its fonts and whatever time it is."""

from __future__ import annotations

import time

import pytest
import weasyprint.pdf.fonts

from reports.pdf import pdf_of


@pytest.mark.parametrize("cutter", ["what is installed", "fontTools"])
def test_the_time_of_day_is_not_in_a_pdf(cutter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    if cutter == "fontTools":
        monkeypatch.setattr(weasyprint.pdf.fonts, "harfbuzz_subset", None)
    made = pdf_of("<p>12 calls, <b>0.41 USD</b></p>", {"calls": 12})
    later = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    assert pdf_of("<p>12 calls, <b>0.41 USD</b></p>", {"calls": 12}) == made
    assert pdf_of("<p>13 calls</p>", {"calls": 13}) != made
