package governor.rules.environment_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.environment

denied(name) := {denial.message | some denial in found} if {
	found := environment.deny with input as object.union(example.call, {"environment": name}) with data.catalog as example.catalog
}

test_spelled_otherwise if count(denied("Prod")) == 0

test_nobody_says if count(denied(null)) == 0

test_other_environment if denied("staging") == {"the call runs in staging, triage is registered for production"}
