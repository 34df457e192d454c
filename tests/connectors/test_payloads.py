"""From bytes to records: packaging, chunk edges, damage and bombs."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from connectors import archives, payloads
from connectors.payloads import each, records_of, split_values
from governor.errors import Invalid
from governor.ports import Payload, ReadOptions


def values(body: bytes) -> list[bytes]:
    return [value.as_py().strip() for chunk in records_of(Payload("x", body=body)) for value in chunk.values]


def boxed(body: bytes, kind: str) -> bytes:
    box = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(box, "w") as archive:
            archive.writestr("a.jsonl", body)
    else:
        with tarfile.open(fileobj=box, mode="w") as archive:
            entry = tarfile.TarInfo("logs/a.jsonl")
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return box.getvalue()


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (boxed(b'{"a":1}\n{"a":2}\n', "zip"), "a zip archive"),
        (boxed(b'{"a":1}\n{"a":2}\n', "tar"), "a tar archive"),
        (gzip.compress(boxed(b'{"a":1}\n{"a":2}\n', "tar")), "a tar archive"),
        (bz2.compress(b'{"a":1}\n'), "packed with bzip2"),
        (lzma.compress(b'{"a":1}\n'), "packed with xz"),
        (gzip.compress(gzip.compress(b'{"a":1}\n')), "packed twice"),
        (gzip.compress(zstandard.compress(b'{"a":1}\n')), "packed twice"),
    ],
    ids=["zip", "tar", "tar.gz", "bz2", "xz", "gz.gz", "zst.gz"],
)
def test_an_archive_of_another_kind_is_refused_in_words(packed: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(packed)
    for payload in (Payload("a", body=packed), Payload("a", path=tmp_path / "a")):
        with pytest.raises(Invalid, match=f"a is {said}") as caught:
            list(records_of(payload))
        assert "unpack it" in caught.value.hint


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a":1}\n{"a":2}', [b'{"a":1}', b'{"a":2}']),
        (b'\n\n{"a":1}\r\n \r\n{"a":2}\r\n', [b'{"a":1}', b'{"a":2}']),
        (b'[{"a":1}, {"a":2}]', [b'{"a":1}', b'{"a":2}']),
        (b'[{"a":1}]\n[{"a":2}]\n', [b'{"a":1}', b'{"a":2}']),
        (b'{"a":1}{"a":2} {"a":"} {"}', [b'{"a":1}', b'{"a":2}', b'{"a":"} {"}']),
        (b'{"a":1}\r{"a":2}\r', [b'{"a":1}', b'{"a":2}']),
        (b'{"a":"} {"}', [b'{"a":"} {"}']),
        (bytes(100) + b'{"a":1}\n\n' + bytes(100) + b'{"a":2}\n' + bytes(100), [b'{"a":1}', b'{"a":2}']),
        (b'{"a":"} {"', [b'{"a":"} {"']),
        (b'{\n "a": {\n  "b": [1, {"c": 2}]\n }\n}\n', [b'{\n "a": {\n  "b": [1, {"c": 2}]\n }\n}']),
        (b'{\n "a": 1\n}\n{\n "a": 2\n}\n', [b'{\n "a": 1\n}', b'{\n "a": 2\n}']),
        (b'[{"a": "}]{\\"["}]', [b'{"a": "}]{\\"["}']),
        (b'[1, {"a":1}, "x", {"a":2}]', [b"1", b'{"a":1}', b'"x"', b'{"a":2}']),
        (b'[{"a":1}, {"a":', [b'{"a":1}', b'{"a":']),
        (b'\xef\xbb\xbf{"a":1}\n', [b'{"a":1}']),
        (b"", []),
        (b"[]", []),
    ],
)
def test_records_of_every_packaging(body: bytes, expected: list[bytes]) -> None:
    assert values(body) == expected
    assert values(gzip.compress(body)) == expected
    assert values(zstandard.compress(body)) == expected


@pytest.mark.parametrize("size", [64, 100, 1000, 4096])
@pytest.mark.parametrize("form", ["lines", "array", "pretty"])
def test_chunk_edges_lose_and_repeat_nothing(size: int, form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(archives, "CHUNK", size)
    monkeypatch.setattr(payloads, "CHUNK", size)
    records = [{"n": n, "text": "x" * (n * 7 % 90)} for n in range(300)]
    texts = {
        "lines": "\n".join(map(json.dumps, records)),
        "array": json.dumps(records),
        "pretty": json.dumps(records, indent=3),
    }
    path = tmp_path / "records"
    path.write_text(texts[form])
    chunks = list(records_of(Payload("x", path=path)))
    assert len(chunks) > 3
    assert [json.loads(v.as_py()) for chunk in chunks for v in chunk.values] == records
    assert [chunk.first_row for chunk in chunks] == [sum(len(c.values) for c in chunks[:i]) for i in range(len(chunks))]


def test_members_and_frames_may_follow_one_another() -> None:
    parts = [b'{"a":1}\n', b'{"a":2}\n', b'{"a":3}\n']
    expected = [b'{"a":1}', b'{"a":2}', b'{"a":3}']
    assert values(b"".join(map(gzip.compress, parts)) + b"\x00\x00") == expected
    assert values(b"".join(zstandard.compress(p) for p in parts)) == expected
    skipped = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"size"  # as pzstd writes one before each frame
    framed = b"".join(skipped + zstandard.compress(p) for p in parts)
    assert values(framed) == expected
    assert archives.head_of(framed).startswith(b'{"a":1}\n')


def test_a_head_looks_through_several_members() -> None:
    assert archives.head_of(gzip.compress(b'{"a":') + gzip.compress(b"1}\n")) == b'{"a":1}\n'


def test_a_table_where_lines_should_be_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1\x15\x04\x15\nPAR1")
    packed = gzip.compress(b"PAR1\x15\x04\x15\nPAR1")
    for payload in (Payload("rows.parquet", path=tmp_path / "rows.parquet"), Payload("rows.parquet", body=packed)):
        with pytest.raises(Invalid, match=r"rows\.parquet is a Parquet table, and this connector reads JSON"):
            list(records_of(payload))


def test_zeros_behind_a_gzip_file_cut_nothing_off() -> None:
    chunks = list(records_of(Payload("x", body=gzip.compress(b'{"a":1}\n{"a":2}\n') + b"\x00" * 600)))
    assert [(len(chunk.values), chunk.cut) for chunk in chunks] == [(2, "")]


@pytest.mark.parametrize("bom", ["utf-16-le", "utf-16-be"])
def test_what_powershell_wrote_is_read_as_any_other(bom: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(archives, "CHUNK", 65)  # within a character
    records = [{"n": n, "text": "\u00e4\u4e0a\U0001f600" * (n % 9)} for n in range(50)]
    body = ("\ufeff" + "\r\n".join(json.dumps(one, ensure_ascii=False) for one in records)).encode(bom)
    (tmp_path / "log.jsonl").write_bytes(body)
    of_file = records_of(Payload("x", path=tmp_path / "log.jsonl"))
    assert [json.loads(one) for one in values(body)] == records
    assert [json.loads(one.as_py()) for chunk in of_file for one in chunk.values] == records


def test_one_record_in_utf_16_costs_the_others_nothing() -> None:
    bad = '{"a":0}'.encode("utf-16")
    assert values(bad + b'\n{"a":1}\n{"a":2}\n') == [bad, b'{"a":1}', b'{"a":2}']


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_bomb_is_refused(compress: Any) -> None:
    zeros = compress(b" " * (80 << 20))
    with pytest.raises(Invalid, match=r"unpacks|a record of more than"):
        values(zeros)


def test_a_record_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payloads, "MAX_RECORD", 1 << 20)
    monkeypatch.setattr(archives, "CHUNK", 1 << 18)
    monkeypatch.setattr(payloads, "CHUNK", 1 << 18)
    with pytest.raises(Invalid, match="a record of more than"):
        values(b'{"a": "' + b"x" * (3 << 20))


def test_a_real_archive_of_repeats_is_no_bomb() -> None:
    lines = b"".join(b'{"n": %d, "text": "the same text in every record"}\n' % n for n in range(2_000_000))
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as out:
        out.write(lines)
    assert sum(len(chunk.values) for chunk in records_of(Payload("x", body=buffer.getvalue()))) == 2_000_000


def test_a_damaged_archive_keeps_what_came_before() -> None:
    body = gzip.compress(b"".join(b'{"n": %d}\n' % n for n in range(1000)), compresslevel=0)
    chunks = list(records_of(Payload("x", body=body[:5000])))
    assert len(chunks[-1].values) > 100
    assert chunks[-1].cut.startswith("truncated")


@pytest.mark.parametrize("body", [gzip.compress(b'{"n": 1}\n' * 9)[:10], zstandard.compress(b'{"n": 1}\n' * 9)[:-1]], ids=["gzip", "zstd"])
def test_an_archive_of_which_nothing_can_be_unpacked_is_not_passed_over(body: bytes, tmp_path: Path) -> None:
    """A zstd file of one block without its last byte, a gzip file of which only the head arrived: beside others nobody would notice."""
    (tmp_path / "cut").write_bytes(body)
    for payload in (Payload("x", body=body), Payload("x", path=tmp_path / "cut")):
        [chunk] = records_of(payload)
        assert (chunk.values.to_pylist(), chunk.cut) == ([b""], "truncated: the archive ends early")


def test_what_stands_in_a_text_that_a_chunk_cuts_is_no_structure() -> None:
    """Code in prompts: of an array of 11 MiB, 3,112 of 9,000 records were read, and half a million shreds of the others refused."""
    records = [{"id": number, "prompt": 'if (x) { return "}"; }}}\\\n' * 40} for number in range(9000)]
    assert [json.loads(value) for value in values(json.dumps(records).encode())] == records
    assert split_values(b'[{"a": 1}, {"b": "}}{ \\"') == (split_values(b'{"a": 1}')[0], 9)
    assert split_values(b'[{"a": 1}, {"b": "}}{ \\')[1] == 9


def test_a_text_that_is_cut_is_looked_at_once() -> None:
    """JSON in a prompt, with a quote every few bytes: from each of them all was read again, for minutes."""
    cut = b'{"a": "' + rb"{\"k\": \"v\"}, " * 100_000
    assert [token[0][:1] for token in payloads._STRUCTURE.finditer(cut)] == [b"{", b'"', b'"']


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
@pytest.mark.parametrize("behind", [b'{"n": 3}\n', b"?", b"\x1f\x99"], ids=["a record", "a byte", "half a sign"])
def test_what_follows_an_archive_is_not_passed_over(pack: Callable[[bytes], bytes], behind: bytes) -> None:
    """`cat log.1.gz log > all.gz`: gunzip says that it ignores the rest."""
    [chunk] = records_of(Payload("x", body=pack(b'{"n": 1}\n{"n": 2}\n') + behind))
    assert chunk.values.to_pylist() == [b'{"n": 1}\n', b'{"n": 2}\n', b""]
    assert chunk.cut == "truncated: what follows in the file is no part of the archive"


def test_padding_behind_an_archive_is_nothing() -> None:
    [chunk] = records_of(Payload("x", body=gzip.compress(b'{"n": 1}\n') + bytes(100)))
    assert (len(chunk.values), chunk.cut) == (1, "")


def test_an_archive_that_ends_between_two_records_has_all_of_them() -> None:
    """A log that is still written, with a flush after each line: the last line is whole, and is no truncated record."""
    packer = zlib.compressobj(wbits=31)
    body = b"".join(packer.compress(b'{"n": %d}\n' % n) + packer.flush(zlib.Z_SYNC_FLUSH) for n in range(3))
    [chunk] = records_of(Payload("x", body=body))
    assert chunk.values.to_pylist() == [b'{"n": 0}\n', b'{"n": 1}\n', b'{"n": 2}\n', b""]
    assert chunk.cut == "truncated: the archive ends early"


def test_a_file_that_is_gone_by_now_stops_no_other_where_somebody_wants_to_hear_of_it(tmp_path: Path) -> None:
    heard: list[str] = []
    gone, there = Payload("gone.jsonl", path=tmp_path / "gone.jsonl"), Payload("there", body=b"{}\n")
    options = ReadOptions("source", refused=lambda error: heard.append(error.message))
    assert [payload.uri for payload, _ in each([gone, there], records_of, options)] == ["there"]
    assert heard == ["gone.jsonl: No such file or directory"]
    with pytest.raises(FileNotFoundError):
        list(each([gone, there], records_of, ReadOptions("source")))


def test_a_log_that_was_truncated_under_its_writer_is_read_after_the_hole(tmp_path: Path) -> None:
    """Logrotate's copytruncate: the writer goes on where it was, and all before is zeros; it was a record of more than 64 MiB."""
    path = tmp_path / "log.jsonl"
    with path.open("wb") as file:
        file.seek(140 << 20)
        file.write(b'{"a":1}\n{"a":2}\n')
    found = [value.as_py().strip() for chunk in records_of(Payload("x", path=path)) for value in chunk.values]
    assert found == [b'{"a":1}', b'{"a":2}']


def test_a_payload_has_a_path_or_a_body() -> None:
    with pytest.raises(Invalid, match="neither"):
        list(records_of(Payload("x")))


def test_splitting_is_by_structure_not_by_text() -> None:
    found, end = split_values(b'  {"a": [{"b": "{"}, "\\\\"]} tail')
    assert [v.as_py() for v in found] == [b'{"a": [{"b": "{"}, "\\\\"]}']
    assert end == 27
