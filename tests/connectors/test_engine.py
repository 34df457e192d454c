"""Statements that are planned once and run over many chunks answer each chunk for itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.engine import Planned, convert
from connectors.litellm import connector
from connectors.litellm.calls_sql import plan_of
from connectors.payloads import Records
from governor.ports import Batch, Payload, ReadOptions

FIXTURES = Path(__file__).parent / "fixtures"
GENERIC = (FIXTURES / "litellm_generic_api.jsonl").read_bytes().splitlines()
SPEND = (FIXTURES / "litellm_spend_logs.jsonl").read_bytes().splitlines()


def chunk(lines: list[bytes], cut: str = "") -> Records:
    return Records("file", 0, pa.array(lines, pa.large_binary()), cut=cut)


def calls(batches: Iterator[Batch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.calls.to_pylist()]


def test_forms_and_instances_that_alternate_keep_their_own_values() -> None:
    with Planned(threads=1) as planned:
        for _ in range(3):
            for form, lines in (("generic_api", GENERIC), ("s3", GENERIC), ("spend_logs", SPEND)):
                for instance in ("one", "two's"):
                    options = ReadOptions(instance, with_content=False)
                    rows = calls(convert(planned, plan_of(form, options), [chunk(lines)], options))
                    assert {row["source_kind"] for row in rows} == {f"litellm.{form}"}
                    assert {row["source_instance"] for row in rows} == {instance}
                    with Planned(threads=1) as fresh:
                        assert rows == calls(convert(fresh, plan_of(form, options), [chunk(lines)], options))


def test_what_an_earlier_chunk_had_not_is_seen_in_a_later_one() -> None:
    """A statement planned over rows without faults must not take their absence for granted."""
    options = ReadOptions("one", with_content=False)
    with Planned(threads=1) as planned:
        for lines, cut, refused in (
            (GENERIC[:3], "", []),
            ([b"\xff\xfe", GENERIC[0]], "", ["invalid_utf8"]),
            ([b"{broken"], "", ["invalid_json"]),
            (GENERIC[:2], "truncated: the archive ends early", ["truncated"]),
            (GENERIC[:3], "", []),
        ):
            [batch] = convert(planned, plan_of("generic_api", options), [chunk(lines, cut)], options)
            assert [reason.split(":")[0] for reason in batch.rejected["reason"].to_pylist()] == refused
            assert len(batch.calls) == len(lines) - len(refused)


@pytest.mark.parametrize("size", [1, 40_000, 10_000_000])
def test_the_size_of_chunks_changes_nothing(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "traffic.jsonl"
    records = [json.loads(line) for line in GENERIC]
    path.write_text("\n".join(json.dumps(record | {"id": f"{record['id']}-{copy}"}) for copy in range(3) for record in records))
    whole = calls(connector.read([Payload("file", path=path)], ReadOptions("one", with_content=False)))
    monkeypatch.setattr("connectors.payloads.FLUSH_BYTES", size)
    monkeypatch.setattr("connectors.payloads.CHUNK", max(16 << 10, size // 4))
    assert calls(connector.read([Payload("file", path=path)], ReadOptions("one", with_content=False))) == whole
