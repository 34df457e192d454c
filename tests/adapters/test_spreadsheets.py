"""Sheets out and in: text stays text, broken files are refused in words, limits hold."""

import io
import zipfile

import openpyxl
import pytest

from governor.adapters import spreadsheets
from governor.adapters.spreadsheets import plain_cell, read_sheet, safe_cell, write_sheet
from governor.errors import Invalid, TooLarge

ATTACKS = ('=cmd|"/C calc"!A0', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '  =HYPERLINK("http://x")', "\uff1d1", "|x", "%0A", "\n=1")


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_written_is_a_formula_and_it_reads_back_as_it_was(form: str, attack: str) -> None:
    body = write_sheet(form, ("pair", "note"), [("1", attack)], choices={})
    if form == "xlsx":
        cell = openpyxl.load_workbook(io.BytesIO(body)).worksheets[0]["B2"]
        assert cell.data_type == "s"
        assert str(cell.value).startswith("'")
    else:
        assert b"\"'" in body
    ((number, row),) = read_sheet(body, ("pair", "note"))
    assert number == 2
    assert row["note"].strip() == attack.strip()


def test_plain_words_are_left_alone_and_long_ones_fit_a_cell() -> None:
    assert safe_cell("a = b") == "a = b"
    assert plain_cell("'tis") == "'tis"
    assert "\x00" not in safe_cell("a\x00b")
    assert len(safe_cell("x" * 40_000)) <= 32_767


def test_a_sheet_of_a_european_spreadsheet_is_read() -> None:
    assert read_sheet("\ufeffpair;Pick \r\n3;a\r\n\r\n".encode(), ("pair", "pick")) == [(2, {"pair": "3", "pick": "a"})]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\xff\xfe\x00", "neither"),
        (b"PK\x03\x04broken", "cannot be read"),
        (b"a,b\n1,2", "no column 'pair'"),
        (b"", "no column"),
        (b'pair,pick\n"1', "row"),
    ],
)
def test_what_is_no_sheet_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        read_sheet(body, ("pair", "pick"))


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "LARGEST_UNPACKED", 1_000_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("xl/workbook.xml", b" " * 2_000_000)
    with pytest.raises(TooLarge, match="unpacks"):
        read_sheet(packed.getvalue(), ("pair",))


def test_a_broken_part_of_a_workbook_is_refused_in_words() -> None:
    whole = write_sheet("xlsx", ("pair", "pick"), [("1", "a")], choices={"pick": ("a", "b")})
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(packed, "w") as out:
        for name in source.namelist():
            out.writestr(name, source.read(name)[:200] if name.endswith("sheet1.xml") else source.read(name))
    with pytest.raises(Invalid, match="cannot be read"):
        read_sheet(packed.getvalue(), ("pair",))
