# One catalog for the tests of all rules: what governor/policy/catalog_data.py would make of two workflows.
package governor.lib.example

import rego.v1

catalog := {
	"workflows": {
		"triage": {
			"owner": "dana@acme.example",
			"cost_center": "CC-1",
			"environment": "production",
			"risk_tier": "medium",
			"data_class": "internal",
			"content_capture": "redacted",
			"latency_target_ms": 2500,
			"max_cost_micro_usd": 80000,
			"monthly_budget_micro_usd": 12000000000,
			"routes": [
				object.union(route, {"regions": ["us-east-1"]}),
				object.union(route, {"id": "small", "model": "gpt-4o-mini", "names": ["gpt-4o-mini"]}),
			],
			"fallback": [object.union(route, {"id": "fb", "provider": "azure.ai.openai", "approved_until": null})],
		},
		"claims": {
			"owner": "",
			"cost_center": null,
			"environment": "production",
			"risk_tier": "high",
			"data_class": "restricted",
			"content_capture": "off",
			"latency_target_ms": null,
			"max_cost_micro_usd": null,
			"monthly_budget_micro_usd": null,
			"routes": [object.union(route, {"id": "eu", "provider": "aws.bedrock", "model": "claude-haiku", "names": ["claude-haiku"], "regions": []})],
			"fallback": [],
		},
	},
	"models": {"gpt-4o": true, "gpt-4o-mini": true, "claude-haiku": true},
	"waivers": [],
	"endpoints": ["gateway-shadow"],
	"providers": {},
	"tables": {},
}

route := {
	"id": "current",
	"provider": "openai",
	"model": "gpt-4o",
	"names": ["gpt-4o", "claims-chat"],
	"regions": [],
	"retention_days": null,
	"approved_from": "2026-01-01T00:00:00Z",
	"approved_until": "2027-04-01T00:00:00Z",
}

call := {
	"workflow_id": "triage",
	"attribution_status": "mapped",
	"provider": "openai",
	"model": "gpt-4o-2024-08-06",
	"requested_model": "gpt-4o",
	"region": null,
	"environment": "prod",
	"data_class": null,
	"is_fallback": false,
	"fallback_from": null,
	"traffic_class": "production",
	"at": "2026-10-01T00:00:00Z",
}

window := {
	"workflow_id": "triage",
	"window": "2026-10",
	"calls": 1000,
	"errors": 3,
	"p95_ms": 1200,
	"spend_micro_usd": 100000000,
	"calls_over_ceiling": 0,
	"max_call_micro_usd": 70000,
	"unpriced_calls": 0,
	"at": "2026-10-01T00:00:00Z",
}

replay := {
	"workflow_id": "triage",
	"data_class": null,
	"content_state": "full",
	"candidate": {"provider": "anthropic", "model": "claude-haiku-4-5", "region": "us-east-1", "retention_days": null},
	"endpoint": "gateway-shadow",
	"at": "2026-10-01T00:00:00Z",
}

change := {
	"workflow_id": "triage",
	"stage": "decide",
	"change": "RC-1",
	"requester": "p-1",
	"baseline": {"provider": "openai", "model": "gpt-4o", "region": "us-east-1", "retention_days": null},
	"candidate": {"provider": "openai", "model": "gpt-4.1", "region": "us-east-1", "retention_days": null},
	"evidence": {"verdict": "pass", "pairs": 300, "status": "done"},
	"cost": {"monthly_delta_micro_usd": -5000000, "projected_monthly_micro_usd": 90000000},
	"plan_expires_at": "2026-12-01T00:00:00Z",
	"at": "2026-10-01T00:00:00Z",
}

waiver := {
	"id": "W-1",
	"rule": "latency.target",
	"scope": {"workflow": "triage"},
	"reason": "provider incident",
	"compensating_control": "queue",
	"approver": "p-7",
	"starts": null,
	"expires": "2026-12-01T00:00:00Z",
}

