"""What Langfuse's observations mean: one project counts in several ways, and a parent counts what its child counted."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors.langfuse import connector

FIXTURES = Path(__file__).parent / "fixtures"
EXPORT = (FIXTURES / "langfuse_export.jsonl").read_bytes()
ROWS = [json.loads(line) for line in EXPORT.splitlines()]
PAGES = (FIXTURES / "langfuse_api.jsonl").read_bytes()
API = [json.loads(line)["data"][0] for line in PAGES.splitlines()]
COUNTS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "usage_convention")


@pytest.fixture
def calls(read: Any) -> Any:
    def of(*bodies: bytes) -> dict[str, dict[str, Any]]:
        batch = read(connector, *bodies)
        assert batch.rejected.to_pylist() == []
        return {row["source_record_id"]: row for row in batch.calls.to_pylist()}

    return of


def counts(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in COUNTS)


def one(**usage: int) -> bytes:
    return json.dumps(ROWS[0] | {"usage_details": usage}).encode()


def test_every_convention_becomes_inclusive(calls: Any) -> None:
    found = calls(EXPORT)
    apart, inclusive, failed, anthropic, embedding = (found[row["id"]] for row in ROWS[:5])
    assert counts(apart) == (1200, 200, None, 80, 30, "exclusive")
    assert (apart["input_uncached_tokens"], apart["total_tokens_reported"], json.loads(apart["usage_raw"])) == (
        1000,
        1280,
        ROWS[0]["usage_details"],
    )
    assert counts(inclusive) == (190, 100, None, 164, 60, "inclusive")
    assert counts(failed) == (None, None, None, None, None, "unknown")
    assert counts(anthropic) == (1120, 1000, 100, 9, None, "exclusive")
    assert (anthropic["cache_write_5m_tokens"], anthropic["cache_write_1h_tokens"]) == (60, 40)
    assert (embedding["input_tokens"], embedding["output_tokens"], embedding["operation"]) == (12, None, "embeddings")


def test_reasoning_and_cache_of_the_same_size_are_not_mixed_up(calls: Any) -> None:
    (row,) = calls(one(input=1000, input_cached_tokens=30, output=50, output_reasoning_tokens=30, total=1110)).values()
    assert counts(row) == (1030, 30, None, 80, 30, "exclusive")


def test_audio_apart_is_part_of_the_input(calls: Any) -> None:
    (row,) = calls(one(input=100, input_audio_tokens=40, output=10, output_audio_tokens=5, total=155)).values()
    assert (row["input_tokens"], row["output_tokens"], row["audio_input_tokens"]) == (140, 15, 40)


def test_pictures_have_their_own_tokens(calls: Any) -> None:
    (row,) = calls(one(input=0, input_text_tokens=60, input_image_tokens=40, output=0, output_image_tokens=4160, total=4260)).values()
    assert (row["input_tokens"], row["image_input_tokens"], row["output_tokens"], row["image_output_tokens"]) == (100, 40, 4160, 4160)


def test_details_of_zero_change_nothing(calls: Any) -> None:
    (row,) = calls(one(input=60, input_cache_read=0, input_audio=0, output=15, output_reasoning=0, total=75)).values()
    assert counts(row) == (60, 0, None, 15, 0, "inclusive")


def test_thoughts_that_no_bucket_holds_stay_visible_in_the_total(calls: Any) -> None:
    (row,) = calls(one(input=39, output=6, total=145)).values()
    assert (row["input_tokens"], row["output_tokens"], row["total_tokens_reported"]) == (39, 6, 145)


def test_the_facts_of_a_call(calls: Any) -> None:
    row = calls(EXPORT)[ROWS[0]["id"]]
    expected = {
        "source_kind": "langfuse.export", "trace_id": ROWS[0]["trace_id"], "span_id": ROWS[0]["id"], "session_id": "s-1", "end_user_id": "u-1",
        "start_time": datetime(2026, 10, 1, 10, 0, 0, 250000, tzinfo=UTC), "duration_ms": 2500.0, "ttft_ms": 500.0, "operation": "chat",
        "provider": "openai", "requested_model": "gpt-5-mini", "response_model": "gpt-5-mini-2025-08-07", "finish_reasons": ["stop"],
        "provider_response_id": "chatcmpl-LangfuseFixture0001ab", "dup_group_key": "response:chatcmpl-LangfuseFixture0001ab",
        "cost_amount": Decimal("0.000415"), "cost_source": "tool_estimate", "cost_raw_unit": "usd", "status": "ok", "project_id": "proj-claims",
        "environment": "production", "workflow_id": "fnol-triage", "workflow_version": "7", "workflow_step": "sort-claim", "tags": ["team-claims"],
        "prompt_id": "cm-prompt-1", "prompt_version": "3", "gateway_kind": None, "traffic_class": "production",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_the_attributes_of_the_span_are_not_kept_as_metadata(calls: Any) -> None:
    assert dict(calls(EXPORT)[ROWS[0]["id"]]["metadata"]) == {"tenant": "north"}


def test_metadata_under_the_names_of_its_paths_says_the_same(calls: Any) -> None:
    """Version 2 of the API and the export of `observations_v2` flatten what is nested."""

    def flat(given: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, value in given.items():
            made |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        return made

    row = API[0] | {"metadata": API[0]["metadata"] | {"resourceAttributes": {"service.name": "x"}, "prompt_segments": {"system": 800}}}
    nested, plain = ({**row, "metadata": found} for found in (row["metadata"], flat(row["metadata"])))
    assert plain["metadata"]["attributes.gen_ai.response.id"] == "chatcmpl-LangfuseFixture0002cd"
    (one,), (other,) = (calls(json.dumps({"data": [row]}).encode()).values() for row in (nested, plain))
    assert {name for name in one if one[name] != other[name]} <= {"raw_sha256", "ingest_uri"}
    assert other["dup_group_key"] == "response:chatcmpl-LangfuseFixture0002cd"
    assert dict(other["metadata"]) == {"tenant": "north", "prompt_segments": '{"system":800}'}  # no prompt


def test_the_api_says_the_same(calls: Any) -> None:
    export, api = calls(EXPORT), calls(PAGES)
    said = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "cost_amount", "status", "start_time",
            "ttft_ms", "provider", "requested_model", "response_model", "prompt_id", "workflow_id", "tags", "metadata", "input_sha256", "output_sha256")  # fmt: skip
    for row, other in zip(ROWS[:5], API, strict=True):
        assert {n: export[row["id"]][n] for n in said} == {n: api[other["id"]][n] for n in said}
    assert {row["source_kind"] for row in api.values()} == {"langfuse.api"}


def test_a_page_a_trace_of_the_ui_and_bare_rows_are_the_same_calls(calls: Any) -> None:
    bare = calls("\n".join(json.dumps(row) for row in API).encode())
    for document in ({"data": API, "meta": {}}, {"trace": {"id": "t", "userId": "u"}, "observations": API}):
        found = calls(json.dumps(document, indent=2).encode())
        assert {k: v["record_id"] for k, v in found.items()} == {k: v["record_id"] for k, v in bare.items()}


def test_a_page_longer_than_what_is_looked_at_is_recognised(calls: Any) -> None:
    page = json.dumps(
        {"data": [row | {"id": f"{n:016x}", "input": "x" * 1000} for n in range(100) for row in API[1:2]], "meta": {}}
    ).encode()
    assert connector.detect(page[: 64 << 10], "page") >= 0.8
    found = calls(page)
    assert (len(found), {row["source_kind"] for row in found.values()}) == (100, {"langfuse.api"})


@pytest.mark.parametrize(
    ("facts", "tier"),
    [
        ({"output": '{"usage": {"speed": "fast", "service_tier": "standard"}}'}, "fast"),
        ({"output": {"service_tier": "priority"}, "model_parameters": {"service_tier": "auto"}}, "priority"),
        ({"output": '{"usage": {"speed": "standard"}}', "model_parameters": {"speed": "fast"}}, None),
        ({"model_parameters": '{"speed": "fast"}'}, "fast"),
        ({"model_parameters": {"service_tier": "flex"}}, "flex"),
        ({"metadata": {"attributes": {"openai.response.service_tier": "priority"}}}, "priority"),
        ({"metadata": {"attributes": {"ai.response.providerMetadata": '{"anthropic": {"usage": {"speed": "fast"}}}'}}}, "fast"),
        ({"metadata": {"attributes.gen_ai.openai.response.service_tier": "flex"}}, "flex"),
        ({"output": "fast"}, None),
    ],
)
def test_the_tier_of_an_answer(calls: Any, facts: dict[str, Any], tier: str | None) -> None:
    (row,) = calls(json.dumps(ROWS[0] | {"model_parameters": {}} | facts).encode()).values()
    assert row["service_tier"] == tier


def test_a_failure_and_an_unpriced_call(calls: Any) -> None:
    failed = calls(EXPORT)[ROWS[2]["id"]]
    assert (failed["status"], failed["error_message"], failed["usage_source"]) == ("error", "429 rate limited", "missing")
    assert (failed["cost_amount"], failed["cost_source"]) == (None, "missing")
    (free,) = calls(json.dumps(ROWS[0] | {"cost_details": {"total": 0}, "total_cost": 0}).encode()).values()
    assert (free["cost_amount"], free["cost_source"]) == (0, "tool_estimate")


def test_a_parent_gives_way_to_the_child_that_counted(read: Any, merged: Any) -> None:
    rows = {row["source_record_id"]: row for row in merged(read(connector, EXPORT).calls).to_pylist()}
    assert (rows["00000000000aa001"]["cost_bearing"], rows["00000000000aa001"]["exclusion_reason"]) == (False, "wrapper_span")
    assert rows["00000000000aa002"]["cost_bearing"]


def test_a_parent_stays_the_call_where_its_child_counted_nothing(read: Any, merged: Any) -> None:
    rows = {row["source_record_id"]: row for row in merged(read(connector, EXPORT).calls).to_pylist()}
    assert rows["00000000000bb001"]["cost_bearing"]
    assert rows["00000000000bb002"]["usage_source"] == "missing"


def test_agents_and_spans_are_structure(read: Any) -> None:
    spans = read(connector, EXPORT).spans.to_pylist()
    assert [(span["name"], span["span_id"], span["parent_span_id"]) for span in spans] == [
        ("triage-agent", "00000000000cc001", None),
        ("load-policy", "00000000000cc002", "00000000000cc001"),
    ]


def test_a_later_version_of_an_observation_has_a_higher_revision(calls: Any) -> None:
    later = json.dumps(ROWS[0] | {"updated_at": "2026-10-02 10:00:04.000000", "total_cost": 1}).encode()
    old, new = calls(EXPORT)[ROWS[0]["id"]], calls(later)[ROWS[0]["id"]]
    assert new["revision"] - old["revision"] == 86400
    assert new["record_id"] != old["record_id"]
    assert new["dup_group_key"] == old["dup_group_key"]


def test_content(read: Any) -> None:
    batch = read(connector, EXPORT)
    ids = {row["record_id"]: row["source_record_id"] for row in batch.calls.to_pylist()}
    bodies = {(ids[body["record_id"]], body["kind"]): json.loads(body["body"]) for body in batch.content.to_pylist()}
    first, second, fourth = (ROWS[n]["id"] for n in (0, 1, 3))
    assert bodies[first, "input"]["messages"] == json.loads(ROWS[0]["input"])
    assert bodies[first, "input"]["params"] == {"temperature": 0.2}
    assert bodies[first, "output"] == {"finish_reason": "stop", "message": {"role": "assistant", "content": "water damage"}}
    assert bodies[second, "input"]["messages"] == [{"role": "user", "content": "Claim 2."}]
    assert bodies[second, "input"]["tools"] == [{"type": "function", "function": {"name": "lookup"}}]
    assert bodies[second, "output"]["message"] == {"role": "assistant", "content": "fire"}
    assert bodies[fourth, "input"]["messages"] == [{"role": "user", "content": "Claim 4."}]


def test_what_is_refused_is_the_record_as_received(read: Any) -> None:
    bad = json.dumps(ROWS[0] | {"start_time": None}).encode()
    assert read(connector, bad).rejected.to_pylist()[0]["raw"] == bad


def test_the_export_in_parquet(calls: Any, tmp_path: Path) -> None:
    path = tmp_path / "observations.parquet"
    with duckdb.connect() as engine:
        engine.execute(
            """COPY (SELECT * REPLACE (TRY_CAST(start_time AS TIMESTAMP) AS start_time, usage_details::JSON::MAP(VARCHAR, UBIGINT) AS usage_details)
            FROM read_json(?, format = 'newline_delimited', maximum_depth = 1)) TO """
            f"'{path}' (FORMAT parquet)",
            [str(FIXTURES / "langfuse_export.jsonl")],
        )
    assert connector.detect(path.read_bytes()[:4096], str(path)) == 0.9
    columns = (*COUNTS, "start_time", "cost_amount", "requested_model", "provider", "status", "tags")
    found, expected = calls(io.BytesIO(path.read_bytes()).getvalue()), calls(EXPORT)
    assert {k: [v[n] for n in columns] for k, v in found.items()} == {k: [v[n] for n in columns] for k, v in expected.items()}


def test_the_csv_of_an_export_says_what_its_json_says(read: Any, tmp_path: Path) -> None:
    """Every value in quotes, what is no text as text of JSON, nothing for null."""
    shown = [["" if v is None else v if isinstance(v, str) else json.dumps(v) for v in (row.get(name) for name in ROWS[0])] for row in ROWS]
    table = tmp_path / "observations.csv"
    with table.open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([list(ROWS[0]), *shown])
    assert connector.detect(table.read_bytes(), "observations.csv") > 0
    found, expected = (read(connector, given).calls.drop_columns(["ingest_uri", "raw_sha256"]).to_pylist() for given in (table, EXPORT))
    assert found == expected
