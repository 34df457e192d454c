"""Large inputs: a few workers, works that flow through one run of a statement, and chunks whose memory is used again."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from importlib.metadata import entry_points
from mmap import mmap
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from connector_samples.sample import all_samples

from connectors import payloads, side_by_side
from connectors.engine import SHAPE, Plan, engine_for_json
from connectors.litellm import connector
from connectors.litellm.calls_sql import plan_of
from connectors.mapping import MappedConnector
from connectors.payloads import Records
from governor.ports import Batch, Payload, ReadOptions

FIXTURES = Path(__file__).parent / "fixtures"
GENERIC = [json.loads(line) for line in (FIXTURES / "litellm_generic_api.jsonl").read_bytes().splitlines()]
SPEND = [json.loads(line) for line in (FIXTURES / "litellm_spend_logs.jsonl").read_bytes().splitlines()]
OPTIONS = ReadOptions("one")


def log(copies: int, name: str = "id", records: list[Any] = GENERIC) -> list[bytes]:
    """Every tenth line is bad, and no two are equal."""
    lines = [json.dumps(record | {name: f"{record[name]}-{copy}"}).encode() for copy in range(copies) for record in records]
    lines[::10] = [b'{"broken": %d' % place for place in range(len(lines[::10]))]
    return lines


def told(batches: Iterator[Batch]) -> dict[str, list[Any]]:
    """Everything a reader says, in its order; of each call also the line it came as."""
    found: dict[str, list[Any]] = {"calls": [], "rejected": [], "content": [], "lines": []}
    for batch in batches:
        for name in ("calls", "rejected", "content"):
            found[name] += getattr(batch, name).to_pylist()
        if len(batch.calls):
            records, codes = batch.received(range(len(batch.calls)))
            found["lines"] += [records[int(code)].as_py() for code in codes]
    found["content"].sort(key=lambda body: (body["record_id"], body["kind"]))  # a batch has its prompts first, then its outputs
    return found


def small(monkeypatch: pytest.MonkeyPatch, *, chunk: int = 64 << 10, flush: int = 128 << 10) -> None:
    monkeypatch.setattr(payloads, "CHUNK", chunk)
    monkeypatch.setattr(payloads, "FLUSH_BYTES", flush)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("flow", ["many works in one run", "each work in a run of its own"])
def test_a_file_in_many_works_says_what_it_says_in_one(flow: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "traffic.jsonl"
    lines = log(30)
    path.write_bytes(b"\n".join(lines))
    whole = told(connector.read([Payload("file", path=path)], OPTIONS))
    assert len(whole["calls"]) + len(whole["rejected"]) == len(lines)
    small(monkeypatch)
    monkeypatch.setattr(side_by_side, "WORKERS", workers)
    monkeypatch.setattr(side_by_side, "_ROWS", 7)
    if flow == "each work in a run of its own":
        monkeypatch.setattr(side_by_side, "_WIDE", 1)
    assert told(connector.read([Payload("file", path=path)], OPTIONS)) == whole


def test_memory_is_used_again_but_never_while_it_is_referred_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "traffic.jsonl"
    lines = log(60)
    path.write_bytes(b"\n".join(lines))
    small(monkeypatch)
    monkeypatch.setattr(side_by_side, "_ROWS", 20)
    made: list[mmap] = []
    monkeypatch.setattr(payloads, "mmap", lambda *given, **named: (made.append(mmap(*given, **named)), made[-1])[1])
    chunks = path.stat().st_size // payloads.CHUNK
    held = list(connector.read([Payload("file", path=path)], OPTIONS))
    assert len(made) >= chunks  # every batch refers to what it came from
    assert [line.rstrip(b"\n") for line in told(iter(held))["lines"]] == [line for line in lines if not line.startswith(b'{"broken')]
    made.clear()
    assert sum(len(batch.calls) for batch in connector.read([Payload("file", path=path)], OPTIONS)) == sum(
        len(batch.calls) for batch in held
    )
    assert len(made) < chunks / 2


def test_forms_that_alternate_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = []
    for place in range(12):
        path = tmp_path / f"{place}.jsonl"
        name, records = ("request_id", SPEND) if place % 3 == 2 else ("id", GENERIC)
        path.write_bytes(b"\n".join(log(place + 1, name, records)))
        files.append(Payload(f"file {place}", path=path))
    separate = [told(connector.read([file], OPTIONS)) for file in files]
    small(monkeypatch, flush=1)
    together = told(connector.read(files, OPTIONS))
    for name, rows in together.items():
        expected = [row for one in separate for row in one[name]]
        assert rows == (sorted(expected, key=lambda body: (body["record_id"], body["kind"])) if name == "content" else expected)


def works(plan: Plan, fail_at: int | None = None) -> Iterator[side_by_side.Work]:
    lines = log(3)
    for place in range(20):
        if place == fail_at:
            raise OSError("the disk is gone")
        yield plan, [Records("file", place * len(lines), pa.array(lines, pa.large_binary()))]


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("connector-read")]


def test_a_source_that_fails_is_told_as_it_failed() -> None:
    with pytest.raises(OSError, match="the disk is gone"):
        list(side_by_side.convert_all(works(plan_of("generic_api", OPTIONS), fail_at=9), OPTIONS))
    assert not readers()


@pytest.mark.parametrize("rowwise", [True, False])
def test_a_statement_that_fails_is_told(rowwise: bool) -> None:
    broken = Plan("SELECT error('no such luck') AS reason, uri, row, position FROM records", {}, rowwise=rowwise)
    with pytest.raises(Exception, match="no such luck"):
        list(side_by_side.convert_all(works(broken), OPTIONS))
    assert not readers()


def test_records_that_cannot_be_prepared_are_told_as_they_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError("no room for the digests")

    monkeypatch.setattr("connectors.engine.digests", refuse)
    with pytest.raises(MemoryError, match="no room"):
        list(side_by_side.convert_all(works(plan_of("generic_api", OPTIONS)), OPTIONS))
    assert not readers()


def test_a_reader_that_stops_early_leaves_no_thread_and_pulls_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "_ROWS", 20)
    source = works(plan_of("generic_api", OPTIONS))
    batches = side_by_side.convert_all(source, OPTIONS)
    assert next(batches).calls.num_rows
    del batches
    assert not readers()
    assert list(source)  # how far they had read ahead depends on the machine; not to the end


def statements() -> Iterator[tuple[str, Plan]]:
    registered = {point.name: point for point in entry_points(group="governor.connectors")}
    for name, sample in all_samples().items():
        reader = sample.make(registered[sample.connector].load())
        for content in (False, True):
            options = ReadOptions("one", with_content=content)
            if isinstance(reader, MappedConnector):
                for plan, _ in reader._works([Payload("file", body=b"\n".join(sample.units()))], options):
                    yield name, plan
    for form in ("generic_api", "s3", "spend_logs"):
        yield form, plan_of(form, OPTIONS)


def test_what_flows_holds_nothing_back_and_keeps_the_order() -> None:
    """A statement that sorts, groups or reads its records twice would hold the whole input."""
    flowing = 0
    for name, plan in statements():
        if not plan.rowwise:
            continue
        with engine_for_json(threads=1) as engine:
            engine.register("records", SHAPE.empty_table())
            for key, value in plan.values.items():
                engine.execute(f"SET VARIABLE {key} = $value", {"value": value})
            [(_, tree)] = engine.execute("EXPLAIN (FORMAT json) " + plan.sql).fetchall()
        steps = set(re.findall(r'"name": "([A-Z_]+)\s*"', tree))
        if "HASH_JOIN" in steps:  # a long list of constants, which is built once
            assert tree.count("HASH_JOIN") == tree.count("COLUMN_DATA_SCAN") == tree.count('"MARK"'), name
        assert steps <= {"PROJECTION", "FILTER", "UNNEST", "ARROW_SCAN", "HASH_JOIN", "COLUMN_DATA_SCAN"}, name
        flowing += 1
    assert flowing > 10
