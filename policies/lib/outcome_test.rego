package governor.lib.outcome_test

import rego.v1

import data.governor.lib.outcome

# A rule that answers with a text, or without a rule or message, objects all the same: nothing it says is dropped.
test_a_malformed_denial_stays if {
	found := {"no", {"message": "no"}, {"rule": "model.approved"}, {"rule": 1, "message": "no"}}
	outcome.outstanding(found) == found with data.catalog.waivers as []
	count(outcome.set_aside(found)) == 0 with data.catalog.waivers as []
}

test_a_malformed_warning_stays if outcome.warned({"soon"}) == {"soon"}
