"""The captures say what each source can know; reading them must say the same, alone and with every witness of the same traffic."""

from __future__ import annotations

import itertools
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.litellm import connector as litellm
from connectors.otlp import connector as otlp

SOURCES = {
    "generic_api": (litellm, "litellm/generic_api/raw"),
    "spendlogs": (litellm, "litellm/SpendLogs.jsonl"),
    "litellm_otel": (otlp, "litellm/litellm_otel/raw"),
}


@pytest.fixture
def views(captures: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((captures / "expected_views.json").read_text())
    return found


@pytest.fixture
def calls(captures: Path, read: Any) -> Any:
    def of(name: str) -> pa.Table:
        connector, place = SOURCES[name]
        path = captures / place
        batch = read(connector, *(sorted(path.iterdir()) if path.is_dir() else [path]))
        assert len(batch.rejected) == 0
        return batch.calls

    return of


def test_generic_api_alone(views: dict[str, Any], calls: Any, merged: Any, totals: Any) -> None:
    expected, rows = views["litellm"]["generic_api"], calls("generic_api")
    found = totals(merged(rows))
    assert len(rows) == expected["records"]
    assert (found["ok"], found["hits"], found["failed"]) == (expected["ok"], expected["gateway_cache_hits"], expected["failed_attempts"])
    assert (found["input_ok"], found["output_ok"]) == (expected["input_ok"], expected["output_ok"])
    assert round(found["cost"], 6) == Decimal(expected["gateway_cost"])


def test_spendlogs_alone(views: dict[str, Any], calls: Any, merged: Any, totals: Any) -> None:
    expected, rows = views["litellm"]["spendlogs"], calls("spendlogs")
    found = totals(merged(rows))
    assert len(rows) == expected["rows"]
    assert (found["ok"], found["hits"], found["failed"]) == (expected["ok"], expected["gateway_cache_hits"], expected["failed"])
    assert (found["input_ok"], found["output_ok"]) == (expected["input_ok"], expected["output_ok"])
    assert round(found["cost"], 6) == Decimal(expected["gateway_cost"])


@pytest.mark.parametrize("order", list(itertools.permutations(SOURCES)))
def test_all_witnesses_of_the_litellm_traffic(order: Any, views: Any, calls: Any, merged: Any, totals: Any) -> None:
    expected = views["litellm"]["all_witnesses_merged"]
    found = totals(merged(*(calls(name) for name in order)))
    assert found["ok"] == expected["ok_cost_bearing"]
    assert found["hits"] == expected["of_which_gateway_cache_hits"]
    assert (found["input_ok"], found["output_ok"]) == (
        views["litellm"]["spendlogs"]["input_ok"],
        views["litellm"]["spendlogs"]["output_ok"],
    )
    assert round(found["cost"], 6) == Decimal(views["litellm"]["spendlogs"]["gateway_cost"])


def test_every_attempt_is_one_row_whichever_sinks_saw_it(calls: Any, merged: Any) -> None:
    """Failures: the payload log has attempts, SpendLogs and spans have failed calls. Together: no attempt twice, none lost."""
    rows = merged(*(calls(name) for name in SOURCES)).to_pylist()
    failed = [r for r in rows if r["cost_bearing"] and r["status"] != "ok"]
    attempts = {r["call_group_id"] for r in rows if r["status"] != "ok"}
    assert {r["call_group_id"] for r in failed} == attempts
    assert len(failed) == len(attempts)  # no call of this capture logged two failed attempts


def test_gateway_spans_alone_keep_cache_hits(calls: Any, merged: Any, totals: Any) -> None:
    """A hit repeats the response id of the call it answers; the spans do not flag it, but it is a call of its own."""
    rows = calls("litellm_otel")
    assert totals(merged(rows))["calls"] == len(rows)


def test_tokens_equal_the_provider_where_its_response_id_is_known(captures: Path, calls: Any, merged: Any, jsonl: Any) -> None:
    truth = {t["response_id"]: t for t in jsonl(captures / "litellm/truth.jsonl") if t["response_id"]}
    exceptions = set(json.loads((captures / "expected_views.json").read_text())["litellm"]["exceptions"])
    seen = 0
    for row in merged(*(calls(name) for name in SOURCES)).to_pylist():
        said = truth.get(row["provider_response_id"] or "")
        if said is None or said["case"] in exceptions or not row["cost_bearing"]:
            continue
        seen += 1
        apart = said["cached_tokens"] + said["cache_write_tokens"] if said["provider"] == "anthropic" else 0
        assert (row["input_tokens"], row["output_tokens"]) == (said["prompt_tokens"] + apart, said["completion_tokens"])
        assert (row["cache_read_tokens"] or 0, row["reasoning_tokens"] or 0) == (said["cached_tokens"], said["reasoning_tokens"])
    assert seen > 180


@pytest.mark.parametrize("flavour", ["genai_json", "openinference_json", "traceloop_json"])
def test_instrumentations(flavour: str, captures: Path, views: Any, read: Any, merged: Any, totals: Any) -> None:
    expected = views["otel"][flavour]
    batch = read(otlp, *sorted((captures / "otel" / flavour / "raw").iterdir()))
    found = totals(merged(batch.calls))
    assert len(batch.calls) + len(batch.spans) == expected["spans"]
    assert (found["calls"], found["ok"]) == (expected["calls"], expected["ok"])
    assert found["with_usage"] == expected["calls_with_usage"]
    assert len(batch.calls) - found["calls"] == expected["anthropic_calls_seen_twice"]


@pytest.mark.parametrize("flavour", ["genai_json", "openinference_json", "traceloop_json"])
def test_instrumentation_tokens_equal_the_provider(flavour: str, captures: Path, read: Any, merged: Any, jsonl: Any) -> None:
    truth = {t["response_id"]: t for t in jsonl(captures / "otel/truth.jsonl") if t["response_id"]}
    rows = merged(read(otlp, *sorted((captures / "otel" / flavour / "raw").iterdir())).calls).to_pylist()
    seen = 0
    for row in rows:
        said = truth.get(row["provider_response_id"] or "")
        if said is None or not row["cost_bearing"]:
            continue
        if row["input_tokens"] is None:
            assert said["stream"]
            continue
        seen += 1
        apart = said["cached_tokens"] + said["cache_write_tokens"] if said["provider"] == "anthropic" else 0
        assert (row["input_tokens"], row["output_tokens"]) == (said["prompt_tokens"] + apart, said["completion_tokens"])
        if row["cache_read_tokens"] is not None:
            assert row["cache_read_tokens"] == said["cached_tokens"]
        if said["provider"] == "anthropic":  # the SDK's own span knows the cache; the instrumentation's may not, and must not win
            assert row["cache_write_tokens"] == said["cache_write_tokens"]
    assert seen > 80


@pytest.mark.parametrize("flavour", ["genai_json", "openinference_json", "traceloop_json"])
def test_any_split_into_requests_gives_the_same_calls(flavour: str, captures: Path, read: Any, merged: Any, totals: Any) -> None:
    """Parent and child may arrive in different bodies: one span per request, shuffled, must count the same."""
    files = sorted((captures / "otel" / flavour / "raw").iterdir())
    together = merged(read(otlp, *files).calls)
    bodies = []
    for file in files:
        for group in json.loads(file.read_text())["resourceSpans"]:
            for scope in group["scopeSpans"]:
                for span in scope["spans"]:
                    one = {"resource": group["resource"], "scopeSpans": [{"scope": scope["scope"], "spans": [span]}]}
                    bodies.append(json.dumps({"resourceSpans": [one]}).encode())
    random.Random(7).shuffle(bodies)
    apart = merged(*(read(otlp, body).calls for body in bodies))
    assert totals(apart) == totals(together)
    keys = {r["record_id"]: (r["raw_sha256"], r["cost_bearing"], r["exclusion_reason"]) for r in together.to_pylist()}
    assert {r["record_id"]: (r["raw_sha256"], r["cost_bearing"], r["exclusion_reason"]) for r in apart.to_pylist()} == keys
