package governor.rules.change_candidate_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.change_candidate

denied(values) := {denial.message | some denial in found} if {
	found := change_candidate.deny with input as object.union(example.change, values) with data.catalog as example.catalog
}

test_allowed if count(denied({})) == 0

test_provider_not_cleared if {
	"provider groq is not cleared for restricted data" in denied({"workflow_id": "claims", "candidate": {"provider": "groq", "model": "m", "region": "us-east-1", "retention_days": 0}})
}

test_unknown_region if {
	denied({"workflow_id": "claims", "candidate": {"provider": "bedrock", "model": "m", "region": null, "retention_days": 0}}) == {"restricted data is limited to regions and the region is not known"}
}

test_workflow_without_a_class if {
	found := change_candidate.deny with input as example.change
		with data.catalog as object.union(example.catalog, {"workflows": {"triage": {"data_class": null}}})
	{denial.message | some denial in found} == {"triage has no known data class"}
}
