package governor.call_test

import rego.v1

import data.governor.lib.example

decision(values) := answer if {
	answer := data.governor.call.decision with input as object.union(example.call, values) with data.catalog as example.catalog
}

rules(answer) := {violation.rule | some violation in answer.violations}

# those of one's own may stand beside them
shipped := {"model.approved", "data.class", "environment.match", "fallback.declared", "owner.required", "route.expired"}

test_allowed if {
	answer := decision({})
	answer.allow == true
	answer.route == "current"
	answer.route_status == "approved"
	count(shipped - {rule | some rule in answer.rules}) == 0
}

test_unapproved if {
	answer := decision({"model": "gpt-5", "requested_model": "gpt-5"})
	answer.allow == false
	rules(answer) == {"model.approved"}
	answer.route_status == "unapproved"
	answer.route == null
}

test_undecided_is_not_allowed if {
	answer := decision({"model": null})
	answer.allow == false
	count(answer.violations) == 0
	answer.route_status == "undecided"
}

test_waived_route if {
	waiver := object.union(example.waiver, {"rule": "model.approved"})
	answer := data.governor.call.decision with input as object.union(example.call, {"model": "gpt-5", "requested_model": "gpt-5"})
		with data.catalog as object.union(example.catalog, {"waivers": [waiver]})
	answer.allow == true
	answer.route_status == "waived"
}

test_severity_comes_from_the_rule_book if {
	answer := data.governor.call.decision with input as object.union(example.call, {"workflow_id": null})
		with data.catalog as example.catalog
		with data.rulebook as {"owner.required": {"severity": "low", "solution": "do it"}}
	{[violation.severity, violation.solution] | some violation in answer.violations} == {["low", "do it"]}
}

test_unlisted_rule_is_high if {
	answer := data.governor.call.decision with input as object.union(example.call, {"workflow_id": null})
		with data.catalog as example.catalog
		with data.rulebook as {}
	{violation.severity | some violation in answer.violations} == {"high"}
}
