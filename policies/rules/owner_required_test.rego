package governor.rules.owner_required_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.owner_required

denied(workflow) := {denial.message | some denial in found} if {
	found := owner_required.deny with input as object.union(example.call, {"workflow_id": workflow}) with data.catalog as example.catalog
}

test_owned if count(denied("triage")) == 0

test_unattributed if denied(null) == {"the call is attributed to no workflow"}

test_unregistered if denied("ghost") == {"workflow ghost is not in the register"}

test_blank_owner if denied("claims") == {"workflow claims has no owner"}
