package governor.rules.cost_ceiling_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.cost_ceiling

denied(values) := {denial.message | some denial in found} if {
	found := cost_ceiling.deny with input as object.union(example.window, values) with data.catalog as example.catalog
}

test_none_above if count(denied({})) == 0

test_some_above if {
	denied({"calls_over_ceiling": 3, "max_call_micro_usd": 310500}) == {"3 of 1000 calls cost more than 0.08 USD, the dearest 0.3105 USD"}
}

test_dearest_not_known if {
	denied({"calls_over_ceiling": 3, "max_call_micro_usd": null}) == {"3 of 1000 calls cost more than 0.08 USD"}
}

test_no_ceiling if count(denied({"workflow_id": "claims", "calls_over_ceiling": 3})) == 0

test_unknown_cost_is_undecided if {
	found := cost_ceiling.undecided with input as object.union(example.window, {"calls_over_ceiling": null}) with data.catalog as example.catalog
	count(found) == 1
}
