package governor.rules.data_class_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.data_class

restricted := {"workflow_id": "claims", "provider": "bedrock", "model": "claude-haiku", "region": "eu-central-1"}

denied(values) := {denial.message | some denial in found} if {
	found := data_class.deny with input as object.union(example.call, values) with data.catalog as example.catalog
}

open(values) := {gap.reason | some gap in found} if {
	found := data_class.undecided with input as object.union(example.call, values) with data.catalog as example.catalog
}

test_internal_goes_anywhere if {
	count(denied({"provider": "someone", "region": "mars"})) == 0
	count(open({})) == 0
}

test_restricted_where_it_may_go if {
	count(denied(restricted)) == 0
	count(open(restricted)) == 0
}

test_restricted_at_an_uncleared_provider if {
	"provider groq is not cleared for restricted data" in denied(object.union(restricted, {"provider": "groq"}))
}

test_restricted_in_an_uncleared_region if {
	denied(object.union(restricted, {"region": "ap-south-1"})) == {"region ap-south-1 is not cleared for restricted data"}
}

test_restricted_where_data_is_kept if {
	denied(object.union(restricted, {"provider": "openai"})) == {"the provider keeps data for 30 days and restricted data allows 0"}
}

test_contract_terms_win_over_the_published_retention if {
	found := data_class.deny with input as object.union(example.call, object.union(restricted, {"provider": "openai"}))
		with data.catalog as object.union(example.catalog, {"providers": {"openai": {"retention_days": 0}}})
	count(found) == 0
}

test_unknown_region_of_restricted_data_is_undecided if {
	open(object.union(restricted, {"region": null})) == {"restricted data is limited to regions and the region is not known"}
}

test_unknown_retention_of_restricted_data_is_undecided if {
	open(object.union(restricted, {"provider": "vertex_ai"})) == {"restricted data is limited in retention and the retention of the provider is not known"}
}

test_claim_above_the_declared_class if {
	"the call carries confidential data and triage is declared for internal" in denied({"data_class": "confidential"})
}

test_claim_below_the_declared_class_does_not_loosen if {
	denied(object.union(restricted, {"data_class": "public", "region": "ap-south-1"})) == {"region ap-south-1 is not cleared for restricted data"}
}

test_claim_without_a_workflow_is_judged if {
	denied({"workflow_id": null, "data_class": "confidential", "provider": "groq"}) == {"provider groq is not cleared for confidential data"}
}

test_strange_class_is_undecided if open({"data_class": "cosmic"}) == {"data class cosmic is not in the table"}

test_row_of_the_organization_wins if {
	found := data_class.deny with input as example.call
		with data.catalog as object.union(example.catalog, {"tables": {"data_classes": {"internal": {"providers": ["azure.ai.openai"]}}}})
	{denial.message | some denial in found} == {"provider openai is not cleared for internal data"}
}

test_replays_are_held_to_it_as_well if {
	count(denied(object.union(restricted, {"traffic_class": "shadow", "region": "ap-south-1"}))) == 1
}

test_unknown_provider_of_restricted_data_is_undecided if {
	"the provider is not known" in open(object.union(restricted, {"provider": null, "region": null}))
}

test_workflow_without_a_class_is_undecided if {
	found := data_class.undecided with input as example.call
		with data.catalog as object.union(example.catalog, {"workflows": {"triage": {"data_class": null}}})
	{gap.reason | some gap in found} == {"neither the call nor its workflow states a data class"}
}

test_retention_agreed_for_the_route if {
	agreed := [object.union(example.route, {"provider": "openai", "model": "gpt-4o", "regions": [], "retention_days": 0})]
	found := data_class.deny with input as object.union(example.call, {"workflow_id": "claims", "region": "us-east-1"})
		with data.catalog as object.union(example.catalog, {"workflows": {"claims": {"routes": agreed}}})
	count(found) == 0
}
