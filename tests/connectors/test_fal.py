"""fal: money really charged, by units and without tokens."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.fal import connector

FIXTURE = Path(__file__).parent / "fixtures" / "fal_billing_events.jsonl"


@pytest.fixture
def rows(read: Any) -> list[dict[str, Any]]:
    return read(connector, FIXTURE).calls.sort_by("start_time").to_pylist()


def test_a_billed_request(rows: list[dict[str, Any]]) -> None:
    row = rows[0]
    assert (row["source_kind"], row["gateway_kind"], row["provider"], row["requested_model"]) == (
        "fal.billing_events",
        "fal",
        "fal",
        "fal-ai/flux/dev",
    )
    assert (row["start_time"], row["time_basis"], row["time_precision"]) == (datetime(2026, 10, 1, 0, 0, 8, tzinfo=UTC), "log_time", "s")
    # cost_total, from its exact form
    assert (row["cost_amount"], row["cost_currency"], row["cost_source"]) == (Decimal("0.045"), "USD", "provider_billed")
    assert (row["cost_raw"], row["cost_raw_unit"]) == ("45000000", "nano_usd")
    assert row["dup_group_key"] == "response:7e1c0000-1111-4222-8333-444455550001"
    assert (row["status"], row["content_state"], row["replayable"]) == ("ok", "absent", False)


def test_units_are_no_tokens(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert row["usage_source"] == "missing"
        assert row["input_tokens"] is row["output_tokens"] is row["total_tokens_reported"] is None
    said = json.loads(rows[0]["usage_raw"])
    assert (said["output_units"], said["unit_price"], said["percent_discount"], said["cost_subtotal"]) == (2, 0.025, 10, 0.05)


def test_a_dear_event_an_old_form_and_a_free_one(rows: list[dict[str, Any]]) -> None:
    assert [row["cost_amount"] for row in rows[1:]] == [Decimal("3.2"), Decimal("0.0015"), Decimal(0)]
    assert (rows[1]["team_name"], rows[0]["team_name"]) == ("claims-team", None)
    assert rows[3]["cost_source"] == "provider_billed"


def test_unknown_members_are_kept_and_secrets_are_not(read: Any) -> None:
    page = json.loads(FIXTURE.read_text().splitlines()[0])
    page["billing_events"][0].update({"a_new_class_of_units": 7, "label": "blue", "api_key": "hunter2"})
    row = read(connector, json.dumps(page).encode()).calls.to_pylist()[0]
    assert (json.loads(row["usage_raw"])["a_new_class_of_units"], dict(row["metadata"])) == (7, {"label": "blue"})


def test_a_page_longer_than_the_head_is_recognised(read: Any) -> None:
    event = json.loads(FIXTURE.read_text().splitlines()[0])["billing_events"][0]
    events = [event | {"request_id": f"{event['request_id']}-{n}"} for n in range(3000)]
    for form in (json.dumps({"billing_events": events}), json.dumps({"billing_events": events}, indent=2)):
        assert connector.detect(form.encode()[: 64 << 10], "page.json") > 0.8
        assert len(set(read(connector, form.encode()).calls["source_record_id"].to_pylist())) == 3000


def test_a_page_with_a_bad_event_keeps_the_others(read: Any) -> None:
    page = json.loads(FIXTURE.read_text().splitlines()[0])
    page["billing_events"] += [None, "text", {}, page["billing_events"][0] | {"request_id": None}]
    batch = read(connector, json.dumps(page).encode())
    assert len(batch.calls) == 1
    reasons = [row["reason"].split(":")[0] for row in batch.rejected.to_pylist()]
    assert len(reasons) == 4
    assert "missing_id" in reasons


def test_the_usage_series_is_not_taken_for_calls(read: Any) -> None:
    body = b'{"time_series":[{"bucket":"2026-08-29T00:00:00Z","results":[{"endpoint_id":"fal-ai/flux/dev","quantity":4,"cost":0.32}]}]}'
    assert connector.detect(body, "usage.json") == 0.0
    assert len(read(connector, body).calls) == 0
