"""What LiteLLM's records mean, rule by rule."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.addresses import region_at
from connectors.litellm import connector
from governor.errors import Invalid

FIXTURES = Path(__file__).parent / "fixtures"
PAYLOADS = [json.loads(line) for line in (FIXTURES / "litellm_generic_api.jsonl").read_text().splitlines()]
SPEND = [json.loads(line) for line in (FIXTURES / "litellm_spend_logs.jsonl").read_text().splitlines()]


def first(**facts: Any) -> dict[str, Any]:
    """A copy of the first fixture record with these facts."""
    return json.loads(json.dumps(next(r for r in PAYLOADS if all(r[k] == v for k, v in facts.items()))))


def body(*records: Any) -> bytes:
    return b"\n".join(json.dumps(record).encode() for record in records)


@pytest.fixture
def row(read: Any) -> Any:
    def of(record: Any, **options: Any) -> dict[str, Any]:
        batch = read(connector, body(record), **options)
        assert batch.rejected.to_pylist() == []
        found: dict[str, Any] = batch.calls.to_pylist()[0]
        return found

    return of


def test_cost_is_exact_from_the_characters(read: Any) -> None:
    record = first(status="success", cache_hit=None)
    texts = ("0.028597500000000005", "6.78e-05", "0.1", "1", "2.5e-8", "1234.123456789012", "1e-12")
    lines = b"\n".join(
        json.dumps(record | {"response_cost": "COST", "id": f"chatcmpl-{n}" + "x" * 20}).replace('"COST"', text).encode()
        for n, text in enumerate(texts)
    )
    costs = read(connector, lines).calls["cost_amount"].to_pylist()
    assert costs == [Decimal(text).quantize(Decimal("1e-12")) for text in texts]


def test_an_unpriced_model_is_missing_not_free(row: Any) -> None:
    record = first(status="success", cache_hit=None) | {"response_cost": 0.0}
    found = row(record)
    assert (found["cost_amount"], found["cost_source"], found["cost_raw"]) == (None, "missing", "0.0")


def test_a_cache_hit_is_a_call_that_cost_nothing(row: Any) -> None:
    found = row(first(cache_hit=True))
    assert (found["gateway_cache"], found["cost_amount"]) == ("hit_exact", 0)
    assert found["input_tokens"] > 0
    assert "_cache_hit" in found["source_record_id"]
    assert "_cache_hit" not in found["provider_response_id"]
    assert found["dup_alias_key"] is None  # it must not fold into the call whose answer it repeats


def test_a_cache_hit_is_one_call_in_every_sink(read: Any, merged: Any) -> None:
    hits = [r for r in PAYLOADS if r["cache_hit"] is True]
    ids = {r["litellm_call_id"] for r in hits}
    spend = [r for r in SPEND if r["metadata"]["litellm_call_id"] in ids]
    assert [h["id"] for h in hits] != [s["request_id"] for s in spend]
    both = merged(read(connector, body(*hits)).calls, read(connector, body(*spend)).calls)
    assert both["cost_bearing"].to_pylist().count(True) == len(ids)


def test_a_failed_attempt_has_unknown_usage(row: Any) -> None:
    found = row(first(status="failure"))
    assert (found["status"], found["input_tokens"], found["output_tokens"], found["usage_source"]) == ("error", None, None, "missing")
    assert found["error_type"]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"prompt_tokens": "1.200"}, 'bad_tokens: prompt_tokens "1.200" is no whole number up to 1,000,000,000,000'),
        ({"completion_tokens": -5}, 'negative_tokens: completion_tokens "-5" is below zero'),
        ({"metadata": {"usage_object": {"prompt_tokens": [[[]]]}}}, 'bad_tokens: usage_object.prompt_tokens "[[[]]]" is no whole number up to 1,000,000,000,000'),
        ({"response_cost": "0,012"}, 'bad_cost: response_cost "0,012" is no number'),
        ({"startTime": "yesterday at noon, when all of us were at lunch"}, 'bad_time: startTime "yesterday at noon, when all of us were a..." is no time'),
        ({"startTime": 12}, 'bad_time: startTime "12" is before 2022 or in the future'),
        ({"startTime": None}, "bad_time: startTime is missing"),
    ],
)  # fmt: skip
def test_a_reason_names_the_field_and_what_stood_there(read: Any, facts: dict[str, Any], said: str) -> None:
    batch = read(connector, body(first(status="success") | facts))
    assert batch.rejected["reason"].to_pylist() == [said]


def test_a_reason_of_a_spend_row_names_its_own_field(read: Any) -> None:
    batch = read(connector, body(SPEND[0] | {"spend": "much"}))
    assert batch.rejected["reason"].to_pylist() == ['bad_cost: spend "much" is no number']


def test_an_error_keeps_no_key_of_an_address(row: Any) -> None:
    said = "APIConnectionError: POST https://generativelanguage.googleapis.com/v1beta/models/g:generateContent?key=hunter2 timed out"
    found = row(first(status="failure") | {"error_information": {"error_message": said}})["error_message"]
    assert found == "APIConnectionError: POST https://generativelanguage.googleapis.com/v1beta/models/g:generateContent timed out"


def test_a_guess_for_a_failed_prompt_is_not_usage(row: Any) -> None:
    guess = next(r for r in SPEND if r["status"] == "failure" and r["prompt_tokens"])
    found = row(guess)
    assert (found["input_tokens"], found["usage_source"]) == (None, "missing")
    assert str(guess["prompt_tokens"]) in found["usage_raw"]


def test_usage_of_a_stream_that_broke_is_kept(row: Any) -> None:
    record = first(status="failure")
    record["metadata"]["usage_object"] = {"prompt_tokens": 40, "completion_tokens": 3, "total_tokens": 43}
    found = row(record)
    assert (found["status"], found["input_tokens"], found["output_tokens"]) == ("error", 40, 3)


def test_retries_and_fallback_are_attempts_of_one_group(read: Any, merged: Any) -> None:
    """Streams log every failed attempt under one id; SpendLogs has the last failure or the success; spans have one failure."""
    base = first(status="failure")
    call = base["litellm_call_id"]
    attempts = [base | {"startTime": base["startTime"] + n, "endTime": base["endTime"] + n} for n in range(3)]
    rows = read(connector, body(*attempts)).calls
    assert len(set(rows["record_id"].to_pylist())) == 3
    assert set(rows["call_group_id"].to_pylist()) == {call}
    final = json.loads(json.dumps(next(r for r in SPEND if r["status"] == "failure")))
    final["request_id"] = final["metadata"]["litellm_call_id"] = call
    together = merged(rows, read(connector, body(final)).calls).to_pylist()
    assert sorted(r["source_kind"] for r in together if r["cost_bearing"]) == ["litellm.generic_api"] * 3
    assert [r["exclusion_reason"] for r in together if not r["cost_bearing"]] == ["wrapper_span"]
    alone = merged(read(connector, body(final)).calls).to_pylist()
    assert [r["cost_bearing"] for r in alone] == [True]


def test_a_success_never_merges_with_the_failure_before_it(read: Any, merged: Any) -> None:
    by_call: dict[str, list[Any]] = {}
    for record in PAYLOADS:
        by_call.setdefault(record["litellm_call_id"], []).append(record)
    pairs = [pair for pair in by_call.values() if len(pair) == 2]
    assert pairs
    for pair in pairs:
        rows = merged(read(connector, body(*pair)).calls).to_pylist()
        assert [r["cost_bearing"] for r in rows] == [True, True]
        assert {r["status"] for r in rows} == {"ok", "error"}


def test_a_client_that_reuses_the_call_id_hides_nothing(read: Any, merged: Any) -> None:
    """x-litellm-call-id is the client's to choose."""
    one = first(status="success", cache_hit=None)
    two = one | {"id": "chatcmpl-another-answer-of-the-model", "startTime": one["startTime"] + 5, "endTime": one["endTime"] + 5}
    assert merged(read(connector, body(one, two)).calls)["cost_bearing"].to_pylist() == [True, True]


def test_short_answer_ids_join_no_sources(row: Any) -> None:
    assert row(first(status="success", cache_hit=None) | {"id": "chatcmpl-845"})["dup_alias_key"] is None
    assert row(first(status="success", cache_hit=None))["dup_alias_key"].startswith("response:chatcmpl-")


def test_objects_and_bodies_of_the_same_event_merge(read: Any, merged: Any) -> None:
    served = [r for r in PAYLOADS if r["status"] == "success"]
    posted = read(connector, body(*served)).calls
    stored = read(connector, body(*served), config={"form": "s3"}).calls
    rows = merged(posted, stored).to_pylist()
    assert {r["source_kind"] for r in rows if r["cost_bearing"]} == {"litellm.s3"}
    assert sum(r["cost_bearing"] for r in rows) == len(served)


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("s3/litellm/2026-11-21/time-02-02-32-803417_chatcmpl-d3e6.json", "litellm.s3"),
        ("time-2026-11-21T02-02-32-803417_chatcmpl-d3e6.json.gz", "litellm.s3"),
        ("2026-11-21/batch-1795226552803-0a1b2c3d.ndjson", "litellm.s3"),
        ("s3://llm-logs/anything.json", "litellm.s3"),
        ("generic_api/raw/000001.json", "litellm.generic_api"),
        ("push", "litellm.generic_api"),
    ],
)
def test_the_form_is_told_from_content_and_name(uri: str, kind: str) -> None:
    from governor.ports import Payload, ReadOptions

    batch = next(iter(connector.read([Payload(uri, body=body(PAYLOADS[0]))], ReadOptions("x"))))
    assert batch.calls["source_kind"].to_pylist() == [kind]


def test_an_unknown_form_is_refused(read: Any) -> None:
    with pytest.raises(Invalid, match="csv"):
        read(connector, b"{}", config={"form": "csv"})


def test_json_columns_may_arrive_as_strings(read: Any) -> None:
    """Drivers differ: the same row with JSON as text and naive or zoned times has the same id and digest."""
    texts = [
        row
        | {
            name: json.dumps(row[name])
            for name in ("metadata", "request_tags", "messages", "response", "proxy_server_request")
            if name in row
        }
        | {name: row[name].replace("T", " ") + "+00:00" for name in ("startTime", "endTime", "completionStartTime")}
        for row in SPEND
    ]
    plain, stringed = read(connector, body(*SPEND)).calls, read(connector, body(*texts)).calls
    same = [name for name in plain.column_names if name != "usage_raw"]
    assert stringed.select(same).equals(plain.select(same))


def test_naive_times_are_utc(row: Any) -> None:
    found = row(SPEND[0] | {"startTime": "2026-10-31T23:59:59.999"})
    assert found["start_time"] == datetime(2026, 10, 31, 23, 59, 59, 999000, tzinfo=UTC)


def test_time_to_first_token_is_for_streams_only(row: Any) -> None:
    streamed, whole = row(first(stream=True)), row(first(stream=None, status="success"))
    assert 0 < streamed["ttft_ms"] <= streamed["duration_ms"]
    assert whole["ttft_ms"] is None


def test_cached_and_written_tokens_are_parts_of_the_input(row: Any) -> None:
    record = next(r for r in PAYLOADS if (r["metadata"]["usage_object"] or {}).get("cache_read_input_tokens"))
    found, usage = row(record), record["metadata"]["usage_object"]
    assert found["input_tokens"] == usage["prompt_tokens"]
    assert found["cache_read_tokens"] == usage["cache_read_input_tokens"]
    assert found["usage_convention"] == "inclusive"


def test_parts_larger_than_the_whole_were_counted_apart(row: Any) -> None:
    record = first(status="success", cache_hit=None)
    record |= {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    record["metadata"]["usage_object"] = {
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "total_tokens": 110,
        "cache_read_input_tokens": 5000,
        "cache_creation_input_tokens": 2000,
        "completion_tokens_details": {"reasoning_tokens": 64},
    }
    found = row(record)
    assert (found["input_tokens"], found["input_uncached_tokens"], found["output_tokens"]) == (7100, 100, 74)
    assert found["usage_convention"] == "exclusive"


@pytest.mark.parametrize(
    ("provider", "details", "counted"),
    [
        ("anthropic", {"cached_tokens": 2048}, (5000, 1928, "exclusive")),
        ("vertex_ai", {"cached_tokens": 2048}, (5000, 1928, "exclusive")),
        ("anthropic", {"cached_tokens": 2048, "cache_creation_tokens": 1024}, (3976, 904, "inclusive")),  # from 1.77 on: inside
        ("bedrock", {"cached_tokens": 2048}, (3976, 904, "inclusive")),
        ("anthropic", None, (3976, 904, "inclusive")),
    ],
    ids=["claude", "on vertex", "newer", "converse", "no details"],
)
def test_before_1_77_what_claude_wrote_to_its_cache_is_beside_the_prompt(
    row: Any, provider: str, details: Any, counted: tuple[Any, ...]
) -> None:
    record = first(status="success", cache_hit=None) | {
        "custom_llm_provider": provider,
        "prompt_tokens": 3976,
        "completion_tokens": 700,
        "total_tokens": 4676,
    }
    used = {"prompt_tokens": 3976, "completion_tokens": 700, "cache_read_input_tokens": 2048, "cache_creation_input_tokens": 1024}
    record["metadata"]["usage_object"] = used | {"prompt_tokens_details": details}
    found = row(record)
    assert (found["input_tokens"], found["input_uncached_tokens"], found["usage_convention"]) == counted


def test_no_usage_at_all_is_unknown(row: Any) -> None:
    record = first(status="success", cache_hit=None) | {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    record["metadata"]["usage_object"] = None
    found = row(record)
    assert (found["input_tokens"], found["usage_source"]) == (None, "missing")


def test_claims_of_the_key_and_of_the_request_are_told_apart(row: Any) -> None:
    record = first(status="success")
    record["metadata"] |= {
        "user_api_key_auth_metadata": {"workflow": "from-key", "cost_center": "CC-1"},
        "requester_metadata": {"workflow": "from-request", "key.workflow": "forged", "nested": {"a": 1}},
        "spend_logs_metadata": {"data_class": "internal"},
    }
    record["request_tags"] = ["User-Agent: curl", "env:staging", "feature:f3"]
    found = row(record)
    metadata = dict(found["metadata"])
    assert metadata["key.workflow"] == "from-key"
    assert (metadata["workflow"], metadata["cost_center"], metadata["nested"]) == ("from-request", "CC-1", '{"a":1}')
    assert (found["workflow_id"], found["data_class"], found["environment"]) == ("from-request", "internal", "staging")
    assert found["tags"] == ["env:staging", "feature:f3"]


def test_repeated_and_strange_names_in_metadata_break_nothing(row: Any) -> None:
    record = first(status="success")
    record["metadata"]["requester_metadata"] = "MARK"
    strange = '{"a": 1, "a": 2, "$x": 3, "/y": 4, "*": 5, "": 6, "n": null, "\\u0000z": 7}'
    found = row(json.loads(json.dumps(record).replace('"MARK"', '{"MARK": 0}')))
    assert "MARK" in dict(found["metadata"])
    text = json.dumps(record).replace('"MARK"', strange).encode()
    from governor.ports import Payload, ReadOptions

    batch = next(iter(connector.read([Payload("x", body=text)], ReadOptions("x"))))
    assert len(batch.calls) == 1
    assert dict(batch.calls["metadata"].to_pylist()[0])["*"] == "5"


def test_our_own_shadow_traffic_is_not_production(row: Any) -> None:
    record = first(status="success")
    record["metadata"]["requester_metadata"] = {"governor-shadow-run": "run-1"}
    found = row(record)
    assert (found["traffic_class"], found["cost_bearing"], found["exclusion_reason"]) == ("shadow", False, "shadow")


def test_a_key_in_clear_is_never_kept(row: Any) -> None:
    found = row(SPEND[0] | {"api_key": "sk-a-real-key-hunter2"})
    assert len(found["api_key_id"]) == 64
    assert "hunter2" not in str(found)


def test_replay_input_is_complete(read: Any) -> None:
    record = first(status="success", call_type="acompletion")
    record["model_parameters"] = {"temperature": 0.2, "tools": [{"type": "function", "function": {"name": "f"}}], "extra_body": {"k": 1}}
    batch = read(connector, body(record))
    call = batch.calls.to_pylist()[0]
    given = json.loads(next(c["body"] for c in batch.content.to_pylist() if c["kind"] == "input"))
    assert given == {"messages": record["messages"], "params": {"temperature": 0.2}, "tools": record["model_parameters"]["tools"]}
    assert (call["replayable"], call["replay_blockers"], call["content_state"]) == (True, [], "full")
    record["messages"] = [{"role": "user", "content": "redacted-by-litellm"}]
    hidden = read(connector, body(record)).calls.to_pylist()[0]
    assert (hidden["content_state"], hidden["replayable"]) == ("redacted", False)


def test_a_time_in_milliseconds_is_refused(read: Any) -> None:
    record = first(status="success")
    batch = read(connector, body(record | {"startTime": record["startTime"] * 1000}, record | {"startTime": 12}))
    assert [r["reason"].split(":")[0] for r in batch.rejected.to_pylist()] == ["bad_time", "bad_time"]
    later = read(connector, body(record), config={"now": datetime(2026, 10, 1, tzinfo=UTC)})
    assert len(later.rejected) == 1


@pytest.mark.parametrize("value", ["twelve", 1.5, {"a": 1}, [1], True])
def test_token_counts_that_are_no_counts_are_refused(read: Any, value: Any) -> None:
    batch = read(connector, body(first(status="success") | {"prompt_tokens": value}))
    assert [r["reason"].split(":")[0] for r in batch.rejected.to_pylist()] == ["bad_tokens"]


@pytest.mark.parametrize(("value", "reason"), [("much", "bad_cost"), (-0.5, "negative_cost")])
def test_costs_that_are_no_costs_are_refused(read: Any, value: Any, reason: str) -> None:
    batch = read(connector, body(first(status="success") | {"response_cost": value}))
    assert [r["reason"].split(":")[0] for r in batch.rejected.to_pylist()] == [reason]


def test_large_inputs_keep_order_and_rows(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Side by side conversion: rows come in file order, each with its own number, whatever the workers do."""
    monkeypatch.setattr("connectors.payloads.FLUSH_BYTES", 1 << 16)
    monkeypatch.setattr("connectors.payloads.CHUNK", 1 << 15)
    records = [json.dumps(r | {"id": f"{n:030d}"}) for n, r in enumerate([first(status="success")] * 200)]
    records[77] = "broken"
    batch = read(connector, "\n".join(records).encode())
    assert batch.calls["ingest_row"].to_pylist() == [n for n in range(200) if n != 77]
    assert [int(i) for i in batch.calls["provider_response_id"].to_pylist()] == batch.calls["ingest_row"].to_pylist()
    assert batch.rejected.select(["ingest_row", "raw"]).to_pylist() == [{"ingest_row": 77, "raw": b"broken"}]


def test_a_spend_row_that_a_guardrail_stopped_is_blocked_as_in_the_log(row: Any) -> None:
    failed = json.loads(json.dumps(next(r for r in SPEND if r["status"] == "failure")))
    metadata = json.loads(failed["metadata"]) if isinstance(failed["metadata"], str) else failed["metadata"]
    stopped = {
        "guardrail_information": [{"guardrail_name": "pii", "guardrail_status": "success"}, {"guardrail_status": "guardrail_intervened"}]
    }
    assert row(failed)["status"] == "error"
    assert row(failed | {"metadata": metadata | stopped})["status"] == "blocked"


@pytest.mark.parametrize(
    ("address", "region"),
    [("https://bedrock-runtime.eu-central-1.amazonaws.com/model/x/converse", "eu-central-1"),
     ("https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google/models/g:generateContent", "us-central1"),
     ("https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/g", "global"),
     ("https://europe-west4-aiplatform.googleapis.com", "europe-west4"), ("https://api.openai.com/v1", None)],
)  # fmt: skip
def test_the_address_of_a_cloud_says_the_region(row: Any, address: str, region: str | None) -> None:
    assert row(first(status="success", cache_hit=None) | {"api_base": address})["region"] == region
    assert region_at(address) == region


def test_a_finished_batch_is_of_the_batch_tier(row: Any) -> None:
    served = first(status="success", cache_hit=None)
    assert row(served | {"call_type": "aretrieve_batch"})["service_tier"] == "batch"
    assert row(served)["service_tier"] != "batch"


def test_a_fast_answer_of_claude_is_of_the_fast_tier(row: Any) -> None:
    served = first(status="success", cache_hit=None)
    usage = served["metadata"]["usage_object"] | {"service_tier": "standard"}
    for speed, tier in (("fast", "fast"), ("standard", "standard")):
        assert row(served | {"metadata": served["metadata"] | {"usage_object": usage | {"speed": speed}}})["service_tier"] == tier


@pytest.mark.parametrize("call_type", ["call_mcp_tool", "list_mcp_tools"])
def test_a_tool_that_was_called_over_mcp_is_no_call_of_a_model(read: Any, call_type: str) -> None:
    """LiteLLM logs it with no tokens, no provider and what the tool was said to cost."""
    facts = {"call_type": call_type, "model": "MCP: deepwiki-read_page", "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    logged = first(status="success", cache_hit=None) | facts | {"response_cost": 0.01, "custom_llm_provider": ""}
    spent = next(row for row in SPEND if row["status"] == "success") | facts | {"spend": 0.01, "custom_llm_provider": ""}
    for record in (logged, spent):
        batch = read(connector, body(record, first(status="failure") if record is logged else SPEND[0]))
        [tool] = batch.spans.to_pylist()
        assert (tool["kind"], tool["name"], json.loads(tool["attributes"])) == (
            "tool",
            "MCP: deepwiki-read_page",
            {"call_type": call_type, "cost": "0.01"},
        )
        assert (batch.calls.num_rows, batch.rejected.num_rows, batch.content.num_rows <= 2) == (1, 0, True)
        assert tool["raw_sha256"]
        assert tool["start_time"]
    late = read(connector, body(logged | {"startTime": None}))
    assert (late.spans.num_rows, late.rejected.num_rows) == (0, 1)


@pytest.mark.parametrize(
    ("provider", "read_tokens", "written", "counted"),
    [
        ("openai", 600, 600, (1000, 600, 400, 0, "inclusive")),
        ("azure", 1000, 1000, (1000, 1000, 0, 0, "inclusive")),
        ("openai", 600, 300, (1000, 600, 300, 100, "inclusive")),
        ("openai", 600, None, (1000, 600, None, 400, "inclusive")),
        ("openai", None, 300, (1000, None, 300, 700, "inclusive")),
        ("openai", 5000, 600, (6600, 5000, 600, 1000, "exclusive")),  # more than the prompt
        ("anthropic", 600, 600, (2200, 600, 600, 1000, "exclusive")),
    ],
)
def test_openai_does_not_count_its_cache_apart(
    row: Any, provider: str, read_tokens: int | None, written: int | None, counted: tuple[Any, ...]
) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
    details = {"cached_tokens": read_tokens, "cache_write_tokens": written}
    record = first(status="success", cache_hit=None) | usage | {"custom_llm_provider": provider}
    record["metadata"]["usage_object"] = usage | {"prompt_tokens_details": details}
    found = row(record)
    names = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "input_uncached_tokens", "usage_convention")
    assert tuple(found[name] for name in names) == counted
    assert json.loads(found["usage_raw"])["prompt_tokens_details"] == details


def test_the_system_prompt_of_a_request_in_other_forms_than_chat_is_kept(read: Any) -> None:
    """Anthropic's `system` and Responses' `instructions` stand beside the messages: a replay without them asks something else."""
    sent = first(call_type="aresponses") | {"model_parameters": {"instructions": "Answer as a judge."}}
    claude = SPEND[4] | {"call_type": "anthropic_messages", "messages": {}, "response": {"content": [{"type": "text", "text": "No."}]}}
    claude["proxy_server_request"] = {"system": [{"type": "text", "text": "Be brief."}], "messages": [{"role": "user", "content": "Why?"}]}
    asked = claude | {
        "call_type": "aresponses",
        "request_id": "resp_1" * 5,
        "proxy_server_request": json.dumps({"input": "Why?", "instructions": "Be brief."}),
    }
    plain = claude | {"request_id": "resp_2" * 5, "proxy_server_request": {"messages": [{"role": "user", "content": "Why?"}]}}

    def prompts(*records: Any) -> list[Any]:
        found = read(connector, body(*records), with_content=True).content.to_pylist()
        return [json.loads(one["body"])["messages"] for one in found if one["kind"] == "input"]

    [[system, *rest]] = prompts(sent)
    assert system == {"role": "system", "content": "Answer as a judge."}
    assert rest == sent["messages"]
    why = {"role": "user", "content": "Why?"}
    assert prompts(claude, asked, plain) == [
        [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, why],
        [{"role": "system", "content": "Be brief."}, why],
        [why],
    ]


NOTHING = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def _logged(call_type: str, call: str, **facts: Any) -> dict[str, Any]:
    record = first(status="success", cache_hit=None, call_type="acompletion") | NOTHING
    return (
        record
        | {"call_type": call_type, "litellm_call_id": call, "response_cost": 0.0, "response": {}, "model_group": "", "metadata": {}}
        | facts
    )


def _spent(call_type: str, call: str, **facts: Any) -> dict[str, Any]:
    row = next(row for row in SPEND if row["status"] == "success") | NOTHING
    return row | {"call_type": call_type, "litellm_call_id": call, "spend": 0.0, "metadata": "{}"} | facts


_CALLS = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(6)]


@pytest.mark.parametrize(
    "call_type",
    [
        "acreate_file", "afile_content", "afile_retrieve", "acreate_batch", "alist_batches", "acancel_batch", "alist_input_items", "adelete_responses",
        "avideo_status", "avideo_content", "vector_store_file_list", "alist_fine_tuning_jobs", "a_add_message", "retrieve_container",
    ],
)  # fmt: skip
def test_a_request_that_manages_objects_is_no_call_of_a_model(read: Any, call_type: str) -> None:
    for record in (_logged(call_type, _CALLS[0], id="file-abc"), _spent(call_type, _CALLS[0], request_id="file-abc")):
        batch = read(connector, body(record, first(status="failure") if "id" in record else SPEND[0]))
        assert (batch.calls.num_rows, batch.rejected.num_rows) == (1, 0)
        assert [(one["kind"], json.loads(one["attributes"])["call_type"]) for one in batch.spans.to_pylist()] == [("other", call_type)]


@pytest.mark.parametrize(
    "call_type", ["avideo_generation", "acreate_video", "_arealtime", "pass_through_endpoint", "aocr", "amoderation", "acreate_container"]
)
def test_what_asks_a_model_or_was_charged_is_a_call(read: Any, call_type: str) -> None:
    batch = read(connector, body(_logged(call_type, _CALLS[0], id="x" * 24, response_cost=0.03)))
    assert (batch.calls.num_rows, batch.spans.num_rows) == (1, 0)


def test_a_stored_answer_that_is_read_again_is_no_call_unless_it_was_made_in_the_background(read: Any) -> None:
    """The answer that is read repeats the usage of the call that made it; the proxy priced each read until it knew better."""
    usage = {"prompt_tokens": 2000, "completion_tokens": 300, "total_tokens": 2300}
    again = [_logged("aget_responses", call, id="resp_" + "a" * 24, response_cost=cost, response={"background": False}, **usage)
             for call, cost in zip(_CALLS, (0.0, 0.0017), strict=False)]  # fmt: skip
    batch = read(connector, body(*again))
    assert (batch.calls.num_rows, batch.spans.num_rows) == (0, 2)
    later = _logged("aget_responses", _CALLS[0], id="resp_" + "a" * 24, response_cost=0.0017, response={"background": True}, **usage)
    settled = _spent("aget_responses", _CALLS[0], request_id="resp_" + "a" * 24 + "_background_cost", spend=0.0017, **usage)
    keys = {read(connector, body(record)).calls["dup_group_key"][0].as_py() for record in (later, settled)}
    assert keys == {f"litellm:{_CALLS[0]}:ok:resp_{'a' * 24}"}


def test_a_batch_is_one_call_however_often_and_wherever_it_is_read(read: Any, merged: Any) -> None:
    """Each read of a finished batch has its usage and cost; spend rows mark its id; the proxy's own name of it is base64."""
    usage = {"prompt_tokens": 6000, "completion_tokens": 900, "total_tokens": 6900}
    name = "batch_6a1f0e63b1c48190a5"
    unified = base64.urlsafe_b64encode(f"litellm_proxy;model_id:dep-1;llm_batch_id:{name}".encode()).decode().rstrip("=")
    running = _logged("aretrieve_batch", _CALLS[0], id=name)
    done = [
        _logged("aretrieve_batch", call, id=one, response_cost=0.00072, **usage)
        for call, one in zip(_CALLS[1:], (name, name, unified), strict=False)
    ]
    row = _spent("aretrieve_batch", _CALLS[4], request_id=name + "_batch_cost", spend=0.00072, **usage)
    payloads, spent = read(connector, body(running, *done)), read(connector, body(row))
    assert (payloads.calls.num_rows, payloads.spans.num_rows) == (3, 1)
    for tables in ((payloads.calls, spent.calls), (spent.calls, payloads.calls)):
        counting = [one for one in merged(*tables).to_pylist() if one["cost_bearing"]]
        assert [(one["source_kind"], one["input_tokens"], one["service_tier"], one["provider_response_id"]) for one in counting] == [
            ("litellm.spend_logs", 6000, "batch", name)
        ]


def test_a_null_among_records_says_nothing_of_a_call(read: Any) -> None:
    """generic_api writes it in the place of a request that it has no payload for, such as a list of files."""
    batch = read(connector, json.dumps([None, first(status="success"), None]).encode())
    assert (batch.calls.num_rows, batch.rejected.num_rows, batch.spans.num_rows) == (1, 0, 2)


def test_payloads_of_proxies_that_told_no_call_id_are_known_as_such(read: Any) -> None:
    """Up to 1.76: the answer's id alone joins a payload and its spend row, a failed attempt goes by its own id."""
    records = [{name: value for name, value in record.items() if name != "litellm_call_id"} for record in PAYLOADS]
    assert connector.detect(json.dumps(records).encode(), "logs.json") > 0.9
    found = read(connector, body(*records)).calls.to_pylist()
    served = next(row for row in found if row["status"] == "ok" and row["gateway_cache"] == "none")
    assert served["dup_group_key"] == f"response:{served['source_record_id'].partition('@')[0]}"


@pytest.mark.parametrize(
    ("provider", "key", "said"),
    [
        ("azure", "azure/gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("azure_ai", "azure/eu/gpt-4.1", "gpt-4.1"),
        ("azure", "azure/claims-prod", None),
        ("azure", "", None),
        ("openai", "openai/gpt-4o", None),
    ],
)
def test_a_deployment_of_azure_is_the_model_that_the_proxy_was_told_it_serves(row: Any, provider: str, key: str, said: str | None) -> None:
    """A deployment has any name, the answer's name is overwritten by the alias; without the base model no list prices the call."""
    facts = {"model": "azure/claims-prod", "model_group": "claims", "custom_llm_provider": provider}
    priced = {"model_map_information": {"model_map_key": key, "model_map_value": None}}
    logged = first(status="success", cache_hit=None) | facts | priced | {"response": {"model": "claims"}}
    spent = next(one for one in SPEND if one["status"] == "success") | facts | {"metadata": json.dumps(priced)}
    assert [row(record)["response_model"] for record in (logged, spent)] == [said, said]
    assert row(logged | {"response": {"model": "gpt-4o-2024-11-20"}})["response_model"] == "gpt-4o-2024-11-20"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"is_silent_experiment": True}, "eval"),
        ({"internal_call_origin": "shadow_eval_router"}, "eval"),
        ({"internal_call_origin": "shadow_eval_judge"}, "eval"),
        ({"internal_call_origin": "autorouter_classifier"}, "production"),
        ({"is_silent_experiment": False, "internal_call_origin": None}, "production"),
    ],
)
def test_what_the_proxy_sends_beside_the_traffic_is_not_production(row: Any, facts: dict[str, Any], said: str) -> None:
    """A copy for a silent model serves nobody: it is no baseline, shows no cutover and needs no approved route. It is charged."""
    logged = first(status="success", cache_hit=None)
    spent = next(one for one in SPEND if one["status"] == "success")
    for found in (row(logged | {"metadata": logged["metadata"] | facts}), row(spent | {"metadata": json.dumps(facts)})):
        assert (found["traffic_class"], found["cost_bearing"]) == (said, True)
