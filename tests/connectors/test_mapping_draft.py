"""A drafted mapping: what it guesses of logs that nobody wrote a mapping for, that it always loads, and what it never writes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mapping import MappedConnector, connector
from connectors.mapping.document import parse
from connectors.mapping.draft import drafted
from governor.errors import Invalid
from governor.ports import Payload, ReadOptions

CSV = """call,when_ms,service,llm,vendor,tok_in,tok_cached,tok_out,micro_usd,ms,result,labels
c-1,1790848801500,claims-inbox,gpt-4o-mini,openai,1200,1024,45,130,812,OK,"{""workflow"": ""fnol-triage""}"
c-2,1790848802250,claims-inbox,claude-haiku-4-5,anthropic,300,2048,120,1105,1430,OK,"{""workflow"": ""fnol-triage""}"
c-3,1790848803000,claims-inbox,gpt-4o-mini,openai,,,,,30000,TIMEOUT,
"""
JAVA = [
    {
        "@timestamp": "2026-11-01T10:00:00.123Z",
        "requestId": f"0b5a7e0e-{number}",
        "modelName": "gpt-4o",
        "usage": {"promptTokenCount": 10, "candidatesTokenCount": 5, "details": {"cachedContentTokenCount": 4}},
        "latencySeconds": 1.25,
        "costUsd": 0.0012,
        "currency": "EUR",
        "http.status_code": 500 if number else 200,
        "labels": {"env": "prod"},
        "request": {"messages": [{"role": "user", "content": "a secret plan"}]},
        "response": {"choices": [{"message": {"role": "assistant", "content": "a secret answer"}}]},
        "x, y": "odd",
        "api_key": "sk-live-1",
    }
    for number in range(2)
]


def read(path: Path, text: str) -> list[dict[str, Any]]:
    options = ReadOptions("draft", with_content=True)
    batches = list(MappedConnector("mapping:draft", [parse(text, "draft")]).read([Payload(path.name, path=path)], options))
    assert not sum(len(batch.rejected) for batch in batches)
    return [row for batch in batches for row in batch.calls.to_pylist()]


def draft_of(path: Path) -> str:
    return connector.draft(Payload(path.name, path=path), "ours")


def test_a_csv_is_read_by_its_draft_as_by_a_mapping_that_a_person_wrote(tmp_path: Path) -> None:
    (path := tmp_path / "calls.csv").write_text(CSV)
    calls = read(path, draft_of(path))
    assert [(row["source_record_id"], row["requested_model"], row["provider"], row["status"]) for row in calls] == [
        ("c-1", "gpt-4o-mini", "openai", "ok"),
        ("c-2", "claude-haiku-4-5", "anthropic", "ok"),
        ("c-3", "gpt-4o-mini", "openai", "error"),
    ]
    assert [(row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) for row in calls] == [
        (1200, 1024, 45),
        (2348, 2048, 120),
        (None, None, None),
    ]
    assert [row["cost_amount"] for row in calls] == [Decimal("0.00013"), Decimal("0.001105"), None]
    assert calls[0]["start_time"] == datetime(2026, 10, 1, 10, 0, 1, 500_000, tzinfo=UTC)
    assert (calls[0]["duration_ms"], calls[0]["app"], dict(calls[0]["metadata"])) == (812.0, "claims-inbox", {"workflow": "fnol-triage"})


def test_nested_json_with_names_of_another_house_is_understood(tmp_path: Path) -> None:
    (path := tmp_path / "java.jsonl").write_text("".join(json.dumps(record) + "\n" for record in JAVA))
    text = draft_of(path)
    calls = read(path, text)
    assert [row["status"] for row in calls] == ["ok", "error"]
    first = calls[0]
    assert (first["duration_ms"], first["cost_amount"], first["cost_currency"]) == (1250.0, Decimal("0.0012"), "EUR")
    assert (first["input_tokens"], first["cache_read_tokens"], first["output_tokens"], first["environment"]) == (10, 4, 5, "prod")
    assert first["replayable"]
    assert not [word for word in ("a secret", "sk-live-1") if word in text], "neither prompts nor keys"
    unused = text.partition("# not used:")[2].splitlines()
    assert {"#   /x, y", "#   api_key"} <= set(unused)


def test_a_usage_object_is_kept_with_the_searches_that_it_counts(tmp_path: Path) -> None:
    """Its tokens alone were taken: three searches cost nothing."""
    used = {"prompt_tokens": 1000, "completion_tokens": 100, "server_side_tool_usage_details": {"web_search_calls": 3}}
    records = [{"id": f"c{number}", "model": "grok-4", "at": f"2026-11-20T10:00:0{number}Z", "usage": used} for number in range(3)]
    (path := tmp_path / "own.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    text = draft_of(path)
    assert {row["usage_raw"].partition(",")[0] for row in read(path, text)} == {'{"governor_units":{"web_search":3.0}'}
    assert "web_search_calls" not in text, "it is used"


def test_a_document_with_a_list_and_a_table_are_drafted_too(tmp_path: Path) -> None:
    rows = [
        {"id": number, "created": 1_790_848_801 + number, "model": "claude-haiku-4-5", "tokens": {"input": 5, "output": 6}}
        for number in range(3)
    ]
    (page := tmp_path / "page.json").write_text(json.dumps({"page": 1, "results": rows}))
    pq.write_table(pa.Table.from_pylist(rows), table := tmp_path / "table.parquet")
    for path in (page, table):
        assert [(row["source_record_id"], row["input_tokens"], row["output_tokens"]) for row in read(path, draft_of(path))] == [
            ("0", 5, 6),
            ("1", 5, 6),
            ("2", 5, 6),
        ]


def test_what_is_missing_is_left_to_be_filled_in() -> None:
    text = drafted([json.dumps({"ts": "2026-11-01T10:00:00Z", "answer": 42}).encode()], name="ours", kind="json")
    columns = parse(text, "draft").columns
    assert (columns["start_time"].paths, columns["requested_model"].paths) == (("ts",), ("CHANGE_ME",))


@pytest.mark.parametrize(
    ("body", "said"),
    [("hello world\nno log\n", "no field looks like"), ("", "no record"), ("a;b;c\n1;2;3\n", "separated by semicolons")],
    ids=["prose", "empty", "semicolons"],
)
def test_what_is_no_log_is_refused(tmp_path: Path, body: str, said: str) -> None:
    (path := tmp_path / "some.txt").write_text(body)
    with pytest.raises(Invalid, match=said):
        draft_of(path)


NAMES = st.sampled_from(
    ["id", "time", "model", "usage", "cost", "tags", "on", "a, b", "#x", "x: y", "{", "\u2028", "", "null", "Ü", "metadata", "status"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=60)
    | st.sampled_from(["2026-11-01", "ok", "1e999", "[]", '{"a": 1}']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=5),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(NAMES | st.text(max_size=5), VALUES, max_size=8), max_size=4), st.sampled_from(["json", "csv", "parquet"]))
def test_whatever_stands_in_a_log_its_draft_loads(records: list[dict[str, Any]], kind: str) -> None:
    try:
        text = drafted([json.dumps(record).encode() for record in records], name="ours", kind=kind)
    except Invalid:
        return
    assert parse(text, "draft").name == "ours.calls"
