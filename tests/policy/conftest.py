"""A small catalog and the shipped bundle, loaded once."""

from typing import Any

import pytest

from governor.policy.bundle import Bundle, load_bundle
from governor.policy.question import CallQuestion


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return load_bundle()


@pytest.fixture
def catalog() -> dict[str, Any]:
    return {
        "organization": {"providers": {"bedrock": {"retention_days": 0}}},
        "workflows": [
            {
                "id": "triage",
                "owner": "dana@acme.example",
                "environment": "production",
                "risk_tier": "high",
                "data_class": "confidential",
                "latency_target_ms": 2500,
                "max_cost_per_call": "0.08",
                "monthly_budget": "12000",
                "content_capture": "redacted",
                "routes": [
                    {
                        "id": "current",
                        "provider": "azure",
                        "model": "OpenAI/GPT-4o",
                        "aliases": ["claims-chat"],
                        "approved_until": "2027-03-31",
                    }
                ],
                "fallback": [{"provider": "openai", "model": "gpt-4o"}],
            }
        ],
        "waivers": [
            {
                "rule": "latency.target",
                "scope": {"workflow": "triage"},
                "compensating_control": "queue",
                "approver": "p-1",
                "expires": "2026-12-31",
            }
        ],
        "endpoints": [{"id": "gateway-shadow"}],
    }


@pytest.fixture
def question() -> CallQuestion:
    return CallQuestion(
        workflow_id="triage",
        attribution_status="mapped",
        provider="azure.ai.openai",
        model="gpt-4o-2024-08-06",
        requested_model="gpt-4o",
        region=None,
        environment="prod",
        data_class=None,
        is_fallback=False,
        fallback_from=None,
        traffic_class="production",
        at="2026-10-01T00:00:00Z",
    )
