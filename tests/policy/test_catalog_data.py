"""Normalisation of the catalog for Rego, and validity epochs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from governor.catalog import Catalog, Waiver, WaiverDocument, WorkflowDocument
from governor.errors import Invalid
from governor.policy.catalog_data import BEGINNING, boundaries, catalog_data, epochs


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_names_money_and_instants(catalog: dict[str, Any]) -> None:
    data = catalog_data(catalog)
    triage = data["workflows"]["triage"]
    route = triage["routes"][0]
    assert (route["provider"], route["model"], route["names"]) == ("azure.ai.openai", "gpt-4o", ["gpt-4o", "claims-chat"])
    assert (triage["max_cost_micro_usd"], triage["monthly_budget_micro_usd"]) == (80_000, 12_000_000_000)
    assert route["approved_until"] == "2027-04-01T00:00:00Z", "a date that ends something includes that day"
    assert data["waivers"][0]["expires"] == "2027-01-01T00:00:00Z"
    assert data["models"] == {"gpt-4o": True}
    assert data["providers"] == {"aws.bedrock": {"retention_days": 0}}
    assert data["endpoints"] == ["gateway-shadow"]


def test_limits_are_rounded_down_and_floats_refused(catalog: dict[str, Any]) -> None:
    catalog["workflows"][0]["max_cost_per_call"] = "0.0000019"
    assert catalog_data(catalog)["workflows"]["triage"]["max_cost_micro_usd"] == 1
    catalog["workflows"][0]["max_cost_per_call"] = 0.08
    with pytest.raises(Invalid, match="write the amount in quotes"):
        catalog_data(catalog)


@pytest.mark.parametrize(
    "tables",
    [
        {"colours": {}},
        {"data_classes": {"internal": {"rank": "low"}}},
        {"data_classes": {"internal": {"rank": True}}},
        {"data_classes": {"internal": "anywhere"}},
        {"approval": {"finance_delta_micro_usd": 1000.5}},
        {"approval": {"somebody": []}},
    ],
)
def test_a_table_no_rule_could_read_is_refused(catalog: dict[str, Any], tables: dict[str, Any]) -> None:
    catalog["organization"]["tables"] = tables
    with pytest.raises(Invalid, match=r"organization: tables\."):
        catalog_data(catalog)


def test_capture_follows_the_data_class_when_the_workflow_is_silent(catalog: dict[str, Any]) -> None:
    del catalog["workflows"][0]["content_capture"]
    assert catalog_data(catalog)["workflows"]["triage"]["content_capture"] == "hashed"


def test_a_catalog_snapshot_gives_the_same_shape_as_plain_documents() -> None:
    workflow = {
        "id": "w",
        "owner": "a@b.example",
        "routes": [{"id": "r", "provider": "openai", "model": "gpt-4o", "approved_until": "2027-03-31"}],
    }
    waiver = {"rule": "latency.target", "scope": {"workflow": "w"}, "reason": "r", "compensating_control": "c", "expires": "2026-12-31"}
    snapshot = Catalog(
        workflows={"w": WorkflowDocument.model_validate(workflow)}, waivers=(Waiver(WaiverDocument.model_validate(waiver), approver="p-9"),)
    )
    data = catalog_data(snapshot)
    assert data["waivers"][0] | {"id": ""} == catalog_data({"waivers": [{**waiver, "approver": "p-9"}]})["waivers"][0] | {"id": ""}
    assert data["workflows"]["w"]["routes"] == catalog_data({"workflows": [workflow]})["workflows"]["w"]["routes"]
    assert data["waivers"][0]["scope"] == {"workflow": "w"}, "fields nobody named are not conditions"


def test_boundaries_are_where_decisions_can_change(catalog: dict[str, Any]) -> None:
    assert boundaries(catalog) == [at("2027-01-01"), at("2027-04-01")]


def test_epochs_cover_the_range_without_gaps() -> None:
    edges = [at("2026-09-15"), at("2026-10-10"), at("2026-10-20"), at("2026-11-01")]
    found = epochs(edges, at("2026-10-01"), at("2026-11-01"))
    assert [(one.start, one.end) for one in found] == [
        (at("2026-10-01"), at("2026-10-10")),
        (at("2026-10-10"), at("2026-10-20")),
        (at("2026-10-20"), at("2026-11-01")),
    ]
    assert [one.at for one in found] == ["2026-09-15T00:00:00Z", "2026-10-10T00:00:00Z", "2026-10-20T00:00:00Z"]
    assert epochs([], at("2026-10-01"), at("2026-11-01"))[0].at == BEGINNING
    assert epochs(edges, at("2026-10-10"), at("2026-10-10") + timedelta(1))[0].at == "2026-10-10T00:00:00Z"
