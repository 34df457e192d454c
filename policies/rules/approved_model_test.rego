package governor.rules.approved_model_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.approved_model

denied(values) := found if {
	found := approved_model.deny with input as object.union(example.call, values) with data.catalog as example.catalog
}

open(values) := found if {
	found := approved_model.undecided with input as object.union(example.call, values) with data.catalog as example.catalog
}

test_dated_snapshot_of_an_approved_model if count(denied({})) == 0

test_gateway_alias_of_a_route if count(denied({"model": "claims-chat"})) == 0

test_provider_spelled_otherwise if count(denied({"model": "openai/gpt-4o", "provider": "OpenAI"})) == 0

test_other_model if {
	{denial.message | some denial in denied({"model": "gpt-5"})} == {"openai/gpt-5 is not an approved route of triage"}
}

test_provider_in_the_name_is_said_once if {
	{denial.message | some denial in denied({"model": "openai/gpt-5"})} == {"openai/gpt-5 is not an approved route of triage"}
}

test_longer_name_is_another_model if count(denied({"model": "gpt-4o-audio-preview"})) == 1

test_same_model_at_another_provider if count(denied({"provider": "groq"})) == 1

test_region_outside_the_route if {
	{denial.message | some denial in denied({"region": "eu-west-1"})} == {"openai/gpt-4o-2024-08-06 in eu-west-1 is not an approved route of triage"}
}

test_region_of_the_route if count(denied({"region": "us-east-1"})) == 0

test_declared_fallback if count(denied({"provider": "azure", "is_fallback": true})) == 0

test_declared_fallback_when_the_source_does_not_say if count(denied({"provider": "azure", "is_fallback": null})) == 0

test_fallback_list_is_no_primary_route if count(denied({"provider": "azure"})) == 1

test_unknown_workflow_is_left_to_owner_required if count(denied({"workflow_id": null, "model": "gpt-5"})) == 0

test_own_replays_try_unapproved_models if count(denied({"traffic_class": "shadow", "model": "gpt-5"})) == 0

test_unknown_model_is_undecided if {
	{found.reason | some found in open({"model": null})} == {"the source does not say which model answered"}
	count(denied({"model": null})) == 0
}

test_unknown_provider_is_undecided if {
	{found.reason | some found in open({"provider": null})} == {"the source does not say which provider answered"}
}
