"""The OpenAPI document as a developer meets it in a generated client: answers with fields, names that say what they are."""

from __future__ import annotations

import re
from typing import Any

import pytest

from governor.asgi import create_app
from governor.settings import load_settings

OPEN = {
    "get_catalog_schemas_by_kind": "a JSON Schema, whose words are its own",
    "get_ledger_entries_by_name_leaf": "the bytes of an entry of any type",
    "post_traces": "OTLP's own answer",
    "post_ingest_by_source_traces": "OTLP's own answer",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(load_settings()).openapi_schema.to_schema()


def answers(document: dict[str, Any]) -> dict[str, Any]:
    """Operation id -> schema of its success as JSON."""
    return {
        one["operationId"]: told["content"]["application/json"].get("schema", {})
        for methods in document["paths"].values()
        for one in methods.values()
        if isinstance(one, dict) and "responses" in one
        for status, told in one["responses"].items()
        if status.startswith("2") and "application/json" in (told.get("content") or {})
    }


def test_every_json_answer_names_its_fields(document: dict[str, Any]) -> None:
    found = answers(document)
    models = document["components"]["schemas"]
    without = {name for name, schema in found.items() if not models.get(schema.get("$ref", "").split("/")[-1], schema).get("properties")}
    assert without == set(OPEN)
    assert len(found) > 90


def test_models_have_names_that_say_what_they_are(document: dict[str, Any]) -> None:
    """One common word (Look, Why, Me) says nothing among two hundred classes of a client."""
    single = {name for name in document["components"]["schemas"] if re.fullmatch("[A-Z][a-z]+", name)}
    assert single == {
        "Accrual",
        "Health",
        "Need",
        "Problem",
        "Reopening",
        "Scorecard",
        "Shortfall",
        "Synced",
        "Undecided",
        "Violation",
        "Waived",
    }


def test_a_call_has_every_canonical_column(document: dict[str, Any]) -> None:
    call = answers(document)["get_calls_by_record_id"]
    assert call["properties"]["input_tokens"]["oneOf"] == [{"type": "integer"}, {"type": "null"}]
    assert call["properties"]["start_time"]["oneOf"][0] == {"type": "string", "format": "date-time"}
    assert all(one["description"] for one in call["properties"].values())
