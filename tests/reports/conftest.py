"""A packet document as governor.actions.packet_document makes it, with every part present."""

from typing import Any

import pytest


def metric(name: str, estimate: str, low: str, high: str, margin: str, status: str) -> dict[str, Any]:
    return {
        "name": name, "kind": "guard", "critical": True, "margin": margin, "n": 300, "estimate": estimate, "ci95": [low, high], "status": status,
    }  # fmt: skip


@pytest.fixture
def document() -> dict[str, Any]:
    owner, security = "01930000-0000-7000-8000-0000aaaa0002", "01930000-0000-7000-8000-0000aaaa0003"
    requester = "01930000-0000-7000-8000-0000aaaa0001"
    digest, bundle = "9f2c" + "41d7" * 15, "b7c4" * 16
    steps = [
        ("change:propose", "person", requester), ("change:shadow", "system", "system"), ("change:review", "system", "system"),
        ("change:approve", "person", owner), ("change:approve", "person", security), ("change:cutover", "person", owner),
    ]  # fmt: skip
    return {
        "change": {
            "id": "RC-42", "workflow": "fnol-triage", "state": "cutover", "digest": digest, "requester": requester,
            "reason": "same quality for a fifth of the price", "endpoint": "gateway-shadow",
            "baseline": {"id": "current", "provider": "openai", "model": "gpt-4o", "regions": ["us-east-1"]},
            "candidate": {"provider": "anthropic", "model": "claude-haiku-4-5", "regions": ["us-east-1"]},
            "requested_at": "2026-11-18T09:12:44.000000Z", "decided_at": "2026-11-20T16:02:11.000000Z", "cutover_at": "2026-11-21T07:30:00.000000Z",
            "cutover_note": "",
        },
        "workflow": {
            "id": "fnol-triage", "cost_center": "CC-4100", "grc_id": "SNOW-12345", "environment": "production", "risk_tier": "high",
            "data_class": "confidential", "latency_target_ms": 2500, "monthly_budget": "12000",
        },
        "plan": {},
        "needs": [
            {"role": "owner", "reason": "every route change needs the workflow's owner"},
            {"role": "security", "reason": "the workflow's data is confidential and the provider is new to it"},
        ],
        "policy": {"bundle_sha256": bundle, "decision_id": "d-7", "result": "allow"},
        "violations": [],
        "shadow": {
            "run": "r-1", "status": "done", "planned": 300, "plan_digest": "5d" * 32, "spent_pico": "4182000000000", "budget_pico": "20000000000000",
            "author": requester, "started_at": "2026-11-18T09:20:00.000000Z", "finished_at": "2026-11-18T10:01:00.000000Z",
            "verdict": {
                "verdict": "pass", "decided_by": "final_test", "n_planned": 300, "n_prefix": 300, "n_pairs": 288, "price_book": "ab" * 32,
                "states": {"done": 288, "excluded_policy": 12},
                "metrics": [
                    metric("quality", "-0.006944", "-0.024100", "0.009800", "0.030", "pass"),
                    metric("error", "0.000000", "-0.013100", "0.013100", "0.020", "pass"),
                    metric("contract", "0.010417", "-0.003300", "0.027600", "0.020", "pass"),
                    metric("latency", "0.045100", "0.018000", "0.076000", "0.020", "pass"),
                ],
                "cost": {
                    "replay_spend_pico": "4182000000000", "n": 288, "savings_rate": "0.781200", "ci95": ["0.751000", "0.806000"],
                    "monthly_savings_usd": "8412.55", "monthly_ci95_usd": ["8087.10", "8679.40"],
                },
                "latency": {"n": 288, "p50_ratio": "0.412000", "p95_ratio": "0.530000"},
                "limitations": ["teacher_forced", "content_not_judged", "excluded_policy"],
            },
        },
        "decisions": [
            {
                "idx": 18 + at, "decision": "approve", "role": role, "person": who, "digest": digest, "counts": True, "reason": words,
                "auth": {"amr": "token"}, "decided_at": f"2026-11-20T1{5 + at}:02:11.000000Z", "expires_at": "2026-12-04T15:02:11.000000Z",
            }
            for at, (role, who, words) in enumerate(
                [("owner", owner, "evidence read; severity field kept"), ("security", security, "region and retention unchanged")]
            )
        ],
        "verification": None,
        "log": "governor.local/default",
        "issuer": "governor.local/default/issuer",
        "recipient": "",
        "people": {},
        "evidence": [
            {"name": "plan.json", "sha256": "5d" * 32, "size": 41822, "media_type": "application/json"},
            {"name": "verdict.json", "sha256": "1c" * 32, "size": 4310, "media_type": "application/json"},
            {"name": "pairs.parquet", "sha256": "e7" * 32, "size": 55012, "media_type": "application/vnd.apache.parquet"},
        ],
        "events": [
            {
                "idx": 12 + 2 * number, "id": f"e-{number}", "type": kind, "stream_seq": number, "leaf_sha256": f"{number:02x}" * 32,
                "recorded_at": f"2026-11-{17 + number}T09:12:44.000000Z", "actor": {"kind": who, "ref": ref, "roles": []},
            }
            for number, (kind, who, ref) in enumerate(steps, 1)
        ],
    }  # fmt: skip
