package governor.rules.route_expired_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.route_expired

denied(values) := found if {
	found := route_expired.deny with input as object.union(example.call, values) with data.catalog as example.catalog
}

test_in_force if count(denied({})) == 0

test_last_instant if count(denied({"at": "2027-03-31T23:59:59.999999Z"})) == 0

test_over if {
	{denial.message | some denial in denied({"at": "2027-04-01T00:00:00Z"})} == {"the approval of route current ended 2027-04-01T00:00:00Z"}
}

test_not_yet if {
	{denial.message | some denial in denied({"at": "2025-12-31T00:00:00Z"})} == {"the approval of route current starts 2026-01-01T00:00:00Z"}
}

test_never_approved_is_left_to_approved_model if count(denied({"model": "gpt-5", "at": "2028-01-01T00:00:00Z"})) == 0

test_fallback_without_end if count(denied({"provider": "azure", "at": "2028-01-01T00:00:00Z"})) == 0
