"""The demo's catalog as the YAML a person would write; made from the sample workflows so that the two never disagree."""

from __future__ import annotations

from typing import Any

import yaml

from governor.demo.workflows import HAIKU, MINI, PEOPLE, SAMPLES, Sample


def catalog_yaml(endpoint_url: str, approved_until: str) -> str:
    """YAML documents for `governor apply`. approved_until: ISO date at which the routes' approvals end."""
    documents: list[dict[str, Any]] = [{"kind": "person", "email": email, "name": name, "roles": roles} for email, name, roles in PEOPLE]
    documents += [workflow(sample, approved_until) for sample in SAMPLES]
    documents.append(
        {
            "kind": "endpoint",
            "id": "gateway-shadow",
            "protocol": "openai",
            "base_url": endpoint_url,
            "secret": "env:GOVERNOR_DEMO_SHADOW_KEY",
        }
    )
    documents += [
        {
            "kind": "contract_price",
            "provider": "openai",
            "model": "gpt-4o",
            "meter": meter,
            "price": {"amount": amount, "per": 1_000_000, "currency": "USD"},
            "valid_from": "2026-01-01",
        }
        for meter, amount in (("input", "2.10"), ("cache_read", "1.05"), ("output", "8.40"))
    ]
    return yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True)


def workflow(sample: Sample, approved_until: str) -> dict[str, Any]:
    owner = f"{sample.owner}@acme.example"
    document: dict[str, Any] = {
        "kind": "workflow",
        "id": sample.id,
        "owner": owner,
        "cost_center": sample.cost_center,
        "grc_id": f"SNOW-{10_000 + sum(sample.id.encode())}",
        "environment": "production",
        "risk_tier": sample.risk_tier,
        "data_class": sample.data_class,
        "latency_target_ms": sample.latency_ms,
        "max_cost_per_call": "0.25",
        "monthly_budget": sample.budget,
        "content_capture": sample.capture,
        "match": [{"metadata.workflow": sample.id}, {"api_key_alias": f"c-{sample.team}-{sample.id}"}],
        "routes": [{"id": "current", "provider": sample.provider, "model": sample.model, "approved_until": approved_until}],
    }
    if sample.id == "fnol-triage":
        document["output_contract"] = {
            "json_schema": {
                "type": "object",
                "required": ["severity", "cause"],
                "properties": {
                    "severity": {"enum": ["low", "medium", "high", "critical"]},
                    "cause": {"type": "string"},
                },
            }
        }
    # Two workflows declare no fallback: what falls back there is a finding, not an accident of bookkeeping.
    if sample.id not in {"reply-draft", "ad-copy"}:
        provider, model, _ = HAIKU if sample.provider == "anthropic" else MINI
        if model != sample.model and sample.kind == "chat":
            document["fallback"] = [{"provider": provider, "model": model}]
    return document
