package governor.rules.replay_exposure_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.replay_exposure

denied(values) := {denial.message | some denial in found} if {
	found := replay_exposure.deny with input as object.union(example.replay, values) with data.catalog as example.catalog
}

test_internal_data if count(denied({})) == 0

test_stricter_class_of_the_trace if {
	denied({"data_class": "restricted"}) == {"the provider keeps data for 30 days and restricted data allows 0"}
}

test_agreed_retention if {
	count(denied({"data_class": "restricted", "candidate": {"provider": "anthropic", "model": "m", "region": "us-east-1", "retention_days": 0}})) == 0
}

test_what_is_not_known_is_refused if {
	denied({"data_class": "restricted", "candidate": {"provider": "vertex", "model": "m", "region": null, "retention_days": null}}) == {
		"restricted data is limited to regions and the region is not known",
		"restricted data is limited in retention and the retention of the provider is not known",
	}
}

test_trace_of_nobody if "the data class of the trace is not known" in denied({"workflow_id": null})

test_strange_class if "data class cosmic is not in the table" in denied({"data_class": "cosmic"})

test_no_waiver_opens_the_gate if {
	waiver := object.union(example.waiver, {"rule": "replay.exposure"})
	answer := data.governor.replay.decision with input as object.union(example.replay, {"data_class": "restricted"})
		with data.catalog as object.union(example.catalog, {"waivers": [waiver]})
	answer.allow == false
	count(answer.violations) == 1
}
