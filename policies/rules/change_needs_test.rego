package governor.rules.change_needs_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.change_needs

needs(values) := {need.role: need.reasons | some need in found} if {
	found := change_needs.needs with input as object.union(example.change, values) with data.catalog as example.catalog
}

test_owner_alone if object.keys(needs({})) == {"owner"}

test_confidential_data_and_high_risk if {
	needs({"workflow_id": "claims", "candidate": {"provider": "bedrock", "model": "m", "region": "eu-central-1"}}).security == [
		"the risk tier of the workflow is high",
		"the workflow handles restricted data",
	]
}

test_new_provider if {
	needs({"candidate": {"provider": "anthropic", "model": "m", "region": "us-east-1"}}).security == ["provider anthropic is new for the workflow"]
}

test_new_region if {
	needs({"candidate": {"provider": "openai", "model": "m", "region": "eu-west-1"}}).security == ["region eu-west-1 is outside the regions approved so far"]
}

test_unstated_region_where_regions_are_limited if count(needs({"candidate": {"provider": "openai", "model": "m", "region": null}}).security) == 1

test_cost_rises if {
	needs({"cost": {"monthly_delta_micro_usd": 1000000001, "projected_monthly_micro_usd": 1}}).finance == ["the projected cost rises by 1000.000001 USD a month, above 1000.00 USD"]
}

test_cost_rises_to_the_threshold if not needs({"cost": {"monthly_delta_micro_usd": 1000000000, "projected_monthly_micro_usd": 1}}).finance

test_above_the_budget if {
	needs({"cost": {"monthly_delta_micro_usd": 0, "projected_monthly_micro_usd": 12000000001}}).finance == ["the projected 12000.000001 USD a month exceed the budget of 12000.00 USD"]
}

test_unknown_cost if needs({"cost": {"monthly_delta_micro_usd": null, "projected_monthly_micro_usd": null}}).finance == ["the change in monthly cost is not known"]

test_unknown_cost_while_proposing if not needs({"stage": "propose", "cost": {"monthly_delta_micro_usd": null, "projected_monthly_micro_usd": null}}).finance

test_inconclusive if count(needs({"evidence": {"verdict": "inconclusive"}}).admin) == 1

test_threshold_of_the_organization if {
	found := change_needs.needs with input as object.union(example.change, {"cost": {"monthly_delta_micro_usd": 2000000, "projected_monthly_micro_usd": 1}})
		with data.catalog as object.union(example.catalog, {"tables": {"approval": {"finance_delta_micro_usd": 1000000}}})
	"finance" in {need.role | some need in found}
}

test_nobody_to_approve_is_refused if {
	found := change_needs.deny with input as object.union(example.change, {"workflow_id": "ghost", "candidate": {"provider": "openai", "model": "m", "region": "us-east-1"}})
		with data.catalog as example.catalog
	count(found) == 0
	decision := data.governor.change.decision with input as object.union(example.change, {"workflow_id": "ghost"}) with data.catalog as example.catalog
	decision.allow == false
}

strengths(table) := {object.get(need, "strength", "") | some need in found} if {
	catalog := object.union(example.catalog, {"tables": {"approval": table}})
	found := change_needs.needs with input as object.union(example.change, {"workflow_id": "claims"}) with data.catalog as catalog
}

test_any_sign_in_counts_unless_the_organization_says_otherwise if strengths({}) == {""}

test_a_passkey_for_a_risk_tier if strengths({"passkey_risk_tiers": ["high"]}) == {"passkey"}

test_a_passkey_for_a_data_class if strengths({"passkey_classes": ["restricted"]}) == {"passkey"}

test_another_tier_asks_for_none if strengths({"passkey_risk_tiers": ["low"]}) == {""}
