"""What every registered connector must do, whatever its source: one suite, parametrised over the entry points.

A connector joins by adding a module to connector_samples/. Nothing here knows a format.
"""

from __future__ import annotations

import ast
import gzip
import importlib
import json
import random
import re
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import zstandard
from connector_samples.sample import Sample, all_samples

from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.errors import Invalid
from governor.store.lake_ingest import FACTS

SAMPLES = all_samples()
CONNECTORS = {point.name: point for point in entry_points(group="governor.connectors")}


@pytest.fixture(params=sorted(SAMPLES))
def sample(request: pytest.FixtureRequest) -> Sample:
    return SAMPLES[request.param]


@pytest.fixture
def connector(sample: Sample) -> Any:
    return sample.make(CONNECTORS[sample.connector].load())


def test_every_registered_connector_has_a_sample() -> None:
    assert {sample.connector for sample in SAMPLES.values()} == set(CONNECTORS)


def test_it_recognises_its_own_and_nothing_else(sample: Sample, connector: Any) -> None:
    body = b"\n".join(sample.units())[: 64 << 10]
    assert connector.detect(body, "file") >= 0.8
    assert connector.detect(gzip.compress(body), "file.gz") >= 0.8
    assert connector.detect(zstandard.compress(body), "file.zst") >= 0.8
    for other in (b"", b"\x00" * 64, b"id,name\n1,x\n", b'{"hello": 1}', b"%PDF-1.7", b"\x1f\x8bnonsense"):
        assert connector.detect(other, "file") == 0.0
    for name, stranger in SAMPLES.items():
        if stranger.connector != sample.connector:
            assert connector.detect(b"\n".join(stranger.units())[: 64 << 10], name) == 0.0


def test_batches_have_the_declared_schemas(sample: Sample, connector: Any, read: Any) -> None:
    batch = read(connector, b"\n".join(sample.units()))
    assert batch.calls.schema.equals(CALL_SCHEMA)
    assert batch.rejected.schema.equals(REJECT_SCHEMA)
    assert batch.spans.schema.equals(SPAN_SCHEMA)
    assert batch.content.schema.equals(CONTENT_SCHEMA)
    assert (len(batch.calls), len(batch.rejected)) == (sample.count, 0)
    assert batch.calls["ingest_batch_id"].null_count == batch.calls["ingested_at"].null_count == sample.count


def test_every_row_can_be_ranked_merged_and_placed(sample: Sample, connector: Any, read: Any) -> None:
    calls = read(connector, b"\n".join(sample.units())).calls
    for needed in ("record_id", "raw_sha256", "source_record_id", "dup_group_key", "start_time", "status", "grain", "cost_bearing"):
        assert calls[needed].null_count == 0, needed
    assert set(calls["status"].to_pylist()) <= {"ok", "error", "cancelled", "blocked"}
    assert all(len(digest) == 64 for digest in calls["record_id"].to_pylist() + calls["raw_sha256"].to_pylist())
    assert not pc.any(pc.equal(calls["dup_group_key"], calls["dup_alias_key"])).as_py()


def test_ids_and_digests_do_not_depend_on_packaging(sample: Sample, connector: Any, read: Any) -> None:
    """A file, a push per record, an array, compressed: the same ids and the same digests."""
    units = sample.units()
    forms = [
        [b"\n".join(units)],
        units,
        [b"[" + b", ".join(units) + b"]"],
        [b"\xef\xbb\xbf" + b"\r\n\r\n".join(units) + b"\r\n"],
        [gzip.compress(b"\n".join(units[:3])) + gzip.compress(b"\n" + b"\n".join(units[3:]))],
        [zstandard.compress(b"\n".join(units))],
    ]
    seen = [identity(read(connector, *form).calls) for form in forms]
    assert all(found == seen[0] for found in seen)
    assert len(seen[0]) == sample.count


def test_records_written_anew_say_the_same(sample: Sample, connector: Any, read: Any) -> None:
    """Other separators, pretty-printed: the bytes and their digests may differ, what the lake compares does not."""
    records = [json.loads(unit) for unit in sample.units()]
    forms = [
        [json.dumps(records).encode()],
        [json.dumps(records, separators=(",", ":")).encode()],
        [json.dumps(records, indent=2).encode()],
        [json.dumps(record, indent=1).encode() for record in records],
    ]
    seen = [read(connector, *form).calls.select(FACTS).sort_by("record_id") for form in forms]
    assert all(found.equals(seen[0]) for found in seen)
    assert len(seen[0]) == sample.count


def identity(calls: pa.Table) -> dict[str, str]:
    return dict(zip(calls["record_id"].to_pylist(), calls["raw_sha256"].to_pylist(), strict=True))


def test_order_and_batch_size_do_not_matter(sample: Sample, connector: Any, read: Any, merged: Any) -> None:
    units = sample.units()
    shuffled = random.Random(3).sample(units, len(units))
    columns = [name for name in CALL_SCHEMA.names if name not in ("ingest_uri", "ingest_row")]

    def facts(calls: pa.Table) -> list[dict[str, Any]]:
        return merged(calls).select(columns).sort_by("record_id").to_pylist()

    whole = facts(read(connector, b"\n".join(units)).calls)
    assert facts(read(connector, b"\n".join(shuffled)).calls) == whole
    assert facts(read(connector, *shuffled, batch_rows=3).calls) == whole


def test_a_batch_is_never_larger_than_asked(sample: Sample, connector: Any) -> None:
    from governor.ports import Payload, ReadOptions

    batches = list(connector.read([Payload("x", body=b"\n".join(sample.units()))], ReadOptions("x", batch_rows=4)))
    assert max(len(batch.calls) for batch in batches) <= 4
    assert sum(len(batch.calls) for batch in batches) == sample.count


def _changed(sample: Sample, change: Callable[[dict[str, Any]], Any], index: int = 0) -> bytes:
    record = json.loads(sample.units()[index])
    change(record)
    return json.dumps(record).encode()


@pytest.mark.parametrize(("what", "reason"), [("negative", "negative_tokens"), ("timeless", "bad_time"), ("nameless", "missing_id")])
def test_bad_records_are_refused_with_the_reason_and_the_record(sample: Sample, connector: Any, read: Any, what: str, reason: str) -> None:
    bad = _changed(sample, getattr(sample, what))
    good = sample.units()[1]
    batch = read(connector, b"\n".join([good, bad, good]))
    rejected = batch.rejected.to_pylist()
    assert [r["reason"].split(":")[0] for r in rejected] == [reason]
    assert rejected[0]["ingest_row"] == 1
    assert rejected[0]["raw"]
    assert len(batch.calls) == 2


def test_damage_adds_up_line_by_line(sample: Sample, connector: Any, read: Any) -> None:
    """Every line ends in calls or rejected; damage to one never touches another."""
    units = sample.units() * 10
    chance = random.Random(5)
    damaged, broken = [], 0
    for number, unit in enumerate(units):
        if number % 7 == 3:
            broken += 1
            cut = chance.randrange(1, len(unit) - 1)
            damaged.append(chance.choice([unit[:cut], unit[cut:], b"not json", b'{"a": ', b"\xff\xfe" + unit, b"123", b'"text"', b"null"]))
        else:
            damaged.append(unit)
    batch = read(connector, b"\n".join(damaged))
    assert len(batch.rejected) == broken
    assert len(batch.calls) + len(batch.spans) == len(units) - broken
    assert all(r["reason"].split(":")[0] in KNOWN for r in batch.rejected.to_pylist())
    assert sorted(r["ingest_row"] for r in batch.rejected.to_pylist()) == [n for n in range(len(units)) if n % 7 == 3]


KNOWN = {"invalid_json", "not_an_object", "invalid_utf8", "bad_request", "missing_id", "bad_time"}


def test_a_file_of_rubbish_is_all_rejected_or_refused_whole(sample: Sample, connector: Any, read: Any) -> None:
    if {one.format for one in getattr(connector, "mappings", ())} == {
        "csv"
    }:  # without its header no row could ever be read again by itself
        with pytest.raises(Invalid, match="the first line of the CSV names no column"):
            read(connector, b"a\nb\n\nc\n")
        batch = read(connector, b"a\n" + sample.units()[0])
        assert (len(batch.calls), len(batch.rejected)) == (1, 1)
    else:
        batch = read(connector, b"a\nb\n\nc\n")
        assert (len(batch.calls), len(batch.rejected)) == (0, 3)
    assert len(read(connector, b"\n\n  \n").rejected) == 0


def test_a_truncated_archive_keeps_what_could_be_read(sample: Sample, connector: Any, read: Any, tmp_path: Path) -> None:
    body = b"\n".join(sample.units() * 3)
    whole = gzip.compress(body)
    batch = read(connector, whole[: len(whole) * 3 // 4])
    assert len(batch.calls) > 0
    assert [r["reason"].split(":")[0] for r in batch.rejected.to_pylist()][-1] in ("truncated", "invalid_json")


def test_times_are_utc_and_in_order(sample: Sample, connector: Any, read: Any) -> None:
    for row in read(connector, b"\n".join(sample.units())).calls.to_pylist():
        assert row["start_time"].utcoffset() == timedelta(0)
        assert row["start_time"].year == 2026
        assert row["end_time"] is None or row["end_time"] >= row["start_time"]


def test_tokens_are_inclusive_and_unknown_is_null(sample: Sample, connector: Any, read: Any) -> None:
    rows = read(connector, b"\n".join(sample.units())).calls.to_pylist()
    for row in rows:
        if row["usage_source"] == "missing":
            assert all(row[name] is None for name in ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens"))
            continue
        assert (row["cache_read_tokens"] or 0) + (row["cache_write_tokens"] or 0) <= row["input_tokens"]
        assert (row["reasoning_tokens"] or 0) <= (row["output_tokens"] or 0)
        if row["input_uncached_tokens"] is not None:
            cached = (row["cache_read_tokens"] or 0) + (row["cache_write_tokens"] or 0)
            assert row["input_uncached_tokens"] + cached == row["input_tokens"]
    billed = all(row["cost_source"] == "provider_billed" for row in rows)  # a bill may count units instead
    assert billed or any(row["input_tokens"] for row in rows)


def test_unknown_fields_are_kept(sample: Sample, connector: Any, read: Any) -> None:
    index = next(i for i, unit in enumerate(sample.units()) if _served(connector, read, unit))
    row = read(connector, _changed(sample, sample.extra, index)).calls.to_pylist()[0]
    assert "a_new_class" in row["usage_raw"]
    assert dict(row["metadata"])["my.label"] == "blue"


def _served(connector: Any, read: Any, unit: bytes) -> bool:
    row = read(connector, unit).calls.to_pylist()[0]
    return row["status"] == "ok" and (row["usage_source"] in ("provider", "gateway_count") or row["cost_source"] == "provider_billed")


def test_secrets_are_not_kept(sample: Sample, connector: Any, read: Any) -> None:
    body = _changed(sample, sample.secret)
    for with_content in (True, False):
        batch = read(connector, body, with_content=with_content)
        assert len(batch.calls) + len(batch.spans) == 1
        assert "hunter2" not in str(batch.calls.to_pylist()) + str(batch.spans.to_pylist()) + str(batch.content.to_pylist())


_ADDRESS = re.compile(r"(?i)(^|[^a-z])(url|uri|path|target|host|authority|api_base)$|_(url|uri|path|host)$")


def _with_keys(value: Any, name: str = "") -> Any:
    """The record with a key in every address and path that it names, and in its query and its user part where it has one."""
    if isinstance(value, dict):  # the path of a prompt in a registry and of a step in a session are no addresses
        return {key: one if name == "prompt" or key == "Helicone-Session-Path" else _with_keys(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_keys(one, name) for one in value]
    if isinstance(value, str) and _ADDRESS.search(name):
        return re.sub("^([a-z]+://)", r"\1someone:hunter2@", value) + "?key=hunter2&x=1#hunter2"
    return value


def test_keys_in_addresses_are_not_kept(sample: Sample, connector: Any, read: Any) -> None:
    if sample.connector == "otlp":
        pytest.skip("not applicable: spans name addresses in attributes (test_otlp.py)")
    fields = {
        "url": "https://x.example/v1",
        "path": "/v1",
        "target": "//x.example/v1",
        "x-envoy-origin-path": "/v1",
        "my_link": "https://x.example/?key=hunter2",
    }
    for unit in sample.units():
        record = json.loads(unit)
        more = {name: value for name, value in fields.items() if name not in record}
        for wanted in (True, False):
            given, planted = json.dumps(record | more).encode(), json.dumps(_with_keys(record | more)).encode()
            batch, plain = read(connector, planted, with_content=wanted), read(connector, given, with_content=wanted)
            assert "hunter2" not in str(batch.calls.to_pylist()) + str(batch.spans.to_pylist())
            for name in ("operation", "provider", "deployment_id", "route_id", "status", "api_method", "api_base"):
                assert batch.calls[name].to_pylist() == plain.calls[name].to_pylist()


def test_content_is_extracted_only_when_wanted_and_hashes_to_its_reference(sample: Sample, connector: Any, read: Any) -> None:
    import hashlib

    without = read(connector, b"\n".join(sample.units()), with_content=False)
    assert len(without.content) == 0
    assert set(without.calls["content_state"].to_pylist()) == {"absent"}
    batch = read(connector, b"\n".join(sample.units()))
    references = {(r["record_id"], k): r[f"{k}_sha256"] for r in batch.calls.to_pylist() for k in ("input", "output")}
    for body in batch.content.to_pylist():
        assert hashlib.sha256(body["body"]).hexdigest() == body["sha256"] == references[body["record_id"], body["kind"]]
        found = json.loads(body["body"])
        assert set(found) == ({"messages", "params", "tools"} if body["kind"] == "input" else {"message", "finish_reason"})
    assert {name for name in references.values() if name} == set(batch.content["sha256"].to_pylist())
    assert without.calls["raw_sha256"].to_pylist() == batch.calls["raw_sha256"].to_pylist()


def test_a_source_without_a_pull_says_so_and_an_unset_one_too(sample: Sample, connector: Any) -> None:
    from governor.errors import Invalid
    from governor.ports import ReadOptions

    with pytest.raises(Invalid):
        list(connector.fetch(None, ReadOptions("x")))


_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|DROP|ALTER|TRUNCATE|CREATE\s+(OR|TABLE|VIEW)|COPY)\b")
_WRITE_CALLS = {"post", "put", "patch", "delete", "write_bytes", "write_text", "unlink", "commit", "executemany"}


@pytest.mark.parametrize("name", sorted(CONNECTORS))
def test_the_code_has_no_write_call(name: str) -> None:
    module = importlib.import_module(CONNECTORS[name].module)
    place = Path(module.__file__ or "")
    files = list(place.parent.glob("*.py")) if place.name == "__init__.py" else [place]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in _WRITE_CALLS, f"{file.name}:{node.lineno}"
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not _WRITES.search(node.value), f"{file.name}:{node.lineno}"
