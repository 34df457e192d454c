"""Mappings people write: errors that name the field, CSV and Parquet rows, units, how usage is counted, hostile text, and the shipped files."""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from connectors.addresses import bare
from connectors.mapping import MappedConnector, connector, shipped
from connectors.mapping.document import ELSEWHERE, MAPPABLE, Mapping, parse
from connectors.otlp.usage import counted_apart
from governor.cli import main
from governor.errors import Invalid
from governor.ports import Payload, ReadOptions
from governor.store.lake_ingest import FACTS

FIXTURES = Path(__file__).parent / "fixtures"
SHIPPED = Path(__file__).parents[2] / "connectors/mappings"
BASE: dict[str, Any] = {
    "name": "own.row",
    "about": "a table of our own",
    "witness": "tracer",
    "finds": ["id"],
    "columns": {"source_record_id": "id", "start_time": "at", "requested_model": "model", "input_tokens": "in", "output_tokens": "out"},
}
RECORD: dict[str, Any] = {"id": "a", "at": "2026-10-01T00:00:00Z", "model": "gpt-4o", "in": 10, "out": 2}


def mapped(**changes: Any) -> MappedConnector:
    columns = BASE["columns"] | changes.pop("columns", {})
    return MappedConnector("mapping", [Mapping.model_validate({**BASE, **changes, "columns": columns})])


def body(*records: dict[str, Any]) -> bytes:
    return b"\n".join(json.dumps(RECORD | record).encode() for record in records)


@pytest.fixture
def one(read: Any) -> Callable[..., dict[str, Any]]:
    """The only call of one record under a changed mapping."""

    def run(record: dict[str, Any], **changes: Any) -> dict[str, Any]:
        batch = read(mapped(**changes), body(record))
        assert batch.rejected.to_pylist() == []
        [row] = batch.calls.to_pylist()
        return dict(row)

    return run


# errors


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"columns": {"source_record_id": "id", "start_time": "at", "requested_model": "m", "tokens_in": "x"}}, "'tokens_in' is no column"),
        (
            {"columns": {"source_record_id": "id", "start_time": "at", "requested_model": "m", "cost_bearing": "x"}},
            "'cost_bearing' is no column",
        ),
        ({"columns": {"start_time": "at", "requested_model": "m"}}, "source_record_id is missing"),
        ({"columns": {"source_record_id": "id", "requested_model": "m"}}, "start_time is missing"),
        ({"columns": {"source_record_id": "id", "start_time": "at", "requested_model": "a..b"}}, "columns.requested_model.from"),
        (
            {"columns": {"source_record_id": "id", "start_time": {}, "requested_model": "m"}},
            "columns.start_time: Value error, name a path or a value",
        ),
        (
            {"columns": {"source_record_id": "id", "start_time": {"from": "at", "unit": "hours"}, "requested_model": "m"}},
            "columns.start_time.unit: Input should be 'auto', 's',",
        ),
        (
            {"columns": BASE["columns"] | {"cost_amount": {"from": "c", "unit": "ms"}}},
            "cost_amount: 'ms' is no unit of it; it has usd, usd_cents, micro_usd, nano_usd",
        ),
        (
            {"columns": BASE["columns"] | {"start_time": {"from": "at", "unit": "usd"}}},
            "start_time: 'usd' is no unit of it; it has auto, s, ms, us, ns, ticks",
        ),
        (
            {"columns": BASE["columns"] | {"input_tokens": {"from": "in", "unit": "s"}}},
            "input_tokens: 's' is no unit of it; it has none",
        ),
        ({"columns": {"source_record_id": 7, "start_time": "at", "requested_model": "m"}}, "columns.source_record_id"),
        ({"finds": []}, "finds"),
        ({"finds": ["x" * 400]}, "finds"),
        ({"name": "Own Row"}, "name"),
        ({"witness": "spy"}, "witness"),
        ({"about": ""}, "about"),
        ({"cost": {"source": "guess"}}, "cost.source"),
        ({"usage": {"cache": "sometimes"}}, "usage.cache"),
        ({"sql": "SELECT 1"}, "sql"),
    ],
)
def test_errors_name_the_field(change: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=r"here\.yaml: ") as refused:
        parse(yaml.safe_dump(BASE | change), "here.yaml")
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("text", "said"), [("- a\n- b", "a mapping is a YAML object"), ("", "a mapping is a YAML object"), ("a: [", "not YAML")]
)
def test_what_is_no_mapping_is_refused(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        parse(text, "here.yaml")


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="not YAML"):
        parse("name: !!python/object/apply:os.getcwd []", "here.yaml")


def test_files_that_are_missing_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"nothing\.yaml: no such mapping file"):
        connector.with_file(tmp_path / "nothing.yaml")
    large = tmp_path / "large.yaml"
    large.write_text(yaml.safe_dump(BASE) + "# " + "x" * (1 << 20))
    with pytest.raises(Invalid, match="larger than 1 MiB"):
        connector.with_file(large)
    with pytest.raises(Invalid, match="name the mapping file"):
        list(connector.read([Payload("x", body=body({}))], ReadOptions("x")))


def test_a_bare_name_is_a_shipped_mapping_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert connector.with_file(Path("llm_usage_events")).mappings == (shipped("llm_usage_events"),)
    for name in ("no_such", "../mappings/parea", "", "."):
        with pytest.raises((Invalid, OSError)):
            connector.with_file(Path(name))
    with pytest.raises(Invalid) as refused:
        connector.with_file(Path("no_such"))
    assert "llm_usage_events" in refused.value.hint
    (tmp_path / "parea").write_text(yaml.safe_dump(BASE))  # a file of that name is the person's own
    assert connector.with_file(Path("parea")).mappings[0].name == "own.row"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_mapping_fits_the_published_schema(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((SHIPPED.parents[1] / "docs/schemas/mapping.json").read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)


# CSV


CSV = b'''id,at,model,in,out,note
a,2026-10-01T00:00:00Z,gpt-4o,10,2,plain
b,2026-10-01T00:00:01Z,gpt-4o,11,3,"two
lines, ""quoted"""
c,2026-10-01T00:00:02Z,gpt-4o,12,4,last
'''
NOTED: dict[str, Any] = {"format": "csv", "columns": {"error_message": "note", "status": {"value": "ok"}}}


def test_csv_rows_with_quoted_newlines(read: Any) -> None:
    batch = read(mapped(**NOTED), CSV)
    rows = batch.calls.to_pylist()
    assert [(row["source_record_id"], row["input_tokens"], row["ingest_row"]) for row in rows] == [("a", 10, 0), ("b", 11, 1), ("c", 12, 2)]
    assert rows[1]["error_message"] == 'two\nlines, "quoted"'
    assert len(batch.rejected) == 0


def test_csv_is_the_same_packed_from_disk_and_with_other_line_ends(read: Any, tmp_path: Path) -> None:
    forms: list[bytes | Path] = [CSV, gzip.compress(CSV), b"\xef\xbb\xbf" + CSV, tmp_path / "a.csv", tmp_path / "a.csv.gz"]
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV))
    seen = [read(mapped(**NOTED), form).calls.select(FACTS) for form in forms]
    assert all(found.equals(seen[0]) for found in seen)
    plain = CSV.replace(b'"two\nlines, ""quoted"""', b"two")
    assert read(mapped(**NOTED), plain.replace(b"\n", b"\r\n")).calls.select(FACTS).equals(read(mapped(**NOTED), plain).calls.select(FACTS))


def test_a_ragged_row_is_quarantined_with_its_reason(read: Any) -> None:
    torn = CSV + b"d,2026-10-01T00:00:03Z,gpt-4o,13,5,x,one too many\n" + b"f,2026-10-01T00:00:05Z,gpt-4o,14,6,fine\n"
    batch = read(mapped(**NOTED), torn)
    assert [row["source_record_id"] for row in batch.calls.to_pylist()] == ["a", "b", "c", "f"]
    rejected = batch.rejected.to_pylist()
    assert [row["reason"] for row in rejected] == ["bad_row: Expected Number of Columns: 6 Found: 7"]
    assert rejected[0]["raw"] == b"d,2026-10-01T00:00:03Z,gpt-4o,13,5,x,one too many"


def test_a_short_row_is_quarantined_with_its_reason(read: Any) -> None:
    batch = read(mapped(**NOTED), CSV + b"e,2026-10-01T00:00:04Z\n" + b"f,2026-10-01T00:00:05Z,gpt-4o,14,6,fine\n")
    assert [row["source_record_id"] for row in batch.calls.to_pylist()] == ["a", "b", "c", "f"]
    assert [(row["reason"].split(":")[0], row["raw"]) for row in batch.rejected.to_pylist()] == [("bad_row", b"e,2026-10-01T00:00:04Z")]


_HEAD = b"id,at,model,in,out,note\n"


def _row(number: int, note: bytes = b"plain", model: bytes = b"gpt-4o") -> bytes:
    return b"r%d,2026-10-01T00:00:00Z,%s,%d,2,%s\n" % (number, model, number, note)


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize(
    "odd",
    [
        {1: _row(1, model=b'"gpt-4o')},  # a quote that is never closed
        {0: _row(0, model=b'"gpt-4o')},
        {39: _row(39, model=b'"gpt-4o')},
        {5: _row(5, model=b'"gpt-4o'), 30: _row(30, note=b'"12"" rack')},  # two: the second seems to close the first
        {16: _row(16, model=b'"gpt-4o'), 30: _row(30, note=b'x"')},  # the values add up, yet rows of their own are inside
        {5: _row(5, model=b'"gpt-4o'), 6: _row(6, note=b'x"')},
        {7: _row(7, note=b'"6"" pipe" x')},  # a quote is closed before its value ends
        {0: _row(0, note=b'"{\\"a\\": 1}"'), 20: _row(20, note=b'"{\\"a\\": 1}"')},  # backslashes before quotes, as MySQL writes them
        {3: _row(3, note=b"a,b"), 4: b"r4,short\n", 5: _row(5, model=b'"gpt-4o')},
        {number: _row(number, model=b'"gpt-4o') for number in range(40)},
        {8: _row(8, note=b"caf\xe9"), 9: _row(9, note=b'"caf\xe9"')},
    ],
    ids=[
        "second", "first", "last", "two", "pair", "pair of neighbours", "inside", "backslashes", "ragged too", "every row", "no UTF-8",
    ],
)  # fmt: skip
def test_a_bad_row_of_a_csv_is_that_row_alone(read: Any, odd: dict[int, bytes], ends: bytes) -> None:
    whole = {12: b'"two\nlines, ""quoted""\n\n"', 13: b'"a, b"', 14: b'in"side', 15: b'""'}
    rows = [odd.get(number) or _row(number, whole.get(number, b"plain")) for number in range(40)]
    batch = read(mapped(**NOTED), (_HEAD + b"".join(rows)).replace(b"\n", ends))
    bad = sorted(number for number, row in odd.items() if not row.endswith(b',x"\n'))  # the end of a pair is a value of its own
    assert [row["source_record_id"] for row in batch.calls.to_pylist()] == [f"r{number}" for number in range(40) if number not in bad]
    assert [(row["ingest_row"], row["input_tokens"]) for row in batch.calls.to_pylist()] == [(n, n) for n in range(40) if n not in bad]
    refused = batch.rejected.to_pylist()
    assert [row["ingest_row"] for row in refused] == bad
    for row, number in zip(refused, bad, strict=True):
        assert row["raw"] == rows[number].rstrip().decode("utf-8", "backslashreplace").encode()
        assert row["reason"].split(":")[0] in ("bad_row", "invalid_utf8")


def test_rows_of_a_csv_that_lie_across_blocks_are_whole(read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import connectors.archives
    from connectors.mapping import csv_rows

    notes = (b"plain", b'"two\nlines, ""quoted"""', b'"6"" pipe" x', '"caf\u00e9, \u4e2d"'.encode(), b"x,y", b'"never', b'in"side', b'""')
    text = _HEAD + b"".join(_row(number, notes[number % 8]) for number in range(48)) + b"\n \r\n" + _row(48).rstrip()
    monkeypatch.setattr(csv_rows, "MAX_ROW", 300)
    expected = read(mapped(**NOTED), text)
    assert (len(expected.calls), len(expected.rejected)) == (31, 18)
    for size in (7, 61, 300):
        monkeypatch.setattr(connectors.archives, "CHUNK", size)
        found = read(mapped(**NOTED), text)
        assert found.calls.select(FACTS).equals(expected.calls.select(FACTS))
        assert found.rejected.equals(expected.rejected)


def test_a_quote_that_stays_open_costs_its_row_alone_in_a_large_csv(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from connectors.mapping import csv_rows

    monkeypatch.setattr(csv_rows, "MAX_ROW", 1 << 16)
    monkeypatch.setattr("connectors.archives.CHUNK", 1 << 15)
    rows = [_row(number, model=b'"gpt-4o') if number == 3000 else _row(number) for number in range(9000)]
    batch = read(mapped(**NOTED), _HEAD + b"".join(rows))
    assert (len(batch.calls), batch.rejected["ingest_row"].to_pylist()) == (8999, [3000])


def test_a_packed_csv_of_any_name_is_unpacked(read: Any, tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(gzip.compress(CSV))
    assert len(read(mapped(**NOTED), tmp_path / "0").calls) == 3


def test_a_truncated_archive_of_csv_says_so(read: Any) -> None:
    import random

    many = (
        CSV.split(b"\n", 1)[0]
        + b"\n"
        + b"".join(b"r%d,2026-10-01T00:00:00Z,gpt-4o,%d,2,x\n" % (n, random.Random(n).randrange(10**6)) for n in range(2000))
    )
    packed = gzip.compress(many)
    batch = read(mapped(**NOTED), packed[: len(packed) // 2])
    assert any(row["reason"].startswith("truncated") for row in batch.rejected.to_pylist())


def test_a_row_of_csv_that_is_long_and_wrong_is_that_row_alone(read: Any) -> None:
    """Of more than a MiB: it ended the whole file with an internal error."""
    lines = CSV.splitlines(keepends=True)
    batch = read(mapped(**NOTED), b"".join([*lines[:2], b"r9,2026-10-01T00:00:00Z,gpt-4o,1,2,x," + b"y" * (2 << 20) + b"\n", *lines[2:]]))
    [bad] = batch.rejected.to_pylist()
    assert (bad["reason"], len(batch.calls)) == ("bad_row: Expected Number of Columns: 6 Found: 7", 3)


def test_a_csv_with_only_a_header_is_empty(read: Any) -> None:
    batch = read(mapped(**NOTED), CSV.split(b"\n", 1)[0] + b"\n")
    assert (len(batch.calls), len(batch.rejected)) == (0, 0)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (b"id,llm\n", "model"),
        (b"7,anna\n", "id, model"),
        ("id,llm\n".encode("utf-16"), "model"),
    ],
)
def test_a_csv_with_another_header_is_refused_and_says_what_is_missing(read: Any, text: bytes, missing: str) -> None:
    with pytest.raises(Invalid, match=f"names no column {missing}$") as caught:
        read(mapped(format="csv", finds=["id", "model"]), text)
    assert "anna" not in str(caught.value)  # it may be a record
    assert "commas" in caught.value.hint


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_a_csv_with_another_separator_says_which_and_how_to_write_it_anew(read: Any, separator: str, name: str) -> None:
    text = separator.join(["\ufeffid", "model", "at"]) + "\n" + separator.join(['"1,5"', "m", "2026-10-01"]) + "\n"
    with pytest.raises(Invalid, match=f"separated by {name}") as caught:
        read(mapped(format="csv", finds=["id", "model"]), text.encode())
    code = caught.value.hint.split("'")[1]
    done = subprocess.run([sys.executable, "-c", code], input=text.lstrip("\ufeff"), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["id,model,at", '"1,5",m,2026-10-01']


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_a_column_that_an_option_says_names_the_option(name: str) -> None:
    assert name not in MAPPABLE
    with pytest.raises(ValueError, match=f"'{name}' is said by '{ELSEWHERE[name].split(':')[0]}"):
        mapped(columns={name: "x"})


def test_a_csv_whose_lines_end_with_a_carriage_return_says_so(read: Any) -> None:
    with pytest.raises(Invalid, match="lines end with a carriage return alone"):
        read(mapped(format="csv", finds=["id", "model"]), b"id,model\r7,gpt-4o\r")


def test_csv_is_recognised_by_its_header() -> None:
    found = mapped(format="csv", finds=["id", "model"], not_with=["spans"])
    assert found.detect(CSV, "x.csv") > 0.8
    assert found.detect(b"id,model,spans\n", "x.csv") == 0.0
    assert found.detect(b"id,other\n", "x.csv") == 0.0


# Parquet


def test_parquet_rows_with_structs_and_maps(read: Any, tmp_path: Path) -> None:
    usage = pa.struct([("in", pa.int64()), ("out", pa.int64())])
    table = pa.table({
        "id": ["a", "b"],
        "at": pa.array([datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 1, 0, 0, 1, 250000, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        "model": ["gpt-4o", "gpt-4o"],
        "usage": pa.array([{"in": 10, "out": 2}, None], usage),
        "cost": pa.array([Decimal("0.000000000123"), None], pa.decimal128(24, 12)),
        "labels": pa.array([[("workflow", "fnol-triage"), ("secret_key", "hunter2")], None], pa.map_(pa.string(), pa.string())),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "rows.parquet")
    found = mapped(
        format="parquet",
        columns={"input_tokens": "usage.in", "output_tokens": "usage.out", "cost_amount": "cost"},
        metadata="labels",
        cost={"source": "gateway_billed"},
    )
    for form in (tmp_path / "rows.parquet", (tmp_path / "rows.parquet").read_bytes()):
        first, second = read(found, form).calls.to_pylist()
        assert (first["input_tokens"], first["cost_amount"], first["workflow_id"]) == (10, Decimal("0.000000000123"), "fnol-triage")
        assert dict(first["metadata"]) == {"workflow": "fnol-triage"}
        assert (second["input_tokens"], second["usage_source"], second["cost_source"]) == (None, "missing", "missing")
        assert second["start_time"] == datetime(2026, 10, 1, 0, 0, 1, 250000, tzinfo=UTC)


def test_decimals_of_parquet_that_the_engine_reads_wrong_are_refused_by_name(read: Any, tmp_path: Path) -> None:
    """BigQuery's BIGNUMERIC: 0.001 came as 16777.216."""
    for digits in (38, 39):
        kind = pa.decimal128(38, 12) if digits == 38 else pa.decimal256(39, 12)
        table = pa.table({"id": ["a"], "ts": ["2026-10-01T00:00:00Z"], "model": ["m"], "usd": pa.array([Decimal("0.001")], kind)})
        pq.write_table(table, tmp_path / f"{digits}.parquet")
    columns = {"source_record_id": "id", "start_time": "ts", "requested_model": "model", "cost_amount": "usd"}
    reader = mapped(format="parquet", finds=["id"], columns=columns, cost={"source": "gateway_estimate"})
    assert read(reader, tmp_path / "38.parquet").calls["cost_amount"].to_pylist() == [Decimal("0.001")]
    with pytest.raises(Invalid, match="more than 38 digits in usd"):
        read(reader, tmp_path / "39.parquet")


def test_a_damaged_parquet_is_refused_by_name(read: Any) -> None:
    with pytest.raises(Invalid, match="push:0"):
        read(mapped(format="parquet"), b"PAR1 and then nothing of it")


# units


AT = datetime(2026, 10, 1, 12, 0, 0, 250000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "unit"),
    [
        ("2026-10-01T12:00:00.250Z", "auto"),
        ("2026-10-01 12:00:00.250", "auto"),
        ("2026-10-01T14:00:00.250+02:00", "auto"),
        (1790856000.25, "auto"),
        (1790856000.25, "s"),
        (1790856000250, "auto"),
        (1790856000250, "ms"),
        (1790856000250000, "us"),
        (1790856000250000000, "ns"),
        ("1790856000250000000", "auto"),
        (639264528002500000, "ticks"),
    ],
)
def test_units_of_time(one: Any, given: Any, unit: str) -> None:
    assert one({"at": given}, columns={"start_time": {"from": "at", "unit": unit}})["start_time"] == AT


def test_a_unit_of_the_column_is_the_unit_that_is_kept(one: Any) -> None:
    row = one({"cost": "12.5"}, columns={"cost_amount": {"from": "cost", "unit": "usd_cents"}}, cost={"source": "gateway_estimate"})
    assert (row["cost_amount"], row["cost_raw"], row["cost_raw_unit"]) == (Decimal("0.125"), "12.5", "usd_cents")


def test_a_wrong_unit_is_refused_and_not_believed(read: Any) -> None:
    batch = read(mapped(columns={"start_time": {"from": "at", "unit": "s"}}), body({"at": 1790856000250}))
    assert [row["reason"].split(":")[0] for row in batch.rejected.to_pylist()] == ["bad_time"]


@pytest.mark.parametrize(
    ("given", "unit", "expected"),
    [(1.5, "s", 1500), (1500, "ms", 1500), (1500000, "us", 1500), (1500000000, "ns", 1500), (15000000, "ticks", 1500)],
)
def test_units_of_durations(one: Any, given: float, unit: str, expected: float) -> None:
    assert one({"took": given}, columns={"duration_ms": {"from": "took", "unit": unit}})["duration_ms"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "unit", "expected"),
    [
        (0.0228, "usd", "0.0228"),
        ("2.28", "usd_cents", "0.0228"),
        (22800, "micro_usd", "0.0228"),
        (22800000, "nano_usd", "0.0228"),
        ("0.000000000001", "usd", "0.000000000001"),
    ],
)
def test_units_of_money(one: Any, given: Any, unit: str, expected: str) -> None:
    row = one({"cost": given}, columns={"cost_amount": "cost"}, cost={"source": "gateway_estimate", "unit": unit})
    assert (row["cost_amount"], row["cost_currency"], row["cost_source"]) == (Decimal(expected), "USD", "gateway_estimate")
    assert (row["cost_raw"], row["cost_raw_unit"]) == (str(given), unit)


def test_a_currency_that_the_record_names(one: Any) -> None:
    cost = {"source": "gateway_billed", "currency": {"from": "cur", "value": "usd"}}
    assert one({"cost": 1, "cur": "eur"}, columns={"cost_amount": "cost"}, cost=cost)["cost_currency"] == "EUR"
    assert one({"cost": 1}, columns={"cost_amount": "cost"}, cost=cost)["cost_currency"] == "USD"


def test_zero_may_mean_unknown(one: Any) -> None:
    changes = {
        "columns": {"cost_amount": "cost"},
        "cost": {"source": "tool_estimate", "zero_is_unknown": True},
        "usage": {"zero_is_unknown": True},
    }
    row = one({"in": 0, "out": 0, "cost": 0}, **changes)
    assert (row["input_tokens"], row["usage_source"], row["cost_amount"], row["cost_source"]) == (None, "missing", None, "missing")
    row = one({"in": 0, "out": 0, "cost": 0}, columns={"cost_amount": "cost"}, cost={"source": "tool_estimate"})
    assert (row["input_tokens"], row["cost_amount"], row["cost_source"]) == (0, 0, "tool_estimate")


ADDRESSES = (
    "GET https://x.example/v1/models/gemini:generate?alt=sse&key=hunter2 failed",
    "Max retries exceeded with url: /v1beta/models/gemini-pro:generateContent?key=hunter2 (Caused by 'x')",
    "cannot reach 'https://user:hunter2@x.example/v1'\nsee https://x.example/a#hunter2 and https://x.example/b?k=hunter2, then stop",
    "what? a/b #1",
)


@pytest.mark.parametrize("said", ADDRESSES)
def test_an_error_keeps_no_key_of_an_address(one: Any, said: str) -> None:
    found = one({"why": said}, columns={"error_message": "why"})["error_message"]
    assert found == bare(said)
    assert "hunter2" not in found


# counting


CACHED: dict[str, Any] = {
    "cache_read_tokens": "cached",
    "cache_write_tokens": "wrote",
    "total_tokens_reported": "total",
    "reasoning_tokens": "thought",
}


@pytest.mark.parametrize(
    ("usage", "record", "expected"),
    [
        ({"cache": "inclusive"}, {"in": 100, "cached": 80}, (100, 20, 2, "inclusive")),
        ({"cache": "exclusive"}, {"in": 100, "cached": 80, "wrote": 5}, (185, 100, 2, "exclusive")),
        (
            {"exclusive_when": {"vendor": ["anthropic", "bedrock"]}},
            {"in": 100, "cached": 80, "vendor": "bedrock"},
            (180, 100, 2, "exclusive"),
        ),
        ({"exclusive_when": {"vendor": "anthropic"}}, {"in": 100, "cached": 80, "vendor": "openai"}, (100, 20, 2, "inclusive")),
        ({"exclusive_when": {"vendor": "anthropic"}}, {"in": 100, "cached": 80}, (100, 20, 2, "inclusive")),
        ({"cache": "auto"}, {"in": 100, "cached": 800}, (900, 100, 2, "exclusive")),
        ({"cache": "auto"}, {"in": 100, "cached": 80, "total": 182}, (180, 100, 2, "exclusive")),
        ({"cache": "auto"}, {"in": 100, "cached": 80, "total": 102}, (100, 20, 2, "inclusive")),
        ({"cache": "auto"}, {"in": 100, "out": 50, "cached": 30, "thought": 30, "total": 180}, (100, 70, 50, "inclusive")),
        ({"reasoning": "inside"}, {"in": 100, "out": 50, "cached": 30, "thought": 30, "total": 180}, (130, 100, 50, "exclusive")),
        ({"cache": "exclusive"}, {"in": 100, "out": 50, "cached": 30, "thought": 30, "total": 180}, (130, 100, 50, "exclusive")),
        ({"cache": "inclusive"}, {"in": 100, "out": 50, "cached": 30, "thought": 30, "total": 180}, (100, 70, 80, "exclusive")),
        ({"reasoning": "auto"}, {"out": 10, "thought": 30}, (10, None, 40, "exclusive")),
        ({"reasoning": "outside"}, {"out": 10, "thought": 3}, (10, None, 13, "exclusive")),
        ({"reasoning": "inside"}, {"out": 10, "thought": 3}, (10, None, 10, "inclusive")),
    ],
)
def test_how_tokens_are_counted(one: Any, usage: dict[str, Any], record: dict[str, Any], expected: tuple[Any, ...]) -> None:
    row = one(record, columns=CACHED, usage=usage)
    assert tuple(row[name] for name in ("input_tokens", "input_uncached_tokens", "output_tokens", "usage_convention")) == expected


@pytest.mark.parametrize(
    ("usage", "provider", "expected"),
    [
        ({}, "openai", (100, 60, 40, 0, "inclusive")),
        ({}, "AzureOpenAI", (100, 60, 40, 0, "inclusive")),
        ({}, "anthropic", (220, 60, 60, 100, "exclusive")),
        ({"cache": "exclusive"}, "openai", (220, 60, 60, 100, "exclusive")),
        ({"exclusive_when": {"by": ["openai"]}}, "openai", (220, 60, 60, 100, "exclusive")),
    ],
)
def test_openai_does_not_count_its_cache_apart(one: Any, usage: dict[str, Any], provider: str, expected: tuple[Any, ...]) -> None:
    columns = CACHED | {"cache_write_tokens": "written", "provider_raw": "by"}
    row = one({"in": 100, "out": 2, "cached": 60, "written": 60, "total": 102, "by": provider}, columns=columns, usage=usage)
    names = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "input_uncached_tokens", "usage_convention")
    assert tuple(row[name] for name in names) == expected


def test_mappings_and_spans_take_the_same_for_proven(read: Any) -> None:
    parts = (None, 0, 20, 30, 60, 2000)
    records = [
        {"id": f"{number}", "in": 1000, "out": 50, "cached": cached, "thought": thought, "total": beyond and 1050 + beyond}
        for number, (cached, thought, beyond) in enumerate(itertools.product(parts, parts, (*parts, 40, 50, 80, 90)))
    ]
    found = read(mapped(columns=CACHED), body(*records)).calls.to_pylist()
    assert len(found) == len(records)
    for record, row in zip(records, sorted(found, key=lambda row: int(row["source_record_id"])), strict=True):
        cached, thought = record["cached"] or 0, record["thought"] or 0
        apart, thought_apart = counted_apart(1000, 50, record["total"], cached, thought)
        said = (1000 + (cached if apart else 0), 50 + (thought if thought_apart else 0))
        assert (row["input_tokens"], row["output_tokens"]) == said, record


@pytest.mark.parametrize(
    ("record", "status"),
    [({}, "ok"), ({"said": "fine"}, "ok"), ({"said": "odd"}, "error"), ({"code": 200}, "ok"), ({"code": 429}, "error"), ({"code": 499}, "cancelled"),
     ({"why": "broke"}, "error"), ({"code": 200, "why": "a warning"}, "ok"), ({"said": "fine", "code": 500}, "ok")],
)  # fmt: skip
def test_how_the_status_is_decided(one: Any, record: dict[str, Any], status: str) -> None:
    columns = {"status": {"from": "said", "names": {"fine": "ok"}}, "http_status": "code", "error_message": "why"}
    assert one(record, columns=columns)["status"] == status


@pytest.mark.parametrize(
    ("record", "code"),
    [({"in": 1.5}, "bad_tokens"), ({"in": "many"}, "bad_tokens"), ({"out": -1}, "negative_tokens"), ({"cost": "free"}, "bad_cost"),
     ({"cost": -1}, "negative_cost"), ({"id": None}, "missing_id"), ({"at": "1999-01-01"}, "bad_time")],
)  # fmt: skip
def test_what_is_refused(read: Any, record: dict[str, Any], code: str) -> None:
    batch = read(mapped(columns={"cost_amount": "cost"}, cost={"source": "tool_estimate"}), body(record))
    assert [row["reason"].split(":")[0] for row in batch.rejected.to_pylist()] == [code]
    assert len(batch.calls) == 0


@pytest.mark.parametrize(
    ("record", "said"),
    [({"in": "NULL"}, 'bad_tokens: input_tokens "NULL" is no whole number up to 1,000,000,000,000'),
     ({"out": 10**12 + 1}, 'bad_tokens: output_tokens "1000000000001" is no whole number up to 1,000,000,000,000'),
     ({"out": -1}, 'negative_tokens: output_tokens "-1" is below zero'), ({"cost": "0,01"}, 'bad_cost: cost_amount "0,01" is no number'),
     ({"at": None}, "bad_time: start_time is missing (nothing at at)"), ({"at": "1\n" * 50}, f'bad_time: start_time "{"1" + chr(92) + "n"}'),
     ({"at": "1999-01-01"}, 'bad_time: start_time "1999-01-01" is before 2022 or in the future')],
)  # fmt: skip
def test_a_reason_names_the_column_and_the_value(read: Any, record: dict[str, Any], said: str) -> None:
    batch = read(mapped(columns={"cost_amount": "cost"}, cost={"source": "tool_estimate"}), body(record))
    [reason] = batch.rejected["reason"].to_pylist()
    assert reason.startswith(said)
    assert len(reason) < 150


# values


def test_a_time_that_names_a_zone_leaves_the_times_after_it_alone(read: Any) -> None:
    times = [
        "2026-10-01 00:30:00",
        "2026-10-01 00:30:00 America/New_York",
        "2026-09-30 20:30:00",
        "2026-10-01T00:30Z",
        "2026-10-01T00:30+02:00",
    ]
    calls = read(mapped(), body(*({"id": str(n), "at": at} for n, at in enumerate(times)))).calls
    assert [at.strftime("%d %H:%M") for at in calls["start_time"].to_pylist()] == [
        "01 00:30",
        "01 04:30",
        "30 20:30",
        "01 00:30",
        "30 22:30",
    ]


def test_values_are_taken_cut_and_renamed(one: Any) -> None:
    columns = {
        "requested_model": ["gone", "model"],
        "provider_raw": {"from": "model", "split": "/", "piece": 1},
        "operation": {"value": "chat"},
        "environment": {"from": "env", "lower": True, "names": {"prd": "prod"}},
        "app": {"from": "app", "names": {"a": "b"}, "otherwise": "other"},
        "session_id": "/a.b/0",
    }
    row = one({"model": "azure/gpt-4o", "env": "PRD", "app": "x", "a.b": ["s-1"]}, columns=columns)
    assert (row["requested_model"], row["provider_raw"], row["provider"], row["operation"]) == (
        "azure/gpt-4o",
        "azure",
        "azure.ai.openai",
        "chat",
    )
    assert (row["environment"], row["app"], row["session_id"]) == ("prod", "other", "s-1")
    assert one({}, columns=columns)["app"] is None  # nothing said is nothing, not `otherwise`


def test_only_and_has_leave_structure_aside(read: Any) -> None:
    records = body({"id": "a", "type": "llm"}, {"id": "b", "type": "tool"}, {"id": "c"}, {"id": "d", "type": "llm", "model": None})
    batch = read(mapped(only={"type": "llm"}, has="model"), records)
    assert batch.calls["source_record_id"].to_pylist() == ["a"]
    assert (len(batch.spans), len(batch.rejected)) == (3, 0)
    assert set(batch.spans["kind"].to_pylist()) == {"other"}


def test_structure_without_an_id_is_still_refused(read: Any) -> None:
    batch = read(mapped(only={"type": "llm"}), body({"id": None, "type": "tool"}))
    assert (len(batch.spans), len(batch.rejected)) == (0, 1)


def test_a_document_may_list_its_records(read: Any) -> None:
    listed = [RECORD | {"id": "a"}, RECORD | {"id": "b"}, json.dumps(RECORD | {"id": "c"}), 7]
    page = json.dumps({"page": {"rows": listed}}).encode()
    found = mapped(records=["items", "page.rows"])
    assert found.detect(page, "x") > 0.8
    batch = read(found, page + b"\n" + body({"id": "d"}))
    assert sorted(batch.calls["source_record_id"].to_pylist()) == list("abcd")
    assert [row["reason"].split(":")[0] for row in batch.rejected.to_pylist()] == ["not_an_object"]
    assert batch.rejected["raw"].to_pylist() == [b"7"]
    assert len(set(batch.calls["raw_sha256"].to_pylist())) == 4


def test_metadata_and_tags_without_secrets(one: Any) -> None:
    record = {
        "meta": {"workflow": "fnol-triage", "api_key": "hunter2", "Authorization": "hunter2", "headers": {"x": "hunter2"}, "n": 3},
        "more": '{"team": "claims", "session_cookie": "hunter2"}',
        "tags": '["env:prod", null, "a"]',
    }
    row = one(record, metadata=["meta", "more"], tags="tags")
    assert dict(row["metadata"]) == {"workflow": "fnol-triage", "n": "3", "team": "claims"}
    assert (row["tags"], row["workflow_id"], row["environment"]) == (["env:prod", "a"], "fnol-triage", "prod")
    assert "hunter2" not in str(row)


def test_metadata_as_two_lists(one: Any) -> None:
    row = one({"m": {"k": ["workflow", "password", None], "v": ["w", "hunter2", "x"]}}, metadata_pairs={"keys": "m.k", "values": "m.v"})
    assert dict(row["metadata"]) == {"workflow": "w"}


# hostile text


NASTY = [
    "it's",
    "a'; DROP TABLE records; --",
    "'||(SELECT 1)||'",
    '"quoted"',
    "$kind",
    "{line}",
    "%s",
    "back\\slash",
    "ünïcödé",
    "semi;colon",
    "a\nb",
    "🙂",
]


@pytest.mark.parametrize("text", NASTY)
def test_text_of_a_mapping_never_becomes_sql(one: Any, text: str) -> None:
    escaped = text.replace("~", "~0").replace("/", "~1")
    row = one(
        {text: "found", "vendor": text, "kind": text, "meta": {text: text}},
        columns={
            "session_id": f"/{escaped}",
            "app": {"from": "vendor", "names": {text: "named"}},
            "operation": {"value": text},
            "region": {"from": "nothing", "value": text},
            "error_code": {"from": "vendor", "otherwise": text, "names": {"x": text}},
            "service_tier": {"from": "vendor", "split": text[:10]},
            "status": {"value": "ok"},
        },
        only={"kind": text},
        usage={"exclusive_when": {"kind": text}},
        metadata="meta",
        gateway=text,
    )
    assert (row["session_id"], row["app"], row["operation"], row["region"], row["error_code"]) == ("found", "named", text, text, text)
    assert row["gateway_kind"] == text
    assert dict(row["metadata"]) == {text: text}


def test_a_path_may_not_hold_a_nul() -> None:
    with pytest.raises(Invalid, match="NUL"):
        parse(yaml.safe_dump(BASE | {"finds": ["a\x00b"]}), "here.yaml")


# shipped


@pytest.fixture
def rows(read: Any) -> Callable[[str, str], list[dict[str, Any]]]:
    def run(name: str, fixture: str) -> list[dict[str, Any]]:
        batch = read(connector.with_file(Path(name)), FIXTURES / fixture)
        assert batch.rejected.to_pylist() == []
        return [dict(row) for row in batch.calls.to_pylist()]

    return run


def test_llm_usage_events_as_jsonl_and_csv_say_the_same(rows: Any, read: Any) -> None:
    found = rows("llm_usage_events", "mapping_llm_usage_events.jsonl")
    assert [row["status"] for row in found] == ["ok", "ok", "error", "ok", "blocked"]
    assert [(row["input_tokens"], row["output_tokens"]) for row in found] == [(1200, 45), (2348, 120), (None, None), (640, 0), (0, 0)]
    assert [row["usage_convention"] for row in found[:3]] == ["inclusive", "exclusive", "unknown"]
    assert (found[0]["cost_amount"], found[0]["cost_source"]) == (Decimal("0.0001302"), "gateway_estimate")
    assert (found[0]["org_id"], found[0]["app"], found[0]["workflow_id"], found[0]["workflow_step"]) == (
        "acme",
        "claims-inbox",
        "fnol-triage",
        "classify",
    )
    assert (found[0]["time_basis"], found[3]["operation"], found[3]["provider"]) == ("log_time", "embeddings", "azure.ai.openai")
    assert found[2]["cost_source"] == found[2]["usage_source"] == "missing"
    listed = rows("llm_usage_events", "mapping_llm_usage_events.csv")
    shared = (
        "record_id",
        "start_time",
        "status",
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cost_amount",
        "app",
        "workflow_id",
    )
    assert [[row[name] for name in shared] for row in listed] == [[row[name] for name in shared] for row in found[:4]]
    assert listed[2]["error_message"] == "upstream timed out,\nafter 30 s"


def test_routerai_request_logs(rows: Any) -> None:
    plain, other, hit, failed = rows("routerai_request_logs", "mapping_routerai_request_logs.csv")
    assert plain["start_time"] == datetime(2026, 10, 3, 9, 15, 2, 123000, tzinfo=UTC)
    assert other["start_time"] == datetime(2026, 10, 3, 9, 15, 4, tzinfo=UTC)
    assert (plain["requested_model"], plain["response_model"], plain["stream"], plain["gateway_kind"]) == (
        "auto",
        "gpt-4o-mini",
        True,
        "routerai",
    )
    assert (hit["gateway_cache"], hit["cost_amount"], hit["duration_ms"]) == ("hit_semantic", 0, 12)
    assert (failed["status"], failed["http_status"], failed["input_tokens"], failed["cost_source"]) == ("error", 503, None, "missing")
    assert failed["error_message"] == "all providers failed: openai, azure"
    assert (plain["workflow_id"], plain["org_id"], plain["api_key_id"], failed["environment"]) == (
        "fnol-triage",
        "org-acme",
        "key-41",
        "test",
    )


def test_martian_client_logs(rows: Any, read: Any) -> None:
    cached, thought, limited, silent = rows("martian_client_logs", "mapping_martian_client_logs.jsonl")
    assert (cached["requested_model"], cached["response_model"], cached["cache_read_tokens"]) == ("router", "gpt-4o-mini", 512)
    assert (thought["output_tokens"], thought["reasoning_tokens"], thought["stream"]) == (380, 300, True)
    assert (limited["status"], limited["http_status"], limited["usage_source"]) == ("error", 429, "missing")
    assert (silent["status"], silent["input_tokens"], silent["usage_source"]) == ("ok", None, "missing")
    assert cached["dup_group_key"] == "response:chatcmpl-MartianFixture0001"  # the provider's log or a client's span of the call joins it
    assert cached["cost_source"] == "missing"
    assert cached["content_state"] == "full"


def test_humanloop(rows: Any) -> None:
    plain, cached, failed, slow = rows("humanloop", "mapping_humanloop.jsonl")
    assert (plain["duration_ms"], slow["duration_ms"]) == (1500.0, pytest.approx(6593.1549072265625))
    assert slow["start_time"] == datetime(2026, 3, 1, 10, 0, 2, tzinfo=UTC)
    assert (cached["input_tokens"], cached["input_uncached_tokens"], cached["usage_convention"]) == (1050, 100, "exclusive")
    assert (failed["status"], failed["error_message"], failed["usage_source"]) == ("error", "Rate limit reached", "missing")
    assert (plain["cost_input"], plain["cost_output"], plain["cost_amount"]) == (Decimal("0.000015"), Decimal("0.000012"), None)
    assert (plain["workflow_id"], plain["environment"], plain["prompt_version"]) == ("fnol-triage", "production", "prv_4")


def test_humanloop_logs_of_tools_are_structure(read: Any) -> None:
    tool = {"id": "log_tool", "tool": {"id": "tl_1"}, "start_time": "2026-03-01T10:00:00Z", "provider_latency": None, "prompt": None}
    batch = read(connector.with_file(Path("humanloop")), json.dumps(tool).encode())
    assert (len(batch.calls), len(batch.spans), len(batch.rejected)) == (0, 1, 0)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("hit", "hit_exact"), ("HIT", "hit_exact"), ("semantic hit", "hit_semantic"), ("miss", "none"), ("MISS", "none"), ("new", "unknown")],
)
def test_the_cache_of_portkey_in_any_case_of_letters(read: Any, said: str, meant: str) -> None:
    record = json.loads((FIXTURES / "portkey_export.jsonl").read_text().splitlines()[0]) | {"cache_status": said}
    batch = read(MappedConnector("portkey", [shipped("portkey")]), json.dumps(record).encode())
    assert batch.calls["gateway_cache"].to_pylist() == [meant]


def test_parea(rows: Any, read: Any) -> None:
    served, failed, hit = rows("parea", "mapping_parea.jsonl")
    assert (served["duration_ms"], served["ttft_ms"], served["cost_amount"]) == (1250.0, 400.0, Decimal("0.00006"))
    assert (failed["duration_ms"], failed["input_tokens"], failed["cost_source"], failed["status"]) == (500.0, None, "missing", "error")
    assert (hit["gateway_cache"], served["gateway_cache"], hit["cost_amount"]) == ("hit_exact", "none", None)
    assert "hunter2" not in str(served)
    batch = read(connector.with_file(Path("parea")), FIXTURES / "mapping_parea.jsonl")
    assert (batch.spans["name"].to_pylist(), len(batch.calls)) == (["triage"], 3)
    page = json.dumps(
        {"current_page": 1, "trace_logs": [json.loads(line) for line in (FIXTURES / "mapping_parea.jsonl").read_text().splitlines()]}
    )
    assert len(read(connector.with_file(Path("parea")), page.encode()).calls) == 3


def test_vellum_counts_every_model_of_an_execution_once(rows: Any, read: Any, merged: Any) -> None:
    single, first, unknown = rows("vellum", "mapping_vellum.jsonl")
    [second] = rows("vellum_second", "mapping_vellum.jsonl")
    assert (single["requested_model"], single["input_tokens"], single["cache_read_tokens"], single["duration_ms"]) == (
        "gpt-4o-mini",
        500,
        128,
        4250.0,
    )
    assert (first["cost_amount"], second["cost_amount"], second["cost_source"]) == (Decimal("0.0031"), None, "missing")
    assert (second["requested_model"], second["input_tokens"], second["usage_convention"]) == (
        "claude-3-5-haiku-20241022",
        1050,
        "exclusive",
    )
    assert (unknown["usage_source"], unknown["requested_model"]) == ("missing", None)
    batches = [read(connector.with_file(Path(name)), FIXTURES / "mapping_vellum.jsonl") for name in ("vellum", "vellum_second")]
    assert [len(batch.spans) for batch in batches] == [1, 3]
    together = merged(*(batch.calls for batch in batches))
    assert together["cost_bearing"].to_pylist() == [True] * 4


# the whole way


def run(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--json"])
    said = capsys.readouterr()
    assert stopped.value.code == 0, said.err
    return json.loads(said.out)


def test_a_mapping_through_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNOR_HOME", str(tmp_path / "home"))
    own = tmp_path / "own.yaml"
    own.write_text((SHIPPED / "llm_usage_events.yaml").read_text())
    data = str(FIXTURES / "mapping_llm_usage_events.jsonl")
    run(capsys, "init", "--admin", "admin@acme.example")
    first = run(capsys, "ingest", f"mapping:{own}", data)
    assert (first["read"], first["stored"], first["quarantined"]) == (5, 5, 0)
    again = run(capsys, "ingest", f"mapping:{own}", data)
    assert (again["stored"], again["duplicates"]) == (0, 5)
    shipped_one = run(capsys, "ingest", "mapping:llm_usage_events", data)
    assert (shipped_one["stored"], shipped_one["duplicates"]) == (0, 5)
    report = run(capsys, "usage", "--period", "2026-10", "--by", "model")
    assert {row["model"]: (row["calls"], row["input_tokens"]) for row in report["rows"]} == {
        "claude-haiku-4-5": (1, 2348), "gpt-4o": (1, 0), "gpt-4o-mini": (2, 1200), "text-embedding-3-small": (1, 640),
    }  # fmt: skip


def test_a_file_that_is_refused_stops_no_other(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNOR_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text(yaml.safe_dump(BASE | {"format": "csv", "finds": ["id", "at"]}))
    Path("logs").mkdir()
    Path("logs/a.csv").write_text("id,at,model\na,2026-10-01T00:00:01Z,gpt-4o\n")
    Path("logs/b.csv").write_text("b,2026-10-01T00:00:02Z,gpt-4o\n")
    Path("logs/c.csv").write_text("id,at,model\nc,2026-10-01T00:00:03Z,gpt-4o\n")
    run(capsys, "init", "--admin", "admin@acme.example")
    with pytest.raises(SystemExit) as stopped:
        main(["ingest", "mapping:own.yaml", "logs", "--json"])
    said = capsys.readouterr()
    assert stopped.value.code == 1
    assert json.loads(said.out)["stored"] == 2
    assert "logs/b.csv: the first line of the CSV names no column" in said.err
    assert "the other files were read" in said.err


def test_a_quarantined_record_is_read_again_with_its_mapping(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVERNOR_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text(yaml.safe_dump(BASE))
    Path("data.jsonl").write_bytes(body({}, {"id": "b", "at": None, "when": "2026-10-01T00:00:01Z"}))
    run(capsys, "init", "--admin", "admin@acme.example")
    assert run(capsys, "ingest", "mapping:own.yaml", "data.jsonl")["quarantined"] == 1
    assert run(capsys, "quarantine", "retry", "--all")["quarantined"] == 1
    Path("own.yaml").write_text(yaml.safe_dump(BASE | {"columns": BASE["columns"] | {"start_time": ["at", "when"]}}))
    monkeypatch.chdir("/")
    assert run(capsys, "quarantine", "retry", "--all")["stored"] == 1
    assert run(capsys, "quarantine", "list")["quarantine"] == []


# the page


PAGE = (SHIPPED.parents[1] / "docs/mappings.md").read_text()


def test_the_worked_example_of_the_page_does_what_it_says(read: Any) -> None:
    table = PAGE.split("```csv\n")[1].split("```")[0].encode()
    found = MappedConnector("mapping", [parse(PAGE.split("```yaml\n")[1].split("```")[0], "calls.yaml")])
    batch = read(found, table)
    rows = [tuple(row[name] for name in ("status", "input_tokens", "cache_read_tokens", "cost_amount")) for row in batch.calls.to_pylist()]
    assert rows == [("ok", 1200, 1024, Decimal("0.00013")), ("ok", 2348, 2048, Decimal("0.001105")), ("error", None, None, None)]
    assert batch.calls["workflow_id"].to_pylist() == ["fnol-triage", "fnol-triage", None]
    assert batch.rejected["reason"].to_pylist() == ["bad_row: Expected Number of Columns: 12 Found: 13"]


def test_the_page_names_every_option_and_every_shipped_file_for_users() -> None:
    parts = [Mapping, *(Mapping.model_fields[name].annotation for name in ("usage", "content"))]
    options = {field.alias or name for part in parts for name, field in part.model_fields.items()} | {"currency", "zero_is_unknown", "unit"}
    assert not [name for name in sorted(options) if name not in PAGE]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("metadata: [" + ", ".join(f"a{place}" for place in range(33)) + "]", "at most 32"),
        ("only: {" + ", ".join(f"p{place}: [v]" for place in range(500)) + "}", "at most 500"),
        ("about: &a [x]\nnot_with: *a\nabout: twice", "written twice"),
    ],
    ids=["objects", "paths", "keys"],
)
def test_a_mapping_cannot_ask_for_minutes_of_work(more: str, said: str) -> None:
    base = "name: a.b\nwitness: gateway\nfinds: [id]\ncolumns: {source_record_id: id, start_time: t, requested_model: m}\n"
    with pytest.raises(Invalid, match=said):
        parse(base + ("" if "about" in more else "about: x\n") + more, "mapping")
